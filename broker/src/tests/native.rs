//! What peers of 0.3 say that others cannot, and what follows when they break a rule (docs/rfc/MDP-0.3.md, 6 to 9).

use protocol::mdp::v03::worker::Farewell;
use protocol::mdp::v03::{
    FromClient, FromWorker, JobNumber, Offer, Options, Ready, Status, Terms, ToClient, ToWorker, client,
};

use super::v03_peers::{body, by, farewell, id};
use super::*;
use crate::NoWorker;

#[test]
fn a_heartbeat_of_a_client_is_answered_by_one_each() {
    let mut bench = Bench::new(Config::default());
    bench.message(9, FromClient::Heartbeat.encode());
    assert_eq!(bench.sent_to(9), Vec::<Frames>::new(), "nobody knows this connection");
    bench.connect(9);
    for _ in 0..2 {
        bench.message(9, FromClient::Heartbeat.encode());
    }
    assert_eq!(bench.native_lines(9), ["heartbeat", "heartbeat"]);
    bench.pass(seconds(60));
    assert_eq!(bench.native_lines(9), Vec::<String>::new(), "never unasked");
}

#[test]
fn each_way_in_which_the_broker_ends_a_request_has_its_status() {
    let told = |change: fn(&mut Config), act: fn(&mut Bench)| {
        let mut config = Config::default();
        change(&mut config);
        let mut bench = Bench::new(config);
        act(&mut bench);
        bench.native_lines(9)
    };
    let ask = |bench: &mut Bench| bench.native_request(9, 1, "echo", "x");
    let lost_in_the_middle = |bench: &mut Bench| {
        bench.native_worker(1, 1, &["echo"]);
        bench.native_request(9, 1, "echo", "x");
        let job = bench.native_job(1).job;
        bench.native_partial(1, job, 0, "p");
        bench.disconnect(1);
    };
    let lost_again_and_again = |bench: &mut Bench| {
        bench.native_request(9, 1, "echo", "x");
        for peer in 1..=3 {
            bench.native_worker(peer, 1, &["echo"]);
            assert_eq!(u64::from(bench.native_job(peer).attempt), peer);
            bench.disconnect(peer);
        }
    };
    let waits = |bench: &mut Bench| {
        bench.native_request(9, 1, "echo", "x");
        bench.pass(seconds(61));
    };
    let may_not = |bench: &mut Bench| {
        bench.connect_with(9, Rights { call: Default::default(), ..Rights::everything() });
        let request = client::Request { id: id(1), service: name("echo"), terms: Terms::default(), body: body("x") };
        bench.message(9, FromClient::Request(request).encode());
    };
    assert_eq!(
        told(|config| config.policy.no_worker = NoWorker::Refuse, ask),
        ["F 0 404 no worker offers the service: "]
    );
    assert_eq!(told(|config| config.policy.queue_max = 0, ask), ["F 0 429 queue of the service is full: "]);
    assert_eq!(told(|config| config.limits.queued_requests_max = 0, ask), ["F 0 429 broker is full: "]);
    assert_eq!(told(|_| {}, may_not), ["F 0 403 not allowed: "]);
    assert_eq!(told(|_| {}, waits), ["F 0 408 no worker became free in time: "]);
    assert_eq!(told(|_| {}, lost_in_the_middle), ["P 0 p", "F 1 502 the answer broke off in the middle: "]);
    assert_eq!(
        told(|_| {}, lost_again_and_again),
        ["F 0 502 every worker that was given the request left without an answer: "]
    );
}

#[test]
fn a_malformed_request_is_answered_400_where_its_id_can_be_read_and_costs_nothing_else() {
    let mut bench = Bench::new(Config::default());
    bench.native_worker(9, 1, &["echo"]);
    let mut head = [b"MDPC03\x02".as_slice(), &[1; 16], b"\x04echo"].concat();
    bench.message(9, Frames::from([head.clone()]));
    head.extend_from_slice(&[0x7f, 0, 0]);
    bench.message(9, Frames::from([head.clone(), b"x".to_vec()]));
    let told: Vec<_> = bench.sent_to(9).into_iter().skip(1).map(|frames| ToClient::decode(frames).unwrap()).collect();
    let reasons = ["frame missing: body", "unknown critical option 0x7f"];
    let expected = reasons.map(|reason| ToClient::Final {
        id: id(1),
        outcome: super::v03_peers::status(400, reason),
        body: Frames::new(),
    });
    assert_eq!(told, expected);
    // A zero id, a command that is a worker's, a message of somebody unknown.
    bench.message(9, Frames::from([[b"MDPC03\x05".as_slice(), &[0; 16]].concat()]));
    bench.message(9, Frames::from([b"MDPC03\x01".to_vec()]));
    bench.message(8, Frames::from([head, b"x".to_vec()]));
    assert_eq!((bench.sent_to(9), bench.sent_to(8)), (vec![], vec![]));
    assert_eq!((bench.broker.counters().faults, bench.broker.workers()), (5, 1), "it is a worker still");
}

#[test]
fn a_deadline_holds_in_the_queue_before_the_wait_of_the_service() {
    let mut bench = Bench::new(Config::default());
    for (number, millis) in [(1, 5000), (2, 900_000), (3, 1000), (4, 3000)] {
        bench.native_request_with(9, number, "echo", "x", by(millis));
    }
    let mut ended = Vec::new();
    for second in 1..=61 {
        bench.pass(seconds(1));
        for told in bench.native_replies(9) {
            if let ToClient::Final { id, outcome, .. } = told {
                assert_eq!(outcome.status, Status::DEADLINE);
                ended.push((second, id.0[0]));
            }
        }
    }
    assert_eq!(ended, [(1, 3), (3, 4), (5, 1), (60, 2)]);
    assert_eq!(bench.broker.queued, crate::broker::Queued::default());
}

#[test]
fn a_worker_is_told_the_time_that_is_left_and_gets_nothing_without_any() {
    let mut bench = Bench::new(Config::default());
    for (number, millis) in [(1, 2500), (2, 1000), (3, 999), (4, 0)] {
        bench.native_request_with(9, number, "echo", "x", by(millis));
    }
    bench.now = bench.now + Duration::from_micros(999_500);
    bench.native_worker(1, 9, &["echo"]);
    let told: Vec<_> = bench.native_jobs(1).into_iter().map(|request| (request.id, request.remaining)).collect();
    let millis = |millis| Some(Duration::from_millis(millis));
    assert_eq!(told, [(Some(id(1)), millis(1501)), (Some(id(2)), millis(1))], "a broken millisecond is one, not none");
    assert_eq!(bench.native_lines(9).len(), 2);
}

#[test]
fn parts_are_counted_and_a_wrong_number_loses_the_worker() {
    for (number, parts) in [(Some(1), 0), (Some(3), 0), (None, 1), (None, 3)] {
        let mut bench = Bench::new(Config::default());
        bench.native_worker(1, 1, &["echo"]);
        bench.native_request(9, 1, "echo", "x");
        let job = bench.native_job(1).job;
        bench.native_partial(1, job, 0, "p0");
        bench.native_partial(1, job, 1, "p1");
        match number {
            Some(number) => bench.native_partial(1, job, number, "wrong"),
            None => bench.native_final(1, job, parts, "wrong"),
        }
        assert_eq!(bench.native_lines(9), ["P 0 p0", "P 1 p1", "F 2 502 the answer broke off in the middle: "]);
        assert_eq!((bench.broker.workers(), bench.broker.counters().faults), (0, 1));
        assert!(matches!(&bench.native_commands(1)[..], [ToWorker::Disconnect(end)] if end.status.code() == 400));
    }
}

#[test]
fn a_wrong_number_before_a_part_has_left_gives_the_request_to_another() {
    let mut bench = Bench::new(Config::default());
    bench.native_worker(1, 1, &["echo"]);
    bench.native_request(9, 1, "echo", "x");
    let job = bench.native_job(1).job;
    bench.native_worker(2, 1, &["echo"]);
    bench.native_final(1, job, 1, "a part is missing");
    let again = bench.native_job(2);
    assert_eq!(again.attempt, 2);
    bench.native_partial(2, again.job, 0, "p0");
    bench.native_final(2, again.job, 1, "end");
    assert_eq!(bench.native_lines(9), ["P 0 p0", "F 1 200 -: end"]);
}

#[test]
fn an_answer_to_what_was_not_asked_or_a_second_one_loses_the_worker_and_reaches_nobody() {
    for forged in [77, 2, 1] {
        let mut bench = Bench::new(Config::default());
        bench.native_worker(1, 2, &["echo"]);
        bench.native_worker(2, 1, &["other"]);
        bench.native_request(9, 1, "echo", "x");
        bench.native_request(9, 2, "other", "x");
        // Job 1 has ended when it is answered again; job 2 is another worker's.
        bench.native_final(1, JobNumber(1), 0, "x");
        assert_eq!(bench.native_lines(9), ["F 0 200 -: x"]);
        bench.native_final(1, JobNumber(forged), 0, "forged");
        assert_eq!(bench.native_lines(9), Vec::<String>::new());
        let expected = farewell(400, &format!("job number of {forged} (allowed: those of jobs that it has)"));
        assert_eq!(bench.native_commands(1).last(), Some(&expected));
        assert_eq!(bench.broker.workers(), 1);
    }
}

#[test]
fn an_unknown_worker_is_told_to_begin_with_ready_whatever_it_says() {
    let job = JobNumber(1);
    let drain = protocol::mdp::v03::Drain { grace: seconds(1), service: None, options: Options::none() };
    for said in [
        FromWorker::Heartbeat(seconds(1)),
        FromWorker::Credit(1),
        FromWorker::Drain(drain),
        FromWorker::Partial { job, part: 0, body: body("x") },
    ] {
        let mut bench = Bench::new(Config::default());
        bench.connect(1);
        bench.native_say(1, said);
        assert_eq!(bench.native_commands(1), [farewell(400, "READY comes first")]);
    }
    let mut bench = Bench::new(Config::default());
    bench.message(1, Frames::from([b"MDPW03\x63".to_vec()]));
    assert_eq!(bench.native_commands(1), [farewell(400, "unknown command")]);
    bench.native_say(1, FromWorker::Disconnect(Farewell { status: Status::OK, options: Options::none() }));
    assert_eq!(bench.native_commands(1), []);
}

#[test]
fn a_ready_that_cannot_be_taken_says_why_and_leaves_nothing_behind() {
    let mut config = Config::default();
    config.limits.services_max = 2;
    let mut bench = Bench::new(config);
    bench.connect(1);
    bench.native_ready(1, 1, &["a", "mmi.mine"]);
    assert_eq!(bench.native_commands(1), [farewell(403, "names under mmi. are the broker's own")]);
    bench.native_ready(1, 1, &["a", "b", "c"]);
    assert_eq!(bench.native_commands(1), [farewell(429, "no room for another service")]);
    let offer = std::iter::once("a".parse().unwrap()).collect();
    bench.connect_with(2, Rights { offer, ..Rights::everything() });
    bench.native_ready(2, 1, &["a", "b"]);
    assert_eq!(bench.native_commands(2), [farewell(403, "this peer may not offer that service")]);
    assert_eq!((bench.broker.services(), bench.broker.workers()), (0, 0));
    bench.native_ready(2, 1, &["a"]);
    bench.native_ready(2, 1, &["a"]);
    assert_eq!(bench.native_commands(2), [farewell(400, "a second READY on one connection")]);
    assert_eq!((bench.broker.services(), bench.broker.workers()), (0, 0));
}

#[test]
fn a_worker_is_lost_after_three_of_its_own_intervals_also_while_it_works() {
    let mut bench = Bench::new(Config::default());
    bench.connect(1);
    let offers = vec![Offer { service: name("echo"), options: Options::none() }];
    let interval = Duration::from_millis(200);
    let ready = Ready { credit: 1, interval, options: Options::none(), offers };
    bench.native_say(1, FromWorker::Ready(ready));
    bench.native_request(9, 1, "echo", "x");
    bench.pass(Duration::from_millis(599));
    assert_eq!(bench.broker.workers(), 1);
    bench.native_say(1, FromWorker::Heartbeat(Duration::from_millis(400)));
    bench.pass(Duration::from_millis(1199));
    assert_eq!(bench.broker.workers(), 1, "it has announced more");
    bench.pass(Duration::from_millis(1));
    assert_eq!((bench.broker.workers(), bench.broker.queued_requests()), (0, 1));
    assert_eq!(bench.native_commands(1).last(), Some(&farewell(408, "silent for too long")));
}

#[test]
fn a_worker_of_03_is_sent_heartbeats_and_the_end_of_the_broker() {
    let mut bench = Bench::new(Config::default());
    bench.native_worker(1, 1, &["echo"]);
    for _ in 0..4 {
        bench.pass(Duration::from_millis(2500));
        bench.native_say(1, FromWorker::Heartbeat(seconds(3)));
    }
    assert_eq!(bench.sent_to(1).len(), 5, "the answer to READY, and one an interval");
    bench.input(Input::Shutdown);
    let options = Options::build().reason("the broker ends").retry_after(seconds(1)).finish().unwrap();
    assert_eq!(bench.native_commands(1), [ToWorker::Disconnect(Farewell { status: Status::DRAINING, options })]);
}

#[test]
fn a_worker_that_changes_its_dialect_breaks_a_rule() {
    let mut bench = Bench::new(Config::default());
    bench.native_worker(1, 1, &["echo"]);
    bench.heartbeat(1);
    assert_eq!(bench.native_commands(1), [farewell(400, "unknown command")]);
    bench.worker(2, Dialect::V01, "echo");
    bench.native_say(2, FromWorker::Heartbeat(seconds(1)));
    assert!(bench.is_told_disconnect(2, Dialect::V01));
    assert_eq!(bench.broker.workers(), 0);
}

#[test]
fn one_connection_may_be_client_and_worker_of_03_at_once() {
    let mut bench = Bench::new(Config::default());
    bench.native_worker(1, 1, &["echo"]);
    bench.native_request(1, 1, "echo", "to myself");
    bench.sent_to(1);
    bench.native_final(1, JobNumber(1), 0, "from myself");
    assert_eq!(bench.native_lines(1), ["F 0 200 -: from myself"]);
}

#[test]
fn a_client_that_missed_a_part_is_told_502_and_no_further_part() {
    let mut bench = Bench::new(Config::default());
    bench.native_worker(1, 1, &["echo"]);
    bench.native_request(9, 1, "echo", "x");
    let job = bench.native_job(1).job;
    bench.native_partial(1, job, 0, "p0");
    bench.input(Input::Refused { peer: PeerId(9) });
    bench.native_partial(1, job, 1, "p1");
    bench.native_partial(1, job, 2, "p2");
    bench.native_final(1, job, 3, "end");
    assert_eq!(bench.native_lines(9), ["P 0 p0", "F 1 502 the answer broke off in the middle: "]);
    assert_eq!((bench.broker.workers(), bench.broker.counters().faults), (1, 0), "its worker did nothing wrong");
}
