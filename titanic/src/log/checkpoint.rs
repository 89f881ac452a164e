//! The two checkpoints at the beginning of the file, written by turns. The newer one that is in order counts.
//!
//! ```text
//!  0  magic     8   "TITANLOG"
//!  8  version   4
//! 12  page      4   octets of a page     } the same in every checkpoint of a log
//! 16  chunk     4   octets of a chunk    }
//! 20  id       16   the log's secret     }
//! 36  number    8   checkpoints ever written; the place is A for an even one, B for an odd one
//! 44  epoch     4   openings of the log, ever
//! 48  slots     4   the file has at least these
//! 52  tail      8   sequence of the oldest chunk that counts: the scan begins there
//! 60  durable   8   lsn below which everything is durable: what is not found there was damaged
//! 68  sum       4   CRC-32 of the 68 octets before
//! ```
//!
//! At most one checkpoint is written and not yet flushed, so a torn one always leaves the other. The slots of chunks
//! before `tail` are used again only when the checkpoint that says so is durable.

use super::error::OpenError;
use super::layout::{Fields, Geometry, LogId, Lsn, Reader, SEQUENCE_MAX, VERSION};

/// Octets of a checkpoint; the rest of its page is zeros, which nobody reads.
pub const CHECKPOINT_BYTES: usize = 72;
const MAGIC: [u8; 8] = *b"TITANLOG";

/// What a log says about itself as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The sizes.
    pub geometry: Geometry,
    /// The secret.
    pub id: LogId,
    /// Which checkpoint.
    pub number: u64,
    /// Openings of the log so far.
    pub epoch: u32,
    /// The file has at least these.
    pub slots: u32,
    /// The oldest chunk that counts.
    pub tail: u64,
    /// Everything below is durable.
    pub durable: Lsn,
}

impl Checkpoint {
    /// Where in the file it belongs.
    pub(crate) fn offset(&self) -> u64 {
        self.geometry.checkpoint_offset(if self.number.is_multiple_of(2) { 0 } else { 1 })
    }

    pub(crate) fn encode(&self) -> [u8; CHECKPOINT_BYTES] {
        let fields = Fields::new()
            .put(&MAGIC)
            .put(&VERSION.to_le_bytes())
            .put(&self.geometry.page_bytes().to_le_bytes())
            .put(&self.geometry.chunk_bytes().to_le_bytes())
            .put(&self.id.0)
            .put(&self.number.to_le_bytes())
            .put(&self.epoch.to_le_bytes())
            .put(&self.slots.to_le_bytes())
            .put(&self.tail.to_le_bytes())
            .put(&self.durable.0.to_le_bytes());
        let sum = crc32fast::hash(fields.so_far());
        fields.put(&sum.to_le_bytes()).octets()
    }

    /// # Errors
    /// What these octets are instead: of another version, damaged, or nothing of ours.
    pub(crate) fn decode(octets: &[u8]) -> Result<Self, OpenError> {
        let mut fields = Reader(octets);
        if fields.take() != Some(MAGIC) {
            return Err(OpenError::NotALog);
        }
        let summed = octets.get(..CHECKPOINT_BYTES - 4).ok_or(OpenError::Checkpoints)?;
        match fields.u32() {
            Some(VERSION) => Self::decode_fields(fields, crc32fast::hash(summed)).ok_or(OpenError::Checkpoints),
            Some(found) => Err(OpenError::Version { found }),
            None => Err(OpenError::Checkpoints),
        }
    }

    fn decode_fields(mut fields: Reader<'_>, sum: u32) -> Option<Self> {
        let checkpoint = Self {
            geometry: Geometry::new(fields.u32()?, fields.u32()?)?,
            id: LogId(fields.take()?),
            number: fields.u64()?,
            epoch: fields.u32()?,
            slots: fields.u32()?,
            tail: fields.u64()?,
            durable: Lsn(fields.u64()?),
        };
        // Numbers at the end of all numbers were never reached.
        let Self { geometry, number, epoch, tail, durable, .. } = checkpoint;
        let in_order = number < u64::MAX && epoch < u32::MAX && tail < SEQUENCE_MAX && durable < geometry.lsn_max();
        (fields.u32()? == sum && in_order).then_some(checkpoint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint() -> Checkpoint {
        let geometry = Geometry::new(512, 8192).unwrap();
        Checkpoint { geometry, id: LogId([9; 16]), number: 7, epoch: 3, slots: 8, tail: 5, durable: Lsn(77) }
    }

    #[test]
    fn a_checkpoint_is_read_as_it_was_written() {
        let checkpoint = checkpoint();
        assert_eq!(Checkpoint::decode(&checkpoint.encode()).unwrap(), checkpoint);
        assert_eq!(checkpoint.offset(), 512);
        assert_eq!(Checkpoint { number: 8, ..checkpoint }.offset(), 0);
    }

    #[test]
    fn each_flipped_bit_says_what_it_made_of_it() {
        for bit in 0..CHECKPOINT_BYTES * 8 {
            let mut octets = checkpoint().encode();
            octets[bit / 8] ^= 1 << (bit % 8);
            let error = Checkpoint::decode(&octets).unwrap_err();
            match bit / 8 {
                0..8 => assert!(matches!(error, OpenError::NotALog)),
                8..12 => assert!(matches!(error, OpenError::Version { found } if found != VERSION)),
                _ => assert!(matches!(error, OpenError::Checkpoints)),
            }
        }
    }
}
