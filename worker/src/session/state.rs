//! Where a session stands, for whoever watches it: simulators and tests count what they have visited.

use super::{Link, Phase, Session};

/// Where a session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// No socket before a delay is over.
    Waiting,
    /// A socket without connection.
    Opening,
    /// Connected; READY waits until a job of an earlier connection is done.
    Holding,
    /// Registered, no job.
    Registered,
    /// Registered, with jobs.
    Busy,
    /// No socket, and none to come.
    Down,
    /// It was told to end and finishes its jobs.
    Ending,
    /// It has ended.
    Ended,
    /// READY of 0.3 is sent, and nothing heard yet.
    Announced,
    /// The broker of 0.3 gives it no more and waits for the end of its jobs.
    Draining,
}

impl Session {
    /// Where it stands now.
    pub fn state(&self) -> State {
        match (&self.phase, &self.link) {
            (Phase::Ended, _) => State::Ended,
            (Phase::Ending { .. }, _) => State::Ending,
            (Phase::Serving, Link::Waiting { .. }) => State::Waiting,
            (Phase::Serving, Link::Opening { .. }) => State::Opening,
            (Phase::Serving, Link::Holding) => State::Holding,
            (Phase::Serving, Link::Registered(up)) if self.speech.is_native() && up.interval.is_none() => {
                State::Announced
            }
            (Phase::Serving, Link::Registered(up)) if up.is_drained => State::Draining,
            (Phase::Serving, Link::Registered(_)) if self.jobs.is_empty() => State::Registered,
            (Phase::Serving, Link::Registered(_)) => State::Busy,
            (Phase::Serving, Link::Down) => State::Down,
        }
    }
}
