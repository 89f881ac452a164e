//! How replies are told apart when many requests are under way: the request's number travels in the envelope.
//!
//! MDP 0.1 and 0.2 have no field for it. But what a client puts before the empty frame is its own and comes back with
//! each reply (that is how REQ_CORRELATE of libzmq works), so there it goes, as one frame:
//!
//! ```text
//!   ┌─────────┬────────────────────────────┐
//!   │ attempt │ number, 7 bytes big-endian │   then "", header, …
//!   └─────────┴────────────────────────────┘
//! ```
//!
//! The number is the same in every attempt. The attempt counts from 1, so the frame never begins with a zero byte, and
//! parts of two runs of one request are never mixed.
//!
//! MDP 0.3 has a field for it, the request id. There the same eight octets stand behind eight random ones, which are
//! the client's own: no id is ever used twice, and no table is needed to find the request again.

use bytes::Bytes;
use protocol::{Frames, RequestId};

/// A request's number within its client, never given twice; below 2^56.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Number(pub u64);

impl Number {
    /// The envelope of an attempt.
    pub(crate) fn envelope(self, attempt: u8) -> Frames {
        Frames::from([Bytes::copy_from_slice(&self.octets(attempt))])
    }

    /// Number and attempt of an envelope, if we can have written it.
    pub(crate) fn read(envelope: &Frames) -> Option<(Self, u8)> {
        let [frame] = &**envelope else { return None };
        Self::read_octets(frame.as_ref().try_into().ok()?)
    }

    /// The request id of a run, in a client whose own octets are `salt`.
    pub(crate) fn id(self, run: u8, salt: u64) -> RequestId {
        let id = u128::from(salt) << 64 | u128::from(u64::from_be_bytes(self.octets(run)));
        RequestId(id.to_be_bytes())
    }

    /// Number and run of a request id, if we can have made it.
    pub(crate) fn read_id(RequestId(id): RequestId, salt: u64) -> Option<(Self, u8)> {
        let (own, rest) = id.split_first_chunk()?;
        if u64::from_be_bytes(*own) != salt {
            return None;
        }
        Self::read_octets(rest.try_into().ok()?)
    }

    fn octets(self, attempt: u8) -> [u8; 8] {
        let [_, number @ ..] = self.0.to_be_bytes();
        let mut octets = [attempt; 8];
        for (octet, of_number) in octets.iter_mut().skip(1).zip(number) {
            *octet = of_number;
        }
        octets
    }

    fn read_octets([attempt, rest @ ..]: [u8; 8]) -> Option<(Self, u8)> {
        let number = rest.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
        (attempt != 0).then_some((Self(number), attempt))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_is_one_frame_of_eight_bytes_that_begins_with_the_attempt() {
        let envelope = Number(0x0102).envelope(3);
        assert_eq!(envelope, Frames::from([Bytes::from_static(&[3, 0, 0, 0, 0, 0, 1, 2])]));
        assert_eq!(Number::read(&envelope), Some((Number(0x0102), 3)));
    }

    #[test]
    fn the_largest_number_and_attempt_survive() {
        let number = Number((1 << 56) - 1);
        assert_eq!(Number::read(&number.envelope(255)), Some((number, 255)));
        assert_eq!(Number::read_id(number.id(255, u64::MAX), u64::MAX), Some((number, 255)));
    }

    #[test]
    fn an_id_is_the_clients_octets_and_then_those_of_the_envelope() {
        let id = Number(0x0102).id(3, 0xaabb);
        assert_eq!(id, RequestId([0, 0, 0, 0, 0, 0, 0xaa, 0xbb, 3, 0, 0, 0, 0, 0, 1, 2]));
        assert_eq!(Number::read_id(id, 0xaabb), Some((Number(0x0102), 3)));
        assert_eq!(Number::read_id(id, 0xaabc), None, "another client's");
        assert_eq!(Number::read_id(RequestId([0; 16]), 0), None);
    }

    #[test]
    fn an_envelope_that_we_cannot_have_written_is_nobodys() {
        for envelope in [Frames::new(), [""].into(), ["short"].into(), ["\0too-old"].into(), ["8 bytes!", "2"].into()] {
            assert_eq!(Number::read(&envelope), None, "{envelope:?}");
        }
    }
}
