//! Which worker of 0.3 is given the next request: by credit, by what is in flight, by services (docs/rfc/MDP-0.3.md,
//! section 7.2).

use protocol::mdp::v03::{FromWorker, JobNumber, ToWorker, notice::Drain};

use super::v03_peers::farewell;
use super::*;

fn ask(bench: &mut Bench, service: &str, count: u8) {
    for number in 1..=count {
        bench.ids += 1;
        bench.native_request(9, bench.ids, service, &number.to_string());
    }
}

/// How many requests each of these workers was given.
fn given(bench: &mut Bench, workers: &[u64]) -> Vec<usize> {
    workers.iter().map(|peer| bench.native_jobs(*peer).len()).collect()
}

#[test]
fn credit_is_met_and_not_passed_counted_over_all_services() {
    let mut bench = Bench::new(Config::default());
    bench.native_worker(1, 3, &["a", "b"]);
    ask(&mut bench, "a", 2);
    ask(&mut bench, "b", 2);
    let jobs = bench.native_jobs(1);
    assert_eq!(jobs.len(), 3);
    assert_eq!(bench.broker.queued_requests(), 1);
    bench.native_final(1, jobs[0].job, 0, "done");
    assert_eq!(bench.native_job(1).service, name("b"));
}

#[test]
fn the_whole_credit_is_in_flight_at_once_and_answers_come_in_any_order() {
    let mut bench = Bench::new(Config::default());
    bench.native_worker(1, 64, &["echo"]);
    ask(&mut bench, "echo", 64);
    let jobs = bench.native_jobs(1);
    assert_eq!(jobs.len(), 64);
    for request in jobs.iter().rev() {
        bench.native_final(1, request.job, 0, &text(&request.body));
    }
    let expected: Vec<_> = (1..=64).rev().map(|number| format!("F 0 200 -: {number}")).collect();
    assert_eq!(bench.native_lines(9), expected);
}

#[test]
fn an_idle_worker_never_waits_while_a_busy_one_has_a_queue() {
    let mut bench = Bench::new(Config::default());
    bench.native_worker(1, 8, &["echo"]);
    ask(&mut bench, "echo", 20);
    assert_eq!(given(&mut bench, &[1]), [8]);
    bench.native_worker(2, 8, &["echo"]);
    assert_eq!(given(&mut bench, &[1, 2]), [0, 8], "what waits goes to whoever is free");
    bench.worker(3, Dialect::V01, "echo");
    assert_eq!(bench.job(3, Dialect::V01).1, "17");
}

#[test]
fn the_worker_with_the_least_in_flight_for_its_credit_is_next_then_the_least_recently_used() {
    let mut bench = Bench::new(Config::default());
    bench.native_worker(1, 4, &["echo"]);
    bench.native_worker(2, 2, &["echo"]);
    bench.worker(3, Dialect::V01, "echo");
    let mut order = Vec::new();
    for number in 1..=7 {
        bench.native_request(9, number, "echo", "x");
        let counts = [bench.native_jobs(1).len(), bench.native_jobs(2).len(), bench.jobs(3, Dialect::V01).len()];
        order.push(1 + counts.iter().position(|count| *count == 1).unwrap());
    }
    // All idle: by turn. Then 1/4 is less than 1/2, and 2/4 is the same as 1/2, which was used earlier.
    assert_eq!(order, [1, 2, 3, 1, 2, 1, 1]);
}

#[test]
fn credit_says_the_whole_and_zero_is_a_pause() {
    let mut bench = Bench::new(Config::default());
    bench.native_worker(1, 0, &["echo"]);
    ask(&mut bench, "echo", 5);
    assert_eq!(given(&mut bench, &[1]), [0]);
    bench.native_say(1, FromWorker::Credit(2));
    bench.native_say(1, FromWorker::Credit(2));
    let jobs = bench.native_jobs(1);
    assert_eq!(jobs.len(), 2, "the whole, and not what is added");
    bench.native_say(1, FromWorker::Credit(1));
    bench.native_final(1, jobs[0].job, 0, "x");
    assert_eq!(given(&mut bench, &[1]), [0], "one is in flight still");
    bench.native_final(1, jobs[1].job, 0, "x");
    assert_eq!(given(&mut bench, &[1]), [1]);
    bench.native_say(1, FromWorker::Credit(65_536));
    assert_eq!(given(&mut bench, &[1]), [2]);
}

#[test]
fn a_credit_beyond_the_largest_is_malformed() {
    let mut bench = Bench::new(Config::default());
    bench.native_worker(1, 1, &["echo"]);
    bench.native_say(1, FromWorker::Credit(65_537));
    let commands = bench.native_commands(1);
    assert_eq!(commands, [farewell(400, "credit of 65537 (allowed: 0 to 65536)")]);
    assert_eq!(bench.broker.workers(), 0);
}

#[test]
fn the_services_of_a_worker_take_turns() {
    let mut bench = Bench::with_policy(|policy| policy.queue_max = 100);
    ask(&mut bench, "a", 20);
    ask(&mut bench, "b", 3);
    bench.native_worker(1, 1, &["a", "b"]);
    assert_eq!(given(&mut bench, &[1]), [1]);
    let mut served = Vec::new();
    for job in 1..=8 {
        bench.native_final(1, JobNumber(job), 0, "x");
        served.push(bench.native_job(1).service.to_string());
    }
    assert_eq!(served, ["a", "b", "a", "b", "a", "a", "a", "a"], "b came with READY");
}

#[test]
fn a_worker_that_drains_is_given_nothing_more_and_may_go_after_its_last_answer() {
    let mut bench = Bench::new(Config::default());
    bench.native_worker(1, 2, &["a", "b"]);
    ask(&mut bench, "a", 1);
    let request = bench.native_job(1);
    bench.native_say(1, FromWorker::Drain(Drain { grace: seconds(5), service: None, options: Default::default() }));
    ask(&mut bench, "b", 1);
    bench.native_say(1, FromWorker::Credit(9));
    assert_eq!(bench.native_commands(1), []);
    bench.native_final(1, request.job, 0, "done");
    assert_eq!(bench.native_lines(9), ["F 0 200 -: done"]);
    assert_eq!(bench.native_commands(1), [farewell(200, "drained")]);
    assert_eq!((bench.broker.workers(), bench.broker.queued_requests()), (0, 1));
}

#[test]
fn what_a_draining_worker_has_when_its_time_is_over_goes_to_another() {
    let mut bench = Bench::new(Config::default());
    bench.native_worker(1, 1, &["echo"]);
    ask(&mut bench, "echo", 1);
    assert_eq!(bench.native_job(1).attempt, 1);
    bench.native_say(1, FromWorker::Drain(Drain { grace: seconds(2), service: None, options: Default::default() }));
    bench.pass(Duration::from_millis(1999));
    bench.native_worker(2, 1, &["echo"]);
    assert_eq!(bench.native_jobs(2), []);
    bench.pass(Duration::from_millis(1));
    assert_eq!(bench.native_job(2).attempt, 2);
    assert!(bench.native_commands(1).contains(&farewell(408, "time is over")));
}

#[test]
fn a_worker_gives_one_service_up_and_keeps_the_others() {
    let mut bench = Bench::new(Config::default());
    bench.native_worker(1, 4, &["a", "b"]);
    ask(&mut bench, "a", 1);
    let request = bench.native_job(1);
    let drain = |service| FromWorker::Drain(Drain { grace: seconds(5), service, options: Default::default() });
    bench.native_say(1, drain(Some(name("unknown"))));
    bench.native_say(1, drain(Some(name("a"))));
    ask(&mut bench, "a", 1);
    ask(&mut bench, "b", 1);
    assert_eq!(bench.native_job(1).service, name("b"));
    bench.disconnect(1);
    assert_eq!(bench.broker.queued_requests(), 3, "what it had of both goes back to where it came from");
    bench.native_worker(2, 9, &["a", "b"]);
    let again = bench.native_jobs(2);
    assert_eq!(again.len(), 3);
    assert!(again.iter().all(|other| other.job != request.job), "a job number is never given twice");
}

#[test]
fn a_request_that_comes_back_to_a_service_that_nobody_offers_any_more_waits_there() {
    let mut bench = Bench::new(Config::default());
    bench.native_worker(1, 1, &["a"]);
    ask(&mut bench, "a", 1);
    bench.native_say(1, FromWorker::Drain(Drain { grace: seconds(5), service: None, options: Default::default() }));
    assert_eq!((bench.broker.services(), bench.broker.in_flight()), (1, 1), "its last request keeps it");
    bench.disconnect(1);
    assert_eq!(bench.broker.queued_for(&name("a")), 1);
    bench.native_worker(2, 1, &["a"]);
    assert_eq!(bench.native_job(2).attempt, 2);
}

#[test]
fn ready_is_answered_by_a_heartbeat_before_anything_else() {
    let mut bench = Bench::new(Config::default());
    ask(&mut bench, "echo", 1);
    bench.connect(1);
    bench.native_ready(1, 1, &["echo"]);
    let commands: Vec<_> = bench.sent_to(1).into_iter().map(|frames| ToWorker::decode(frames).unwrap()).collect();
    assert_eq!(commands[0], ToWorker::Heartbeat(Duration::from_millis(2500)));
    assert!(matches!(commands[1..], [ToWorker::Request(_)]));
}
