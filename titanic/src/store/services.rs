//! What the services are asked, and what they answer. Status frame first, as RFC 9 has it.
//!
//! | service | question | answer |
//! |---|---|---|
//! | `titanic.request` | service, body… | `200`, id; `400` malformed, or the id is another's; `500` full or failed |
//! | `titanic.reply` | id \[, milliseconds to wait\] | `200`, body…; `300` pending; `400` unknown; `500` given up |
//! | `titanic.close` | id | `200`, also for an id that is not known; `400` malformed |
//! | `titanic.dead` | see `dead` | |
//!
//! The id of a request is the one that its client gave it in MDP 0.3: a submit that is repeated under it is answered
//! with it again, and nothing is stored twice. Other clients get an id that nobody can guess.

use std::time::Duration;

use protocol::mutants::{self, Mutant};
use protocol::{Frames, ServiceName};

use super::note::{Note, digest};
use super::status::{Status, ok, read_id};
use super::{Stage, Store, Then, Ticket, Word};
use crate::log::{Entry, Id, Kind, Location, Lsn, Refused, Region, State};

/// Which of the services is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// `titanic.request`
    Request,
    /// `titanic.reply`
    Reply,
    /// `titanic.close`
    Close,
    /// `titanic.dead`
    Dead,
}

impl Verb {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Request, Self::Reply, Self::Close, Self::Dead];

    /// The service's name.
    pub fn service(self) -> &'static str {
        match self {
            Self::Request => "titanic.request",
            Self::Reply => "titanic.reply",
            Self::Close => "titanic.close",
            Self::Dead => "titanic.dead",
        }
    }
}

impl<R: Region> Store<R> {
    pub(super) fn on_asked(&mut self, ticket: Ticket, verb: Verb, chosen: Option<Id>, fresh: Id, body: Frames) {
        match self.stage {
            Stage::Stopped(stopped) => return self.tell(ticket, Status::Failed.because(stopped)),
            Stage::Finished => return self.tell(ticket, Status::Failed.because("the store has ended")),
            Stage::Running | Stage::Quiet | Stage::Ending => {}
        }
        let refusal = match verb {
            Verb::Request => self.on_request(ticket, chosen, fresh, body),
            Verb::Reply => self.on_reply(ticket, &body),
            Verb::Close => self.on_close(ticket, &body),
            Verb::Dead => self.on_dead(ticket, &body),
        };
        if let Err(refusal) = refusal {
            self.tell(ticket, refusal);
        }
    }

    fn on_request(&mut self, ticket: Ticket, chosen: Option<Id>, fresh: Id, mut body: Frames) -> Result<(), Frames> {
        let name = body.pop_front().ok_or_else(|| Status::Invalid.because("no service"))?;
        let service = ServiceName::new(name).map_err(|fault| Status::Invalid.because(fault))?;
        if body.is_empty() {
            return Err(Status::Invalid.because("no body"));
        }
        let digest = digest(&service, &body);
        let id = chosen.unwrap_or(fresh);
        if let Some(entry) = self.log.find(&id).copied().filter(|_| !mutants::on(Mutant::RunRepeatedSubmit)) {
            if !self.is_forgotten(id, &entry) {
                return self.on_repeated(ticket, id, &entry, digest);
            }
            self.log.forget(&id);
        }
        if !self.lanes.takes(&service) {
            return Err(Status::Failed.because("open requests of too many services"));
        }
        let now = self.wall_ms();
        let (is_chosen, attempts, submitted_ms) = (chosen.is_some(), 0, now);
        let note = Note {
            is_chosen,
            digest,
            attempts,
            submitted_ms,
            changed_ms: now,
            service: Some(service.clone()),
            frames: body,
        };
        let lsn = self.append(Kind::Request, id, &note).map_err(refusal)?;
        self.counters.submitted += 1;
        let service = self.lanes.enter(&service);
        if self.config.request_ttl.is_some() {
            self.open_ages.push(now, id);
        }
        self.once_safe(lsn, Then::Tell(ticket, Word::Taken(id)));
        self.once_safe(lsn, Then::Offer(id, service));
        Ok(())
    }

    /// A client asks again under the id of an earlier request.
    fn on_repeated(&mut self, ticket: Ticket, id: Id, entry: &Entry, digest: u32) -> Result<(), Frames> {
        let note = self.note(id, principal(entry)).ok_or_else(damaged)?;
        if note.digest != digest {
            return Err(Status::Invalid.because("the id is another request's"));
        }
        self.once_safe(latest(entry), Then::Tell(ticket, Word::Taken(id)));
        Ok(())
    }

    /// Whether the id was closed so long ago that it may begin another life.
    fn is_forgotten(&self, id: Id, entry: &Entry) -> bool {
        let memory = super::expiry::millis(self.config.memory);
        entry.state() == State::Closed
            && self
                .note(id, principal(entry))
                .is_none_or(|note| note.submitted_ms.saturating_add(memory) <= self.wall_ms())
    }

    fn on_reply(&mut self, ticket: Ticket, body: &Frames) -> Result<(), Frames> {
        let (id, wait) = match &**body {
            [id] => (read_id(id), Some(Duration::ZERO)),
            [id, wait] => (read_id(id), read_wait(wait)),
            _ => (None, None),
        };
        let id = id.ok_or_else(|| Status::Invalid.because("not an id"))?;
        let wait = wait.ok_or_else(|| Status::Invalid.because("not a number of milliseconds"))?;
        self.reply(ticket, id, wait.min(self.config.wait_max));
        Ok(())
    }

    /// Answers with what is known of an id, now or within `wait`.
    pub(super) fn reply(&mut self, ticket: Ticket, id: Id, wait: Duration) {
        let Some(entry) = self.log.find(&id).copied() else {
            return self.tell(ticket, Status::Invalid.because("unknown id"));
        };
        let lsn = latest(&entry);
        match entry.state() {
            State::Open | State::Attempted => {
                let may_wait = self.stage == Stage::Running && self.waiters.len() < self.config.waiters_max;
                if may_wait && !wait.is_zero() {
                    return self.waiters.add(ticket, id, self.now + wait);
                }
                self.tell(ticket, Status::Pending.because("pending"));
            }
            State::Closed => self.once_safe(lsn, Then::Tell(ticket, Word::Closed)),
            // What is not safe yet is shown to nobody: after a crash there may be another answer.
            State::Answered | State::Dead if !self.is_safe(lsn) && !mutants::on(Mutant::ShowUnsafeAnswer) => {
                self.once_safe(lsn, Then::Reply(ticket, id))
            }
            State::Answered if self.holds(ticket, Then::Reply(ticket, id)) => {}
            State::Answered => {
                let note = self.note(id, entry.latest());
                let answer = note.map_or_else(damaged, |note| Status::Ok.with(note.frames));
                self.tell_read(ticket, answer);
            }
            State::Dead => {
                let reason = self.note(id, entry.latest()).map(|note| super::dead::reason(&note)).unwrap_or_default();
                self.tell(ticket, Status::Failed.because(format_args!("given up: {reason}")));
            }
        }
    }

    fn on_close(&mut self, ticket: Ticket, body: &Frames) -> Result<(), Frames> {
        let id = match &**body {
            [id] => read_id(id),
            _ => None,
        };
        let id = id.ok_or_else(|| Status::Invalid.because("not an id"))?;
        let lsn = self.close(id)?;
        match lsn {
            Some(lsn) if !mutants::on(Mutant::CloseBeforeFlush) => self.once_safe(lsn, Then::Tell(ticket, Word::Done)),
            Some(_) => self.tell(ticket, ok()),
            None => self.once_all_is_safe(Then::Tell(ticket, Word::Done)),
        }
        Ok(())
    }

    /// Forgets a request and its answer. The number under which that is written; `None` for an id that is not known.
    pub(super) fn close(&mut self, id: Id) -> Result<Option<Lsn>, Frames> {
        let Some(entry) = self.log.find(&id).copied() else { return Ok(None) };
        if entry.state() == State::Closed {
            return Ok(Some(latest(&entry)));
        }
        let note = self.note(id, principal(&entry));
        let closing = note
            .as_ref()
            .filter(|note| note.is_chosen)
            .map(|note| Note { service: None, ..note.followed_by(self.wall_ms(), Frames::new()) });
        self.scratch.clear();
        if let Some(closing) = &closing {
            closing.encode(&mut self.scratch);
        }
        let lsn = self.append_scratch(Kind::Closed, id).map_err(refusal)?;
        self.counters.closed += 1;
        match entry.state() {
            State::Dead => {
                self.dead.remove(&id);
            }
            State::Open | State::Attempted => {
                self.withdraw_call(id);
                if let Some(service) = note.and_then(|note| note.service) {
                    self.end_open(&service);
                }
            }
            State::Answered | State::Closed => {}
        }
        if let Some(closing) = closing {
            self.closed_ages.push(closing.submitted_ms, id);
            self.forget_the_oldest();
        }
        self.once_safe(lsn, Then::Wake(id));
        Ok(Some(lsn))
    }

    /// A request has come to an end.
    pub(super) fn end_open(&mut self, service: &ServiceName) {
        self.lanes.leave(service);
        let log = &self.log;
        self.lanes.sweep(service, |id| is_open(log.find(id)));
    }

    pub(super) fn append(&mut self, kind: Kind, id: Id, note: &Note) -> Result<Lsn, Refused> {
        self.scratch.clear();
        self.scratch.shrink_to(SCRATCH_BYTES_KEPT);
        note.encode(&mut self.scratch);
        self.append_scratch(kind, id)
    }

    fn append_scratch(&mut self, kind: Kind, id: Id) -> Result<Lsn, Refused> {
        let appended = self.log.append(kind, id, &self.scratch);
        self.counters.refused += u64::from(appended.is_err());
        appended
    }

    pub(super) fn note(&self, id: Id, at: Option<Location>) -> Option<Note> {
        Note::decode(&self.log.read(&id, at?).ok()?)
    }
}

pub(super) fn is_open(entry: Option<&Entry>) -> bool {
    entry.is_some_and(|entry| matches!(entry.state(), State::Open | State::Attempted))
}

/// The record that says what the request was: itself, or what came of it.
pub(super) fn principal(entry: &Entry) -> Option<Location> {
    entry.request().or(entry.latest())
}

/// Under which number the state of an id is written.
pub(super) fn latest(entry: &Entry) -> Lsn {
    let of = |location: Option<Location>| location.map_or(Lsn(0), Location::lsn);
    of(entry.latest()).max(of(entry.request()))
}

/// The log does not take it.
pub(super) fn refusal(refused: Refused) -> Frames {
    match refused {
        Refused::TooLarge { .. } => Status::Invalid.because(refused),
        Refused::Full | Refused::Stopped(_) => Status::Failed.because(refused),
    }
}

pub(super) fn damaged() -> Frames {
    Status::Failed.because("the record is damaged")
}

/// Decimal digits: milliseconds.
fn read_wait(text: &[u8]) -> Option<Duration> {
    let digits = (1..=12).contains(&text.len()) && text.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(text).ok().filter(|_| digits)?;
    text.parse().ok().map(Duration::from_millis)
}

/// What stays allocated between two records; a large body needs more for once.
const SCRATCH_BYTES_KEPT: usize = 64 << 10;
