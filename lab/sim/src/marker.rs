//! What requests and answers carry in a simulated run, so that an oracle can tell whose they are.
//!
//! ```text
//!   request   [ token ] [ padding ]?
//!   answer    part 0: [ token ] [ stamp 0 ]   part 1: [ token ] [ stamp 1 ]   …   where parts are joined, all of them
//!   token     "TOKN", client (4), number (8)
//!   stamp     "STMP", run (8), part (4), last (1)
//! ```
//!
//! What is left with a Titanic has "DPST" in place of "TOKN": it passes a broker more than once, in requests that are
//! others each time.

use bytes::{BufMut, Bytes, BytesMut};
use protocol::Frames;

/// Which request: its client's number in the plan, and the request's number within that client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Token {
    pub(crate) client: u32,
    pub(crate) number: u64,
}

/// Which part of which execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// No two executions in a run of the world have the same.
    pub(crate) run: u64,
    pub(crate) part: u32,
    pub(crate) last: bool,
}

impl Token {
    pub(crate) fn to_frame(self) -> Bytes {
        self.marked(TOKEN)
    }

    /// The token of a request that is left with a Titanic.
    pub(crate) fn to_deposit(self) -> Bytes {
        self.marked(DEPOSIT)
    }

    fn marked(self, mark: &[u8]) -> Bytes {
        let mut frame = BytesMut::with_capacity(TOKEN_BYTES);
        frame.put_slice(mark);
        frame.put_u32(self.client);
        frame.put_u64(self.number);
        frame.freeze()
    }

    pub(crate) fn read(frame: &[u8]) -> Option<Self> {
        Self::read_marked(frame, TOKEN)
    }

    pub(crate) fn read_deposit(frame: &[u8]) -> Option<Self> {
        Self::read_marked(frame, DEPOSIT)
    }

    fn read_marked(frame: &[u8], mark: &[u8]) -> Option<Self> {
        let rest = frame.strip_prefix(mark)?;
        let (client, number) = rest.split_first_chunk::<4>()?;
        let number = u64::from_be_bytes(number.try_into().ok()?);
        Some(Self { client: u32::from_be_bytes(*client), number })
    }

    /// The token of the request in a message, wherever its body begins.
    pub(crate) fn find(frames: &Frames) -> Option<(Self, Bytes)> {
        frames.iter().find_map(|frame| Some((Self::read(frame)?, frame.clone())))
    }

    /// The same of a request that was left with a Titanic.
    pub(crate) fn find_deposit(frames: &Frames) -> Option<(Self, Bytes)> {
        frames.iter().find_map(|frame| Some((Self::read_deposit(frame)?, frame.clone())))
    }
}

impl Stamp {
    pub(crate) fn to_frame(self) -> Bytes {
        let mut frame = BytesMut::with_capacity(STAMP.len() + 13);
        frame.put_slice(STAMP);
        frame.put_u64(self.run);
        frame.put_u32(self.part);
        frame.put_u8(u8::from(self.last));
        frame.freeze()
    }

    pub(crate) fn read(frame: &[u8]) -> Option<Self> {
        let rest = frame.strip_prefix(STAMP)?;
        let (run, rest) = rest.split_first_chunk::<8>()?;
        let (part, last) = rest.split_first_chunk::<4>()?;
        let last = last == [1];
        Some(Self { run: u64::from_be_bytes(*run), part: u32::from_be_bytes(*part), last })
    }
}

/// A part of an answer.
pub(crate) fn answer(token: Bytes, stamp: Stamp) -> Frames {
    Frames::from([token, stamp.to_frame()])
}

/// Whether a body is a status in place of an answer: one frame, three digits and a reason.
pub(crate) fn is_status(body: &Frames) -> bool {
    let [frame] = &**body else { return false };
    matches!(frame.as_ref(), [a, b, c, b' ', ..] if [a, b, c].into_iter().all(u8::is_ascii_digit))
}

const TOKEN: &[u8] = b"TOKN";
const DEPOSIT: &[u8] = b"DPST";
const STAMP: &[u8] = b"STMP";
const TOKEN_BYTES: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_and_stamp_survive_their_frames() {
        let token = Token { client: 7, number: u64::MAX };
        assert_eq!(Token::read(&token.to_frame()), Some(token));
        let stamp = Stamp { run: 9, part: 3, last: true };
        assert_eq!(Stamp::read(&stamp.to_frame()), Some(stamp));
        assert_eq!((Token::read(b"TOKNshort"), Stamp::read(b"")), (None, None));
    }

    #[test]
    fn only_one_frame_of_digits_and_a_reason_is_a_status() {
        assert!(is_status(&["502 gone"].into()));
        assert!(
            !is_status(&["502"].into()) && !is_status(&["502 gone", "x"].into()) && !is_status(&["50x gone"].into())
        );
    }
}
