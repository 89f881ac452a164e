//! Reads one record: out of the batch while it is not written yet, out of the region otherwise.

use bytes::Bytes;

use super::error::ReadError;
use super::index::Location;
use super::layout::{Lsn, stored_bytes};
use super::record::{Found, HEADER_BYTES, Header, Id, look};
use super::region::Region;
use super::writer::Log;

impl<R: Region> Log<R> {
    /// The payload of a record of this id. Its checksums are compared: it is what was appended, or an error.
    ///
    /// # Errors
    /// When it is damaged or cannot be read.
    pub fn read(&self, id: &Id, at: Location) -> Result<Bytes, ReadError> {
        let damaged = ReadError::Damaged { lsn: at.lsn() };
        let (mut sequence, mut offset) = self.geometry.place(at.lsn());
        let mut payload = Vec::new();
        let mut left = at.length();
        loop {
            let (part, header) = self.part(sequence, offset, left)?;
            let Some(header) = header.filter(|header| {
                let whole = header.length.checked_add(header.rest) == Some(left);
                header.start == at.lsn() && header.id == *id && whole
            }) else {
                return Err(damaged);
            };
            let range = HEADER_BYTES as usize..HEADER_BYTES as usize + usize::try_from(header.length).unwrap_or(0);
            if header.rest == 0 && payload.is_empty() {
                return Ok(Bytes::from(part).slice(range));
            }
            payload.extend_from_slice(part.get(range).unwrap_or_default());
            if header.rest == 0 {
                return Ok(Bytes::from(payload));
            }
            (sequence, offset, left) = (sequence + 1, self.geometry.data_start(), header.rest);
        }
    }

    /// The part at this place, if it is whole: its octets and its header.
    fn part(&self, sequence: u64, offset: u32, left: u32) -> Result<(Vec<u8>, Option<Header>), ReadError> {
        let lsn = self.geometry.lsn(sequence, offset);
        let Some(chunk) = self.ring.chunk(sequence).copied() else { return Ok((Vec::new(), None)) };
        let room = u64::from(self.geometry.data_end().saturating_sub(offset));
        let mut octets = vec![0; usize::try_from(stored_bytes(u64::from(left)).min(room)).unwrap_or(0)];
        self.fetch(sequence, offset, &mut octets)?;
        let header = match look(&octets, lsn, chunk.epoch, self.seal) {
            Found::Whole(header, _) => Some(header),
            Found::Broken(_) | Found::Nothing => None,
        };
        Ok((octets, header))
    }

    /// Octets of a chunk, wherever they are.
    pub(crate) fn fetch(&self, sequence: u64, offset: u32, into: &mut [u8]) -> Result<(), ReadError> {
        let lsn = self.geometry.lsn(sequence, offset);
        if let Some(octets) = self.in_batch(lsn) {
            let count = octets.len().min(into.len());
            into.iter_mut().zip(octets.iter().take(count)).for_each(|(to, from)| *to = *from);
            return Ok(());
        }
        let Some(chunk) = self.ring.chunk(sequence) else { return Err(ReadError::Damaged { lsn }) };
        let place = self.geometry.slot_offset(chunk.slot) + u64::from(offset);
        self.region.read(place, into).map_err(|error| ReadError::Io { lsn, error })
    }

    /// The octets of the batch from this place on, if it lies in there.
    fn in_batch(&self, lsn: Lsn) -> Option<&[u8]> {
        let head = self.head.as_ref()?;
        let begin = self.geometry.lsn(head.sequence, head.written);
        let at = usize::try_from(lsn.0.checked_sub(begin.0)?).ok()?;
        self.batch.get(at..).filter(|octets| !octets.is_empty())
    }
}
