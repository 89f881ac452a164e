//! What a connection does with each thing its decoder finds.

use std::time::Duration;

use protocol::{Frames, PeerId};

use crate::socket::event::Event;
use crate::socket::inlet::{Allowance, Batch};
use crate::wire::command::{self, Command};
use crate::wire::decoder::Sink;
use crate::wire::fault::Fault;

/// Collects messages into the batch and answers commands.
pub(crate) struct Intake<'a> {
    pub(crate) peer: PeerId,
    pub(crate) allowance: Allowance,
    pub(crate) batch: &'a mut Batch,
    /// Commands to be written.
    pub(crate) control: &'a mut Vec<u8>,
    /// The owner has dismissed this peer: what it still says is dropped.
    pub(crate) discard: bool,
    pub(crate) messages: u64,
    /// The last PING's time to live, if one came.
    pub(crate) ttl: Option<Option<Duration>>,
}

impl Sink for Intake<'_> {
    fn message(&mut self, frames: Frames) {
        self.messages += 1;
        if self.discard {
            return;
        }
        self.batch.bytes += size_of::<Event>() + frames.list_bytes() + frames.byte_count();
        self.batch.events.push(Event::Message { peer: self.peer, frames });
    }

    fn command(&mut self, body: &[u8]) -> Result<(), Fault> {
        match Command::parse(body)? {
            Command::Ping { ttl, context } => {
                self.ttl = Some(ttl);
                command::put_pong(self.control, context);
                Ok(())
            }
            Command::Error(reason) => Err(Fault::Refused(crate::wire::socket_type::printable(reason))),
            Command::Ready(_) => Err(Fault::Unexpected("second READY")),
            Command::Pong | Command::Unknown => Ok(()),
        }
    }

    fn is_full(&self) -> bool {
        let full = self.batch.events.len() >= self.allowance.messages;
        full || self.batch.bytes >= self.allowance.bytes || self.control.len() > CONTROL_BYTES_MAX
    }
}

/// Answers to PINGs that may wait; a peer that asks and does not read is not read either.
pub(crate) const CONTROL_BYTES_MAX: usize = 4096;
