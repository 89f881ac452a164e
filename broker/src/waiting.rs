//! The workers of one service that can take a request, in the order in which they are called: whoever has the least in
//! flight for its credit, among equals the least recently used.
//!
//! ```text
//!   idle   [ 7 ][ 8 ][ 12 ]            by turn, which only grows: in at the back, out at the front
//!   busy   (1/4, 9) (1/4, 11) (1/2, 3)     by load, then by turn
//! ```
//!
//! A worker of 0.1 or 0.2 that waits is idle, and so are most others. The busy ones with credit left are so few that
//! their list is moved by a place faster than a tree finds one: with ten thousand of them that takes microseconds.

use protocol::PeerId;

use crate::numbered::Numbered;

/// A worker's place; never given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// What it has in flight for its credit; 0 when it is idle.
    pub(crate) load: u32,
    /// Greater than that of all who came before.
    pub(crate) turn: u64,
}

/// The line.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    idle: Numbered<PeerId>,
    /// The next one last.
    busy: Vec<(Place, PeerId)>,
}

impl Waiting {
    pub(crate) fn is_empty(&self) -> bool {
        self.idle.is_empty() && self.busy.is_empty()
    }

    /// How many have nothing in flight.
    pub(crate) fn idle(&self) -> usize {
        self.idle.len()
    }

    /// The worker whose turn it is.
    pub(crate) fn first(&self) -> Option<PeerId> {
        match self.idle.front() {
            Some((_, peer)) => Some(*peer),
            None => self.busy.last().map(|(_, peer)| *peer),
        }
    }

    /// The worker whose turn is the last.
    pub(crate) fn last(&self) -> Option<PeerId> {
        let busy = self.busy.first().map(|(_, peer)| *peer);
        busy.or_else(|| self.idle.back().map(|(_, peer)| *peer))
    }

    /// All of them, the next one first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = PeerId> {
        self.idle.iter().chain(self.busy.iter().rev().map(|(_, peer)| peer)).copied()
    }

    pub(crate) fn insert(&mut self, place: Place, peer: PeerId) {
        if place.load == 0 {
            return self.idle.push_back(place.turn, peer);
        }
        let at = self.busy.partition_point(|(other, _)| *other > place);
        self.busy.insert(at, (place, peer));
    }

    pub(crate) fn remove(&mut self, place: Place) {
        if place.load == 0 {
            self.idle.take(place.turn);
        } else if let Ok(at) = self.busy.binary_search_by(|(other, _)| place.cmp(other)) {
            self.busy.remove(at);
        }
    }
}
