//! How records get into chunks: encoded into the batch, over the end of a chunk if need be, and written a batch at a
//! time.

use super::chunk::Head;
use super::error::Stopped;
use super::index::Location;
use super::layout::{Geometry, Lsn};
use super::record::{HEADER_BYTES, Header, Id, Kind};
use super::region::Region;
use super::writer::{Log, Write};

impl<R: Region> Log<R> {
    /// Encodes a record for which there is room, and lets it count.
    pub(super) fn put(&mut self, kind: Kind, id: Id, payload: &[u8]) -> Result<Lsn, Stopped> {
        if self.room() == 0 {
            self.roll()?;
        }
        let start = self.head_lsn();
        let mut rest = payload;
        loop {
            let lsn = self.head_lsn();
            let room = usize::try_from(self.room().saturating_sub(HEADER_BYTES)).unwrap_or(0);
            let (part, behind) = rest.split_at(room.min(rest.len()));
            let count = |octets: &[u8]| u32::try_from(octets.len()).expect("a payload is within its limit");
            let (length, rest_length) = (count(part), count(behind));
            Header { lsn, start, id, length, rest: rest_length, epoch: self.epoch, kind }.encode(
                self.seal,
                part,
                &mut self.batch,
            );
            if behind.is_empty() {
                break;
            }
            rest = behind;
            self.roll()?;
        }
        let length = u32::try_from(payload.len()).expect("a payload is within its limit");
        let location = Location::new(start, length);
        let change = self.index.apply(kind, id, location);
        if change.counts {
            self.ring.add(location);
        }
        let now = self.head_lsn();
        change.freed.into_iter().flatten().for_each(|freed| self.ring.remove(freed, now));
        Ok(start)
    }

    /// Octets that the head can take. A rest too small for anything is left alone.
    pub(super) fn room(&self) -> u32 {
        let Some(head) = self.head else { return 0 };
        let room = self.geometry.data_end().saturating_sub(self.offset(&head));
        if room >= HEADER_BYTES + PART_BYTES_MIN { room } else { 0 }
    }

    pub(super) fn offset(&self, head: &Write) -> u32 {
        head.written + u32::try_from(self.batch.len()).expect("a batch lies within its chunk")
    }

    /// Ends the head, and begins the next chunk.
    pub(super) fn roll(&mut self) -> Result<(), Stopped> {
        let previous_end = self.head_lsn();
        self.write_batch()?;
        let (sequence, epoch) = (self.next_sequence, self.epoch);
        let slot = self.ring.begin(sequence, epoch).expect("room is made sure of before anything is appended");
        self.next_sequence += 1;
        let (tail, durable) = (self.durable_tail, self.durable);
        let head = Head { sequence, slot, epoch, previous_end, tail, durable };
        let page = page_of(self.geometry, &head.encode(self.seal));
        let offset = self.geometry.slot_offset(slot);
        self.write(offset, &page)?;
        self.write(offset + u64::from(self.geometry.data_end()), &page)?;
        self.head = Some(Write { sequence, slot, written: self.geometry.data_start() });
        Ok(())
    }

    /// Fills up the page and writes the batch.
    pub(super) fn commit(&mut self) -> Result<(), Stopped> {
        if !self.batch.is_empty() {
            self.seal_batch();
        }
        self.write_batch()
    }

    /// Ends the batch with its last record, so that the next one begins on a page of its own. At the end of a chunk
    /// there may be no room for it, and no need.
    pub(super) fn seal_batch(&mut self) {
        let Some(head) = self.head else { return };
        let (offset, page) = (self.offset(&head), self.geometry.page_bytes());
        let end = (offset + HEADER_BYTES + 8).next_multiple_of(page);
        if end > self.geometry.data_end() {
            return;
        }
        let lsn = self.head_lsn();
        let length = end - offset - HEADER_BYTES;
        let mut payload = vec![0; usize::try_from(length).unwrap_or(0)];
        payload.iter_mut().zip(self.durable.0.to_le_bytes()).for_each(|(to, from)| *to = from);
        let (id, kind) = (Id([0; 16]), Kind::Commit);
        Header { lsn, start: lsn, id, length, rest: 0, epoch: self.epoch, kind }.encode(
            self.seal,
            &payload,
            &mut self.batch,
        );
    }

    pub(super) fn write_batch(&mut self) -> Result<(), Stopped> {
        let Some(head) = self.head.filter(|_| !self.batch.is_empty()) else { return Ok(()) };
        let batch = std::mem::take(&mut self.batch);
        let offset = self.geometry.slot_offset(head.slot) + u64::from(head.written);
        let written = head.written + u32::try_from(batch.len()).expect("a batch lies within its chunk");
        self.write(offset, &batch)?;
        self.head = Some(Write { written, ..head });
        self.batch = batch;
        self.batch.clear();
        Ok(())
    }
}

/// A page that begins with these octets.
pub(super) fn page_of(geometry: Geometry, octets: &[u8]) -> Vec<u8> {
    let mut page = octets.to_vec();
    page.resize(usize::try_from(geometry.page_bytes()).unwrap_or(octets.len()), 0);
    page
}

/// A part has room for this many octets of payload, or it is not begun.
const PART_BYTES_MIN: u32 = 64;
