//! How much room there is, and for whom: requests are refused first, then answers, what closes last, and clearing away
//! has chunks of its own. The file grows before anything is refused, and shrinks when most of it is unused.

use std::io;

use super::error::{OpenError, Refused, Stopped};
use super::layout::{CHECKPOINT_LAST, EPOCH_LAST, Geometry, SEQUENCE_LAST, stored_bytes};
use super::record::{HEADER_BYTES, Kind};
use super::region::Region;
use super::writer::{Log, Settings};

impl<R: Region> Log<R> {
    /// How many chunks must be begun for a payload of so many octets.
    pub(super) fn chunks_for(&self, payload_bytes: u64) -> u32 {
        let room = u64::from(self.room());
        if room >= stored_bytes(payload_bytes) {
            return 0;
        }
        let here = room.saturating_sub(u64::from(HEADER_BYTES));
        let each = u64::from(self.geometry.data_bytes() - HEADER_BYTES);
        u32::try_from(payload_bytes.saturating_sub(here).div_ceil(each).max(1)).unwrap_or(u32::MAX)
    }

    /// Makes sure that a record may be appended.
    pub(super) fn admit(&mut self, kind: Kind, payload_bytes: usize) -> Result<(), Refused> {
        let max = self.payload_bytes_max();
        if payload_bytes > max {
            return Err(Refused::TooLarge { bytes: payload_bytes, max });
        }
        self.ring.wish_growth();
        let bytes = stored_bytes(payload_bytes as u64);
        if self.ring.live_bytes().saturating_add(bytes) > self.quota(kind) {
            return Err(Refused::Full);
        }
        let needed = self.chunks_for(payload_bytes as u64);
        if needed == 0 {
            return Ok(());
        }
        if self.is_used_up() {
            return Err(Refused::Full);
        }
        let (slots, slots_max) = (self.ring.slots(), self.ring.slots_max());
        self.grow(needed + left_by(kind, slots))?;
        // What the file cannot give is missing: `Full` also when the disk, and not the log, has no room.
        let free = self.ring.free();
        let ever = free + slots_max.saturating_sub(self.ring.slots());
        let is_full = free < needed + left_by(kind, slots) || ever < needed + left_by(kind, slots_max);
        if is_full { Err(Refused::Full) } else { Ok(()) }
    }

    /// Whether the numbers of chunks, openings or checkpoints have come to their end.
    pub(super) fn is_used_up(&self) -> bool {
        let (sequence, epoch, checkpoint) = (self.next_sequence, self.epoch, self.checkpoint.number);
        sequence >= SEQUENCE_LAST || epoch >= EPOCH_LAST || checkpoint >= CHECKPOINT_LAST
    }

    /// How many octets may count once a record of this kind has been added.
    fn quota(&self, kind: Kind) -> u64 {
        self.quota_of(kind, self.ring.slots_max())
    }

    /// The same for a file of so many slots.
    pub(super) fn quota_of(&self, kind: Kind, slots: u32) -> u64 {
        let slots = slots.saturating_sub(reserve_of(slots));
        let bytes = u64::from(slots) * u64::from(self.geometry.data_bytes());
        match kind {
            Kind::Request => bytes / 4 * 3,
            Kind::Answer => bytes / 8 * 7,
            Kind::Attempt | Kind::Dead | Kind::Closed | Kind::Commit => u64::MAX,
        }
    }

    /// Slots for clearing away, which needs room before it makes room.
    pub(super) fn reserve(&self) -> u32 {
        reserve_of(self.ring.slots_max())
    }

    /// Makes the file longer until so many slots are free, or it is as long as it may be.
    pub(super) fn grow(&mut self, wanted: u32) -> Result<(), Stopped> {
        let missing = wanted.saturating_sub(self.ring.free());
        let (slots, slots_max) = (self.ring.slots(), self.ring.slots_max());
        if missing == 0 || slots >= slots_max {
            return Ok(());
        }
        // A quarter more at a time: a log that fills up does not stop for every chunk. Nor for long: nothing else goes
        // on while the file grows.
        let step = (slots / 4).min(STEP_BYTES_MAX / self.geometry.chunk_bytes());
        let slots = slots.saturating_add(missing.max(step)).min(slots_max);
        let len = self.geometry.file_bytes(slots);
        if self.region.len() >= len {
            // It was to become shorter, and has not yet.
            self.ring.set_slots(slots);
            return Ok(());
        }
        self.grown_in = self.batches + 1;
        match self.region.resize(len, &mut |_| {}) {
            Ok(()) => self.ring.set_slots(slots),
            Err(error) if error.kind() == io::ErrorKind::StorageFull => self.ring.forbid_growth(),
            Err(error) => return Err(self.stop(&error)),
        }
        Ok(())
    }

    /// Slots that a file should have for so many chunks: some to go on with, and never fewer than asked for.
    pub(super) fn slots_for(&self, chunks: u32) -> u32 {
        (chunks + 2 + chunks / 4).max(self.slots_min).max(reserve_of(chunks) + 2)
    }

    /// A file that has become far longer than its chunks need is made shorter, once a durable checkpoint says so.
    pub(super) fn shrink(&mut self) -> Result<(), Stopped> {
        let (slots, highest) = (self.ring.slots(), self.ring.highest());
        if self.checkpoint_in_flight.is_some() || self.checkpoint.slots != slots {
            return Ok(());
        }
        let len = self.geometry.file_bytes(slots.max(highest));
        if self.region.len() > len {
            self.slots_durable = self.slots_durable.min(slots.max(highest));
            return self.region.resize(len, &mut |_| {}).map_err(|error| self.stop(&error));
        }
        let enough = self.slots_for(highest);
        if enough < slots / 2 {
            self.ring.set_slots(enough);
        }
        Ok(())
    }
}

/// Slots of a file of so many that are for clearing away.
fn reserve_of(slots: u32) -> u32 {
    3 + slots / 32
}

/// How many slots of so many a record of this kind must leave to those that are needed more. Of the file as it is, so
/// that it need not grow to its end for it; and of the file as it may become.
fn left_by(kind: Kind, slots: u32) -> u32 {
    match kind {
        Kind::Request => reserve_of(slots) + 1,
        Kind::Answer => reserve_of(slots),
        Kind::Attempt | Kind::Dead | Kind::Closed | Kind::Commit => reserve_of(slots) - 1,
    }
}

pub(super) fn slots_max(geometry: Geometry, settings: &Settings) -> Result<u32, OpenError> {
    let (slots, least) = (geometry.slots(settings.capacity_bytes), geometry.file_bytes(SLOTS_MIN));
    let capacity = settings.capacity_bytes;
    if slots < SLOTS_MIN { Err(OpenError::Capacity { capacity, least }) } else { Ok(slots) }
}

/// Octets that a file grows by at once, unless one record needs more.
const STEP_BYTES_MAX: u32 = 64 << 20;

/// What a new file has, and what no file goes below.
pub(super) fn slots_min(geometry: Geometry, settings: &Settings) -> u32 {
    geometry.slots(settings.initial_bytes.min(settings.capacity_bytes)).max(2)
}

/// Chunks of the smallest log: three for clearing away, one for what closes, and some for what is stored.
pub(super) const SLOTS_MIN: u32 = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::checkpoint::{CHECKPOINT_BYTES, Checkpoint};
    use crate::log::chunk::{HEAD_BYTES, Head};
    use crate::log::layout::Lsn;
    use crate::log::{Id, LogId, Memory};

    const ID: LogId = LogId([7; 16]);

    fn settings() -> Settings {
        let geometry = Geometry::new(512, 4096).unwrap();
        Settings { capacity_bytes: geometry.file_bytes(16), initial_bytes: 0, geometry: Some(geometry) }
    }

    /// A log with one request, whose chunk claims that the log was durable up to here.
    fn forged(durable: Lsn) -> Memory {
        let mut log = Log::create(Memory::new(), ID, &settings(), &mut |_| {}).unwrap();
        log.append(Kind::Request, Id([1; 16]), b"body").unwrap();
        let mut region = log.close().unwrap();
        let geometry = settings().geometry.unwrap();
        for place in [geometry.slot_offset(0), geometry.slot_offset(0) + u64::from(geometry.data_end())] {
            let place = usize::try_from(place).unwrap();
            let octets = &mut region.octets_mut()[place..place + HEAD_BYTES];
            let head = Head::decode(octets, 0, ID.seal()).expect("the first chunk is in the first slot");
            octets.copy_from_slice(&Head { durable, ..head }.encode(ID.seal()));
        }
        region
    }

    /// A log with one request, whose checkpoints claim what this makes of them.
    fn forged_checkpoints(change: impl Fn(Checkpoint) -> Checkpoint) -> Memory {
        let mut region = forged(Lsn(0));
        for place in [0, 512] {
            let octets = &mut region.octets_mut()[place..place + CHECKPOINT_BYTES];
            let checkpoint = Checkpoint::decode(octets).expect("both checkpoints are in order");
            octets.copy_from_slice(&change(checkpoint).encode());
        }
        region
    }

    #[test]
    fn a_log_whose_numbers_are_used_up_can_be_read_and_takes_no_more() {
        let geometry = settings().geometry.unwrap();
        takes_no_more(forged(geometry.lsn(SEQUENCE_LAST - 1, 600)));
        for epoch in [EPOCH_LAST, u32::MAX - 5] {
            takes_no_more(forged_checkpoints(|checkpoint| Checkpoint { epoch, ..checkpoint }));
        }
        takes_no_more(forged_checkpoints(|checkpoint| {
            let number = CHECKPOINT_LAST + checkpoint.number;
            Checkpoint { number, ..checkpoint }
        }));
    }

    fn takes_no_more(mut region: Memory) {
        for _ in 0..3 {
            let (mut log, _) = Log::open(region, &settings(), &mut |_| {}).expect("it can be opened again and again");
            let request = log.find(&Id([1; 16])).and_then(|entry| entry.request()).expect("what was there is there");
            assert_eq!(&log.read(&Id([1; 16]), request).unwrap()[..], b"body");
            assert_eq!(log.append(Kind::Request, Id([2; 16]), b"more"), Err(Refused::Full));
            assert!(!log.needs_write(), "nothing is copied forward either");
            region = log.close().unwrap();
        }
    }

    #[test]
    fn a_log_that_has_numbers_left_goes_on() {
        let end = settings().geometry.unwrap().lsn(SEQUENCE_LAST - 3, 600);
        let (mut log, _) = Log::open(forged(end), &settings(), &mut |_| {}).unwrap();
        log.append(Kind::Answer, Id([2; 16]), b"more").unwrap();
        let (log, _) = Log::open(log.close().unwrap(), &settings(), &mut |_| {}).unwrap();
        assert!(log.find(&Id([2; 16])).is_some());
    }
}
