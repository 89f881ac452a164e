//! What a peer may do: refused without a right, cut off when it is withdrawn, and nothing leaks meanwhile.

use protocol::rights::{ServicePattern, ServicePatterns};

use super::*;
use crate::RequestEnd;

const W: Dialect = Dialect::V01;

fn patterns(texts: &[&str]) -> ServicePatterns {
    texts.iter().map(|text| text.parse::<ServicePattern>().unwrap()).collect()
}

fn rights(call: &[&str], offer: &[&str]) -> Rights {
    let (call, offer) = (patterns(call), patterns(offer));
    let credential = Some(Arc::from("key of alice"));
    Rights { name: "alice".into(), credential, call, offer, mmi: false, admin: false, ..Rights::everything() }
}

/// The request of a peer that is connected already.
fn ask(bench: &mut Bench, peer: u64, dialect: Dialect, service: &str, body: &[&str]) {
    let body = body.iter().map(|frame| Bytes::copy_from_slice(frame.as_bytes())).collect();
    bench.message(peer, Request::new(dialect, Frames::new(), name(service), body).encode());
}

fn ready(bench: &mut Bench, peer: u64, service: &str) {
    bench.say(peer, W, FromWorker::Ready { service: name(service), credit: 1 });
}

#[test]
fn a_service_that_the_client_may_not_call_is_refused_and_counted_and_its_name_is_told() {
    let mut bench = Bench::new(Config::default());
    bench.worker(1, W, "MM");
    bench.connect_with(9, rights(&["echo"], &[]));
    bench.events();
    for dialect in [Dialect::V01, Dialect::V02, Dialect::V02Delimited, Dialect::V02Majortomo] {
        ask(&mut bench, 9, dialect, "MM", &["x"]);
        assert_eq!(bench.texts(9, dialect), ["403 not allowed"]);
    }
    assert_eq!(bench.jobs(1, W), []);
    let counters = bench.broker.counters();
    assert_eq!((counters.forbidden, counters.failed, counters.requests), (4, 4, 4));
    let end = RequestEnd::Forbidden;
    let denied = Event::RequestDenied { client: PeerId(9), name: "alice".into(), service: name("MM"), end };
    assert_eq!(bench.events(), vec![denied; 4]);
}

#[test]
fn a_refusal_is_the_same_whether_the_service_is_there_or_not() {
    let mut bench = Bench::with_policy(|policy| policy.no_worker = crate::NoWorker::Refuse);
    bench.worker(1, W, "there");
    bench.connect_with(9, rights(&["echo"], &[]));
    for service in ["there", "nowhere"] {
        ask(&mut bench, 9, W, service, &["x"]);
        assert_eq!(bench.texts(9, W), ["403 not allowed"], "{service}");
    }
    assert_eq!(bench.broker.services(), 1, "what is refused makes no service known");
}

#[test]
fn patterns_let_through_what_they_cover() {
    let mut bench = Bench::new(Config::default());
    bench.worker(1, W, "titanic.request");
    bench.connect_with(9, rights(&["titanic.*"], &[]));
    ask(&mut bench, 9, W, "titanic.request", &["x"]);
    assert_eq!(bench.job(1, W).1, "x");
    ask(&mut bench, 9, W, "titanic", &["x"]);
    assert_eq!(bench.texts(9, W), ["403 not allowed"]);
}

#[test]
fn a_service_that_may_not_be_offered_is_told_disconnect() {
    let mut bench = Bench::new(Config::default());
    bench.connect_with(1, rights(&[], &["echo"]));
    ready(&mut bench, 1, "MM");
    assert!(bench.is_told_disconnect(1, W));
    assert_eq!((bench.broker.workers(), bench.broker.services()), (0, 0));
    assert_eq!(bench.broker.counters().forbidden, 1);
    let denied = Event::OfferDenied { peer: PeerId(1), name: "alice".into(), service: name("MM") };
    assert_eq!(bench.events(), [denied]);
    ready(&mut bench, 1, "echo");
    assert_eq!(bench.broker.workers(), 1, "what it may offer it may offer still");
}

#[test]
fn the_management_interface_needs_its_right_and_says_nothing_without() {
    for (mmi, admin, service, expected) in [
        (false, false, "mmi.service", "403 not allowed"),
        (false, false, "mmi.services", "403 not allowed"),
        (false, false, "mmi.nonesuch", "403 not allowed"),
        (true, false, "mmi.service", "200"),
        (true, false, "mmi.nonesuch", "501"),
        (true, false, "mmi.filter", "403 not allowed"),
        (false, true, "mmi.filter", "400 mmi.filter: the operation is enable or disable"),
    ] {
        let mut bench = Bench::new(Config::default());
        bench.worker(1, W, "echo");
        bench.connect_with(9, Rights { mmi, admin, ..rights(&["*"], &[]) });
        let body: &[&str] = if service == "mmi.filter" { &["x", "echo", "y"] } else { &["echo"] };
        ask(&mut bench, 9, W, service, body);
        assert_eq!(bench.texts(9, W), [expected], "{service} with mmi {mmi} admin {admin}");
    }
}

#[test]
fn changed_rights_hold_at_once_and_the_connection_stays() {
    let mut bench = Bench::new(Config::default());
    bench.worker(1, W, "echo");
    bench.connect_with(9, rights(&["echo"], &[]));
    ask(&mut bench, 9, W, "echo", &["a"]);
    bench.change_rights(9, Some(rights(&["other"], &[])));
    let (address, _) = bench.job(1, W);
    bench.reply(1, W, &address, Part::Final, "a");
    assert_eq!(bench.texts(9, W), ["a"], "what was admitted goes on");
    ask(&mut bench, 9, W, "echo", &["b"]);
    assert_eq!(bench.texts(9, W), ["403 not allowed"]);
    bench.change_rights(9, Some(rights(&["echo"], &[])));
    ask(&mut bench, 9, W, "echo", &["c"]);
    assert_eq!(bench.job(1, W).1, "c");
    assert_eq!(bench.closed(), []);
}

#[test]
fn a_worker_whose_service_may_not_be_offered_any_more_is_told_disconnect_and_its_job_goes_to_another() {
    let mut bench = Bench::new(Config::default());
    bench.connect_with(1, rights(&[], &["echo", "other"]));
    ready(&mut bench, 1, "echo");
    bench.request(9, W, "echo", "x");
    assert_eq!(bench.job(1, W).1, "x");
    bench.change_rights(1, Some(rights(&[], &["other"])));
    assert!(bench.is_told_disconnect(1, W));
    assert_eq!(bench.closed(), [], "it is welcome with what it may offer");
    bench.worker(2, W, "echo");
    assert_eq!(bench.job(2, W).1, "x");
    ready(&mut bench, 1, "other");
    assert_eq!(bench.broker.workers(), 2);
}

#[test]
fn a_worker_that_may_still_offer_its_service_keeps_its_place_when_rights_change() {
    let mut bench = Bench::new(Config::default());
    bench.connect_with(1, rights(&[], &["echo"]));
    ready(&mut bench, 1, "echo");
    bench.change_rights(1, Some(rights(&["x"], &["e*"])));
    assert_eq!(bench.sent_to(1), Vec::<Frames>::new());
    bench.request(9, W, "echo", "x");
    assert_eq!(bench.job(1, W).1, "x");
}

#[test]
fn a_worker_that_is_cut_off_is_closed_and_its_job_goes_to_another() {
    let mut bench = Bench::new(Config::default());
    bench.connect_with(1, rights(&[], &["echo"]));
    ready(&mut bench, 1, "echo");
    bench.request(9, W, "echo", "x");
    bench.worker(2, W, "echo");
    let (address, _) = bench.job(1, W);
    bench.events();
    bench.change_rights(1, None);
    assert!(bench.is_told_disconnect(1, W));
    assert_eq!(bench.closed(), [PeerId(1)]);
    assert_eq!(bench.job(2, W).1, "x");
    assert_eq!(bench.broker.counters().cut_off, 1);
    assert!(bench.events().contains(&Event::CutOff { peer: PeerId(1), name: "alice".into() }));
    bench.reply(1, W, &address, Part::Final, "forged");
    ready(&mut bench, 1, "echo");
    assert_eq!(bench.broker.workers(), 1, "nothing that it says later counts");
    assert_eq!(bench.texts(9, W), Vec::<String>::new());
    bench.disconnect(1);
    assert_eq!((bench.broker.workers(), bench.broker.peers()), (1, 2));
}

#[test]
fn a_client_that_is_cut_off_is_treated_as_one_that_left() {
    for run_abandoned in [true, false] {
        let mut bench = Bench::with_policy(|policy| policy.run_abandoned = run_abandoned);
        bench.connect_with(9, rights(&["echo"], &[]));
        ask(&mut bench, 9, W, "echo", &["before"]);
        bench.change_rights(9, None);
        assert_eq!(bench.closed(), [PeerId(9)]);
        ask(&mut bench, 9, W, "echo", &["after"]);
        assert_eq!(bench.broker.queued_requests(), 1, "what it says after is not heard");
        bench.worker(1, W, "echo");
        let expected: &[&str] = if run_abandoned { &["before"] } else { &[] };
        let jobs = bench.jobs(1, W);
        assert_eq!(jobs.iter().map(|(_, body)| body.as_str()).collect::<Vec<_>>(), expected);
        for (address, _) in jobs {
            bench.reply(1, W, &address, Part::Final, "answer");
        }
        assert_eq!(bench.sent_to(9), Vec::<Frames>::new());
    }
}

#[test]
fn rights_of_a_connection_that_is_gone_change_nothing() {
    let mut bench = Bench::new(Config::default());
    bench.change_rights(9, Some(rights(&["*"], &["*"])));
    bench.change_rights(9, None);
    assert_eq!((bench.broker.peers(), bench.closed()), (0, vec![]));
    assert_eq!(bench.events(), []);
}
