//! The socket of a machine that has one broker: opened and closed at its word, silent in between.
//!
//! What the socket cannot take at once is kept in order and offered again; meanwhile [`Link::is_clogged`] tells the
//! driver to take no more work in, so that what is kept stays as small as what one round of the machine says.

use std::collections::VecDeque;
use std::time::Duration;

use protocol::Frames;
use zmtp::{Dealer, Endpoint, Event, Options, UnsentReason};

use crate::refusal::Refusal;

/// A DEALER socket that is there or not.
#[derive(Debug)]
pub struct Link {
    endpoint: Endpoint,
    options: Options,
    dealer: Option<Dealer>,
    events: Vec<Event>,
    unsent: VecDeque<Frames>,
    refusal: Option<Refusal>,
}

/// What comes from a link. A machine with one broker does not need the connection's number: a [closed](Link::close)
/// link brings nothing of its former connection.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    /// The socket has a connection.
    Connected,
    /// A message arrived.
    Message(Frames),
    /// The socket lost its connection, and tries to get another by itself.
    Disconnected,
    /// An attempt to connect was refused, by the broker or by us; [`Link::refusal`] says why. The socket tries on.
    Refused {
        /// Whether the next attempt meets the same, unless somebody changes something.
        is_lasting: bool,
    },
}

/// How long a full socket is left alone.
const CLOGGED_PAUSE: Duration = Duration::from_millis(2);

impl Link {
    /// A link without a socket.
    pub fn new(endpoint: Endpoint, options: Options) -> Self {
        Self { endpoint, options, dealer: None, events: Vec::new(), unsent: VecDeque::new(), refusal: None }
    }

    /// Where it connects to.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Why the last attempt to connect came to nothing; `None` once there was a connection, or nobody was there.
    pub fn refusal(&self) -> Option<&Refusal> {
        self.refusal.as_ref()
    }

    /// Connects a new socket in the background. Must be called within a tokio runtime.
    pub fn open(&mut self) {
        self.close();
        self.dealer = Some(Dealer::connect(self.endpoint.clone(), self.options.clone()));
    }

    /// Drops the socket, what it still holds, and what was kept for it.
    pub fn close(&mut self) {
        self.dealer = None;
        self.events.clear();
        self.unsent.clear();
    }

    /// Sends now, or as soon as the socket can; never waits. Without a socket the message is dropped.
    pub fn send(&mut self, frames: Frames) {
        self.unsent.push_back(frames);
        if self.unsent.len() == 1 {
            self.flush();
        }
    }

    /// Whether messages are kept because the socket is full.
    pub fn is_clogged(&self) -> bool {
        !self.unsent.is_empty()
    }

    /// Waits until something was heard, or a clogged socket took messages again, and appends all that is ready. Without
    /// a socket it waits for ever. Cancel safe.
    pub async fn recv(&mut self, heard: &mut Vec<Heard>) {
        let clogged = self.is_clogged();
        let Some(dealer) = &mut self.dealer else { return std::future::pending().await };
        tokio::select! {
            biased;
            () = dealer.recv(&mut self.events) => {}
            () = tokio::time::sleep(CLOGGED_PAUSE), if clogged => self.flush(),
        }
        let mut events = std::mem::take(&mut self.events);
        heard.extend(events.drain(..).map(|event| self.hear(event)));
        self.events = events;
    }

    /// Appends what is ready without waiting for anything.
    pub async fn recv_ready(&mut self, heard: &mut Vec<Heard>) {
        tokio::select! {
            biased;
            () = self.recv(heard) => {}
            () = std::future::ready(()) => {}
        }
    }

    /// Gives the socket time to send what it holds, as long as its linger allows, and ends it.
    pub async fn finish(mut self) {
        let linger = tokio::time::Instant::now() + self.options.linger;
        while self.is_clogged() && tokio::time::Instant::now() < linger {
            tokio::time::sleep(CLOGGED_PAUSE).await;
            self.flush();
        }
        if let Some(dealer) = self.dealer.take() {
            dealer.close().await;
        }
    }

    fn hear(&mut self, event: Event) -> Heard {
        match event {
            Event::Connected { .. } => {
                self.refusal = None;
                Heard::Connected
            }
            Event::Message { frames, .. } => Heard::Message(frames),
            Event::Disconnected { .. } => Heard::Disconnected,
            Event::Refused { fault, .. } => {
                let refusal = Refusal::new(&fault, &self.options);
                let is_lasting = refusal.is_lasting;
                tracing::debug!(endpoint = %self.endpoint, reason = refusal.reason, "refused");
                self.refusal = Some(refusal);
                Heard::Refused { is_lasting }
            }
        }
    }

    fn flush(&mut self) {
        let Some(dealer) = &mut self.dealer else { return self.unsent.clear() };
        while let Some(frames) = self.unsent.pop_front() {
            match dealer.try_send(frames) {
                Ok(()) => {}
                Err(unsent) if unsent.reason == UnsentReason::Full => {
                    return self.unsent.push_front(unsent.frames);
                }
                // Too large, or gone: it can never leave, and the machine's own timers know what that means.
                Err(unsent) => tracing::warn!(reason = ?unsent.reason, "message dropped"),
            }
        }
    }
}
