//! One request under way.

use protocol::mdp::client::Request;
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
}

impl Flight {
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
