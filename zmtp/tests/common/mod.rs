//! What the integration tests share: sockets with short times, and waiting for events instead of for time.
#![allow(dead_code, unreachable_pub, reason = "each test program uses a part")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::time::Duration;

use bytes::Bytes;
use protocol::{Frames, PeerId};
use zmtp::{Backoff, Dealer, Endpoint, Event, Options, Router};

pub mod python;
pub mod raw;
pub mod secure;

/// Generous: it is only waited out when the test fails.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Short delays, so that tests of reconnecting are quick.
pub fn options() -> Options {
    let reconnect = Backoff { first: Duration::from_millis(5), max: Duration::from_millis(40) };
    Options { reconnect, ..Options::default() }
}

pub async fn router(options: Options) -> (Router, Endpoint) {
    let any: Endpoint = "tcp://127.0.0.1:0".parse().unwrap();
    let router = Router::bind(&[any], options).await.unwrap();
    let endpoint = router.endpoints()[0].clone();
    (router, endpoint)
}

/// Events of a socket, one by one.
pub struct Inbox<S> {
    pub socket: S,
    pending: std::collections::VecDeque<Event>,
}

/// Both kinds of socket.
pub trait Receive {
    fn receive(&mut self, events: &mut Vec<Event>) -> impl Future<Output = ()> + Send;
}

impl Receive for Router {
    async fn receive(&mut self, events: &mut Vec<Event>) {
        self.recv(events).await;
    }
}

impl Receive for Dealer {
    async fn receive(&mut self, events: &mut Vec<Event>) {
        self.recv(events).await;
    }
}

impl<S: Receive> Inbox<S> {
    pub fn new(socket: S) -> Self {
        Self { socket, pending: Default::default() }
    }

    pub async fn event(&mut self) -> Event {
        if self.pending.is_empty() {
            let mut events = Vec::new();
            let received = tokio::time::timeout(PATIENCE, self.socket.receive(&mut events));
            received.await.expect("an event was expected");
            self.pending.extend(events);
        }
        self.pending.pop_front().unwrap()
    }

    pub async fn connected(&mut self) -> (PeerId, Bytes) {
        match self.event().await {
            Event::Connected { peer, identity, .. } => (peer, identity),
            other => panic!("expected Connected, got {other:?}"),
        }
    }

    pub async fn message(&mut self) -> (PeerId, Frames) {
        match self.event().await {
            Event::Message { peer, frames } => (peer, frames),
            other => panic!("expected Message, got {other:?}"),
        }
    }

    pub async fn disconnected(&mut self) -> PeerId {
        match self.event().await {
            Event::Disconnected { peer } => peer,
            other => panic!("expected Disconnected, got {other:?}"),
        }
    }

    /// The next message, whoever comes and goes meanwhile.
    pub async fn next_message(&mut self) -> (PeerId, Frames) {
        loop {
            if let Event::Message { peer, frames } = self.event().await {
                return (peer, frames);
            }
        }
    }

    /// Skips everything up to the end of `peer`.
    pub async fn gone(&mut self, peer: PeerId) {
        loop {
            if matches!(self.event().await, Event::Disconnected { peer: gone } if gone == peer) {
                return;
            }
        }
    }
}

/// A router that answers every message with itself, in a task of its own.
pub fn echo(mut router: Router) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        let mut events = Vec::new();
        loop {
            router.recv(&mut events).await;
            for event in events.drain(..) {
                if let Event::Message { peer, frames } = event {
                    let _ = router.try_send(peer, frames);
                }
            }
        }
    })
}

/// Asks an echo and waits for the answer: proof that the router serves others meanwhile.
pub async fn assert_served(endpoint: &Endpoint) {
    let mut dealer = Inbox::new(Dealer::connect(endpoint.clone(), options()));
    dealer.socket.try_send(Frames::from(["still", "there?"])).unwrap();
    assert_eq!(dealer.next_message().await.1, Frames::from(["still", "there?"]));
    dealer.socket.close().await;
}

/// Waits until `condition` holds, giving the tasks their turns.
pub async fn eventually(condition: impl Fn() -> bool) {
    let holds = async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, holds).await.expect("the condition should have come to hold");
}
