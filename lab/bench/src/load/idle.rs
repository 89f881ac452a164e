//! Clients that are there and ask nothing: for measuring what a connection costs its server.

use std::time::{Duration, Instant};

use anyhow::bail;
use mio::{Events, Poll};

use super::crowd::{Crowd, EVENTS_MAX, READY_MAX, WAVE, wait};
use crate::peers::Addresses;
use crate::wire::{Caller, Event, Protocol};

/// Connections that were taken in and then say nothing but what keeps them alive: for measuring what they cost.
pub struct Idle<P: Protocol> {
    crowd: Crowd<P::Client>,
    /// The one worker that answers when they ask.
    worker: Crowd<P::Worker>,
    poll: Poll,
    events: Events,
}

impl<P: Protocol> Idle<P> {
    /// Connects `count` clients, a few at a time, and then a worker.
    ///
    /// # Errors
    /// As [`run`](super::run).
    pub fn open(protocol: &P, addresses: Addresses, count: usize) -> anyhow::Result<Self> {
        let (mut poll, mut events) = (Poll::new()?, Events::with_capacity(EVENTS_MAX));
        let make = |index| protocol.client(index, IDLE_BODY_BYTES);
        let mut crowd = Crowd::open(&mut poll, &mut events, addresses.of_clients(), 0, count, IDLE_INBOX_BYTES, make)?;
        let make = |_| protocol.worker();
        let worker = Crowd::open(&mut poll, &mut events, addresses.of_workers(), count, 1, IDLE_INBOX_BYTES, make)?;
        // What reached a client while the worker was connecting woke nobody.
        crowd.pump_all()?;
        Ok(Self { crowd, worker, poll, events })
    }

    /// Lets every client ask once, a few at a time, and waits for the replies.
    ///
    /// # Errors
    /// As [`run`](super::run).
    pub fn ask_once(&mut self) -> anyhow::Result<()> {
        let count = self.crowd.connections.len();
        for first in (0..count).step_by(WAVE) {
            let mut missing = 0;
            for connection in self.crowd.connections.iter_mut().skip(first).take(WAVE) {
                connection.say(|client, output| client.request(&[7; IDLE_BODY_BYTES], output))?;
                missing += 1;
            }
            let end = Instant::now() + READY_MAX;
            while missing > 0 {
                self.turn(end, |event| missing -= usize::from(matches!(event, Event::Reply(_))))?;
                if Instant::now() > end {
                    bail!("{missing} replies to idle clients are missing after {READY_MAX:?}");
                }
            }
        }
        Ok(())
    }

    /// Answers heartbeats for `time`; a connection that the server closes is an error.
    ///
    /// # Errors
    /// As [`run`](super::run).
    pub fn rest(&mut self, time: Duration) -> anyhow::Result<()> {
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.turn(end, |_| {})?;
        }
        Ok(())
    }

    fn turn(&mut self, end: Instant, mut notice: impl FnMut(&Event<'_>)) -> anyhow::Result<()> {
        wait(&mut self.poll, &mut self.events, end.min(self.worker.next_heartbeat()))?;
        for arrival in &self.events {
            self.worker.pump(arrival, |_, _, _| Ok(()))?;
            self.crowd.pump(arrival, |_, _, event| {
                notice(&event);
                Ok(())
            })?;
        }
        self.worker.heartbeat_if_due()
    }
}

/// Replies are this short, and heartbeats shorter.
const IDLE_INBOX_BYTES: usize = 1 << 10;
const IDLE_BODY_BYTES: usize = 16;
