//! How a Titanic fares, for whoever watches it.

use crate::log::{Region, State, Usage};
use crate::store::{Counters, Store};

/// How a Titanic fares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Totals since the start.
    pub counters: Counters,
    /// Requests that are neither answered nor given up.
    pub open: u64,
    /// Answers that nobody has closed.
    pub answered: u64,
    /// Requests that were given up.
    pub dead: u64,
    /// Ids that are remembered after their end.
    pub remembered: u64,
    /// What the log takes.
    pub usage: Usage,
}

impl Status {
    pub(super) fn of<R: Region>(store: &Store<R>) -> Self {
        let log = store.log();
        Self {
            counters: store.counters(),
            open: log.count(State::Open) + log.count(State::Attempted),
            answered: log.count(State::Answered),
            dead: log.count(State::Dead),
            remembered: log.count(State::Closed),
            usage: log.usage(),
        }
    }
}
