//! The fields of a command: numbers, texts, lists and dictionaries, read within limits and written.
//!
//! ```text
//!   string   length (1)  octets         long string   length (4)  octets
//!   strings  count (4)  { long string }               dictionary   count (4)  { string  long string }
//! ```

use std::collections::BTreeMap;

use bytes::{BufMut, BytesMut};

use super::fault::PeerFault;
use super::identity::GroupName;
use crate::limits;

/// What of a frame has not been read yet.
pub(super) struct Reader<'frame>(pub(super) &'frame [u8]);

impl<'frame> Reader<'frame> {
    pub(super) fn take(&mut self, count: usize, what: &'static str) -> Result<&'frame [u8], PeerFault> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(PeerFault::Cut(what))?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn u8(&mut self, what: &'static str) -> Result<u8, PeerFault> {
        let (octet, rest) = self.0.split_first().ok_or(PeerFault::Cut(what))?;
        self.0 = rest;
        Ok(*octet)
    }

    pub(super) fn u16(&mut self, what: &'static str) -> Result<u16, PeerFault> {
        let (octets, rest) = self.0.split_first_chunk().ok_or(PeerFault::Cut(what))?;
        self.0 = rest;
        Ok(u16::from_be_bytes(*octets))
    }

    pub(super) fn u32(&mut self, what: &'static str) -> Result<u32, PeerFault> {
        let (octets, rest) = self.0.split_first_chunk().ok_or(PeerFault::Cut(what))?;
        self.0 = rest;
        Ok(u32::from_be_bytes(*octets))
    }

    pub(super) fn string(&mut self, what: &'static str) -> Result<&'frame str, PeerFault> {
        let length = self.u8(what)?;
        text(self.take(length.into(), what)?, what)
    }

    pub(super) fn long_string(&mut self, what: &'static str) -> Result<&'frame str, PeerFault> {
        let length = self.u32(what)?;
        text(self.take(usize::try_from(length).unwrap_or(usize::MAX), what)?, what)
    }

    pub(super) fn group(&mut self) -> Result<GroupName, PeerFault> {
        GroupName::new(self.string("group")?)
    }

    /// Groups, in the order of the wire. One that is there twice stays there twice: it does no harm.
    pub(super) fn groups(&mut self) -> Result<Vec<GroupName>, PeerFault> {
        let count = self.count("groups", limits::ZRE_GROUPS_MAX)?;
        (0..count).map(|_| GroupName::new(self.long_string("group")?)).collect()
    }

    pub(super) fn headers(&mut self) -> Result<BTreeMap<String, String>, PeerFault> {
        let count = self.count("headers", limits::ZRE_HEADERS_MAX)?;
        (0..count)
            .map(|_| Ok((self.string("header name")?.to_owned(), self.long_string("header value")?.to_owned())))
            .collect()
    }

    pub(super) fn end(self, command: &'static str) -> Result<(), PeerFault> {
        if self.0.is_empty() { Ok(()) } else { Err(PeerFault::Trailing(command)) }
    }

    fn count(&mut self, what: &'static str, allowed: u32) -> Result<u32, PeerFault> {
        let count = self.u32(what)?;
        if count > allowed { Err(PeerFault::Count { what, count, allowed }) } else { Ok(count) }
    }
}

fn text<'frame>(octets: &'frame [u8], what: &'static str) -> Result<&'frame str, PeerFault> {
    std::str::from_utf8(octets).map_err(|_| PeerFault::Text(what))
}

/// Writes a text of at most 255 bytes; what is longer is cut at a character.
pub(super) fn put_string(output: &mut BytesMut, text: &str) {
    let mut end = text.len().min(usize::from(u8::MAX));
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let kept = text.get(..end).unwrap_or_default();
    output.put_u8(u8::try_from(kept.len()).unwrap_or(u8::MAX));
    output.put_slice(kept.as_bytes());
}

pub(super) fn put_long_string(output: &mut BytesMut, text: &str) {
    output.put_u32(u32::try_from(text.len()).unwrap_or(u32::MAX));
    output.put_slice(text.as_bytes());
}
