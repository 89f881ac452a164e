//! Takes a message apart, frame by frame, and names the frame that is missing.

use bytes::Bytes;

use crate::fault::PeerFault;
use crate::frames::Frames;
use crate::identity::ServiceName;

/// The frames of a message that have not been read yet.
pub(super) struct Cursor(<Frames as IntoIterator>::IntoIter);

impl Cursor {
    pub(super) fn new(message: Frames) -> Self {
        Self(message.into_iter())
    }

    /// The next frame, whatever it holds.
    pub(super) fn take(&mut self, what: &'static str) -> Result<Bytes, PeerFault> {
        self.0.next().ok_or(PeerFault::Missing(what))
    }

    /// Up to `count` frames.
    pub(super) fn take_many(&mut self, count: usize) -> Frames {
        self.0.by_ref().take(count).collect()
    }

    /// A command: a frame of one octet.
    pub(super) fn command(&mut self) -> Result<u8, PeerFault> {
        match self.take("command")?.as_ref() {
            [command] => Ok(*command),
            _ => Err(PeerFault::Command),
        }
    }

    pub(super) fn service(&mut self) -> Result<ServiceName, PeerFault> {
        ServiceName::new(self.take("service name")?)
    }

    /// A client address and the empty frame behind it.
    pub(super) fn address(&mut self) -> Result<Bytes, PeerFault> {
        let address = self.take("client address")?;
        let delimiter = self.take("empty frame after the client address")?;
        if address.is_empty() || !delimiter.is_empty() {
            return Err(PeerFault::Address);
        }
        Ok(address)
    }

    /// The header that must come next.
    pub(super) fn header(&mut self, header: &[u8]) -> Result<(), PeerFault> {
        if self.take("header")? != header {
            return Err(PeerFault::Header);
        }
        Ok(())
    }

    /// The empty frame that some dialects put first.
    pub(super) fn delimiter(&mut self) -> Result<(), PeerFault> {
        if !self.take("delimiter")?.is_empty() {
            return Err(PeerFault::Header);
        }
        Ok(())
    }

    /// All that is left; a body has one frame at least.
    pub(super) fn body(self) -> Result<Frames, PeerFault> {
        let body = self.rest();
        if body.is_empty() {
            return Err(PeerFault::Missing("body"));
        }
        Ok(body)
    }

    /// All that is left, even if nothing.
    pub(super) fn rest(self) -> Frames {
        self.0.collect()
    }

    /// Nothing may be left.
    pub(super) fn end(mut self, what: &'static str) -> Result<(), PeerFault> {
        match self.0.next() {
            None => Ok(()),
            Some(_) => Err(PeerFault::Trailing(what)),
        }
    }
}
