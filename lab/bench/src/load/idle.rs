//! Clients that are there and ask nothing: for measuring what a connection costs its server.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::bail;
use mio::{Events, Poll};

use super::crowd::{Crowd, EVENTS_MAX, READY_MAX, WAVE, wait};
use crate::wire::{Caller, Event, Protocol};

/// Connections that were taken in and then say nothing but what keeps them alive: for measuring what they cost.
pub struct Idle<P: Protocol> {
    crowd: Crowd<P::Client>,
    poll: Poll,
    events: Events,
}

impl<P: Protocol> Idle<P> {
    /// Connects `count` clients, a few at a time.
    ///
    /// # Errors
    /// As [`run`].
    pub fn open(protocol: &P, address: SocketAddr, count: usize) -> anyhow::Result<Self> {
        let (mut poll, mut events) = (Poll::new()?, Events::with_capacity(EVENTS_MAX));
        let make = |index| protocol.client(index, IDLE_BODY_BYTES);
        let crowd = Crowd::open(&mut poll, &mut events, address, 0, count, IDLE_INBOX_BYTES, make)?;
        Ok(Self { crowd, poll, events })
    }

    /// Lets every client ask once, a few at a time, and waits for the replies.
    ///
    /// # Errors
    /// As [`run`].
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
    /// As [`run`].
    pub fn rest(&mut self, time: Duration) -> anyhow::Result<()> {
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.turn(end, |_| {})?;
        }
        Ok(())
    }

    fn turn(&mut self, end: Instant, mut notice: impl FnMut(&Event<'_>)) -> anyhow::Result<()> {
        wait(&mut self.poll, &mut self.events, end)?;
        for arrival in &self.events {
            self.crowd.pump(arrival, |_, _, event| {
                notice(&event);
                Ok(())
            })?;
        }
        Ok(())
    }
}

/// Replies are this short, and heartbeats shorter.
const IDLE_INBOX_BYTES: usize = 1 << 10;
const IDLE_BODY_BYTES: usize = 16;
