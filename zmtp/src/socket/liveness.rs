//! Whether the peer still lives, as numbers: heartbeats of ours, and the time to live that the peer announced.
//!
//! Any octet that arrives is life, and so is a write that could go on after it had been stuck: somebody made room.
//! Mere writing is not, as a dead host's buffers take octets for a long while.

use std::time::Duration;

use tokio::time::Instant;

use crate::socket::options::Heartbeat;

/// The signs of life of one connection.
#[derive(Debug)]
pub(crate) struct Liveness {
    heartbeat: Option<Heartbeat>,
    alive_at: Instant,
    sent_at: Instant,
    probe_at: Instant,
    /// When our unanswered PING was sent.
    pinged_at: Option<Instant>,
    peer_ttl: Option<Duration>,
}

/// What time demands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Demand {
    /// Nothing.
    Nothing,
    /// Send a PING.
    Ping,
    /// The peer is dead.
    Bury,
}

impl Liveness {
    /// `heartbeat`: `None` where the peer does not know PING, or we do not want it.
    pub(crate) fn new(heartbeat: Option<Heartbeat>, now: Instant) -> Self {
        let interval = heartbeat.map_or(Duration::ZERO, |heartbeat| heartbeat.interval);
        let probe_at = now + interval;
        Self { heartbeat, alive_at: now, sent_at: now, probe_at, pinged_at: None, peer_ttl: None }
    }

    /// The peer showed that it lives.
    pub(crate) fn on_life(&mut self, now: Instant) {
        self.alive_at = now;
        self.pinged_at = None;
    }

    /// We wrote something.
    pub(crate) fn on_sent(&mut self, now: Instant) {
        self.sent_at = now;
    }

    /// The peer's PING said how long it may be silent.
    pub(crate) fn on_peer_ttl(&mut self, ttl: Option<Duration>) {
        self.peer_ttl = ttl;
    }

    /// When to ask [`demand`](Self::demand) next.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let silence = self.peer_ttl.map(|ttl| self.alive_at + ttl);
        let heartbeat = self.heartbeat.map(|heartbeat| match self.pinged_at {
            Some(pinged_at) => (pinged_at + heartbeat.timeout).min(self.probe_at),
            None => self.probe_at,
        });
        [silence, heartbeat].into_iter().flatten().min()
    }

    /// What the time `now` demands.
    pub(crate) fn demand(&mut self, now: Instant) -> Demand {
        if self.peer_ttl.is_some_and(|ttl| now >= self.alive_at + ttl) {
            return Demand::Bury;
        }
        let Some(heartbeat) = self.heartbeat else { return Demand::Nothing };
        if self.pinged_at.is_some_and(|pinged_at| now >= pinged_at + heartbeat.timeout) {
            return Demand::Bury;
        }
        if now < self.probe_at {
            return Demand::Nothing;
        }
        let since = self.probe_at - heartbeat.interval;
        self.probe_at = now + heartbeat.interval;
        // Silence of the peer asks for a sign of it; silence of ours would be death to a peer that heeds our TTL.
        if self.pinged_at.is_some() || (self.alive_at > since && self.sent_at > since) {
            return Demand::Nothing;
        }
        self.pinged_at = Some(now);
        Demand::Ping
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn heartbeat() -> Option<Heartbeat> {
        Some(Heartbeat { interval: 100 * MS, timeout: 50 * MS, ttl: Duration::ZERO })
    }

    #[test]
    fn a_silent_peer_is_probed_after_the_interval_and_buried_after_the_timeout() {
        let start = Instant::now();
        let mut liveness = Liveness::new(heartbeat(), start);
        assert_eq!(liveness.deadline(), Some(start + 100 * MS));
        assert_eq!(liveness.demand(start + 99 * MS), Demand::Nothing);
        assert_eq!(liveness.demand(start + 100 * MS), Demand::Ping);
        assert_eq!(liveness.deadline(), Some(start + 150 * MS));
        assert_eq!(liveness.demand(start + 149 * MS), Demand::Nothing);
        assert_eq!(liveness.demand(start + 150 * MS), Demand::Bury);
    }

    #[test]
    fn an_answer_in_time_saves_the_peer() {
        let start = Instant::now();
        let mut liveness = Liveness::new(heartbeat(), start);
        assert_eq!(liveness.demand(start + 100 * MS), Demand::Ping);
        liveness.on_life(start + 149 * MS);
        assert_eq!(liveness.demand(start + 150 * MS), Demand::Nothing);
        assert_eq!(liveness.demand(start + 200 * MS), Demand::Ping, "we wrote nothing ourselves");
    }

    #[test]
    fn traffic_both_ways_needs_no_ping_and_one_way_does() {
        let start = Instant::now();
        let mut liveness = Liveness::new(heartbeat(), start);
        liveness.on_life(start + 50 * MS);
        liveness.on_sent(start + 60 * MS);
        assert_eq!(liveness.demand(start + 100 * MS), Demand::Nothing);
        liveness.on_life(start + 150 * MS);
        assert_eq!(liveness.demand(start + 200 * MS), Demand::Ping, "the peer may count on hearing us");
    }

    #[test]
    fn a_peer_that_announced_a_time_to_live_is_buried_when_it_is_over() {
        let start = Instant::now();
        let mut liveness = Liveness::new(None, start);
        assert_eq!(liveness.deadline(), None);
        liveness.on_peer_ttl(Some(30 * MS));
        liveness.on_life(start + 10 * MS);
        assert_eq!(liveness.deadline(), Some(start + 40 * MS));
        assert_eq!(liveness.demand(start + 39 * MS), Demand::Nothing);
        assert_eq!(liveness.demand(start + 40 * MS), Demand::Bury);
    }

    #[test]
    fn a_timeout_longer_than_the_interval_sends_no_second_ping_meanwhile() {
        let start = Instant::now();
        let mut liveness = Liveness::new(Some(Heartbeat { timeout: 250 * MS, ..heartbeat().unwrap() }), start);
        assert_eq!(liveness.demand(start + 100 * MS), Demand::Ping);
        assert_eq!(liveness.demand(start + 200 * MS), Demand::Nothing);
        assert_eq!(liveness.demand(start + 300 * MS), Demand::Nothing);
        assert_eq!(liveness.demand(start + 350 * MS), Demand::Bury);
    }
}
