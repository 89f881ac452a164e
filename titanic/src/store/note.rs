//! What the store writes into a record of the log: a head of its own, and frames.
//!
//! ```text
//!  0  version    1   1
//!  1  flags      1   bit 0: the client chose the id
//!  2  service    1   octets of its name
//!  3  zero       1
//!  4  digest     4   CRC-32 of service and body, by which a repeated submit is known again
//!  8  attempts   4   that failed so far
//! 12  submitted  8   milliseconds since 1970
//! 20  changed    8   the same, for what this record says
//! 28  the name of the service, then for each frame its length (4 octets) and its octets
//! ```
//!
//! Numbers are little-endian. The frames are the body of a request or of its answer; of an attempt and a death they are
//! one frame that says why it failed; what is closed has none.

use bytes::{BufMut, Bytes};
use protocol::{Frames, ServiceName};

/// The head of a record of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The client chose the id, so it may come again.
    pub is_chosen: bool,
    /// Of service and body.
    pub digest: u32,
    /// That failed so far.
    pub attempts: u32,
    /// When the request came, in milliseconds since 1970.
    pub submitted_ms: u64,
    /// When what this record says happened.
    pub changed_ms: u64,
    /// Who is asked; not said of what is closed.
    pub service: Option<ServiceName>,
    /// What belongs to it.
    pub frames: Frames,
}

impl Note {
    /// Appends its octets.
    pub(super) fn encode(&self, into: &mut Vec<u8>) {
        let name = self.service.as_ref().map(ServiceName::as_bytes).unwrap_or_default();
        let name_bytes = u8::try_from(name.len()).expect("a service name has 255 octets at most");
        into.put_slice(&[VERSION, u8::from(self.is_chosen), name_bytes, 0]);
        into.put_u32_le(self.digest);
        into.put_u32_le(self.attempts);
        into.put_u64_le(self.submitted_ms);
        into.put_u64_le(self.changed_ms);
        into.put_slice(name);
        for frame in &self.frames {
            into.put_u32_le(u32::try_from(frame.len()).expect("a frame lies within a message's limit"));
            into.put_slice(frame);
        }
    }

    /// `None` unless it is a note of this version. The frames share the octets.
    pub fn decode(octets: &Bytes) -> Option<Self> {
        let (head, _) = octets.split_first_chunk::<HEAD_BYTES>()?;
        let &[VERSION, flags, name_bytes, 0, ref numbers @ ..] = head else { return None };
        let number = |from: usize, count: usize| {
            let octets = numbers.get(from..from + count).unwrap_or_default();
            octets.iter().rev().fold(0, |number, octet| number << 8 | u64::from(*octet))
        };
        let small = |from| u32::try_from(number(from, 4)).unwrap_or(u32::MAX);
        let mut rest = octets.slice(HEAD_BYTES..);
        let name = take(&mut rest, usize::from(name_bytes))?;
        let mut frames = Frames::new();
        while !rest.is_empty() {
            let length = take(&mut rest, 4)?.iter().rev().fold(0, |length, octet| length << 8 | usize::from(*octet));
            frames.push(take(&mut rest, length)?);
        }
        Some(Self {
            is_chosen: flags & 1 == 1,
            digest: small(0),
            attempts: small(4),
            submitted_ms: number(8, 8),
            changed_ms: number(16, 8),
            service: ServiceName::new(name).ok(),
            frames,
        })
    }

    /// The note of what becomes of this one.
    pub(super) fn followed_by(&self, changed_ms: u64, frames: Frames) -> Self {
        let Self { is_chosen, digest, attempts, submitted_ms, .. } = *self;
        Self { is_chosen, digest, attempts, submitted_ms, changed_ms, service: self.service.clone(), frames }
    }
}

/// What tells requests with the same id apart.
pub(super) fn digest(service: &ServiceName, body: &Frames) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    for part in std::iter::once(service.as_bytes()).chain(body.iter().map(|frame| &**frame)) {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hasher.finalize()
}

fn take(rest: &mut Bytes, count: usize) -> Option<Bytes> {
    (count <= rest.len()).then(|| rest.split_to(count))
}

const VERSION: u8 = 1;
const HEAD_BYTES: usize = 28;

#[cfg(test)]
mod tests {
    use super::*;

    fn note(frames: Frames) -> Note {
        let (digest, attempts, submitted_ms, changed_ms) = (0x0102_0304, 7, 1 << 40, (1 << 40) + 1);
        let service = Some("echo".parse().unwrap());
        Note { is_chosen: true, digest, attempts, submitted_ms, changed_ms, service, frames }
    }

    fn encoded(note: &Note) -> Bytes {
        let mut octets = Vec::new();
        note.encode(&mut octets);
        octets.into()
    }

    #[test]
    fn a_note_is_read_as_it_was_written() {
        for frames in [Frames::new(), [""].into(), ["a", "", "bcd"].into()] {
            let note = note(frames);
            assert_eq!(Note::decode(&encoded(&note)), Some(note));
        }
        let closed = Note { service: None, ..note(Frames::new()) };
        assert_eq!(Note::decode(&encoded(&closed)), Some(closed));
    }

    #[test]
    fn a_note_that_is_cut_or_of_another_version_is_none() {
        let octets = encoded(&note(["abc"].into()));
        for length in 0..octets.len() {
            // Cut behind the name it is a note without frames, which nothing but the checksum of the record can tell.
            let expected = if length == 32 { Some(0) } else { None };
            assert_eq!(Note::decode(&octets.slice(..length)).map(|note| note.frames.len()), expected, "{length}");
        }
        let mut other = octets.to_vec();
        other[0] = 2;
        assert_eq!(Note::decode(&other.into()), None);
    }

    #[test]
    fn the_octets_of_a_note_are_these() {
        let octets = encoded(&note(["abc"].into()));
        assert_eq!(octets[..12], [1, 1, 4, 0, 4, 3, 2, 1, 7, 0, 0, 0]);
        assert_eq!(octets[28..], *b"echo\x03\0\0\0abc");
    }

    #[test]
    fn a_digest_tells_where_frames_begin() {
        let of = |frames: Frames| digest(&"echo".parse().unwrap(), &frames);
        assert_ne!(of(["ab", "c"].into()), of(["a", "bc"].into()));
        assert_ne!(of(["ab"].into()), of(["ab", ""].into()));
        assert_eq!(of(["ab"].into()), of(["ab"].into()));
    }
}
