//! What becomes too old: requests that nobody answers, answers that nobody closes, ids that nobody repeats.
//!
//! Unless told otherwise the first two never do, as RFC 9 has it: what was acknowledged is kept until it is closed.

use std::time::Duration;

use protocol::Instant;

use super::ages::Ages;
use super::services::{is_open, principal};
use super::{Event, Store};
use crate::log::{Entry, Id, Region, State};

impl<R: Region> Store<R> {
    pub(super) fn expire(&mut self) {
        let now = self.wall_ms();
        while let Some(id) = pop(&mut self.open_ages, self.config.request_ttl, now) {
            self.expire_request(id);
        }
        while let Some(id) = pop(&mut self.answer_ages, self.config.answer_ttl, now) {
            self.expire_answer(id);
        }
        while let Some(id) = pop(&mut self.closed_ages, Some(self.config.memory), now) {
            if self.log.find(&id).copied().is_some_and(|entry| self.changed_before(id, &entry, State::Closed, now)) {
                self.log.forget(&id);
            }
        }
    }

    /// A request that is not answered in time is not forgotten: it is given up, for somebody to look at.
    fn expire_request(&mut self, id: Id) {
        let Some(entry) = self.log.find(&id).copied().filter(|entry| is_open(Some(entry))) else { return };
        let Some(note) = self.note(id, principal(&entry)) else { return };
        let ttl = self.config.request_ttl.map_or(u64::MAX, millis);
        if note.submitted_ms.saturating_add(ttl) > self.wall_ms() {
            return self.open_ages.push(note.submitted_ms, id);
        }
        self.withdraw_call(id);
        let attempts = entry.latest().and_then(|at| self.note(id, Some(at))).map_or(0, |attempt| attempt.attempts);
        let service = note.service.clone();
        self.bury(id, service.as_ref(), &super::note::Note { attempts, ..note }, "not answered in time");
    }

    fn expire_answer(&mut self, id: Id) {
        let Some(entry) = self.log.find(&id).copied().filter(|entry| entry.state() == State::Answered) else { return };
        let Some(note) = self.note(id, principal(&entry)) else { return };
        let ttl = self.config.answer_ttl.map_or(u64::MAX, millis);
        if note.changed_ms.saturating_add(ttl) > self.wall_ms() {
            return self.answer_ages.push(note.changed_ms, id);
        }
        match self.close(id) {
            Ok(_) => self.event(Event::Expired { id }),
            // No room even for that: once more after as long again.
            Err(_) => self.answer_ages.push(self.wall_ms(), id),
        }
    }

    fn changed_before(&self, id: Id, entry: &Entry, state: State, now_ms: u64) -> bool {
        let memory = millis(self.config.memory);
        let note = (entry.state() == state).then(|| self.note(id, principal(entry)));
        note.is_some_and(|note| note.is_none_or(|note| note.submitted_ms.saturating_add(memory) <= now_ms))
    }

    /// Keeps what is remembered within its limit.
    pub(super) fn forget_the_oldest(&mut self) {
        let remembered_max = self.config.remembered_max as u64;
        while self.log.count(State::Closed) > remembered_max {
            let Some(id) = self.closed_ages.pop() else { return };
            self.log.forget(&id);
        }
    }

    /// Most of what is in line has come to another end.
    pub(super) fn sweep(&mut self) {
        let log = &self.log;
        let open = log.count(State::Open) + log.count(State::Attempted);
        if self.open_ages.is_stale(open) {
            self.open_ages.sweep(|id| is_open(log.find(id)));
        }
        let in_state = |id: &Id, state| log.find(id).is_some_and(|entry| entry.state() == state);
        if self.answer_ages.is_stale(log.count(State::Answered)) {
            self.answer_ages.sweep(|id| in_state(id, State::Answered));
        }
        if self.closed_ages.is_stale(log.count(State::Closed)) {
            self.closed_ages.sweep(|id| in_state(id, State::Closed));
        }
    }

    /// When the next of them becomes too old.
    pub(super) fn expiry(&self) -> Option<Instant> {
        let of = |ages: &Ages, ttl: Option<Duration>| Some(ages.first_ms()?.saturating_add(millis(ttl?)));
        let first = [
            of(&self.open_ages, self.config.request_ttl),
            of(&self.answer_ages, self.config.answer_ttl),
            of(&self.closed_ages, Some(self.config.memory)),
        ];
        let first_ms = first.into_iter().flatten().min()?;
        Some(Instant::from_millis(first_ms.saturating_sub(self.origin_ms)))
    }
}

fn pop(ages: &mut Ages, ttl: Option<Duration>, now_ms: u64) -> Option<Id> {
    ages.pop_until(now_ms.checked_sub(millis(ttl?))?)
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
