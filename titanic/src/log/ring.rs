//! Which chunks there are, where they lie, and how much in them counts.
//!
//! ```text
//!   tail                                            head          free       cooling
//!   ├ 17 (slot 3) ┼ 18 (slot 4) ┼ 19 (slot 0) ┼ 20 (slot 1) ┤     slot 2     slot 5: its chunk counts no more, but
//!                                                                            the checkpoint is not yet durable
//! ```

use std::collections::{BTreeSet, VecDeque};

use protocol::mutants::{self, Mutant};

use super::index::Location;
use super::layout::{Geometry, Lsn, stored_bytes};

/// A chunk that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Which of all that ever were.
    pub sequence: u64,
    /// Where it lies.
    pub slot: u32,
    /// Which opening of the log wrote it.
    pub epoch: u32,
    /// Octets of the records that begin in it and count.
    pub live_bytes: u64,
    /// Since where in the log nothing in it counts: it may go when that is durable.
    pub(crate) dead_at: Lsn,
}

/// All of them, oldest first, and the slots that have none.
#[derive(Clone, Debug)]
pub struct Ring {
    geometry: Geometry,
    chunks: VecDeque<Chunk>,
    free: BTreeSet<u32>,
    /// Slots, and the batch that must be flushed before they are free.
    cooling: Vec<(u64, u32)>,
    /// Slots of the file that may be used.
    slots: u32,
    slots_max: u32,
    /// The disk had no room for more slots than these; and how often more were wished for since.
    tight: Option<(u32, u32)>,
    live_bytes: u64,
}

impl Ring {
    pub(crate) fn new(geometry: Geometry, chunks: VecDeque<Chunk>, slots: u32, slots_max: u32) -> Self {
        let live_bytes = chunks.iter().map(|chunk| chunk.live_bytes).sum();
        let (free, cooling, tight) = (BTreeSet::new(), Vec::new(), None);
        let mut ring = Self { geometry, chunks, free, cooling, slots: 0, slots_max, tight, live_bytes };
        ring.set_slots(slots);
        ring
    }

    /// The chunk with this number.
    pub fn chunk(&self, sequence: u64) -> Option<&Chunk> {
        self.position(sequence).and_then(|place| self.chunks.get(place))
    }

    /// All of them, oldest first.
    pub fn chunks(&self) -> impl DoubleEndedIterator<Item = &Chunk> {
        self.chunks.iter()
    }

    pub(crate) fn len(&self) -> u32 {
        u32::try_from(self.chunks.len()).unwrap_or(u32::MAX)
    }

    pub(crate) fn tail(&self) -> Option<Chunk> {
        self.chunks.front().copied()
    }

    /// The oldest chunk in which something counts.
    pub(crate) fn oldest_live(&self) -> Option<Chunk> {
        self.chunks.iter().find(|chunk| chunk.live_bytes > 0).copied()
    }

    pub(crate) fn slots(&self) -> u32 {
        self.slots
    }

    /// Slots that the file may have for now: fewer than ever while the disk has no room for more.
    pub(crate) fn slots_max(&self) -> u32 {
        self.tight.map_or(self.slots_max, |(slots, _)| slots.min(self.slots_max))
    }

    /// Slots that the file may have when the disk has room.
    pub(crate) fn slots_ever(&self) -> u32 {
        self.slots_max
    }

    /// Slots that a new chunk may have now.
    pub(crate) fn free(&self) -> u32 {
        u32::try_from(self.free.len()).unwrap_or(u32::MAX)
    }

    /// Octets of all records that count.
    pub(crate) fn live_bytes(&self) -> u64 {
        self.live_bytes
    }

    /// Octets in chunks that are not of records that count: what clearing away could win at most.
    pub(crate) fn waste_bytes(&self) -> u64 {
        (u64::from(self.len()) * u64::from(self.geometry.data_bytes())).saturating_sub(self.live_bytes)
    }

    /// The file has so many slots now. Without more than it may have.
    pub(crate) fn set_slots(&mut self, slots: u32) {
        let slots = slots.min(self.slots_max());
        let taken: BTreeSet<u32> =
            self.chunks.iter().map(|chunk| chunk.slot).chain(self.cooling.iter().map(|(_, slot)| *slot)).collect();
        self.free = (0..slots).filter(|slot| !taken.contains(slot)).collect();
        self.slots = slots;
    }

    /// The disk is full: the file grows no further for now.
    pub(crate) fn forbid_growth(&mut self) {
        self.tight = Some((self.slots, 0));
    }

    /// Something is to be appended. A disk that was full is asked again now and then: it may have room by now.
    pub(crate) fn wish_growth(&mut self) {
        self.tight = self.tight.map(|(slots, wishes)| (slots, wishes + 1)).filter(|(_, wishes)| *wishes < WISHES_MAX);
    }

    /// One more than the highest slot with a chunk in it.
    pub(crate) fn highest(&self) -> u32 {
        let taken = self.chunks.iter().map(|chunk| chunk.slot).chain(self.cooling.iter().map(|(_, slot)| *slot));
        taken.max().map_or(0, |slot| slot + 1)
    }

    /// Takes the lowest free slot for a new chunk, so that the high ones can be given back.
    pub(crate) fn begin(&mut self, sequence: u64, epoch: u32) -> Option<u32> {
        let slot = self.free.pop_first()?;
        self.chunks.push_back(Chunk { sequence, slot, epoch, live_bytes: 0, dead_at: Lsn(0) });
        Some(slot)
    }

    /// The oldest chunk goes; its slot is free when `batch` has been flushed.
    pub(crate) fn retire_tail(&mut self, batch: u64) {
        if let Some(chunk) = self.chunks.pop_front() {
            let batch = if mutants::on(Mutant::FreeChunkEarly) { 0 } else { batch };
            self.cooling.push((batch, chunk.slot));
        }
    }

    /// Everything up to this batch has been flushed.
    pub(crate) fn cool(&mut self, batch: u64) {
        let slots = self.slots;
        let cooled = self.cooling.extract_if(.., |(needed, _)| *needed <= batch);
        self.free.extend(cooled.map(|(_, slot)| slot).filter(|slot| *slot < slots));
    }

    /// A record counts.
    pub(crate) fn add(&mut self, location: Location) {
        let bytes = stored_bytes(u64::from(location.length()));
        if let Some(chunk) = self.chunk_of(location) {
            chunk.live_bytes += bytes;
            self.live_bytes += bytes;
        }
    }

    /// A record counts no longer, because of one that ends at `now`.
    pub(crate) fn remove(&mut self, location: Location, now: Lsn) {
        let bytes = stored_bytes(u64::from(location.length()));
        if let Some(chunk) = self.chunk_of(location) {
            chunk.live_bytes = chunk.live_bytes.saturating_sub(bytes);
            chunk.dead_at = chunk.dead_at.max(now);
            self.live_bytes = self.live_bytes.saturating_sub(bytes);
        }
    }

    /// Nothing in this chunk counts any more, whatever was thought.
    pub(crate) fn clear(&mut self, sequence: u64) {
        if let Some(chunk) = self.position(sequence).and_then(|place| self.chunks.get_mut(place)) {
            self.live_bytes = self.live_bytes.saturating_sub(chunk.live_bytes);
            chunk.live_bytes = 0;
        }
    }

    fn chunk_of(&mut self, location: Location) -> Option<&mut Chunk> {
        let place = self.position(self.geometry.place(location.lsn()).0)?;
        self.chunks.get_mut(place)
    }

    fn position(&self, sequence: u64) -> Option<usize> {
        self.chunks.binary_search_by_key(&sequence, |chunk| chunk.sequence).ok()
    }
}

/// So many records are appended, or refused, before a disk that was full is asked again.
const WISHES_MAX: u32 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(slots: u32, slots_max: u32) -> Ring {
        Ring::new(Geometry::new(512, 4096).unwrap(), VecDeque::new(), slots, slots_max)
    }

    #[test]
    fn a_slot_is_free_again_when_the_batch_that_freed_it_is_flushed() {
        let mut ring = ring(3, 3);
        assert_eq!((ring.begin(1, 1), ring.begin(2, 1), ring.free()), (Some(0), Some(1), 1));
        ring.retire_tail(7);
        assert_eq!(ring.free(), 1);
        ring.cool(6);
        assert_eq!(ring.free(), 1);
        ring.cool(7);
        assert_eq!((ring.free(), ring.begin(3, 1)), (2, Some(0)));
    }

    #[test]
    fn what_counts_is_added_to_its_own_chunk_and_taken_from_it() {
        let mut ring = ring(3, 3);
        ring.begin(1, 1);
        ring.begin(2, 1);
        let record = Location::new(Lsn(4096 + 600), 10);
        ring.add(record);
        assert_eq!(
            (ring.live_bytes(), ring.chunk(1).unwrap().live_bytes, ring.chunk(2).unwrap().live_bytes),
            (72, 72, 0)
        );
        ring.remove(record, Lsn(9000));
        assert_eq!((ring.live_bytes(), ring.tail().unwrap().dead_at), (0, Lsn(9000)));
    }

    #[test]
    fn slots_beyond_the_capacity_are_not_used() {
        let mut ring = ring(5, 3);
        assert_eq!((ring.slots(), ring.free()), (3, 3));
        ring.set_slots(2);
        assert_eq!((ring.free(), ring.slots_max()), (2, 3));
        ring.forbid_growth();
        assert_eq!((ring.slots_max(), ring.slots_ever()), (2, 3));
        (0..WISHES_MAX).for_each(|_| ring.wish_growth());
        assert_eq!(ring.slots_max(), 3);
    }
}
