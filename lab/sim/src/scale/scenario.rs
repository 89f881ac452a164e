//! What is done to a large world, and what is measured meanwhile.
//!
//! ```text
//!   cold start ─► idle ─────► load ───────────► kill a broker, ─► split half off, ─► half of the
//!   all at once   heartbeats  each client asks  start it again    let them back      workers vanish
//!                             once a second
//! ```
//!
//! *Well again* means: every worker that lives is registered, nobody else is, and every client has been answered once;
//! each asks at the moment from which the time is taken.

use broker::Broker;
use serde::{Deserialize, Serialize};

use super::meter::{Counts, Instruments};
use super::network::{Dialer, End, Event};
use super::world::{THINK, World};
use super::{Size, WORKERS_PER_SERVICE};
use crate::queue::{MILLISECOND, Nanos};

/// What a world came to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Measured {
    /// How large it was.
    pub size: Size,
    /// Messages of MDP for each answered request, heartbeats not counted.
    pub messages_per_request: f64,
    /// Messages between brokers for each answered request.
    pub mesh_per_request: f64,
    /// HEARTBEATs a second of virtual time while nobody asks anything.
    pub heartbeats_per_second: f64,
    /// Events a second of virtual time under load.
    pub events_per_second: f64,
    /// Bytes by which the process has grown: all machines, connections and what is under way, of the whole world.
    pub resident_bytes: u64,
    /// The most of each that one broker had.
    pub fullest: Fullest,
    /// Nanoseconds in the broker's machine for each answered request; the best of several windows.
    pub broker_nanos: f64,
    /// The same in the worker's.
    pub worker_nanos: f64,
    /// The same in the client's.
    pub client_nanos: f64,
    /// Milliseconds until all is well after everything has started at once; `None`: not within [`PATIENCE`].
    pub cold_ms: Option<f64>,
    /// The same after a killed broker runs again.
    pub restart_ms: Option<f64>,
    /// The same after half of all peers can be reached again.
    pub heal_ms: Option<f64>,
    /// The same after half of all workers have vanished without a word.
    pub deaths_ms: Option<f64>,
    /// Events in all.
    pub events: u64,
    /// Requests that were answered in all.
    pub answered: u64,
    /// Requests that were not, in all: those of clients behind the wall.
    pub failed: u64,
}

/// What one broker holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fullest {
    /// Connections.
    pub peers: usize,
    /// Registered workers.
    pub workers: usize,
    /// Services.
    pub services: usize,
    /// Wake-ups, stale ones included.
    pub alarms: usize,
    /// Requests in its queues, at any moment of the run.
    pub queued: usize,
    /// Messages that had arrived and were not handled yet, at any moment of the run.
    pub inbox: usize,
}

/// How long a world has to become well again, in virtual nanoseconds.
pub const PATIENCE: Nanos = 60_000 * MILLISECOND;

/// Runs a world of that size. The instruments are read for time in the machines and for memory, and nothing in the
/// world depends on them.
pub fn measure(size: Size, instruments: &mut dyn Instruments) -> Measured {
    let before = instruments.resident_bytes();
    let mut world = World::new(size, instruments);
    let cold_ms = world.start();
    let idle = world.window(IDLE);
    world.begin_load();
    world.window(THINK);
    let windows: Vec<Counts> = (0..WINDOWS).map(|_| world.window(WINDOW)).collect();
    let load = windows.iter().fold(Counts::default(), |sum, window| sum.plus(window));
    let resident_bytes = world.instruments.resident_bytes().saturating_sub(before);
    let holds = world.brokers.iter().map(|node| Fullest::of(&node.machine));
    let holding = holds.fold(Fullest::default(), Fullest::most);
    let (restart_ms, heal_ms, deaths_ms) = (world.restart(), world.split(), world.bereave());
    let at_once = world.brokers.iter().map(|node| Fullest {
        queued: node.queued_max,
        inbox: node.inbox_max,
        ..Fullest::default()
    });
    let answered = load.answered.max(1) as f64;
    let least = |spent: fn(&Counts) -> u64| {
        windows.iter().map(|window| spent(window) as f64 / window.answered.max(1) as f64).fold(f64::MAX, f64::min)
    };
    Measured {
        size,
        messages_per_request: (load.traffic.client + load.traffic.worker) as f64 / answered,
        mesh_per_request: load.traffic.mesh as f64 / answered,
        heartbeats_per_second: idle.traffic.heartbeats as f64 / seconds(IDLE),
        events_per_second: load.events as f64 / (seconds(WINDOW) * WINDOWS as f64),
        resident_bytes,
        fullest: at_once.fold(holding, Fullest::most),
        broker_nanos: least(|counts| counts.spent.broker),
        worker_nanos: least(|counts| counts.spent.worker),
        client_nanos: least(|counts| counts.spent.client),
        cold_ms,
        restart_ms,
        heal_ms,
        deaths_ms,
        events: world.counts.events,
        answered: world.counts.answered,
        failed: world.counts.failed,
    }
}

impl Fullest {
    fn of(broker: &Broker) -> Self {
        Self {
            peers: broker.peers(),
            workers: broker.workers(),
            services: broker.services(),
            alarms: broker.alarms(),
            queued: 0,
            inbox: 0,
        }
    }

    fn most(self, other: Self) -> Self {
        Self {
            peers: self.peers.max(other.peers),
            workers: self.workers.max(other.workers),
            services: self.services.max(other.services),
            alarms: self.alarms.max(other.alarms),
            queued: self.queued.max(other.queued),
            inbox: self.inbox.max(other.inbox),
        }
    }
}

impl World<'_> {
    /// Lets time pass; what was counted in it.
    fn window(&mut self, length: Nanos) -> Counts {
        let before = self.counts;
        self.run_until(self.now + length);
        self.counts.since(&before)
    }

    /// Everything starts at once.
    fn start(&mut self) -> Option<f64> {
        for worker in 0..self.workers.len() {
            self.worker_round(worker, None);
        }
        self.recover()
    }

    /// From here on each client asks once a second, at a moment of its own.
    fn begin_load(&mut self) {
        for client in 0..self.clients.len() {
            let at = self.now + self.rng.below(THINK);
            self.queue.push(at, Event::Ask(client));
        }
    }

    /// The first broker is killed, its peers are told by their systems, and a second later it runs again.
    fn restart(&mut self) -> Option<f64> {
        self.brokers.first_mut()?.die();
        for link in self.net.alive() {
            if self.net.get(link).is_some_and(|connection| connection.broker == 0) {
                self.net.close(self.now, &mut self.queue, link, End::Broker);
            }
        }
        self.window(OUTAGE);
        self.brokers.first_mut()?.running = true;
        self.recover()
    }

    /// One worker of each service and half of the clients are cut off, long enough for everybody to give up.
    fn split(&mut self) -> Option<f64> {
        self.is_split = true;
        for link in self.net.alive() {
            if self.net.get(link).is_some_and(|connection| self.is_behind_the_wall(connection.dialer)) {
                self.net.cut(self.now, &mut self.queue, link);
            }
        }
        self.window(SPLIT);
        self.is_split = false;
        self.recover()
    }

    /// Of each service all workers but the first vanish; nobody says so.
    fn bereave(&mut self) -> Option<f64> {
        let survivors = self.workers.len() / WORKERS_PER_SERVICE;
        for node in self.workers.iter_mut().skip(survivors) {
            node.running = false;
        }
        for link in self.net.alive() {
            if self
                .net
                .get(link)
                .is_some_and(|connection| matches!(connection.dialer, Dialer::Worker(worker) if worker >= survivors))
            {
                self.net.cut(self.now, &mut self.queue, link);
            }
        }
        self.recover()
    }

    /// Each client asks now; the milliseconds until all is well.
    fn recover(&mut self) -> Option<f64> {
        let since = self.now;
        for client in 0..self.clients.len() {
            self.ask(client, true);
        }
        while !self.is_well() {
            if self.now - since >= PATIENCE {
                return None;
            }
            self.run_until(self.now + STEP);
        }
        Some((self.now - since) as f64 / MILLISECOND as f64)
    }

    fn is_well(&self) -> bool {
        let living = || self.workers.iter().filter(|node| node.running);
        self.awaiting == 0
            && self.brokers.iter().map(|node| node.machine.workers()).sum::<usize>() == living().count()
            && living().all(super::node::WorkerNode::is_registered)
    }
}

fn seconds(span: Nanos) -> f64 {
    span as f64 / 1e9
}

/// How finely the time until all is well is measured.
const STEP: Nanos = MILLISECOND / 10;
/// Four intervals of heartbeats.
const IDLE: Nanos = 10_000 * MILLISECOND;
/// Long enough for as many requests as there are clients.
const WINDOW: Nanos = THINK;
const WINDOWS: usize = 8;
const OUTAGE: Nanos = 1000 * MILLISECOND;
/// Longer than MDP's expiry and ZMTP's silence.
const SPLIT: Nanos = 15_000 * MILLISECOND;
