//! What a program does with an open file, and how it goes wrong.

use std::ops::Range;
use std::time::Duration;

use protocol::Instant;

use super::{Disk, Done, Error, FaultKind, File, FileId, Flush, Flushed, Handle, Open, UnfinishedWrite};

impl Disk {
    /// The length of a file in octets.
    ///
    /// # Errors
    /// `Closed`.
    pub fn len(&self, handle: Handle) -> Result<usize, Error> {
        let file = self.opened(handle)?.file;
        Ok(self.files.get(&file).map_or(0, File::len))
    }

    /// Reads from `offset` on until `into` is full. `OutOfRange` beyond the end, `Io` by chance.
    pub fn read(&mut self, now: Instant, handle: Handle, offset: usize, into: &mut [u8]) -> Done<()> {
        let at = self.begin(now, self.config.latency.read);
        Done { at, result: self.read_now(handle, offset, into) }
    }

    fn read_now(&mut self, handle: Handle, offset: usize, into: &mut [u8]) -> Result<(), Error> {
        let Open { file, .. } = self.opened(handle)?;
        if self.rng.permille(self.config.rates.read_error) {
            return Err(self.fail(FaultKind::ReadError, Error::Io));
        }
        let range = offset..offset.saturating_add(into.len());
        let octets = self.files.get(&file).and_then(|file| file.read(range)).ok_or(Error::OutOfRange)?;
        into.copy_from_slice(octets);
        Ok(())
    }

    /// Writes at `offset`, beyond the end, too; says how many octets it wrote, which may be fewer. A hole in between
    /// reads as zeros. `NoSpace` where not one octet fits; `Io` by chance, after any part was written.
    pub fn write(&mut self, now: Instant, handle: Handle, offset: usize, octets: &[u8]) -> Done<usize> {
        let at = self.begin(now, self.config.latency.write);
        Done { at, result: self.write_now(at, handle, offset, octets) }
    }

    fn write_now(&mut self, at: Instant, handle: Handle, offset: usize, octets: &[u8]) -> Result<usize, Error> {
        let Open { file: id, process } = self.opened(handle)?;
        let (room, capacity) = (self.room(), self.config.capacity_bytes);
        let file = self.files.get_mut(&id).ok_or(Error::Closed)?;
        let beyond = offset.saturating_add(octets.len()) > capacity.max(file.len());
        let fits = if beyond { 0 } else { file.fits(offset, octets.len(), room) };
        let grows = !beyond && file.fits(offset, octets.len(), 0) < octets.len();
        if (fits == 0 && !octets.is_empty()) || (grows && self.rng.permille(self.config.rates.no_space)) {
            return Err(self.fail(FaultKind::NoSpace, Error::NoSpace));
        }
        if fits < octets.len() {
            self.counts.add(FaultKind::NoSpace);
        }
        let mut fault = None;
        let mut count = fits;
        if self.rng.permille(self.config.rates.write_error) {
            count = self.rng.index(fits + 1);
            fault = Some(FaultKind::WriteError);
        } else if self.rng.permille(self.config.rates.short_write) && fits > 1 {
            count = 1 + self.rng.index(fits - 1);
            self.counts.add(FaultKind::ShortWrite);
        }
        let octets = octets.get(..count).unwrap_or(octets);
        let before = file.read(offset.min(file.len())..(offset + count).min(file.len())).unwrap_or_default().to_vec();
        file.write(offset, octets);
        self.writes.push(UnfinishedWrite { at, process, file: id, offset, count, before });
        self.write_back(id);
        fault.map_or(Ok(count), |kind| Err(self.fail(kind, Error::Io)))
    }

    /// Makes the file at least `len` octets long and gives every sector up to there its place, so that later writes
    /// need no room. `NoSpace` when not all fits: then nothing has changed.
    pub fn preallocate(&mut self, now: Instant, handle: Handle, len: usize) -> Done<()> {
        let at = self.begin(now, self.config.latency.write);
        Done { at, result: self.preallocate_now(handle, len) }
    }

    fn preallocate_now(&mut self, handle: Handle, len: usize) -> Result<(), Error> {
        let Open { file, .. } = self.opened(handle)?;
        let room = self.room();
        let file = self.files.get_mut(&file).ok_or(Error::Closed)?;
        if file.fits(0, len, room) < len || self.rng.permille(self.config.rates.no_space) {
            return Err(self.fail(FaultKind::NoSpace, Error::NoSpace));
        }
        if file.len() < len {
            file.resize(len);
        }
        file.allocate(&(0..len));
        Ok(())
    }

    /// Shrinks the file, or grows it by a hole of zeros, whose sectors take room when they are written. `NoSpace` past
    /// the disk's whole capacity.
    pub fn resize(&mut self, now: Instant, handle: Handle, len: usize) -> Done<()> {
        let at = self.begin(now, self.config.latency.write);
        let result = self.opened(handle).and_then(|open| match self.files.get_mut(&open.file) {
            Some(_) if len > self.config.capacity_bytes => Err(self.fail(FaultKind::NoSpace, Error::NoSpace)),
            Some(file) => {
                file.resize(len);
                Ok(())
            }
            None => Err(Error::Closed),
        });
        Done { at, result }
    }

    /// Flushes a whole file with its length. After `Io` nobody knows what of it is on the disk, and what is not will
    /// never be written by a later flush.
    pub fn flush(&mut self, now: Instant, handle: Handle) -> Done<()> {
        self.flush_range(now, handle, 0..usize::MAX)
    }

    /// Flushes the sectors that `range` touches, and the length; otherwise like [`flush`](Self::flush).
    pub fn flush_range(&mut self, now: Instant, handle: Handle, range: Range<usize>) -> Done<()> {
        let at = self.begin(now, self.config.latency.flush);
        let Ok(Open { file: id, .. }) = self.opened(handle) else { return Done { at, result: Err(Error::Closed) } };
        let Some(file) = self.files.get(&id) else { return Done { at, result: Err(Error::Closed) } };
        // Who flushes has finished writing.
        self.writes.retain(|write| write.file != id);
        let what = Flushed::Sectors { file: id, sectors: file.sectors(&range), upto: file.sequence() };
        Done { at, result: self.begin_flush(at, what) }
    }

    /// Lets the page cache forget what is clean, as `posix_fadvise(POSIX_FADV_DONTNEED)` does: what is read from then
    /// on comes from the disk, unless it waits to be written.
    ///
    /// # Errors
    /// `Closed`.
    pub fn drop_caches(&mut self, now: Instant, handle: Handle) -> Result<(), Error> {
        self.settle(now);
        let file = self.opened(handle)?.file;
        if let Some(file) = self.files.get_mut(&file) {
            file.drop_clean();
        }
        Ok(())
    }

    /// Makes the names safe: what was created, renamed and removed.
    pub fn flush_directory(&mut self, now: Instant) -> Done<()> {
        let at = self.begin(now, self.config.latency.flush);
        let what = Flushed::Names { upto: self.names.count() };
        Done { at, result: self.begin_flush(at, what) }
    }

    fn begin_flush(&mut self, at: Instant, what: Flushed) -> Result<(), Error> {
        let fails = self.rng.permille(self.config.rates.flush_error);
        self.flushes.push(Flush { at, what, fails });
        if fails { Err(self.fail(FaultKind::FlushError, Error::Io)) } else { Ok(()) }
    }

    /// Lets everything happen that ends by `now`. Every operation does it; a caller that only looks may need it.
    pub fn settle(&mut self, now: Instant) {
        self.writes.retain(|write| write.at > now);
        let (mut over, under_way): (Vec<_>, Vec<_>) = self.flushes.drain(..).partition(|flush| flush.at <= now);
        self.flushes = under_way;
        over.sort_by_key(|flush| flush.at);
        for flush in over {
            match flush.what {
                Flushed::Names { upto } if !flush.fails => {
                    self.names.harden(upto);
                    self.collect();
                }
                Flushed::Names { .. } => {}
                Flushed::Sectors { file, sectors, upto } => self.end_flush(file, &sectors, upto, flush.fails),
            }
        }
    }

    fn end_flush(&mut self, file: FileId, sectors: &Range<usize>, upto: u64, fails: bool) {
        let Some(file) = self.files.get_mut(&file) else { return };
        // A length is the journal's, which tries again; the octets are not.
        if !fails || self.rng.chance(50) {
            file.harden_length(upto);
        }
        for sector in file.waiting(sectors, upto) {
            if fails && self.rng.chance(50) {
                file.drop_sector(sector, upto, self.rng.chance(50));
                self.counts.add(FaultKind::DroppedSector);
            } else {
                file.harden(sector, upto);
            }
        }
    }

    /// The system writes dirty sectors back when it likes, and must when there are many. That nobody hears of it
    /// changes nothing for the program: it could not count on it, and cannot now.
    fn write_back(&mut self, id: FileId) {
        let Some(file) = self.files.get_mut(&id).filter(|file| file.version_count() > self.config.dirty_max) else {
            return;
        };
        let upto = file.sequence();
        file.harden_length(upto);
        for sector in file.waiting(&(0..usize::MAX), upto) {
            if self.rng.chance(75) {
                file.harden(sector, upto);
            }
        }
    }

    /// What every operation starts with: the past is settled, a bit may turn; returns when it will be over.
    fn begin(&mut self, now: Instant, latency: Duration) -> Instant {
        self.settle(now);
        if self.rng.permille(self.config.rates.rot) {
            self.rot();
        }
        let nanos = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        let over = now + latency + Duration::from_nanos(self.rng.below(nanos));
        if !self.rng.permille(self.config.rates.spike) {
            return over;
        }
        self.counts.add(FaultKind::LatencySpike);
        over + self.config.latency.spike
    }

    /// Octets that no file has.
    fn room(&self) -> usize {
        let taken = self.files.values().map(File::allocated_bytes).sum();
        self.config.capacity_bytes.saturating_sub(taken)
    }

    fn fail(&mut self, kind: FaultKind, error: Error) -> Error {
        self.counts.add(kind);
        error
    }
}
