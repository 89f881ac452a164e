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

use bytes::Bytes;
use protocol::Frames;

/// A request's number within its client, never given twice; below 2^56.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Number(pub u64);

impl Number {
    /// The envelope of an attempt.
    pub(crate) fn envelope(self, attempt: u8) -> Frames {
        let mut frame = self.0.to_be_bytes();
        if let Some(first) = frame.first_mut() {
            *first = attempt;
        }
        Frames::from([Bytes::copy_from_slice(&frame)])
    }

    /// Number and attempt of an envelope, if we can have written it.
    pub(crate) fn read(envelope: &Frames) -> Option<(Self, u8)> {
        let [frame] = &**envelope else { return None };
        let [attempt, rest @ ..] = <[u8; 8]>::try_from(frame.as_ref()).ok()?;
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
    }

    #[test]
    fn an_envelope_that_we_cannot_have_written_is_nobodys() {
        for envelope in [Frames::new(), [""].into(), ["short"].into(), ["\0too-old"].into(), ["8 bytes!", "2"].into()] {
            assert_eq!(Number::read(&envelope), None, "{envelope:?}");
        }
    }
}
