//! From the octets of a CURVE connection to those of a plain one: what a socket has read goes through here on its way
//! to the [`Decoder`].
//!
//! ```text
//!   read      [head| MESSAGE n mac flags| body][head| MESSAGE n mac flags| body][head| MESSA
//!   in place  [head|body][head|body]                                            └─ kept for the next read
//! ```
//!
//! A large frame is collected in a buffer of its own, which grows with what arrives, opened there, and handed to the
//! decoder without a copy.

use bytes::{BytesMut, buf::Limit};

use super::message::{OVERHEAD_BYTES, Opener, Session};
use crate::wire::decoder::{Decoder, SMALL_FRAME_BYTES, Sink};
use crate::wire::fault::Fault;
use crate::wire::frame::Head;
use crate::wire::large::Large;

/// The reading side of a session.
#[derive(Debug)]
pub struct Inbound {
    opener: Opener,
    message_bytes_max: usize,
    large: Option<Large>,
}

/// What became of a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Octets at the front of the buffer that are in the clear now, for the decoder.
    pub plain: usize,
    /// Octets that are done with. Those behind are to be handed in again, followed by what comes next.
    pub consumed: usize,
}

impl Session {
    /// The two directions. `message_bytes_max`: the limit of the decoder behind.
    pub fn split(self, message_bytes_max: usize) -> (Inbound, super::Outbound) {
        let inbound = Inbound { opener: self.opener, message_bytes_max, large: None };
        (inbound, super::Outbound::new(self.sealer))
    }
}

impl Inbound {
    /// Memory held for a frame of which not everything has come, in octets.
    pub fn held_bytes(&self) -> usize {
        self.large.as_ref().map_or(0, Large::held_bytes)
    }

    /// Room for the octets of a large frame that are still missing; `None` when none is under way. Call
    /// [`finish_large`](Self::finish_large) after filling. While there is room, [`open`](Self::open) is of no use.
    pub fn large_room(&mut self) -> Option<Limit<&mut BytesMut>> {
        self.large.as_mut().map(Large::room)
    }

    /// Hands a large frame to the decoder, if all of it has come.
    ///
    /// # Errors
    /// The fault of the peer; the connection is of no use any more.
    pub fn finish_large(&mut self, decoder: &mut Decoder, sink: &mut impl Sink) -> Result<(), Fault> {
        let Some(large) = self.large.take_if(|large| large.is_whole()) else { return Ok(()) };
        let mut body = large.into_body();
        let head = self.opener.open(&mut body)?;
        decoder.take_frame(head, body.split_off(OVERHEAD_BYTES).freeze(), sink)
    }

    /// Opens the whole frames at the front of `buffer` and moves them together as plain ones.
    ///
    /// # Errors
    /// The fault of the peer; the connection is of no use any more.
    pub fn open(&mut self, buffer: &mut [u8]) -> Result<Opened, Fault> {
        let mut opened = Opened { plain: 0, consumed: 0 };
        while self.large.is_none() {
            let Some(rest) = buffer.get_mut(opened.consumed..) else { break };
            let Some(outer) = Head::parse(rest)? else { break };
            let size = self.check(&outer)?;
            let Some(body) = rest.get_mut(outer.length..outer.length + size) else {
                if size > SMALL_FRAME_BYTES + OVERHEAD_BYTES {
                    let have = rest.get(outer.length..).unwrap_or_default();
                    self.large = Some(Large::new(size, have));
                    opened.consumed = buffer.len();
                }
                break;
            };
            let head = self.opener.open(body)?;
            let start = opened.consumed + outer.length + OVERHEAD_BYTES;
            opened.consumed = start + body.len() - OVERHEAD_BYTES;
            // The plain head is never longer than the sealed one, so nothing is overwritten that is still needed.
            opened.plain += head.put(buffer.get_mut(opened.plain..).unwrap_or_default());
            buffer.copy_within(start..opened.consumed, opened.plain);
            opened.plain += opened.consumed - start;
        }
        Ok(opened)
    }

    /// Compares what a head claims with the limit, before anything is allocated for it.
    fn check(&self, outer: &Head) -> Result<usize, Fault> {
        if outer.more {
            return Err(Fault::Flags(1));
        }
        let claimed = outer.size.saturating_sub(OVERHEAD_BYTES as u64);
        match usize::try_from(outer.size) {
            Ok(size) if claimed <= self.message_bytes_max.max(SMALL_FRAME_BYTES) as u64 => Ok(size),
            _ => Err(Fault::MessageBytes { claimed, allowed: self.message_bytes_max }),
        }
    }
}
