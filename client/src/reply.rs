//! A reply as the caller gets it: collected into one body, or part by part.

use bytes::Bytes;
use protocol::Frames;
use protocol::limits::MESSAGE_BYTES_MAX;

use crate::error::Error;

/// A whole reply.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// The frames of all parts, in order. Never empty.
    pub body: Frames,
    /// In how many messages it came: 1, or more where the worker streamed it.
    pub parts: usize,
}

/// What a caller hears who takes a reply part by part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The next part; the last one too.
    Part(Frames),
    /// The request had to be sent again: the parts so far are void, and the reply starts anew.
    Restarted,
}

/// Puts parts together, up to a limit.
#[derive(Debug, Default)]
pub struct Collected {
    reply: Reply,
    bytes: usize,
}

impl Collected {
    /// Takes a part.
    ///
    /// # Errors
    /// [`Error::TooLarge`] once the parts together pass [`COLLECTED_BYTES_MAX`].
    pub fn push(&mut self, part: Frames) -> Result<(), Error> {
        self.bytes += part.byte_count() + part.len() * FRAME_COST_BYTES;
        if self.bytes > COLLECTED_BYTES_MAX {
            return Err(Error::TooLarge { max: COLLECTED_BYTES_MAX });
        }
        self.reply.parts += 1;
        self.reply.body.extend(part);
        Ok(())
    }

    /// Forgets the parts so far.
    pub fn restart(&mut self) {
        *self = Self::default();
    }

    /// The reply, all parts taken.
    pub fn finish(self) -> Reply {
        self.reply
    }
}

/// A body as it can travel: MDP wants one frame at least.
pub(crate) fn never_empty(mut body: Frames) -> Frames {
    if body.is_empty() {
        body.push(Bytes::new());
    }
    body
}

/// Bytes of a collected reply: one full message, or as much in parts. Larger replies are for whoever takes parts.
pub const COLLECTED_BYTES_MAX: usize = MESSAGE_BYTES_MAX + (1 << 20);
/// What an empty frame costs us, so that a stream of nothing is bounded too.
const FRAME_COST_BYTES: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_joined_in_order_and_a_restart_voids_them() {
        let mut collected = Collected::default();
        collected.push(["void"].into()).unwrap();
        collected.restart();
        collected.push(["one", "two"].into()).unwrap();
        collected.push(["three"].into()).unwrap();
        assert_eq!(collected.finish(), Reply { body: ["one", "two", "three"].into(), parts: 2 });
    }

    #[test]
    fn collected_bytes_max_is_met_and_not_passed() {
        let part = |bytes: usize| Frames::from([Bytes::from(vec![0; bytes])]);
        let mut collected = Collected::default();
        collected.push(part(COLLECTED_BYTES_MAX - FRAME_COST_BYTES)).unwrap();
        assert_eq!(collected.push(part(0)), Err(Error::TooLarge { max: COLLECTED_BYTES_MAX }));
    }
}
