//! A broker that does what a test tells it, message by message, over real sockets: an old one, which drops MDP 0.3 as
//! what it does not know, or one of 0.3 that says what it is told.

use std::time::Duration;

use client::runtime::zmtp::{Event, Options, Router};
use protocol::mdp::client::{Part, Request, encode_reply};
use protocol::mdp::v03::{self, FromClient, Outcome, ToClient};
use protocol::mdp::{self, FromPeer};
use protocol::{Frames, PeerId, RequestId};

/// The broker and its socket.
pub(crate) struct Broker {
    router: Router,
    events: Vec<Event>,
}

/// Longer than anything here takes; reached only by a test that fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

impl Broker {
    pub(crate) async fn bind() -> Self {
        let endpoint = "tcp://127.0.0.1:0".parse().unwrap();
        let router = Router::bind(&[endpoint], Options::default()).await.unwrap();
        Self { router, events: Vec::new() }
    }

    /// Dies without a word and comes back at the same endpoint, knowing nothing.
    #[allow(dead_code, reason = "not every test file restarts its broker")]
    pub(crate) async fn restart(self) -> Self {
        let endpoints = self.router.endpoints().to_vec();
        drop(self);
        // The socket that died lets go of its port in its own time.
        let bound = async {
            loop {
                match Router::bind(&endpoints, Options::default()).await {
                    Ok(router) => return router,
                    Err(_) => tokio::task::yield_now().await,
                }
            }
        };
        let router = tokio::time::timeout(PATIENCE, bound).await.expect("the port is not free again");
        Self { router, events: Vec::new() }
    }

    pub(crate) fn endpoint(&self) -> String {
        self.router.endpoints()[0].to_string()
    }

    /// All that happened since the last call, oldest first; waits for something to happen.
    pub(crate) async fn events(&mut self) -> Vec<Event> {
        tokio::time::timeout(PATIENCE, self.router.recv(&mut self.events)).await.expect("nothing happened");
        std::mem::take(&mut self.events)
    }

    /// The next request, and who sent it.
    pub(crate) async fn request(&mut self) -> (PeerId, Request) {
        loop {
            if self.events.is_empty() {
                tokio::time::timeout(PATIENCE, self.router.recv(&mut self.events)).await.expect("no request");
            }
            match self.events.remove(0) {
                Event::Message { peer, frames } if !v03::is_spoken_in(&frames) => return (peer, decode(frames)),
                _ => {}
            }
        }
    }

    /// What a client of 0.3 says next, and who it is.
    #[allow(dead_code, reason = "not every test file speaks 0.3")]
    pub(crate) async fn heard(&mut self) -> (PeerId, FromClient) {
        loop {
            if self.events.is_empty() {
                tokio::time::timeout(PATIENCE, self.router.recv(&mut self.events)).await.expect("nothing heard");
            }
            if let Event::Message { peer, frames } = self.events.remove(0) {
                return (peer, FromClient::decode(frames).expect("a message of 0.3"));
            }
        }
    }

    /// The next request of a client of 0.3; its heartbeats are answered.
    #[allow(dead_code, reason = "not every test file speaks 0.3")]
    pub(crate) async fn asked(&mut self) -> (PeerId, v03::client::Request) {
        loop {
            match self.heard().await {
                (peer, FromClient::Heartbeat) => self.say(peer, ToClient::Heartbeat),
                (peer, FromClient::Request(request)) => return (peer, request),
                (_, cancel) => panic!("not a request: {cancel:?}"),
            }
        }
    }

    /// Says something in 0.3, if the peer is still there.
    #[allow(dead_code, reason = "not every test file speaks 0.3")]
    pub(crate) fn say(&mut self, peer: PeerId, message: ToClient) {
        let _ = self.router.try_send(peer, message.encode());
    }

    /// Answers a request of 0.3, or fails it.
    #[allow(dead_code, reason = "not every test file speaks 0.3")]
    pub(crate) fn end(&mut self, peer: PeerId, id: RequestId, outcome: Outcome, body: impl Into<Frames>) {
        self.say(peer, ToClient::Final { id, outcome, body: body.into() });
    }

    /// Sends a part of the reply, if the peer is still there.
    pub(crate) fn reply(&mut self, peer: PeerId, request: &Request, part: Part, body: impl Into<Frames>) {
        let frames = encode_reply(request.dialect, request.envelope.clone(), &request.service, part, body.into());
        let _ = self.router.try_send(peer, frames);
    }

    /// Answers every request with its own body until the test drops the task.
    #[allow(dead_code, reason = "not every test file has an echo")]
    pub(crate) async fn echo(mut self) {
        loop {
            // Last come, first served: whoever relies on order is found out.
            for event in self.events().await.into_iter().rev() {
                match event {
                    Event::Message { peer, frames } if !v03::is_spoken_in(&frames) => {
                        let request = decode(frames);
                        let body = request.body.clone();
                        self.reply(peer, &request, Part::Final, body);
                    }
                    _ => {}
                }
            }
        }
    }

    /// Sends what is queued and closes.
    #[allow(dead_code, reason = "not every test file restarts its broker")]
    pub(crate) async fn close(self) {
        self.router.close().await;
    }

    /// Ends a connection.
    #[allow(dead_code, reason = "not every test file hangs up")]
    pub(crate) fn hang_up(&mut self, peer: PeerId) {
        self.router.disconnect(peer);
    }
}

pub(crate) fn decode(frames: Frames) -> Request {
    match mdp::decode(frames) {
        Ok(FromPeer::Client(request)) => request,
        other => panic!("not a client's request: {other:?}"),
    }
}
