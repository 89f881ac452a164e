//! CANCEL, and deadlines while a worker has a request (docs/rfc/MDP-0.3.md, 6, 7.3 and 7.6).

use protocol::mdp::v03::{FromClient, FromWorker, Idempotency, JobNumber, Terms, ToWorker};

use super::v03_peers::{by, farewell};
use super::*;
use crate::RequestEnd;

const CANCELLED: &str = "F 0 499 cancelled: ";
const OVERDUE: &str = "F 0 408 the deadline passed while a worker had the request: ";
const W: Dialect = Dialect::V01;

fn ends(bench: &mut Bench) -> Vec<RequestEnd> {
    let end = |event| match event {
        Event::RequestFailed { end, .. } => Some(end),
        _ => None,
    };
    bench.events().into_iter().filter_map(end).collect()
}

#[test]
fn a_queued_request_is_taken_out_and_ends_499() {
    let mut bench = Bench::new(Config::default());
    for number in 1..=3 {
        bench.native_request(9, number, "echo", &number.to_string());
    }
    bench.cancel(9, 2);
    assert_eq!(bench.native_lines(9), [CANCELLED]);
    assert_eq!((bench.broker.queued_requests(), bench.broker.known.len()), (2, 2));
    bench.native_worker(1, 9, &["echo"]);
    let bodies: Vec<_> = bench.native_jobs(1).iter().map(|request| text(&request.body)).collect();
    assert_eq!(bodies, ["1", "3"]);
    assert_eq!(ends(&mut bench), [RequestEnd::Cancelled]);
}

#[test]
fn a_service_goes_with_its_last_request_that_is_cancelled() {
    let mut bench = Bench::new(Config::default());
    bench.native_request(9, 1, "echo", "x");
    bench.cancel(9, 1);
    assert_eq!((bench.broker.services(), bench.broker.queued), (0, Default::default()));
}

#[test]
fn a_request_that_a_worker_has_ends_at_once_and_uses_its_credit_until_its_final() {
    let mut bench = Bench::new(Config::default());
    bench.native_worker(1, 1, &["echo"]);
    bench.native_request(9, 1, "echo", "a");
    bench.native_request(9, 2, "echo", "b");
    let job = bench.native_job(1).job;
    bench.cancel(9, 1);
    assert_eq!(bench.native_lines(9), [CANCELLED]);
    assert_eq!(bench.native_commands(1), [ToWorker::Cancel(job)], "and no other request");
    bench.cancel(9, 1);
    bench.native_partial(1, job, 0, "p");
    bench.native_partial(1, job, 7, "whatever number");
    assert_eq!((bench.native_commands(1), bench.native_lines(9)), (vec![], vec![]));
    bench.native_final(1, job, 0, "end");
    assert_eq!(text(&bench.native_job(1).body), "b");
    let counters = bench.broker.counters();
    assert_eq!((counters.late, counters.faults, counters.failed, counters.replies), (3, 0, 1, 0));
    assert_eq!(bench.native_lines(9), Vec::<String>::new());
}

#[test]
fn a_second_final_after_cancel_loses_the_worker() {
    let mut bench = Bench::new(Config::default());
    bench.native_worker(1, 1, &["echo"]);
    bench.native_request(9, 1, "echo", "a");
    bench.cancel(9, 1);
    bench.native_commands(1);
    bench.native_final(1, JobNumber(1), 0, "end");
    bench.native_final(1, JobNumber(1), 0, "again");
    assert!(matches!(&bench.native_commands(1)[..], [ToWorker::Disconnect(end)] if end.status.code() == 400));
    assert_eq!(bench.native_lines(9), [CANCELLED]);
}

#[test]
fn a_worker_of_01_works_on_and_its_reply_is_dropped() {
    for end in ["cancel", "deadline"] {
        let mut bench = Bench::new(Config::default());
        bench.worker(1, W, "echo");
        bench.native_request_with(9, 1, "echo", "a", by(1000));
        bench.native_request(9, 2, "echo", "b");
        let (address, _) = bench.job(1, W);
        if end == "cancel" {
            bench.cancel(9, 1);
        } else {
            bench.pass(seconds(1));
        }
        assert_eq!(bench.native_lines(9), [if end == "cancel" { CANCELLED } else { OVERDUE }]);
        assert_eq!(bench.jobs(1, W), [], "it knows of nothing");
        bench.reply(1, W, &address, Part::Final, "done");
        assert_eq!((bench.native_lines(9), bench.job(1, W).1), (vec![], "b".to_owned()));
    }
}

#[test]
fn cancel_of_what_is_unknown_or_has_ended_is_not_answered() {
    let mut bench = Bench::new(Config::default());
    bench.native_worker(1, 1, &["echo"]);
    bench.native_request(9, 1, "echo", "a");
    bench.native_final(1, JobNumber(1), 0, "end");
    assert_eq!(bench.native_lines(9), ["F 0 200 -: end"]);
    bench.native_commands(1);
    let alarms = bench.broker.alarms();
    for number in 1..=255 {
        bench.cancel(9, number);
    }
    bench.cancel(77, 1);
    assert_eq!((bench.native_lines(9), bench.native_commands(1), bench.sent_to(77)), (vec![], vec![], vec![]));
    assert_eq!((bench.broker.counters().faults, bench.broker.alarms()), (0, alarms), "nothing is kept of it");
}

#[test]
fn a_client_that_came_back_under_its_identity_cancels_what_it_asked_before() {
    for running in [false, true] {
        let mut bench = Bench::new(Config::default());
        if running {
            bench.native_worker(1, 1, &["echo"]);
        }
        bench.enter(8, "anna", Some("key of anna"));
        bench.ask(8, 1, "a", Terms::default());
        bench.disconnect(8);
        for (peer, identity, credential) in
            [(5, "anna", Some("key of otto")), (6, "anna", None), (7, "otto", Some("key of anna")), (4, "", None)]
        {
            bench.enter(peer, identity, credential);
            bench.cancel(peer, 1);
            assert_eq!(bench.native_lines(peer), Vec::<String>::new(), "another client: {identity}, {credential:?}");
        }
        bench.enter(9, "anna", Some("key of anna"));
        bench.cancel(9, 1);
        assert_eq!(bench.native_lines(9), [CANCELLED]);
        assert_eq!(bench.broker.counters().failed, 1);
    }
}

#[test]
fn the_end_of_an_answer_in_parts_says_how_many_have_left() {
    let mut bench = Bench::new(Config::default());
    bench.native_worker(1, 2, &["echo"]);
    bench.native_request(9, 1, "echo", "a");
    bench.native_request_with(9, 2, "echo", "b", by(1000));
    for job in [1, 2] {
        bench.native_partial(1, JobNumber(job), 0, "p");
    }
    bench.cancel(9, 1);
    bench.pass(seconds(1));
    let overdue = OVERDUE.replace("F 0", "F 1");
    assert_eq!(bench.native_lines(9), ["P 0 p", "P 0 p", "F 1 499 cancelled: ", &overdue]);
}

#[test]
fn a_deadline_ends_a_request_that_a_worker_has_and_not_a_moment_earlier() {
    let mut bench = Bench::new(Config::default());
    bench.native_worker(1, 1, &["echo"]);
    bench.native_request_with(9, 1, "echo", "a", by(1500));
    let job = bench.native_job(1).job;
    bench.pass(Duration::from_millis(1499));
    assert_eq!(bench.native_lines(9), Vec::<String>::new());
    bench.pass(Duration::from_millis(1));
    assert_eq!(
        (bench.native_lines(9), bench.native_commands(1)),
        (vec![OVERDUE.to_owned()], vec![ToWorker::Cancel(job)])
    );
    assert_eq!(ends(&mut bench), [RequestEnd::Overdue]);
    bench.native_final(1, job, 0, "too late");
    assert_eq!((bench.native_lines(9), bench.broker.counters().late), (vec![], 1));
}

#[test]
fn a_deadline_of_an_answered_request_ends_nothing() {
    let mut bench = Bench::new(Config::default());
    bench.native_worker(1, 1, &["echo"]);
    bench.native_request_with(9, 1, "echo", "a", by(1000));
    bench.native_final(1, JobNumber(1), 0, "in time");
    bench.native_request(9, 2, "echo", "b");
    bench.pass(seconds(2));
    assert_eq!(bench.native_lines(9), ["F 0 200 -: in time"]);
}

#[test]
fn a_deadline_holds_for_the_second_attempt_as_well() {
    let mut bench = Bench::new(Config::default());
    bench.native_worker(1, 1, &["echo"]);
    bench.native_request_with(9, 1, "echo", "a", by(2000));
    bench.pass(seconds(1));
    bench.disconnect(1);
    bench.native_worker(2, 1, &["echo"]);
    let again = bench.native_job(2);
    assert_eq!(again.remaining, Some(seconds(1)));
    bench.pass(seconds(1));
    assert_eq!(
        (bench.native_lines(9), bench.native_commands(2)),
        (vec![OVERDUE.to_owned()], vec![ToWorker::Cancel(again.job)])
    );
}

#[test]
fn what_a_lost_worker_had_and_is_over_goes_to_nobody() {
    let mut bench = Bench::new(Config::default());
    bench.native_worker(1, 1, &["echo"]);
    bench.native_request(9, 1, "echo", "a");
    bench.cancel(9, 1);
    bench.disconnect(1);
    bench.native_worker(2, 1, &["echo"]);
    assert_eq!((bench.native_jobs(2).len(), bench.native_lines(9)), (0, vec![CANCELLED.to_owned()]));
}

#[test]
fn a_worker_whose_client_has_missed_a_part_is_told_to_stop() {
    let mut bench = Bench::new(Config::default());
    bench.native_worker(1, 1, &["echo"]);
    bench.native_request(9, 1, "echo", "x");
    let job = bench.native_job(1).job;
    bench.native_partial(1, job, 0, "p0");
    bench.input(Input::Refused { peer: PeerId(9) });
    for part in 1..5 {
        bench.native_partial(1, job, part, "p");
    }
    assert_eq!(bench.native_commands(1), [ToWorker::Cancel(job)], "once");
    assert_eq!(bench.broker.counters().late, 3);
}

#[test]
fn an_id_may_be_used_again_after_it_was_cancelled() {
    let mut bench = Bench::new(Config::default());
    bench.native_worker(1, 2, &["echo"]);
    bench.native_request(9, 1, "echo", "a");
    bench.cancel(9, 1);
    bench.native_request(9, 1, "echo", "b");
    bench.native_final(1, JobNumber(1), 0, "of a");
    bench.native_final(1, JobNumber(2), 0, "of b");
    assert_eq!(bench.native_lines(9), [CANCELLED, "F 0 200 -: of b"]);
}

#[test]
fn a_flood_of_cancels_in_any_order_leaves_nothing_behind() {
    let mut bench = Bench::with_policy(|policy| policy.queue_max = 20_000);
    let long = |number: u32| {
        let mut octets = [1; 16];
        octets[..4].copy_from_slice(&number.to_be_bytes());
        protocol::RequestId(octets)
    };
    bench.connect(9);
    let (count, step) = (10_000, 7919);
    for number in 0..count {
        let terms = Terms { idempotency: Idempotency::Repeatable, ..Terms::default() };
        let request = protocol::mdp::v03::client::Request {
            id: long(number),
            service: name("echo"),
            terms,
            body: super::v03_peers::body("x"),
        };
        bench.message(9, FromClient::Request(request).encode());
    }
    let service = bench.broker.services.find(&name("echo")).unwrap();
    for number in 0..count {
        bench.message(9, FromClient::Cancel(long(number * step % count)).encode());
        if number % 1000 == 0 && number > 0 {
            let queue = &bench.broker.services.get(service).unwrap().queue;
            assert!(queue.places() <= 2 * queue.len() + 32, "{} of {}", queue.places(), queue.len());
        }
    }
    assert_eq!((bench.broker.queued, bench.broker.known.len()), (Default::default(), 0));
    assert_eq!(bench.native_lines(9).len(), 10_000);
}

#[test]
fn workers_that_come_and_go_leave_no_wake_ups_behind() {
    let mut bench = Bench::new(Config::default());
    bench.connect(1);
    for _ in 0..20_000 {
        bench.say(1, W, protocol::mdp::worker::FromWorker::Ready { service: name("short"), credit: 1 });
        bench.say(1, W, protocol::mdp::worker::FromWorker::Disconnect);
        bench.native_request(9, 1, "shorter", "x");
        bench.cancel(9, 1);
        bench.sent.clear();
        assert!(bench.broker.alarms() <= 512, "{} wake-ups", bench.broker.alarms());
    }
}

#[test]
fn deadlines_of_answered_requests_leave_no_wake_ups_behind() {
    let mut bench = Bench::new(Config::default());
    bench.native_worker(1, 1, &["echo"]);
    for _ in 0..5000 {
        let terms = Terms { idempotency: Idempotency::Repeatable, ..by(60_000) };
        bench.native_request_with(9, 1, "echo", "x", terms);
        let job = bench.native_job(1).job;
        bench.native_final(1, job, 0, "y");
        assert!(bench.broker.alarms() <= 512, "{} wake-ups", bench.broker.alarms());
    }
    assert_eq!(bench.native_lines(9).len(), 5000);
}

#[test]
fn an_unknown_worker_is_not_told_of_a_cancel() {
    let mut bench = Bench::new(Config::default());
    bench.native_worker(1, 1, &["echo"]);
    bench.native_request(9, 1, "echo", "a");
    bench.native_commands(1);
    bench.native_say(1, FromWorker::Heartbeat(Duration::from_millis(1)));
    bench.pass(seconds(1));
    assert_eq!(bench.native_commands(1), [farewell(408, "silent for too long")]);
    bench.cancel(9, 1);
    assert_eq!((bench.native_commands(1), bench.native_lines(9)), (vec![], vec![CANCELLED.to_owned()]));
    assert_eq!(bench.broker.known.len(), 0);
}
