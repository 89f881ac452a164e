//! What the broker tells of itself: MMI's services, workers, stats, info and ping.

use protocol::mdp::v03::{FromWorker, Offer, Options, Outcome, Ready, Status, Terms};
use protocol::mmi::REPORT_BYTES_MAX;
use protocol::trace::TraceContext;
use serde_json::{Value, json};

use super::v03_peers::{by, id, status};
use super::*;
use crate::event::Ended;
use crate::statistics::{MEASURED_MAX, RETIRED_MAX};

const C: Dialect = Dialect::V01;

fn ask(bench: &mut Bench, service: &str, body: &[&str]) -> Vec<Frames> {
    bench.connect(9);
    // A request has a frame at least; an empty one names nothing.
    let body = if body.is_empty() { &[""] } else { body };
    let body = body.iter().map(|frame| Bytes::copy_from_slice(frame.as_bytes())).collect();
    bench.message(9, Request::new(C, Frames::new(), name(service), body).encode());
    bench.replies(9, C).into_iter().map(|reply| reply.body).collect()
}

/// The lines of an answer.
fn lines(bench: &mut Bench, service: &str, body: &[&str]) -> Vec<Value> {
    let answer = ask(bench, service, body);
    let [answer] = &*answer else { panic!("{answer:?}") };
    let [code, lines] = &**answer else { panic!("{answer:?}") };
    assert_eq!(code, "200");
    assert!(lines.len() <= REPORT_BYTES_MAX);
    std::str::from_utf8(lines).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn stats(bench: &mut Bench, service: &str) -> Value {
    lines(bench, "mmi.stats", &[service]).remove(0)
}

#[test]
fn mmi_workers_reports_a_line_a_worker_in_the_order_of_their_numbers() {
    let mut bench = Bench::new(Config::default());
    bench.connect(3);
    let options = Options::build().name("w1").version("1.0").finish().unwrap();
    let offer = |service| Offer { service: name(service), options: Options::none() };
    let offers = vec![offer("echo"), offer("add")];
    bench.native_say(3, FromWorker::Ready(Ready { credit: 8, interval: seconds(2), options, offers }));
    bench.native_request(8, 1, "add", "x");
    bench.pass(Duration::from_millis(1500));
    bench.worker(2, Dialect::V02Delimited, "echo");
    let old = json!({"worker": 2, "name": null, "version": null, "services": ["echo"], "dialect": "0.2", "credit": 1,
        "in_flight": 0, "heard_ms": 0, "draining": false});
    let new = json!({"worker": 3, "name": "w1", "version": "1.0", "services": ["add", "echo"], "dialect": "0.3",
        "credit": 8, "in_flight": 1, "heard_ms": 1500, "draining": false});
    let mut told = lines(&mut bench, "mmi.workers", &[]);
    // A worker's services take turns, so their order says nothing.
    let services = told[1]["services"].as_array_mut().unwrap();
    services.sort_by_key(ToString::to_string);
    assert_eq!(told, [old, new]);
    assert_eq!(lines(&mut bench, "mmi.workers", &["add"]).len(), 1);
}

#[test]
fn waiting_are_idle_workers_and_not_those_with_credit_left() {
    let mut bench = Bench::new(Config::default());
    let waiting = |bench: &mut Bench| lines(bench, "mmi.services", &["echo"])[0]["waiting"].clone();
    bench.native_worker(1, 65536, &["echo", "add"]);
    bench.native_worker(2, 9, &["echo"]);
    bench.worker(3, C, "echo");
    bench.native_worker(4, 0, &["echo"]);
    assert_eq!(waiting(&mut bench), 3, "one is paused");
    // What it has for another service counts: it is one worker.
    bench.native_request(8, 1, "add", "x");
    assert_eq!(waiting(&mut bench), 2);
    bench.native_request(8, 2, "echo", "x");
    assert_eq!(waiting(&mut bench), 1);
    let job = bench.native_job(1).job;
    bench.native_final(1, job, 0, "done");
    assert_eq!(waiting(&mut bench), 2);
}

#[test]
fn the_end_of_each_request_is_told_with_its_trace_where_somebody_wants_to_know_and_else_not() {
    let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let with =
        |traceparent| Terms { passed_on: Options::build().trace(traceparent, None).finish().unwrap(), ..by(5000) };
    for tells in [true, false] {
        let mut bench = Bench::new(Config::default());
        bench.broker = bench.broker.telling_requests(tells);
        bench.native_worker(1, 9, &["echo"]);
        bench.native_request_with(8, 1, "echo", "x", with(traceparent));
        bench.native_request_with(8, 2, "echo", "x", with("nonsense"));
        let job = bench.native_jobs(1).remove(0).job;
        bench.pass(seconds(2));
        bench.native_final(1, job, 0, "done");
        bench.pass(seconds(3));
        let ended = |event| match event {
            Event::RequestEnded(ended) => Some(*ended),
            _ => None,
        };
        let told: Vec<_> = bench.events().into_iter().filter_map(ended).collect();
        let ended = |number, trace, status, took| Ended {
            client: PeerId(8),
            service: name("echo"),
            id: Some(id(number)),
            trace,
            attempts: 1,
            status,
            took: seconds(took),
        };
        let answered = ended(1, TraceContext::parse(traceparent), Status::OK, 2);
        let late = ended(2, None, Status::DEADLINE, 5);
        assert!(answered.trace.is_some());
        assert_eq!(told, if tells { vec![answered, late] } else { vec![] });
    }
}

#[test]
fn mmi_info_tells_what_the_broker_is_and_holds() {
    let mut bench = Bench::new(Config { name: "app".to_owned(), ..Config::default() });
    bench.worker(1, C, "echo");
    bench.request(8, C, "echo", "x");
    bench.request(8, C, "absent", "x");
    bench.pass(seconds(5));
    let told = lines(&mut bench, "mmi.info", &[]);
    let expected = json!({"name": "app", "version": env!("CARGO_PKG_VERSION"), "dialects": ["0.1", "0.2", "0.3"],
        "uptime_ms": 6000, "connections": 3, "workers": 1, "services": 2, "queued": 1, "in_flight": 1, "requests": 3,
        "replies": 0, "failed": 0, "requeued": 0, "faults": 0, "draining": false});
    assert_eq!(told, [expected]);
}

#[test]
fn mmi_ping_returns_the_body_in_every_dialect() {
    let mut bench = Bench::new(Config::default());
    assert_eq!(ask(&mut bench, "mmi.ping", &["a", "", "b"]), [Frames::from(["200", "a", "", "b"])]);
    bench.native_request(8, 1, "mmi.ping", "hello");
    assert_eq!(bench.native_lines(8), ["F 0 200 -: 200|hello"]);
    let long = ask(&mut bench, "mmi.ping", &["x"; 513]);
    assert_eq!(long, [Frames::from(["400 mmi.ping takes up to 512 frames"])]);
    assert_eq!(ask(&mut bench, "mmi.ping", &["x"; 512])[0].len(), 513);
}

#[test]
fn mmi_stats_counts_results_and_errors_and_times_them_from_accepted_to_final() {
    let mut bench = Bench::new(Config::default());
    bench.native_worker(1, 1, &["echo"]);
    for (number, took) in [(1, 10), (2, 20), (3, 1000)] {
        bench.native_request(8, number, "echo", "x");
        let job = bench.native_job(1).job;
        bench.pass(Duration::from_millis(took));
        bench.native_final(1, job, 0, "y");
    }
    bench.native_request(8, 4, "echo", "x");
    let job = bench.native_job(1).job;
    bench.native_say(1, FromWorker::Final { job, outcome: status(500, "no"), body: Frames::new() });
    bench.pass(Duration::from_millis(40));
    for number in [5, 6] {
        bench.native_request(8, number, "echo", "x");
        bench.pass(Duration::from_millis(30));
    }
    let told = stats(&mut bench, "echo");
    let near = |field: &str, micros: u64| {
        let found = told[field].as_u64().unwrap();
        assert!(found.abs_diff(micros) * 100 <= micros, "{field}: {found}");
    };
    near("p50_us", 10_000);
    near("p99_us", 1_000_000);
    near("p999_us", 1_000_000);
    let rest = ["service", "requests", "replies", "errors", "last_error", "in_flight", "queued", "oldest_ms"];
    let rest: Vec<_> = rest.iter().map(|field| told[field].clone()).collect();
    let error = json!({"status": 500, "reason": "no", "age_ms": 100});
    assert_eq!(rest, [json!("echo"), json!(6), json!(3), json!(1), error, json!(1), json!(1), json!(30)]);
}

#[test]
fn each_request_is_counted_once_however_it_ends() {
    let mut bench = Bench::with_policy(|policy| policy.queue_max = 1);
    let sum = |bench: &mut Bench| {
        let told = stats(bench, "echo");
        ["requests", "replies", "errors", "in_flight", "queued"].map(|field| told[field].as_u64().unwrap())
    };
    bench.native_worker(1, 2, &["echo"]);
    for number in 1..=4 {
        bench.native_request(8, number, "echo", "x");
    }
    assert_eq!(sum(&mut bench), [4, 0, 1, 2, 1], "the fourth was refused");
    bench.disconnect(1);
    assert_eq!(sum(&mut bench), [4, 0, 1, 0, 3], "those of the lost worker wait again");
    bench.native_worker(2, 3, &["echo"]);
    let jobs = bench.native_jobs(2);
    bench.native_partial(2, jobs[0].job, 0, "p");
    bench.native_final(2, jobs[1].job, 0, "y");
    assert_eq!(sum(&mut bench), [4, 1, 1, 2, 0]);
    bench.disconnect(2);
    assert_eq!(sum(&mut bench), [4, 1, 2, 0, 1], "the one that streamed has failed");
    bench.pass(seconds(61));
    assert_eq!(sum(&mut bench), [4, 1, 3, 0, 0], "the last one waited too long");
    assert_eq!(bench.broker.in_flight(), 0);
}

#[test]
fn what_a_client_may_not_do_is_no_error_of_the_service() {
    let mut bench = Bench::new(Config::default());
    bench.worker(1, C, "echo");
    bench.connect_with(8, Rights { call: Default::default(), ..Rights::everything() });
    bench.message(8, Request::new(C, Frames::new(), name("echo"), Frames::from(["x"])).encode());
    assert_eq!(bench.texts(8, C), ["403 not allowed"]);
    let told = stats(&mut bench, "echo");
    assert_eq!((&told["requests"], &told["errors"], &told["last_error"]), (&json!(0), &json!(0), &Value::Null));
}

#[test]
fn a_service_that_a_worker_gave_up_is_there_until_its_last_answer() {
    let mut bench = Bench::new(Config::default());
    bench.native_worker(1, 2, &["echo", "other"]);
    bench.native_request(8, 1, "echo", "x");
    let job = bench.native_job(1).job;
    let drain = protocol::mdp::v03::Drain { grace: seconds(9), service: Some(name("echo")), options: Options::none() };
    bench.native_say(1, FromWorker::Drain(drain));
    assert_eq!(stats(&mut bench, "echo")["in_flight"], 1);
    assert_eq!(bench.broker.services(), 2);
    bench.native_say(1, FromWorker::Final { job, outcome: Outcome::OK, body: Frames::from(["y"]) });
    assert_eq!(bench.broker.services(), 1);
}

#[test]
fn what_is_known_of_a_service_outlives_it_and_names_that_are_only_asked_for_are_not_remembered() {
    let mut bench = Bench::new(Config::default());
    bench.worker(1, C, "echo");
    bench.request(8, C, "echo", "x");
    let (address, _) = bench.job(1, C);
    bench.reply(1, C, &address, Part::Final, "y");
    bench.disconnect(1);
    bench.request(8, C, "absent", "x");
    bench.pass(seconds(61));
    assert_eq!(bench.broker.services(), 0);
    let told = lines(&mut bench, "mmi.stats", &[]);
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((&told[0]["service"], &told[0]["replies"]), (&json!("echo"), &json!(1)));
    bench.worker(2, C, "echo");
    assert_eq!(stats(&mut bench, "echo")["requests"], 1);
    assert_eq!(lines(&mut bench, "mmi.stats", &[]).len(), 1, "it is known once");
}

#[test]
fn retired_max_is_met_and_the_oldest_are_forgotten() {
    let mut bench = Bench::new(Config::default());
    for number in 0..RETIRED_MAX + 2 {
        bench.worker(1, C, &format!("s{number:04}"));
        bench.disconnect(1);
    }
    bench.worker(1, C, "s0100x");
    let told = lines(&mut bench, "mmi.stats", &[]);
    let names: Vec<_> = told.iter().map(|line| line["service"].as_str().unwrap()).collect();
    assert_eq!((names.len(), names[0]), (RETIRED_MAX + 1, "s0002"));
    assert!(names.is_sorted(), "{names:?}");
}

#[test]
fn an_answer_is_bounded_and_says_how_much_it_leaves_off() {
    let mut bench = Bench::new(Config::default());
    let count = 10_000;
    for number in 0..count {
        bench.worker(number + 10, C, &format!("service.{number:05}"));
        bench.events();
    }
    bench.sent.clear();
    for question in ["mmi.services", "mmi.workers", "mmi.stats"] {
        let told = lines(&mut bench, question, &[]);
        let (last, whole) = told.split_last().unwrap();
        assert_eq!(last["more"].as_u64().unwrap() + whole.len() as u64, count, "{question}");
        assert!(whole.len() > 500, "{question}: {}", whole.len());
        let some = lines(&mut bench, question, &["service.0999*", "service.00000", "absent"]);
        assert_eq!(some.len(), 11, "{question}");
    }
}

#[test]
fn measured_max_is_met_and_the_idle_give_way() {
    let mut bench = Bench::new(Config::default());
    let answer = |bench: &mut Bench, service: &str| {
        bench.disconnect(1);
        bench.native_worker(1, 1, &[service]);
        bench.ids += 1;
        bench.native_request(8, bench.ids, service, "x");
        let job = bench.native_job(1).job;
        bench.pass(Duration::from_millis(7));
        bench.native_final(1, job, 0, "y");
        bench.events();
    };
    for number in 0..MEASURED_MAX {
        let service = format!("s{number}");
        bench.worker(number as u64 + 10, C, &service);
        bench.request(8, C, &service, "x");
        let (address, _) = bench.job(number as u64 + 10, C);
        bench.reply(number as u64 + 10, C, &address, Part::Final, "y");
    }
    answer(&mut bench, "late");
    assert_eq!(stats(&mut bench, "late")["p50_us"], Value::Null, "there is no room");
    assert_eq!(stats(&mut bench, "s7")["p50_us"], 0);
    for _ in 0..20 {
        bench.pass(seconds(7));
        (0..MEASURED_MAX as u64).for_each(|number| bench.heartbeat(number + 10));
    }
    answer(&mut bench, "late");
    answer(&mut bench, "late");
    assert!(stats(&mut bench, "late")["p50_us"].as_u64().unwrap() > 6000);
    assert_eq!(stats(&mut bench, "s7")["p50_us"], Value::Null, "it was idle and gave its room up");
}
