//! Reads a log from its first record that counts to its last, and says what is damaged.
//!
//! ```text
//!   checkpoints ──► heads of all slots ──► chunks in their order ──► records ──► index, ring, report
//!   the newer one    older than the tail:     a missing number          each in its place, with the
//!                    counts no more           is a hole                 epoch of its chunk
//! ```
//!
//! What lies behind a hole counts. A hole is *lost* when it had been durable, as some later record, head or checkpoint
//! of the same opening says: then a disk has damaged it. Otherwise it is *torn*: written, not flushed, never
//! acknowledged.

use std::collections::{BTreeMap, VecDeque};
use std::io;

use protocol::mutants::{self, Mutant};

use super::checkpoint::{CHECKPOINT_BYTES, Checkpoint};
use super::chunk::{HEAD_BYTES, Head};
use super::error::OpenError;
use super::index::{Index, Location};
use super::layout::{Geometry, Lsn, Reader, SEQUENCE_MAX, Seal};
use super::record::{Header, Id, Kind, PAYLOAD_BYTES_MAX};
use super::region::Region;
use super::ring::{Chunk, Ring};
use super::walk::{Step, Walk};
use super::writer::Progress;

/// Octets of the log that are no records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hole {
    /// Where they begin.
    pub from: Lsn,
    /// Where they end.
    pub to: Lsn,
    /// What they were.
    pub damage: Damage,
}

/// What a hole was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// It had been flushed: the disk lost it.
    Lost,
    /// As far as is known it had not been flushed, so nobody was told that it was safe.
    Torn,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Octets of chunks that were read.
    pub scanned_bytes: u64,
    /// Whole records, those that count no longer included.
    pub records: u64,
    /// The first [`HOLES_MAX`] holes, in the order of the log.
    pub holes: Vec<Hole>,
    /// Octets that were lost.
    pub lost_bytes: u64,
    /// Octets that were torn.
    pub torn_bytes: u64,
    /// Checkpoints of the two that are not in order.
    pub bad_checkpoints: u32,
    /// Heads of chunks that count, of the two that each has, that are not in order.
    pub bad_heads: u32,
    /// Attempts and deaths whose request was not found.
    pub orphans: u64,
}

impl Recovery {
    /// Whether octets that were safe, or could have been, are not what was written.
    pub fn is_damaged(&self) -> bool {
        self.lost_bytes > 0 || self.torn_bytes > 0 || self.bad_checkpoints > 0 || self.bad_heads > 0
    }
}

/// How many holes a report lists; it counts the octets of all.
pub const HOLES_MAX: usize = 1000;

/// All that a log holds.
#[derive(Debug)]
pub(crate) struct Survey {
    pub(crate) checkpoint: Checkpoint,
    /// The highest epoch that anything in the file speaks of.
    pub(crate) epoch: u32,
    /// The number of the next chunk.
    pub(crate) next_sequence: u64,
    /// Where the last record ends.
    pub(crate) end: Lsn,
    pub(crate) chunks: VecDeque<Chunk>,
    pub(crate) index: Index,
    pub(crate) report: Recovery,
}

/// Reads everything and changes nothing.
///
/// # Errors
/// When the file is no log that this program can read, or not all of it is there.
pub(crate) fn survey<R: Region>(region: &R, progress: &mut dyn FnMut(Progress)) -> Result<Survey, OpenError> {
    let (checkpoint, bad_checkpoints, epoch) = checkpoints(region)?;
    let (found, expected) = (region.len(), checkpoint.geometry.file_bytes(checkpoint.slots));
    if found < expected {
        return Err(OpenError::Cut { found, expected });
    }
    let heads = Heads::read(region, &checkpoint);
    let mut replay =
        Replay::new(&checkpoint, Recovery { bad_checkpoints, bad_heads: heads.bad, ..Recovery::default() });
    replay.mark(checkpoint.epoch, checkpoint.durable);
    heads.list.iter().for_each(|head| replay.mark(head.epoch, head.durable));
    replay.chunks(region, &heads, &checkpoint, progress);
    Ok(replay.finish(checkpoint, &heads, epoch))
}

/// The newer of the two that is in order, how many are not, and the highest epoch.
fn checkpoints<R: Region>(region: &R) -> Result<(Checkpoint, u32, u32), OpenError> {
    let read = |offset: u64| {
        let mut octets = [0; CHECKPOINT_BYTES];
        match region.read(offset, &mut octets) {
            Ok(()) => Checkpoint::decode(&octets),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(OpenError::NotALog),
            Err(error) => Err(OpenError::Io(error)),
        }
    };
    let first = read(0);
    let second = match &first {
        Ok(first) => read(first.geometry.checkpoint_offset(1)),
        // Where B lies is known only to A: it is looked for at every size of a page.
        Err(_) => {
            let (low, high) = Geometry::PAGE_BYTES_RANGE;
            let sizes = std::iter::successors(Some(low), |size| (size * 2 <= high).then_some(size * 2));
            let in_place = |size: u32| match read(u64::from(size)) {
                Ok(found) if found.geometry.page_bytes() != size => Err(OpenError::Checkpoints),
                other => other,
            };
            let mut seconds: Vec<_> = sizes.map(in_place).collect();
            seconds.sort_by_key(telling);
            seconds.into_iter().next_back().unwrap_or(Err(OpenError::NotALog))
        }
    };
    match (first, second) {
        (Ok(first), Ok(second)) if second.id == first.id && second.geometry == first.geometry => {
            let (newer, older) = if second.number > first.number { (second, first) } else { (first, second) };
            // They are written by turns: one that is not the last but one has been put back.
            let stale = u32::from(older.number + 1 != newer.number);
            let newer = if mutants::on(Mutant::ReuseOldCheckpoint) { older } else { newer };
            Ok((newer, stale, first.epoch.max(second.epoch)))
        }
        (Ok(only), _) | (Err(_), Ok(only)) => Ok((only, 1, only.epoch)),
        (first, second) => if telling(&second) > telling(&first) { second } else { first }.map(|only| (only, 1, 0)),
    }
}

/// How much an answer says: of two that are no checkpoints the one that says more is told.
fn telling(answer: &Result<Checkpoint, OpenError>) -> u8 {
    match answer {
        Ok(_) => 4,
        Err(OpenError::Version { .. }) => 3,
        Err(OpenError::Checkpoints) => 2,
        Err(OpenError::Io(_)) => 1,
        Err(_) => 0,
    }
}

/// The heads of the chunks that count, by their number.
struct Heads {
    list: Vec<Head>,
    tail: u64,
    bad: u32,
}

impl Heads {
    fn read<R: Region>(region: &R, checkpoint: &Checkpoint) -> Self {
        let geometry = checkpoint.geometry;
        let (seal, last) = (checkpoint.id.seal(), u64::from(geometry.data_end()));
        let mut heads = BTreeMap::new();
        for slot in 0..geometry.slots(region.len()) {
            let offset = geometry.slot_offset(slot);
            let read = |offset| read_head(region, offset, slot, seal);
            let (first, second) = (read(offset), read(offset + last));
            let Some(head) = [first, second].into_iter().flatten().max_by_key(|head| head.sequence) else { continue };
            let bad = u32::from(first != Some(head) || second != Some(head));
            heads.insert(head.sequence, (head, bad));
        }
        // The tail may have moved on since the checkpoint that is left was written; a slot that was used again knows.
        let tail = heads.values().map(|(head, _)| head.tail).fold(checkpoint.tail, u64::max);
        let heads = heads.split_off(&tail);
        let bad = heads.values().map(|(_, bad)| bad).sum();
        Self { list: heads.into_values().map(|(head, _)| head).collect(), tail, bad }
    }
}

/// A head that cannot be read is damaged; anything worse shows when the chunk is read.
fn read_head<R: Region>(region: &R, offset: u64, slot: u32, seal: Seal) -> Option<Head> {
    let mut octets = [0; HEAD_BYTES];
    region.read(offset, &mut octets).ok()?;
    Head::decode(&octets, slot, seal)
}

/// A record of which some parts are still to come.
struct Partial {
    start: Lsn,
    id: Id,
    kind: Kind,
    length: u32,
    rest: u32,
    /// Where the next part must be.
    next: Lsn,
}

/// What the records read so far add up to.
struct Replay {
    geometry: Geometry,
    seal: Seal,
    ring: Ring,
    index: Index,
    partial: Option<Partial>,
    /// Up to where each opening knew that it was durable.
    marks: BTreeMap<u32, Lsn>,
    /// Holes, and the opening that wrote what was there.
    holes: Vec<(Lsn, Lsn, u32)>,
    end: Lsn,
    report: Recovery,
}

impl Replay {
    fn new(checkpoint: &Checkpoint, report: Recovery) -> Self {
        Self {
            geometry: checkpoint.geometry,
            seal: checkpoint.id.seal(),
            ring: Ring::new(checkpoint.geometry, VecDeque::new(), 0, 0),
            index: Index::new(checkpoint.id),
            partial: None,
            marks: BTreeMap::new(),
            holes: Vec::new(),
            end: Lsn(0),
            report,
        }
    }

    fn mark(&mut self, epoch: u32, durable: Lsn) {
        if durable >= self.geometry.lsn_max() {
            return;
        }
        let mark = self.marks.entry(epoch).or_default();
        *mark = (*mark).max(durable);
    }

    fn chunks<R: Region>(
        &mut self,
        region: &R,
        heads: &Heads,
        checkpoint: &Checkpoint,
        progress: &mut dyn FnMut(Progress),
    ) {
        let geometry = self.geometry;
        let total = heads.list.len() as u64 * u64::from(geometry.chunk_bytes());
        self.ring = Ring::new(geometry, heads.list.iter().map(chunk_of).collect(), 0, 0);
        self.end = geometry.lsn(heads.tail, geometry.data_start());
        let mut buffer = vec![0; usize::try_from(geometry.chunk_bytes()).unwrap_or(usize::MAX)];
        let mut expected = heads.tail;
        for (place, head) in heads.list.iter().enumerate() {
            if head.sequence > expected {
                let (from, to) = (geometry.lsn(expected, geometry.data_start()), geometry.lsn(head.sequence, 0));
                self.holes.push((from, to, head.epoch));
            }
            expected = head.sequence + 1;
            let known_end = known_end(geometry, head, heads.list.get(place + 1), checkpoint);
            read_chunk(region, geometry.slot_offset(head.slot), geometry.page_bytes(), &mut buffer);
            self.chunk(&buffer, head, known_end);
            self.report.scanned_bytes += u64::from(geometry.chunk_bytes());
            progress(Progress { done: self.report.scanned_bytes, total });
        }
        // A last chunk whose head is gone: the checkpoint knew that there was something.
        let (last, _) = geometry.place(checkpoint.durable);
        if last >= expected && checkpoint.durable > geometry.lsn(expected, geometry.data_start()) {
            let from = geometry.lsn(expected, geometry.data_start());
            self.holes.push((from, checkpoint.durable, checkpoint.epoch));
            self.end = self.end.max(checkpoint.durable);
        }
    }

    fn chunk(&mut self, octets: &[u8], head: &Head, known_end: Option<(Lsn, u32)>) {
        self.end = self.geometry.lsn(head.sequence, self.geometry.data_start());
        for step in Walk::new(octets, self.geometry, head.sequence, head.epoch, self.seal) {
            match step {
                Step::Part(header, payload) => self.part(&header, payload),
                Step::Hole(from, to) => self.holes.push((from, to, head.epoch)),
            }
        }
        // What is known to have ended there may be followed by what was written and is not known to be durable.
        if let Some((end, epoch)) = known_end.filter(|(end, _)| *end > self.end) {
            self.holes.push((self.end, end, epoch));
            self.end = end;
        }
    }

    fn part(&mut self, header: &Header, payload: &[u8]) {
        self.end = Lsn(header.lsn.0.saturating_add(header.stored_bytes()));
        let partial = self.partial.take();
        if header.kind == Kind::Commit {
            if let Some(durable) = Reader(payload).u64() {
                self.mark(header.epoch, Lsn(durable));
            }
            return;
        }
        let record = if header.start == header.lsn {
            let Some(length) = header.length.checked_add(header.rest) else { return };
            Partial { start: header.start, id: header.id, kind: header.kind, length, rest: header.rest, next: Lsn(0) }
        } else {
            // The beginning may have been freed, or damaged: then this is of no use.
            let Some(record) = partial.filter(|partial| partial.is_continued_by(header)) else { return };
            Partial { rest: header.rest, ..record }
        };
        if record.rest == 0 {
            self.record(&record);
        } else {
            let (sequence, _) = self.geometry.place(header.lsn);
            let next = self.geometry.lsn(sequence + 1, self.geometry.data_start());
            self.partial = Some(Partial { next, ..record });
        }
    }

    fn record(&mut self, record: &Partial) {
        if usize::try_from(record.length).is_ok_and(|length| length > PAYLOAD_BYTES_MAX) {
            return;
        }
        self.report.records += 1;
        let location = Location::new(record.start, record.length);
        let change = self.index.apply(record.kind, record.id, location);
        if change.counts {
            self.ring.add(location);
        }
        // Everything that is read here is on the disk already.
        change.freed.into_iter().flatten().for_each(|freed| self.ring.remove(freed, Lsn(0)));
    }

    /// The last chunk that was begun when the log went as far as this.
    fn begun_at(&self, end: Lsn) -> u64 {
        let (sequence, offset) = self.geometry.place(end);
        if offset > self.geometry.data_start() { sequence } else { sequence.saturating_sub(1) }
    }

    fn finish(mut self, checkpoint: Checkpoint, heads: &Heads, epoch: u32) -> Survey {
        for orphan in self.index.remove_orphans() {
            self.report.orphans += 1;
            self.ring.remove(orphan, Lsn(0));
        }
        for (from, to, epoch) in std::mem::take(&mut self.holes) {
            let lost = self.marks.get(&epoch).is_some_and(|durable| from < *durable);
            let damage = if lost { Damage::Lost } else { Damage::Torn };
            *(if lost { &mut self.report.lost_bytes } else { &mut self.report.torn_bytes }) += to.0 - from.0;
            if self.report.holes.len() < HOLES_MAX {
                self.report.holes.push(Hole { from, to, damage });
            }
        }
        let furthest = self.marks.values().copied().fold(self.end, Lsn::max);
        let seen = heads.list.last().map_or(0, |head| head.sequence);
        let next_sequence = seen.max(self.begun_at(furthest)).max(heads.tail.saturating_sub(1)) + 1;
        Survey {
            checkpoint: Checkpoint { tail: heads.tail, ..checkpoint },
            epoch: heads.list.iter().map(|head| head.epoch).fold(epoch, u32::max),
            // One that is too high for a checkpoint's tail could not be written down.
            next_sequence: next_sequence.min(SEQUENCE_MAX - 1),
            end: self.end,
            chunks: self.ring.chunks().copied().collect(),
            index: self.index,
            report: self.report,
        }
    }
}

impl Partial {
    fn is_continued_by(&self, header: &Header) -> bool {
        let same = (header.start, header.id, header.kind) == (self.start, self.id, self.kind);
        same && header.lsn == self.next && header.length.checked_add(header.rest) == Some(self.rest)
    }
}

/// Where in the log the last record of a chunk ended, if the next chunk or the checkpoint tells, and which opening says
/// so.
fn known_end(geometry: Geometry, head: &Head, next: Option<&Head>, checkpoint: &Checkpoint) -> Option<(Lsn, u32)> {
    let next = next.filter(|next| next.sequence == head.sequence + 1);
    let told = next.map_or((checkpoint.durable, checkpoint.epoch), |next| (next.previous_end, next.epoch));
    let (sequence, offset) = geometry.place(told.0);
    (sequence == head.sequence && offset <= geometry.data_end()).then_some(told)
}

fn chunk_of(head: &Head) -> Chunk {
    let Head { sequence, slot, epoch, .. } = *head;
    Chunk { sequence, slot, epoch, live_bytes: 0, dead_at: Lsn(0) }
}

/// Reads a whole chunk; pages that cannot be read are zeros, and so become holes.
pub(crate) fn read_chunk<R: Region>(region: &R, offset: u64, page_bytes: u32, buffer: &mut [u8]) {
    if region.read(offset, buffer).is_ok() {
        return;
    }
    let page = usize::try_from(page_bytes).unwrap_or(usize::MAX);
    for (place, piece) in (0u64..).zip(buffer.chunks_mut(page)) {
        if region.read(offset + place * u64::from(page_bytes), piece).is_err() {
            piece.fill(0);
        }
    }
}
