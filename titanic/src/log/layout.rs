//! Where things lie in the file. The only place that knows it; docs/TITANIC_LOG.md draws it.
//!
//! ```text
//! 0          page       2 pages                                    2 pages + n chunks
//! ├ checkpoint A ┼ checkpoint B ┼ slot 0 ┼ slot 1 ┼ ... ┼ slot n-1 ┤
//!
//! a slot holds one chunk:   ├ head (a page) ┼ records ... ┼ the head again (a page) ┤
//! ```
//!
//! A chunk has a sequence number that only grows, and lies in whichever slot was free. The log sequence number of a
//! record is its place: `sequence * chunk_bytes + offset in the chunk`.

use std::fmt;

use super::record::HEADER_BYTES;

/// Chunks of one log, ever: far more than disks can write, and few enough that no number runs over.
pub(crate) const SEQUENCE_MAX: u64 = 1 << 36;

/// No chunk is begun from here on. No disk lives to see it: only a forged head or checkpoint can claim to have come so
/// far, and then the log must not append what it could not find again.
pub(crate) const SEQUENCE_LAST: u64 = SEQUENCE_MAX - (1 << 20);

/// Nothing is appended from this opening on, and from this checkpoint on, for the same reason. What is left above lets
/// such a log be opened and read a million times.
pub(crate) const EPOCH_LAST: u32 = u32::MAX - (1 << 20);
pub(crate) const CHECKPOINT_LAST: u64 = u64::MAX - (1 << 40);

/// The one version of the layout that this program reads and writes.
pub const VERSION: u32 = 1;

/// Log sequence number: which octet of all that was ever appended. It says where in the file, and which time around.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lsn(pub u64);

/// What tells this log from every other. It is mixed into each checksum: octets of another log, or octets that somebody
/// sends us who does not know it, are never taken for a record. So it must be random, and is shown to nobody.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct LogId(pub [u8; 16]);

impl LogId {
    /// What every checksum of this log begins with.
    pub(crate) fn seal(self) -> Seal {
        Seal(crc32fast::hash(&self.0))
    }
}

impl fmt::Debug for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LogId(not shown)")
    }
}

/// The beginning of a checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seal(u32);

impl Seal {
    /// The checksum of these octets, one after the other.
    pub(crate) fn of(self, parts: &[&[u8]]) -> u32 {
        let mut hasher = crc32fast::Hasher::new_with_initial(self.0);
        parts.iter().for_each(|part| hasher.update(part));
        hasher.finalize()
    }
}

/// The two sizes that a log is made with and keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    page_bytes: u32,
    chunk_bytes: u32,
}

impl Geometry {
    /// A batch begins on a page, so that no write touches octets that an earlier flush has made safe. 4096 is what
    /// disks write at once.
    pub const PAGE_BYTES: u32 = 4096;
    /// A power of two within these.
    pub const PAGE_BYTES_RANGE: (u32, u32) = (512, 64 << 10);
    /// The most that a chunk may have; it has at least eight pages.
    pub const CHUNK_BYTES_MAX: u32 = 64 << 20;

    /// `None` when the sizes are outside of their ranges, or a chunk is not of whole pages.
    pub fn new(page_bytes: u32, chunk_bytes: u32) -> Option<Self> {
        let (low, high) = Self::PAGE_BYTES_RANGE;
        let page = page_bytes.is_power_of_two() && (low..=high).contains(&page_bytes);
        let chunk = page && chunk_bytes.is_multiple_of(page_bytes);
        let chunk = chunk && (8 * page_bytes..=Self::CHUNK_BYTES_MAX).contains(&chunk_bytes);
        chunk.then_some(Self { page_bytes, chunk_bytes })
    }

    /// For a log of this capacity: 32 chunks, of 64 KiB to 16 MiB.
    pub fn for_capacity(capacity_bytes: u64) -> Self {
        let chunk = (capacity_bytes / 32).clamp(64 << 10, 16 << 20);
        let chunk = u32::try_from(chunk).unwrap_or(16 << 20);
        Self { page_bytes: Self::PAGE_BYTES, chunk_bytes: chunk / Self::PAGE_BYTES * Self::PAGE_BYTES }
    }

    /// The same on the smallest pages, for what is no disk: a batch of a few records wastes less room.
    pub fn on_small_pages(self) -> Self {
        Self { page_bytes: Self::PAGE_BYTES_RANGE.0, ..self }
    }

    /// Octets of a page.
    pub fn page_bytes(self) -> u32 {
        self.page_bytes
    }

    /// Octets of a chunk, its two heads included.
    pub fn chunk_bytes(self) -> u32 {
        self.chunk_bytes
    }

    /// Where in a chunk its first record begins.
    pub(crate) fn data_start(self) -> u32 {
        self.page_bytes
    }

    /// Where in a chunk its last record ends at the latest.
    pub(crate) fn data_end(self) -> u32 {
        self.chunk_bytes - self.page_bytes
    }

    /// Octets of a chunk that records may have.
    pub(crate) fn data_bytes(self) -> u32 {
        self.data_end() - self.data_start()
    }

    /// Where in the file checkpoint A (0) or B (1) begins.
    pub(crate) fn checkpoint_offset(self, place: u8) -> u64 {
        u64::from(place & 1) * u64::from(self.page_bytes)
    }

    /// Where in the file a slot begins.
    pub(crate) fn slot_offset(self, slot: u32) -> u64 {
        2 * u64::from(self.page_bytes) + u64::from(slot) * u64::from(self.chunk_bytes)
    }

    /// Octets of a file with so many slots.
    pub fn file_bytes(self, slots: u32) -> u64 {
        self.slot_offset(slots)
    }

    /// Whole slots of a file.
    pub fn slots(self, file_bytes: u64) -> u32 {
        let slots = file_bytes.saturating_sub(2 * u64::from(self.page_bytes)) / u64::from(self.chunk_bytes);
        u32::try_from(slots).unwrap_or(u32::MAX)
    }

    /// The number of a record that begins there.
    pub(crate) fn lsn(self, sequence: u64, offset: u32) -> Lsn {
        Lsn(sequence.saturating_mul(u64::from(self.chunk_bytes)).saturating_add(u64::from(offset)))
    }

    /// No record has this number or a higher one.
    pub(crate) fn lsn_max(self) -> Lsn {
        self.lsn(SEQUENCE_MAX, 0)
    }

    /// Which chunk, and where in it.
    pub(crate) fn place(self, lsn: Lsn) -> (u64, u32) {
        let chunk = u64::from(self.chunk_bytes);
        (lsn.0 / chunk, u32::try_from(lsn.0 % chunk).unwrap_or(0))
    }
}

/// Octets that a record of so many takes, with its header and up to the next multiple of eight. A record that goes over
/// the end of a chunk takes one header more for each.
pub(crate) fn stored_bytes(payload_bytes: u64) -> u64 {
    u64::from(HEADER_BYTES) + payload_bytes.next_multiple_of(8)
}

/// Writes fixed-size fields one after the other, little-endian.
pub(crate) struct Fields<const N: usize> {
    octets: [u8; N],
    at: usize,
}

impl<const N: usize> Fields<N> {
    pub(crate) fn new() -> Self {
        Self { octets: [0; N], at: 0 }
    }

    pub(crate) fn put(mut self, field: &[u8]) -> Self {
        let room = self.octets.get_mut(self.at..self.at + field.len()).expect("a layout counts its own octets");
        room.copy_from_slice(field);
        self.at += field.len();
        self
    }

    /// The octets so far.
    pub(crate) fn so_far(&self) -> &[u8] {
        self.octets.get(..self.at).unwrap_or_default()
    }

    pub(crate) fn octets(self) -> [u8; N] {
        self.octets
    }
}

/// Reads what [`Fields`] wrote.
pub(crate) struct Reader<'octets>(pub(crate) &'octets [u8]);

impl Reader<'_> {
    pub(crate) fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*field)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_becomes_a_number_and_a_place_again() {
        let geometry = Geometry::new(512, 8192).unwrap();
        assert_eq!(geometry.place(geometry.lsn(3, 600)), (3, 600));
        assert_eq!(geometry.slots(geometry.file_bytes(5)), 5);
        assert_eq!(geometry.slots(geometry.file_bytes(5) - 1), 4);
        assert_eq!(geometry.slots(0), 0);
    }

    #[test]
    fn sizes_outside_of_their_ranges_are_no_geometry() {
        for (page, chunk) in [(0, 0), (256, 8192), (1000, 8000), (512, 4095), (512, 3584), (4096, 128 << 20)] {
            assert_eq!(Geometry::new(page, chunk), None, "{page} {chunk}");
        }
        assert!(Geometry::new(512, 4096).is_some() && Geometry::new(64 << 10, 64 << 20).is_some());
    }

    #[test]
    fn a_capacity_gets_chunks_that_fit_into_it() {
        for capacity in [0, 1 << 20, 64 << 20, (1 << 30) + 12345, 1 << 40] {
            let chosen = Geometry::for_capacity(capacity);
            for chosen in [chosen, chosen.on_small_pages()] {
                assert_eq!(Geometry::new(chosen.page_bytes, chosen.chunk_bytes), Some(chosen), "{capacity}");
            }
        }
        assert_eq!(Geometry::for_capacity(1 << 30).chunk_bytes(), 16 << 20);
    }
}
