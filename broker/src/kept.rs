//! Answers that have been given, kept for a while for whoever asks again (docs/rfc/MDP-0.3.md, 7.4).
//!
//! ```text
//!   answers          oldest ─► [ a b c d ] ◄─ newest     where there is no room: a, then b ...
//!   what runs once   oldest ─► [ e f - - ]               loses its answers by age as well, its ids after all others
//! ```
//!
//! An answer is written into a chunk of memory that it shares with its neighbours, which leave at about the same time:
//! so keeping one is a copy of its octets and no allocation, and no buffer of a socket stays alive for its sake.

use std::collections::VecDeque;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use protocol::timers::Alarm;
use protocol::{Frames, Instant};

use crate::config::Limits;
use crate::known::{Known, Stage, Ticket};

/// What is remembered of requests that have ended.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    answers: Ring,
    once: Ring,
    /// The number of the oldest request that runs once and may have an answer.
    oldest_answered: u64,
    byte_count: usize,
    chunk: BytesMut,
    /// Rings when the oldest is to be forgotten.
    pub(crate) alarm: Alarm,
}

/// Where a request is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    once: bool,
    number: u64,
}

/// Records in the order of their ends, with the number of the first.
#[derive(Debug, Default)]
struct Ring {
    records: VecDeque<Record>,
    first: u64,
}

#[derive(Debug)]
struct Record {
    ticket: Ticket,
    until: Instant,
    /// What stands for the request.
    digest: u64,
    /// `None` where only the id is known, so that it cannot run again.
    answer: Option<Bytes>,
}

/// What a duplicate of a request that has ended is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Recall {
    /// The answer, as it was sent.
    Answer(Frames),
    /// That it cannot be answered: it is another request, or one whose answer is not there.
    Conflict,
}

impl Kept {
    /// Remembers a request until `until`, within the limits: the oldest make room.
    pub(crate) fn add(
        &mut self,
        known: &mut Known,
        limits: &Limits,
        ticket: Ticket,
        until: Instant,
        (digest, answer): (u64, Option<&Frames>),
        once: bool,
    ) {
        let answer = answer.map(|answer| self.write(answer));
        self.byte_count += length(answer.as_ref());
        let ring = if once { &mut self.once } else { &mut self.answers };
        let number = ring.push(Record { ticket, until, digest, answer });
        known.move_to(ticket, Stage::Ended(Place { once, number }));
        while self.len() > limits.kept_answers_max {
            let Some(record) = self.answers.pop().or_else(|| self.once.pop()) else { break };
            self.forget(&record, known);
        }
        while self.byte_count > limits.kept_bytes_max && self.drop_answer(known) {}
    }

    /// What is known of the request at this place, for one with this digest.
    pub(crate) fn recall(&self, place: Place, digest: u64) -> Recall {
        let ring = if place.once { &self.once } else { &self.answers };
        let record = ring.index(place.number).and_then(|index| ring.records.get(index));
        match record.filter(|record| record.digest == digest).and_then(|record| record.answer.as_ref()) {
            Some(answer) => Recall::Answer(read(answer)),
            None => Recall::Conflict,
        }
    }

    /// Forgets what has been kept until `now`.
    pub(crate) fn expire(&mut self, now: Instant, known: &mut Known) {
        while let Some(record) = self.answers.pop_until(now).or_else(|| self.once.pop_until(now)) {
            self.forget(&record, known);
        }
    }

    /// When the next one is to be forgotten.
    pub(crate) fn first_expiry(&self) -> Option<Instant> {
        let fronts = [self.answers.records.front(), self.once.records.front()];
        fronts.into_iter().flatten().map(|record| record.until).min()
    }

    /// Requests that are remembered.
    pub(crate) fn len(&self) -> usize {
        self.answers.records.len() + self.once.records.len()
    }

    /// Octets of their answers.
    #[cfg(test)]
    pub(crate) fn byte_count(&self) -> usize {
        self.byte_count
    }

    /// Drops the oldest answer, and all that is known of its request unless that runs once.
    fn drop_answer(&mut self, known: &mut Known) -> bool {
        self.oldest_answered = self.oldest_answered.max(self.once.first);
        let index = self.once.index(self.oldest_answered);
        let once = index.and_then(|index| self.once.records.get_mut(index));
        let front = self.answers.records.front().map(|record| record.until);
        match once.filter(|once| front.is_none_or(|front| once.until < front)) {
            Some(record) => {
                self.oldest_answered += 1;
                self.byte_count -= length(record.answer.take().as_ref());
                true
            }
            None => {
                let Some(record) = self.answers.pop() else { return false };
                self.forget(&record, known);
                true
            }
        }
    }

    fn forget(&mut self, record: &Record, known: &mut Known) {
        self.byte_count -= length(record.answer.as_ref());
        known.forget(record.ticket);
    }

    /// Frames one behind the other, each with its length in four octets before it.
    fn write(&mut self, frames: &Frames) -> Bytes {
        let length = frames.byte_count() + frames.len() * LENGTH_BYTES;
        if self.chunk.capacity() < length {
            self.chunk = BytesMut::with_capacity(length.max(CHUNK_BYTES));
        }
        for frame in frames {
            self.chunk.put_u32(u32::try_from(frame.len()).unwrap_or(u32::MAX));
            self.chunk.put_slice(frame);
        }
        self.chunk.split().freeze()
    }
}

impl Ring {
    fn push(&mut self, record: Record) -> u64 {
        self.records.push_back(record);
        self.first + self.records.len() as u64 - 1
    }

    fn pop(&mut self) -> Option<Record> {
        let record = self.records.pop_front()?;
        self.first += 1;
        Some(record)
    }

    fn pop_until(&mut self, now: Instant) -> Option<Record> {
        self.records.front().filter(|record| record.until <= now)?;
        self.pop()
    }

    fn index(&self, number: u64) -> Option<usize> {
        usize::try_from(number.checked_sub(self.first)?).ok()
    }
}

fn length(answer: Option<&Bytes>) -> usize {
    answer.map_or(0, Bytes::len)
}

/// The frames again, copied: what is sent must not keep a chunk alive for as long as its client does not read.
fn read(mut answer: &[u8]) -> Frames {
    let mut frames = Frames::new();
    while answer.len() >= LENGTH_BYTES {
        let length = usize::try_from(answer.get_u32()).unwrap_or(usize::MAX);
        frames.push(Bytes::copy_from_slice(answer.get(..length).unwrap_or_default()));
        answer.advance(length.min(answer.len()));
    }
    frames
}

const LENGTH_BYTES: usize = 4;

/// Memory that answers share: a few hundred small ones.
const CHUNK_BYTES: usize = 64 << 10;
