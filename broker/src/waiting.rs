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
use protocol::numbered::Numbered;

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

    /// A worker that stood at one place stands at another from now on; `None` is no place in this line.
    #[inline]
    pub(crate) fn change(&mut self, from: Option<Place>, to: Option<Place>, peer: PeerId) {
        match (from, to) {
            (Some(from), Some(to)) if from.load > 0 && to.load > 0 => self.shift(from, to, peer),
            _ => {
                from.into_iter().for_each(|from| self.remove(from));
                to.into_iter().for_each(|to| self.insert(to, peer));
            }
        }
    }

    /// One request more or less moves a busy worker by a few places at most.
    fn shift(&mut self, from: Place, to: Place, peer: PeerId) {
        let Some(mut at) = self.find(from) else { return };
        while self.busy.get(at + 1).is_some_and(|(other, _)| *other > to) {
            self.busy.swap(at, at + 1);
            at += 1;
        }
        while at > 0 && self.busy.get(at - 1).is_some_and(|(other, _)| *other < to) {
            self.busy.swap(at - 1, at);
            at -= 1;
        }
        if let Some(place) = self.busy.get_mut(at) {
            *place = (to, peer);
        }
    }

    /// Where a busy worker stands: mostly it is the next one, who has just been called.
    fn find(&self, place: Place) -> Option<usize> {
        match self.busy.last() {
            Some((last, _)) if *last == place => Some(self.busy.len() - 1),
            _ => self.busy.binary_search_by(|(other, _)| place.cmp(other)).ok(),
        }
    }

    fn insert(&mut self, place: Place, peer: PeerId) {
        if place.load == 0 {
            return self.idle.push_back(place.turn, peer);
        }
        let at = self.busy.partition_point(|(other, _)| *other > place);
        self.busy.insert(at, (place, peer));
    }

    fn remove(&mut self, place: Place) {
        if place.load == 0 {
            self.idle.take(place.turn);
        } else if let Some(at) = self.find(place) {
            self.busy.remove(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Any history of workers that are given requests and answer them, beside a list that is sorted anew.
    #[test]
    fn whoever_has_the_least_and_has_waited_longest_is_next() {
        let mut random = fastrand::Rng::with_seed(7);
        let mut draw = |below: u64| random.u64(..below);
        let (mut line, mut places) = (Waiting::default(), [None; 9]);
        for turn in 1..=50_000 {
            let who = draw(9);
            let load = u32::try_from(draw(6)).unwrap();
            let to = (load < 5).then_some(Place { load, turn });
            let place = &mut places[usize::try_from(who).unwrap()];
            line.change(std::mem::replace(place, to), to, PeerId(who));
            let mut sorted: Vec<_> =
                (0..).map(PeerId).zip(&places).filter_map(|(peer, place)| Some(((*place)?, peer))).collect();
            sorted.sort_unstable();
            assert!(line.iter().eq(sorted.iter().map(|(_, peer)| *peer)), "{line:?}");
            assert_eq!(line.first(), sorted.first().map(|(_, peer)| *peer));
            assert_eq!(line.last(), sorted.last().map(|(_, peer)| *peer));
            assert_eq!(line.is_empty(), sorted.is_empty());
        }
    }
}
