//! A broker that does what a test tells it, command by command, over real sockets.

use std::time::Duration;

use protocol::mdp::worker::{FromWorker, ToWorker};
use protocol::mdp::{self, Dialect, FromPeer};
use protocol::{Frames, PeerId};
use worker::runtime::zmtp::{Event, Options, Router};

/// The broker and its socket.
pub(crate) struct Broker {
    router: Router,
    events: Vec<Event>,
}

/// Longer than anything here takes; reached only by a test that fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

impl Broker {
    pub(crate) async fn bind() -> Self {
        let router = Router::bind(&["tcp://127.0.0.1:0".parse().unwrap()], Options::default()).await.unwrap();
        Self { router, events: Vec::new() }
    }

    pub(crate) fn endpoint(&self) -> String {
        self.router.endpoints()[0].to_string()
    }

    /// What happens next, as it happens.
    async fn event(&mut self) -> Event {
        if self.events.is_empty() {
            tokio::time::timeout(PATIENCE, self.router.recv(&mut self.events)).await.expect("nothing happened");
        }
        self.events.remove(0)
    }

    /// What a worker says next, and which.
    pub(crate) async fn command(&mut self) -> (PeerId, Dialect, FromWorker) {
        loop {
            if let Event::Message { peer, frames } = self.event().await {
                match mdp::decode(frames) {
                    Ok(FromPeer::Worker(dialect, command)) => return (peer, dialect, command),
                    other => panic!("not a worker's command: {other:?}"),
                }
            }
        }
    }

    /// What a worker says next that is not a heartbeat.
    pub(crate) async fn said(&mut self) -> (PeerId, FromWorker) {
        loop {
            match self.command().await {
                (_, _, FromWorker::Heartbeat) => {}
                (peer, _, command) => return (peer, command),
            }
        }
    }

    /// The next worker, once it has said READY.
    pub(crate) async fn ready(&mut self) -> PeerId {
        match self.said().await {
            (peer, FromWorker::Ready { .. }) => peer,
            other => panic!("not READY: {other:?}"),
        }
    }

    /// Returns once this worker's connection is gone; what it says before that is not expected.
    pub(crate) async fn gone(&mut self, peer: PeerId) {
        loop {
            match self.event().await {
                Event::Disconnected { peer: gone } if gone == peer => return,
                Event::Message { peer: speaker, frames } if speaker == peer => panic!("unexpected: {frames:?}"),
                _ => {}
            }
        }
    }

    pub(crate) fn say(&mut self, peer: PeerId, dialect: Dialect, command: ToWorker) {
        self.router.try_send(peer, command.encode(dialect)).expect("the worker is there and reads");
    }

    /// Hands a worker a request in the default dialect.
    pub(crate) fn request(&mut self, peer: PeerId, address: &'static str, body: impl Into<Frames>) {
        let request = ToWorker::Request { address: address.into(), body: body.into() };
        self.say(peer, Dialect::V02, request);
    }

    pub(crate) fn hang_up(&mut self, peer: PeerId) {
        self.router.disconnect(peer);
    }
}
