//! Octets to messages, as far as they have come: no socket, no clock, and no memory for what has only been claimed.
//!
//! Small frames are copied out of the input, neighbours together into one allocation of at most [`CHUNK_BYTES`], so
//! that a kept frame of one octet never pins a whole read buffer. A frame that is larger than [`SMALL_FRAME_BYTES`] and
//! not there yet gets a buffer of its own, which grows with what arrives and into which a socket can read directly.

use bytes::{Bytes, BytesMut, buf::Limit};
use protocol::Frames;

use crate::wire::command::COMMAND_BYTES_MAX;
use crate::wire::fault::Fault;
use crate::wire::frame::Head;
use crate::wire::large::Large;

/// Frames up to this size are copied; larger ones are moved.
pub(crate) const SMALL_FRAME_BYTES: usize = 4096;
/// How much of the input is copied at once for small frames.
const CHUNK_BYTES: usize = 2048;

/// Where decoded things go.
pub trait Sink {
    /// A whole message.
    fn message(&mut self, frames: Frames);

    /// A whole command, without its frame head.
    ///
    /// # Errors
    /// The fault that the command is.
    fn command(&mut self, body: &[u8]) -> Result<(), Fault>;

    /// Whether decoding shall stop before the next frame.
    fn is_full(&self) -> bool;
}

/// The decoder of one connection.
#[derive(Debug)]
pub struct Decoder {
    message_bytes_max: usize,
    frames_max: usize,
    commands: bool,
    frames: Frames,
    bytes: usize,
    large: Option<Large>,
    /// Whether another frame follows the large one.
    large_more: bool,
}

/// A copy of a part of the input, from which frames are sliced.
#[derive(Default)]
struct Chunk {
    start: usize,
    bytes: Bytes,
}

impl Decoder {
    /// A decoder at the start of a connection's message traffic. `commands`: whether the peer's version has commands.
    pub fn new(message_bytes_max: usize, frames_max: usize, commands: bool) -> Self {
        let frames = Frames::new();
        Self { message_bytes_max, frames_max, commands, frames, bytes: 0, large: None, large_more: false }
    }

    /// Memory held for a message of which not everything has come, in octets.
    pub fn held_bytes(&self) -> usize {
        let large = self.large.as_ref().map_or(0, Large::held_bytes);
        let frames = self.frames.list_bytes();
        self.bytes.saturating_sub(self.large.as_ref().map_or(0, Large::size)) + frames + large
    }

    /// Room for the octets of a large frame that are still missing, to be read into without a detour; `None` when
    /// no large frame is under way. Call [`decode`](Self::decode), with what else has come or nothing, after filling.
    pub fn large_room(&mut self) -> Option<Limit<&mut BytesMut>> {
        self.large.as_mut().map(Large::room)
    }

    /// Decodes whole frames from the front of `input` into `sink`; returns how many octets are done with. The rest is
    /// to be handed in again, followed by what comes next.
    ///
    /// # Errors
    /// The fault of the peer; the connection is of no use any more.
    pub fn decode(&mut self, input: &[u8], sink: &mut impl Sink) -> Result<usize, Fault> {
        let mut at = self.continue_large(input, sink);
        let mut chunk = Chunk::default();
        while self.large.is_none() && !sink.is_full() {
            let rest = input.get(at..).unwrap_or_default();
            let Some(head) = Head::parse(rest)? else { break };
            let size = self.check(&head)?;
            let start = at + head.length;
            let Some(body) = input.get(start..start + size) else {
                at = self.begin_large(input, &head, at, size);
                break;
            };
            at = start + size;
            if head.command {
                sink.command(body)?;
                continue;
            }
            let frame = match size {
                0 => Bytes::new(),
                1..=SMALL_FRAME_BYTES => chunk.frame(input, start, size),
                _ => Bytes::copy_from_slice(body),
            };
            self.bytes += size;
            self.finish_frame(frame, head.more, sink);
        }
        Ok(at)
    }

    /// Takes a frame that came another way than through [`decode`](Self::decode): out of its encryption.
    ///
    /// # Errors
    /// The fault of the peer; the connection is of no use any more.
    #[cfg(feature = "curve")]
    pub(crate) fn take_frame(&mut self, head: Head, body: Bytes, sink: &mut impl Sink) -> Result<(), Fault> {
        let size = self.check(&head)?;
        if head.command {
            return sink.command(&body);
        }
        self.bytes += size;
        self.finish_frame(body, head.more, sink);
        Ok(())
    }

    /// Compares what a head claims with the limits, before anything is allocated for it. A command may stand between
    /// two frames of a message: RFC 37 has no such thing, but libzmq's timer sends PING wherever it finds itself.
    fn check(&self, head: &Head) -> Result<usize, Fault> {
        if head.command {
            return match usize::try_from(head.size) {
                _ if !self.commands => Err(Fault::Flags(4)),
                Ok(size) if size <= COMMAND_BYTES_MAX => Ok(size),
                _ => Err(Fault::CommandBytes(head.size)),
            };
        }
        if self.frames.len() >= self.frames_max {
            return Err(Fault::FrameCount(self.frames_max));
        }
        let claimed = head.size.saturating_add(self.bytes as u64);
        if claimed > self.message_bytes_max as u64 {
            return Err(Fault::MessageBytes { claimed, allowed: self.message_bytes_max });
        }
        usize::try_from(head.size).map_err(|_| Fault::MessageBytes { claimed, allowed: self.message_bytes_max })
    }

    fn finish_frame(&mut self, frame: Bytes, more: bool, sink: &mut impl Sink) {
        self.frames.push(frame);
        if !more {
            self.bytes = 0;
            sink.message(std::mem::take(&mut self.frames));
        }
    }

    /// Starts the buffer of a large message frame of which the head has come; returns the octets then done with. Of
    /// small frames and commands the head waits with the body.
    fn begin_large(&mut self, input: &[u8], head: &Head, at: usize, size: usize) -> usize {
        if head.command || size <= SMALL_FRAME_BYTES {
            return at;
        }
        let have = input.get(at + head.length..).unwrap_or_default();
        self.bytes += size;
        self.large = Some(Large::new(size, have));
        self.large_more = head.more;
        input.len()
    }

    fn continue_large(&mut self, input: &[u8], sink: &mut impl Sink) -> usize {
        let Some(large) = self.large.as_mut() else { return 0 };
        let filled = large.fill(input);
        if let Some(large) = self.large.take_if(|large| large.is_whole()) {
            self.finish_frame(large.into_body().freeze(), self.large_more, sink);
        }
        filled
    }
}

impl Chunk {
    /// The frame at `start`, in a copy that it shares with its neighbours.
    fn frame(&mut self, input: &[u8], start: usize, size: usize) -> Bytes {
        let end = start + size;
        if self.bytes.is_empty() || end > self.start + self.bytes.len() {
            let whole = input.get(start..input.len().min(end.max(start + CHUNK_BYTES))).unwrap_or_default();
            *self = Self { start, bytes: Bytes::copy_from_slice(whole) };
        }
        self.bytes.slice(start - self.start..end - self.start)
    }
}

#[cfg(test)]
#[path = "decoder_tests.rs"]
mod tests;
