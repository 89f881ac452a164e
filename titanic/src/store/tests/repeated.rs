//! What is malformed, what is repeated, what is closed.

use super::*;

#[test]
fn what_makes_no_sense_is_400_and_changes_nothing() {
    let mut rig = Rig::new();
    let long = "x".repeat(256);
    let id = "0".repeat(32);
    for (verb, frames) in [
        (Verb::Request, vec![]),
        (Verb::Request, vec!["echo"]),
        (Verb::Request, vec!["", "body"]),
        (Verb::Request, vec![&long, "body"]),
        (Verb::Reply, vec![]),
        (Verb::Reply, vec!["../../../../etc/passwd0000000000"]),
        (Verb::Reply, vec![&id, "soon"]),
        (Verb::Reply, vec![&id, "-1"]),
        (Verb::Reply, vec![&id, "1", "2"]),
        (Verb::Reply, vec![&id]),
        (Verb::Close, vec![]),
        (Verb::Close, vec!["1"]),
        (Verb::Close, vec![&id, &id]),
        (Verb::Dead, vec![]),
        (Verb::Dead, vec!["list", "1"]),
        (Verb::Dead, vec!["read", &id]),
        (Verb::Dead, vec!["replay", &id]),
        (Verb::Dead, vec!["drop", &id]),
        (Verb::Dead, vec!["burn", &id]),
    ] {
        let body = frames.iter().map(|frame| (*frame).to_owned().into()).collect();
        let ticket = rig.ask_as(verb, None, body);
        assert!(rig.status(ticket)[0].starts_with("400 "), "{verb:?} {frames:?}");
    }
    assert!(rig.jobs.is_empty() && rig.store.log().entries().is_empty());
}

#[test]
fn a_submit_repeated_under_its_id_is_stored_and_executed_once() {
    let mut rig = Rig::new();
    let submit = |rig: &mut Rig| rig.ask_as(Verb::Request, Some(id(7)), ["echo", "hi"].into());
    let (first, second) = (submit(&mut rig), submit(&mut rig));
    assert!(rig.told.is_empty(), "the second one is no proof that the first is safe");
    rig.flush();
    rig.serve();
    assert_eq!(rig.status(first), ["200", &id(7).to_string()]);
    assert_eq!(rig.status(second), rig.status(first));
    assert_eq!(rig.calls.len(), 1);
    rig.answer(["done"]);
    let third = submit(&mut rig);
    assert_eq!((rig.status(third), rig.calls.len()), (rig.status(first), 0));
    assert_eq!(rig.told_at_once(Verb::Close, [&id(7).to_string()]), ["200"]);
    let mut rig = rig.crashed();
    let fourth = submit(&mut rig);
    rig.flush();
    rig.serve();
    assert_eq!((rig.status(fourth)[0].as_str(), rig.calls.len()), ("200", 0), "closed is not forgotten");
    assert_eq!(rig.reply(id(7)), ["400 closed"]);
    rig.pass(Duration::from_secs(24 * 60 * 60 - 1));
    submit(&mut rig);
    assert!(rig.looks.is_empty() && rig.jobs.is_empty());
    rig.pass(Duration::from_secs(2));
    submit(&mut rig);
    rig.flush();
    rig.serve();
    assert_eq!(rig.calls.len(), 1, "after a day it may begin another life");
}

#[test]
fn an_id_that_comes_with_another_request_is_400_and_the_first_goes_on() {
    let mut rig = Rig::new();
    rig.ask_as(Verb::Request, Some(id(7)), ["echo", "hi"].into());
    rig.flush();
    for other in [["echo", "ho"], ["other", "hi"]] {
        let ticket = rig.ask_as(Verb::Request, Some(id(7)), other.into());
        assert_eq!(rig.status(ticket), ["400 the id is another request's"]);
    }
    assert_eq!(rig.store.log().count(State::Open), 1);
}

#[test]
fn remembered_max_is_met_and_the_oldest_are_forgotten_first() {
    let mut rig = Rig::of(Config { remembered_max: 3, ..Config::default() });
    for number in 1..=5 {
        rig.ask_as(Verb::Request, Some(id(number)), ["echo", "hi"].into());
        rig.told_at_once(Verb::Close, [&id(number).to_string()]);
    }
    assert_eq!(rig.store.log().count(State::Closed), 3);
    assert_eq!([1, 2, 3].map(|number| rig.state(id(number))), [None, None, Some(State::Closed)]);
}

#[test]
fn an_id_of_our_own_is_not_remembered_and_an_unknown_one_can_be_closed() {
    let mut rig = Rig::new();
    let ours = rig.submit("echo", "hi");
    assert_eq!(rig.told_at_once(Verb::Close, [&ours.to_string()]), ["200"]);
    assert_eq!(rig.state(ours), None);
    assert_eq!(rig.reply(ours), ["400 unknown id"]);
    assert_eq!(rig.told_at_once(Verb::Close, [&ours.to_string().to_uppercase()]), ["200"]);
}

#[test]
fn closing_is_told_when_it_is_safe_ends_the_call_and_wakes_who_waits() {
    let mut rig = Rig::new();
    let id = rig.submit("echo", "hi");
    let waiting = rig.ask(Verb::Reply, [&id.to_string(), "30000"]);
    let closing = rig.ask(Verb::Close, [&id.to_string()]);
    assert!(!rig.told.contains_key(&closing));
    assert_eq!((rig.abandoned.len(), rig.calls.len()), (1, 0));
    let late = rig.abandoned[0];
    rig.handle(Input::Ended(late, Outcome::Answered(["late"].into())));
    rig.flush();
    assert_eq!((rig.status(closing), rig.status(waiting)), (vec!["200".to_owned()], vec!["400 unknown id".to_owned()]));
    assert_eq!(rig.crashed().reply(id), ["400 unknown id"]);
}

#[test]
fn a_wait_ends_with_its_time_or_with_who_waits() {
    let mut rig = Rig::of(Config { waiters_max: 2, wait_max: Duration::from_secs(60), ..Config::default() });
    let id = rig.submit("echo", "hi").to_string();
    let (short, long) = (rig.ask(Verb::Reply, [&id, "1000"]), rig.ask(Verb::Reply, [&id, "999999999"]));
    assert_eq!(rig.told_at_once(Verb::Reply, [&id, "1000"]), ["300 pending"], "waiters_max is met");
    rig.pass(Duration::from_secs(1));
    assert_eq!(rig.status(short), ["300 pending"]);
    rig.handle(Input::Withdrawn(short));
    let gone = rig.ask(Verb::Reply, [&id, "1000"]);
    rig.handle(Input::Withdrawn(gone));
    rig.pass(Duration::from_secs(58));
    assert!(!rig.told.contains_key(&long));
    rig.pass(Duration::from_secs(1));
    assert_eq!(rig.status(long), ["300 pending"], "wait_max is met");
    assert!(!rig.told.contains_key(&gone));
}

#[test]
fn a_second_close_is_told_no_sooner_than_the_first_one_is_safe() {
    let mut rig = Rig::new();
    let id = rig.submit("echo", "hi");
    let first = rig.ask(Verb::Close, [&id.to_string()]);
    let second = rig.ask(Verb::Close, [&id.to_string()]);
    assert!(!rig.told.contains_key(&first) && !rig.told.contains_key(&second), "a crash would bring it back");
    rig.flush();
    assert_eq!((rig.status(first), rig.status(second)), (vec!["200".to_owned()], vec!["200".to_owned()]));
    assert_eq!(rig.told_at_once(Verb::Close, [&id.to_string()]), ["200"]);
}
