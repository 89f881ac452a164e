//! READY, DISCONNECT and everything that is out of place (RFC 7, "Opening and closing a connection").

use super::*;
use crate::Departure;

const W: Dialect = Dialect::V01;

#[test]
fn ready_registers_and_is_not_answered() {
    let mut bench = Bench::new(Config::default());
    bench.worker(1, W, "echo");
    assert_eq!(bench.sent_to(1), Vec::<Frames>::new());
    assert_eq!(bench.broker.workers(), 1);
    assert_eq!(bench.events(), [Event::WorkerReady { peer: PeerId(1), service: name("echo") }]);
}

#[test]
fn second_ready_is_told_disconnect_and_forgets_the_worker() {
    let mut bench = Bench::new(Config::default());
    bench.worker(1, W, "echo");
    bench.say(1, W, FromWorker::Ready { service: name("echo"), credit: 1 });
    assert!(bench.is_told_disconnect(1, W));
    assert_eq!(bench.broker.workers(), 0);
}

#[test]
fn ready_for_a_management_name_is_told_disconnect() {
    let mut bench = Bench::new(Config::default());
    bench.worker(1, W, "mmi.service");
    assert!(bench.is_told_disconnect(1, W));
    assert_eq!(bench.broker.workers(), 0);
}

#[test]
fn heartbeat_or_reply_of_an_unknown_worker_is_told_disconnect() {
    for dialect in [Dialect::V01, Dialect::V02, Dialect::V02Delimited] {
        let mut bench = Bench::new(Config::default());
        bench.connect(1);
        bench.say(1, dialect, FromWorker::Heartbeat);
        assert!(bench.is_told_disconnect(1, dialect), "heartbeat, {dialect:?}");
        bench.reply(1, dialect, &Bytes::from_static(b"x"), Part::Final, "late");
        assert!(bench.is_told_disconnect(1, dialect), "reply, {dialect:?}");
    }
}

#[test]
fn disconnect_of_an_unknown_worker_is_ignored() {
    let mut bench = Bench::new(Config::default());
    bench.connect(1);
    bench.say(1, W, FromWorker::Disconnect);
    assert_eq!(bench.sent_to(1), Vec::<Frames>::new());
}

#[test]
fn nothing_is_sent_to_a_worker_after_its_disconnect() {
    let mut bench = Bench::new(Config::default());
    bench.worker(1, W, "echo");
    bench.say(1, W, FromWorker::Disconnect);
    bench.request(9, W, "echo", "x");
    bench.pass(seconds(30));
    assert_eq!(bench.sent_to(1), Vec::<Frames>::new());
}

#[test]
fn nothing_is_sent_to_a_worker_after_it_was_told_disconnect() {
    let mut bench = Bench::new(Config::default());
    bench.worker(1, W, "echo");
    bench.say(1, W, FromWorker::Ready { service: name("echo"), credit: 1 });
    assert_eq!(bench.worker_commands(1, W), [ToWorker::Disconnect]);
    bench.request(9, W, "echo", "x");
    bench.pass(seconds(30));
    assert_eq!(bench.sent_to(1), Vec::<Frames>::new());
}

#[test]
fn reply_of_an_idle_worker_is_told_disconnect() {
    let mut bench = Bench::new(Config::default());
    bench.worker(1, W, "echo");
    bench.reply(1, W, &Bytes::from_static(b"\0\0\0\0\0\0\0\x01"), Part::Final, "unasked");
    assert!(bench.is_told_disconnect(1, W));
}

#[test]
fn reply_with_another_address_is_told_disconnect_and_reaches_nobody() {
    let mut bench = Bench::new(Config::default());
    bench.worker(1, W, "echo");
    bench.request(9, W, "echo", "x");
    let (address, _) = bench.job(1, W);
    let mut wrong = address.to_vec();
    wrong[7] ^= 1;
    bench.reply(1, W, &wrong.into(), Part::Final, "misdirected");
    assert!(bench.is_told_disconnect(1, W));
    assert_eq!(bench.sent_to(9), Vec::<Frames>::new());
    assert_eq!(bench.broker.queued_requests(), 1, "the request waits for another worker");
}

#[test]
fn a_second_reply_to_one_request_never_reaches_the_client() {
    let mut bench = Bench::new(Config::default());
    bench.worker(1, W, "echo");
    bench.request(9, W, "echo", "x");
    let (address, _) = bench.job(1, W);
    bench.reply(1, W, &address, Part::Final, "first");
    bench.reply(1, W, &address, Part::Final, "second");
    assert_eq!(bench.texts(9, W), ["first"]);
    assert!(bench.is_told_disconnect(1, W));
}

#[test]
fn malformed_message_of_a_client_is_counted_and_costs_nothing_else() {
    let mut bench = Bench::new(Config::default());
    bench.worker(1, W, "echo");
    bench.connect(9);
    bench.message(9, Frames::from(["", "MDPC01", "echo"]));
    bench.message(9, Frames::from(["nonsense"]));
    assert_eq!(bench.broker.counters().faults, 2);
    bench.request(9, W, "echo", "x");
    assert_eq!(bench.job(1, W).1, "x");
}

#[test]
fn malformed_message_of_a_worker_ends_its_registration_and_requeues_its_job() {
    let mut bench = Bench::new(Config::default());
    bench.worker(1, W, "echo");
    bench.request(9, W, "echo", "x");
    bench.message(1, Frames::from(["", "MDPW01", "\x09"]));
    assert!(bench.is_told_disconnect(1, W));
    bench.worker(2, W, "echo");
    assert_eq!(bench.job(2, W).1, "x");
}

#[test]
fn a_worker_that_closes_its_connection_is_gone_at_once() {
    let mut bench = Bench::new(Config::default());
    bench.worker(1, W, "echo");
    bench.disconnect(1);
    assert_eq!(bench.broker.workers(), 0);
    let left =
        Event::WorkerLeft { peer: PeerId(1), service: name("echo"), departure: Departure::Closed, unanswered: 0 };
    assert!(bench.events().contains(&left));
}

#[test]
fn shutdown_tells_every_worker_disconnect_and_finishes() {
    let mut bench = Bench::new(Config::default());
    bench.worker(1, Dialect::V01, "a");
    bench.worker(2, Dialect::V02, "b");
    bench.input(Input::Shutdown);
    assert!(bench.is_told_disconnect(1, Dialect::V01) && bench.is_told_disconnect(2, Dialect::V02));
    assert!(bench.finished);
}
