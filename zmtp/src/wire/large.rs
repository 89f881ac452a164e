//! A large frame of which a part has come: a buffer that grows with what arrives, never with what is claimed, and into
//! which a socket can read directly.

use bytes::{BufMut, BytesMut, buf::Limit};

/// The first buffer of a large frame, if it needs so much, and the least by which it grows.
pub(crate) const LARGE_STEP_BYTES: usize = 64 << 10;

/// The body of the frame, as far as it has come.
#[derive(Debug)]
pub(crate) struct Large {
    size: usize,
    body: BytesMut,
}

impl Large {
    /// A frame of `size` octets of which `have` have come.
    pub(crate) fn new(size: usize, have: &[u8]) -> Self {
        let mut body = BytesMut::with_capacity(size.min(have.len().max(LARGE_STEP_BYTES)));
        body.extend_from_slice(have);
        Self { size, body }
    }

    /// Octets of the whole frame.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// Memory that it takes.
    pub(crate) fn held_bytes(&self) -> usize {
        self.body.capacity().max(self.body.len())
    }

    /// Room for what is missing.
    pub(crate) fn room(&mut self) -> Limit<&mut BytesMut> {
        let missing = self.missing();
        if self.body.len() == self.body.capacity() {
            // Doubling keeps the copies few; never more than was received already, or one step.
            self.body.reserve(missing.min(self.body.len().max(LARGE_STEP_BYTES)));
        }
        (&mut self.body).limit(missing)
    }

    /// Takes what it needs from the front of `input`; returns how much.
    pub(crate) fn fill(&mut self, input: &[u8]) -> usize {
        let have = input.get(..self.missing()).unwrap_or(input);
        self.body.extend_from_slice(have);
        have.len()
    }

    /// Whether all of it has come.
    pub(crate) fn is_whole(&self) -> bool {
        self.body.len() == self.size
    }

    /// What has come.
    pub(crate) fn into_body(self) -> BytesMut {
        self.body
    }

    fn missing(&self) -> usize {
        self.size.saturating_sub(self.body.len())
    }
}
