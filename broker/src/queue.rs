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

use crate::job::Job;

/// A queue with a lane for each client.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    returned: VecDeque<Job>,
    lanes: FxHashMap<PeerId, Lane>,
    /// The clients with a request in their lane, the next one first.
    ring: VecDeque<PeerId>,
    len: usize,
    weight: usize,
    /// Who held most when it was last looked at or grew beyond it; a hint, checked before use.
    heaviest: Option<PeerId>,
}

#[derive(Debug, Default)]
struct Lane {
    jobs: VecDeque<Job>,
    weight: usize,
}

impl Queue {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
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
            self.ring.push_back(client);
        }
        lane.weight += weight(&job);
        lane.jobs.push_back(job);
        let lane_weight = lane.weight;
        if self.heaviest.is_none_or(|heaviest| self.weight_of(heaviest) < lane_weight) {
            self.heaviest = Some(client);
        }
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
        let client = self.ring.pop_front()?;
        let lane = self.lanes.get_mut(&client)?;
        let job = if mutants::on(Mutant::NewestFirst) { lane.jobs.pop_back() } else { lane.jobs.pop_front() }?;
        lane.weight -= weight(&job);
        if lane.jobs.is_empty() {
            self.lanes.remove(&client);
        } else if mutants::on(Mutant::LanesDoNotTakeTurns) {
            self.ring.push_front(client);
        } else {
            self.ring.push_back(client);
        }
        self.forget(&job);
        Some(job)
    }

    /// Takes the newest request of the client that holds most, if that is more than `weight`.
    pub(crate) fn evict_heavier_than(&mut self, weight_max: usize) -> Option<Job> {
        let is_heavier = |queue: &Self, client: PeerId| queue.weight_of(client) > weight_max;
        if !self.heaviest.is_some_and(|client| is_heavier(self, client)) {
            self.heaviest = self.ring.iter().copied().max_by_key(|client| self.weight_of(*client));
        }
        let client = self.heaviest.filter(|client| is_heavier(self, *client))?;
        let lane = self.lanes.get_mut(&client)?;
        let job = lane.jobs.pop_back()?;
        lane.weight -= weight(&job);
        if lane.jobs.is_empty() {
            self.drop_lane(client);
        }
        self.forget(&job);
        Some(job)
    }

    /// Takes the requests that have waited until `now`, oldest first in each lane. Within a lane requests expire in
    /// their order: all of one service wait equally long.
    pub(crate) fn expire(&mut self, now: Instant) -> Vec<Job> {
        let mut expired = Vec::new();
        while self.returned.front().is_some_and(|job| job.expires <= now) {
            expired.extend(self.returned.pop_front());
        }
        for client in self.ring.clone() {
            let Some(lane) = self.lanes.get_mut(&client) else { continue };
            while lane.jobs.front().is_some_and(|job| job.expires <= now) {
                if let Some(job) = lane.jobs.pop_front() {
                    lane.weight -= weight(&job);
                    expired.push(job);
                }
            }
            if lane.jobs.is_empty() {
                self.drop_lane(client);
            }
        }
        for job in &expired {
            self.forget(job);
        }
        expired
    }

    /// When the next request expires, looked for in every lane.
    pub(crate) fn first_expiry(&self) -> Option<Instant> {
        let lanes = self.ring.iter().filter_map(|client| self.lanes.get(client)?.jobs.front());
        self.returned.front().into_iter().chain(lanes).map(|job| job.expires).min()
    }

    fn drop_lane(&mut self, client: PeerId) {
        self.lanes.remove(&client);
        self.ring.retain(|other| *other != client);
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
