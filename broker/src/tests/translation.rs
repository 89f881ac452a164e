//! Every pairing of clients and workers of 0.1, 0.2 and 0.3 (docs/rfc/MDP-0.3.md, section 11): its table, row by row.

use protocol::mdp::v03::{self, JobNumber, options::kind};

use super::v03_peers::{body, id, status};
use super::*;
use crate::NoWorker;

/// Who speaks; 0.3 is the native dialect.
const DIALECTS: [Option<Dialect>; 5] =
    [Some(Dialect::V01), Some(Dialect::V02), Some(Dialect::V02Delimited), Some(Dialect::V02Majortomo), None];

/// The table's columns of one client: what becomes of a whole answer, of one in parts, and of the worker's error.
struct Row {
    whole: &'static [&'static str],
    parts: &'static [&'static str],
    error: &'static [&'static str],
    refused: &'static str,
}

fn row(client: Option<Dialect>) -> Row {
    match client {
        Some(Dialect::V01) => Row {
            whole: &["answer"],
            parts: &["p0|p1|end"],
            error: &["500 it broke|details"],
            refused: "503 no worker offers the service",
        },
        Some(_) => Row {
            whole: &["answer"],
            parts: &["p0", "p1", "end"],
            error: &["500 it broke|details"],
            refused: "503 no worker offers the service",
        },
        None => Row {
            whole: &["F 0 200 -: answer"],
            parts: &["P 0 p0", "P 1 p1", "F 2 200 -: end"],
            error: &["F 0 500 it broke: details"],
            refused: "F 0 404 no worker offers the service: ",
        },
    }
}

fn worker_comes(bench: &mut Bench, dialect: Option<Dialect>) {
    match dialect {
        Some(dialect) => bench.worker(1, dialect, "echo"),
        None => bench.native_worker(1, 4, &["echo"]),
    }
}

fn repeatable() -> v03::Terms {
    v03::Terms { idempotency: v03::Idempotency::Repeatable, ..v03::Terms::default() }
}

fn client_asks(bench: &mut Bench, dialect: Option<Dialect>) {
    match dialect {
        Some(dialect) => bench.request(9, dialect, "echo", "question"),
        // It asks the same again and again, and wants it done again.
        None => bench.native_request_with(9, 7, "echo", "question", repeatable()),
    }
}

/// The number under which the worker has been given the question.
fn job(bench: &mut Bench, dialect: Option<Dialect>, client: Option<Dialect>) -> u64 {
    let Some(dialect) = dialect else {
        let request = bench.native_job(1);
        assert_eq!((text(&request.body).as_str(), request.service), ("question", name("echo")));
        assert_eq!(request.id, client.is_none().then_some(id(7)), "zeros for a client without ids");
        assert_eq!((request.attempt, request.remaining), (1, None));
        return request.job.0;
    };
    let (address, text) = bench.job(1, dialect);
    assert_eq!(text, "question");
    u64::from_be_bytes(address.as_ref().try_into().unwrap())
}

fn worker_says(bench: &mut Bench, dialect: Option<Dialect>, job: u64, partial: Option<u32>, parts: u32, text: &str) {
    let address = Bytes::copy_from_slice(&job.to_be_bytes());
    match (dialect, partial) {
        (Some(dialect), Some(_)) => bench.reply(1, dialect, &address, Part::Partial, text),
        (Some(dialect), None) => bench.reply(1, dialect, &address, Part::Final, text),
        (None, Some(number)) => bench.native_partial(1, JobNumber(job), number, text),
        (None, None) => bench.native_final(1, JobNumber(job), parts, text),
    }
}

fn heard(bench: &mut Bench, dialect: Option<Dialect>) -> Vec<String> {
    match dialect {
        Some(dialect) => bench.texts(9, dialect),
        None => bench.native_lines(9),
    }
}

#[test]
fn every_client_is_answered_by_every_worker_as_the_table_says() {
    for client in DIALECTS {
        // Nobody writes workers in majortomo's form.
        for worker in DIALECTS.into_iter().filter(|worker| *worker != Some(Dialect::V02Majortomo)) {
            let row = row(client);
            let pairing = format!("client {client:?}, worker {worker:?}");
            let mut bench = Bench::new(Config::default());
            worker_comes(&mut bench, worker);

            client_asks(&mut bench, client);
            let number = job(&mut bench, worker, client);
            worker_says(&mut bench, worker, number, None, 0, "answer");
            assert_eq!(heard(&mut bench, client), row.whole, "{pairing}");

            if worker.is_none_or(Dialect::streams) {
                client_asks(&mut bench, client);
                let number = job(&mut bench, worker, client);
                worker_says(&mut bench, worker, number, Some(0), 0, "p0");
                worker_says(&mut bench, worker, number, Some(1), 0, "p1");
                worker_says(&mut bench, worker, number, None, 2, "end");
                assert_eq!(heard(&mut bench, client), row.parts, "{pairing}, in parts");
            }
            assert_eq!((bench.broker.workers(), bench.broker.counters().faults), (1, 0), "{pairing}");
        }
    }
}

#[test]
fn the_error_of_a_03_worker_reaches_every_client() {
    for client in DIALECTS {
        let mut bench = Bench::new(Config::default());
        worker_comes(&mut bench, None);
        client_asks(&mut bench, client);
        let job = JobNumber(job(&mut bench, None, client));
        let said = v03::FromWorker::Final { job, outcome: status(500, "it broke"), body: body("details") };
        bench.native_say(1, said);
        assert_eq!(heard(&mut bench, client), row(client).error, "{client:?}");
    }
}

#[test]
fn an_error_takes_the_place_of_the_parts_that_were_kept_for_a_01_client() {
    let mut bench = Bench::new(Config::default());
    worker_comes(&mut bench, None);
    client_asks(&mut bench, Some(Dialect::V01));
    let job = JobNumber(job(&mut bench, None, Some(Dialect::V01)));
    bench.native_partial(1, job, 0, "p0");
    let outcome = v03::Outcome { parts: 1, ..status(418, "") };
    bench.native_say(1, v03::FromWorker::Final { job, outcome, body: Frames::new() });
    assert_eq!(bench.texts(9, Dialect::V01), ["418 bad request"], "the words of its hundred, without a reason");
}

#[test]
fn a_refusal_is_told_in_every_dialect() {
    for client in DIALECTS {
        let mut bench = Bench::with_policy(|policy| policy.no_worker = NoWorker::Refuse);
        client_asks(&mut bench, client);
        assert_eq!(heard(&mut bench, client), [row(client).refused], "{client:?}");
    }
}

#[test]
fn mmi_answers_a_03_client_with_200_and_the_body_of_every_dialect() {
    let mut bench = Bench::new(Config::default());
    bench.native_worker(1, 1, &["echo"]);
    for (number, service, code) in [(1, "echo", "200"), (2, "other", "404")] {
        bench.native_request(9, number, "mmi.service", service);
        assert_eq!(bench.native_lines(9), [format!("F 0 200 -: {code}")]);
    }
}

#[test]
fn what_is_passed_on_reaches_03_peers_and_endpoints_of_a_worker_do_not() {
    let mut bench = Bench::new(Config::default());
    bench.native_worker(1, 1, &["echo"]);
    let passed_on = v03::Options::build().with(kind::TRACESTATE, *b"a=1").with(0xb0, [1, 2]).finish().unwrap();
    let terms = v03::Terms { passed_on: passed_on.clone(), ..v03::Terms::default() };
    bench.native_request_with(9, 1, "echo", "x", terms);
    let request = bench.native_job(1);
    assert_eq!(request.options, passed_on);
    let options = v03::Options::build().reason("busy").retry_after(seconds(1)).endpoints(["tcp://evil:1"]);
    let options = options.with(0xb1, [3]).finish().unwrap();
    let outcome = v03::Outcome { parts: 0, status: v03::Status::DRAINING, options };
    bench.native_say(1, v03::FromWorker::Final { job: request.job, outcome, body: Frames::new() });
    let options = v03::Options::build().reason("busy").retry_after(seconds(1)).with(0xb1, [3]).finish().unwrap();
    let outcome = v03::Outcome { parts: 0, status: v03::Status::DRAINING, options };
    assert_eq!(bench.native_replies(9), [v03::ToClient::Final { id: id(1), outcome, body: Frames::new() }]);
}

#[test]
fn a_body_of_more_frames_than_an_old_reply_holds_ends_with_502_and_the_worker_keeps_its_place() {
    let mut bench = Bench::new(Config { error_replies: crate::ErrorReplies::StatusFrame, ..Config::default() });
    worker_comes(&mut bench, None);
    for (frames, expected) in [(1000, "x"), (1023, "502 the answer is too large for one message to its client")] {
        client_asks(&mut bench, Some(Dialect::V01));
        let job = JobNumber(job(&mut bench, None, Some(Dialect::V01)));
        let body: Frames = (0..frames).map(|_| Bytes::from_static(b"x")).collect();
        bench.native_say(1, v03::FromWorker::Final { job, outcome: v03::Outcome::OK, body });
        let told = bench.texts(9, Dialect::V01).remove(0);
        assert!(told.starts_with(expected), "{frames} frames: {told}");
    }
    assert_eq!(bench.broker.workers(), 1);
}
