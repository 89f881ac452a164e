//! Calling the real services, and what comes of it.
//!
//! | a call ends with | then |
//! |---|---|
//! | an answer | it is stored; the request is done when that is safe |
//! | a worker's 400 and the like: it makes no sense | the same: a frame of status and reason, then what came with it |
//! | 500, 502 and the like: it failed | it counts; again after a delay that doubles, and given up after so many |
//! | 404, 429, 503: nobody took it | it does not count; again when somebody is there |
//! | 408, or nothing at all | the broker is asked whether the service is served: if so it counts |

use protocol::mutants::{self, Mutant};
use protocol::{Frames, Instant, ServiceName};

use super::lanes::{Next, Turn, Verdict};
use super::note::Note;
use super::services::{is_open, principal};
use super::{Event, Output, Stage, Store, Then};
use crate::log::{Id, Kind, Refused, Region};

/// Which call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub u64);

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The service answered.
    Answered(Frames),
    /// The broker, or a worker, said why there is no answer.
    Failed {
        /// Three digits, as MDP 0.3 has them.
        status: u16,
        /// In words.
        reason: String,
        /// What came with it.
        body: Frames,
    },
    /// Nobody said anything.
    Silent {
        /// What is known.
        reason: String,
    },
}

/// A call under way.
#[derive(Debug)]
pub(super) struct Call {
    id: Id,
    service: ServiceName,
    knocks: bool,
    started: Instant,
    /// The head of its request.
    note: Note,
    /// Octets of what is asked.
    bytes: usize,
}

/// A call of which nobody knows whether it was executed.
#[derive(Debug)]
pub(super) struct Doubt {
    id: Id,
    service: ServiceName,
    note: Note,
    reason: String,
}

impl<R: Region> Store<R> {
    /// Starts what may be started.
    pub(super) fn pump(&mut self) {
        if self.stage != Stage::Running {
            return;
        }
        while let Some(service) = self.lanes.look() {
            self.outputs.push_back(Output::Look(service));
        }
        while self.call_bytes < self.config.call_bytes_max
            && let Some(Next { service, id, knocks }) = self.lanes.next()
        {
            if !self.start(&service, id, knocks) {
                self.lanes.on_end(self.now, &service, knocks, Verdict::Withdrawn);
            }
        }
    }

    /// Whether it could be started: it may have ended while it waited.
    fn start(&mut self, service: &ServiceName, id: Id, knocks: bool) -> bool {
        let Some(entry) = self.log.find(&id).copied().filter(|entry| is_open(Some(entry))) else { return false };
        if self.calling.contains_key(&id) {
            return false;
        }
        let Some(mut note) = self.note(id, principal(&entry)) else {
            self.event(Event::Damaged { id });
            self.bury(id, Some(service), &unreadable(), "its record is damaged");
            return false;
        };
        // How often it failed stands in the last attempt's record; if that is lost it is counted anew.
        note.attempts = entry.latest().and_then(|at| self.note(id, Some(at))).map_or(0, |attempt| attempt.attempts);
        let body = std::mem::take(&mut note.frames);
        let call = CallId(self.next_call);
        self.next_call += 1;
        self.counters.calls += 1;
        let (started, bytes) = (self.now, body.byte_count());
        self.call_bytes += bytes;
        self.calls.insert(call, Call { id, service: service.clone(), knocks, started, note, bytes });
        self.calling.insert(id, call);
        self.outputs.push_back(Output::Call { call, id, service: service.clone(), body });
        true
    }

    pub(super) fn on_ended(&mut self, call: CallId, outcome: Outcome) {
        let Some(call) = self.take_call(call) else { return };
        self.calling.remove(&call.id);
        match outcome {
            Outcome::Answered(frames) => self.on_answer(call, frames),
            Outcome::Silent { reason } => self.on_doubt(call, reason),
            Outcome::Failed { status, reason, body } => match status {
                408 | 499 => self.on_doubt(call, reason),
                404 | 429 | 503 => self.on_unserved(call),
                403 | 409 | 500.. => {
                    self.end_call(&call, Verdict::Served);
                    self.fail(call.id, &call.service, &call.note, &format!("{status} {reason}"));
                }
                _ => {
                    let mut frames = Frames::from([format!("{status} {reason}")]);
                    frames.extend(body);
                    self.on_answer(call, frames);
                }
            },
        }
    }

    fn on_answer(&mut self, call: Call, frames: Frames) {
        self.end_call(&call, Verdict::Served);
        let Call { id, service, note, .. } = call;
        let answer = note.followed_by(self.wall_ms(), frames);
        match self.append(Kind::Answer, id, &answer) {
            Ok(lsn) => {
                self.counters.answered += 1;
                if self.config.answer_ttl.is_some() {
                    self.answer_ages.push(answer.changed_ms, id);
                }
                self.end_open(&service);
                self.once_safe(lsn, Then::Wake(id));
            }
            Err(Refused::TooLarge { .. }) => {
                self.bury(id, Some(&service), &note, "its answer is larger than the log takes");
            }
            Err(Refused::Full) => {
                self.event(Event::AnswerRefused { id });
                self.rest(id, service, 4);
            }
            // Everybody is told when the machine stops; the next start calls again.
            Err(Refused::Stopped(stopped)) => self.stop(stopped),
        }
    }

    /// Nobody was there, or nobody had time.
    fn on_unserved(&mut self, call: Call) {
        self.end_call(&call, self.unserved(&call));
        if call.knocks {
            return self.lanes.offer(&call.service, call.id);
        }
        self.rest(call.id, call.service, 3);
    }

    fn on_doubt(&mut self, call: Call, reason: String) {
        self.end_call(&call, self.unserved(&call));
        let Call { id, service, knocks, note, .. } = call;
        // Who knocks has waited for a worker: none came, or the first thing that it did was to fail.
        if knocks || !self.lanes.is_asking(&service) {
            return self.lanes.offer(&service, id);
        }
        self.doubts.entry(service.clone()).or_default().push(Doubt { id, service, note, reason });
    }

    fn unserved(&self, call: &Call) -> Verdict {
        Verdict::Unserved { late: self.now.since(call.started) * 2 >= self.config.call_timeout }
    }

    pub(super) fn on_looked(&mut self, service: &ServiceName, served: Option<bool>) {
        let turn = self.lanes.on_looked(service, served);
        self.report(service, turn);
        for Doubt { id, service, note, reason } in self.doubts.remove(service).unwrap_or_default() {
            match served {
                Some(true) => self.fail(id, &service, &note, &reason),
                Some(false) => self.lanes.offer(&service, id),
                None => self.rest(id, service, 3),
            }
        }
    }

    /// An attempt failed, and counts.
    fn fail(&mut self, id: Id, service: &ServiceName, note: &Note, reason: &str) {
        if !is_open(self.log.find(&id)) {
            return;
        }
        let attempts = note.attempts.saturating_add(1);
        if attempts >= self.config.attempts_max {
            return self.bury(id, Some(service), &Note { attempts, ..note.clone() }, reason);
        }
        let attempt = Note { attempts, ..note.followed_by(self.wall_ms(), why(reason)) };
        match self.append(Kind::Attempt, id, &attempt) {
            // It is not waited for: an attempt that is forgotten in a crash is made once more.
            Ok(_) | Err(Refused::Full | Refused::TooLarge { .. }) => self.rest(id, service.clone(), attempts),
            Err(Refused::Stopped(stopped)) => self.stop(stopped),
        }
    }

    /// A request is given up.
    pub(super) fn bury(&mut self, id: Id, service: Option<&ServiceName>, note: &Note, reason: &str) {
        let death = Note { service: service.cloned(), ..note.followed_by(self.wall_ms(), why(reason)) };
        match self.append(Kind::Dead, id, &death) {
            Ok(lsn) => {
                self.counters.died += 1;
                self.dead.insert(id);
                if let Some(service) = service.cloned() {
                    self.end_open(&service);
                    let (attempts, reason) = (death.attempts, reason.to_owned());
                    self.event(Event::Died { id, service, attempts, reason });
                }
                self.once_safe(lsn, Then::Wake(id));
            }
            Err(Refused::Full | Refused::TooLarge { .. }) => {
                if let Some(service) = service.cloned() {
                    self.rest(id, service, u32::MAX);
                }
            }
            Err(Refused::Stopped(stopped)) => self.stop(stopped),
        }
    }

    /// Called again after the delay of so many failures.
    fn rest(&mut self, id: Id, service: ServiceName, failures: u32) {
        if mutants::on(Mutant::ForgetToTryAgain) {
            return;
        }
        self.resting.insert((self.now + self.config.backoff(failures), id), service);
    }

    pub(super) fn wake_the_rested(&mut self) {
        while self.resting.first_key_value().is_some_and(|((at, _), _)| *at <= self.now) {
            if let Some(((_, id), service)) = self.resting.pop_first() {
                self.lanes.offer(&service, id);
            }
        }
    }

    /// Its request has come to another end: nobody waits for the call any more.
    pub(super) fn withdraw_call(&mut self, id: Id) {
        if let Some(number) = self.calling.remove(&id) {
            if let Some(call) = self.take_call(number) {
                self.end_call(&call, Verdict::Withdrawn);
            }
            self.outputs.push_back(Output::Abandon(number));
        }
    }

    fn take_call(&mut self, number: CallId) -> Option<Call> {
        let call = self.calls.remove(&number)?;
        self.call_bytes -= call.bytes;
        Some(call)
    }

    fn end_call(&mut self, call: &Call, verdict: Verdict) {
        let turn = self.lanes.on_end(self.now, &call.service, call.knocks, verdict);
        self.report(&call.service, turn);
    }

    fn report(&mut self, service: &ServiceName, turn: Option<Turn>) {
        match turn {
            Some(Turn::Up) => self.event(Event::Up(service.clone())),
            Some(Turn::Down) => self.event(Event::Down(service.clone())),
            None => {}
        }
    }
}

/// A reason as a record keeps it: whoever wrote it may have written a lot.
fn why(reason: &str) -> Frames {
    Frames::from([reason.chars().take(REASON_CHARACTERS_MAX).collect::<String>()])
}

/// What is said of a request that cannot be read.
fn unreadable() -> Note {
    Note {
        is_chosen: true,
        digest: 0,
        attempts: 0,
        submitted_ms: 0,
        changed_ms: 0,
        service: None,
        frames: Frames::new(),
    }
}

const REASON_CHARACTERS_MAX: usize = 500;
