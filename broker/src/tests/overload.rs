//! What is too large, too much at once, or looked for too often: nobody is lost or stalled by it.

use protocol::mdp::v03::{FromClient, FromWorker, JobNumber, Outcome, Terms, ToWorker, client};

use super::v03_peers::{by, id};
use super::*;

const W: Dialect = Dialect::V01;
const TOO_LARGE: &str = "F 0 400 the request is too large for one message to a worker: ";

fn config(change: impl FnOnce(&mut crate::Limits)) -> Config {
    let mut config = Config::default();
    change(&mut config.limits);
    config
}

fn octets(count: usize) -> String {
    "x".repeat(count)
}

#[test]
fn a_request_that_no_message_to_a_worker_can_hold_is_refused_and_no_worker_is_lost_by_it() {
    let mut bench = Bench::new(config(|limits| limits.message_bytes_max = 1000));
    bench.native_worker(1, 9, &["echo"]);
    bench.connect(9);
    let room = 1000 - "MDPW03".len() - 1 - 8 - 1 - 4 - 16 - 1 - "echo".len();
    bench.sent_to(1);
    bench.ask(9, 1, &octets(room), Terms::default());
    let sent = bench.sent_to(1);
    assert_eq!((sent.len(), sent[0].byte_count()), (1, 1000));
    bench.ask(9, 2, &octets(room + 1), Terms::default());
    assert_eq!((bench.native_lines(9), bench.sent_to(1)), (vec![TOO_LARGE.to_owned()], vec![]));
    bench.request(8, W, "echo", &octets(room + 1));
    assert_eq!((bench.broker.in_flight(), bench.broker.queued_requests(), bench.sent_to(1)), (1, 0, vec![]));
}

#[test]
fn frames_of_a_request_leave_room_for_those_around_them() {
    let mut bench = Bench::new(Config::default());
    bench.worker(1, W, "echo");
    bench.connect(9);
    let ask = |bench: &mut Bench, number: u8, frames: usize| {
        let body = vec![Bytes::from_static(b"x"); frames].into();
        let request = client::Request { id: id(number), service: name("echo"), terms: Terms::default(), body };
        bench.message(9, FromClient::Request(request).encode());
    };
    ask(&mut bench, 1, 1020);
    assert_eq!((bench.native_lines(9), bench.sent_to(1)), (vec![TOO_LARGE.to_owned()], vec![]));
    ask(&mut bench, 2, 1019);
    let sent = bench.sent_to(1);
    assert_eq!((sent.len(), sent[0].len()), (1, protocol::limits::FRAMES_PER_MESSAGE_MAX));
}

#[test]
fn an_answer_that_no_message_to_its_client_can_hold_ends_with_502_and_the_worker_keeps_its_place() {
    let lost = |parts: u32| format!("F {parts} 502 the answer is too large for one message to its client: ");
    let mut bench = Bench::new(config(|limits| limits.message_bytes_max = 1000));
    bench.native_worker(1, 9, &["echo"]);
    bench.connect(9);
    let asked = |bench: &mut Bench, number| {
        bench.ask(9, number, "a", Terms::default());
        bench.native_job(1).job
    };
    let (head, part_head) = (7 + 16 + 4 + 2, 7 + 16 + 4);
    let job = asked(&mut bench, 1);
    bench.native_final(1, job, 0, &octets(1000 - head));
    let told = bench.sent_to(9);
    assert_eq!((told.len(), told[0].byte_count()), (1, 1000));
    let job = asked(&mut bench, 2);
    bench.native_final(1, job, 0, &octets(1000 - head + 1));
    assert_eq!(bench.native_lines(9), [lost(0)]);
    let job = asked(&mut bench, 3);
    bench.native_partial(1, job, 0, &octets(1000 - part_head));
    bench.native_partial(1, job, 1, &octets(1000 - part_head + 1));
    assert_eq!(bench.native_lines(9)[1..], [lost(1)]);
    assert_eq!(bench.native_commands(1), [ToWorker::Cancel(job)]);
    bench.native_final(1, job, 2, "end");
    assert_eq!((bench.broker.workers(), bench.broker.in_flight(), bench.native_lines(9)), (1, 0, vec![]));
}

#[test]
fn worker_bytes_max_is_met_one_request_passes_it_and_each_answer_makes_room() {
    let mut bench = Bench::new(config(|limits| limits.worker_bytes_max = 1000));
    bench.connect(9);
    for number in 1..=5 {
        bench.ask(9, number, &octets(500), Terms::default());
    }
    bench.native_worker(1, 9, &["echo"]);
    let jobs: Vec<JobNumber> = bench.native_jobs(1).iter().map(|request| request.job).collect();
    assert_eq!(jobs.len(), 2, "less than a thousand octets, and then more");
    bench.cancel(9, 1);
    assert_eq!(bench.native_jobs(1), [], "whoever works is not free");
    bench.native_final(1, jobs[0], 0, "a");
    assert_eq!(bench.native_jobs(1).len(), 1);
    bench.native_say(1, FromWorker::Credit(99));
    assert_eq!(bench.native_jobs(1), []);
    bench.native_worker(2, 9, &["echo"]);
    assert_eq!(bench.native_jobs(2).len(), 2, "another has room of its own");
}

#[test]
fn deadlines_however_short_make_nobody_look_through_a_long_queue_all_the_time() {
    const WAITING: u32 = 5000;
    let mut bench = Bench::new(Config::default());
    bench.connect(8);
    for _ in 0..WAITING {
        bench.request(8, W, "echo", "x");
    }
    bench.connect(9);
    let mut looks = 0;
    for _ in 0..1000 {
        bench.ask(9, 1, "x", by(1));
        let end = bench.now + Duration::from_millis(1);
        while let Some(deadline) = bench.broker.deadline().filter(|deadline| *deadline <= end) {
            bench.now = deadline;
            bench.broker.tick(deadline);
            looks += 1;
        }
        bench.now = end;
    }
    assert!((100..=200).contains(&looks), "{looks} looks through {WAITING} requests in a second");
    assert_eq!(bench.broker.queued_requests(), WAITING as usize + 1);
    bench.pass(Duration::from_millis(10));
    assert_eq!(bench.broker.queued_requests(), WAITING as usize);
    let told = bench.native_lines(9);
    assert_eq!(told.len(), looks + 1, "each that was taken was told its end once: {told:?}");
}

#[test]
fn a_final_of_more_than_its_client_takes_is_forgotten_and_may_be_asked_for_again() {
    let mut bench = Bench::new(config(|limits| limits.message_bytes_max = 100));
    bench.native_worker(1, 9, &["echo"]);
    bench.native_request(9, 1, "echo", "a");
    let job = bench.native_job(1).job;
    bench.native_say(1, FromWorker::Final { job, outcome: Outcome::OK, body: [octets(90)].into() });
    bench.native_request(9, 1, "echo", "a");
    assert_eq!(bench.native_jobs(1).len(), 1);
}
