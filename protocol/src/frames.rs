//! A message: an ordered list of frames, each a reference-counted slice of bytes.
//!
//! Two frames, a head and a body, need no memory of their own: that is a whole message of MDP 0.3, and the body of one
//! in any dialect. Bounds are checked where bytes enter (the ZMTP codec), by [`crate::limits`]; a message in memory is
//! a valid one.

use std::hash::{Hash, Hasher};
use std::iter::Take;
use std::ops::Deref;

use bytes::Bytes;

/// The frames of one message, first to last. Dereferences to a slice.
#[derive(Clone)]
pub struct Frames(List);

#[derive(Clone)]
enum List {
    /// The first `count` of these; what is behind them is empty.
    Few {
        frames: [Bytes; Frames::FEW],
        count: usize,
    },
    Many(Vec<Bytes>),
}

/// The frames of a message, moved out of it.
#[derive(Debug)]
pub struct IntoIter(Rest);

#[derive(Debug)]
enum Rest {
    Few(Take<std::array::IntoIter<Bytes, { Frames::FEW }>>),
    Many(std::vec::IntoIter<Bytes>),
}

impl Frames {
    /// So many frames need no memory beside the message itself.
    pub const FEW: usize = 2;

    /// A message without frames.
    pub const fn new() -> Self {
        Self(List::Few { frames: [const { Bytes::new() }; Self::FEW], count: 0 })
    }

    /// A message without frames that can take `count` without growing.
    pub fn with_capacity(count: usize) -> Self {
        if count <= Self::FEW { Self::new() } else { Self(List::Many(Vec::with_capacity(count))) }
    }

    /// Adds a frame at the end.
    #[inline]
    pub fn push(&mut self, frame: impl Into<Bytes>) {
        self.push_bytes(frame.into());
    }

    /// Adds a frame at the front.
    #[inline]
    pub fn push_front(&mut self, frame: impl Into<Bytes>) {
        match &mut self.0 {
            List::Few { frames: [first, second], count } if *count < Self::FEW => {
                std::mem::swap(first, second);
                *first = frame.into();
                *count += 1;
            }
            _ => self.many().insert(0, frame.into()),
        }
    }

    /// Takes the first frame out.
    #[inline]
    pub fn pop_front(&mut self) -> Option<Bytes> {
        match &mut self.0 {
            List::Few { count: 0, .. } => None,
            List::Few { frames: [first, second], count } => {
                *count -= 1;
                Some(std::mem::replace(first, std::mem::take(second)))
            }
            List::Many(frames) if frames.is_empty() => None,
            List::Many(frames) => Some(frames.remove(0)),
        }
    }

    /// All frames but the first `count`, moved; fewer when there are not so many.
    #[must_use]
    pub fn skip(mut self, count: usize) -> Self {
        match &mut self.0 {
            List::Few { .. } => (0..count.min(Self::FEW)).for_each(|_| drop(self.pop_front())),
            List::Many(frames) => drop(frames.drain(..count.min(frames.len()))),
        }
        self
    }

    /// Bytes of all frames together.
    #[inline]
    pub fn byte_count(&self) -> usize {
        self.iter().map(Bytes::len).sum()
    }

    /// Memory that the list takes beside the message itself and the bytes of its frames.
    pub fn list_bytes(&self) -> usize {
        match &self.0 {
            List::Few { .. } => 0,
            List::Many(frames) => frames.capacity() * size_of::<Bytes>(),
        }
    }

    #[inline]
    fn push_bytes(&mut self, frame: Bytes) {
        if let List::Few { frames, count } = &mut self.0
            && let Some(place) = frames.get_mut(*count)
        {
            *place = frame;
            *count += 1;
            return;
        }
        self.many().push(frame);
    }

    /// The list as one that can grow.
    fn many(&mut self) -> &mut Vec<Bytes> {
        if let List::Few { frames, count } = &mut self.0 {
            let mut many = Vec::with_capacity(MANY);
            many.extend(std::mem::take(frames).into_iter().take(*count));
            self.0 = List::Many(many);
        }
        match &mut self.0 {
            List::Many(frames) => frames,
            List::Few { .. } => unreachable!("it has just been made one that grows"),
        }
    }
}

/// The first room for more than a few: REQUEST and REPLY of 0.1 have six frames.
const MANY: usize = 6;

impl Default for Frames {
    fn default() -> Self {
        Self::new()
    }
}

impl Deref for Frames {
    type Target = [Bytes];

    #[inline]
    fn deref(&self) -> &[Bytes] {
        match &self.0 {
            List::Few { frames, count } => frames.get(..*count).unwrap_or_default(),
            List::Many(frames) => frames,
        }
    }
}

impl PartialEq for Frames {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Frames {}

impl Hash for Frames {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl Extend<Bytes> for Frames {
    fn extend<I: IntoIterator<Item = Bytes>>(&mut self, frames: I) {
        frames.into_iter().for_each(|frame| self.push_bytes(frame));
    }
}

impl FromIterator<Bytes> for Frames {
    fn from_iter<I: IntoIterator<Item = Bytes>>(frames: I) -> Self {
        let frames = frames.into_iter();
        let mut collected = Self::with_capacity(frames.size_hint().0);
        collected.extend(frames);
        collected
    }
}

impl IntoIterator for Frames {
    type Item = Bytes;
    type IntoIter = IntoIter;

    fn into_iter(self) -> IntoIter {
        IntoIter(match self.0 {
            List::Few { frames, count } => Rest::Few(frames.into_iter().take(count)),
            List::Many(frames) => Rest::Many(frames.into_iter()),
        })
    }
}

impl Iterator for IntoIter {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        match &mut self.0 {
            Rest::Few(frames) => frames.next(),
            Rest::Many(frames) => frames.next(),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match &self.0 {
            Rest::Few(frames) => frames.size_hint(),
            Rest::Many(frames) => frames.size_hint(),
        }
    }
}

impl ExactSizeIterator for IntoIter {}

impl<'a> IntoIterator for &'a Frames {
    type Item = &'a Bytes;
    type IntoIter = std::slice::Iter<'a, Bytes>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<F: Into<Bytes>, const N: usize> From<[F; N]> for Frames {
    fn from(frames: [F; N]) -> Self {
        frames.into_iter().map(Into::into).collect()
    }
}

impl From<Vec<Bytes>> for Frames {
    fn from(frames: Vec<Bytes>) -> Self {
        Self(List::Many(frames))
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

    /// Lists of every length around what is kept without memory, as they are made one by one and all at once.
    #[test]
    fn few_and_many_frames_are_the_same_list() {
        for count in 0..5_u8 {
            let octets: Vec<_> = (0..count).map(|number| Bytes::from(vec![number])).collect();
            let (mut pushed, mut fronted) = (Frames::new(), Frames::new());
            octets.iter().for_each(|frame| pushed.push(frame.clone()));
            octets.iter().rev().for_each(|frame| fronted.push_front(frame.clone()));
            let vector = Frames::from(octets.clone());
            for frames in [&pushed, &fronted, &octets.iter().cloned().collect(), &vector] {
                assert_eq!(**frames, *octets);
                assert_eq!(frames, &vector);
                assert_eq!(frames.clone().into_iter().len(), octets.len());
                assert!(frames.clone().into_iter().eq(octets.iter().cloned()));
                for skipped in 0..6 {
                    assert_eq!(**frames, *octets, "skip takes nothing from a clone");
                    assert_eq!(*frames.clone().skip(skipped), octets[skipped.min(octets.len())..]);
                }
            }
            let mut popped: Vec<_> = std::iter::from_fn(|| pushed.pop_front()).collect();
            assert_eq!((popped.len(), &popped), (octets.len(), &octets));
            popped.iter().for_each(|frame| pushed.push(frame.clone()));
            popped.rotate_left(usize::from(count > 0));
            if let Some(first) = pushed.pop_front() {
                pushed.push(first);
            }
            assert_eq!(*pushed, *popped, "a place that was left is used again");
        }
        assert_eq!(Frames::from(["head", "body"]).list_bytes(), 0);
    }

    #[test]
    fn debug_escapes_bytes_and_cuts_long_frames() {
        let frames = Frames::from([Bytes::from_static(b"\x01a"), Bytes::from(vec![b'x'; 65])]);
        assert_eq!(format!("{frames:?}"), format!("[\"\\x01a\", \"{}\" and 1 bytes]", "x".repeat(64)));
    }
}
