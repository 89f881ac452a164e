//! The broker machine alone, with time as numbers. The bench below plays clients and workers and keeps what was sent.

mod bounds;
mod cancel;
mod dialects;
mod drain;
mod duplicates;
mod liveness;
mod management;
mod matching;
mod native;
mod overload;
mod policies;
mod priorities;
mod quotas;
mod random;
mod registration;
mod report;
mod rights;
mod rolling;
mod scheduling;
mod streams;
mod translation;
mod v03_peers;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use protocol::mdp::client::{Part, Reply, decode_reply};
use protocol::mdp::worker::{FromWorker, ToWorker};
use protocol::mdp::{Dialect, Request};
use protocol::{Frames, Instant, Machine, PeerId, ServiceName};

use crate::{Broker, Config, Event, Input, Output, Policy, Rights};

/// A broker, the present, and all that the broker has put out since the last look.
pub(super) struct Bench {
    pub(super) broker: Broker,
    pub(super) now: Instant,
    sent: Vec<(PeerId, Frames)>,
    closed: Vec<PeerId>,
    events: Vec<Event>,
    finished: bool,
    /// Ids that have been given out to requests of 0.3.
    ids: u8,
}

pub(super) fn name(text: &str) -> ServiceName {
    text.parse().unwrap()
}

/// What a peer may do that nobody asks who it is.
pub(super) fn everything() -> Arc<Rights> {
    Arc::new(Rights::everything())
}

pub(super) fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

impl Bench {
    pub(super) fn new(config: Config) -> Self {
        let now = Instant::from_millis(1000);
        let broker = Broker::new(config);
        Self { broker, now, sent: Vec::new(), closed: Vec::new(), events: Vec::new(), finished: false, ids: 0 }
    }

    pub(super) fn with_policy(change: impl FnOnce(&mut Policy)) -> Self {
        let mut config = Config::default();
        change(&mut config.policy);
        Self::new(config)
    }

    pub(super) fn input(&mut self, input: Input) {
        self.broker.handle(self.now, input);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.broker.poll() {
            match output {
                Output::Send { peer, frames } => self.sent.push((peer, frames)),
                Output::Close { peer } => self.closed.push(peer),
                Output::Event(event) => self.events.push(event),
                Output::Finished => self.finished = true,
            }
        }
    }

    /// Lets time pass, waking the broker at each of its deadlines, as a driver does.
    pub(super) fn pass(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some(deadline) = self.broker.deadline().filter(|deadline| *deadline <= end) {
            self.now = self.now.max(deadline);
            self.broker.tick(self.now);
            self.drain();
        }
        self.now = end;
    }

    pub(super) fn message(&mut self, peer: u64, frames: Frames) {
        self.input(Input::Message { peer: PeerId(peer), frames });
    }

    pub(super) fn connect(&mut self, peer: u64) {
        self.input(Input::Connected { peer: PeerId(peer), identity: Bytes::new(), rights: everything() });
    }

    pub(super) fn connect_with(&mut self, peer: u64, rights: Rights) {
        self.input(Input::Connected { peer: PeerId(peer), identity: Bytes::new(), rights: Arc::new(rights) });
    }

    pub(super) fn change_rights(&mut self, peer: u64, rights: Option<Rights>) {
        self.input(Input::Rights { peer: PeerId(peer), rights: rights.map(Arc::new) });
    }

    /// The connections that were closed since the last look.
    pub(super) fn closed(&mut self) -> Vec<PeerId> {
        std::mem::take(&mut self.closed)
    }

    pub(super) fn disconnect(&mut self, peer: u64) {
        self.input(Input::Disconnected { peer: PeerId(peer) });
    }

    /// Connects and registers a worker.
    pub(super) fn worker(&mut self, peer: u64, dialect: Dialect, service: &str) {
        self.connect(peer);
        self.say(peer, dialect, FromWorker::Ready { service: name(service), credit: 1 });
    }

    pub(super) fn say(&mut self, peer: u64, dialect: Dialect, command: FromWorker) {
        self.message(peer, command.encode(dialect));
    }

    pub(super) fn heartbeat(&mut self, peer: u64) {
        self.say(peer, Dialect::V01, FromWorker::Heartbeat);
    }

    /// Connects a client, if need be again, and sends a request of one frame.
    pub(super) fn request(&mut self, peer: u64, dialect: Dialect, service: &str, body: &str) {
        self.connect(peer);
        let body = Frames::from([body.to_owned()]);
        self.message(peer, Request::new(dialect, Frames::new(), name(service), body).encode());
    }

    pub(super) fn reply(&mut self, peer: u64, dialect: Dialect, address: &Bytes, part: Part, body: &str) {
        let body = Frames::from([body.to_owned()]);
        self.say(peer, dialect, FromWorker::Reply { address: address.clone(), part, body });
    }

    /// All that was sent to a peer since the last look.
    pub(super) fn sent_to(&mut self, peer: u64) -> Vec<Frames> {
        let (to_peer, rest) = self.sent.drain(..).partition::<Vec<_>, _>(|(to, _)| *to == PeerId(peer));
        self.sent = rest;
        to_peer.into_iter().map(|(_, frames)| frames).collect()
    }

    pub(super) fn worker_commands(&mut self, peer: u64, dialect: Dialect) -> Vec<ToWorker> {
        self.sent_to(peer).into_iter().map(|frames| ToWorker::decode(dialect, frames).unwrap()).collect()
    }

    /// The one request that a 0.1 worker was given since the last look: its address and the text of its body.
    pub(super) fn job(&mut self, peer: u64, dialect: Dialect) -> (Bytes, String) {
        let mut jobs = self.jobs(peer, dialect);
        assert_eq!(jobs.len(), 1, "requests for peer {peer}");
        jobs.remove(0)
    }

    pub(super) fn jobs(&mut self, peer: u64, dialect: Dialect) -> Vec<(Bytes, String)> {
        let is_request = |command| match command {
            ToWorker::Request { address, body } => Some((address, text(&body))),
            ToWorker::Heartbeat | ToWorker::Disconnect => None,
        };
        self.worker_commands(peer, dialect).into_iter().filter_map(is_request).collect()
    }

    pub(super) fn is_told_disconnect(&mut self, peer: u64, dialect: Dialect) -> bool {
        self.worker_commands(peer, dialect).contains(&ToWorker::Disconnect)
    }

    pub(super) fn replies(&mut self, peer: u64, dialect: Dialect) -> Vec<Reply> {
        self.sent_to(peer).into_iter().map(|frames| decode_reply(dialect, frames).unwrap()).collect()
    }

    /// The texts of the replies that a client was sent since the last look.
    pub(super) fn texts(&mut self, peer: u64, dialect: Dialect) -> Vec<String> {
        self.replies(peer, dialect).iter().map(|reply| text(&reply.body)).collect()
    }

    pub(super) fn events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }
}

/// The frames of a body, joined by `|`.
pub(super) fn text(body: &Frames) -> String {
    body.iter().map(|frame| String::from_utf8_lossy(frame)).collect::<Vec<_>>().join("|")
}
