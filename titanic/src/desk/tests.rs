//! The desk at a broker that is played by hand: its words on both sides, and the order of the end.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test")]

use protocol::mdp::v03::notice::Drain;
use protocol::mdp::v03::{FromClient, FromWorker, JobNumber, Outcome, Status, ToClient, ToWorker, worker};

use super::*;
use crate::log::{LogId, Memory, Settings};
use crate::store::Config;

struct Rig {
    desk: Desk<Memory>,
    now: Instant,
    /// What was answered as a worker: the number of the job, and its frames.
    answers: Vec<(u64, Vec<String>)>,
    worker: Vec<FromWorker>,
    client: Vec<FromClient>,
    jobs: Vec<Job>,
    opened: Vec<Side>,
    finished: Option<Result<(), Stopped>>,
}

impl Rig {
    /// Connected on both sides, and registered.
    fn new() -> Self {
        let log = Log::create(Memory::new(), LogId([3; 16]), &Settings::default(), &mut |_| {}).unwrap();
        let mut number = 0;
        let fresh = Box::new(move || {
            number += 1;
            Id([number; 16])
        });
        let desk = Desk::new(log, Config { attempts_max: 1, ..Config::default() }, 1 << 40, Chance::default(), fresh);
        let (answers, worker, client, jobs) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (opened, finished) = (Vec::new(), None);
        let mut rig = Self { desk, now: Instant::ZERO, answers, worker, client, jobs, opened, finished };
        rig.drain();
        assert_eq!(rig.opened, [Side::Worker, Side::Client]);
        for side in [Side::Worker, Side::Client] {
            rig.handle(Input::Connected(side));
        }
        rig.tell(ToWorker::Heartbeat(Duration::from_secs(2)));
        rig.handle(Input::Message(Side::Client, ToClient::Heartbeat.encode()));
        let ready = rig.worker.remove(0);
        assert!(matches!(&ready, FromWorker::Ready(ready) if ready.offers.len() == 4), "{ready:?}");
        rig.client.clear();
        rig
    }

    fn handle(&mut self, input: Input) {
        self.desk.handle(self.now, input);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.desk.poll() {
            match output {
                Output::Open(side, _) => self.opened.push(side),
                Output::Close(_) | Output::Event(_) => {}
                Output::Send(Side::Worker, frames) => match FromWorker::decode(frames).unwrap() {
                    FromWorker::Final { job, body, .. } => self.answers.push((job.0, texts(&body))),
                    said => self.worker.push(said),
                },
                Output::Send(Side::Client, frames) => self.client.push(FromClient::decode(frames).unwrap()),
                Output::Flush { job, .. } => self.jobs.push(job),
                Output::Finished(outcome) => assert_eq!(self.finished.replace(outcome), None),
            }
        }
    }

    fn tell(&mut self, said: ToWorker) {
        self.handle(Input::Message(Side::Worker, said.encode()));
    }

    fn ask<const N: usize>(&mut self, job: u64, verb: Verb, body: [&str; N]) {
        let request = request(job, verb, Frames::from(body.map(str::to_owned)));
        self.tell(ToWorker::Request(request));
    }

    /// What is on its way to the disk arrives, and what follows.
    fn flush(&mut self) {
        while let Some(job) = self.jobs.pop() {
            self.handle(Input::Flushed(job));
        }
    }

    /// The one request that was made as a client.
    fn asked(&mut self) -> (RequestId, String, Vec<String>) {
        match self.client.remove(0) {
            FromClient::Request(request) => (request.id, request.service.to_string(), texts(&request.body)),
            said => panic!("{said:?}"),
        }
    }

    fn answer(&mut self, id: RequestId, status: Status, body: [&'static str; 1]) {
        let outcome = Outcome { parts: 0, status, options: Options::none() };
        self.handle(Input::Message(Side::Client, ToClient::Final { id, outcome, body: body.into() }.encode()));
    }
}

fn request(job: u64, verb: Verb, body: Frames) -> worker::Request {
    let (job, service, options) = (JobNumber(job), verb.service().parse().unwrap(), Options::none());
    worker::Request { job, attempt: 1, remaining: None, id: None, service, options, body }
}

fn texts(frames: &Frames) -> Vec<String> {
    frames.iter().map(|frame| String::from_utf8_lossy(frame).into_owned()).collect()
}

#[test]
fn a_request_is_acknowledged_after_its_flush_called_under_its_id_and_answered() {
    let mut rig = Rig::new();
    rig.ask(1, Verb::Request, ["echo", "hello"]);
    assert_eq!((rig.answers.len(), rig.jobs.len()), (0, 1));
    rig.flush();
    let id = "01".repeat(16);
    assert_eq!(rig.answers, [(1, vec!["200".to_owned(), id.clone()])]);
    let (look, mmi, body) = rig.asked();
    assert_eq!((mmi.as_str(), body), ("mmi.service", vec!["echo".to_owned()]));
    rig.answer(look, Status::OK, ["200"]);
    assert_eq!(rig.asked(), (RequestId([1; 16]), "echo".to_owned(), vec!["hello".to_owned()]));
    rig.ask(2, Verb::Reply, [&id, "60000"]);
    rig.answer(RequestId([1; 16]), Status::OK, ["there"]);
    assert_eq!(rig.answers.len(), 1, "not before it is safe");
    rig.flush();
    assert_eq!(rig.answers[1], (2, vec!["200".to_owned(), "there".to_owned()]));
}

#[test]
fn all_that_is_heard_in_one_round_shares_one_flush() {
    let mut rig = Rig::new();
    for job in 1..=100 {
        let request = request(job, Verb::Request, ["echo", "hello"].into());
        rig.desk.handle(rig.now, Input::Message(Side::Worker, ToWorker::Request(request).encode()));
    }
    rig.drain();
    assert_eq!((rig.jobs.len(), rig.desk.store().counters().flushes), (1, 1));
    rig.flush();
    assert_eq!(rig.answers.len(), 100);
}

#[test]
fn a_streamed_answer_is_stored_as_one_and_a_failure_counts() {
    let mut rig = Rig::new();
    rig.ask(1, Verb::Request, ["echo", "hello"]);
    rig.ask(2, Verb::Request, ["echo", "hello"]);
    rig.flush();
    let (look, ..) = rig.asked();
    rig.answer(look, Status::OK, ["200"]);
    let (first, second) = (rig.asked().0, rig.asked().0);
    let part = ToClient::Partial { id: first, part: 0, body: ["one"].into() };
    rig.handle(Input::Message(Side::Client, part.encode()));
    let outcome = Outcome { parts: 1, status: Status::OK, options: Options::none() };
    let last = ToClient::Final { id: first, outcome, body: ["two"].into() };
    rig.handle(Input::Message(Side::Client, last.encode()));
    rig.answer(second, Status::WORKER_FAILED, ["why"]);
    rig.flush();
    rig.answers.clear();
    rig.ask(3, Verb::Reply, [&"01".repeat(16)]);
    rig.ask(4, Verb::Reply, [&"02".repeat(16)]);
    assert_eq!(rig.answers[0], (3, ["200", "one", "two"].map(str::to_owned).to_vec()));
    assert!(rig.answers[1].1[0].starts_with("500 given up"), "{:?}", rig.answers[1]);
}

#[test]
fn who_waits_is_told_when_the_broker_drains_and_the_end_comes_after_the_last_flush() {
    let mut rig = Rig::new();
    rig.ask(1, Verb::Request, ["echo", "hello"]);
    rig.flush();
    rig.ask(2, Verb::Reply, [&"01".repeat(16), "60000"]);
    rig.tell(ToWorker::Drain(Drain { grace: Duration::from_secs(9), service: None, options: Options::none() }));
    assert_eq!(rig.answers[1], (2, vec!["300 pending".to_owned()]));
    rig.ask(3, Verb::Close, [&"01".repeat(16)]);
    rig.handle(Input::Shutdown);
    assert!(rig.worker.iter().any(|said| matches!(said, FromWorker::Drain(_))), "{:?}", rig.worker);
    let farewell = worker::Farewell { status: Status::OK, options: Options::none() };
    rig.flush();
    assert_eq!(rig.answers[2], (3, vec!["200".to_owned()]));
    assert_eq!(rig.finished, None);
    rig.tell(ToWorker::Disconnect(farewell));
    assert_eq!(rig.finished, Some(Ok(())));
}

#[test]
fn when_the_disk_fails_everybody_is_told_before_the_end() {
    let mut rig = Rig::new();
    rig.ask(1, Verb::Request, ["echo", "hello"]);
    rig.handle(Input::FlushFailed(io::ErrorKind::Other));
    assert!(rig.answers[0].1[0].starts_with("500 "), "{:?}", rig.answers);
    rig.ask(2, Verb::Request, ["echo", "hello"]);
    assert!(rig.answers[1].1[0].starts_with("500 "), "{:?}", rig.answers);
    assert_eq!(rig.finished, None);
    rig.tell(ToWorker::Disconnect(worker::Farewell { status: Status::OK, options: Options::none() }));
    assert_eq!(rig.finished, Some(Err(Stopped(io::ErrorKind::Other))));
}

#[test]
fn whoever_insists_waits_for_nobody_but_the_disk() {
    let mut rig = Rig::new();
    rig.ask(1, Verb::Request, ["echo", "hello"]);
    rig.handle(Input::Shutdown);
    rig.handle(Input::Insist);
    assert_eq!(rig.finished, None);
    rig.flush();
    assert_eq!(rig.finished, Some(Ok(())));
}
