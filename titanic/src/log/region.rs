//! What a log stands on: octets with a length, and a flush that makes them safe. A vector here; a mapped file in
//! `file`; a disk that crashes in the simulator.

use std::io;

/// Octets that are written at places and flushed as a whole.
pub trait Region {
    /// How many there are.
    fn len(&self) -> u64;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fills `into` with what lies there, flushed or not.
    ///
    /// # Errors
    /// The disk's; `UnexpectedEof` beyond the end.
    fn read(&self, offset: u64, into: &mut [u8]) -> io::Result<()>;

    /// Writes all of `octets`; readers see them at once.
    ///
    /// # Errors
    /// The disk's. How much has been written is not known then.
    fn write(&mut self, offset: u64, octets: &[u8]) -> io::Result<()>;

    /// Makes the region longer, by zeros that have their place on the disk, or shorter. `progress` hears how long it is
    /// by now.
    ///
    /// # Errors
    /// `StorageFull`, or the disk's others. A region that could not be made longer is as long as it was.
    fn resize(&mut self, len: u64, progress: &mut dyn FnMut(u64)) -> io::Result<()>;

    /// Returns when everything written before is safe.
    ///
    /// # Errors
    /// The disk's. Then nobody knows what is safe, and a second flush proves nothing.
    fn flush(&mut self) -> io::Result<()>;

    /// Flushes, and makes sure that what is read from now on comes from the disk: after a failed flush a page cache may
    /// show what was never written.
    ///
    /// # Errors
    /// As [`flush`](Self::flush).
    fn settle(&mut self) -> io::Result<()> {
        self.flush()
    }
}

/// A region that does not outlive its process. A flush costs nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory(Vec<u8>);

impl Memory {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// With these octets in it.
    pub fn of(octets: Vec<u8>) -> Self {
        Self(octets)
    }

    /// What is in it.
    pub fn octets(&self) -> &[u8] {
        &self.0
    }

    /// What is in it, to be damaged.
    pub fn octets_mut(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }
}

impl Region for Memory {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn read(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        let range = range(offset, into.len());
        into.copy_from_slice(range.and_then(|range| self.0.get(range)).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write(&mut self, offset: u64, octets: &[u8]) -> io::Result<()> {
        let range = range(offset, octets.len());
        let room = range.and_then(|range| self.0.get_mut(range)).ok_or(io::ErrorKind::UnexpectedEof)?;
        room.copy_from_slice(octets);
        Ok(())
    }

    fn resize(&mut self, len: u64, progress: &mut dyn FnMut(u64)) -> io::Result<()> {
        let wanted = usize::try_from(len).map_err(|_| io::ErrorKind::StorageFull)?;
        let more = wanted.saturating_sub(self.0.len());
        self.0.try_reserve_exact(more).map_err(|_| io::ErrorKind::StorageFull)?;
        self.0.resize(wanted, 0);
        progress(len);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn range(offset: u64, count: usize) -> Option<std::ops::Range<usize>> {
    let start = usize::try_from(offset).ok()?;
    Some(start..start.checked_add(count)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_keeps_what_is_written_within_its_length() {
        let mut memory = Memory::new();
        memory.resize(8, &mut |_| {}).unwrap();
        memory.write(2, b"abc").unwrap();
        let mut octets = [0; 8];
        memory.read(0, &mut octets).unwrap();
        assert_eq!(&octets, b"\0\0abc\0\0\0");
        assert_eq!(memory.write(6, b"abc").unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(memory.read(u64::MAX, &mut octets).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
