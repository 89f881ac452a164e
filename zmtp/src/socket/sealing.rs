//! Encryption between a connection's queue and its socket: one batch of octets at a time, and how far it has come.

use crate::security::curve::Outbound;
use crate::socket::budget::Charge;
use crate::wire::fault::Fault;
use crate::wire::outbox::{Cursor, Outbox};

/// The state of encryption.
#[derive(Debug)]
pub(crate) struct Sealing {
    outbound: Outbound,
    /// Encrypted octets are a copy, which the queue does not count.
    charge: Charge,
    /// Where in the flight the batch began that is being written, and where it ends.
    began: Cursor,
    ends: Cursor,
}

impl Sealing {
    pub(crate) fn new(outbound: Outbound, charge: Charge) -> Self {
        Self { outbound, charge, began: Cursor::default(), ends: Cursor::default() }
    }

    /// Encrypts the next batch of the flight; true when that was the last.
    pub(crate) fn seal(&mut self, flight: &Outbox) -> bool {
        self.began = self.ends;
        self.ends = self.outbound.seal(flight, self.began);
        self.charge.set(self.outbound.held_bytes());
        flight.next_frame(&mut self.ends.clone()).is_none()
    }

    /// Encrypts commands, between two flights.
    pub(crate) fn seal_commands(&mut self, commands: &[u8]) -> Result<(), Fault> {
        self.began = self.ends;
        self.outbound.seal_commands(commands)
    }

    /// Another flight begins.
    pub(crate) fn start(&mut self) {
        (self.began, self.ends) = (Cursor::default(), Cursor::default());
    }

    /// How far the peer's socket has taken the flight: up to the last frame that was written as a whole.
    pub(crate) fn written_to(&self, flight: &Outbox) -> Cursor {
        self.outbound.written_to(flight, self.began)
    }

    pub(crate) fn unwritten(&self) -> &[u8] {
        self.outbound.unwritten()
    }

    pub(crate) fn advance(&mut self, written: usize) {
        self.outbound.advance(written);
    }

    pub(crate) fn is_written(&self) -> bool {
        self.outbound.is_written()
    }

    /// Gives back what an idle connection does not need.
    pub(crate) fn release(&mut self) {
        self.outbound.release();
        self.charge.set(self.outbound.held_bytes());
    }
}
