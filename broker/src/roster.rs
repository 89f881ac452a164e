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
use protocol::mdp::v03::Ready;
use protocol::mutants::{self, Mutant};
use protocol::numbered::Numbered;
use protocol::timers::Alarm;
use protocol::{Frames, Instant, PeerId, limits};
use rustc_hash::FxHashMap;

use crate::config::Config;
use crate::job::Job;
use crate::service::{ServiceId, Services};
use crate::speech::Speech;
use crate::waiting::Place;

/// A registered worker. Its jobs live here and nowhere else, so that they cannot be forgotten when it leaves.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) speech: Speech,
    pub(crate) label: Label,
    /// One in 0.1 and 0.2; the first is the last to be looked at when it is free again.
    pub(crate) services: Vec<ServiceId>,
    /// How many requests it takes at once; 1 in 0.1 and 0.2.
    pub(crate) credit: usize,
    /// What it has in flight, by the numbers of the attempts.
    pub(crate) jobs: Numbered<Job>,
    /// What the messages take by which it was given them.
    bytes: usize,
    /// Its place in the lines of its services, while it has credit left.
    pub(crate) place: Option<Place>,
    pub(crate) heard: Instant,
    pub(crate) spoken_to: Instant,
    pub(crate) alarm: Alarm,
    /// When what it still has goes to others: it has said that it leaves.
    pub(crate) leaves_by: Option<Instant>,
    liveness: Liveness,
}

/// What a worker of 0.3 calls itself, if it does.
#[derive(Debug, Default)]
pub(crate) struct Label {
    pub(crate) name: Option<Box<str>>,
    pub(crate) version: Option<Box<str>>,
}

/// What is known of how this worker shows that it lives while it works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Liveness {
    /// Nothing: it may be single-threaded and silent over a request. It has sent `beats` heartbeats over the present
    /// one.
    Unknown { beats: u8 },
    /// It heartbeats while it works: two beats over one request cannot both have crossed that request on the wire.
    BeatsWhileBusy,
    /// It has said how often it heartbeats, at work or not (0.3), and is dead after so long a silence.
    Announced { patience: Duration },
}

/// How often workers are spoken to, and for how long they may be silent, where nothing else is known of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) beat: Duration,
    pub(crate) expiry: Duration,
    /// Of a worker that has given its services up.
    busy_timeout: Duration,
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

    /// A worker of 0.3, as its READY says.
    pub(crate) fn native(now: Instant, services: Vec<ServiceId>, ready: &Ready) -> Self {
        let label =
            Label { name: ready.options.name().map(Box::from), version: ready.options.version().map(Box::from) };
        let credit = usize::try_from(ready.credit).unwrap_or(usize::MAX);
        let worker = Self::new(now, Speech::Native, services, credit, Liveness::announced(ready.interval));
        Self { label, ..worker }
    }

    fn new(now: Instant, speech: Speech, services: Vec<ServiceId>, credit: usize, liveness: Liveness) -> Self {
        Self {
            speech,
            label: Label::default(),
            services,
            credit,
            jobs: Numbered::default(),
            bytes: 0,
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
        if mutants::on(Mutant::IgnoreLoad) {
            return 0;
        }
        let load = self.jobs.len().saturating_mul(LOAD_SCALE) / self.credit.max(1);
        u32::try_from(load).unwrap_or(u32::MAX)
    }

    /// Whether it can be given another request: within its credit, and within what may be on the way to it.
    pub(crate) fn has_room(&self, bytes_max: usize) -> bool {
        (self.jobs.len() < self.credit || mutants::on(Mutant::IgnoreCredit)) && self.bytes < bytes_max.max(1)
    }

    /// It has answered this request.
    pub(crate) fn let_go(&mut self, job: &Job) {
        self.bytes = self.bytes.saturating_sub(job.sent_bytes);
    }

    /// A heartbeat came, with the promise of another within `interval`.
    pub(crate) fn announce(&mut self, interval: Duration) {
        self.liveness = Liveness::announced(interval);
    }

    /// A heartbeat came.
    pub(crate) fn on_heartbeat(&mut self) {
        if let (false, Liveness::Unknown { beats }) = (self.jobs.is_empty(), self.liveness) {
            self.liveness =
                if beats > 0 { Liveness::BeatsWhileBusy } else { Liveness::Unknown { beats: beats.saturating_add(1) } };
        }
    }

    /// Gives it a request by this message. To an idle worker a request is a new question: its silence counts from here.
    pub(crate) fn take_on(&mut self, now: Instant, mut job: Job, message: &Frames) {
        if let Liveness::Unknown { beats } = &mut self.liveness {
            *beats = 0;
        }
        if self.jobs.is_empty() {
            self.heard = now;
        }
        self.spoken_to = now;
        job.sent_bytes = message.byte_count() + message.len() * FRAME_BYTES;
        self.bytes += job.sent_bytes;
        self.jobs.push_back(job.id.0, job);
    }

    /// When silence makes it dead, or when what it still has goes to others. A worker that is not known to heartbeat
    /// while it works has as long as its service's busy timeout says; RFC 7 allows it to be single-threaded.
    pub(crate) fn expires(&self, pace: &Pace, services: &Services) -> Instant {
        let patience = match self.liveness {
            _ if mutants::on(Mutant::KeepExpiredWorker) => Duration::MAX,
            Liveness::Announced { patience } => patience,
            Liveness::Unknown { .. } if !self.jobs.is_empty() => {
                let service = self.services.first().and_then(|id| services.get(*id));
                service.map_or(pace.busy_timeout, |service| service.policy.busy_timeout)
            }
            Liveness::Unknown { .. } | Liveness::BeatsWhileBusy => pace.expiry,
        };
        let expires = self.heard + patience;
        self.leaves_by.map_or(expires, |leaves_by| leaves_by.min(expires))
    }

    /// When somebody has to look at it: it needs a heartbeat, or has been silent for too long.
    pub(crate) fn wakes(&self, pace: &Pace, services: &Services) -> Instant {
        self.expires(pace, services).min(self.spoken_to + pace.beat)
    }
}

impl Liveness {
    fn announced(interval: Duration) -> Self {
        Self::Announced { patience: interval.saturating_mul(limits::HEARTBEAT_LIVENESS) }
    }
}

impl Pace {
    pub(crate) fn new(config: &Config) -> Self {
        Self { beat: config.beat(), expiry: config.expiry(), busy_timeout: config.policy.busy_timeout }
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

    /// All workers, in the order of their connections' numbers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (PeerId, &Worker)> {
        self.peers().into_iter().filter_map(|peer| Some((peer, self.get(peer)?)))
    }

    pub(crate) fn len(&self) -> usize {
        self.workers.len()
    }
}

/// One request more or less is seen up to the largest credit.
const LOAD_SCALE: usize = protocol::limits::CREDIT_MAX as usize;

/// What a frame takes beside its octets.
const FRAME_BYTES: usize = 9;
