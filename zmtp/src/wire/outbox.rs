//! Messages on their way to one peer, already in the form of the wire.
//!
//! Small frames are copied into one buffer, so that a batch of messages leaves with one system call and pins nothing;
//! a large frame stays where it is and is written from there, between the two parts of the buffer that surround it.
//! A burst takes a large buffer from those that its thread has spare, and gives it back: it is not made anew and torn
//! down with every batch, and no connection sits on it.
//!
//! ```text
//!   octets: [head a head b head][head c ...]        large: (at ──┘, body)
//! ```

use std::cell::RefCell;
use std::io::IoSlice;

use bytes::Bytes;
use protocol::Frames;

use crate::wire::decoder::SMALL_FRAME_BYTES;
use crate::wire::frame::{self, HEAD_BYTES_MAX, Head};

/// The largest buffer that is kept from batch to batch.
const KEPT_BYTES_MAX: usize = 32 << 10;

/// A large buffer, when a small one is not enough.
const LARGE_BYTES: usize = 256 << 10;
/// Large buffers that a thread keeps, and the largest of them.
const SPARES_MAX: usize = 8;
const SPARE_BYTES_MAX: usize = 1 << 20;

thread_local! {
    static SPARES: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// Encoded messages; first in, first out.
#[derive(Debug, Default)]
pub struct Outbox {
    octets: Vec<u8>,
    large: Vec<Large>,
    large_bytes: usize,
    messages: usize,
}

/// A body that is written after the first `at` octets of the buffer.
#[derive(Debug)]
struct Large {
    at: usize,
    body: Bytes,
}

/// How far the writing of an outbox has come.
#[derive(Debug, Default, Clone, Copy)]
pub struct Cursor {
    octets: usize,
    large: usize,
    of_large: usize,
}

impl Outbox {
    /// Adds a message. One without frames travels as one empty frame, the least that ZMTP can say.
    pub fn push(&mut self, frames: &Frames) {
        let Some((last, others)) = frames.split_last() else {
            frame::put_message_head(&mut self.octets, 0, false);
            self.messages += 1;
            return;
        };
        for frame in others {
            self.push_frame(frame, true);
        }
        self.push_frame(last, false);
        self.messages += 1;
    }

    fn push_frame(&mut self, body: &Bytes, more: bool) {
        let is_small = body.len() <= SMALL_FRAME_BYTES;
        self.make_room(if is_small { body.len() + HEAD_BYTES_MAX } else { HEAD_BYTES_MAX });
        frame::put_message_head(&mut self.octets, body.len(), more);
        if is_small {
            self.octets.extend_from_slice(body);
        } else {
            self.large.push(Large { at: self.octets.len(), body: body.clone() });
            self.large_bytes += body.len();
        }
    }

    /// Changes to a large buffer when the small one is full.
    fn make_room(&mut self, more: usize) {
        let wanted = self.octets.len() + more;
        if wanted <= self.octets.capacity() || wanted <= KEPT_BYTES_MAX || wanted > LARGE_BYTES {
            return;
        }
        let spare = SPARES.with_borrow_mut(Vec::pop);
        let mut large = spare.unwrap_or_else(|| Vec::with_capacity(LARGE_BYTES));
        large.extend_from_slice(&self.octets);
        self.octets = large;
    }

    /// Messages in it.
    pub fn messages(&self) -> usize {
        self.messages
    }

    /// Octets in it, as they are written.
    pub fn bytes(&self) -> usize {
        self.octets.len() + self.large_bytes
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.octets.is_empty()
    }

    /// Empties it and keeps its buffer for the next batch, unless a burst made it huge.
    pub fn clear(&mut self) {
        self.octets.clear();
        if self.octets.capacity() > KEPT_BYTES_MAX {
            give_spare(std::mem::take(&mut self.octets));
        }
        self.large.clear();
        self.large_bytes = 0;
        self.messages = 0;
    }

    /// Gives the memory of an empty outbox back.
    pub fn release(&mut self) {
        if self.is_empty() {
            *self = Self::default();
        }
    }

    /// Whether there is nothing but the plain buffer to write; then [`plain`](Self::plain) is all of it.
    pub fn is_plain(&self) -> bool {
        self.large.is_empty()
    }

    /// What is still to be written of a plain outbox.
    pub fn plain(&self, cursor: &Cursor) -> &[u8] {
        self.octets.get(cursor.octets..).unwrap_or_default()
    }

    /// Fills `slices` with what is still to be written, in order; returns how many it filled.
    pub fn slices<'a>(&'a self, cursor: &Cursor, slices: &mut [IoSlice<'a>]) -> usize {
        let mut parts = Parts { outbox: self, cursor: *cursor };
        let mut count = 0;
        for (slot, part) in slices.iter_mut().zip(std::iter::from_fn(|| parts.next_part())) {
            *slot = IoSlice::new(part);
            count += 1;
        }
        count
    }

    /// Moves the cursor over octets that were written; true when that was all.
    pub fn advance(&self, cursor: &mut Cursor, mut written: usize) -> bool {
        while written > 0 {
            match self.large.get(cursor.large) {
                Some(large) if large.at == cursor.octets => {
                    let step = written.min(large.body.len() - cursor.of_large);
                    cursor.of_large += step;
                    written -= step;
                    if cursor.of_large == large.body.len() {
                        (cursor.large, cursor.of_large) = (cursor.large + 1, 0);
                    }
                }
                next => {
                    let end = next.map_or(self.octets.len(), |large| large.at);
                    let step = written.min(end - cursor.octets);
                    cursor.octets += step;
                    written -= step;
                    if step == 0 {
                        break;
                    }
                }
            }
        }
        cursor.octets == self.octets.len() && cursor.large == self.large.len()
    }

    /// The frame at the cursor, which stands between two frames, and moves past it; `None` at the end.
    #[cfg(feature = "curve")]
    pub(crate) fn next_frame(&self, cursor: &mut Cursor) -> Option<(Head, &[u8])> {
        let head = Head::parse(self.octets.get(cursor.octets..)?).ok()??;
        let size = usize::try_from(head.size).ok()?;
        let start = cursor.octets + head.length;
        if size > SMALL_FRAME_BYTES {
            let body = &self.large.get(cursor.large)?.body;
            *cursor = Cursor { octets: start, large: cursor.large + 1, of_large: 0 };
            return Some((head, body));
        }
        let body = self.octets.get(start..start + size)?;
        cursor.octets = start + size;
        Some((head, body))
    }

    /// What must be written again on another connection: everything from the first message of which not every octet
    /// was written.
    pub fn unsent(&self, cursor: &Cursor) -> Self {
        let mut unsent = Self::default();
        let (mut at, mut message_at, mut large) = (0, 0, 0);
        let mut message_large = 0;
        while let Some(Ok(Some(head))) = self.octets.get(at..).map(Head::parse) {
            let size = usize::try_from(head.size).unwrap_or(usize::MAX);
            at += head.length;
            if size > SMALL_FRAME_BYTES {
                large += 1;
            } else {
                at += size;
            }
            if head.more {
                continue;
            }
            let written = cursor.octets >= at && cursor.large >= large;
            if !written {
                unsent.append_range(self, message_at..at, message_large..large);
            }
            (message_at, message_large) = (at, large);
        }
        unsent
    }

    /// Adds one encoded message of another outbox.
    fn append_range(&mut self, from: &Self, octets: std::ops::Range<usize>, large: std::ops::Range<usize>) {
        let base = self.octets.len();
        self.octets.extend_from_slice(from.octets.get(octets.clone()).unwrap_or_default());
        for part in from.large.get(large).unwrap_or_default() {
            self.large_bytes += part.body.len();
            self.large.push(Large { at: base + part.at - octets.start, body: part.body.clone() });
        }
        self.messages += 1;
    }

    /// Adds everything of another outbox at the end.
    pub fn append(&mut self, other: &mut Self) {
        let base = self.octets.len();
        self.octets.append(&mut other.octets);
        self.large.extend(other.large.drain(..).map(|large| Large { at: base + large.at, ..large }));
        self.large_bytes += std::mem::take(&mut other.large_bytes);
        self.messages += std::mem::take(&mut other.messages);
    }
}

/// Keeps a large buffer for the next burst of anybody in this thread, if it is worth it.
fn give_spare(buffer: Vec<u8>) {
    SPARES.with_borrow_mut(|spares| {
        if spares.len() < SPARES_MAX && (LARGE_BYTES..=SPARE_BYTES_MAX).contains(&buffer.capacity()) {
            spares.push(buffer);
        }
    });
}

/// Walks over what is left to write.
struct Parts<'a> {
    outbox: &'a Outbox,
    cursor: Cursor,
}

impl<'a> Parts<'a> {
    fn next_part(&mut self) -> Option<&'a [u8]> {
        let Cursor { octets, large, of_large } = self.cursor;
        match self.outbox.large.get(large) {
            Some(next) if next.at == octets => {
                self.cursor = Cursor { octets, large: large + 1, of_large: 0 };
                next.body.get(of_large..)
            }
            next => {
                let end = next.map_or(self.outbox.octets.len(), |large| large.at);
                self.cursor.octets = end;
                self.outbox.octets.get(octets..end).filter(|part| !part.is_empty())
            }
        }
    }
}

#[cfg(test)]
#[path = "outbox_tests.rs"]
mod tests;
