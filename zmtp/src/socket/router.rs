//! The listening socket: many peers, each addressed by the number of its connection.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use protocol::{Frames, PeerId};
use rustc_hash::FxHashMap;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use crate::security::authority::Principal;
use crate::socket::endpoint::Endpoint;
use crate::socket::event::Event;
use crate::socket::half_open::HalfOpen;
use crate::socket::held::Held;
use crate::socket::link::{Link, Shared};
use crate::socket::listener::Listener;
use crate::socket::options::Options;
use crate::socket::outlet::{Asleep, Closing, Unsent, UnsentReason};
use crate::socket::reception::Reception;
use crate::socket::stats::Stats;

/// A ROUTER that listens. Its connections run in tasks of their own; what it owns itself is the table of peers, so that
/// nothing here takes a lock that another peer's traffic holds.
///
/// Dropping it closes every connection at once; [`close`](Self::close) lets queued messages leave first.
#[derive(Debug)]
pub struct Router {
    endpoints: Vec<Endpoint>,
    shared: Arc<Shared>,
    half_open: Arc<HalfOpen>,
    listeners: Vec<AbortHandle>,
    /// What further listeners need; none once it is to end.
    reception: Option<Reception>,
    finished: mpsc::Receiver<Infallible>,
    peers: FxHashMap<PeerId, Peer>,
    /// The newest connection of each identity. Names from the network: hashed with a secret.
    identities: HashMap<Bytes, PeerId>,
    taken: VecDeque<Arc<Link>>,
    held: Held,
    counts: Counts,
}

#[derive(Debug)]
struct Peer {
    link: Arc<Link>,
    identity: Bytes,
    principal: Option<Arc<Principal>>,
    dismissed: bool,
}

/// The statistics that only the owner touches.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    sent: u64,
    gone: u64,
    full: u64,
    too_large: u64,
    replaced: u64,
}

/// A router that could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {endpoint}: {source}")]
pub struct BindError {
    endpoint: Endpoint,
    source: std::io::Error,
}

/// Events after which `recv` returns even though more is ready.
const EVENTS_PER_RECV: usize = 4096;

impl Router {
    /// Listens on all `endpoints`.
    ///
    /// # Errors
    /// The first endpoint that cannot be listened on, with the cause; then none is.
    pub async fn bind(endpoints: &[Endpoint], options: Options) -> Result<Self, BindError> {
        let mut listeners = Vec::new();
        for endpoint in endpoints {
            let bound = Listener::bind(endpoint).await;
            listeners.push(bound.map_err(|source| BindError { endpoint: endpoint.clone(), source })?);
        }
        let limits = options.limits;
        let shared = Shared::new(options);
        let counters = Arc::clone(&shared.counters);
        let half_open = HalfOpen::new(limits.half_open_max, limits.half_open_per_address_max, counters);
        let (running, finished) = mpsc::channel(1);
        let reception = Reception {
            shared: Arc::clone(&shared),
            half_open: Arc::clone(&half_open),
            next: Arc::new(AtomicU64::new(1)),
            running,
        };
        let (mut endpoints, mut tasks) = (Vec::new(), Vec::new());
        for (listener, endpoint) in listeners {
            endpoints.push(endpoint);
            tasks.push(tokio::spawn(listener.run(reception.clone())).abort_handle());
        }
        Ok(Self {
            endpoints,
            shared,
            half_open,
            listeners: tasks,
            reception: Some(reception),
            finished,
            peers: FxHashMap::default(),
            identities: HashMap::new(),
            taken: VecDeque::new(),
            held: Held::default(),
            counts: Counts::default(),
        })
    }

    /// Listens on this address from now on, and nowhere else any more. Connections stay as they are.
    ///
    /// # Errors
    /// When it cannot be listened on, with the cause; then nothing has changed.
    pub fn move_to(&mut self, address: SocketAddr) -> Result<(), BindError> {
        let Some(reception) = self.reception.clone() else { return Ok(()) };
        let bound = Listener::bind_address(address);
        let (listener, endpoint) = bound.map_err(|source| BindError { endpoint: address.into(), source })?;
        self.listeners.drain(..).for_each(|listener| listener.abort());
        self.listeners.push(tokio::spawn(listener.run(reception)).abort_handle());
        self.endpoints = vec![endpoint];
        Ok(())
    }

    /// Where it listens, with real ports where port 0 was asked for.
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// Waits for at least one event and adds everything that is ready to `events`, up to a bound of some thousand.
    ///
    /// Each connection is heard in turn, one batch at a time. Cancel safe: no event is lost when the future is dropped.
    pub async fn recv(&mut self, events: &mut Vec<Event>) {
        std::future::poll_fn(|context| self.poll_recv(context, events)).await;
    }

    /// The polling form of [`recv`](Self::recv).
    pub fn poll_recv(&mut self, context: &mut Context<'_>, events: &mut Vec<Event>) -> Poll<()> {
        let start = events.len();
        loop {
            while let Some(link) = self.taken.pop_front() {
                self.take(link, events);
                if events.len() - start >= EVENTS_PER_RECV {
                    self.held.on_received(events.len() - start);
                    return Poll::Ready(());
                }
            }
            if self.shared.line.poll_take(context, &mut self.taken).is_pending() {
                if events.len() > start {
                    self.held.on_received(events.len() - start);
                    return Poll::Ready(());
                }
                self.held.on_idle(context);
                return Poll::Pending;
            }
        }
    }

    /// Queues a message for a peer; never waits.
    ///
    /// Messages for a peer that has sent several at a time may stay queued until the next [`recv`](Self::recv), which
    /// lets them go as soon as it finds nothing more to receive, or after about a thousand messages: so that answers
    /// leave together.
    ///
    /// # Errors
    /// The message comes back with the reason: the peer is gone, its queue is full, or the message is too large.
    pub fn try_send(&mut self, peer: PeerId, frames: Frames) -> Result<(), Unsent> {
        let sent = match self.peers.get(&peer) {
            Some(found) => found.link.outlet.push(frames, &self.shared.options.limits),
            None => Err(Unsent { frames, reason: UnsentReason::Gone }),
        };
        let sent = sent.map(|asleep| match asleep {
            Some(Asleep { writer, patient: true }) => self.held.hold(writer),
            Some(Asleep { writer, patient: false }) => writer.wake(),
            None => {}
        });
        self.counts.count(&sent);
        sent
    }

    /// Dismisses a peer: what is queued for it is written, within linger, then its connection is closed. No message of
    /// it comes any more; its `Disconnected` follows.
    pub fn disconnect(&mut self, peer: PeerId) {
        if let Some(found) = self.peers.get_mut(&peer) {
            found.dismissed = true;
            found.link.outlet.close(Closing::Flush);
        }
    }

    /// What was counted so far.
    pub fn stats(&self) -> Stats {
        self.counts.add_to(self.shared.counters.snapshot())
    }

    /// Stops listening, lets queued messages leave within linger, and closes everything.
    pub async fn close(mut self) {
        self.stop(Closing::Flush);
        let linger = self.shared.options.linger.saturating_add(Duration::from_millis(100));
        // On timeout the drop that follows closes what is left.
        let _ = tokio::time::timeout(linger, self.finished.recv()).await;
    }

    /// Takes one connection's batch. Its first event tells when it is new, its last when it has ended.
    fn take(&mut self, link: Arc<Link>, events: &mut Vec<Event>) {
        let start = events.len();
        self.shared.collect(&link, events);
        if let Some([.., Event::Message { .. }, Event::Message { .. }]) = events.get(start..) {
            link.outlet.expect_company();
        }
        if let Some(Event::Connected { peer, identity, principal }) = events.get_mut(start) {
            let principal = principal.clone();
            let joining = Peer { link, identity: std::mem::take(identity), principal, dismissed: false };
            *identity = self.on_connected(*peer, joining);
        }
        let Some(peer) = events.last().filter(|_| events.len() > start).map(Event::peer) else { return };
        if self.peers.get(&peer).is_some_and(|peer| peer.dismissed) {
            let mut place = 0;
            events.retain(|event| {
                place += 1;
                place <= start || !matches!(event, Event::Message { .. })
            });
        }
        if let Some(Event::Disconnected { peer }) = events.get(start..).and_then(<[Event]>::last) {
            self.on_disconnected(*peer);
        }
    }

    /// The newest connection of an identity wins: the old one may be a corpse that nobody has noticed yet.
    ///
    /// Not so when the old one proved to be somebody else. The handshake refuses that already, unless it has forgotten
    /// whose the identity is; then the new one leaves without having been called so. Returns the identity that it has.
    fn on_connected(&mut self, id: PeerId, mut peer: Peer) -> Bytes {
        let older = self.identities.get(&peer.identity).and_then(|older| self.peers.get(older));
        if let Some(older) = older
            && !older.is_also(&peer)
        {
            peer.link.outlet.close(Closing::Now);
            (peer.identity, peer.dismissed) = (Bytes::new(), true);
        } else if let Some(older) = older {
            self.counts.replaced += 1;
            older.link.outlet.close(Closing::Now);
        }
        if !peer.identity.is_empty() {
            self.identities.insert(peer.identity.clone(), id);
        }
        let identity = peer.identity.clone();
        self.peers.insert(id, peer);
        identity
    }

    /// By number, not by identity: a late end must not take the successor along.
    fn on_disconnected(&mut self, peer: PeerId) {
        let Some(gone) = self.peers.remove(&peer) else { return };
        if self.identities.get(&gone.identity) == Some(&peer) {
            self.identities.remove(&gone.identity);
        }
    }

    fn stop(&mut self, closing: Closing) {
        self.shared.abandoned.store(true, Ordering::SeqCst);
        self.reception = None;
        self.listeners.drain(..).for_each(|listener| listener.abort());
        self.half_open.close();
        let known = self.peers.values().map(|peer| &peer.link);
        known.chain(&self.taken).for_each(|link| link.outlet.close(closing));
        let mut unseen = VecDeque::new();
        let context = Context::from_waker(std::task::Waker::noop());
        while self.shared.line.poll_take(&context, &mut unseen).is_ready() {
            unseen.drain(..).for_each(|link| link.outlet.close(closing));
        }
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        self.stop(Closing::Now);
    }
}

impl Peer {
    /// Whether both proved to be the same.
    fn is_also(&self, other: &Self) -> bool {
        let proof = |peer: &Self| peer.principal.as_ref().map(|principal| principal.proof.clone());
        proof(self) == proof(other)
    }
}

impl Counts {
    pub(crate) fn count(&mut self, sent: &Result<(), Unsent>) {
        match sent {
            Ok(()) => self.sent += 1,
            Err(unsent) => match unsent.reason {
                UnsentReason::Gone => self.gone += 1,
                UnsentReason::Full => self.full += 1,
                UnsentReason::TooLarge => self.too_large += 1,
            },
        }
    }

    pub(crate) fn add_to(self, stats: Stats) -> Stats {
        Stats {
            messages_sent: self.sent,
            unsent_gone: self.gone,
            unsent_full: self.full,
            unsent_too_large: self.too_large,
            replaced: self.replaced,
            ..stats
        }
    }
}
