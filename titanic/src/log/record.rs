//! A record, or the part of it that lies in one chunk.
//!
//! ```text
//!  0  lsn      8   its own place, or it is not a record
//!  8  start    8   lsn of the record's first part; the same in the first part
//! 16  id      16   whose it is
//! 32  length   4   octets of payload in this part
//! 36  rest     4   octets of payload in the parts that follow, at the beginning of the next chunk
//! 40  epoch    4   which opening of the log wrote it; that of its chunk, or it is not a record
//! 44  kind     1   and three zeros
//! 48  body     4   CRC-32 of the payload and the zeros behind it
//! 52  head     4   CRC-32 of the 52 octets before
//! 56  payload      and zeros up to a multiple of eight
//! ```
//!
//! Both checksums begin with the log's own secret ([`LogId`](super::LogId)). A header that is in order tells how long
//! the record is although its payload is not; where a header is not in order, the next one is looked for.

use std::fmt::{self, Write};

use super::layout::{Fields, Lsn, Reader, Seal};

/// Octets of a header.
pub const HEADER_BYTES: u32 = 56;

/// Octets of the longest payload: a message of the protocol's limit, and what the store says about it.
pub const PAYLOAD_BYTES_MAX: usize = 80 << 20;

/// Which request.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(pub [u8; 16]);

impl Id {
    /// Its 32 hexadecimal digits, in lower case.
    pub fn digits(&self) -> [u8; 32] {
        let digit = |half| if half < 10 { b'0' + half } else { b'a' - 10 + half };
        let mut digits = [0; 32];
        let (pairs, _) = digits.as_chunks_mut();
        pairs.iter_mut().zip(self.0).for_each(|(pair, octet)| *pair = [digit(octet >> 4), digit(octet & 15)]);
        digits
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.digits().iter().try_for_each(|digit| f.write_char(char::from(*digit)))
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a record says about its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Kind {
    /// It was submitted. After an end of its life it begins another one.
    Request = 1,
    /// It was tried, or is to be tried again. Takes the place of an earlier attempt or death.
    Attempt = 2,
    /// It was given up, and waits for somebody to look at it. Takes the place of an earlier attempt or death.
    Dead = 3,
    /// It was answered: the request itself counts no longer.
    Answer = 4,
    /// Nothing counts any more. With a payload the id is remembered ([`Log::forget`](super::Log::forget) ends that);
    /// without one nothing stays.
    Closed = 5,
    /// The end of a batch: how far the log was durable when it was written, and zeros up to the end of the page. The
    /// log writes it by itself.
    Commit = 15,
}

impl Kind {
    fn decode(octet: u8) -> Option<Self> {
        Some(match octet {
            1 => Self::Request,
            2 => Self::Attempt,
            3 => Self::Dead,
            4 => Self::Answer,
            5 => Self::Closed,
            15 => Self::Commit,
            _ => return None,
        })
    }
}

/// What stands in front of a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Where it lies.
    pub lsn: Lsn,
    /// Where its record begins.
    pub start: Lsn,
    /// Whose it is.
    pub id: Id,
    /// Octets behind it.
    pub length: u32,
    /// Octets in the parts that follow.
    pub rest: u32,
    /// Which opening of the log wrote it.
    pub epoch: u32,
    /// What it says.
    pub kind: Kind,
}

impl Header {
    /// Appends the whole part: header, payload, zeros.
    pub(crate) fn encode(&self, seal: Seal, payload: &[u8], batch: &mut Vec<u8>) {
        let zeros = ZEROS.get(..padding(payload.len())).unwrap_or_default();
        let fields = Fields::<{ HEADER_BYTES as usize }>::new()
            .put(&self.lsn.0.to_le_bytes())
            .put(&self.start.0.to_le_bytes())
            .put(&self.id.0)
            .put(&self.length.to_le_bytes())
            .put(&self.rest.to_le_bytes())
            .put(&self.epoch.to_le_bytes())
            .put(&[self.kind as u8, 0, 0, 0])
            .put(&seal.of(&[payload, zeros]).to_le_bytes());
        let head = seal.of(&[fields.so_far()]);
        batch.extend_from_slice(&fields.put(&head.to_le_bytes()).octets());
        batch.extend_from_slice(payload);
        batch.extend_from_slice(zeros);
    }

    /// A header whose checksum is right, and the checksum of its payload.
    fn decode(octets: &[u8], seal: Seal) -> Option<(Self, u32)> {
        let summed = octets.get(..HEADER_BYTES as usize - 4)?;
        let mut fields = Reader(octets);
        let (lsn, start) = (Lsn(fields.u64()?), Lsn(fields.u64()?));
        let (id, length, rest, epoch) = (Id(fields.take()?), fields.u32()?, fields.u32()?, fields.u32()?);
        let [kind, zeros @ ..] = fields.take::<4>()?;
        let (body, head) = (fields.u32()?, fields.u32()?);
        let header = Self { lsn, start, id, length, rest, epoch, kind: Kind::decode(kind)? };
        (zeros == [0; 3] && head == seal.of(&[summed])).then_some((header, body))
    }

    /// Octets from here to the next record.
    pub(crate) fn stored_bytes(&self) -> u64 {
        super::layout::stored_bytes(u64::from(self.length))
    }
}

/// What lies at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found<'octets> {
    /// A part, whole and in its place.
    Whole(Header, &'octets [u8]),
    /// A header in its place whose payload is not what was written.
    Broken(Header),
    /// Nothing.
    Nothing,
}

/// Looks for the part with this number at the beginning of `octets`, which end where no record may go on.
pub(crate) fn look(octets: &[u8], lsn: Lsn, epoch: u32, seal: Seal) -> Found<'_> {
    // Most places are no record: the number alone tells, before a checksum is taken.
    if octets.first_chunk() != Some(&lsn.0.to_le_bytes()) {
        return Found::Nothing;
    }
    let Some((header, body)) = Header::decode(octets, seal).filter(|(header, _)| header.epoch == epoch) else {
        return Found::Nothing;
    };
    let stored = usize::try_from(header.stored_bytes()).unwrap_or(usize::MAX);
    let length = usize::try_from(header.length).unwrap_or(usize::MAX);
    let Some(padded) = octets.get(HEADER_BYTES as usize..stored) else { return Found::Broken(header) };
    match padded.get(..length) {
        Some(payload) if seal.of(&[padded]) == body => Found::Whole(header, payload),
        _ => Found::Broken(header),
    }
}

/// The header with this number at the beginning of `octets`, whatever its payload.
pub(crate) fn header(octets: &[u8], lsn: Lsn, epoch: u32, seal: Seal) -> Option<Header> {
    let (header, _) = Header::decode(octets, seal)?;
    (header.lsn == lsn && header.epoch == epoch).then_some(header)
}

fn padding(length: usize) -> usize {
    length.next_multiple_of(8) - length
}

const ZEROS: [u8; 8] = [0; 8];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::LogId;

    fn part(payload: &[u8]) -> (Header, Vec<u8>) {
        let length = u32::try_from(payload.len()).unwrap();
        let (id, kind) = (Id([3; 16]), Kind::Answer);
        let header = Header { lsn: Lsn(4711), start: Lsn(4711), id, length, rest: 0, epoch: 2, kind };
        let mut octets = Vec::new();
        header.encode(seal(), payload, &mut octets);
        (header, octets)
    }

    fn seal() -> Seal {
        LogId([9; 16]).seal()
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        for payload in [&b""[..], b"1", b"12345678", b"123456789"] {
            let (header, octets) = part(payload);
            assert_eq!(octets.len() as u64, header.stored_bytes());
            assert_eq!(look(&octets, Lsn(4711), 2, seal()), Found::Whole(header, payload));
        }
    }

    #[test]
    fn a_record_out_of_its_place_epoch_or_log_is_none() {
        let (_, octets) = part(b"payload");
        assert_eq!(look(&octets, Lsn(4712), 2, seal()), Found::Nothing);
        assert_eq!(look(&octets, Lsn(4711), 3, seal()), Found::Nothing);
        assert_eq!(look(&octets, Lsn(4711), 2, LogId([8; 16]).seal()), Found::Nothing);
    }

    #[test]
    fn every_flipped_bit_is_found_out() {
        let (header, octets) = part(b"payload");
        for bit in 0..octets.len() * 8 {
            let mut damaged = octets.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let expected = if bit / 8 < HEADER_BYTES as usize { Found::Nothing } else { Found::Broken(header) };
            assert_eq!(look(&damaged, Lsn(4711), 2, seal()), expected, "bit {bit}");
        }
    }

    #[test]
    fn a_record_that_is_cut_is_not_whole() {
        let (_, octets) = part(b"payload");
        for length in 0..octets.len() {
            assert!(!matches!(look(&octets[..length], Lsn(4711), 2, seal()), Found::Whole(..)), "{length}");
        }
    }

    #[test]
    fn the_octets_of_a_record_are_these() {
        let (_, octets) = part(b"abc");
        assert_eq!(octets[..8], 4711u64.to_le_bytes());
        assert_eq!(octets[32..48], [3, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 4, 0, 0, 0]);
        assert_eq!(octets[56..], *b"abc\0\0\0\0\0");
    }
}
