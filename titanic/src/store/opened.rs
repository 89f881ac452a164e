//! What a log that was opened means to the store.

use protocol::mutants::{self, Mutant};

use super::note::Note;
use super::services::principal;
use super::{Event, Store};
use crate::log::{Entry, Id, Region, State};

impl<R: Region> Store<R> {
    /// Takes in every id that the log knows. What was under way when the last run ended is called again.
    pub(super) fn take_in(&mut self) {
        for (id, entry) in self.log.entries() {
            match self.note(id, principal(&entry)) {
                Some(note) => self.take_in_one(id, &entry, &note),
                None => self.event(Event::Damaged { id }),
            }
        }
        for ages in [&mut self.open_ages, &mut self.answer_ages, &mut self.closed_ages] {
            ages.sort();
        }
        self.forget_the_oldest();
    }

    fn take_in_one(&mut self, id: Id, entry: &Entry, note: &Note) {
        match (entry.state(), &note.service) {
            (State::Open | State::Attempted, Some(service)) => {
                self.lanes.enter(service);
                if !mutants::on(Mutant::ForgetOpenAtStart) {
                    self.lanes.offer(service, id);
                }
                if self.config.request_ttl.is_some() {
                    self.open_ages.push_unsorted(note.submitted_ms, id);
                }
            }
            (State::Open | State::Attempted, None) => self.event(Event::Damaged { id }),
            (State::Dead, _) if mutants::on(Mutant::LoseDeadLetter) => {}
            (State::Dead, _) => {
                self.dead.insert(id);
            }
            (State::Answered, _) if self.config.answer_ttl.is_some() => {
                self.answer_ages.push_unsorted(note.changed_ms, id);
            }
            (State::Answered, _) => {}
            (State::Closed, _) => self.closed_ages.push_unsorted(note.submitted_ms, id),
        }
    }
}
