//! One request under way.

use protocol::mdp::client::Request;
use protocol::mutants::{self, Mutant};
use protocol::{Frames, Instant, ServiceName};

use super::config::{Config, Correlation};
use crate::number::Number;
use crate::patience::Patience;

/// A request under way.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) service: ServiceName,
    pub(super) body: Frames,
    pub(super) patience: Patience,
    pub(super) attempt: u8,
    pub(super) started: Instant,
    pub(super) deadline: Instant,
    /// Whether it has ever been sent.
    pub(super) connected: bool,
    /// The attempt whose parts the caller holds; parts of other ones are dropped.
    pub(super) taken: Option<u8>,
    /// Attempts of this connection that were answered in parts of which some were dropped: what still comes of them has
    /// a hole, and parts are not numbered. One entry an attempt at most.
    pub(super) holed: Vec<u8>,
}

impl Flight {
    /// Whether a part, or the whole, of an attempt can be handed over; if not, nothing of that attempt can be later.
    pub(super) fn takes(&mut self, attempt: u8) -> bool {
        if mutants::on(Mutant::MixAttempts) {
            return true;
        }
        if self.holed.contains(&attempt) {
            return false;
        }
        let other = self.taken.is_some_and(|taken| taken != attempt);
        if other {
            self.holed.push(attempt);
        }
        !other
    }

    /// Forgets the parts that the caller holds; whether there were any.
    pub(super) fn void_parts(&mut self) -> bool {
        self.holed.extend(self.taken);
        self.taken.take().is_some() && !mutants::on(Mutant::TellNoRestart)
    }

    /// The request as it is sent now.
    pub(super) fn message(&mut self, config: &Config, number: Number) -> Frames {
        self.connected = true;
        let envelope = match config.correlation {
            Correlation::Envelope => number.envelope(self.attempt),
            Correlation::OneAtATime => Frames::new(),
        };
        Request::new(config.dialect, envelope, self.service.clone(), self.body.clone()).encode()
    }
}
