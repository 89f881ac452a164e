//! The head frame, field by field: [`Reader`] takes one apart, [`Writer`] puts one together.
//!
//! What is read stays in the frame's memory: names and options are slices of it. This is on every message's way: fields
//! have fixed sizes, so that reading and writing one is a move of a word or two.

use std::ops::Range;
use std::time::Duration;

use bytes::{Buf, Bytes};

use super::id::JobNumber;
use super::options::Options;
use super::status::Status;
use crate::fault::PeerFault;
use crate::frames::Frames;
use crate::identity::{RequestId, ServiceName};

/// The octets of a head that have not been read yet.
pub(super) struct Reader<'frame> {
    frame: &'frame Bytes,
    rest: &'frame [u8],
}

impl<'frame> Reader<'frame> {
    /// Reads header and command.
    #[inline]
    pub(super) fn open(frame: &'frame Bytes, header: &[u8; HEADER_BYTES]) -> Result<(u8, Self), PeerFault> {
        let rest = frame.strip_prefix(header).ok_or(PeerFault::Header)?;
        let mut reader = Self { frame, rest };
        let command = reader.octet("command")?;
        Ok((command, reader))
    }

    /// A reader of a frame that has no header.
    pub(super) fn plain(frame: &'frame Bytes) -> Self {
        Self { frame, rest: frame }
    }

    #[inline]
    pub(super) fn octet(&mut self, what: &'static str) -> Result<u8, PeerFault> {
        self.array(what).map(u8::from_be_bytes)
    }

    #[inline]
    pub(super) fn u16(&mut self, what: &'static str) -> Result<u16, PeerFault> {
        self.array(what).map(u16::from_be_bytes)
    }

    #[inline]
    pub(super) fn u32(&mut self, what: &'static str) -> Result<u32, PeerFault> {
        self.array(what).map(u32::from_be_bytes)
    }

    /// Milliseconds.
    pub(super) fn duration(&mut self, what: &'static str) -> Result<Duration, PeerFault> {
        self.u32(what).map(|millis| Duration::from_millis(u64::from(millis)))
    }

    #[inline]
    pub(super) fn job(&mut self) -> Result<JobNumber, PeerFault> {
        self.array("job number").map(|octets| JobNumber(u64::from_be_bytes(octets)))
    }

    #[inline]
    pub(super) fn status(&mut self) -> Result<Status, PeerFault> {
        Status::new(self.u16("status")?)
    }

    /// A request id; zeros stand for "none".
    #[inline]
    pub(super) fn optional_request_id(&mut self) -> Result<Option<RequestId>, PeerFault> {
        let octets = self.array("request id")?;
        Ok((octets != NO_ID).then_some(RequestId(octets)))
    }

    #[inline]
    pub(super) fn request_id(&mut self) -> Result<RequestId, PeerFault> {
        self.optional_request_id()?.ok_or(PeerFault::RequestId)
    }

    /// Where in the frame a service name stands, behind its length.
    #[inline]
    pub(super) fn service_range(&mut self) -> Result<Range<usize>, PeerFault> {
        let length = usize::from(self.octet("length of the service name")?);
        let rest = self.rest.get(length..).ok_or(PeerFault::Missing("service name"))?;
        if length == 0 {
            return Err(PeerFault::ServiceName(0));
        }
        self.rest = rest;
        let end = self.frame.len() - rest.len();
        Ok(end - length..end)
    }

    /// A service name behind its length.
    pub(super) fn service(&mut self) -> Result<ServiceName, PeerFault> {
        self.optional_service()?.ok_or(PeerFault::ServiceName(0))
    }

    /// The same; the length zero stands for "none".
    pub(super) fn optional_service(&mut self) -> Result<Option<ServiceName>, PeerFault> {
        let length = usize::from(self.octet("length of the service name")?);
        let (name, rest) = self.rest.split_at_checked(length).ok_or(PeerFault::Missing("service name"))?;
        self.rest = rest;
        if name.is_empty() {
            return Ok(None);
        }
        ServiceName::new(self.frame.slice_ref(name)).map(Some)
    }

    /// All that is left.
    #[inline]
    pub(super) fn rest(&self) -> &'frame [u8] {
        self.rest
    }

    /// All that is left, as options.
    #[inline]
    pub(super) fn options(self, bytes_max: usize) -> Result<Options, PeerFault> {
        if self.rest.is_empty() {
            return Ok(Options::none());
        }
        Ok(Options::decode(self.frame.slice_ref(self.rest), bytes_max)?)
    }

    /// Nothing may be left of the head, and no frame may follow it.
    pub(super) fn end(self, body: &Frames, what: &'static str) -> Result<(), PeerFault> {
        if self.rest.is_empty() && body.is_empty() { Ok(()) } else { Err(PeerFault::Trailing(what)) }
    }

    #[inline]
    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], PeerFault> {
        let (octets, rest) = self.rest.split_first_chunk().ok_or(PeerFault::Missing(what))?;
        self.rest = rest;
        Ok(*octets)
    }
}

/// A head that is being written.
pub(super) struct Writer(Vec<u8>);

impl Writer {
    /// Header and command; `octets_after` more are going to follow.
    #[inline]
    pub(super) fn new(header: &[u8; HEADER_BYTES], command: u8, octets_after: usize) -> Self {
        let mut octets = Vec::with_capacity(header.len() + 1 + octets_after);
        octets.extend_from_slice(header);
        octets.push(command);
        Self(octets)
    }

    /// A frame that has no header.
    pub(super) fn plain(octet_count: usize) -> Self {
        Self(Vec::with_capacity(octet_count))
    }

    #[inline]
    pub(super) fn put(mut self, octets: impl AsRef<[u8]>) -> Self {
        self.0.extend_from_slice(octets.as_ref());
        self
    }

    #[inline]
    pub(super) fn job(self, job: JobNumber) -> Self {
        self.put(job.0.to_be_bytes())
    }

    pub(super) fn duration(self, duration: Duration) -> Self {
        self.put(millis(duration).to_be_bytes())
    }

    #[inline]
    pub(super) fn service(self, service: &ServiceName) -> Self {
        self.put([name_length(service)]).put(service.as_bytes())
    }

    pub(super) fn optional_service(self, service: Option<&ServiceName>) -> Self {
        match service {
            Some(service) => self.service(service),
            None => self.put([0]),
        }
    }

    /// For what writes to the octets itself.
    pub(super) fn octets(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }

    pub(super) fn into_frame(self) -> Bytes {
        self.0.into()
    }

    /// The message that begins with this head.
    #[inline]
    pub(super) fn before(self, mut body: Frames) -> Frames {
        body.push_front(self.0);
        body
    }

    /// A message of this head alone.
    pub(super) fn alone(self) -> Frames {
        Frames::from([self.0])
    }
}

/// A part of a frame, of which nothing else is needed: no reference is counted for it.
#[inline]
pub(super) fn narrowed(mut frame: Bytes, range: Range<usize>) -> Bytes {
    frame.truncate(range.end);
    frame.advance(range.start);
    frame
}

/// Whole milliseconds, rounded up, so that a time that is not over never becomes zero; 49 days at most.
pub(super) fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u32::MAX)
}

fn name_length(service: &ServiceName) -> u8 {
    u8::try_from(service.as_bytes().len()).expect("a service name has 255 bytes at most")
}

/// Octets of the header that tells protocol, side and version.
pub(super) const HEADER_BYTES: usize = 6;
/// What stands for "no request id".
pub(super) const NO_ID: [u8; 16] = [0; 16];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_is_not_over_never_becomes_zero() {
        assert_eq!(millis(Duration::ZERO), 0);
        assert_eq!(millis(Duration::from_nanos(1)), 1);
        assert_eq!(millis(Duration::from_millis(7)), 7);
        assert_eq!(millis(Duration::MAX), u32::MAX);
    }
}
