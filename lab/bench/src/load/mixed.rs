//! Short and long jobs for a few workers that do one thing at a time: does a short job wait behind a long one?
//!
//! Jobs arrive at random moments, whether or not earlier ones are answered, and the same ones for every server. A job
//! takes its worker a while, which is a wait and no work. Latency counts from the moment at which a job was due, so
//! that nothing hides behind a generator that is late. It never sleeps: a millisecond has to be one.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use anyhow::Context;
use fastrand::Rng;
use hdrhistogram::Histogram;
use mio::{Events, Poll};

use super::crowd::{Crowd, EVENTS_MAX, wait};
use super::ledger::Ledger;
use crate::peers::Addresses;
use crate::wire::deferred::Deferred;
use crate::wire::{Caller, Event, Protocol};

/// What arrives, and how much of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Mix {
    /// How long a short job takes.
    pub short: Duration,
    /// How long a long one takes.
    pub long: Duration,
    /// The part of all jobs that is long.
    pub long_share: f64,
    /// The part of the workers' time that all jobs together need.
    pub load: f64,
    /// Workers, each on a connection of its own.
    pub workers: usize,
    /// How long jobs arrive.
    pub duration: Duration,
    /// How long the last ones may take before they count as lost.
    pub drain_max: Duration,
}

/// What came of it.
#[derive(Debug)]
pub struct MixedOutcome {
    /// From the moment when a short job was due to its reply, nanoseconds.
    pub short_ns: Histogram<u64>,
    /// The same of long ones.
    pub long_ns: Histogram<u64>,
    /// Jobs that were never answered.
    pub lost: u64,
    /// Replies that fitted no job.
    pub mismatched: u64,
}

impl Mix {
    /// Jobs a second.
    pub fn rate(&self) -> f64 {
        let mean = self.long_share * self.long.as_secs_f64() + (1.0 - self.long_share) * self.short.as_secs_f64();
        self.load * self.workers as f64 / mean
    }

    fn time_of(&self, body: &[u8]) -> Duration {
        if body.get(KIND) == Some(&LONG_JOB) { self.long } else { self.short }
    }
}

/// Lets the jobs of `mix` arrive at the server at `addresses`; the same ones for the same `seed`.
///
/// # Errors
/// The server cannot be reached, closes a connection, breaks its protocol, or does not take our connections in.
pub fn run<P: Protocol>(protocol: &P, addresses: Addresses, mix: &Mix, seed: u64) -> anyhow::Result<MixedOutcome> {
    let mut load = Load::open(protocol, addresses, mix, seed)?;
    load.workers.pump_all()?;
    let start = Instant::now();
    load.next = start + load.gap();
    let end = start + mix.duration;
    while Instant::now() < end {
        load.turn(Some(end))?;
    }
    let give_up = Instant::now() + mix.drain_max;
    while load.missing() > 0 && Instant::now() < give_up {
        load.turn(None)?;
    }
    let lost = load.missing();
    Ok(MixedOutcome { lost, ..load.outcome })
}

struct Load<'mix, P: Protocol> {
    mix: &'mix Mix,
    poll: Poll,
    events: Events,
    workers: Crowd<Deferred<P::Worker>>,
    /// For each worker, when its jobs are done, in order.
    done: Vec<VecDeque<Instant>>,
    clients: Crowd<P::Client>,
    ledgers: Vec<Ledger>,
    /// Slots of each client that are not in use.
    free: Vec<Vec<usize>>,
    random: Rng,
    /// When the next job is due.
    next: Instant,
    turn: usize,
    body: Vec<u8>,
    outcome: MixedOutcome,
}

impl<'mix, P: Protocol> Load<'mix, P> {
    fn open(protocol: &P, addresses: Addresses, mix: &'mix Mix, seed: u64) -> anyhow::Result<Self> {
        let (mut poll, mut events) = (Poll::new()?, Events::with_capacity(EVENTS_MAX));
        let make = |_| Deferred::new(protocol.worker());
        let at = addresses.of_workers();
        let workers = Crowd::open(&mut poll, &mut events, at, 0, mix.workers, INBOX_BYTES, make)?;
        let make = |index| protocol.client(index, BODY_BYTES);
        let at = addresses.of_clients();
        let clients = Crowd::open(&mut poll, &mut events, at, mix.workers, CLIENTS, INBOX_BYTES, make)?;
        let histogram = || Histogram::new_with_bounds(1_000, 600_000_000_000, 3);
        let outcome = MixedOutcome { short_ns: histogram()?, long_ns: histogram()?, lost: 0, mismatched: 0 };
        Ok(Self {
            mix,
            poll,
            events,
            workers,
            done: vec![VecDeque::new(); mix.workers],
            clients,
            ledgers: (0..CLIENTS).map(|client| Ledger::new(client, SLOTS, BODY_BYTES)).collect(),
            free: vec![(0..SLOTS).collect(); CLIENTS],
            random: Rng::with_seed(seed),
            next: Instant::now(),
            turn: 0,
            body: vec![b'.'; BODY_BYTES],
            outcome,
        })
    }

    /// A random time until the next arrival: arrivals know nothing of each other.
    fn gap(&mut self) -> Duration {
        Duration::from_secs_f64(-(1.0 - self.random.f64()).ln() / self.mix.rate())
    }

    fn missing(&self) -> u64 {
        self.ledgers.iter().map(|ledger| ledger.outstanding() as u64).sum()
    }

    /// Jobs that are due until `end`, answers that are done, and whatever has arrived.
    fn turn(&mut self, end: Option<Instant>) -> anyhow::Result<()> {
        let now = Instant::now();
        while end.is_some_and(|end| self.next < end) && self.next <= now {
            self.ask()?;
            let gap = self.gap();
            self.next += gap;
        }
        for (worker, done) in self.workers.connections.iter_mut().zip(&mut self.done) {
            while done.front().is_some_and(|at| *at <= now) {
                done.pop_front();
                worker.say(Deferred::release)?;
            }
        }
        wait(&mut self.poll, &mut self.events, now)?;
        self.hear()?;
        self.workers.heartbeat_if_due()
    }

    /// The next job, by the next client.
    fn ask(&mut self) -> anyhow::Result<()> {
        let kind = if self.random.f64() < self.mix.long_share { LONG_JOB } else { SHORT_JOB };
        self.turn = (self.turn + 1) % CLIENTS;
        let (Some(ledger), Some(free), Some(client)) = (
            self.ledgers.get_mut(self.turn),
            self.free.get_mut(self.turn),
            self.clients.connections.get_mut(self.turn),
        ) else {
            return Ok(());
        };
        let slot = free.pop().context("more jobs wait than a client can count: the load is too high")?;
        if let Some(place) = self.body.get_mut(KIND) {
            *place = kind;
        }
        ledger.issue(slot, self.next, &mut self.body);
        client.say(|client, output| client.request(&self.body, output))
    }

    fn hear(&mut self) -> anyhow::Result<()> {
        for arrival in &self.events {
            if self.workers.holds(arrival) {
                let Some(done) = self.done.get_mut(self.workers.index(arrival)) else { continue };
                let mix = self.mix;
                let react = |_: &mut Deferred<P::Worker>, _: &mut Vec<u8>, event: Event<'_>| {
                    if let Event::Served(body) = event {
                        let now = Instant::now();
                        done.push_back(done.back().map_or(now, |last| now.max(*last)) + mix.time_of(body));
                    }
                    Ok(())
                };
                self.workers.pump(arrival, react).context("a worker's connection")?;
                continue;
            }
            let index = self.clients.index(arrival);
            let (Some(ledger), Some(free)) = (self.ledgers.get_mut(index), self.free.get_mut(index)) else { continue };
            let outcome = &mut self.outcome;
            let react = |_: &mut P::Client, _: &mut Vec<u8>, event: Event<'_>| {
                if let Event::Reply(reply) = event {
                    match ledger.settle(reply) {
                        Ok((slot, due)) => {
                            free.push(slot);
                            outcome.book(reply, due.elapsed());
                        }
                        Err(_) => outcome.mismatched += 1,
                    }
                }
                Ok(())
            };
            self.clients.pump(arrival, react).context("a client's connection")?;
        }
        Ok(())
    }
}

impl MixedOutcome {
    fn book(&mut self, reply: &[u8], latency: Duration) {
        let histogram = if reply.get(KIND) == Some(&LONG_JOB) { &mut self.long_ns } else { &mut self.short_ns };
        histogram.saturating_record(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX));
    }
}

/// A few, so that no server serves one connection only.
const CLIENTS: usize = 8;
/// Jobs that one client may have out.
const SLOTS: usize = 20_000;
const BODY_BYTES: usize = 64;
const INBOX_BYTES: usize = 256 << 10;
/// Where a body says what kind of job it is: behind the first stamp.
const KIND: usize = 8;
const SHORT_JOB: u8 = b's';
const LONG_JOB: u8 = b'l';
/// A short job.
pub const SHORT: Duration = Duration::from_millis(1);
/// A long one.
pub const LONG: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_keeps_the_workers_busy_for_their_share_of_the_time() {
        let mix = Mix {
            short: SHORT,
            long: LONG,
            long_share: 0.01,
            load: 0.5,
            workers: 4,
            duration: Duration::from_secs(1),
            drain_max: Duration::from_secs(1),
        };
        // A job takes 1.99 ms on average; four workers have 2 s of every second for them.
        assert!((mix.rate() - 2.0 / 0.001_99).abs() < 1e-6);
        assert_eq!(mix.time_of(b"12345678l......."), mix.long);
        assert_eq!(mix.time_of(b"12345678s......."), mix.short);
    }
}
