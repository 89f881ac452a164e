//! What was given up, and what became too old.

use super::*;

fn dead(rig: &mut Rig, body: &str) -> Id {
    let id = rig.submit("echo", body);
    rig.end(failed(500));
    rig.flush();
    assert_eq!(rig.state(id), Some(State::Dead));
    id
}

fn brittle() -> Rig {
    Rig::of(Config { attempts_max: 1, ..Config::default() })
}

#[test]
fn what_was_given_up_can_be_listed_and_read_also_after_a_crash() {
    let mut rig = brittle();
    let ids = [dead(&mut rig, "one"), dead(&mut rig, "two")];
    let mut rig = rig.crashed();
    let listed = rig.told_at_once(Verb::Dead, ["list"]);
    assert_eq!(listed.len(), 3);
    assert!(
        listed[1].contains(&format!("\"id\":\"{}\",\"service\":\"echo\",\"attempts\":1,\"reason\":\"500 no\"", ids[0]))
    );
    assert_eq!(rig.told_at_once(Verb::Dead, ["list", &ids[0].to_string()])[1..], listed[2..]);
    assert_eq!(rig.told_at_once(Verb::Dead, ["read", &ids[1].to_string()]), ["200", "echo", "two"]);
}

#[test]
fn what_is_replayed_is_called_again_with_all_its_attempts() {
    let mut rig = brittle();
    let id = dead(&mut rig, "one");
    let ticket = rig.ask(Verb::Dead, ["replay", &id.to_string()]);
    assert!(!rig.told.contains_key(&ticket) && rig.calls.is_empty());
    rig.flush();
    assert_eq!((rig.status(ticket), rig.calls.len()), (vec!["200".to_owned()], 1));
    assert_eq!(rig.told_at_once(Verb::Dead, ["list"]), ["200"]);
    rig.answer(["there"]);
    assert_eq!(rig.reply(id), ["200", "there"]);
}

#[test]
fn what_is_dropped_is_gone() {
    let mut rig = brittle();
    let (first, second) = (dead(&mut rig, "one"), dead(&mut rig, "two"));
    assert_eq!(rig.told_at_once(Verb::Dead, ["drop", &first.to_string()]), ["200"]);
    assert_eq!(rig.told_at_once(Verb::Close, [&second.to_string()]), ["200"]);
    assert_eq!(rig.told_at_once(Verb::Dead, ["list"]), ["200"]);
    assert_eq!(rig.crashed().reply(first), ["400 unknown id"]);
}

#[test]
fn a_list_is_bounded_and_goes_on_behind_an_id() {
    let mut rig = brittle();
    for _ in 0..300 {
        dead(&mut rig, "x");
    }
    let first = rig.told_at_once(Verb::Dead, ["list"]);
    assert_eq!(first.len(), 257);
    let last: String = first[256].chars().skip(7).take(32).collect();
    assert_eq!(rig.told_at_once(Verb::Dead, ["list", &last]).len(), 45);
}

#[test]
fn without_a_time_to_live_nothing_is_ever_forgotten() {
    let mut rig = Rig::new();
    let (answered, open) = (rig.submit("echo", "one"), rig.submit("echo", "two"));
    rig.answer(["there"]);
    rig.pass(Duration::from_secs(100 * 365 * 24 * 3600));
    assert_eq!((rig.state(answered), rig.state(open)), (Some(State::Answered), Some(State::Open)));
}

#[test]
fn a_request_that_is_not_answered_in_its_time_is_given_up_also_over_a_crash() {
    let ttl = Some(Duration::from_secs(60));
    let mut rig = Rig::of(Config { request_ttl: ttl, ..Config::default() });
    let id = rig.submit("echo", "one");
    rig.pass(Duration::from_secs(30));
    let mut rig = rig.crashed();
    rig.serve();
    rig.pass(Duration::from_millis(29_999));
    assert_eq!((rig.state(id), rig.calls.len()), (Some(State::Open), 1));
    rig.pass(Duration::from_millis(1));
    rig.flush();
    assert_eq!((rig.state(id), rig.calls.len(), rig.abandoned.len()), (Some(State::Dead), 0, 1));
    assert_eq!(rig.reply(id), ["500 given up: not answered in time"]);
}

#[test]
fn an_answer_that_nobody_closes_in_its_time_is_forgotten() {
    let ttl = Some(Duration::from_secs(60));
    let mut rig = Rig::of(Config { answer_ttl: ttl, ..Config::default() });
    let id = rig.submit("echo", "one");
    rig.pass(Duration::from_secs(3600));
    rig.answer(["there"]);
    rig.pass(Duration::from_millis(59_999));
    assert_eq!(rig.reply(id), ["200", "there"]);
    rig.pass(Duration::from_millis(1));
    rig.flush();
    assert!(rig.events.contains(&Event::Expired { id }));
    assert_eq!(rig.reply(id), ["400 unknown id"]);
}

#[test]
fn a_record_that_was_damaged_is_told_and_harms_no_other() {
    let mut rig = Rig::new();
    let broken = rig.submit("echo", "a body that is looked for");
    let whole = rig.submit("echo", "another");
    let octets = rig.disk.octets_mut();
    let at = octets.windows(6).position(|window| window == b"looked").unwrap();
    octets[at] ^= 1;
    let mut rig = rig.crashed();
    rig.serve();
    assert_eq!((rig.calls.len(), rig.calls[0].id), (1, whole));
    assert_ne!(rig.reply(broken)[0], "200");
    rig.answer(["there"]);
    assert_eq!(rig.reply(whole), ["200", "there"]);
}
