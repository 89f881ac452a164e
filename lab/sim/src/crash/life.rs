//! One life of a log: it is opened, used for a while, and crashes.

use std::cell::RefCell;
use std::rc::Rc;

use titanic::log::{Geometry, Id, Job, Kind, Log, LogId, OpenError, Refused, Settings, State};

use super::Violation;
use super::history::{History, Payload};
use super::region::{DiskRegion, MAIN, NAME};
use crate::disk::Done;
use crate::rng::Rng;

/// The secret of every log here.
pub(super) const SECRET: LogId = LogId([0x5a; 16]);

/// Small, so that a run goes around several times.
pub(super) fn settings(rng: &mut Rng) -> Settings {
    let chunk_bytes = rng.one_of([4096, 4096, 8192]);
    let geometry = Geometry::new(512, chunk_bytes).expect("these sizes are within their ranges");
    let slots = u32::try_from(rng.between(8, 20)).unwrap_or(8);
    let (capacity_bytes, initial_bytes) = (geometry.file_bytes(slots), geometry.file_bytes(3));
    Settings { capacity_bytes, initial_bytes, geometry: Some(geometry) }
}

/// A log in use.
pub(super) struct Life {
    region: DiskRegion,
    history: Rc<RefCell<History>>,
    settings: Settings,
    rng: Rng,
    /// A flush under way, and what it makes durable.
    flush: Option<(Done<()>, Job)>,
    /// What is to be flushed when that one is over: flushes must not overlap, or one may hide the failure of another.
    waiting: Option<Job>,
}

impl Life {
    pub(super) fn new(region: DiskRegion, history: Rc<RefCell<History>>, settings: Settings, rng: Rng) -> Self {
        Self { region, history, settings, rng, flush: None, waiting: None }
    }

    /// From the opening to the crash.
    pub(super) fn live(mut self) {
        if let Ok(log) = self.open()
            && self.history.borrow_mut().adopt(&log).map_err(|what| self.region.object(what)).is_ok()
        {
            self.use_log(log);
        }
        let (now, percent) = (self.region.now(), self.rng.below(100));
        let mut disk = self.region.disk().borrow_mut();
        if percent < 70 {
            disk.cut_power(now);
        } else {
            disk.crash_process(now, MAIN);
        }
    }

    fn open(&self) -> Result<Log<DiskRegion>, OpenError> {
        self.region.open(NAME).map_err(|error| OpenError::Io(std::io::Error::other(error)))?;
        let opened = Log::open(self.region.clone(), &self.settings, &mut |_| {});
        match opened {
            // A disk that fails, or is full for the moment, may do so here too: the next life tries again.
            Err(OpenError::Io(_) | OpenError::NoRoom { .. }) | Ok(_) => {}
            Err(ref error) => self.region.object(format!("opening: {error}")),
        }
        opened.map(|(log, _)| log)
    }

    fn use_log(&mut self, mut log: Log<DiskRegion>) {
        for _ in 0..self.rng.between(5, 120) {
            for _ in 0..self.rng.between(1, 3) {
                if !self.append(&mut log) {
                    return;
                }
            }
            if self.rng.chance(50) && self.write_out(&mut log).is_none() {
                return;
            }
            if self.rng.chance(60) && self.end_flushes(&mut log).is_none() {
                return;
            }
        }
        if self.rng.chance(30) && self.end_flushes(&mut log).is_some() {
            // Closing is only one more thing that a crash may follow.
            log.close().ok();
        }
    }

    /// Whether the log is still in use.
    fn append(&mut self, log: &mut Log<DiskRegion>) -> bool {
        let (id, kind) = self.choose();
        let forgotten = kind == Kind::Closed && self.rng.chance(80);
        let length = match self.rng.below(100) {
            _ if forgotten => 0,
            0..5 => self.rng.between(1000, 9000),
            5..40 => self.rng.between(100, 1000),
            _ => self.rng.between(1, 100),
        };
        let number = u32::try_from(self.rng.below(u64::from(u32::MAX))).unwrap_or(0);
        let payload = Payload { number, length: usize::try_from(length).unwrap_or(0) };
        self.history.borrow_mut().begin(id, kind, payload);
        let answer = log.append(kind, id, &payload.octets());
        let mut history = self.history.borrow_mut();
        match answer {
            Ok(lsn) => history.end(id, Some(lsn)),
            Err(Refused::Full | Refused::TooLarge { .. }) => history.end(id, None),
            Err(Refused::Stopped(_)) => history.end_unknown(id),
        }
        log.stopped().is_none()
    }

    /// A new request, or what may come next in the life of one that is there.
    fn choose(&mut self) -> (Id, Kind) {
        let history = self.history.borrow();
        let current = history.current();
        let known = self.rng.pick(&current).copied().filter(|_| history.ids() >= IDS_MAX || self.rng.chance(65));
        let kinds: &[Kind] = match known.map(|(_, state)| state) {
            None | Some(None) => &[Kind::Request],
            Some(Some(State::Open | State::Attempted | State::Dead)) => {
                &[Kind::Attempt, Kind::Dead, Kind::Answer, Kind::Answer, Kind::Closed, Kind::Closed]
            }
            Some(Some(State::Answered)) => &[Kind::Closed],
            Some(Some(State::Closed)) => &[Kind::Request, Kind::Closed],
        };
        let fresh = Id((self.rng.bits() as u128 | 1 << 100).to_le_bytes());
        let kind = self.rng.pick(kinds).copied().unwrap_or(Kind::Request);
        (known.map_or(fresh, |(id, _)| id), kind)
    }

    /// `None` when the log has stopped. A flush that is under way goes on meanwhile.
    fn write_out(&mut self, log: &mut Log<DiskRegion>) -> Option<()> {
        self.waiting = log.write_out().ok()?.or(self.waiting);
        self.begin_flush()
    }

    fn begin_flush(&mut self) -> Option<()> {
        if let Some(job) = self.waiting.take_if(|_| self.flush.is_none()) {
            self.flush = Some((self.region.begin_flush().ok()?, job));
        }
        Some(())
    }

    /// Waits for the flushes, and takes what they acknowledge. `None` when one failed.
    fn end_flushes(&mut self, log: &mut Log<DiskRegion>) -> Option<()> {
        while let Some((done, job)) = self.flush.take() {
            match self.region.end_flush(done) {
                Ok(()) => log.on_flushed(job),
                Err(error) => {
                    log.on_flush_failed(&error);
                    return None;
                }
            }
            self.history.borrow_mut().acknowledge(log.durable());
            self.region.point();
            self.begin_flush()?;
        }
        Some(())
    }
}

impl DiskRegion {
    /// Something is wrong that no image showed.
    fn object(&self, what: String) {
        self.objection(|image| Violation { image, what });
    }
}

/// Ids of one run.
const IDS_MAX: usize = 60;
