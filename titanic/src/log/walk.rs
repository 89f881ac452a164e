//! Reads a chunk from its first record to its last, over whatever is damaged in between.
//!
//! Behind a place where no record is the next one is looked for at every multiple of eight octets: its number says
//! where it belongs, so that nothing else is taken for it.

use super::layout::{Geometry, Lsn, Seal};
use super::record::{Found, Header, look};

/// What comes next in a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'octets> {
    /// A record, or the part of it that lies in this chunk.
    Part(Header, &'octets [u8]),
    /// Octets that are no record, in front of one. What lies behind the last one is not told: nobody here knows whether
    /// there ever was anything.
    Hole(Lsn, Lsn),
}

/// The records of one chunk.
pub struct Walk<'octets> {
    octets: &'octets [u8],
    base: Lsn,
    epoch: u32,
    seal: Seal,
    at: usize,
    end: usize,
    /// Where the octets began that are no record.
    hole: Option<usize>,
    next: Option<Step<'octets>>,
}

impl<'octets> Walk<'octets> {
    /// `octets` is a whole chunk.
    pub(crate) fn new(octets: &'octets [u8], geometry: Geometry, sequence: u64, epoch: u32, seal: Seal) -> Self {
        let place = |offset: u32| usize::try_from(offset).unwrap_or(usize::MAX);
        Self {
            octets,
            base: geometry.lsn(sequence, 0),
            epoch,
            seal,
            at: place(geometry.data_start()),
            end: place(geometry.data_end()).min(octets.len()),
            hole: None,
            next: None,
        }
    }

    fn lsn(&self, at: usize) -> Lsn {
        Lsn(self.base.0.saturating_add(at as u64))
    }

    fn skip(&mut self, bytes: u64) {
        self.at = self.at.saturating_add(usize::try_from(bytes).unwrap_or(usize::MAX)).min(self.end);
    }
}

impl<'octets> Iterator for Walk<'octets> {
    type Item = Step<'octets>;

    fn next(&mut self) -> Option<Step<'octets>> {
        if let Some(next) = self.next.take() {
            return Some(next);
        }
        while self.at < self.end {
            let at = self.at;
            match look(self.octets.get(at..self.end).unwrap_or_default(), self.lsn(at), self.epoch, self.seal) {
                Found::Whole(header, payload) => {
                    self.skip(header.stored_bytes());
                    let part = Step::Part(header, payload);
                    let Some(from) = self.hole.take() else { return Some(part) };
                    self.next = Some(part);
                    return Some(Step::Hole(self.lsn(from), self.lsn(at)));
                }
                Found::Broken(header) => {
                    self.hole.get_or_insert(at);
                    self.skip(header.stored_bytes());
                }
                Found::Nothing => {
                    self.hole.get_or_insert(at);
                    self.skip(8);
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::{Id, Kind, LogId};

    const SEQUENCE: u64 = 3;

    fn geometry() -> Geometry {
        Geometry::new(512, 4096).unwrap()
    }

    /// A chunk with three records of 100 octets, which take 160 each.
    fn chunk() -> Vec<u8> {
        let mut octets = vec![0; 512];
        for number in 0..3u8 {
            let lsn = geometry().lsn(SEQUENCE, 512 + 160 * u32::from(number));
            let (id, kind) = (Id([number; 16]), Kind::Request);
            let header = Header { lsn, start: lsn, id, length: 100, rest: 0, epoch: 1, kind };
            header.encode(LogId([1; 16]).seal(), &[number; 100], &mut octets);
        }
        octets.resize(4096, 0);
        octets
    }

    /// The first octets of the ids that are found, and the holes as offsets.
    fn walk(octets: &[u8]) -> (Vec<u8>, Vec<(u64, u64)>) {
        let (mut ids, mut holes) = (Vec::new(), Vec::new());
        for step in Walk::new(octets, geometry(), SEQUENCE, 1, LogId([1; 16]).seal()) {
            match step {
                Step::Part(header, payload) => {
                    assert_eq!(payload, [header.id.0[0]; 100]);
                    ids.push(header.id.0[0]);
                }
                Step::Hole(from, to) => holes.push((from.0 - SEQUENCE * 4096, to.0 - SEQUENCE * 4096)),
            }
        }
        (ids, holes)
    }

    #[test]
    fn all_records_are_found_and_what_lies_behind_the_last_is_no_hole() {
        assert_eq!(walk(&chunk()), (vec![0, 1, 2], vec![]));
    }

    #[test]
    fn a_damaged_record_is_a_hole_of_its_own_size_wherever_it_was_hit() {
        for octet in 672..832 {
            let mut octets = chunk();
            octets[octet] ^= 0x10;
            assert_eq!(walk(&octets), (vec![0, 2], vec![(672, 832)]), "{octet}");
        }
    }

    #[test]
    fn a_chunk_that_is_cut_gives_what_is_there() {
        for length in 0..1000 {
            let (ids, _) = walk(&chunk()[..length]);
            assert_eq!(ids.len(), length.saturating_sub(512) / 160);
        }
    }
}
