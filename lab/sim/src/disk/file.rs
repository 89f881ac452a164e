//! One file, as readers see it and as the platter holds it. No chance here: the callers say what happens to which
//! sector.
//!
//! ```text
//!   write ──► visible ──► versions of each sector since the last flush ──► durable
//!             (page cache)                         └── after a power cut: any one of them, or none
//! ```
//!
//! A sector that is not in `dirty` and yet differs between `visible` and `durable` is what a failed flush leaves
//! behind: readers see the new octets, and no later flush will write them.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// The octets and what of them is safe.
#[derive(Clone, Debug)]
pub(super) struct File {
    sector_bytes: usize,
    visible: Vec<u8>,
    durable: Vec<u8>,
    /// Versions that were written since the sector was last made durable, oldest first; never empty.
    dirty: BTreeMap<usize, Vec<Version>>,
    /// Lengths that the file had since its length was last made durable, oldest first.
    lengths: Vec<(u64, usize)>,
    /// Sectors that have a place on the disk; the others are holes.
    allocated: BTreeSet<usize>,
    /// Counts changes.
    sequence: u64,
}

/// What one change made of a sector.
#[derive(Clone, Debug)]
pub(super) struct Version {
    /// The change, shared by all sectors that it touched.
    pub(super) sequence: u64,
    /// The sector as it was then; shorter than a sector at the end of the file.
    pub(super) octets: Vec<u8>,
}

impl File {
    pub(super) fn new(sector_bytes: usize) -> Self {
        Self {
            sector_bytes,
            visible: Vec::new(),
            durable: Vec::new(),
            dirty: BTreeMap::new(),
            lengths: Vec::new(),
            allocated: BTreeSet::new(),
            sequence: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.visible.len()
    }

    /// What readers see; `None` beyond the end.
    pub(super) fn read(&self, range: Range<usize>) -> Option<&[u8]> {
        self.visible.get(range)
    }

    /// The last change.
    pub(super) fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Octets that have a place on the disk.
    pub(super) fn allocated_bytes(&self) -> usize {
        self.allocated.len() * self.sector_bytes
    }

    /// Versions of sectors that are not durable.
    pub(super) fn version_count(&self) -> usize {
        self.dirty.values().map(Vec::len).sum()
    }

    /// The sectors that `range` touches.
    pub(super) fn sectors(&self, range: &Range<usize>) -> Range<usize> {
        range.start / self.sector_bytes..range.end.div_ceil(self.sector_bytes)
    }

    /// How many octets from `start` on, `count` at most, can be had without more than `room` octets of new sectors.
    pub(super) fn fits(&self, start: usize, count: usize, room: usize) -> usize {
        let mut room = room / self.sector_bytes;
        for sector in self.sectors(&(start..start + count)) {
            if !self.allocated.contains(&sector) {
                if room == 0 {
                    return (sector * self.sector_bytes).saturating_sub(start);
                }
                room -= 1;
            }
        }
        count
    }

    /// Gives every sector of the range a place; its octets stay what they are.
    pub(super) fn allocate(&mut self, range: &Range<usize>) {
        self.allocated.extend(self.sectors(range));
    }

    /// Changes octets, and the length where they go beyond it.
    pub(super) fn write(&mut self, offset: usize, octets: &[u8]) {
        if octets.is_empty() {
            return;
        }
        let end = offset + octets.len();
        if end > self.visible.len() {
            self.resize(end);
        }
        self.sequence += 1;
        if let Some(place) = self.visible.get_mut(offset..end) {
            place.copy_from_slice(octets);
        }
        self.allocate(&(offset..end));
        self.note_versions(&(offset..end));
    }

    /// Cuts the file, or lengthens it with zeros.
    pub(super) fn resize(&mut self, len: usize) {
        self.sequence += 1;
        let old = self.visible.len();
        self.visible.resize(len, 0);
        self.lengths.push((self.sequence, len));
        if len < old {
            let kept = self.sectors(&(0..len)).end;
            self.allocated.split_off(&kept);
        } else {
            // Zeros over what the disk, or an unflushed version, still has there from before a cut.
            let last_dirty = self.dirty.last_key_value().map_or(0, |(&sector, _)| (sector + 1) * self.sector_bytes);
            let stale = self.durable.len().max(last_dirty).min(len);
            if old < stale {
                self.note_versions(&(old..stale));
            }
        }
    }

    fn note_versions(&mut self, range: &Range<usize>) {
        let sequence = self.sequence;
        for sector in self.sectors(range) {
            let octets = self.visible.get(self.octets_of(sector, self.visible.len())).unwrap_or_default().to_vec();
            self.dirty.entry(sector).or_default().push(Version { sequence, octets });
        }
    }

    /// Sectors of `within` that have an undurable version up to change `upto`.
    pub(super) fn waiting(&self, within: &Range<usize>, upto: u64) -> Vec<usize> {
        let waits = |versions: &Vec<Version>| versions.first().is_some_and(|version| version.sequence <= upto);
        let sectors = self.dirty.iter().filter(|(sector, versions)| within.contains(sector) && waits(versions));
        sectors.map(|(&sector, _)| sector).collect()
    }

    /// Makes the length durable as it was at change `upto`.
    pub(super) fn harden_length(&mut self, upto: u64) {
        let count = self.lengths.partition_point(|&(sequence, _)| sequence <= upto);
        for (_, length) in self.lengths.drain(..count) {
            self.durable.resize(length, 0);
        }
    }

    /// Makes a sector durable as it was at change `upto`.
    pub(super) fn harden(&mut self, sector: usize, upto: u64) {
        if let Some(version) = self.forget(sector, upto) {
            self.put_durable(sector, &version.octets);
        }
    }

    /// Takes a sector for clean although it was not written. Readers see the new octets until they are `evicted`.
    pub(super) fn drop_sector(&mut self, sector: usize, upto: u64, evicted: bool) {
        self.forget(sector, upto);
        if evicted && !self.dirty.contains_key(&sector) {
            self.evict(sector);
        }
    }

    /// Removes the versions up to `upto` and returns the last of them.
    fn forget(&mut self, sector: usize, upto: u64) -> Option<Version> {
        let versions = self.dirty.get_mut(&sector)?;
        let count = versions.partition_point(|version| version.sequence <= upto);
        let last = versions.drain(..count).next_back();
        if versions.is_empty() {
            self.dirty.remove(&sector);
        }
        last
    }

    /// Readers see the disk's octets of this sector again.
    fn evict(&mut self, sector: usize) {
        let range = self.octets_of(sector, self.visible.len());
        let mut octets = self.durable.get(self.octets_of(sector, self.durable.len())).unwrap_or_default().to_vec();
        octets.resize(range.len(), 0);
        if let Some(place) = self.visible.get_mut(range) {
            place.copy_from_slice(&octets);
        }
    }

    /// The page cache lets go of all that is clean: readers see the disk, and what still waits to be written.
    pub(super) fn drop_clean(&mut self) {
        for sector in self.sectors(&(0..self.visible.len())) {
            if !self.dirty.contains_key(&sector) {
                self.evict(sector);
            }
        }
    }

    /// Turns a bit on the disk; readers see it where the page cache has no octets of its own.
    pub(super) fn rot(&mut self, octet: usize, bit: u32) -> bool {
        let cached = self.visible.get(octet) != self.durable.get(octet);
        let Some(place) = self.durable.get_mut(octet) else { return false };
        *place ^= 1u8.rotate_left(bit);
        let rotten = *place;
        if !cached && !self.dirty.contains_key(&(octet / self.sector_bytes)) {
            self.visible.get_mut(octet).into_iter().for_each(|seen| *seen = rotten);
        }
        true
    }

    /// Octets on the disk.
    pub(super) fn durable_len(&self) -> usize {
        self.durable.len()
    }

    /// A power cut: takes out what was not durable, for [`revive`](Self::revive) to bring parts of it back. Lengths
    /// first, oldest first; then the versions of each sector.
    pub(super) fn cut_power(&mut self) -> (Vec<usize>, BTreeMap<usize, Vec<Version>>) {
        let lengths = std::mem::take(&mut self.lengths).into_iter().map(|(_, length)| length).collect();
        (lengths, std::mem::take(&mut self.dirty))
    }

    /// What a sector holds on the disk, padded with zeros to a whole one.
    pub(super) fn durable_sector(&self, sector: usize) -> Vec<u8> {
        let mut octets = self.durable.get(self.octets_of(sector, self.durable.len())).unwrap_or_default().to_vec();
        octets.resize(self.sector_bytes, 0);
        octets
    }

    /// Gives the disk these lengths, one after the other, and these sectors; readers see the disk and nothing else.
    pub(super) fn revive(&mut self, lengths: &[usize], sectors: &[(usize, Vec<u8>)]) {
        for &length in lengths {
            self.durable.resize(length, 0);
        }
        for (sector, octets) in sectors {
            self.put_durable(*sector, octets);
        }
        self.visible.clone_from(&self.durable);
        let kept = self.sectors(&(0..self.visible.len())).end;
        self.allocated.split_off(&kept);
    }

    /// Octets beyond the durable end have no place.
    fn put_durable(&mut self, sector: usize, octets: &[u8]) {
        let range = self.octets_of(sector, self.durable.len());
        if let Some(place) = self.durable.get_mut(range) {
            let count = place.len().min(octets.len());
            let (front, rest) = place.split_at_mut(count);
            front.copy_from_slice(octets.get(..count).unwrap_or_default());
            // The version is from when the file was shorter.
            rest.fill(0);
        }
    }

    fn octets_of(&self, sector: usize, len: usize) -> Range<usize> {
        let start = (sector * self.sector_bytes).min(len);
        start..(start + self.sector_bytes).min(len)
    }
}
