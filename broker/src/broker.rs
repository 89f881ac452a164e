//! The broker machine: which connection said what, and what follows.
//!
//! This file holds the state and sends each input to its arm; the arms live in `admission` (connections and
//! their rights), `client_side` (requests), `answers` (what clients are told), `worker_side` (registration, replies,
//! heartbeats), `native` (what only 0.3 can say), `cancel` (ends before the answer), `duplicates`, `dispatch` (queues
//! and matching), `drain` (leaving), `management` and `report` (MMI).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use protocol::mdp::v03;
use protocol::mdp::{self, FromPeer, worker::FromWorker};
use protocol::mutants::{self, Mutant};
use protocol::timers::Timers;
use protocol::{Frames, Instant, Machine, PeerId, Rights, ServiceName};
use rustc_hash::FxHashMap;

use crate::account::Accounts;
use crate::admission::Connection;
use crate::clients::Clients;
use crate::config::Config;
use crate::drain::Draining;
use crate::event::{Counters, Departure, Event};
use crate::job::{Boxes, Course, JobId, Origin};
use crate::kept::Kept;
use crate::keyed::Key;
use crate::known::Known;
use crate::roster::{Pace, Roster};
use crate::service::{ServiceId, Services};

/// What may happen to a broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A peer has connected. A number is used once.
    Connected {
        /// Its connection.
        peer: PeerId,
        /// What it calls itself, or empty.
        identity: Bytes,
        /// What it may do; [`Rights::everything`] where nobody is asked who it is.
        rights: Arc<Rights>,
    },
    /// What a connected peer may do has changed.
    Rights {
        /// Its connection.
        peer: PeerId,
        /// What it may do from now on; `None` cuts it off.
        rights: Option<Arc<Rights>>,
    },
    /// A peer has sent a message.
    Message {
        /// Who.
        peer: PeerId,
        /// The frames, without a routing frame.
        frames: Frames,
    },
    /// A connection is gone.
    Disconnected {
        /// Which.
        peer: PeerId,
    },
    /// A [`Output::Send`] could not be carried out: the peer does not take what is sent to it, or has just left.
    Refused {
        /// To whom it should have gone.
        peer: PeerId,
    },
    /// The process shall end: work off what was accepted, in this time at the latest, and finish.
    Drain {
        /// How long that may take.
        grace: Duration,
    },
    /// The process ends: tell the workers and finish.
    Shutdown,
}

/// What a broker wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send a message.
    Send {
        /// To whom.
        peer: PeerId,
        /// The frames, without a routing frame.
        frames: Frames,
    },
    /// Close a connection; its peer is of no use any more.
    Close {
        /// Which.
        peer: PeerId,
    },
    /// Something that an operator may want to know.
    Event(Event),
    /// The last output, after [`Input::Drain`], [`Input::Shutdown`], or what an operator asked for (`mmi.drain`).
    Finished,
}

/// The broker: a pure machine, one for all dialects.
#[derive(Debug)]
pub struct Broker {
    pub(crate) config: Config,
    pub(crate) services: Services,
    pub(crate) roster: Roster,
    pub(crate) pace: Pace,
    pub(crate) timers: Timers<Alarmed>,
    pub(crate) counters: Counters,
    pub(crate) queued: Queued,
    pub(crate) jobs: u64,
    pub(crate) peers: FxHashMap<PeerId, Connection>,
    pub(crate) clients: Clients,
    pub(crate) known: Known,
    pub(crate) kept: Kept,
    pub(crate) boxes: Boxes,
    pub(crate) accounts: Accounts,
    pub(crate) draining: Draining,
    /// Whether each request's end is told.
    pub(crate) tells_requests: bool,
    /// When it began to serve.
    pub(crate) since: Instant,
    /// The instant of the present input.
    pub(crate) now: Instant,
    pub(crate) outputs: VecDeque<Output>,
}

/// What an alarm is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Alarmed {
    /// A worker: to be sent a heartbeat, or to be declared dead.
    Worker(PeerId),
    /// A service: a request in its queue may have waited too long.
    Queue(ServiceId),
    /// A request that a worker has: its deadline is over.
    Deadline(PeerId, JobId),
    /// What has been kept for its window.
    Kept,
    /// The broker: its time to drain is over.
    Drained,
    /// A service: its time to drain is over.
    ServiceDrained(ServiceId),
}

/// What waits in all queues together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Queued {
    pub(crate) requests: usize,
    pub(crate) bytes: usize,
}

impl Broker {
    /// A broker that knows nobody yet.
    pub fn new(config: Config) -> Self {
        Self {
            pace: Pace::new(&config),
            config,
            services: Services::default(),
            roster: Roster::default(),
            timers: Timers::default(),
            counters: Counters::default(),
            queued: Queued::default(),
            jobs: 0,
            peers: FxHashMap::default(),
            clients: Clients::default(),
            known: Known::new(Key::new(0)),
            kept: Kept::default(),
            boxes: Boxes::default(),
            accounts: Accounts::default(),
            draining: Draining::default(),
            tells_requests: false,
            since: Instant::ZERO,
            now: Instant::ZERO,
            outputs: VecDeque::new(),
        }
    }

    /// Says when it begins to serve; without, that is at the origin of time.
    #[must_use]
    pub fn since(self, now: Instant) -> Self {
        Self { since: now, ..self }
    }

    /// The same broker with a secret, before it knows anybody: clients that do not know it cannot make tables slow by
    /// the ids that they choose.
    #[must_use]
    pub fn keyed(mut self, secret: u64) -> Self {
        self.known = Known::new(Key::new(secret));
        self
    }

    /// Tells of the end of each request ([`Event::RequestEnded`]), which costs an allocation; without, it does not.
    #[must_use]
    pub fn telling_requests(self, tells_requests: bool) -> Self {
        Self { tells_requests, ..self }
    }

    /// Totals since the start.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// The services that have workers, in the order of their names.
    pub fn served(&self) -> impl Iterator<Item = &ServiceName> {
        self.services.iter().filter(|service| service.workers > 0).map(|service| &service.name)
    }

    /// Registered workers of all services.
    pub fn workers(&self) -> usize {
        self.roster.len()
    }

    /// Requests that wait for a worker, of all services.
    pub fn queued_requests(&self) -> usize {
        self.queued.requests
    }

    /// Bytes of the bodies of those requests.
    pub fn queued_bytes(&self) -> usize {
        self.queued.bytes
    }

    /// Requests that wait for a worker of one service.
    pub fn queued_for(&self, service: &ServiceName) -> usize {
        let service = self.services.find(service).and_then(|id| self.services.get(id));
        service.map_or(0, |service| service.queue.len())
    }

    /// Services known: those with workers, queued requests or a filter.
    pub fn services(&self) -> usize {
        self.services.len()
    }

    /// Requests that workers have, of all services.
    pub fn in_flight(&self) -> usize {
        self.services.in_flight()
    }

    /// Connections, of whatever peers.
    pub fn peers(&self) -> usize {
        self.peers.len()
    }

    fn on_message(&mut self, now: Instant, peer: PeerId, frames: Frames) {
        if let Some(side) = v03::side(&frames) {
            return self.on_native(now, peer, side, frames);
        }
        match mdp::decode(frames) {
            Ok(FromPeer::Client(request)) => self.on_request(now, peer, request.into()),
            Ok(FromPeer::Worker(dialect, command)) => match command {
                FromWorker::Ready { service, .. } => self.on_ready(now, peer, dialect, service),
                FromWorker::Reply { address, part, body } => self.on_reply(now, peer, dialect, &address, part, body),
                FromWorker::Heartbeat => self.on_heartbeat(now, peer, dialect),
                FromWorker::Disconnect if mutants::on(Mutant::IgnoreDisconnect) => {}
                FromWorker::Disconnect => self.remove_worker(now, peer, Departure::Left),
            },
            Err(fault) => self.on_fault(now, peer, fault),
        }
    }

    /// Towards a worker a refused message means that it has stopped reading: its work goes to another. Towards a client
    /// it is the client's loss, and is counted; an answer in parts that may have a hole now is not finished.
    fn on_refused(&mut self, now: Instant, peer: PeerId) {
        self.counters.undeliverable += 1;
        if let Some(connection) = self.peers.get_mut(&peer) {
            connection.missed += u64::from(!mutants::on(Mutant::ForgetMissedPart));
        }
        if self.roster.get(peer).is_some() && !mutants::on(Mutant::IgnoreRefusal) {
            self.remove_worker(now, peer, Departure::Stalled);
            self.output(Output::Close { peer });
        }
    }

    /// Where an answer can go now: to the connection that asked, or to the one that has taken its identity since.
    pub(crate) fn reachable(&self, client: &Origin) -> Option<PeerId> {
        if mutants::on(Mutant::AnswerSomebodyElse) {
            return self.peers.keys().min().copied();
        }
        if self.peers.contains_key(&client.peer) {
            return Some(client.peer);
        }
        self.clients.newest(&client.client)
    }

    /// Where parts of an answer go now, and what has been missed there; `None` when they go nowhere. While it stays the
    /// same, the parts arrive without a gap.
    pub(crate) fn course(&self, client: &Origin) -> Option<Course> {
        let peer = self.reachable(client)?;
        Some(Course { peer, missed: self.peers.get(&peer)?.missed })
    }

    pub(crate) fn send(&mut self, peer: PeerId, frames: Frames) {
        self.output(Output::Send { peer, frames });
    }

    pub(crate) fn tell(&mut self, event: Event) {
        self.output(Output::Event(event));
    }

    pub(crate) fn output(&mut self, output: Output) {
        self.outputs.push_back(output);
    }
}

impl Machine for Broker {
    type Input = Input;
    type Output = Output;

    fn handle(&mut self, now: Instant, input: Input) {
        self.now = now;
        match input {
            Input::Connected { peer, identity, rights } => self.on_connected(now, peer, identity, rights),
            Input::Rights { peer, rights } => self.on_rights(now, peer, rights),
            Input::Message { peer, frames } => self.on_message(now, peer, frames),
            Input::Disconnected { peer } => self.on_disconnected(now, peer),
            Input::Refused { peer } => self.on_refused(now, peer),
            Input::Drain { grace } => self.on_drain(now, grace),
            Input::Shutdown => self.finish(now),
        }
        self.end_drains(now);
        if self.timers.is_crowded() {
            self.sweep_timers();
        }
    }

    fn tick(&mut self, now: Instant) {
        self.now = now;
        while let Some((alarmed, at)) = self.timers.pop_due(now) {
            match alarmed {
                Alarmed::Worker(peer) => self.on_worker_alarm(now, peer, at),
                Alarmed::Queue(service) => self.on_queue_alarm(now, service, at),
                Alarmed::Deadline(worker, job) => self.on_deadline(now, worker, job),
                Alarmed::Kept => self.on_kept_alarm(now, at),
                Alarmed::Drained => self.on_drained_alarm(now, at),
                Alarmed::ServiceDrained(service) => self.on_service_drained(now, service, at),
            }
        }
        self.end_drains(now);
    }

    fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn deadline(&self) -> Option<Instant> {
        self.timers.deadline()
    }
}
