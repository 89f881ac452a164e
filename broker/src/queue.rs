//! The requests that wait for one service, fair to the clients that sent them.
//!
//! ```text
//!   returned   ─► [ those whose worker left, oldest first ]                       always next
//!   lane of A  ─► [ a1 a2 a3 ]  ┐
//!   lane of B  ─► [ b1 ]        ├─ one from each in turn:  a1 b1 c1 a2 c2 a3
//!   lane of C  ─► [ c1 c2 ]     ┘
//! ```
//!
//! In a lane the most urgent goes first; what a client claims of its requests concerns its own alone. A client that
//! floods waits behind itself, not in front of others (RFC 7: a broker SHOULD be fair to clients). When there is no
//! room, the last request of the client that holds most makes room for one that holds less.

use std::collections::VecDeque;

use protocol::mutants::{self, Mutant};
use protocol::{Instant, PeerId, Priority};
use rustc_hash::FxHashMap;

use crate::heaviest::Heaviest;
use crate::job::Job;
use crate::lane::{Lane, Turn};
use crate::row::Row;

/// A queue with a lane for each client.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    returned: Row,
    lanes: FxHashMap<PeerId, Lane>,
    /// A lane that is not used, with its memory: an idle queue makes and empties one for each request.
    spare: Option<Lane>,
    /// The clients with a request in their lane, the next one first. One that is gone is not searched for: its place
    /// goes stale and is skipped, and the ring is swept when half of it is stale.
    ring: VecDeque<(Turn, PeerId)>,
    stale: usize,
    turns: u64,
    /// Requests that have been put at the back, and in front.
    numbers: (u64, u64),
    len: usize,
    weight: usize,
    heaviest: Heaviest<PeerId>,
}

/// Where a request waits, by which it can be found again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seat {
    /// Among those whose worker left.
    Returned(u64),
    /// In the lane of a client.
    Lane { lane: PeerId, priority: Priority, number: u64 },
}

impl Queue {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// When the oldest of them was accepted.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        self.lanes.values().filter_map(Lane::first_accepted).chain(self.returned.first_accepted()).min()
    }

    /// How long the ring is, stale places included.
    #[cfg(test)]
    pub(crate) fn ring_len(&self) -> usize {
        self.ring.len()
    }

    /// Places of requests, stale ones included.
    #[cfg(test)]
    pub(crate) fn places(&self) -> usize {
        self.returned.places() + self.lanes.values().map(Lane::places).sum::<usize>()
    }

    /// What all that waits weighs.
    pub(crate) fn weight(&self) -> usize {
        self.weight
    }

    /// What waits of one client, weighed.
    pub(crate) fn weight_of(&self, client: PeerId) -> usize {
        self.lanes.get(&client).map_or(0, |lane| lane.weight)
    }

    /// Adds a request behind those of the same client.
    pub(crate) fn push_back(&mut self, job: Job) -> Seat {
        self.len += 1;
        self.weight += weight(&job);
        self.numbers.0 += 1;
        let (number, client, priority) = (self.numbers.0, job.client.peer, job.request.priority);
        let lane = self.lanes.entry(client).or_insert_with(|| self.spare.take().unwrap_or_default());
        if lane.is_empty() {
            self.turns += 1;
            lane.turn = Turn(self.turns);
            self.ring.push_back((lane.turn, client));
        }
        let before = lane.weight;
        lane.weight += weight(&job);
        self.heaviest.moved(client, before, lane.weight);
        lane.push_back(number, job);
        Seat::Lane { lane: client, priority, number }
    }

    /// Puts a request back that a worker has left behind; it is next.
    pub(crate) fn push_front(&mut self, job: Job) -> Seat {
        if mutants::on(Mutant::RequeueAtTheBack) {
            return self.push_back(job);
        }
        self.len += 1;
        self.weight += weight(&job);
        self.numbers.1 += 1;
        let number = u64::MAX - self.numbers.1;
        self.returned.push_front(number, job);
        Seat::Returned(number)
    }

    /// The next request: a returned one, else the most urgent of the client whose turn it is.
    pub(crate) fn pop_front(&mut self) -> Option<Job> {
        if let Some(job) = self.returned.pop_front() {
            self.forget(&job);
            return Some(job);
        }
        let (turn, client) = self.next_in_ring()?;
        let newest = mutants::on(Mutant::NewestFirst);
        let job = self.take_from(client, |lane| if newest { lane.pop_back() } else { lane.pop_front() })?;
        if self.lanes.contains_key(&client) {
            if mutants::on(Mutant::LanesDoNotTakeTurns) {
                self.ring.push_front((turn, client));
            } else {
                self.ring.push_back((turn, client));
            }
        }
        Some(job)
    }

    /// The request that waits at this place.
    pub(crate) fn get_mut(&mut self, seat: Seat) -> Option<&mut Job> {
        match seat {
            Seat::Returned(number) => self.returned.get_mut(number),
            Seat::Lane { lane, priority, number } => self.lanes.get_mut(&lane)?.get_mut(priority, number),
        }
    }

    /// Takes the request that waits at this place.
    pub(crate) fn take(&mut self, seat: Seat) -> Option<Job> {
        match seat {
            Seat::Returned(number) => {
                let job = self.returned.take(number)?;
                self.forget(&job);
                Some(job)
            }
            Seat::Lane { lane, priority, number } => self.take_out(lane, |lane| lane.take(priority, number)),
        }
    }

    /// Takes the last request of the client that holds most, if that is more than `weight`.
    pub(crate) fn evict_heavier_than(&mut self, weight_max: usize) -> Option<Job> {
        let lanes = &self.lanes;
        let weights = lanes.iter().map(|(client, lane)| (lane.weight, *client));
        let client = self.heaviest.find(weights).filter(|client| self.weight_of(*client) > weight_max)?;
        self.take_out(client, Lane::pop_back)
    }

    /// Takes the requests that have waited until `now`, oldest first in each lane.
    pub(crate) fn expire(&mut self, now: Instant) -> Vec<Job> {
        let mut expired = self.returned.expire(now);
        for (turn, client) in self.ring.clone() {
            let Some(lane) = self.lanes.get_mut(&client).filter(|lane| lane.turn == turn) else { continue };
            let late = lane.expire(now);
            let before = lane.weight;
            lane.weight -= late.iter().map(weight).sum::<usize>();
            self.heaviest.moved(client, before, lane.weight);
            expired.extend(late);
            if lane.is_empty() {
                self.close_lane(client);
                self.leave_ring();
            }
        }
        for job in &expired {
            self.forget(job);
        }
        expired
    }

    /// When the next request expires, looked for in every lane.
    pub(crate) fn first_expiry(&self) -> Option<Instant> {
        self.lanes.values().filter_map(Lane::first_expiry).chain(self.returned.first_expiry()).min()
    }

    /// Takes a request out of the lane of a client whose turn it is not.
    fn take_out(&mut self, client: PeerId, take: impl FnOnce(&mut Lane) -> Option<Job>) -> Option<Job> {
        let job = self.take_from(client, take)?;
        if !self.lanes.contains_key(&client) {
            self.leave_ring();
        }
        Some(job)
    }

    /// Takes a request from a lane, and the lane away if it was the last.
    fn take_from(&mut self, client: PeerId, take: impl FnOnce(&mut Lane) -> Option<Job>) -> Option<Job> {
        let lane = self.lanes.get_mut(&client)?;
        let job = take(lane)?;
        let before = lane.weight;
        lane.weight -= weight(&job);
        self.heaviest.moved(client, before, lane.weight);
        if lane.is_empty() {
            self.close_lane(client);
        }
        self.forget(&job);
        Some(job)
    }

    fn close_lane(&mut self, client: PeerId) {
        if let Some(mut lane) = self.lanes.remove(&client) {
            lane.reset();
            self.spare = Some(lane);
        }
    }

    /// The client whose turn it is, out of the ring.
    fn next_in_ring(&mut self) -> Option<(Turn, PeerId)> {
        while let Some((turn, client)) = self.ring.pop_front() {
            if self.holds(client, turn) {
                return Some((turn, client));
            }
            self.stale = self.stale.saturating_sub(1);
        }
        None
    }

    /// A client whose lane is gone leaves its place in the ring behind; sweeps when most of the ring is stale.
    fn leave_ring(&mut self) {
        self.stale += 1;
        if self.stale > 16 && self.stale * 2 > self.ring.len() {
            let lanes = &self.lanes;
            self.ring.retain(|(turn, client)| lanes.get(client).is_some_and(|lane| lane.turn == *turn));
            self.stale = 0;
        }
    }

    /// Whether a client stands at that place of the ring.
    fn holds(&self, client: PeerId, turn: Turn) -> bool {
        self.lanes.get(&client).is_some_and(|lane| lane.turn == turn)
    }

    fn forget(&mut self, job: &Job) {
        self.len -= 1;
        self.weight -= weight(job);
    }
}

/// What a waiting request costs: its body, and what it takes to remember it.
pub(crate) fn weight(job: &Job) -> usize {
    job.byte_count + JOB_BYTES
}

/// What a request costs beside its body.
pub(crate) const JOB_BYTES: usize = 512;
