//! Which request goes to which worker, and what becomes of it when that worker leaves.

use super::*;
use crate::RequestEnd;

const W: Dialect = Dialect::V01;

#[test]
fn the_worker_that_waited_longest_is_given_the_request() {
    let mut bench = Bench::new(Config::default());
    for peer in [1, 2, 3] {
        bench.worker(peer, W, "echo");
    }
    let mut order = Vec::new();
    for turn in 0..6 {
        bench.request(9, W, "echo", "x");
        for peer in [1, 2, 3] {
            for (address, _) in bench.jobs(peer, W) {
                order.push(peer);
                bench.reply(peer, W, &address, Part::Final, "y");
            }
        }
        assert_eq!(bench.texts(9, W).len(), 1, "turn {turn}");
    }
    assert_eq!(order, [1, 2, 3, 1, 2, 3]);
}

#[test]
fn a_worker_that_was_called_in_vain_keeps_its_place() {
    let mut bench = Bench::with_policy(|policy| policy.queue_wait = seconds(1));
    bench.worker(1, W, "echo");
    bench.request(9, W, "echo", "late");
    bench.worker(2, W, "echo");
    bench.worker(3, W, "echo");
    bench.pass(seconds(2));
    bench.disconnect(1);
    assert!(bench.jobs(2, W).is_empty(), "the request that came back has waited too long");
    bench.request(9, W, "echo", "in time");
    assert_eq!((bench.jobs(2, W).len(), bench.jobs(3, W).len()), (1, 0));
}

#[test]
fn a_worker_has_one_request_at_a_time_and_the_next_after_its_reply() {
    let mut bench = Bench::new(Config::default());
    bench.worker(1, W, "echo");
    for body in ["a", "b", "c"] {
        bench.request(9, W, "echo", body);
    }
    for body in ["a", "b", "c"] {
        let (address, text) = bench.job(1, W);
        assert_eq!(text, body);
        bench.reply(1, W, &address, Part::Final, body);
    }
    assert_eq!(bench.texts(9, W), ["a", "b", "c"]);
}

#[test]
fn a_request_for_a_service_without_workers_waits_for_one() {
    let mut bench = Bench::new(Config::default());
    bench.request(9, W, "echo", "early");
    bench.pass(seconds(59));
    bench.worker(1, W, "echo");
    assert_eq!(bench.job(1, W).1, "early");
}

#[test]
fn worker_closing_while_busy_requeues_its_job_to_the_front() {
    let mut bench = Bench::new(Config::default());
    bench.worker(1, W, "echo");
    for body in ["first", "second"] {
        bench.request(9, W, "echo", body);
    }
    assert_eq!(bench.job(1, W).1, "first");
    bench.disconnect(1);
    bench.worker(2, W, "echo");
    let (address, text) = bench.job(2, W);
    assert_eq!(text, "first");
    bench.reply(2, W, &address, Part::Final, "done");
    assert_eq!(bench.texts(9, W), ["done"]);
    assert_eq!(bench.job(2, W).1, "second");
}

#[test]
fn worker_saying_disconnect_while_busy_requeues_its_job() {
    let mut bench = Bench::new(Config::default());
    bench.worker(1, W, "echo");
    bench.request(9, W, "echo", "x");
    bench.say(1, W, FromWorker::Disconnect);
    bench.worker(2, W, "echo");
    assert_eq!(bench.job(2, W).1, "x");
}

#[test]
fn the_reply_of_a_worker_that_was_given_up_reaches_nobody() {
    let mut bench = Bench::with_policy(|policy| policy.busy_timeout = seconds(5));
    bench.worker(1, W, "echo");
    bench.request(9, W, "echo", "x");
    let (late, _) = bench.job(1, W);
    bench.pass(seconds(6));
    bench.worker(2, W, "echo");
    let (address, _) = bench.job(2, W);
    bench.reply(1, W, &late, Part::Final, "late");
    bench.reply(2, W, &address, Part::Final, "good");
    assert_eq!(bench.texts(9, W), ["good"]);
}

#[test]
fn a_request_is_given_up_after_its_attempts() {
    let mut bench = Bench::with_policy(|policy| policy.attempts_max = 2);
    bench.request(9, W, "echo", "poison");
    for peer in [1, 2] {
        bench.worker(peer, W, "echo");
        assert_eq!(bench.job(peer, W).1, "poison");
        bench.disconnect(peer);
    }
    bench.worker(3, W, "echo");
    assert_eq!(bench.jobs(3, W), []);
    let failed = Event::RequestFailed { client: PeerId(9), service: name("echo"), end: RequestEnd::AttemptsExhausted };
    assert!(bench.events().contains(&failed));
}

#[test]
fn a_worker_that_does_not_take_its_request_loses_it_to_another() {
    let mut bench = Bench::new(Config::default());
    bench.worker(1, W, "echo");
    bench.request(9, W, "echo", "x");
    bench.input(Input::Refused { peer: PeerId(1) });
    assert_eq!(bench.closed, [PeerId(1)]);
    bench.worker(2, W, "echo");
    assert_eq!(bench.job(2, W).1, "x");
}

#[test]
fn a_client_that_does_not_take_its_reply_loses_only_that() {
    let mut bench = Bench::new(Config::default());
    bench.worker(1, W, "echo");
    bench.request(9, W, "echo", "x");
    bench.input(Input::Refused { peer: PeerId(9) });
    assert_eq!(bench.broker.counters().undeliverable, 1);
    assert_eq!(bench.closed, []);
}

#[test]
fn the_reply_to_a_client_that_has_gone_is_dropped_and_counted() {
    let mut bench = Bench::new(Config::default());
    bench.worker(1, W, "echo");
    bench.request(9, W, "echo", "x");
    bench.disconnect(9);
    let (address, _) = bench.job(1, W);
    bench.reply(1, W, &address, Part::Final, "y");
    assert_eq!(bench.sent_to(9), Vec::<Frames>::new());
    assert_eq!(bench.broker.counters().undeliverable, 1);
}

#[test]
fn a_client_that_comes_back_under_its_identity_is_answered_there() {
    let mut bench = Bench::new(Config::default());
    bench.worker(1, W, "echo");
    let identity = Bytes::from_static(b"alice");
    bench.input(Input::Connected { peer: PeerId(9), identity: identity.clone(), rights: everything() });
    bench.message(9, Request::new(W, Frames::new(), name("echo"), Frames::from(["x"])).encode());
    bench.input(Input::Connected { peer: PeerId(10), identity, rights: everything() });
    bench.disconnect(9);
    let (address, _) = bench.job(1, W);
    bench.reply(1, W, &address, Part::Final, "y");
    assert_eq!(bench.texts(10, W), ["y"]);
}

#[test]
fn the_queue_of_a_client_that_has_gone_is_run_or_dropped_as_the_policy_says() {
    for (run_abandoned, expected) in [(true, 1), (false, 0)] {
        let mut bench = Bench::with_policy(|policy| policy.run_abandoned = run_abandoned);
        bench.request(9, W, "echo", "x");
        bench.disconnect(9);
        bench.worker(1, W, "echo");
        assert_eq!(bench.jobs(1, W).len(), expected);
        bench.request(8, W, "echo", "y");
        assert_eq!(bench.jobs(1, W).len(), 1 - expected, "an unused worker keeps its place");
    }
}

#[test]
fn services_do_not_wait_for_each_other() {
    let mut bench = Bench::new(Config::default());
    bench.worker(1, W, "slow");
    bench.worker(2, W, "fast");
    for _ in 0..3 {
        bench.request(9, W, "slow", "x");
    }
    bench.request(9, W, "fast", "y");
    assert_eq!(bench.job(2, W).1, "y");
}
