//! Answers in parts whose client does not take them all: what is left of them must never look whole.

use super::*;
use crate::{ErrorReplies, RequestEnd};

const D: Dialect = Dialect::V02;

/// A client 9 that has been sent the first part of an answer by worker 1; the address of the job.
fn streaming(bench: &mut Bench, identity: &'static str) -> Bytes {
    bench.worker(1, D, "stream");
    bench.input(Input::Connected {
        peer: PeerId(9),
        identity: Bytes::from_static(identity.as_bytes()),
        rights: everything(),
    });
    let body = Frames::from(["x"]);
    bench.message(9, Request::new(D, Frames::new(), name("stream"), body).encode());
    let (address, _) = bench.job(1, D);
    bench.reply(1, D, &address, Part::Partial, "p1");
    assert_eq!(bench.texts(9, D), ["p1"]);
    address
}

fn broken(bench: &mut Bench) -> usize {
    let is_broken = |event: &Event| matches!(event, Event::RequestFailed { end: RequestEnd::StreamBroken, .. });
    bench.events().iter().filter(|event| is_broken(event)).count()
}

#[test]
fn a_client_that_missed_a_part_is_not_sent_the_rest_as_if_it_were_whole() {
    for last in [Part::Partial, Part::Final] {
        let mut bench = Bench::new(Config::default());
        let address = streaming(&mut bench, "");
        bench.reply(1, D, &address, Part::Partial, "p2");
        bench.texts(9, D);
        bench.input(Input::Refused { peer: PeerId(9) });
        bench.reply(1, D, &address, last, "p3");
        bench.reply(1, D, &address, Part::Final, "p4");
        assert_eq!(bench.texts(9, D), [""; 0]);
        assert_eq!(broken(&mut bench), 1);
        assert_eq!(bench.broker.counters().failed, 1);
        assert_eq!(bench.closed, []);
    }
}

#[test]
fn a_client_that_missed_a_part_is_told_where_it_can_be() {
    let mut bench = Bench::new(Config { error_replies: ErrorReplies::StatusFrame, ..Config::default() });
    let address = streaming(&mut bench, "");
    bench.input(Input::Refused { peer: PeerId(9) });
    bench.reply(1, D, &address, Part::Partial, "p2");
    assert_eq!(bench.texts(9, D), ["502 the answer broke off in the middle"]);
}

#[test]
fn what_a_client_missed_earlier_does_not_break_a_later_answer() {
    let mut bench = Bench::new(Config::default());
    bench.input(Input::Connected { peer: PeerId(9), identity: Bytes::new(), rights: everything() });
    bench.input(Input::Refused { peer: PeerId(9) });
    let address = streaming(&mut bench, "");
    bench.reply(1, D, &address, Part::Final, "p2");
    assert_eq!(bench.texts(9, D), ["p2"]);
}

#[test]
fn a_stream_does_not_go_on_where_its_client_has_come_back() {
    let mut bench = Bench::new(Config::default());
    let address = streaming(&mut bench, "alice");
    bench.disconnect(9);
    bench.input(Input::Connected { peer: PeerId(10), identity: Bytes::from_static(b"alice"), rights: everything() });
    bench.reply(1, D, &address, Part::Partial, "p2");
    bench.reply(1, D, &address, Part::Final, "p3");
    assert_eq!(bench.texts(10, D), [""; 0]);
    assert_eq!(broken(&mut bench), 1);
}
