//! A journal in sixty lines, as a program would write one, and the mistakes that programs make.
//!
//! ```text
//!   record   length(4) crc(4) body        one after the other; the first that does not hold is the end
//! ```

use std::ops::Range;

use protocol::Instant;
use sim::disk::{Disk, Done, Error, Handle, Process};

/// A mistake to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    None,
    /// Acknowledges what was written and not flushed.
    NoFlush,
    /// Believes what it reads after a crash to be on the disk: after a failed flush it is only in the page cache.
    TrustsCache,
    /// Leaves what lies behind the last good record: a later record may bring it back to life.
    LeavesTail,
    /// Does not look whether a body is whole.
    NoChecksum,
    /// Does not make the name safe.
    NoDirectoryFlush,
    /// Flushes again after a failed flush, and believes the second.
    RetriesFlush,
}

/// An open journal.
pub(crate) struct Journal {
    file: Handle,
    end: usize,
    flaw: Flaw,
}

/// The bodies of an opened journal, oldest first.
pub(crate) type Bodies = Vec<Vec<u8>>;

impl Journal {
    /// Opens or creates the journal and makes safe what it finds.
    pub(crate) fn open(
        disk: &mut Disk,
        now: &mut Instant,
        process: Process,
        flaw: Flaw,
    ) -> Result<(Self, Bodies), Error> {
        let file = match disk.open(process, "journal") {
            Err(Error::NotFound) => disk.create(process, "journal")?,
            found => found?,
        };
        disk.lock(file)?;
        let mut octets = vec![0; disk.len(file)?];
        wait(now, disk.read(*now, file, 0, &mut octets))?;
        let (mut bodies, mut end) = (Vec::new(), 0);
        while let Some(body) = record(&octets, end, flaw) {
            end = body.end;
            bodies.push(octets[body].to_vec());
        }
        let mut journal = Self { file, end: 0, flaw };
        if flaw != Flaw::LeavesTail {
            wait(now, disk.resize(*now, file, end))?;
        }
        if flaw != Flaw::TrustsCache {
            journal.put(disk, now, &octets[..end])?;
        }
        journal.end = end;
        wait(now, disk.flush(*now, file))?;
        if flaw != Flaw::NoDirectoryFlush {
            wait(now, disk.flush_directory(*now))?;
        }
        Ok((journal, bodies))
    }

    /// Appends a record without making it safe.
    pub(crate) fn append(&mut self, disk: &mut Disk, now: &mut Instant, body: &[u8]) -> Result<(), Error> {
        let length = u32::try_from(body.len()).unwrap().to_be_bytes();
        self.put(disk, now, &[&length[..], &crc(body).to_be_bytes(), body].concat())
    }

    /// Makes everything safe that was appended.
    pub(crate) fn commit(&mut self, disk: &mut Disk, now: &mut Instant) -> Result<(), Error> {
        match self.flaw {
            Flaw::NoFlush => Ok(()),
            Flaw::RetriesFlush => {
                wait(now, disk.flush(*now, self.file)).or_else(|_| wait(now, disk.flush(*now, self.file)))
            }
            _ => wait(now, disk.flush(*now, self.file)),
        }
    }

    fn put(&mut self, disk: &mut Disk, now: &mut Instant, mut octets: &[u8]) -> Result<(), Error> {
        while !octets.is_empty() {
            let written = wait(now, disk.write(*now, self.file, self.end, octets))?;
            self.end += written;
            octets = &octets[written..];
        }
        Ok(())
    }
}

/// Where the body of the record at `at` lies, if it is one.
fn record(octets: &[u8], at: usize, flaw: Flaw) -> Option<Range<usize>> {
    let (head, rest) = octets.get(at..)?.split_first_chunk::<8>()?;
    let (length, expected) = (u32::from_be_bytes(head[..4].try_into().ok()?), &head[4..]);
    let body = rest.get(..usize::try_from(length).ok()?).filter(|body| !body.is_empty())?;
    let holds = flaw == Flaw::NoChecksum || crc(body).to_be_bytes() == expected;
    holds.then_some(at + 8..at + 8 + body.len())
}

fn wait<T>(now: &mut Instant, done: Done<T>) -> Result<T, Error> {
    *now = done.at;
    done.result
}

/// CRC-32 of IEEE 802.3, bit by bit.
fn crc(octets: &[u8]) -> u32 {
    !octets.iter().fold(!0, |crc, &octet| {
        (0..8).fold(crc ^ u32::from(octet), |crc: u32, _| (crc >> 1) ^ (0xEDB8_8320 & 0u32.wrapping_sub(crc & 1)))
    })
}

#[test]
fn the_checksum_is_the_one_of_the_standard() {
    assert_eq!(crc(b"123456789"), 0xCBF4_3926);
}
