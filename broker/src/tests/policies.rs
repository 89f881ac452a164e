//! What happens to a request that no worker takes: queue with a deadline, or refuse; and what its client is told.

use super::*;
use crate::{ErrorReplies, NoWorker, RequestEnd};

const W: Dialect = Dialect::V01;

#[test]
fn a_queued_request_expires_after_its_wait_and_not_before() {
    let mut bench = Bench::new(Config::default());
    bench.request(9, W, "echo", "x");
    bench.pass(Duration::from_millis(59_999));
    assert_eq!(bench.broker.queued_requests(), 1);
    bench.pass(Duration::from_millis(1));
    assert_eq!(bench.broker.queued_requests(), 0);
    let failed = Event::RequestFailed { client: PeerId(9), service: name("echo"), end: RequestEnd::WaitedTooLong };
    assert!(bench.events().contains(&failed));
}

#[test]
fn by_default_a_client_without_error_replies_hears_nothing_of_an_expiry() {
    let mut bench = Bench::new(Config::default());
    bench.request(9, W, "echo", "x");
    bench.pass(seconds(61));
    assert_eq!(bench.sent_to(9), Vec::<Frames>::new());
}

#[test]
fn an_operator_may_choose_a_status_frame_instead_of_silence() {
    let mut bench = Bench::new(Config { error_replies: ErrorReplies::StatusFrame, ..Config::default() });
    bench.request(9, W, "echo", "x");
    bench.pass(seconds(61));
    assert_eq!(bench.texts(9, W), ["408 no worker became free in time"]);
}

#[test]
fn refuse_answers_at_once_when_no_worker_is_registered() {
    let mut bench = Bench::with_policy(|policy| policy.no_worker = NoWorker::Refuse);
    bench.request(9, W, "echo", "x");
    assert_eq!(bench.texts(9, W), ["503 no worker offers the service"]);
    bench.request(9, Dialect::V02, "echo", "x");
    assert_eq!(bench.texts(9, Dialect::V02), ["503 no worker offers the service"]);
}

#[test]
fn refuse_still_queues_for_a_busy_worker() {
    let mut bench = Bench::with_policy(|policy| policy.no_worker = NoWorker::Refuse);
    bench.worker(1, W, "echo");
    bench.request(9, W, "echo", "a");
    bench.request(9, W, "echo", "b");
    let (address, _) = bench.job(1, W);
    bench.reply(1, W, &address, Part::Final, "a");
    assert_eq!(bench.job(1, W).1, "b");
}

#[test]
fn policies_are_each_services_own() {
    let mut config = Config::default();
    config.services.insert(name("now"), Policy { no_worker: NoWorker::Refuse, ..Policy::default() });
    let mut bench = Bench::new(config);
    bench.request(9, W, "now", "x");
    bench.request(9, W, "later", "x");
    assert_eq!(bench.texts(9, W).len(), 1);
    assert_eq!(bench.broker.queued_requests(), 1);
}

#[test]
fn a_requeued_request_keeps_its_deadline() {
    let mut bench = Bench::new(Config::default());
    bench.worker(1, W, "echo");
    bench.request(9, W, "echo", "x");
    bench.pass(seconds(20));
    bench.disconnect(1);
    bench.pass(seconds(39));
    assert_eq!(bench.broker.queued_requests(), 1);
    bench.pass(seconds(1));
    assert_eq!(bench.broker.queued_requests(), 0);
}

#[test]
fn a_stream_broken_by_its_worker_is_ended_and_never_begun_again_by_another() {
    let mut bench = Bench::new(Config { error_replies: ErrorReplies::StatusFrame, ..Config::default() });
    bench.worker(1, Dialect::V02, "stream");
    bench.worker(2, Dialect::V02, "stream");
    bench.request(9, Dialect::V02, "stream", "x");
    let (address, _) = bench.job(1, Dialect::V02);
    bench.reply(1, Dialect::V02, &address, Part::Partial, "p1");
    bench.disconnect(1);
    assert_eq!(bench.jobs(2, Dialect::V02), []);
    let replies = bench.replies(9, Dialect::V02);
    assert_eq!(replies.len(), 2);
    assert_eq!(replies[1].part, Part::Final);
    assert_eq!(text(&replies[1].body), "502 the answer broke off in the middle");
}
