//! A message: an ordered list of frames, each a reference-counted slice of bytes.
//!
//! Bounds are checked where bytes enter (the ZMTP codec), by [`crate::limits`]; a message in memory is a valid one.

use std::ops::Deref;

use bytes::Bytes;

/// The frames of one message, first to last. Dereferences to a slice.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Frames(Vec<Bytes>);

impl Frames {
    /// A message without frames.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// A message without frames that can take `count` without growing.
    pub fn with_capacity(count: usize) -> Self {
        Self(Vec::with_capacity(count))
    }

    /// Adds a frame at the end.
    pub fn push(&mut self, frame: impl Into<Bytes>) {
        self.0.push(frame.into());
    }

    /// Adds a frame at the front.
    pub fn push_front(&mut self, frame: impl Into<Bytes>) {
        self.0.insert(0, frame.into());
    }

    /// Takes the first frame out; the others keep their memory, with room for another head.
    pub fn pop_front(&mut self) -> Option<Bytes> {
        if self.0.is_empty() { None } else { Some(self.0.remove(0)) }
    }

    /// All frames but the first `count`, moved; fewer when there are not so many.
    #[must_use]
    pub fn skip(mut self, count: usize) -> Self {
        self.0.drain(..count.min(self.0.len()));
        self
    }

    /// Bytes of all frames together.
    pub fn byte_count(&self) -> usize {
        self.0.iter().map(Bytes::len).sum()
    }
}

impl Deref for Frames {
    type Target = [Bytes];

    fn deref(&self) -> &[Bytes] {
        &self.0
    }
}

impl Extend<Bytes> for Frames {
    fn extend<I: IntoIterator<Item = Bytes>>(&mut self, frames: I) {
        self.0.extend(frames);
    }
}

impl FromIterator<Bytes> for Frames {
    fn from_iter<I: IntoIterator<Item = Bytes>>(frames: I) -> Self {
        Self(Vec::from_iter(frames))
    }
}

impl IntoIterator for Frames {
    type Item = Bytes;
    type IntoIter = std::vec::IntoIter<Bytes>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Frames {
    type Item = &'a Bytes;
    type IntoIter = std::slice::Iter<'a, Bytes>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl<F: Into<Bytes>, const N: usize> From<[F; N]> for Frames {
    fn from(frames: [F; N]) -> Self {
        frames.into_iter().map(Into::into).collect()
    }
}

impl From<Vec<Bytes>> for Frames {
    fn from(frames: Vec<Bytes>) -> Self {
        Self(frames)
    }
}

impl std::fmt::Debug for Frames {
    /// Frames as escaped text, cut at 64 bytes each, so that a failing test stays readable.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut list = formatter.debug_list();
        for frame in self {
            let head = frame.get(..64).unwrap_or(frame);
            let rest = frame.len() - head.len();
            match rest {
                0 => list.entry(&format_args!("\"{}\"", head.escape_ascii())),
                _ => list.entry(&format_args!("\"{}\" and {rest} bytes", head.escape_ascii())),
            };
        }
        list.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skip_keeps_order_and_survives_a_count_past_the_end() {
        let frames = Frames::from(["a", "b", "c"]);
        assert_eq!(frames.clone().skip(1), Frames::from(["b", "c"]));
        assert_eq!(frames.skip(9), Frames::new());
    }

    #[test]
    fn pop_front_takes_the_first_frame_until_there_is_none() {
        let mut frames = Frames::from(["a", "b"]);
        assert_eq!(frames.pop_front(), Some(Bytes::from_static(b"a")));
        assert_eq!(frames, Frames::from(["b"]));
        assert_eq!((frames.pop_front(), frames.pop_front()), (Some(Bytes::from_static(b"b")), None));
    }

    #[test]
    fn debug_escapes_bytes_and_cuts_long_frames() {
        let frames = Frames::from([Bytes::from_static(b"\x01a"), Bytes::from(vec![b'x'; 65])]);
        assert_eq!(format!("{frames:?}"), format!("[\"\\x01a\", \"{}\" and 1 bytes]", "x".repeat(64)));
    }
}
