//! A broker that does what a test tells it, command by command, over real sockets.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::time::Duration;

use protocol::mdp::worker::{FromWorker, ToWorker};
use protocol::mdp::{self, Dialect, FromPeer, v03};
use protocol::{Frames, PeerFault, PeerId};
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
                    // A broker of 0.2 finds no header that it knows in 0.3, and drops it.
                    Err(PeerFault::Header) => {}
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

    /// Hands a worker of 0.2 a request.
    pub(crate) fn request(&mut self, peer: PeerId, address: &'static str, body: impl Into<Frames>) {
        let request = ToWorker::Request { address: address.into(), body: body.into() };
        self.say(peer, Dialect::V02, request);
    }

    /// What a worker of 0.3 says next that is not a heartbeat.
    pub(crate) async fn native(&mut self) -> (PeerId, v03::FromWorker) {
        loop {
            if let Event::Message { peer, frames } = self.event().await {
                match v03::FromWorker::decode(frames).expect("not a worker of 0.3") {
                    v03::FromWorker::Heartbeat(_) => {}
                    command => return (peer, command),
                }
            }
        }
    }

    /// The next worker of 0.3, once it has said READY and was answered.
    pub(crate) async fn native_ready(&mut self) -> (PeerId, v03::Ready) {
        match self.native().await {
            (peer, v03::FromWorker::Ready(ready)) => {
                self.say_native(peer, v03::ToWorker::Heartbeat(Duration::from_secs(60)));
                (peer, ready)
            }
            other => panic!("not READY: {other:?}"),
        }
    }

    pub(crate) fn say_native(&mut self, peer: PeerId, command: v03::ToWorker) {
        self.router.try_send(peer, command.encode()).expect("the worker is there and reads");
    }

    pub(crate) fn hang_up(&mut self, peer: PeerId) {
        self.router.disconnect(peer);
    }
}
