//! Where a multiplexer stands, for whoever watches it: simulators and tests count what they have visited.

use super::{Link, Multiplex};

/// Where a multiplexer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// No requests; no socket before a delay is over.
    IdleWaiting,
    /// No requests; a socket without connection.
    IdleOpening,
    /// No requests; connected.
    IdleUp,
    /// Requests, and no socket before a delay is over.
    BusyWaiting,
    /// Requests, and a socket without connection.
    BusyOpening,
    /// Requests, and a connection.
    BusyUp,
    /// It has ended.
    Down,
}

impl Multiplex {
    /// Where it stands now.
    pub fn state(&self) -> State {
        match (&self.link, self.in_flight.is_empty()) {
            (Link::Waiting { .. }, true) => State::IdleWaiting,
            (Link::Opening, true) => State::IdleOpening,
            (Link::Up, true) => State::IdleUp,
            (Link::Waiting { .. }, false) => State::BusyWaiting,
            (Link::Opening, false) => State::BusyOpening,
            (Link::Up, false) => State::BusyUp,
            (Link::Down, _) => State::Down,
        }
    }

    /// Requests under way.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Requests that wait for a place.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }
}
