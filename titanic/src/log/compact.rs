//! Copying forward what still counts in the oldest chunks, so that their slots are free.
//!
//! A request that stays open pins nothing: it is appended again, and the chunk behind it goes. It is done in small
//! steps with every batch: when the log comes near its capacity, when so little in the oldest chunk counts that copying
//! is cheaper than keeping it, or when a file that has become too long has chunks far out.

use protocol::mutants::{self, Mutant};

use super::error::{ReadError, Stopped};
use super::index::Location;
use super::layout::stored_bytes;
use super::record::{HEADER_BYTES, Header, Kind, header};
use super::region::Region;
use super::ring::Chunk;
use super::writer::Log;

/// How far clearing away has come.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Clearing {
    /// The chunk that is being read, and where in it.
    sequence: u64,
    offset: u32,
    /// A round is over when the chunks from here on come.
    round_end: u64,
    /// What could be won when the round began.
    round_waste: u64,
    /// What the last round left although it tried and nobody disturbed it: less than a chunk more is not worth another
    /// one.
    fruitless: u64,
    /// Something else was appended since the round began.
    disturbed: bool,
}

impl Clearing {
    /// Something was appended: what a round was good for is to be found out anew.
    pub(super) fn disturb(&mut self) {
        (self.disturbed, self.fruitless) = (true, 0);
    }
}

/// How one step went.
enum Copied {
    Yes,
    NoRoom,
}

impl<R: Region> Log<R> {
    /// Whether there is a chunk that should be copied forward.
    pub(super) fn wants_clearing(&self) -> bool {
        self.clearable().is_some()
    }

    fn clearable(&self) -> Option<Chunk> {
        if self.is_used_up() {
            return None;
        }
        let head = self.head.map(|head| head.sequence);
        let chunk = self.ring.oldest_live().filter(|chunk| Some(chunk.sequence) != head)?;
        (self.is_pressed() || self.is_cheap(&chunk) || self.is_far_out()).then_some(chunk)
    }

    /// Whether the chunks come to an end, and there is something to be won.
    fn is_pressed(&self) -> bool {
        let unused = self.ring.slots_max().saturating_sub(self.ring.len());
        let low = self.reserve() + 1 + (self.ring.slots_max() / 8).max(2);
        let worth = self.clearing.fruitless.saturating_add(u64::from(self.geometry.data_bytes()));
        unused <= low && self.ring.waste_bytes() >= worth
    }

    fn is_cheap(&self, chunk: &Chunk) -> bool {
        self.ring.len() > CHUNKS_KEPT && chunk.live_bytes * 8 <= u64::from(self.geometry.data_bytes())
    }

    /// Whether the file could be half as long, if only the chunks lay at its beginning, where new ones go.
    fn is_far_out(&self) -> bool {
        let enough = self.slots_for(self.ring.len());
        enough < self.ring.slots() / 2 && enough < self.ring.highest()
    }

    /// Copies a little: more the more was appended, so that a full log makes room faster than it is used.
    pub(super) fn clear_away(&mut self) -> Result<(), Stopped> {
        let waste = self.ring.waste_bytes();
        self.clearing.fruitless = self.clearing.fruitless.min(waste);
        let mut budget = self.batch.len() as u64 * 4 + STEP_BYTES;
        while let Some(chunk) = self.clearable() {
            self.turn_to(&chunk);
            let (done, copied) = self.step(&chunk)?;
            budget = budget.saturating_sub(done);
            if budget == 0 || matches!(copied, Copied::NoRoom) {
                break;
            }
        }
        Ok(())
    }

    /// Begins with a chunk, unless it is the one at hand; and with a round, when the last one is over.
    fn turn_to(&mut self, chunk: &Chunk) {
        let (waste, chunk_bytes) = (self.ring.waste_bytes(), u64::from(self.geometry.data_bytes()));
        let (head, _) = self.geometry.place(self.head_lsn());
        let clearing = &mut self.clearing;
        if clearing.sequence == chunk.sequence {
            return;
        }
        (clearing.sequence, clearing.offset) = (chunk.sequence, self.geometry.data_start());
        if chunk.sequence >= clearing.round_end {
            let won = clearing.round_waste.saturating_sub(waste);
            let fruitless = clearing.round_end > 0 && !clearing.disturbed && won < chunk_bytes;
            let round_end = head.max(chunk.sequence + 1);
            let fruitless = if fruitless { waste } else { 0 };
            *clearing = Clearing { round_end, round_waste: waste, fruitless, disturbed: false, ..*clearing };
        }
    }

    /// Reads one record, and copies it if it counts. Returns how many octets that took.
    fn step(&mut self, chunk: &Chunk) -> Result<(u64, Copied), Stopped> {
        let offset = self.clearing.offset;
        if offset + HEADER_BYTES > self.geometry.data_end() {
            self.give_up(chunk)?;
            return Ok((0, Copied::Yes));
        }
        let mut octets = [0; HEADER_BYTES as usize];
        let lsn = self.geometry.lsn(chunk.sequence, offset);
        self.fetch(chunk.sequence, offset, &mut octets).or_else(|error| self.ignore(error))?;
        let Some(found) = header(&octets, lsn, chunk.epoch, self.seal) else {
            self.clearing.offset += 8;
            return Ok((8, Copied::Yes));
        };
        let first = found.start == lsn && found.kind != Kind::Commit;
        let needed = first.then(|| self.index.needs(&found.id, lsn)).flatten();
        let needed = needed.filter(|_| !mutants::on(Mutant::ForgetCopyForward));
        let mut done = u64::from(HEADER_BYTES);
        if let Some(location) = needed {
            if !self.make_room(location)? {
                return Ok((done, Copied::NoRoom));
            }
            self.copy(&found, location)?;
            done = stored_bytes(u64::from(location.length()));
        }
        let next = u64::from(offset).saturating_add(found.stored_bytes());
        self.clearing.offset = u32::try_from(next).unwrap_or(u32::MAX).min(self.geometry.data_end());
        Ok((done, Copied::Yes))
    }

    /// Whether there is room for a copy.
    fn make_room(&mut self, location: Location) -> Result<bool, Stopped> {
        let needed = self.chunks_for(u64::from(location.length()));
        if needed > 0 {
            self.grow(needed)?;
        }
        Ok(self.ring.free() >= needed)
    }

    fn copy(&mut self, found: &Header, location: Location) -> Result<(), Stopped> {
        match self.read(&found.id, location) {
            Ok(payload) => self.put(found.kind, found.id, &payload).map(drop),
            Err(ReadError::Damaged { .. }) => self.lose(found, location),
            Err(ReadError::Io { error, .. }) => Err(self.stop(&error)),
        }
    }

    /// A record was damaged since the log was opened. A mark without its payload still says what it says; without its
    /// request, or its answer, an id is lost.
    fn lose(&mut self, found: &Header, location: Location) -> Result<(), Stopped> {
        if matches!(found.kind, Kind::Attempt | Kind::Dead) {
            return self.put(found.kind, found.id, &[]).map(drop);
        }
        let now = self.head_lsn();
        self.index.remove(&found.id).into_iter().flatten().for_each(|freed| self.ring.remove(freed, now));
        self.ring.remove(location, now);
        self.lost.push(found.id);
        Ok(())
    }

    /// The chunk was read to its end, and something that counts was not met: its header is damaged.
    fn give_up(&mut self, chunk: &Chunk) -> Result<(), Stopped> {
        let (from, to) = (self.geometry.lsn(chunk.sequence, 0), self.geometry.lsn(chunk.sequence + 1, 0));
        let now = self.head_lsn();
        for (id, _) in self.index.within(from, to) {
            self.index.remove(&id).into_iter().flatten().for_each(|freed| self.ring.remove(freed, now));
            self.lost.push(id);
        }
        self.ring.clear(chunk.sequence);
        Ok(())
    }

    /// A header that cannot be read is as good as none; a disk that fails is noticed where it matters.
    fn ignore(&mut self, error: ReadError) -> Result<(), Stopped> {
        match error {
            ReadError::Damaged { .. } => Ok(()),
            ReadError::Io { error, .. } => Err(self.stop(&error)),
        }
    }
}

/// Octets that are copied with a batch in any case.
const STEP_BYTES: u64 = 256 << 10;
/// With no more chunks than these there is nothing to be tidied up.
const CHUNKS_KEPT: u32 = 4;
