//! Connections without sockets, between a server and parts of its own process.
//!
//! ```text
//!   Entrance ──connect──► Connection ──batches──► Host::recv
//!   (clones)                   ▲                      │
//!                              └───────batches────────┘ Host::send, Host::flush
//! ```
//!
//! Frames are handed over as they are, a batch at a time: what either side says in one round costs one wake-up, or one
//! for each 64 messages, so that the other side can begin meanwhile. The two sides may live in different threads and
//! runtimes. What waits for a guest is bounded as what waits for a peer of a socket is; what waits for the host is for
//! its guest to bound, who [knows](Connection::waiting_bytes) how much it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use bytes::Bytes;
use protocol::{Frames, PeerId};
use rustc_hash::FxHashMap;
use tokio::sync::mpsc;

/// Where guests connect to; clones lead to the same host.
#[derive(Clone, Debug)]
pub struct Entrance {
    said: mpsc::UnboundedSender<(PeerId, Said)>,
    next: Arc<AtomicU64>,
}

/// A guest's end; dropped it is closed.
#[derive(Debug)]
pub struct Connection {
    peer: PeerId,
    said: mpsc::UnboundedSender<(PeerId, Said)>,
    heard: mpsc::UnboundedReceiver<Vec<Frames>>,
    outbox: Vec<Frames>,
    outbox_bytes: usize,
    /// Octets on the way to the host, and to us.
    to_host: Arc<AtomicUsize>,
    to_guest: Arc<Waiting>,
}

/// The server's end of all connections.
#[derive(Debug)]
pub struct Host {
    said: mpsc::UnboundedReceiver<(PeerId, Said)>,
    entrance: Entrance,
    guests: FxHashMap<PeerId, Guest>,
    batch: Vec<(PeerId, Said)>,
    /// Guests for whom something waits for [`Host::flush`].
    addressed: Vec<PeerId>,
    messages_max: usize,
    bytes_max: usize,
}

/// What a host hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A guest has come. A number is used once, and by no socket.
    Connected {
        /// Its number.
        peer: PeerId,
        /// What it calls itself, or empty.
        identity: Bytes,
    },
    /// A guest has said something.
    Message {
        /// Who.
        peer: PeerId,
        /// What.
        frames: Frames,
    },
    /// A guest has left.
    Disconnected {
        /// Who.
        peer: PeerId,
    },
}

#[derive(Debug)]
enum Said {
    Hello { identity: Bytes, guest: Guest },
    Messages { batch: Vec<Frames>, bytes: usize },
    Bye,
}

#[derive(Debug)]
struct Guest {
    heard: mpsc::UnboundedSender<Vec<Frames>>,
    outbox: Vec<Frames>,
    to_host: Arc<AtomicUsize>,
    to_guest: Arc<Waiting>,
}

/// What is on the way to a guest.
#[derive(Debug, Default)]
struct Waiting {
    messages: AtomicUsize,
    bytes: AtomicUsize,
}

impl Host {
    /// A host that lets wait so many messages, and octets, for each of its guests; the message that meets a bound may
    /// pass it.
    pub fn new(messages_max: usize, bytes_max: usize) -> Self {
        let (sender, said) = mpsc::unbounded_channel();
        let entrance = Entrance { said: sender, next: Arc::new(AtomicU64::new(FIRST)) };
        let (guests, batch, addressed) = (FxHashMap::default(), Vec::new(), Vec::new());
        Self { said, entrance, guests, batch, addressed, messages_max, bytes_max }
    }

    /// Where guests connect to.
    pub fn entrance(&self) -> Entrance {
        self.entrance.clone()
    }

    /// Whether a peer is, or was, a guest and none of a socket's.
    pub fn is_guest(peer: PeerId) -> bool {
        peer.0 >= FIRST
    }

    /// Waits until something was heard, and appends all that is ready. Cancel safe.
    pub async fn recv(&mut self, events: &mut Vec<Event>) {
        let mut batch = std::mem::take(&mut self.batch);
        self.said.recv_many(&mut batch, BATCHES_PER_ROUND).await;
        for (peer, said) in batch.drain(..) {
            self.hear(peer, said, events);
        }
        self.batch = batch;
    }

    /// Appends what is ready without waiting for anything.
    pub fn recv_ready(&mut self, events: &mut Vec<Event>) {
        for _ in 0..BATCHES_PER_ROUND {
            let Ok((peer, said)) = self.said.try_recv() else { return };
            self.hear(peer, said, events);
        }
    }

    /// Says something to a guest, at the next [`flush`](Self::flush) at the latest; whether it is taken. A guest that
    /// is gone, or was [disconnected](Self::disconnect), takes nothing.
    pub fn send(&mut self, peer: PeerId, frames: Frames) -> bool {
        let Some(guest) = self.guests.get_mut(&peer) else { return false };
        let (messages, bytes) = (guest.to_guest.messages.load(Relaxed), guest.to_guest.bytes.load(Relaxed));
        if messages >= self.messages_max || bytes >= self.bytes_max {
            return false;
        }
        guest.to_guest.messages.fetch_add(1, Relaxed);
        guest.to_guest.bytes.fetch_add(frames.byte_count(), Relaxed);
        if guest.outbox.is_empty() {
            self.addressed.push(peer);
        }
        guest.outbox.push(frames);
        if guest.outbox.len() >= BATCH_MESSAGES {
            self.flush();
        }
        true
    }

    /// Hands over what was said since the last time.
    pub fn flush(&mut self) {
        for peer in self.addressed.drain(..) {
            if let Some(guest) = self.guests.get_mut(&peer) {
                // An error means that it is gone, and its goodbye on the way.
                let _ = guest.heard.send(std::mem::take(&mut guest.outbox));
            }
        }
    }

    /// Closes a connection, after what was said on it.
    pub fn disconnect(&mut self, peer: PeerId) {
        self.flush();
        self.guests.remove(&peer);
    }

    fn hear(&mut self, peer: PeerId, said: Said, events: &mut Vec<Event>) {
        match said {
            Said::Hello { identity, guest } => {
                self.guests.insert(peer, guest);
                events.push(Event::Connected { peer, identity });
            }
            Said::Messages { batch, bytes } => {
                if let Some(guest) = self.guests.get(&peer) {
                    guest.to_host.fetch_sub(bytes, Relaxed);
                    events.extend(batch.into_iter().map(|frames| Event::Message { peer, frames }));
                }
            }
            Said::Bye => {
                self.guests.remove(&peer);
                events.push(Event::Disconnected { peer });
            }
        }
    }
}

impl Entrance {
    /// Connects. Where there is no host any more the connection ends at once.
    pub fn connect(&self, identity: Bytes) -> Connection {
        let peer = PeerId(self.next.fetch_add(1, Relaxed));
        let (sender, heard) = mpsc::unbounded_channel();
        let (to_host, to_guest) = (Arc::<AtomicUsize>::default(), Arc::<Waiting>::default());
        let guest = Guest { heard: sender, outbox: Vec::new(), to_host: to_host.clone(), to_guest: to_guest.clone() };
        // An error means that the host is gone, and the sender with it: the connection has ended.
        let _ = self.said.send((peer, Said::Hello { identity, guest }));
        let (outbox, outbox_bytes) = (Vec::new(), 0);
        Connection { peer, said: self.said.clone(), heard, outbox, outbox_bytes, to_host, to_guest }
    }
}

impl Connection {
    /// Says something, at the next [`flush`](Self::flush) at the latest.
    pub fn send(&mut self, frames: Frames) {
        self.outbox_bytes += frames.byte_count();
        self.outbox.push(frames);
        if self.outbox.len() >= BATCH_MESSAGES {
            self.flush();
        }
    }

    /// Hands over what was said since the last time.
    pub fn flush(&mut self) {
        if self.outbox.is_empty() {
            return;
        }
        let (batch, bytes) = (std::mem::take(&mut self.outbox), std::mem::take(&mut self.outbox_bytes));
        self.to_host.fetch_add(bytes, Relaxed);
        // An error means that the host is gone, which `recv` says.
        let _ = self.said.send((self.peer, Said::Messages { batch, bytes }));
    }

    /// Octets that were said and the host has not heard yet.
    pub fn waiting_bytes(&self) -> usize {
        self.outbox_bytes + self.to_host.load(Relaxed)
    }

    /// Waits until the host has said something and appends all that is ready; `false` once the connection is closed.
    /// Cancel safe.
    pub async fn recv(&mut self, heard: &mut Vec<Frames>) -> bool {
        let Some(batch) = self.heard.recv().await else { return false };
        self.take(batch, heard);
        for _ in 1..BATCHES_PER_ROUND {
            let Ok(batch) = self.heard.try_recv() else { break };
            self.take(batch, heard);
        }
        true
    }

    fn take(&self, batch: Vec<Frames>, heard: &mut Vec<Frames>) {
        self.to_guest.messages.fetch_sub(batch.len(), Relaxed);
        self.to_guest.bytes.fetch_sub(batch.iter().map(Frames::byte_count).sum(), Relaxed);
        heard.extend(batch);
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.flush();
        // An error means that the host is gone.
        let _ = self.said.send((self.peer, Said::Bye));
    }
}

/// Messages that are worth a wake-up of their own. With one client that has 256 requests under way the two threads
/// would else work in turn, each on all of them, and sleep in between: Titanic took a quarter less in memory, and a
/// tenth on a disk.
const BATCH_MESSAGES: usize = 64;
/// Batches heard in one round, so that sockets are heard in between.
const BATCHES_PER_ROUND: usize = 64;
/// Sockets number their connections from zero, and never come this far.
const FIRST: u64 = 1 << 48;

#[cfg(test)]
mod tests {
    use super::*;

    async fn heard(host: &mut Host) -> Vec<Event> {
        let mut events = Vec::new();
        host.recv(&mut events).await;
        events
    }

    #[tokio::test]
    async fn what_is_said_is_heard_in_order_on_either_side_and_a_goodbye_last() {
        let mut host = Host::new(10, 100);
        let mut connection = host.entrance().connect("me".into());
        let peer = connection.peer;
        assert!(Host::is_guest(peer) && !Host::is_guest(PeerId(7)));
        for text in ["one", "two"] {
            connection.send([text].into());
        }
        connection.flush();
        let message = |text: &'static str| Event::Message { peer, frames: [text].into() };
        assert_eq!(connection.waiting_bytes(), 6);
        let connected = Event::Connected { peer, identity: "me".into() };
        assert_eq!(heard(&mut host).await, [connected, message("one"), message("two")]);
        assert_eq!(connection.waiting_bytes(), 0);
        assert!(host.send(peer, ["three"].into()) && host.send(peer, ["four"].into()));
        host.flush();
        let mut frames = Vec::new();
        assert!(connection.recv(&mut frames).await);
        assert_eq!(frames, [Frames::from(["three"]), Frames::from(["four"])]);
        connection.send(["five"].into());
        drop(connection);
        assert_eq!(heard(&mut host).await, [message("five"), Event::Disconnected { peer }]);
        assert!(!host.send(peer, ["six"].into()));
    }

    #[tokio::test]
    async fn so_much_that_the_other_side_can_begin_is_handed_over_before_the_round_ends() {
        let mut host = Host::new(1000, 1 << 20);
        let mut connection = host.entrance().connect(Bytes::new());
        heard(&mut host).await;
        for _ in 0..=BATCH_MESSAGES {
            connection.send(["to the host"].into());
            host.send(connection.peer, ["to the guest"].into());
        }
        let mut frames = Vec::new();
        assert!(connection.recv(&mut frames).await);
        assert_eq!((heard(&mut host).await.len(), frames.len()), (BATCH_MESSAGES, BATCH_MESSAGES));
        connection.flush();
        host.flush();
        assert!(connection.recv(&mut frames).await);
        assert_eq!((heard(&mut host).await.len(), frames.len()), (1, BATCH_MESSAGES + 1));
    }

    #[tokio::test]
    async fn messages_max_and_bytes_max_are_met_and_what_was_read_makes_room() {
        for (messages_max, bytes_max) in [(2, 1000), (1000, 6)] {
            let mut host = Host::new(messages_max, bytes_max);
            let mut connection = host.entrance().connect(Bytes::new());
            heard(&mut host).await;
            let mut say = || host.send(connection.peer, ["123"].into());
            assert_eq!([say(), say(), say()], [true, true, false]);
            host.flush();
            assert!(connection.recv(&mut Vec::new()).await);
            assert!(host.send(connection.peer, ["123"].into()));
        }
    }

    #[tokio::test]
    async fn a_connection_ends_when_the_host_closes_it_or_is_gone() {
        let mut host = Host::new(10, 100);
        let entrance = host.entrance();
        let mut first = entrance.connect(Bytes::new());
        let mut second = entrance.connect(Bytes::new());
        let mut events = Vec::new();
        host.recv_ready(&mut events);
        assert_eq!(events.len(), 2);
        host.send(first.peer, ["bye"].into());
        host.disconnect(first.peer);
        let mut frames = Vec::new();
        assert!(first.recv(&mut frames).await && !first.recv(&mut frames).await);
        assert_eq!(frames, [Frames::from(["bye"])]);
        first.send(["late"].into());
        first.flush();
        second.send(["in time"].into());
        second.flush();
        assert_eq!(heard(&mut host).await, [Event::Message { peer: second.peer, frames: ["in time"].into() }]);
        drop(host);
        assert!(!second.recv(&mut frames).await);
        assert!(!entrance.connect(Bytes::new()).recv(&mut frames).await);
    }
}
