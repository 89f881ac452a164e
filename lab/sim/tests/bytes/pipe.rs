//! One direction of a byte stream: octets in order, in pieces that the writer did not choose, until it ends or breaks.

use std::collections::VecDeque;
use std::time::Duration;

use protocol::Instant;
use sim::rng::Rng;

use crate::plan::Network;

/// The octets on their way.
pub(crate) struct Pipe {
    network: Network,
    rng: Rng,
    segments: VecDeque<(Instant, Vec<u8>)>,
    queued: usize,
    /// Octets that the writer got rid of.
    pub(crate) accepted: usize,
    /// Octets that the reader has.
    pub(crate) delivered: usize,
    /// Where the stream is cut, and whether by a reset.
    cut: Option<(usize, bool)>,
    flips: VecDeque<(usize, u32)>,
    /// The first octet that arrived with a turned bit.
    pub(crate) flipped_at: Option<usize>,
    /// The writer has closed it.
    closed: bool,
    last_at: Instant,
}

/// What comes out of a pipe.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    Octets(Vec<u8>),
    /// Nothing more will come.
    End,
    /// The whole connection is gone.
    Reset,
}

impl Pipe {
    pub(crate) fn new(network: Network, rng: Rng) -> Self {
        Self {
            network,
            rng,
            segments: VecDeque::new(),
            queued: 0,
            accepted: 0,
            delivered: 0,
            cut: None,
            flips: VecDeque::new(),
            flipped_at: None,
            closed: false,
            last_at: Instant::ZERO,
        }
    }

    /// Cuts the stream after so many octets.
    pub(crate) fn cut(&mut self, at: usize, reset: bool) {
        self.cut = Some((at, reset));
    }

    /// Turns a bit in each of these octets, in order.
    pub(crate) fn flip(&mut self, at: &[(usize, u32)]) {
        self.flips = at.iter().copied().collect();
    }

    /// Takes octets as far as there is room; returns how many.
    pub(crate) fn write(&mut self, now: Instant, octets: &[u8]) -> usize {
        let room = if self.closed { 0 } else { self.network.capacity - self.queued };
        let taken = octets.get(..room).unwrap_or(octets);
        let mut rest = taken;
        while !rest.is_empty() {
            let count = (1 + self.rng.index(self.network.segment_max)).min(rest.len());
            let (segment, behind) = rest.split_at(count);
            let at = self.arrival(now);
            self.segments.push_back((at, segment.to_vec()));
            rest = behind;
        }
        self.queued += taken.len();
        self.accepted += taken.len();
        taken.len()
    }

    /// Ends the stream after what was written.
    pub(crate) fn close(&mut self, now: Instant) {
        if !self.closed {
            self.closed = true;
            let at = self.arrival(now);
            self.segments.push_back((at, Vec::new()));
        }
    }

    /// Latency, and never before what went ahead.
    fn arrival(&mut self, now: Instant) -> Instant {
        let nanos = u64::try_from(self.network.latency_max.as_nanos()).unwrap();
        self.last_at = self.last_at.max(now + Duration::from_nanos(self.rng.below(nanos)));
        self.last_at
    }

    /// When the next piece arrives.
    pub(crate) fn next_at(&self) -> Option<Instant> {
        self.segments.front().map(|(at, _)| *at)
    }

    /// The next piece.
    pub(crate) fn take(&mut self) -> Arrival {
        let Some((_, mut octets)) = self.segments.pop_front() else { return Arrival::End };
        if octets.is_empty() {
            return Arrival::End;
        }
        self.queued -= octets.len();
        if let Some((cut, reset)) = self.cut
            && self.delivered + octets.len() >= cut
        {
            if self.delivered == cut {
                self.abandon();
                return if reset { Arrival::Reset } else { Arrival::End };
            }
            // What is in front of the cut still arrives, and the cut right behind it.
            octets.truncate(cut - self.delivered);
            self.segments.push_front((self.last_at, vec![0]));
            self.queued += 1;
        }
        self.turn_bits(&mut octets);
        self.delivered += octets.len();
        Arrival::Octets(octets)
    }

    /// Drops what is on its way; nothing more will come.
    pub(crate) fn abandon(&mut self) {
        self.closed = true;
        self.segments.clear();
        self.queued = 0;
    }

    fn turn_bits(&mut self, octets: &mut [u8]) {
        while let Some(&(at, bit)) = self.flips.front()
            && at < self.delivered + octets.len()
        {
            octets[at - self.delivered] ^= 1u8.rotate_left(bit);
            self.flipped_at = self.flipped_at.or(Some(at));
            self.flips.pop_front();
        }
    }
}
