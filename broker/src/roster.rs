//! The registered workers: what each offers, what it holds, and how long it may be silent.
//!
//! ```text
//!              READY                request                     final reply
//!   unknown ─────────► waiting ─────────────► busy { jobs } ─────────────────► waiting
//!                         ▲                     │
//!                         └── credit is left ◄──┘       any ──► left: its jobs go back to their queue
//! ```

use std::time::Duration;

use protocol::mdp::Dialect;
use protocol::mutants::{self, Mutant};
use protocol::timers::Alarm;
use protocol::{Instant, PeerId};
use rustc_hash::FxHashMap;

use crate::job::{Job, JobId};
use crate::service::{ServiceId, Turn};

/// A registered worker. Its jobs live here and nowhere else, so that they cannot be forgotten when it leaves.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) dialect: Dialect,
    pub(crate) service: ServiceId,
    /// How many requests it takes at once; 1 in 0.1 and 0.2.
    pub(crate) credit: usize,
    pub(crate) jobs: Vec<Job>,
    /// Its place in the service's line, while it has credit left.
    pub(crate) turn: Option<Turn>,
    pub(crate) heard: Instant,
    pub(crate) spoken_to: Instant,
    pub(crate) alarm: Alarm,
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
}

/// All registered workers, by their connection.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    workers: FxHashMap<PeerId, Worker>,
}

impl Worker {
    pub(crate) fn new(now: Instant, dialect: Dialect, service: ServiceId, credit: u32) -> Self {
        Self {
            dialect,
            service,
            credit: usize::try_from(credit).unwrap_or(usize::MAX).max(1),
            jobs: Vec::new(),
            turn: None,
            heard: now,
            spoken_to: now,
            alarm: Alarm::default(),
            liveness: Liveness::Unknown { beats: 0 },
        }
    }

    /// Whether it can be given another request.
    pub(crate) fn has_credit(&self) -> bool {
        self.jobs.len() < self.credit || mutants::on(Mutant::IgnoreCredit)
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
        self.jobs.push(job);
    }

    pub(crate) fn take_job(&mut self, id: JobId) -> Option<Job> {
        let position = self.jobs.iter().position(|job| job.id == id)?;
        Some(self.jobs.swap_remove(position))
    }

    /// When silence makes it dead. A worker that is not known to heartbeat while it works has as long as its service's
    /// busy timeout says; RFC 7 allows it to be single-threaded.
    pub(crate) fn expires(&self, expiry: Duration, busy_timeout: Duration) -> Instant {
        let patience = match self.liveness {
            _ if mutants::on(Mutant::KeepExpiredWorker) => Duration::MAX,
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

    /// Whether a worker stands at that place of its line.
    pub(crate) fn holds(&self, peer: PeerId, turn: Turn) -> bool {
        self.get(peer).is_some_and(|worker| worker.turn == Some(turn))
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
