//! Every pairing of client and worker dialects on one broker (RFC 7 and 18; docs/PROTOCOLS.md has the table).

use super::*;
use crate::RequestEnd;

const CLIENTS: [Dialect; 4] = [Dialect::V01, Dialect::V02, Dialect::V02Delimited, Dialect::V02Majortomo];
const WORKERS: [Dialect; 3] = [Dialect::V01, Dialect::V02, Dialect::V02Delimited];

#[test]
fn every_client_dialect_is_served_by_every_worker_dialect() {
    for client in CLIENTS {
        for worker in WORKERS {
            let mut bench = Bench::new(Config::default());
            bench.worker(1, worker, "echo");
            bench.request(9, client, "echo", "question");
            let (address, body) = bench.job(1, worker);
            assert_eq!(body, "question");
            bench.reply(1, worker, &address, Part::Final, "answer");
            let replies = bench.replies(9, client);
            assert_eq!(replies.len(), 1, "{client:?} and {worker:?}");
            assert_eq!((replies[0].part, text(&replies[0].body)), (Part::Final, "answer".to_owned()));
        }
    }
}

#[test]
fn partials_reach_a_02_client_as_they_come() {
    for client in &CLIENTS[1..] {
        let mut bench = Bench::new(Config::default());
        bench.worker(1, Dialect::V02, "stream");
        bench.request(9, *client, "stream", "x");
        let (address, _) = bench.job(1, Dialect::V02);
        for body in ["p1", "p2"] {
            bench.reply(1, Dialect::V02, &address, Part::Partial, body);
        }
        assert_eq!(bench.texts(9, *client), ["p1", "p2"]);
        bench.reply(1, Dialect::V02, &address, Part::Final, "end");
        let replies = bench.replies(9, *client);
        assert_eq!((replies[0].part, text(&replies[0].body)), (Part::Final, "end".to_owned()));
    }
}

#[test]
fn partials_for_a_01_client_are_joined_into_its_one_reply() {
    let mut bench = Bench::new(Config::default());
    bench.worker(1, Dialect::V02, "stream");
    bench.request(9, Dialect::V01, "stream", "x");
    let (address, _) = bench.job(1, Dialect::V02);
    for body in ["p1", "p2"] {
        bench.reply(1, Dialect::V02, &address, Part::Partial, body);
    }
    assert_eq!(bench.sent_to(9), Vec::<Frames>::new());
    bench.reply(1, Dialect::V02, &address, Part::Final, "end");
    assert_eq!(bench.texts(9, Dialect::V01), ["p1|p2|end"]);
}

#[test]
fn partials_joined_for_a_01_client_start_anew_with_another_worker() {
    let mut bench = Bench::new(Config::default());
    bench.worker(1, Dialect::V02, "stream");
    bench.request(9, Dialect::V01, "stream", "x");
    let (address, _) = bench.job(1, Dialect::V02);
    bench.reply(1, Dialect::V02, &address, Part::Partial, "of the first");
    bench.disconnect(1);
    bench.worker(2, Dialect::V02, "stream");
    let (address, _) = bench.job(2, Dialect::V02);
    bench.reply(2, Dialect::V02, &address, Part::Final, "of the second");
    assert_eq!(bench.texts(9, Dialect::V01), ["of the second"]);
}

#[test]
fn nothing_is_passed_on_after_the_final() {
    let mut bench = Bench::new(Config::default());
    bench.worker(1, Dialect::V02, "stream");
    bench.request(9, Dialect::V02, "stream", "x");
    let (address, _) = bench.job(1, Dialect::V02);
    bench.reply(1, Dialect::V02, &address, Part::Final, "end");
    bench.reply(1, Dialect::V02, &address, Part::Partial, "more");
    assert_eq!(bench.texts(9, Dialect::V02), ["end"]);
    assert!(bench.is_told_disconnect(1, Dialect::V02));
}

#[test]
fn gathered_bytes_max_is_met_and_ends_the_request_but_not_the_worker() {
    let mut config = Config::default();
    config.limits.gathered_bytes_max = 10;
    let mut bench = Bench::new(config);
    bench.worker(1, Dialect::V02, "stream");
    bench.request(9, Dialect::V01, "stream", "x");
    let (address, _) = bench.job(1, Dialect::V02);
    bench.reply(1, Dialect::V02, &address, Part::Partial, "0123456789");
    assert!(bench.events().iter().all(|event| !matches!(event, Event::RequestFailed { .. })));
    bench.reply(1, Dialect::V02, &address, Part::Partial, "x");
    let failed = Event::RequestFailed { client: PeerId(9), service: name("stream"), end: RequestEnd::ReplyTooLarge };
    assert!(bench.events().contains(&failed));
    bench.reply(1, Dialect::V02, &address, Part::Final, "end");
    assert_eq!(bench.sent_to(9), Vec::<Frames>::new());
    bench.request(9, Dialect::V01, "stream", "next");
    assert_eq!(bench.job(1, Dialect::V02).1, "next");
}

#[test]
fn the_envelope_of_a_correlating_req_comes_back_with_its_reply() {
    let mut bench = Bench::new(Config::default());
    bench.worker(1, Dialect::V01, "echo");
    bench.connect(9);
    let envelope = Frames::from(["\x01\x02\x03\x04"]);
    let request = Request::new(Dialect::V01, envelope.clone(), name("echo"), Frames::from(["x"]));
    bench.message(9, request.encode());
    let (address, _) = bench.job(1, Dialect::V01);
    bench.reply(1, Dialect::V01, &address, Part::Final, "y");
    assert_eq!(bench.replies(9, Dialect::V01)[0].envelope, envelope);
}

#[test]
fn one_connection_may_be_client_and_worker_at_once() {
    let mut bench = Bench::new(Config::default());
    bench.worker(1, Dialect::V02, "self");
    bench.message(1, Request::new(Dialect::V02, Frames::new(), name("self"), Frames::from(["x"])).encode());
    let (address, _) = bench.job(1, Dialect::V02);
    bench.reply(1, Dialect::V02, &address, Part::Final, "y");
    assert_eq!(bench.texts(1, Dialect::V02), ["y"]);
}
