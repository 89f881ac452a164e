//! Connections of a large world: ordered, with latency and jitter; they can be cut without anybody being told.
//!
//! A socket that is not let in knocks again by itself, with the delays of our ZMTP engine; one that hears nothing for
//! [`SILENCE`] gives its connection up, as ZMTP's heartbeats do (RFC 37, PING).

use protocol::Frames;

use crate::queue::{MILLISECOND, Nanos, Queue};
use crate::rng::Rng;

/// A connection's number, never given twice: the broker's `PeerId`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Link(pub(super) usize);

/// A node that connects to a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialer {
    Worker(usize),
    Client(usize),
}

/// One end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Broker,
    Dialer,
}

/// Something that will happen.
#[derive(Debug)]
pub(super) enum Event {
    /// A dialer's first octets reach its broker.
    Knock(Link),
    /// A dialer learns that it is let in.
    Greeted(Link),
    Message {
        link: Link,
        to: End,
        frames: Frames,
    },
    /// An end learns that its connection is gone.
    Gone {
        link: Link,
        to: End,
    },
    /// A broker takes the next thing from its inbox.
    Serve {
        broker: usize,
        life: u32,
    },
    WakeBroker(usize),
    WakeDialer(Dialer),
    /// A client's next request.
    Ask(usize),
    /// A worker has done a job.
    Finish {
        worker: usize,
        job: worker::JobId,
    },
}

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) dialer: Dialer,
    pub(super) broker: usize,
    pub(super) dialer_open: bool,
    pub(super) broker_open: bool,
    /// Nothing arrives any more, and nobody is told.
    cut: bool,
    /// What the dialer waits before it knocks again.
    retry: Nanos,
    /// When the last message arrives, in each direction: nothing overtakes.
    last: [Nanos; 2],
}

/// All connections.
#[derive(Debug)]
pub(super) struct Network {
    connections: Vec<Connection>,
    rng: Rng,
}

impl Network {
    pub(super) fn new(rng: Rng) -> Self {
        Self { connections: Vec::new(), rng }
    }

    pub(super) fn get(&self, link: Link) -> Option<&Connection> {
        self.connections.get(link.0)
    }

    /// All connections that an end still holds.
    pub(super) fn alive(&self) -> Vec<Link> {
        let held = |connection: &Connection| connection.dialer_open || connection.broker_open;
        let links = self.connections.iter().enumerate().filter(|(_, connection)| held(connection));
        links.map(|(number, _)| Link(number)).collect()
    }

    /// A node connects; TCP's handshake and ZMTP's take a round trip.
    pub(super) fn dial(&mut self, now: Nanos, queue: &mut Queue<Event>, dialer: Dialer, broker: usize) -> Link {
        let link = Link(self.connections.len());
        self.connections.push(Connection {
            dialer,
            broker,
            dialer_open: true,
            broker_open: false,
            cut: false,
            retry: RETRY_FIRST,
            last: [0; 2],
        });
        let at = now + self.latency() + self.latency();
        queue.push(at, Event::Knock(link));
        link
    }

    pub(super) fn let_in(&mut self, now: Nanos, queue: &mut Queue<Event>, link: Link) {
        if let Some(connection) = self.connections.get_mut(link.0) {
            connection.broker_open = true;
        }
        self.transmit(now, queue, link, End::Dialer, Event::Greeted(link));
    }

    /// Nobody listens, or nobody can be reached: half of the delay to the whole of it, then again.
    pub(super) fn knock_again(&mut self, now: Nanos, queue: &mut Queue<Event>, link: Link) {
        let Some(connection) = self.connections.get_mut(link.0) else { return };
        let half = connection.retry / 2;
        connection.retry = (connection.retry * 2).min(RETRY_MAX);
        queue.push(now + half + self.rng.below(half), Event::Knock(link));
    }

    /// Sends a message, if its sender holds the connection; whether it did.
    pub(super) fn send(&mut self, now: Nanos, queue: &mut Queue<Event>, link: Link, to: End, frames: Frames) -> bool {
        let held = self.get(link).is_some_and(|connection| match to {
            End::Broker => connection.dialer_open,
            End::Dialer => connection.broker_open,
        });
        if held {
            self.transmit(now, queue, link, to, Event::Message { link, to, frames });
        }
        held
    }

    /// Closes one end; the other one learns of it unless the connection is cut.
    pub(super) fn close(&mut self, now: Nanos, queue: &mut Queue<Event>, link: Link, end: End) {
        let Some(connection) = self.connections.get_mut(link.0) else { return };
        let (mine, other, to) = match end {
            End::Broker => (&mut connection.broker_open, connection.dialer_open, End::Dialer),
            End::Dialer => (&mut connection.dialer_open, connection.broker_open, End::Broker),
        };
        let held = std::mem::replace(mine, false);
        if held && other {
            self.transmit(now, queue, link, to, Event::Gone { link, to });
        }
    }

    /// An end has learnt that its connection is gone; whether it held it.
    pub(super) fn is_lost(&mut self, link: Link, end: End) -> bool {
        self.connections.get_mut(link.0).is_some_and(|connection| {
            let mine = match end {
                End::Broker => &mut connection.broker_open,
                End::Dialer => &mut connection.dialer_open,
            };
            std::mem::replace(mine, false)
        })
    }

    /// Nothing arrives on an established connection any more; its ends find out by the silence.
    pub(super) fn cut(&mut self, now: Nanos, queue: &mut Queue<Event>, link: Link) {
        let Some(connection) = self.connections.get_mut(link.0).filter(|connection| connection.broker_open) else {
            return;
        };
        connection.cut = true;
        for to in [End::Broker, End::Dialer] {
            // The last PING was answered up to an interval ago, which is half of the whole.
            queue.push(now + SILENCE - self.rng.below(SILENCE / 2), Event::Gone { link, to });
        }
    }

    fn transmit(&mut self, now: Nanos, queue: &mut Queue<Event>, link: Link, to: End, event: Event) {
        let latency = self.latency();
        let Some(connection) = self.connections.get_mut(link.0).filter(|connection| !connection.cut) else { return };
        let [to_broker, to_dialer] = &mut connection.last;
        let last = match to {
            End::Broker => to_broker,
            End::Dialer => to_dialer,
        };
        *last = (now + latency).max(*last);
        queue.push(*last, event);
    }

    fn latency(&mut self) -> Nanos {
        LATENCY + self.rng.below(JITTER)
    }
}

/// What a message takes at least: a data centre.
const LATENCY: Nanos = MILLISECOND / 4;
/// What it takes in addition, at most.
const JITTER: Nanos = MILLISECOND / 4;
/// After so much silence the engine gives a connection up (`zmtp::Heartbeat`: interval and timeout).
pub(super) const SILENCE: Nanos = 10_000 * MILLISECOND;
/// The engine's delays between attempts to connect (`zmtp::Backoff`).
const RETRY_FIRST: Nanos = 50 * MILLISECOND;
const RETRY_MAX: Nanos = 5000 * MILLISECOND;
