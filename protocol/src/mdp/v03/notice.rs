//! What both sides of a broker share: how a request ended, and the notice that somebody is about to leave.

use std::time::Duration;

use super::head::{HEADER_BYTES, Reader, Writer};
use super::options::Options;
use super::status::Status;
use crate::fault::PeerFault;
use crate::frames::Frames;
use crate::identity::ServiceName;
use crate::limits::OPTIONS_BYTES_MAX;

/// How a request ended: what a FINAL says beside its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// How many PARTIALs came before. Whoever counted fewer has a hole in the answer.
    pub parts: u32,
    /// Three digits.
    pub status: Status,
    /// A reason, when to ask again, where to go instead.
    pub options: Options,
}

impl Outcome {
    /// Success, after no parts.
    pub const OK: Self = Self { parts: 0, status: Status::OK, options: Options::none() };

    pub(super) fn decode(mut head: Reader<'_>) -> Result<Self, PeerFault> {
        Ok(Self {
            parts: head.u32("number of parts")?,
            status: head.status()?,
            options: head.options(OPTIONS_BYTES_MAX)?,
        })
    }

    pub(super) fn octet_count(&self) -> usize {
        6 + self.options.as_bytes().len()
    }

    pub(super) fn write(&self, head: Writer) -> Writer {
        head.put(self.parts.to_be_bytes()).put(self.status.code().to_be_bytes()).put(self.options.as_bytes())
    }

    /// A body is what success is about; a failure may come without.
    pub(super) fn check_body(&self, body: &Frames) -> Result<(), PeerFault> {
        if self.status.is_success() && body.is_empty() {
            return Err(PeerFault::Missing("body"));
        }
        Ok(())
    }
}

/// DRAIN: whoever says it is about to leave, and finishes what it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drain {
    /// How long it stays at most; milliseconds on the wire.
    pub grace: Duration,
    /// The one service that this is about; `None` for everything.
    pub service: Option<ServiceName>,
    /// A reason, when to come again, where to go instead.
    pub options: Options,
}

impl Drain {
    pub(super) fn decode(mut head: Reader<'_>, body: &Frames) -> Result<Self, PeerFault> {
        let grace = head.duration("grace")?;
        let service = head.optional_service()?;
        alone(body, "DRAIN")?;
        Ok(Self { grace, service, options: head.options(OPTIONS_BYTES_MAX)? })
    }

    pub(super) fn encode(&self, header: &[u8; HEADER_BYTES]) -> Frames {
        let name = self.service.as_ref().map_or(0, |service| service.as_bytes().len());
        let octets_after = 5 + name + self.options.as_bytes().len();
        let head = Writer::new(header, super::command::DRAIN, octets_after).duration(self.grace);
        head.optional_service(self.service.as_ref()).put(self.options.as_bytes()).alone()
    }
}

/// No frame may follow the head.
pub(super) fn alone(body: &Frames, what: &'static str) -> Result<(), PeerFault> {
    if body.is_empty() { Ok(()) } else { Err(PeerFault::Trailing(what)) }
}
