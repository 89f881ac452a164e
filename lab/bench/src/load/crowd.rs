//! Connections of one kind: opened in waves, found by token, pumped when something arrives.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use mio::event::Event as Arrival;
use mio::{Events, Poll, Token};

use super::connection::Connection;
use super::tunnel::Curve;
use crate::wire::{Event, Speaker};

/// Connections of one kind, whose tokens follow each other.
pub(super) struct Crowd<S> {
    first_token: usize,
    pub(super) connections: Vec<Connection<S>>,
    next_heartbeat: Instant,
}

impl<S: Speaker> Crowd<S> {
    /// Connects `count` speakers in waves, each of which is taken in before the next: no accept queue overflows, and a
    /// server that limits half-open connections is not provoked.
    pub(super) fn open(
        poll: &mut Poll,
        events: &mut Events,
        (address, curve): (SocketAddr, Option<&Curve>),
        first_token: usize,
        count: usize,
        inbox_bytes: usize,
        make: impl Fn(usize) -> S,
    ) -> anyhow::Result<Self> {
        let next_heartbeat = Instant::now() + HEARTBEAT_INTERVAL;
        let mut crowd = Self { first_token, connections: Vec::with_capacity(count), next_heartbeat };
        while crowd.connections.len() < count {
            let wave = WAVE.min(count - crowd.connections.len());
            for _ in 0..wave {
                let index = crowd.connections.len();
                let token = Token(first_token + index);
                crowd.connections.push(Connection::open(
                    address,
                    curve,
                    make(index),
                    inbox_bytes,
                    poll.registry(),
                    token,
                )?);
            }
            crowd.await_ready(poll, events, wave)?;
        }
        Ok(crowd)
    }

    /// When [`Crowd::heartbeat_if_due`] has something to do next.
    pub(super) fn next_heartbeat(&self) -> Instant {
        self.next_heartbeat
    }

    /// Lets every speaker give its sign of life, once an interval.
    pub(super) fn heartbeat_if_due(&mut self) -> anyhow::Result<()> {
        let now = Instant::now();
        if now < self.next_heartbeat {
            return Ok(());
        }
        self.next_heartbeat = now + HEARTBEAT_INTERVAL;
        self.connections.iter_mut().try_for_each(|connection| connection.say(Speaker::heartbeat))
    }

    fn await_ready(&mut self, poll: &mut Poll, events: &mut Events, mut missing: usize) -> anyhow::Result<()> {
        let end = Instant::now() + READY_MAX;
        while missing > 0 {
            if Instant::now() >= end {
                bail!("{missing} connections were not taken in within {READY_MAX:?}");
            }
            wait(poll, events, end)?;
            for arrival in &*events {
                self.pump(arrival, |_, _, event| {
                    missing -= usize::from(event == Event::Ready);
                    Ok(())
                })?;
            }
        }
        Ok(())
    }

    /// Whether `arrival` is at one of our connections.
    pub(super) fn holds(&self, arrival: &Arrival) -> bool {
        self.index(arrival) < self.connections.len()
    }

    /// Place of the connection in the crowd, past its end when it is not ours.
    pub(super) fn index(&self, arrival: &Arrival) -> usize {
        arrival.token().0.wrapping_sub(self.first_token)
    }

    /// Pumps the connection of `arrival`, if it is one of ours.
    pub(super) fn pump(
        &mut self,
        arrival: &Arrival,
        react: impl FnMut(&mut S, &mut Vec<u8>, Event<'_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let index = self.index(arrival);
        let Some(connection) = self.connections.get_mut(index) else { return Ok(()) };
        connection.pump(arrival.is_read_closed(), react)
    }

    /// Reads every connection once, whether or not anything was heard of it.
    pub(super) fn pump_all(&mut self) -> anyhow::Result<()> {
        self.connections.iter_mut().try_for_each(|connection| connection.pump(false, |_, _, _| Ok(())))
    }
}

/// Blocks until something arrives or `end` is near.
pub(super) fn wait(poll: &mut Poll, events: &mut Events, end: Instant) -> anyhow::Result<()> {
    match poll.poll(events, Some(end.saturating_duration_since(Instant::now()))) {
        Err(error) if error.kind() != std::io::ErrorKind::Interrupted => Err(error).context("waiting for the server"),
        _ => Ok(()),
    }
}

/// Connections that are opened together.
pub(super) const WAVE: usize = 32;
/// How long a wave may take to be taken in, or to be answered.
pub(super) const READY_MAX: Duration = Duration::from_secs(10);
/// Well under the 2.5 s that MDP's references use.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(1);
/// Arrivals handled between two waits.
pub(super) const EVENTS_MAX: usize = 512;
