//! The requests that wait for one service, fair to the clients that sent them.
//!
//! ```text
//!   returned   ─► [ those whose worker left, oldest first ]                       always next
//!   lane of A  ─► [ a1 a2 a3 ]  ┐
//!   lane of B  ─► [ b1 ]        ├─ one from each in turn:  a1 b1 c1 a2 c2 a3
//!   lane of C  ─► [ c1 c2 ]     ┘
//! ```
//!
//! A client that floods waits behind itself, not in front of others (RFC 7: a broker SHOULD be fair to clients). When
//! there is no room, the newest request of the client that holds most makes room for one that holds less.

use std::collections::VecDeque;

use protocol::mutants::{self, Mutant};
use protocol::{Instant, PeerId};
use rustc_hash::FxHashMap;

use crate::heaviest::Heaviest;
use crate::job::Job;

/// A queue with a lane for each client.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    returned: VecDeque<Job>,
    lanes: FxHashMap<PeerId, Lane>,
    /// The clients with a request in their lane, the next one first. One that is gone is not searched for: its place
    /// goes stale and is skipped, and the ring is swept when half of it is stale.
    ring: VecDeque<(Turn, PeerId)>,
    stale: usize,
    turns: u64,
    len: usize,
    weight: usize,
    heaviest: Heaviest<PeerId>,
}

#[derive(Debug, Default)]
struct Lane {
    jobs: VecDeque<Job>,
    weight: usize,
    turn: Turn,
    /// Whether a request may expire before one that stands in front of it: clients set deadlines as they like.
    mixed: bool,
}

/// A client's place in the ring; never given twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Turn(u64);

impl Queue {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How long the ring is, stale places included.
    #[cfg(test)]
    pub(crate) fn ring_len(&self) -> usize {
        self.ring.len()
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
    pub(crate) fn push_back(&mut self, job: Job) {
        self.len += 1;
        self.weight += weight(&job);
        let client = job.client.peer;
        let lane = self.lanes.entry(client).or_default();
        if lane.jobs.is_empty() {
            self.turns += 1;
            lane.turn = Turn(self.turns);
            self.ring.push_back((lane.turn, client));
        }
        let before = lane.weight;
        lane.weight += weight(&job);
        self.heaviest.moved(client, before, lane.weight);
        lane.mixed |= lane.jobs.back().is_some_and(|last| last.expires > job.expires);
        lane.jobs.push_back(job);
    }

    /// Puts a request back that a worker has left behind; it is next.
    pub(crate) fn push_front(&mut self, job: Job) {
        if mutants::on(Mutant::RequeueAtTheBack) {
            return self.push_back(job);
        }
        self.len += 1;
        self.weight += weight(&job);
        self.returned.push_front(job);
    }

    /// The next request: a returned one, else the oldest of the client whose turn it is.
    pub(crate) fn pop_front(&mut self) -> Option<Job> {
        if let Some(job) = self.returned.pop_front() {
            self.forget(&job);
            return Some(job);
        }
        let (turn, client) = self.next_in_ring()?;
        let newest = mutants::on(Mutant::NewestFirst);
        let job = self.take(client, if newest { VecDeque::pop_back } else { VecDeque::pop_front })?;
        if self.lanes.contains_key(&client) {
            if mutants::on(Mutant::LanesDoNotTakeTurns) {
                self.ring.push_front((turn, client));
            } else {
                self.ring.push_back((turn, client));
            }
        }
        self.forget(&job);
        Some(job)
    }

    /// Takes the newest request of the client that holds most, if that is more than `weight`.
    pub(crate) fn evict_heavier_than(&mut self, weight_max: usize) -> Option<Job> {
        let lanes = &self.lanes;
        let weights = lanes.iter().map(|(client, lane)| (lane.weight, *client));
        let client = self.heaviest.find(weights).filter(|client| self.weight_of(*client) > weight_max)?;
        let job = self.take(client, VecDeque::pop_back)?;
        if !self.lanes.contains_key(&client) {
            self.leave_ring();
        }
        self.forget(&job);
        Some(job)
    }

    /// Takes the requests that have waited until `now`, oldest first in each lane.
    pub(crate) fn expire(&mut self, now: Instant) -> Vec<Job> {
        let mut expired = take_late(&mut self.returned, now, true);
        for (turn, client) in self.ring.clone() {
            let Some(lane) = self.lanes.get_mut(&client).filter(|lane| lane.turn == turn) else { continue };
            let late = take_late(&mut lane.jobs, now, lane.mixed);
            let before = lane.weight;
            lane.weight -= late.iter().map(weight).sum::<usize>();
            self.heaviest.moved(client, before, lane.weight);
            expired.extend(late);
            if lane.jobs.is_empty() {
                self.lanes.remove(&client);
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
        let first =
            |lane: &Lane| lane.jobs.iter().take(if lane.mixed { usize::MAX } else { 1 }).map(|job| job.expires).min();
        let lanes = self.lanes.values().filter_map(first);
        self.returned.iter().map(|job| job.expires).chain(lanes).min()
    }

    /// Takes a request from one end of a lane, and the lane away if it was the last.
    fn take(&mut self, client: PeerId, end: fn(&mut VecDeque<Job>) -> Option<Job>) -> Option<Job> {
        let lane = self.lanes.get_mut(&client)?;
        let job = end(&mut lane.jobs)?;
        let before = lane.weight;
        lane.weight -= weight(&job);
        self.heaviest.moved(client, before, lane.weight);
        if lane.jobs.is_empty() {
            self.lanes.remove(&client);
        }
        Some(job)
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

/// Takes what has expired by `now`. Where nothing is mixed it stands in front.
fn take_late(jobs: &mut VecDeque<Job>, now: Instant, mixed: bool) -> Vec<Job> {
    if mixed {
        let (late, others): (Vec<_>, Vec<_>) = jobs.drain(..).partition(|job| job.expires <= now);
        *jobs = others.into();
        return late;
    }
    let count = jobs.iter().take_while(|job| job.expires <= now).count();
    jobs.drain(..count).collect()
}

/// What a waiting request costs: its body, and what it takes to remember it.
pub(crate) fn weight(job: &Job) -> usize {
    job.byte_count + JOB_BYTES
}

/// What a request costs beside its body.
pub(crate) const JOB_BYTES: usize = 512;
