//! The socket of a machine that has one broker: opened and closed at its word, silent in between.
//!
//! What the socket cannot take at once is kept in order and offered again; meanwhile [`Link::is_clogged`] tells the
//! driver to take no more work in, so that what is kept stays as small as what one round of the machine says. A peer
//! that makes us say more than `UNSENT_MAX` messages, or `UNSENT_BYTES_MAX` bytes, and reads none of them is not
//! listened to until it reads.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
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
    unsent_bytes: usize,
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

/// Messages that are kept for a full socket before its peer is not listened to any more.
const UNSENT_MAX: usize = 1024;
/// Bytes of them, one message more at most.
const UNSENT_BYTES_MAX: usize = 32 << 20;
/// How long a full socket is left alone.
const CLOGGED_PAUSE: Duration = Duration::from_millis(2);

impl Link {
    /// A link without a socket.
    pub fn new(endpoint: Endpoint, options: Options) -> Self {
        let (events, unsent) = (Vec::new(), VecDeque::new());
        Self { endpoint, options, dealer: None, events, unsent, unsent_bytes: 0, refusal: None }
    }

    /// Where it connects to.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Why the last attempt to connect came to nothing; `None` once there was a connection, or nobody was there.
    pub fn refusal(&self) -> Option<&Refusal> {
        self.refusal.as_ref()
    }

    /// Where the next socket connects to.
    pub fn redirect(&mut self, endpoint: Endpoint) {
        self.endpoint = endpoint;
    }

    /// The routing identity that the next socket announces; empty for none.
    pub fn announce(&mut self, identity: Bytes) {
        self.options.identity = identity;
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
        self.forget_unsent();
    }

    /// Sends now, or as soon as the socket can; never waits. Without a socket the message is dropped.
    pub fn send(&mut self, frames: Frames) {
        self.unsent_bytes += frames.byte_count();
        self.unsent.push_back(frames);
        if self.unsent.len() == 1 {
            self.flush();
        }
    }

    /// Whether messages are kept because the socket is full.
    pub fn is_clogged(&self) -> bool {
        !self.unsent.is_empty()
    }

    /// Whether so much is kept that its peer is not listened to any more. Whoever can do without a message should not
    /// send it then.
    pub fn is_full(&self) -> bool {
        self.unsent.len() >= UNSENT_MAX || self.unsent_bytes >= UNSENT_BYTES_MAX
    }

    /// Waits until something was heard, or a clogged socket took messages again, and appends all that is ready. Without
    /// a socket it waits for ever. Cancel safe.
    pub async fn recv(&mut self, heard: &mut Vec<Heard>) {
        let (clogged, full) = (self.is_clogged(), self.is_full());
        let Some(dealer) = &mut self.dealer else { return std::future::pending().await };
        tokio::select! {
            biased;
            () = dealer.recv(&mut self.events), if !full => {}
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

    /// Offers what is kept to the socket again. [`recv`](Self::recv) does so by itself while it is left waiting;
    /// whoever drops its future before that has to.
    pub fn flush(&mut self) {
        let Some(dealer) = &mut self.dealer else { return self.forget_unsent() };
        while let Some(frames) = self.unsent.pop_front() {
            let bytes = frames.byte_count();
            self.unsent_bytes -= bytes;
            match dealer.try_send(frames) {
                Ok(()) => {}
                Err(unsent) if unsent.reason == UnsentReason::Full => {
                    self.unsent_bytes += bytes;
                    return self.unsent.push_front(unsent.frames);
                }
                // Too large, or gone: it can never leave, and the machine's own timers know what that means.
                Err(unsent) => tracing::warn!(reason = ?unsent.reason, "message dropped"),
            }
        }
    }

    fn forget_unsent(&mut self) {
        self.unsent.clear();
        self.unsent_bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use zmtp::{Limits, Router};

    use super::*;

    /// Hears what comes on either side until `done`.
    async fn exchange(link: &mut Link, router: &mut Router, mut done: impl FnMut(&[Heard], &[Event]) -> bool) {
        let (mut heard, mut events) = (Vec::new(), Vec::new());
        let both = async {
            while !done(&heard, &events) {
                tokio::select! {
                    () = link.recv(&mut heard) => {}
                    () = router.recv(&mut events) => {}
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(20), both).await.expect("nothing more comes");
    }

    /// Says messages of so many bytes to a peer that does not read until the link `is_full`, and is heard by it then.
    async fn a_peer_is_heard_again_once_it_reads(bytes: usize, is_full: impl Fn(&Link) -> bool) {
        let limits = Limits { queue_messages_max: 4, ..Limits::default() };
        let options = Options { limits, ..Options::default() };
        let mut router = Router::bind(&["tcp://127.0.0.1:0".parse().unwrap()], options.clone()).await.unwrap();
        let mut link = Link::new(router.endpoints()[0].clone(), options);
        link.open();
        let mut peer = None;
        exchange(&mut link, &mut router, |heard, events| {
            peer = events.iter().find_map(|event| match event {
                Event::Connected { peer, .. } => Some(*peer),
                _ => None,
            });
            peer.is_some() && heard.contains(&Heard::Connected)
        })
        .await;
        let body = Bytes::from(vec![0; bytes]);
        let mut said = 0_usize;
        while !is_full(&link) {
            assert!(!link.is_full(), "not before");
            link.send([body.clone()].into());
            said += 1;
        }
        assert!(link.is_full());
        router.try_send(peer.unwrap(), ["are you there?"].into()).unwrap();
        exchange(&mut link, &mut router, |heard, events| {
            let read = events.iter().filter(|event| matches!(event, Event::Message { .. })).count();
            read == said && heard.contains(&Heard::Message(["are you there?"].into()))
        })
        .await;
        assert!(!link.is_clogged());
        assert_eq!(link.unsent_bytes, 0);
    }

    #[tokio::test]
    async fn unsent_max_is_met_by_a_peer_that_does_not_read_which_is_heard_again_once_it_does() {
        a_peer_is_heard_again_once_it_reads(16 << 10, |link| link.unsent.len() >= UNSENT_MAX).await;
    }

    #[tokio::test]
    async fn unsent_bytes_max_is_met_by_a_peer_that_does_not_read_which_is_heard_again_once_it_does() {
        a_peer_is_heard_again_once_it_reads(1 << 20, |link| link.unsent.len() >= UNSENT_BYTES_MAX >> 20).await;
    }
}
