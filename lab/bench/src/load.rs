//! The generator core: one thread that plays every client and every worker of a load, the same code for every server.
//!
//! It has to cost little, because it shares the machine with what it measures: one `epoll`, one read and one write a
//! wake, bodies copied once, nothing allocated in the loop. What it costs is part of the result, so that a reader can
//! see when the generator and not the server was the limit.
//!
//! ```text
//! connect workers | connect clients | warm up | measure | drain: what does not come back now is lost
//! ```

mod connection;
mod crowd;
mod handshakes;
mod idle;
mod ledger;
pub mod mixed;
mod tunnel;

use std::time::{Duration, Instant};

use anyhow::Context;
use hdrhistogram::Histogram;
use mio::{Events, Poll};

use crate::measure::{Gauge, Reading};
use crate::peers::Addresses;
use crate::plan::Plan;
use crate::wire::{Caller, Event, Protocol};
use crowd::{Crowd, EVENTS_MAX, wait};
use ledger::Ledger;

pub use handshakes::{Flood, Handshakes, shake_hands};
pub use idle::Idle;
pub use tunnel::Curve;

/// What one load showed.
#[derive(Debug)]
pub struct Outcome {
    /// Correct replies within the measured time.
    pub replies: u64,
    /// The measured time.
    pub elapsed: Duration,
    /// From writing a request to reading its reply, nanoseconds, replies within the measured time.
    pub latency_ns: Histogram<u64>,
    /// The server's and our own readings when the measured time began.
    pub before: Reading,
    /// The same when it ended.
    pub after: Reading,
    /// Requests without a reply after the drain, over the whole load.
    pub lost: u64,
    /// Replies that settled no request: wrong length, wrong content, a second time; over the whole load.
    pub mismatched: u64,
}

/// Runs `plan` against the server at `addresses`, reading `gauge` at both ends of the measured time.
///
/// # Errors
/// The server cannot be reached, closes a connection, breaks its protocol, or does not take our connections in.
pub fn run<P: Protocol>(protocol: &P, addresses: Addresses, plan: &Plan, gauge: &Gauge) -> anyhow::Result<Outcome> {
    run_beside(protocol, addresses, plan, gauge, || Ok(())).map(|(outcome, ())| outcome)
}

/// As [`run`]; `disturb` is called once all connections are taken in, and what it gives lives until the end.
///
/// # Errors
/// As [`run`], and those of `disturb`.
pub fn run_beside<P: Protocol, D>(
    protocol: &P,
    addresses: Addresses,
    plan: &Plan,
    gauge: &Gauge,
    disturb: impl FnOnce() -> anyhow::Result<D>,
) -> anyhow::Result<(Outcome, D)> {
    let mut load = Load::open(protocol, addresses, plan)?;
    let disturbance = disturb()?;
    load.start()?;
    load.turn_until(Instant::now() + plan.warm_up)?;

    let before = gauge.read()?;
    let started = Instant::now();
    load.tally.recording = true;
    load.turn_until(started + plan.duration)?;
    load.turn_until_a_reply(started + plan.duration + plan.drain_max)?;
    load.tally.recording = false;
    let elapsed = started.elapsed();
    let after = gauge.read()?;

    let lost = load.drain(plan.drain_max)?;
    let Tally { replies, latency_ns, mismatched, .. } = load.tally;
    Ok((Outcome { replies, elapsed, latency_ns, before, after, lost, mismatched }, disturbance))
}

struct Load<P: Protocol> {
    poll: Poll,
    events: Events,
    workers: Crowd<P::Worker>,
    clients: Crowd<P::Client>,
    /// One a client, in the same order.
    ledgers: Vec<Ledger>,
    /// The body of the next request, but for its stamps.
    body: Vec<u8>,
    tally: Tally,
    /// Whether a reply is followed by the next request.
    issuing: bool,
}

struct Tally {
    recording: bool,
    replies: u64,
    latency_ns: Histogram<u64>,
    mismatched: u64,
}

impl<P: Protocol> Load<P> {
    /// Workers first, so that the first request finds them all.
    fn open(protocol: &P, addresses: Addresses, plan: &Plan) -> anyhow::Result<Self> {
        let (mut poll, mut events) = (Poll::new()?, Events::with_capacity(EVENTS_MAX));
        let (clients, body_bytes) = (plan.pattern.clients, plan.body_bytes);
        let inbox_bytes = INBOX_BYTES_MIN.max(4 * body_bytes);
        let make = |_| protocol.worker();
        let workers = Crowd::open(&mut poll, &mut events, addresses.of_workers(), 0, plan.workers, inbox_bytes, make)?;
        let make = |index| protocol.client(index, body_bytes);
        let clients =
            Crowd::open(&mut poll, &mut events, addresses.of_clients(), plan.workers, clients, inbox_bytes, make)?;
        let ledgers =
            (0..plan.pattern.clients).map(|client| Ledger::new(client, plan.pattern.outstanding, body_bytes)).collect();
        let latency_ns = Histogram::new_with_bounds(1_000, 60_000_000_000, 3)?;
        let tally = Tally { recording: false, replies: 0, latency_ns, mismatched: 0 };
        let body = vec![b'.'; body_bytes];
        Ok(Self { poll, events, workers, clients, ledgers, body, tally, issuing: true })
    }

    /// Sends every client's first requests.
    fn start(&mut self) -> anyhow::Result<()> {
        // What reached a worker while clients were connecting woke nobody.
        self.workers.pump_all()?;
        for (connection, ledger) in self.clients.connections.iter_mut().zip(&mut self.ledgers) {
            let (body, now) = (&mut self.body, Instant::now());
            connection.say(|client, output| {
                for slot in 0..ledger.slots() {
                    ledger.issue(slot, now, body);
                    client.request(body, output);
                }
            })?;
        }
        Ok(())
    }

    fn turn_until(&mut self, end: Instant) -> anyhow::Result<()> {
        while Instant::now() < end {
            self.turn(end)?;
        }
        Ok(())
    }

    /// A measured time without a single reply says nothing, so a starved machine gets longer for its first one.
    fn turn_until_a_reply(&mut self, end: Instant) -> anyhow::Result<()> {
        while self.tally.replies == 0 && Instant::now() < end {
            self.turn(end)?;
        }
        Ok(())
    }

    /// Stops asking and waits for what is out; the requests that never came back.
    fn drain(&mut self, time_max: Duration) -> anyhow::Result<u64> {
        self.issuing = false;
        let end = Instant::now() + time_max;
        loop {
            let missing: u64 = self.ledgers.iter().map(|ledger| ledger.outstanding() as u64).sum();
            if missing == 0 || Instant::now() >= end {
                return Ok(missing);
            }
            self.turn(end)?;
        }
    }

    fn turn(&mut self, end: Instant) -> anyhow::Result<()> {
        wait(&mut self.poll, &mut self.events, end.min(self.workers.next_heartbeat()))?;
        for arrival in &self.events {
            if self.workers.holds(arrival) {
                self.workers.pump(arrival, |_, _, _| Ok(())).context("a worker's connection")?;
                continue;
            }
            let (ledgers, body, tally, issuing) = (&mut self.ledgers, &mut self.body, &mut self.tally, self.issuing);
            let Some(ledger) = ledgers.get_mut(self.clients.index(arrival)) else { continue };
            let mut now = None;
            let react = |client: &mut P::Client, output: &mut Vec<u8>, event: Event<'_>| {
                let settled = match event {
                    Event::Reply(reply) => ledger.settle(reply),
                    Event::Stored(number) => ledger.settle_number(number),
                    Event::Nothing | Event::Ready | Event::Served(_) => return Ok(()),
                };
                // One clock reading serves all replies of a read: they arrived together.
                let now = *now.get_or_insert_with(Instant::now);
                if let Some(slot) = tally.book(settled.ok(), now).filter(|_| issuing) {
                    ledger.issue(slot, now, body);
                    client.request(body, output);
                }
                Ok(())
            };
            self.clients.pump(arrival, react).context("a client's connection")?;
        }
        self.workers.heartbeat_if_due()
    }
}

impl Tally {
    /// Books a reply; the slot that is free again, unless the reply settled nothing.
    fn book(&mut self, settled: Option<(usize, Instant)>, now: Instant) -> Option<usize> {
        let Some((slot, sent)) = settled else {
            self.mismatched += 1;
            return None;
        };
        if self.recording {
            self.replies += 1;
            let latency_ns = u64::try_from(now.saturating_duration_since(sent).as_nanos()).unwrap_or(u64::MAX);
            self.latency_ns.saturating_record(latency_ns);
        }
        Some(slot)
    }
}

/// A client with a thousand small requests outstanding empties its socket in one read.
const INBOX_BYTES_MIN: usize = 256 << 10;
