//! What leaves when.

use super::*;

#[test]
fn a_200_leaves_with_the_flush_that_covers_it_and_not_before() {
    let mut rig = Rig::new();
    let ticket = rig.ask(Verb::Request, ["echo", "hi"]);
    assert!(rig.told.is_empty() && rig.calls.is_empty() && rig.looks.is_empty());
    rig.flush();
    let id = "0".repeat(31) + "1";
    assert_eq!(rig.status(ticket), ["200", &id]);
    rig.serve();
    assert_eq!(rig.calls.len(), 1);
    assert_eq!((rig.calls[0].service.as_str(), texts(&rig.calls[0].body)), ("echo", vec!["hi".to_owned()]));
}

#[test]
fn all_who_come_while_a_flush_is_under_way_share_the_next_one() {
    let mut rig = Rig::new();
    let first = rig.ask(Verb::Request, ["echo", "1"]);
    let others: Vec<Ticket> = (0..100).map(|_| rig.ask(Verb::Request, ["echo", "2"])).collect();
    let job = rig.jobs.pop().unwrap();
    rig.handle(Input::Flushed(job));
    assert_eq!(rig.told.keys().collect::<Vec<_>>(), [&first]);
    assert_eq!(rig.jobs.len(), 1);
    let job = rig.jobs.pop().unwrap();
    rig.handle(Input::Flushed(job));
    assert!(others.iter().all(|ticket| rig.status(*ticket)[0] == "200"));
    assert!(rig.jobs.is_empty());
}

#[test]
fn a_failed_flush_answers_500_to_everyone_and_ends_for_good() {
    let mut rig = Rig::new();
    let before = rig.submit("echo", "before");
    let waiting = rig.ask(Verb::Reply, [&before.to_string(), "1000"]);
    let parked: Vec<Ticket> = (0..3).map(|_| rig.ask(Verb::Request, ["echo", "hi"])).collect();
    rig.jobs.clear();
    rig.handle(Input::FlushFailed(io::ErrorKind::Other));
    let stopped = Stopped(io::ErrorKind::Other);
    assert_eq!(rig.finished, Some(Err(stopped)));
    assert!(rig.events.contains(&Event::Stopped(io::ErrorKind::Other)));
    for ticket in parked.into_iter().chain([waiting]) {
        assert!(rig.status(ticket)[0].starts_with("500 "));
    }
    for verb in Verb::ALL {
        let ticket = rig.ask(verb, ["echo", "hi"]);
        assert!(rig.status(ticket)[0].starts_with("500 "), "{verb:?}");
    }
    assert!(rig.jobs.is_empty());
}

#[test]
fn what_the_system_has_is_enough_within_a_time_and_a_flush_follows() {
    let within = Duration::from_millis(10);
    let mut rig = Rig::of(Config { sync: Sync::Within(within), ..Config::default() });
    let ticket = rig.ask(Verb::Request, ["echo", "1"]);
    assert_eq!(rig.status(ticket)[0], "200");
    assert!(rig.jobs.is_empty());
    assert_eq!(rig.store.deadline(), Some(rig.now + within));
    rig.now = rig.now + Duration::from_millis(4);
    rig.ask(Verb::Request, ["echo", "2"]);
    rig.pass(Duration::from_millis(5));
    assert!(rig.jobs.is_empty());
    rig.pass(Duration::from_millis(1));
    assert_eq!(rig.jobs.len(), 1);
    rig.flush();
    assert_eq!(rig.crashed().store.log().count(State::Open), 2);
}

#[test]
fn an_answer_is_shown_when_it_is_safe_and_whoever_waits_is_woken_by_it() {
    let mut rig = Rig::new();
    let id = rig.submit("echo", "hi");
    let waiting = rig.ask(Verb::Reply, [&id.to_string(), "30000"]);
    rig.end(Outcome::Answered(["there"].into()));
    let asking = rig.ask(Verb::Reply, [&id.to_string()]);
    assert!(!rig.told.contains_key(&waiting) && !rig.told.contains_key(&asking));
    rig.flush();
    assert_eq!(
        (rig.status(waiting), rig.status(asking)),
        (vec!["200".into(), "there".into()], vec!["200".into(), "there".into()])
    );
    assert_eq!(rig.reply(id), ["200", "there"], "a second time it is the same");
}

#[test]
fn an_answer_that_was_not_safe_is_made_again_after_a_crash() {
    let mut rig = Rig::new();
    let id = rig.submit("echo", "hi");
    rig.end(Outcome::Answered(["lost"].into()));
    let mut rig = rig.crashed();
    assert_eq!(rig.reply(id)[0], "300 pending");
    rig.serve();
    assert_eq!((rig.calls.len(), rig.calls[0].id), (1, id), "under the same id");
    rig.answer(["kept"]);
    let mut rig = rig.crashed();
    assert_eq!(rig.reply(id), ["200", "kept"]);
    rig.serve();
    assert!(rig.calls.is_empty());
}

#[test]
fn a_full_log_refuses_and_keeps_what_it_has_and_closing_makes_room() {
    let mut rig = Rig::new();
    let body = "x".repeat(6000);
    let mut ids = Vec::new();
    let refused = loop {
        let ticket = rig.ask(Verb::Request, ["echo", &body]);
        rig.flush();
        let told = rig.status(ticket);
        match told.get(1) {
            Some(id) => ids.push(read_id(id.as_bytes()).unwrap()),
            None => break told[0].clone(),
        }
    };
    assert_eq!(refused, "500 the log is full");
    assert!(ids.len() > 20);
    for id in &ids {
        assert_eq!(rig.reply(*id)[0], "300 pending");
        assert_eq!(rig.told_at_once(Verb::Close, [&id.to_string()]), ["200"]);
    }
    assert_eq!(rig.told_at_once(Verb::Request, ["echo", &body])[0], "200");
    let huge = "x".repeat(1 << 20);
    assert!(rig.told_at_once(Verb::Request, ["echo", &huge])[0].starts_with("400 "));
}

/// A region that fails where it should grow, and does not merely lack room.
#[derive(Debug)]
struct Rigid(Memory);

impl Region for Rigid {
    fn len(&self) -> u64 {
        self.0.len()
    }

    fn read(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, into)
    }

    fn write(&mut self, offset: u64, octets: &[u8]) -> io::Result<()> {
        self.0.write(offset, octets)
    }

    fn resize(&mut self, len: u64, progress: &mut dyn FnMut(u64)) -> io::Result<()> {
        if len > self.0.len() { Err(io::ErrorKind::Other.into()) } else { self.0.resize(len, progress) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_disk_that_fails_while_a_request_is_taken_ends_the_store_as_any_other_failure_does() {
    let rigid = Rigid(Rig::new().disk);
    let (log, _) = Log::open(rigid, &settings(64), &mut |_| {}).unwrap();
    let mut store = Store::new(log, Config::default(), ORIGIN_MS);
    let body: Frames = ["echo".to_owned(), "x".repeat(6000)].into();
    for number in 1..20 {
        let (ticket, fresh) = (Ticket(number.into()), id(number));
        let asked = Input::Asked { ticket, verb: Verb::Request, chosen: None, fresh, body: body.clone() };
        store.handle(Instant::ZERO, asked);
        while let Some(output) = store.poll() {
            match output {
                Output::Flush(job) => store.handle(Instant::ZERO, Input::Flushed(job)),
                Output::Finished(outcome) => return assert_eq!(outcome, Err(Stopped(io::ErrorKind::Other))),
                _ => {}
            }
        }
    }
    panic!("it never ends");
}

#[test]
fn it_ends_when_all_is_told_and_nobody_waits_any_more() {
    let mut rig = Rig::new();
    let id = rig.submit("echo", "hi");
    let waiting = rig.ask(Verb::Reply, [&id.to_string(), "30000"]);
    rig.handle(Input::Quiet);
    assert_eq!(rig.status(waiting), ["300 pending"]);
    assert_eq!((rig.abandoned.len(), rig.finished), (1, None));
    let parked = rig.ask(Verb::Request, ["echo", "hi"]);
    rig.handle(Input::End);
    assert_eq!(rig.finished, None);
    rig.flush();
    assert_eq!((rig.status(parked)[0].as_str(), rig.finished), ("200", Some(Ok(()))));
    assert_eq!(rig.crashed().store.log().count(State::Open), 2);
}

#[test]
fn told_bytes_max_is_met_and_further_answers_stay_in_the_log_until_those_before_have_left() {
    let mut rig = Rig::of(Config { told_bytes_max: 2000, attempts_max: 1, ..Config::default() });
    let body: &'static str = "0123456789".repeat(150).leak();
    let ids: Vec<Id> = (0..4)
        .map(|_| {
            let id = rig.submit("echo", "question");
            rig.answer([body]);
            id
        })
        .collect();
    let dead = rig.submit("echo", body);
    rig.end(failed(500));
    rig.flush();
    let tickets: Vec<Ticket> = ids.iter().map(|id| rig.ask(Verb::Reply, [&id.to_string()])).collect();
    let withdrawn = rig.ask(Verb::Reply, [&ids[0].to_string()]);
    let read = rig.ask(Verb::Dead, ["read", &dead.to_string()]);
    let told = |rig: &Rig| tickets.iter().filter(|ticket| rig.told.contains_key(ticket)).count();
    assert_eq!((told(&rig), rig.store.is_holding()), (2, true), "one may pass it");
    rig.handle(Input::Withdrawn(withdrawn));
    // What is small and needs no reading is told all the same.
    assert_eq!(rig.told_at_once(Verb::Reply, ["0"]), ["400 not an id"]);
    rig.handle(Input::Relieved);
    assert_eq!((told(&rig), rig.told.contains_key(&read)), (4, false));
    rig.handle(Input::Relieved);
    assert_eq!(rig.status(read)[..2], ["200", "echo"]);
    assert!(!rig.store.is_holding() && !rig.told.contains_key(&withdrawn));
}

#[test]
fn whoever_is_in_a_hurry_tells_those_who_wait_and_goes_on() {
    let mut rig = Rig::new();
    let id = rig.submit("echo", "question");
    let waiting = rig.ask(Verb::Reply, [&id.to_string(), "60000"]);
    assert!(!rig.told.contains_key(&waiting));
    rig.handle(Input::Hurry);
    assert_eq!(rig.status(waiting), ["300 pending"]);
    rig.answer(["there"]);
    assert_eq!(rig.reply(id), ["200", "there"]);
}
