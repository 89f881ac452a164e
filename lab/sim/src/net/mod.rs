//! The network: connections as ZMTP gives them, and datagrams.
//!
//! A connection is two directed streams, ordered and reliable while it lives. A stream has latency, jitter, a bandwidth
//! and a bounded queue. What can happen to it: a reset; one direction cut for ever without anybody being told
//! (half-open); a wall between two nodes, in one direction or both; a receiver that does not read. A socket that hears
//! nothing for too long gives its connection up, as ZMTP's own heartbeats do (RFC 37, PING).
//!
//! ```text
//!   dialer ──Hello──► listener accepts       Hello and Bye travel in the stream like messages: a connection is
//!          ◄─Hello───                        heard of before its first message, and its end after the last one
//!          ◄─messages─►
//!          ──Bye────► listener hears Disconnected
//! ```

pub(crate) mod air;
pub mod datagram;
mod obstacles;
mod stream;

use bytes::Bytes;
use protocol::Frames;

use crate::node::NodeId;
use crate::plan;
use crate::queue::{Event, MILLISECOND, Nanos, Queue};
use crate::rng::Rng;
pub(crate) use stream::Item;
use stream::Stream;

/// A connection's number; never given twice, so that it serves as the broker's `PeerId`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Link(pub(crate) usize);

/// One end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Who connected.
    Dialer,
    /// Who was listening.
    Listener,
}

impl Side {
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Dialer => Self::Listener,
            Self::Listener => Self::Dialer,
        }
    }
}

/// What became of a message that was to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    Taken,
    /// The queue towards that peer is full.
    Full,
    /// The connection is closed; whoever holds it has been told, or will be.
    Gone,
}

/// What an arrival brings to a node.
#[derive(Debug)]
pub(crate) enum Arrival {
    /// Nothing now; the stream is cut off or empty.
    Nothing,
    /// It came to an end that is closed: dropped.
    Void,
    /// Somebody wants to connect. Answer with [`Network::accept`] or [`Network::turn_away`].
    Knock {
        node: NodeId,
    },
    Connected {
        node: NodeId,
    },
    Message {
        node: NodeId,
        frames: Frames,
    },
    Disconnected {
        node: NodeId,
    },
}

#[derive(Debug)]
struct Connection {
    dialer: End,
    listener: End,
    /// What the dialer calls itself.
    identity: Bytes,
    /// At which of the listener's ports.
    port: u16,
}

#[derive(Debug)]
struct End {
    node: NodeId,
    /// Whether its node still holds it.
    open: bool,
    /// Whether its node knows of the connection.
    greeted: bool,
    outgoing: Stream,
    /// Nothing that it sends arrives any more, and nobody is told.
    cut: bool,
}

/// All connections and what stands between the nodes.
#[derive(Debug)]
pub(crate) struct Network {
    plan: plan::Network,
    nodes: usize,
    connections: Vec<Connection>,
    /// Those with an open end.
    alive: Vec<Link>,
    /// Walls from a node (row) to a node (column), counted.
    walls: Vec<u8>,
    /// Reasons for which a node does not read, counted.
    unread: Vec<u8>,
    /// Reasons for which a node's sockets say nothing by themselves, counted.
    mute: Vec<u8>,
    /// Latency and bandwidth of a node's links beyond the plan's.
    slow: Vec<Slowness>,
    /// A bound on all queues that is below the plan's while a fault lasts.
    pub(crate) queue_max: usize,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Slowness {
    pub(crate) latency: Nanos,
    /// Nanoseconds that a byte takes.
    pub(crate) per_byte: Nanos,
}

impl Network {
    pub(crate) fn new(plan: plan::Network, nodes: usize) -> Self {
        let queue_max = plan.queue_max;
        let slow = vec![Slowness::default(); nodes];
        let (walls, unread, mute) = (vec![0; nodes * nodes], vec![0; nodes], vec![0; nodes]);
        Self { plan, nodes, connections: Vec::new(), alive: Vec::new(), walls, unread, mute, slow, queue_max }
    }

    pub(crate) fn plan(&self) -> &plan::Network {
        &self.plan
    }

    /// A node connects to another. It keeps trying until it is let in or closes.
    pub(crate) fn dial(
        &mut self,
        now: Nanos,
        queue: &mut Queue,
        rng: &mut Rng,
        (from, to, port): (NodeId, NodeId, u16),
        identity: Bytes,
    ) -> Link {
        let link = Link(self.connections.len());
        let end = |node| End { node, open: false, greeted: false, outgoing: Stream::default(), cut: false };
        let dialer = End { open: true, ..end(from) };
        self.connections.push(Connection { dialer, listener: end(to), identity, port });
        self.alive.push(link);
        self.transmit(now, queue, rng, link, Side::Dialer, Item::Hello);
        link
    }

    /// Lets in who knocked; what it calls itself.
    pub(crate) fn accept(&mut self, now: Nanos, queue: &mut Queue, rng: &mut Rng, link: Link) -> Bytes {
        if let Some(end) = self.end_mut(link, Side::Listener) {
            end.open = true;
            end.greeted = true;
        }
        // Its dialer may have gone meanwhile: then this end is the only one.
        if !self.alive.contains(&link) {
            self.alive.push(link);
        }
        self.transmit(now, queue, rng, link, Side::Listener, Item::Hello);
        self.connections.get(link.0).map(|connection| connection.identity.clone()).unwrap_or_default()
    }

    /// Nobody listens: the dialer tries again by itself.
    pub(crate) fn turn_away(&mut self, now: Nanos, queue: &mut Queue, rng: &mut Rng, link: Link) {
        let retry = now + self.plan.retry_ms * MILLISECOND;
        self.transmit(retry, queue, rng, link, Side::Dialer, Item::Hello);
    }

    /// Sends a message from one end. A dialer's message is always taken (its driver keeps what the socket cannot take
    /// and asks [`is_clogged`](Self::is_clogged) before it makes more); a listener's may be refused.
    pub(crate) fn send(
        &mut self,
        now: Nanos,
        queue: &mut Queue,
        rng: &mut Rng,
        (link, side): (Link, Side),
        frames: Frames,
    ) -> Sent {
        let queue_max = self.queue_max;
        match self.end(link, side) {
            Some(end) if !end.open => return Sent::Gone,
            Some(end) if side == Side::Listener && end.outgoing.len() >= queue_max => return Sent::Full,
            Some(_) => {}
            None => return Sent::Gone,
        }
        self.transmit(now, queue, rng, link, side, Item::Message(frames));
        Sent::Taken
    }

    /// Whether what waits to arrive at the other end is as much as the queue takes.
    pub(crate) fn is_clogged(&self, link: Link, side: Side) -> bool {
        self.end(link, side).is_some_and(|end| end.outgoing.len() >= self.queue_max)
    }

    /// One end is closed by its node. What has left arrives; what has not is dropped, unless `flush`.
    pub(crate) fn close(
        &mut self,
        now: Nanos,
        queue: &mut Queue,
        rng: &mut Rng,
        (link, side): (Link, Side),
        flush: bool,
    ) {
        let Some(end) = self.end_mut(link, side).filter(|end| end.open) else { return };
        end.open = false;
        if !flush {
            end.outgoing.drop_undeparted(now);
        }
        if let Some(peer) = self.end_mut(link, side.other()) {
            peer.outgoing.clear();
        }
        self.transmit(now, queue, rng, link, side, Item::Bye);
        self.retire(link);
    }

    /// The connection breaks; both ends hear of it, what was under way is lost. Whether there was one to break.
    pub(crate) fn reset(&mut self, now: Nanos, queue: &mut Queue, rng: &mut Rng, link: Link) -> bool {
        if !self.is_established(link) {
            return false;
        }
        for side in [Side::Dialer, Side::Listener] {
            if let Some(end) = self.end_mut(link, side) {
                end.outgoing.clear();
            }
            self.transmit(now, queue, rng, link, side, Item::Bye);
        }
        true
    }

    /// The process of a node dies and its system says so to all its peers.
    pub(crate) fn hang_up(&mut self, now: Nanos, queue: &mut Queue, rng: &mut Rng, node: NodeId) {
        for (link, side) in self.ends_of(node) {
            self.close(now, queue, rng, (link, side), false);
            self.knock_again(now, queue, rng, link, side);
        }
    }

    /// The process of a node ends politely: what it has sent still leaves.
    pub(crate) fn finish(&mut self, now: Nanos, queue: &mut Queue, rng: &mut Rng, node: NodeId) {
        for (link, side) in self.ends_of(node) {
            self.close(now, queue, rng, (link, side), true);
            self.knock_again(now, queue, rng, link, side);
        }
    }

    /// The machine of a node dies and nobody says so: its peers go on sending into nothing.
    pub(crate) fn vanish(&mut self, now: Nanos, queue: &mut Queue, rng: &mut Rng, node: NodeId) {
        for (link, side) in self.ends_of(node) {
            if let Some(end) = self.end_mut(link, side) {
                end.open = false;
                end.outgoing.clear();
            }
            self.cut(now, queue, link, side);
            self.cut(now, queue, link, side.other());
            self.retire(link);
            self.knock_again(now, queue, rng, link, side);
        }
    }

    /// A socket that was never let in keeps trying, whoever listens next.
    fn knock_again(&mut self, now: Nanos, queue: &mut Queue, rng: &mut Rng, link: Link, gone: Side) {
        let Some(Connection { dialer, listener, .. }) = self.connections.get_mut(link.0) else { return };
        if gone == Side::Listener && dialer.open && !dialer.greeted {
            dialer.cut = false;
            listener.cut = false;
            listener.greeted = false;
            listener.outgoing.clear();
            dialer.outgoing.clear();
            self.turn_away(now, queue, rng, link);
        }
    }

    /// What arrives next on a stream. The caller asks again until there is nothing.
    pub(crate) fn arrive(&mut self, now: Nanos, queue: &mut Queue, link: Link, from: Side) -> Arrival {
        if self.is_blocked(link, from) {
            if let Some(end) = self.end_mut(link, from) {
                end.outgoing.scheduled = false;
            }
            return Arrival::Nothing;
        }
        let Some(item) = self.end_mut(link, from).and_then(|end| end.outgoing.pop_due(now)) else {
            self.schedule(now, queue, link, from);
            return Arrival::Nothing;
        };
        let Some(receiver) = self.end_mut(link, from.other()) else { return Arrival::Void };
        let node = receiver.node;
        match item {
            Item::Hello if from == Side::Dialer => Arrival::Knock { node },
            _ if !receiver.open => Arrival::Void,
            Item::Hello => {
                receiver.greeted = true;
                Arrival::Connected { node }
            }
            Item::Message(frames) => Arrival::Message { node, frames },
            Item::Bye => {
                receiver.open = false;
                self.retire(link);
                Arrival::Disconnected { node }
            }
        }
    }

    /// The links on which a node has an open end, with its side.
    pub(crate) fn ends_of(&self, node: NodeId) -> Vec<(Link, Side)> {
        let mut ends = Vec::new();
        for link in &self.alive {
            for side in [Side::Dialer, Side::Listener] {
                if self.end(*link, side).is_some_and(|end| end.open && end.node == node) {
                    ends.push((*link, side));
                }
            }
        }
        ends
    }

    /// The links that both nodes know of and hold.
    pub(crate) fn established(&self) -> Vec<Link> {
        self.alive.iter().copied().filter(|link| self.is_established(*link)).collect()
    }

    /// At which port its listener is asked for.
    pub(crate) fn port(&self, link: Link) -> u16 {
        self.connections.get(link.0).map_or(0, |connection| connection.port)
    }

    /// Whether a datagram gets from one node to another now.
    pub(crate) fn lets_through(&self, from: NodeId, to: NodeId) -> bool {
        !self.is_walled(from, to) && !self.is_stalled(to)
    }

    /// Whether the dialer still wants this connection.
    pub(crate) fn is_wanted(&self, link: Link) -> bool {
        self.end(link, Side::Dialer).is_some_and(|end| end.open)
    }

    /// Whether something is on its way that arrives later than `horizon`: a narrow link has not caught up yet.
    pub(crate) fn has_backlog(&self, horizon: Nanos) -> bool {
        let late = |link: &Link, side| self.end(*link, side).is_some_and(|end| end.outgoing.arrives_after(horizon));
        self.alive.iter().any(|link| late(link, Side::Dialer) || late(link, Side::Listener))
    }

    /// The node at the far end, seen from `side`.
    pub(crate) fn peer(&self, link: Link, side: Side) -> Option<NodeId> {
        self.end(link, side.other()).map(|end| end.node)
    }

    fn is_established(&self, link: Link) -> bool {
        [Side::Dialer, Side::Listener]
            .into_iter()
            .all(|side| self.end(link, side).is_some_and(|end| end.open && end.greeted && !end.cut))
    }

    fn transmit(&mut self, now: Nanos, queue: &mut Queue, rng: &mut Rng, link: Link, from: Side, item: Item) {
        let (Some(sender), Some(receiver)) = (self.end(link, from), self.end(link, from.other())) else { return };
        let slow = |node: NodeId| self.slow.get(node.0).copied().unwrap_or_default();
        let (a, b) = (slow(sender.node), slow(receiver.node));
        let per_byte = self.plan.nanos_per_byte.max(a.per_byte).max(b.per_byte);
        let latency = self.plan.latency_us * 1000 + rng.below(self.plan.jitter_us * 1000 + 1) + a.latency + b.latency;
        if let Some(end) = self.end_mut(link, from) {
            end.outgoing.push(now, latency, per_byte, item);
        }
        self.schedule(now, queue, link, from);
    }

    /// Makes sure that a stream with something in it has an arrival scheduled.
    fn schedule(&mut self, now: Nanos, queue: &mut Queue, link: Link, from: Side) {
        let Some(end) = self.end_mut(link, from) else { return };
        match end.outgoing.next_arrival() {
            Some(at) if !end.outgoing.scheduled => {
                end.outgoing.scheduled = true;
                queue.push(at.max(now), Event::Arrival { link, from });
            }
            _ => {}
        }
    }

    fn retire(&mut self, link: Link) {
        let open = |side| self.end(link, side).is_some_and(|end| end.open);
        if !open(Side::Dialer) && !open(Side::Listener) {
            self.alive.retain(|other| *other != link);
        }
    }

    fn end(&self, link: Link, side: Side) -> Option<&End> {
        let connection = self.connections.get(link.0)?;
        Some(match side {
            Side::Dialer => &connection.dialer,
            Side::Listener => &connection.listener,
        })
    }

    fn end_mut(&mut self, link: Link, side: Side) -> Option<&mut End> {
        let connection = self.connections.get_mut(link.0)?;
        Some(match side {
            Side::Dialer => &mut connection.dialer,
            Side::Listener => &mut connection.listener,
        })
    }
}
