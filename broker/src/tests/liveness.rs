//! Heartbeats, expiry, and the difference between a slow worker and a dead one (RFC 7, "Heartbeating").

use super::*;
use crate::Departure;

const W: Dialect = Dialect::V01;

fn departure(events: &[Event]) -> Option<Departure> {
    events.iter().find_map(|event| match event {
        Event::WorkerLeft { departure, .. } => Some(*departure),
        _ => None,
    })
}

#[test]
fn an_idle_worker_is_sent_a_heartbeat_each_interval() {
    let mut bench = Bench::new(Config::default());
    bench.worker(1, W, "echo");
    for _ in 0..8 {
        bench.pass(Duration::from_millis(1250));
        bench.heartbeat(1);
    }
    assert_eq!(bench.worker_commands(1, W), vec![ToWorker::Heartbeat; 4]);
}

#[test]
fn a_request_counts_as_a_heartbeat() {
    let mut bench = Bench::new(Config::default());
    bench.worker(1, W, "echo");
    bench.pass(seconds(2));
    bench.request(9, W, "echo", "x");
    let (address, _) = bench.job(1, W);
    bench.reply(1, W, &address, Part::Final, "y");
    bench.pass(seconds(2));
    assert_eq!(bench.worker_commands(1, W), [], "4 s after READY, 2 s after the request");
    bench.pass(seconds(1));
    assert_eq!(bench.worker_commands(1, W), [ToWorker::Heartbeat]);
}

#[test]
fn a_silent_idle_worker_expires_after_liveness_intervals_and_not_before() {
    let mut bench = Bench::new(Config::default());
    bench.worker(1, W, "echo");
    bench.pass(Duration::from_millis(7499));
    assert_eq!(bench.broker.workers(), 1);
    bench.pass(Duration::from_millis(1));
    assert_eq!(departure(&bench.events()), Some(Departure::Expired));
}

#[test]
fn a_heart_beating_idle_worker_lives_for_ever() {
    let mut bench = Bench::new(Config::default());
    bench.worker(1, W, "echo");
    for _ in 0..1000 {
        bench.pass(seconds(5));
        bench.heartbeat(1);
    }
    assert_eq!(bench.broker.workers(), 1);
}

#[test]
fn any_message_of_a_worker_is_life() {
    let mut bench = Bench::new(Config::default());
    bench.worker(1, W, "echo");
    for _ in 0..10 {
        bench.pass(seconds(7));
        bench.request(9, W, "echo", "x");
        let (address, _) = bench.job(1, W);
        bench.reply(1, W, &address, Part::Final, "y");
    }
    assert_eq!(bench.broker.workers(), 1);
}

#[test]
fn a_silent_slow_worker_survives_until_the_busy_timeout_of_its_service() {
    let mut bench = Bench::new(Config::default());
    bench.worker(1, W, "slow");
    bench.request(9, W, "slow", "x");
    let (address, _) = bench.job(1, W);
    bench.pass(seconds(29));
    bench.reply(1, W, &address, Part::Final, "at last");
    assert_eq!(bench.texts(9, W), ["at last"]);
}

#[test]
fn worker_expiring_while_busy_requeues_its_job() {
    let mut bench = Bench::new(Config::default());
    bench.worker(1, W, "slow");
    bench.request(9, W, "slow", "x");
    bench.pass(Duration::from_millis(30_000));
    assert_eq!(departure(&bench.events()), Some(Departure::Expired));
    bench.worker(2, W, "slow");
    assert_eq!(bench.job(2, W).1, "x");
}

#[test]
fn each_service_has_its_own_busy_timeout() {
    let mut config = Config::default();
    config.services.insert(name("batch"), Policy { busy_timeout: seconds(600), ..Policy::default() });
    let mut bench = Bench::new(config);
    bench.worker(1, W, "batch");
    bench.request(9, W, "batch", "x");
    bench.pass(seconds(599));
    assert_eq!(bench.broker.workers(), 1);
    bench.pass(seconds(1));
    assert_eq!(bench.broker.workers(), 0);
}

#[test]
fn a_worker_that_heartbeats_over_its_job_may_work_for_ever() {
    let mut bench = Bench::new(Config::default());
    bench.worker(1, W, "slow");
    bench.request(9, W, "slow", "x");
    let (address, _) = bench.job(1, W);
    for _ in 0..400 {
        bench.pass(Duration::from_millis(2500));
        bench.heartbeat(1);
    }
    bench.reply(1, W, &address, Part::Final, "y");
    assert_eq!(bench.texts(9, W), ["y"]);
}

#[test]
fn a_worker_known_to_heartbeat_while_busy_that_hangs_is_noticed_at_the_heartbeat_expiry() {
    let mut bench = Bench::new(Config::default());
    bench.worker(1, W, "slow");
    bench.request(9, W, "slow", "x");
    for _ in 0..2 {
        bench.pass(Duration::from_millis(2500));
        bench.heartbeat(1);
    }
    bench.pass(Duration::from_millis(7499));
    assert_eq!(bench.broker.workers(), 1);
    bench.pass(Duration::from_millis(1));
    assert_eq!(bench.broker.workers(), 0, "not after the busy timeout of 30 s");
    assert_eq!(bench.broker.queued_requests(), 1);
}

#[test]
fn one_heartbeat_that_crossed_the_request_on_the_wire_does_not_doom_a_silent_slow_worker() {
    let mut bench = Bench::new(Config::default());
    bench.worker(1, W, "slow");
    for body in ["a", "b", "c"] {
        bench.request(9, W, "slow", body);
        let (address, _) = bench.job(1, W);
        bench.heartbeat(1);
        bench.pass(seconds(20));
        bench.reply(1, W, &address, Part::Final, body);
    }
    assert_eq!(bench.texts(9, W), ["a", "b", "c"]);
}

#[test]
fn a_partial_is_life() {
    let mut bench = Bench::new(Config::default());
    bench.worker(1, Dialect::V02, "stream");
    bench.request(9, Dialect::V02, "stream", "x");
    let (address, _) = bench.job(1, Dialect::V02);
    for _ in 0..5 {
        bench.pass(seconds(29));
        bench.reply(1, Dialect::V02, &address, Part::Partial, "p");
    }
    assert_eq!(bench.texts(9, Dialect::V02).len(), 5);
}

#[test]
fn a_worker_gone_long_before_a_live_one_is_still_noticed() {
    let mut bench = Bench::new(Config::default());
    bench.worker(1, W, "echo");
    bench.worker(2, W, "echo");
    for _ in 0..4 {
        bench.pass(seconds(2));
        bench.heartbeat(1);
    }
    assert_eq!(bench.broker.workers(), 1, "the second expired although the first in line lives");
}
