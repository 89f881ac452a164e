//! The registered workers: what each offers, what it holds, and how long it may be silent.
//!
//! ```text
//!              READY                request                     final reply
//!   unknown ─────────► waiting ─────────────► busy { jobs } ─────────────────► waiting
//!                         ▲                     │
//!                         └── credit is left ◄──┘       any ──► left: its jobs go back to their queue
//! ```
//!
//! A worker of 0.3 may offer several services; its credit is counted over all of them.

use std::time::Duration;

use protocol::mdp::Dialect;
use protocol::mutants::{self, Mutant};
use protocol::timers::Alarm;
use protocol::{Instant, PeerId, limits};
use rustc_hash::FxHashMap;

use crate::job::{Job, JobId};
use crate::service::{Place, ServiceId};
use crate::speech::Speech;

/// A registered worker. Its jobs live here and nowhere else, so that they cannot be forgotten when it leaves.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) speech: Speech,
    /// One in 0.1 and 0.2; the first is the last to be looked at when it is free again.
    pub(crate) services: Vec<ServiceId>,
    /// How many requests it takes at once; 1 in 0.1 and 0.2.
    pub(crate) credit: usize,
    pub(crate) jobs: FxHashMap<JobId, Job>,
    /// Its place in the lines of its services, while it has credit left.
    pub(crate) place: Option<Place>,
    pub(crate) heard: Instant,
    pub(crate) spoken_to: Instant,
    pub(crate) alarm: Alarm,
    /// When what it still has goes to others: it has said that it leaves.
    pub(crate) leaves_by: Option<Instant>,
    liveness: Liveness,
}

/// What is known of how this worker shows that it lives while it works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Liveness {
    /// Nothing: it may be single-threaded and silent over a request. It has sent `beats` heartbeats over the present
    /// one.
    Unknown { beats: u8 },
    /// It heartbeats while it works: two beats over one request cannot both have crossed that request on the wire.
    BeatsWhileBusy,
    /// It has said how often it heartbeats, at work or not (0.3).
    Announced(Duration),
}

/// All registered workers, by their connection.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    workers: FxHashMap<PeerId, Worker>,
}

impl Worker {
    /// A worker of 0.1 or 0.2.
    pub(crate) fn old(now: Instant, dialect: Dialect, service: ServiceId) -> Self {
        Self::new(now, Speech::Old(dialect), vec![service], 1, Liveness::Unknown { beats: 0 })
    }

    /// A worker of 0.3, which heartbeats each `interval`.
    pub(crate) fn native(now: Instant, services: Vec<ServiceId>, credit: usize, interval: Duration) -> Self {
        Self::new(now, Speech::Native, services, credit, Liveness::Announced(interval))
    }

    fn new(now: Instant, speech: Speech, services: Vec<ServiceId>, credit: usize, liveness: Liveness) -> Self {
        Self {
            speech,
            services,
            credit,
            jobs: FxHashMap::default(),
            place: None,
            heard: now,
            spoken_to: now,
            alarm: Alarm::default(),
            leaves_by: None,
            liveness,
        }
    }

    /// What it has in flight for its credit, so that workers of different credit can be compared; 0 when it is idle,
    /// and only then.
    pub(crate) fn load(&self) -> u32 {
        let load = self.jobs.len().saturating_mul(LOAD_SCALE) / self.credit.max(1);
        u32::try_from(load).unwrap_or(u32::MAX)
    }

    /// Whether it can be given another request.
    pub(crate) fn has_credit(&self) -> bool {
        self.jobs.len() < self.credit || mutants::on(Mutant::IgnoreCredit)
    }

    /// A heartbeat came, with the promise of another within `interval`.
    pub(crate) fn announce(&mut self, interval: Duration) {
        self.liveness = Liveness::Announced(interval);
    }

    /// A heartbeat came.
    pub(crate) fn on_heartbeat(&mut self) {
        if let (false, Liveness::Unknown { beats }) = (self.jobs.is_empty(), self.liveness) {
            self.liveness =
                if beats > 0 { Liveness::BeatsWhileBusy } else { Liveness::Unknown { beats: beats.saturating_add(1) } };
        }
    }

    /// Gives it a request. To an idle worker a request is a new question: its silence counts from here.
    pub(crate) fn take_on(&mut self, now: Instant, job: Job) {
        if let Liveness::Unknown { beats } = &mut self.liveness {
            *beats = 0;
        }
        if self.jobs.is_empty() {
            self.heard = now;
        }
        self.spoken_to = now;
        self.jobs.insert(job.id, job);
    }

    /// When silence makes it dead. A worker that is not known to heartbeat while it works has as long as its service's
    /// busy timeout says; RFC 7 allows it to be single-threaded.
    pub(crate) fn expires(&self, expiry: Duration, busy_timeout: Duration) -> Instant {
        let patience = match self.liveness {
            _ if mutants::on(Mutant::KeepExpiredWorker) => Duration::MAX,
            Liveness::Announced(interval) => interval.saturating_mul(limits::HEARTBEAT_LIVENESS),
            Liveness::Unknown { .. } if !self.jobs.is_empty() => busy_timeout,
            Liveness::Unknown { .. } | Liveness::BeatsWhileBusy => expiry,
        };
        self.heard + patience
    }
}

impl Roster {
    pub(crate) fn get(&self, peer: PeerId) -> Option<&Worker> {
        self.workers.get(&peer)
    }

    pub(crate) fn get_mut(&mut self, peer: PeerId) -> Option<&mut Worker> {
        self.workers.get_mut(&peer)
    }

    pub(crate) fn insert(&mut self, peer: PeerId, worker: Worker) {
        self.workers.insert(peer, worker);
    }

    pub(crate) fn remove(&mut self, peer: PeerId) -> Option<Worker> {
        self.workers.remove(&peer)
    }

    /// All workers' connections, in the order of their numbers.
    pub(crate) fn peers(&self) -> Vec<PeerId> {
        let mut peers: Vec<_> = self.workers.keys().copied().collect();
        peers.sort_unstable();
        peers
    }

    pub(crate) fn len(&self) -> usize {
        self.workers.len()
    }
}

/// One request more or less is seen up to the largest credit.
const LOAD_SCALE: usize = protocol::limits::CREDIT_MAX as usize;
