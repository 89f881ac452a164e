//! The memory map of a log's file: the one place in the project with `unsafe`.
//!
//! The map is for reading. It is as long as the file may ever become, so that it never moves; beyond the end of the
//! file it must not be touched, which [`Map::read`] sees to. Records are written by positioned writes, which the map
//! shows at once (docs/decisions/0011-positioned-writes-under-a-map.md).

#![allow(unsafe_code, reason = "reading memory that a file stands behind cannot be checked by the compiler")]

use std::fs::File;
use std::io;

use memmap2::{MmapOptions, MmapRaw};

/// A file as memory, for reading.
#[derive(Debug)]
pub(super) struct Map(MmapRaw);

impl Map {
    /// Maps `file` up to `capacity` octets, which may be more than it has now.
    pub(super) fn new(file: &File, capacity: u64) -> io::Result<Self> {
        let capacity = usize::try_from(capacity).map_err(|_| io::ErrorKind::OutOfMemory)?;
        MmapOptions::new().len(capacity.max(1)).map_raw_read_only(file).map(Self)
    }

    /// Fills `into` with what lies at `offset`. `len` is how long the file is.
    ///
    /// # Errors
    /// `UnexpectedEof` beyond that, or beyond the map.
    pub(super) fn read(&self, len: u64, offset: u64, into: &mut [u8]) -> io::Result<()> {
        let end = offset.checked_add(into.len() as u64);
        let limit = len.min(self.0.len() as u64);
        let (Some(_), Ok(start)) = (end.filter(|end| *end <= limit), usize::try_from(offset)) else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        // SAFETY: `start..start + into.len()` lies within the mapping, which lives as long as `self`, and within the
        // file, all of whose blocks have their place on the disk, so that touching them cannot fail for want of room.
        // The exclusive lock keeps other processes from cutting the file. The copy holds no reference into the map, so
        // that nothing is assumed about octets that change; those that are read here are written only by the one owner
        // of the region (`&mut`), not while it is borrowed for this. `into` is memory of its own.
        unsafe { std::ptr::copy_nonoverlapping(self.0.as_ptr().add(start), into.as_mut_ptr(), into.len()) };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;

    #[test]
    fn the_map_shows_what_is_written_and_nothing_beyond_the_end() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(8192).unwrap();
        let map = Map::new(&file, 1 << 30).unwrap();
        file.write_all_at(b"written behind its back", 5000).unwrap();
        let mut octets = [0; 7];
        map.read(8192, 5000, &mut octets).unwrap();
        assert_eq!(&octets, b"written");
        for offset in [8186, 8192, u64::MAX] {
            assert_eq!(map.read(8192, offset, &mut octets).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        }
    }

    #[test]
    fn a_file_may_grow_under_its_map() {
        let file = tempfile::tempfile().unwrap();
        let map = Map::new(&file, 1 << 20).unwrap();
        file.set_len(1 << 20).unwrap();
        let mut octets = [1; 16];
        map.read(1 << 20, (1 << 20) - 16, &mut octets).unwrap();
        assert_eq!(octets, [0; 16]);
        assert!(map.read(1 << 30, 1 << 20, &mut octets).is_err());
    }
}
