//! The store with time as numbers: everything that a driver would do is done by hand.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test")]

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use protocol::{Frames, Instant, Machine};

use super::*;
use crate::log::{Geometry, LogId, Memory, Settings, State};

mod acknowledging;
mod calling;
mod ends;
mod random;
mod repeated;

/// A store, and what it has said so far.
struct Rig {
    store: Store<Memory>,
    config: Config,
    now: Instant,
    tickets: u64,
    told: BTreeMap<Ticket, Frames>,
    jobs: Vec<Job>,
    calls: Vec<Asked>,
    looks: Vec<String>,
    abandoned: Vec<CallId>,
    events: Vec<Event>,
    finished: Option<Result<(), Stopped>>,
    /// What the last flush made safe.
    disk: Memory,
}

#[derive(Clone, Debug, PartialEq)]
struct Asked {
    call: CallId,
    id: Id,
    service: String,
    body: Frames,
}

const ORIGIN_MS: u64 = 1_700_000_000_000;

fn settings(chunks: u32) -> Settings {
    let geometry = Geometry::new(512, 8192).unwrap();
    let (capacity_bytes, initial_bytes) = (geometry.file_bytes(chunks), geometry.file_bytes(8));
    Settings { capacity_bytes, initial_bytes, geometry: Some(geometry) }
}

fn id(number: u8) -> Id {
    Id([number; 16])
}

impl Rig {
    fn new() -> Self {
        Self::of(Config::default())
    }

    fn of(config: Config) -> Self {
        let log = Log::create(Memory::new(), LogId([3; 16]), &settings(64), &mut |_| {}).unwrap();
        Self::over(log, config, Instant::ZERO)
    }

    fn over(log: Log<Memory>, config: Config, now: Instant) -> Self {
        let disk = log.region().clone();
        let mut rig = Self {
            store: Store::new(log, config.clone(), ORIGIN_MS),
            config,
            now,
            tickets: 0,
            told: BTreeMap::new(),
            jobs: Vec::new(),
            calls: Vec::new(),
            looks: Vec::new(),
            abandoned: Vec::new(),
            events: Vec::new(),
            finished: None,
            disk,
        };
        rig.drain();
        rig
    }

    /// The same log after a crash in which nothing survived that was not flushed.
    fn crashed(self) -> Self {
        let (log, _) = Log::open(self.disk, &settings(64), &mut |_| {}).unwrap();
        Self { tickets: self.tickets, ..Self::over(log, self.config, self.now) }
    }

    fn handle(&mut self, input: Input) {
        self.store.handle(self.now, input);
        self.drain();
    }

    fn tick(&mut self) {
        self.store.tick(self.now);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.store.poll() {
            match output {
                Output::Tell(ticket, frames) => {
                    let before = self.told.insert(ticket, frames);
                    assert_eq!(before, None, "{ticket:?} is told twice");
                }
                Output::Flush(job) => {
                    assert!(self.jobs.is_empty(), "one flush at a time");
                    self.jobs.push(job);
                }
                Output::Call { call, id, service, body } => {
                    self.calls.push(Asked { call, id, service: service.to_string(), body });
                }
                Output::Abandon(call) => {
                    self.calls.retain(|asked| asked.call != call);
                    self.abandoned.push(call);
                }
                Output::Look(service) => self.looks.push(service.to_string()),
                Output::Event(event) => self.events.push(event),
                Output::Finished(outcome) => {
                    assert_eq!(self.finished.replace(outcome), None);
                }
            }
        }
    }

    fn ask<const N: usize>(&mut self, verb: Verb, frames: [&str; N]) -> Ticket {
        self.ask_as(verb, None, Frames::from(frames.map(str::to_owned)))
    }

    fn ask_as(&mut self, verb: Verb, chosen: Option<Id>, body: Frames) -> Ticket {
        self.tickets += 1;
        let (ticket, fresh) = (Ticket(self.tickets), Id(u128::from(self.tickets).to_be_bytes()));
        self.handle(Input::Asked { ticket, verb, chosen, fresh, body });
        ticket
    }

    /// What is on its way to the disk arrives, and what follows.
    fn flush(&mut self) {
        while let Some(job) = self.jobs.pop() {
            self.disk = self.store.log().region().clone();
            self.handle(Input::Flushed(job));
        }
    }

    /// Somebody serves whatever is asked about.
    fn serve(&mut self) {
        for service in std::mem::take(&mut self.looks) {
            self.handle(Input::Looked(service.parse().unwrap(), Some(true)));
        }
    }

    /// Submits, and has the call that follows.
    fn submit(&mut self, service: &str, body: &str) -> Id {
        let ticket = self.ask(Verb::Request, [service, body]);
        self.flush();
        self.serve();
        read_id(self.status(ticket)[1].as_bytes()).unwrap()
    }

    fn end(&mut self, outcome: Outcome) {
        let call = self.calls.remove(0).call;
        self.handle(Input::Ended(call, outcome));
    }

    fn answer(&mut self, frames: [&'static str; 1]) {
        self.end(Outcome::Answered(frames.into()));
        self.flush();
    }

    fn status(&self, ticket: Ticket) -> Vec<String> {
        texts(self.told.get(&ticket).unwrap_or_else(|| panic!("{ticket:?} is told nothing")))
    }

    /// Asks for something that has its answer at once.
    fn told_at_once<const N: usize>(&mut self, verb: Verb, frames: [&str; N]) -> Vec<String> {
        let ticket = self.ask(verb, frames);
        self.flush();
        self.status(ticket)
    }

    fn reply(&mut self, id: Id) -> Vec<String> {
        self.told_at_once(Verb::Reply, [&id.to_string()])
    }

    fn state(&self, id: Id) -> Option<State> {
        self.store.log().find(&id).map(crate::log::Entry::state)
    }

    fn pass(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some(deadline) = self.store.deadline().filter(|deadline| *deadline <= end) {
            self.now = self.now.max(deadline);
            let before = self.store.deadline();
            self.tick();
            if self.store.deadline() == before {
                break;
            }
        }
        self.now = end;
        self.tick();
    }
}

fn texts(frames: &Frames) -> Vec<String> {
    frames.iter().map(|frame| String::from_utf8_lossy(frame).into_owned()).collect()
}

fn failed(status: u16) -> Outcome {
    Outcome::Failed { status, reason: "no".to_owned(), body: Frames::new() }
}

fn silent() -> Outcome {
    Outcome::Silent { reason: "silence".to_owned() }
}
