//! What one client waits for in one queue, the most urgent first.
//!
//! ```text
//!   priority 9  ─► [ d ]          a request's place: when it came, less a second for each level of its priority
//!   priority 4  ─► [ a b c ]      whoever has the earliest place is next
//! ```
//!
//! So a higher priority goes first, and a second of waiting is worth a level (docs/rfc/MDP-0.3.md, 7.2): nothing
//! starves, and nobody has to raise a priority as time passes, because the difference of two places never changes. It
//! is among a client's own requests only that priority counts; clients take turns (12).

use std::time::Duration;

use protocol::mutants::{self, Mutant};
use protocol::{Instant, Priority};

use crate::job::Job;
use crate::row::Row;

/// Rows of one client, one for each priority that it uses.
#[derive(Debug, Default)]
pub(crate) struct Lane {
    rows: Vec<(Priority, Row)>,
    pub(crate) weight: usize,
    pub(crate) turn: Turn,
}

/// A client's place in the ring; never given twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Turn(pub(crate) u64);

impl Lane {
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.iter().all(|(_, row)| row.is_empty())
    }

    pub(crate) fn push_back(&mut self, number: u64, job: Job) {
        self.row(job.request.priority).push_back(number, job);
    }

    /// The request whose place is the earliest.
    pub(crate) fn pop_front(&mut self) -> Option<Job> {
        let front = |row: &Row| row.front().map(|(number, job)| (place(job), number));
        let places = self.rows.iter_mut().filter_map(|(_, row)| Some((front(row)?, row)));
        let (_, row) = places.min_by_key(|(place, _)| *place)?;
        row.pop_front()
    }

    /// The request whose place is the last: the newest, among those of one priority.
    pub(crate) fn pop_back(&mut self) -> Option<Job> {
        let places = self.rows.iter_mut().filter_map(|(_, row)| Some((row.back().map(place)?, row)));
        let (_, row) = places.max_by_key(|(place, _)| *place)?;
        row.pop_back()
    }

    pub(crate) fn get_mut(&mut self, priority: Priority, number: u64) -> Option<&mut Job> {
        self.rows.iter_mut().find(|(level, _)| *level == priority)?.1.get_mut(number)
    }

    pub(crate) fn take(&mut self, priority: Priority, number: u64) -> Option<Job> {
        self.rows.iter_mut().find(|(level, _)| *level == priority)?.1.take(number)
    }

    /// Takes what has expired by `now`.
    pub(crate) fn expire(&mut self, now: Instant) -> Vec<Job> {
        self.rows.iter_mut().flat_map(|(_, row)| row.expire(now)).collect()
    }

    /// When the oldest request came: in a row, the first.
    pub(crate) fn first_accepted(&self) -> Option<Instant> {
        self.rows.iter().filter_map(|(_, row)| Some(row.front()?.1.accepted)).min()
    }

    pub(crate) fn first_expiry(&self) -> Option<Instant> {
        self.rows.iter().filter_map(|(_, row)| row.first_expiry()).min()
    }

    #[cfg(test)]
    pub(crate) fn places(&self) -> usize {
        self.rows.iter().map(|(_, row)| row.places()).sum()
    }

    /// Makes an empty lane as good as new, so that the next client needs no memory.
    pub(crate) fn reset(&mut self) {
        self.rows.truncate(1);
        self.rows.iter_mut().for_each(|(_, row)| row.reset());
        (self.weight, self.turn) = (0, Turn::default());
    }

    /// The row of a priority: its own, or an empty one that becomes its own.
    fn row(&mut self, priority: Priority) -> &mut Row {
        let own = self.rows.iter().position(|(level, _)| *level == priority);
        let index = own.or_else(|| self.rows.iter().position(|(_, row)| row.is_empty())).unwrap_or(self.rows.len());
        if index == self.rows.len() {
            self.rows.push((priority, Row::default()));
        }
        let (level, row) = self.rows.get_mut(index).expect("it was found or has just been added");
        *level = priority;
        row
    }
}

/// Where a request stands among others of its client.
fn place(job: &Job) -> Instant {
    let levels = u32::from(Priority::MAX.level() - job.request.priority.level());
    let levels = if mutants::on(Mutant::ForgetPriority) { 0 } else { levels };
    let accepted = if mutants::on(Mutant::ForgetAging) { Instant::ZERO } else { job.accepted };
    accepted + LEVEL * levels
}

/// Waiting that is worth a level of priority.
const LEVEL: Duration = Duration::from_secs(1);
