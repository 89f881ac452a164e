//! The head of a chunk, written twice: on its first page and on its last, so that no one fault takes both.
//!
//! ```text
//!  0  magic     8   "TITCHUNK"
//!  8  sequence  8   which chunk of all that ever were
//! 16  slot      4   where it lies
//! 20  epoch     4   which opening of the log wrote it
//! 24  end       8   lsn where the chunk before it ended
//! 32  tail      8   sequence of the oldest chunk that counted, as the disk knew it: older ones count no more
//! 40  durable   8   lsn below which everything was durable
//! 48  head      4   CRC-32 of the 48 octets before, beginning with the log's secret
//! ```

use super::layout::{Fields, Lsn, Reader, SEQUENCE_MAX, Seal};

/// Octets of a head; the rest of its page is zeros, which nobody reads.
pub const HEAD_BYTES: usize = 52;
const MAGIC: [u8; 8] = *b"TITCHUNK";

/// What a chunk says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Which chunk of all that ever were; the first is 1.
    pub sequence: u64,
    /// Where it lies.
    pub slot: u32,
    /// Which opening of the log wrote it.
    pub epoch: u32,
    /// Where the chunk before it ended.
    pub previous_end: Lsn,
    /// The oldest chunk that counted when this one was begun.
    pub tail: u64,
    /// Everything below was durable when this one was begun.
    pub durable: Lsn,
}

impl Head {
    pub(crate) fn encode(&self, seal: Seal) -> [u8; HEAD_BYTES] {
        let fields = Fields::new()
            .put(&MAGIC)
            .put(&self.sequence.to_le_bytes())
            .put(&self.slot.to_le_bytes())
            .put(&self.epoch.to_le_bytes())
            .put(&self.previous_end.0.to_le_bytes())
            .put(&self.tail.to_le_bytes())
            .put(&self.durable.0.to_le_bytes());
        let sum = seal.of(&[fields.so_far()]);
        fields.put(&sum.to_le_bytes()).octets()
    }

    /// `None` unless it is a head of this log and lies where it says.
    pub(crate) fn decode(octets: &[u8], slot: u32, seal: Seal) -> Option<Self> {
        let summed = octets.get(..HEAD_BYTES - 4)?;
        let mut fields = Reader(octets);
        let magic = fields.take::<8>()?;
        let head = Self {
            sequence: fields.u64()?,
            slot: fields.u32()?,
            epoch: fields.u32()?,
            previous_end: Lsn(fields.u64()?),
            tail: fields.u64()?,
            durable: Lsn(fields.u64()?),
        };
        let in_order = (1..SEQUENCE_MAX).contains(&head.sequence) && head.tail <= head.sequence;
        let right = magic == MAGIC && head.slot == slot && in_order && head.epoch < u32::MAX;
        (right && fields.u32()? == seal.of(&[summed])).then_some(head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::LogId;

    #[test]
    fn a_head_is_read_as_it_was_written_and_only_where_it_was_written() {
        let seal = LogId([9; 16]).seal();
        let head = Head { sequence: 5, slot: 2, epoch: 3, previous_end: Lsn(77), tail: 1, durable: Lsn(70) };
        let octets = head.encode(seal);
        assert_eq!(Head::decode(&octets, 2, seal), Some(head));
        assert_eq!(Head::decode(&octets, 1, seal), None);
        assert_eq!(Head::decode(&octets, 2, LogId([8; 16]).seal()), None);
        for bit in 0..octets.len() * 8 {
            let mut damaged = octets;
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Head::decode(&damaged, 2, seal), None, "bit {bit}");
        }
    }
}
