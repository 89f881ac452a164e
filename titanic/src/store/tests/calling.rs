//! Calls of the real services: how often, how many at once, and what comes of them.

use super::*;

#[test]
fn a_failed_attempt_is_repeated_after_a_growing_delay_and_given_up_in_the_end() {
    let mut rig = Rig::of(Config { attempts_max: 4, ..Config::default() });
    let id = rig.submit("echo", "hi");
    for delay in [250, 500, 1000] {
        rig.end(failed(500));
        rig.flush();
        assert_eq!((rig.state(id), rig.calls.len()), (Some(State::Attempted), 0));
        rig.pass(Duration::from_millis(delay - 1));
        assert_eq!(rig.calls.len(), 0, "before {delay} ms are over");
        rig.pass(Duration::from_millis(1));
        assert_eq!((rig.calls.len(), rig.calls[0].id), (1, id));
    }
    let waiting = rig.ask(Verb::Reply, [&id.to_string(), "1000"]);
    rig.end(failed(500));
    assert!(!rig.told.contains_key(&waiting), "its death is not safe yet");
    rig.flush();
    assert_eq!(rig.state(id), Some(State::Dead));
    assert_eq!(rig.status(waiting), ["500 given up: 500 no"]);
    let died = Event::Died { id, service: "echo".parse().unwrap(), attempts: 4, reason: "500 no".to_owned() };
    assert!(rig.events.contains(&died));
    rig.pass(Duration::from_secs(3600));
    assert_eq!(rig.calls.len(), 0);
}

#[test]
fn attempts_are_counted_over_a_crash() {
    let mut rig = Rig::of(Config { attempts_max: 3, ..Config::default() });
    let id = rig.submit("echo", "hi");
    for _ in 0..2 {
        rig.end(failed(502));
        rig.flush();
        rig = rig.crashed();
        rig.serve();
        assert_eq!(rig.calls.len(), 1);
    }
    rig.end(failed(502));
    assert_eq!(rig.state(id), Some(State::Dead));
}

#[test]
fn what_nobody_took_does_not_count() {
    let mut rig = Rig::of(Config { attempts_max: 2, ..Config::default() });
    let id = rig.submit("echo", "hi");
    for status in [404, 429, 503, 404, 429, 503] {
        rig.end(failed(status));
        rig.pass(Duration::from_secs(60));
        rig.serve();
        assert_eq!((rig.state(id), rig.calls.len()), (Some(State::Open), 1), "{status}");
    }
    rig.answer(["there"]);
    assert_eq!(rig.reply(id), ["200", "there"]);
}

#[test]
fn silence_counts_when_the_service_is_served_and_not_when_nobody_knows() {
    let mut rig = Rig::of(Config { attempts_max: 2, ..Config::default() });
    let id = rig.submit("echo", "hi");
    rig.end(silent());
    assert_eq!((rig.looks.len(), rig.calls.len()), (1, 0));
    rig.looks.clear();
    rig.handle(Input::Looked("echo".parse().unwrap(), None));
    rig.pass(Duration::from_secs(60));
    assert_eq!((rig.state(id), rig.calls.len()), (Some(State::Open), 1));
    rig.end(failed(408));
    rig.serve();
    assert_eq!(rig.state(id), Some(State::Attempted));
    rig.pass(Duration::from_secs(60));
    rig.end(silent());
    rig.serve();
    assert_eq!(rig.state(id), Some(State::Dead));
}

#[test]
fn a_service_that_is_down_is_knocked_at_once_and_served_in_the_moment_that_it_comes() {
    let mut rig = Rig::of(Config { attempts_max: 2, ..Config::default() });
    let tickets: Vec<Ticket> = (0..5).map(|_| rig.ask(Verb::Request, ["echo", "hi"])).collect();
    rig.flush();
    assert_eq!(rig.looks, ["echo"]);
    rig.handle(Input::Looked("echo".parse().unwrap(), Some(false)));
    assert!(rig.events.contains(&Event::Down("echo".parse().unwrap())));
    for _ in 0..10 {
        assert_eq!(rig.calls.len(), 1, "one knocks, the others wait");
        rig.pass(Duration::from_secs(30));
        rig.end(failed(408));
    }
    assert_eq!(rig.store.deadline(), None, "nothing is polled");
    rig.answer(["there"]);
    assert!(rig.events.contains(&Event::Up("echo".parse().unwrap())));
    assert_eq!(rig.calls.len(), 4);
    (0..4).for_each(|_| rig.answer(["there"]));
    for ticket in tickets {
        let id = read_id(rig.status(ticket)[1].as_bytes()).unwrap();
        assert_eq!(rig.reply(id), ["200", "there"]);
    }
}

#[test]
fn a_dead_service_delays_no_other() {
    let mut rig = Rig::new();
    for _ in 0..100 {
        rig.ask(Verb::Request, ["dead", "hi"]);
    }
    rig.flush();
    rig.looks.clear();
    rig.handle(Input::Looked("dead".parse().unwrap(), Some(false)));
    assert_eq!(rig.calls.len(), 1);
    rig.ask(Verb::Request, ["echo", "hi"]);
    rig.flush();
    rig.serve();
    assert_eq!(rig.calls[1].service, "echo");
}

#[test]
fn calls_per_service_max_is_met_and_an_answer_makes_room_at_once() {
    let mut rig = Rig::of(Config { calls_per_service_max: 3, ..Config::default() });
    for _ in 0..8 {
        rig.ask(Verb::Request, ["echo", "hi"]);
    }
    rig.flush();
    rig.serve();
    assert_eq!(rig.calls.len(), 3);
    rig.end(Outcome::Answered(["there"].into()));
    assert_eq!(rig.calls.len(), 3);
}

#[test]
fn a_worker_that_finds_no_sense_in_it_has_answered() {
    let mut rig = Rig::new();
    let id = rig.submit("echo", "hi");
    rig.end(Outcome::Failed { status: 400, reason: "no sense".to_owned(), body: ["more"].into() });
    rig.flush();
    assert_eq!(rig.reply(id), ["200", "400 no sense", "more"]);
}

#[test]
fn services_max_is_met_and_told() {
    let mut rig = Rig::of(Config { services_max: 2, ..Config::default() });
    let first = rig.submit("a", "hi");
    rig.submit("b", "hi");
    assert!(rig.told_at_once(Verb::Request, ["c", "hi"])[0].starts_with("500 "));
    rig.told_at_once(Verb::Close, [&first.to_string()]);
    assert_eq!(rig.told_at_once(Verb::Request, ["c", "hi"])[0], "200");
}

#[test]
fn an_answer_that_a_full_log_does_not_take_is_asked_for_again() {
    let mut rig = Rig::new();
    let id = rig.submit("echo", "hi");
    let body = "x".repeat(6000);
    let mut others = Vec::new();
    while rig.told_at_once(Verb::Request, ["other", &body])[0] == "200" {
        others.push(read_id(&rig.told.last_key_value().unwrap().1[1]).unwrap());
    }
    let large: Frames = ["y".repeat(60_000)].into();
    rig.end(Outcome::Answered(large.clone()));
    assert_eq!(rig.state(id), Some(State::Open));
    assert!(rig.events.contains(&Event::AnswerRefused { id }));
    for other in others {
        rig.told_at_once(Verb::Close, [&other.to_string()]);
    }
    rig.pass(Duration::from_secs(60));
    rig.serve();
    rig.calls.retain(|asked| asked.service == "echo");
    rig.end(Outcome::Answered(large));
    rig.flush();
    assert_eq!(rig.state(id), Some(State::Answered));
}

#[test]
fn call_bytes_max_is_met_and_an_end_makes_room_for_the_next() {
    let mut rig = Rig::of(Config { call_bytes_max: 1000, ..Config::default() });
    let body = "x".repeat(600);
    for _ in 0..3 {
        rig.submit("echo", &body);
    }
    assert_eq!(rig.calls.len(), 2, "one may pass it");
    rig.answer(["there"]);
    assert_eq!(rig.calls.len(), 2);
    rig.answer(["there"]);
    rig.answer(["there"]);
    assert_eq!(rig.store.counters().answered, 3);
}
