//! The log itself: appending, writing batches out, and what becomes of them when they are flushed.
//!
//! ```text
//!   append ─► batch ─► write_out ─► region ─► (flush, elsewhere) ─► on_flushed ─► durable
//!               └──── append, write_out go on meanwhile ─────────────┘
//! ```

use std::io;

use protocol::mutants::{self, Mutant};

use super::batch::page_of;
use super::checkpoint::Checkpoint;
use super::compact::Clearing;
use super::error::{OpenError, Refused, Stopped};
use super::index::{Entry, Index, State};
use super::layout::{Geometry, LogId, Lsn, Seal};
use super::record::{HEADER_BYTES, Id, Kind, PAYLOAD_BYTES_MAX};
use super::recover::{self, Recovery, Survey};
use super::region::Region;
use super::ring::Ring;
use super::room::{slots_max, slots_min};

/// How a log is made and opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The file never becomes longer than this; at least eight chunks. A log that holds more already, or that a crash
    /// left without a free chunk, gets a few chunks more until it has been cleared.
    pub capacity_bytes: u64,
    /// A new file is as long as this, and no file becomes shorter.
    pub initial_bytes: u64,
    /// The sizes of a new log; of a log that is opened they are what they are. By default they follow the capacity.
    pub geometry: Option<Geometry>,
}

impl Default for Settings {
    /// 1 GiB at most, 64 MiB at first.
    fn default() -> Self {
        Self { capacity_bytes: 1 << 30, initial_bytes: 64 << 20, geometry: None }
    }
}

/// How far long work is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Octets done.
    pub done: u64,
    /// Octets to do.
    pub total: u64,
}

/// A batch that was written and is to be flushed. A later one stands for all before it. Two flushes of one region must
/// not overlap: one could be told that all is well while the other is told what has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[must_use]
pub struct Job {
    batch: u64,
    /// Once flushed, everything below is durable.
    pub upto: Lsn,
}

/// What takes how much.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Octets of the file.
    pub file_bytes: u64,
    /// Octets that it may have.
    pub capacity_bytes: u64,
    /// Octets of chunks with records in them.
    pub used_bytes: u64,
    /// Octets of records that count.
    pub live_bytes: u64,
}

/// An open log.
#[derive(Debug)]
pub struct Log<R> {
    pub(super) region: R,
    pub(super) geometry: Geometry,
    pub(super) seal: Seal,
    pub(super) ring: Ring,
    pub(super) index: Index,
    pub(super) clearing: Clearing,
    /// The chunk that is appended to; none before the first append.
    pub(super) head: Option<Write>,
    /// What was appended and is not in the region yet: the octets of the head from `written` on.
    pub(super) batch: Vec<u8>,
    /// Ids of which a record turned out to be damaged when it was to be copied.
    pub(super) lost: Vec<Id>,
    pub(super) id: LogId,
    pub(super) epoch: u32,
    pub(super) slots_min: u32,
    pub(super) next_sequence: u64,
    /// Where everything ends that was there when the log was opened.
    pub(super) end: Lsn,
    pub(super) batches: u64,
    pub(super) durable: Lsn,
    pub(super) checkpoint: Checkpoint,
    pub(super) checkpoint_in_flight: Option<u64>,
    /// Slots that the file has even if the power goes: a checkpoint must not count on others.
    pub(super) slots_durable: u32,
    /// The batch that must be flushed before it has all of them.
    pub(super) grown_in: u64,
    /// The tail of the last checkpoint that is durable.
    pub(super) durable_tail: u64,
    stopped: Option<Stopped>,
}

/// Where the next record goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Write {
    pub(super) sequence: u64,
    pub(super) slot: u32,
    /// Where in the chunk the batch begins.
    pub(super) written: u32,
}

impl<R: Region> Log<R> {
    /// Makes a new log in an empty region, and flushes it.
    ///
    /// # Errors
    /// When the capacity is too small, there is no room, or the region fails.
    pub fn create(
        mut region: R,
        id: LogId,
        settings: &Settings,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Self, OpenError> {
        let geometry = settings.geometry.unwrap_or_else(|| Geometry::for_capacity(settings.capacity_bytes));
        slots_max(geometry, settings)?;
        let slots = slots_min(geometry, settings);
        let total = geometry.file_bytes(slots);
        resize(&mut region, total, &mut |done| progress(Progress { done, total }))?;
        let checkpoint = Checkpoint { geometry, id, number: 0, epoch: 0, slots, tail: 1, durable: Lsn(0) };
        region.write(checkpoint.offset(), &page_of(geometry, &checkpoint.encode()))?;
        region.flush()?;
        Self::open(region, settings, progress).map(|(log, _)| log)
    }

    /// Opens a log: reads all of it, and flushes a checkpoint that says so.
    ///
    /// # Errors
    /// When the region holds no log that can be opened, or fails. Nothing in it was changed then.
    pub fn open(
        mut region: R,
        settings: &Settings,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(Self, Recovery), OpenError> {
        // Anybody can be told to go on only from what is safe, not from what a page cache shows.
        region.settle()?;
        let survey = recover::survey(&region, progress)?;
        let geometry = survey.checkpoint.geometry;
        // A log that holds more than it may by now must be able to take what closes, and to be cleared.
        let used = u32::try_from(survey.chunks.len()).unwrap_or(u32::MAX);
        let slots_max = slots_max(geometry, settings)?.max(used.saturating_add(5 + used / 32));
        // Blocks that a crash left without a place get it now.
        let len = region.len();
        resize(&mut region, len, &mut |_| {})?;
        let report = survey.report.clone();
        let mut log = Self::from_survey(region, survey, slots_max, slots_min(geometry, settings));
        log.retire_dead_tail();
        log.write_checkpoint().map_err(|Stopped(kind)| OpenError::Io(kind.into()))?;
        log.region.flush()?;
        log.on_checkpoint_durable();
        log.ring.cool(log.batches + 1);
        Ok((log, report))
    }

    /// Looks into a log, also one that another process has open: everything can be read, nothing can be appended, and
    /// nothing in the region changes.
    ///
    /// # Errors
    /// When the region holds no log that can be opened, or fails.
    pub fn view(region: R, progress: &mut dyn FnMut(Progress)) -> Result<(Self, Recovery), OpenError> {
        let survey = recover::survey(&region, progress)?;
        let slots = survey.checkpoint.geometry.slots(region.len());
        let report = survey.report.clone();
        let mut log = Self::from_survey(region, survey, slots, slots);
        log.stopped = Some(Stopped(io::ErrorKind::ReadOnlyFilesystem));
        Ok((log, report))
    }

    fn from_survey(region: R, survey: Survey, slots_max: u32, slots_min: u32) -> Self {
        let Survey { checkpoint, epoch, next_sequence, end, chunks, index, .. } = survey;
        let geometry = checkpoint.geometry;
        let slots = geometry.slots(region.len());
        Self {
            geometry,
            seal: checkpoint.id.seal(),
            id: checkpoint.id,
            ring: Ring::new(geometry, chunks, slots, slots_max),
            index,
            clearing: Clearing::default(),
            head: None,
            batch: Vec::new(),
            lost: Vec::new(),
            epoch: epoch.saturating_add(1),
            slots_min,
            next_sequence,
            end,
            batches: 0,
            durable: end,
            checkpoint,
            checkpoint_in_flight: None,
            slots_durable: slots,
            grown_in: 0,
            durable_tail: checkpoint.tail,
            stopped: None,
            region,
        }
    }

    /// Appends a record, into the batch. It is safe when [`is_durable`](Self::is_durable) says so of the number that is
    /// returned.
    ///
    /// # Errors
    /// When there is no room, or the log has stopped. Requests are refused first, then answers, and what closes last.
    pub fn append(&mut self, kind: Kind, id: Id, payload: &[u8]) -> Result<Lsn, Refused> {
        if let Some(stopped) = self.stopped {
            return Err(stopped.into());
        }
        self.admit(kind, payload.len())?;
        self.clearing.disturb();
        Ok(self.put(kind, id, payload)?)
    }

    /// What is known of an id.
    pub fn find(&self, id: &Id) -> Option<&Entry> {
        self.index.find(id)
    }

    /// Every id, in the order of the log.
    pub fn entries(&self) -> Vec<(Id, Entry)> {
        self.index.entries()
    }

    /// How many ids are in this state.
    pub fn count(&self, state: State) -> u64 {
        self.index.count(state)
    }

    /// A closed id is remembered no longer. It may come back when the log is opened again, as long as its record has
    /// not been overwritten.
    pub fn forget(&mut self, id: &Id) {
        if self.index.find(id).is_some_and(|entry| entry.state() == State::Closed) {
            let now = self.head_lsn();
            self.index.remove(id).into_iter().flatten().for_each(|freed| self.ring.remove(freed, now));
        }
    }

    /// Whether the record with this number survives everything that comes.
    pub fn is_durable(&self, lsn: Lsn) -> bool {
        lsn < self.durable
    }

    /// Everything below is durable.
    pub fn durable(&self) -> Lsn {
        self.durable
    }

    /// The number of the next record.
    pub fn head_lsn(&self) -> Lsn {
        self.head.map_or(self.end, |head| self.geometry.lsn(head.sequence, self.offset(&head)))
    }

    /// Why the log takes nothing any more, if so.
    pub fn stopped(&self) -> Option<Stopped> {
        self.stopped
    }

    /// The most octets that a payload may have, however much room the disk has at the moment.
    pub fn payload_bytes_max(&self) -> usize {
        let quota = self.quota_of(Kind::Request, self.ring.slots_ever()).saturating_sub(u64::from(HEADER_BYTES));
        usize::try_from(quota).unwrap_or(usize::MAX).min(PAYLOAD_BYTES_MAX)
    }

    /// What takes how much.
    pub fn usage(&self) -> Usage {
        Usage {
            file_bytes: self.region.len(),
            capacity_bytes: self.geometry.file_bytes(self.ring.slots_max()),
            used_bytes: u64::from(self.ring.len()) * u64::from(self.geometry.chunk_bytes()),
            live_bytes: self.ring.live_bytes(),
        }
    }

    /// Ids of which a record was found damaged since the last call, and which are let go.
    pub fn take_lost(&mut self) -> Vec<Id> {
        std::mem::take(&mut self.lost)
    }

    /// What the log stands on.
    pub fn region(&self) -> &R {
        &self.region
    }

    /// Whether [`write_out`](Self::write_out) would do something: there is a batch, or something to clear away.
    pub fn needs_write(&self) -> bool {
        self.stopped.is_none() && (!self.batch.is_empty() || self.checkpoint_is_due() || self.wants_clearing())
    }

    /// Ends the batch and writes it into the region, with whatever is to be cleared away. Returns the flush that makes
    /// it durable; `None` when there was nothing to write.
    ///
    /// # Errors
    /// When the region fails, now or before: the log has stopped.
    pub fn write_out(&mut self) -> Result<Option<Job>, Stopped> {
        if let Some(stopped) = self.stopped {
            return Err(stopped);
        }
        self.clear_away()?;
        self.shrink()?;
        let (wrote, due) = (!self.batch.is_empty(), self.checkpoint_is_due());
        self.commit()?;
        if due {
            self.retire_dead_tail();
            self.write_checkpoint()?;
        }
        if !wrote && !due {
            return Ok(None);
        }
        self.batches += 1;
        Ok(Some(Job { batch: self.batches, upto: self.head_lsn() }))
    }

    /// A flush that was begun after this job was handed out has answered well.
    pub fn on_flushed(&mut self, job: Job) {
        if self.stopped.is_some() {
            return;
        }
        self.durable = self.durable.max(job.upto);
        if self.grown_in <= job.batch {
            self.slots_durable = self.geometry.slots(self.region.len());
        }
        if self.checkpoint_in_flight.is_some_and(|batch| batch <= job.batch) {
            self.on_checkpoint_durable();
        }
        self.ring.cool(job.batch);
    }

    /// A flush has failed: the log takes nothing any more, and nothing more becomes durable.
    pub fn on_flush_failed(&mut self, error: &io::Error) -> Stopped {
        self.stop(error)
    }

    /// [`write_out`](Self::write_out), a flush here and now, and [`on_flushed`](Self::on_flushed).
    ///
    /// # Errors
    /// When the region fails, now or before: the log has stopped.
    pub fn flush(&mut self) -> Result<(), Stopped> {
        if let Some(job) = self.write_out()? {
            self.region.flush().map_err(|error| self.stop(&error))?;
            self.on_flushed(job);
        }
        Ok(())
    }

    /// Flushes, and writes down that all of it is durable: whatever is missing when the log is opened again was
    /// damaged.
    ///
    /// # Errors
    /// When the region fails, now or before.
    pub fn close(mut self) -> Result<R, Stopped> {
        self.flush()?;
        if self.head.is_some() {
            // A batch that says that the last one is durable, for the day when the checkpoint says so no longer.
            self.seal_batch();
        }
        self.flush()?;
        self.write_checkpoint()?;
        self.region.flush().map_err(|error| self.stop(&error))?;
        Ok(self.region)
    }

    pub(super) fn write(&mut self, offset: u64, octets: &[u8]) -> Result<(), Stopped> {
        self.region.write(offset, octets).map_err(|error| self.stop(&error))
    }

    pub(super) fn stop(&mut self, error: &io::Error) -> Stopped {
        *self.stopped.get_or_insert(Stopped(error.kind()))
    }

    /// Whether the oldest chunk can go, or the file has another length than the last checkpoint says.
    fn checkpoint_is_due(&self) -> bool {
        self.checkpoint_in_flight.is_none() && (self.tail_is_dead() || self.checkpoint.slots != self.slots_safe())
    }

    /// Slots that the file has and keeps, whatever happens.
    fn slots_safe(&self) -> u32 {
        self.slots_durable.min(self.ring.slots())
    }

    /// Whether nothing in the oldest chunk counts, and what it gave way to is durable.
    fn tail_is_dead(&self) -> bool {
        let head = self.head.map(|head| head.sequence);
        let is_safe = |dead_at| dead_at <= self.durable || mutants::on(Mutant::FreeChunkEarly);
        self.ring
            .tail()
            .is_some_and(|tail| tail.live_bytes == 0 && is_safe(tail.dead_at) && Some(tail.sequence) != head)
    }

    fn retire_dead_tail(&mut self) {
        while self.tail_is_dead() {
            self.ring.retire_tail(self.batches + 1);
        }
    }

    fn write_checkpoint(&mut self) -> Result<(), Stopped> {
        let tail = self.ring.tail().map_or(self.next_sequence, |tail| tail.sequence);
        let (number, epoch, id) = (self.checkpoint.number + 1, self.epoch, self.id);
        let (geometry, slots, durable) = (self.geometry, self.slots_safe(), self.durable);
        self.checkpoint = Checkpoint { geometry, id, number, epoch, slots, tail, durable };
        self.checkpoint_in_flight = Some(self.batches + 1);
        self.write(self.checkpoint.offset(), &page_of(geometry, &self.checkpoint.encode()))
    }

    fn on_checkpoint_durable(&mut self) {
        self.checkpoint_in_flight = None;
        self.durable_tail = self.checkpoint.tail;
    }
}

fn resize<R: Region>(region: &mut R, wanted: u64, progress: &mut dyn FnMut(u64)) -> Result<(), OpenError> {
    region.resize(wanted, progress).map_err(|error| match error.kind() {
        io::ErrorKind::StorageFull => OpenError::NoRoom { wanted },
        _ => OpenError::Io(error),
    })
}
