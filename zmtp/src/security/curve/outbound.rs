//! From the octets of a plain connection to those of a CURVE one: what waits in an [`Outbox`] goes through here on its
//! way to the socket, some frames at a time.
//!
//! The outbox keeps what it had until the peer's socket has taken all of it, in case that it must be said again on
//! another connection, with other keys.

use super::message::{OVERHEAD_BYTES, Sealer};
use crate::wire::fault::Fault;
use crate::wire::frame::{self, Head};
use crate::wire::outbox::{Cursor, Outbox};

/// Octets after which no further frame is sealed until these have been written.
const BATCH_BYTES: usize = 64 << 10;
/// The largest buffer that is kept from batch to batch.
const KEPT_BYTES_MAX: usize = 80 << 10;

/// The writing side of a session, and the octets that it has ready.
#[derive(Debug)]
pub struct Outbound {
    sealer: Sealer,
    octets: Vec<u8>,
    written: usize,
}

impl Outbound {
    pub(super) fn new(sealer: Sealer) -> Self {
        Self { sealer, octets: Vec::new(), written: 0 }
    }

    /// What is to be written.
    pub fn unwritten(&self) -> &[u8] {
        self.octets.get(self.written..).unwrap_or_default()
    }

    /// Whether everything was written, and more can be sealed.
    pub fn is_written(&self) -> bool {
        self.written == self.octets.len()
    }

    /// Says that so many more octets were written.
    pub fn advance(&mut self, written: usize) {
        self.written += written;
    }

    /// Memory held, in octets.
    pub fn held_bytes(&self) -> usize {
        self.octets.capacity()
    }

    /// Gives back what an idle connection does not need.
    pub fn release(&mut self) {
        if self.is_written() {
            (self.octets, self.written) = (Vec::new(), 0);
        }
    }

    /// Seals commands, which are whole frames.
    ///
    /// # Errors
    /// When they are not.
    pub fn seal_commands(&mut self, mut frames: &[u8]) -> Result<(), Fault> {
        self.clear();
        while let Some(head) = Head::parse(frames)? {
            let size = usize::try_from(head.size).map_err(|_| Fault::CommandBytes(head.size))?;
            let whole = frames.get(head.length..).and_then(|rest| rest.split_at_checked(size));
            let (body, rest) = whole.ok_or(Fault::CommandBytes(head.size))?;
            self.sealer.seal(head, body, &mut self.octets);
            frames = rest;
        }
        Ok(())
    }

    /// Seals some frames of `outbox` from `cursor` on; returns the place after the last of them.
    pub fn seal(&mut self, outbox: &Outbox, mut cursor: Cursor) -> Cursor {
        self.clear();
        while self.octets.len() < BATCH_BYTES
            && let Some((head, body)) = outbox.next_frame(&mut cursor)
        {
            self.sealer.seal(head, body, &mut self.octets);
        }
        cursor
    }

    /// How far the peer's socket has taken the frames that were sealed last, which began at `cursor`: the place after
    /// the last frame that was written as a whole.
    pub fn written_to(&self, outbox: &Outbox, mut cursor: Cursor) -> Cursor {
        let mut left = self.written;
        loop {
            let mut next = cursor;
            let Some((_, body)) = outbox.next_frame(&mut next) else { return cursor };
            let sealed = body.len() + OVERHEAD_BYTES;
            let Some(rest) = left.checked_sub(frame::head_bytes(sealed) + sealed) else { return cursor };
            (left, cursor) = (rest, next);
        }
    }

    fn clear(&mut self) {
        self.octets.clear();
        self.octets.shrink_to(KEPT_BYTES_MAX);
        self.written = 0;
    }
}
