//! Which ids become too old, in the order of their times.
//!
//! What has come to another end before is left in the line and skipped when its turn comes; when most of the line is
//! such, it is swept.

use std::collections::VecDeque;

use crate::log::Id;

/// Ids in the order in which something happened to them.
#[derive(Debug, Default)]
pub(super) struct Ages {
    line: VecDeque<(u64, Id)>,
}

impl Ages {
    pub(super) fn push(&mut self, at_ms: u64, id: Id) {
        // Clocks may be set back between two runs; the line stays in order, and somebody gets a little more time.
        let at_ms = self.line.back().map_or(at_ms, |(last, _)| at_ms.max(*last));
        self.line.push_back((at_ms, id));
    }

    /// The first one that is not younger than this.
    pub(super) fn pop_until(&mut self, limit_ms: u64) -> Option<Id> {
        self.line.front().filter(|(at, _)| *at <= limit_ms)?;
        self.pop()
    }

    /// The first one.
    pub(super) fn pop(&mut self) -> Option<Id> {
        self.line.pop_front().map(|(_, id)| id)
    }

    pub(super) fn first_ms(&self) -> Option<u64> {
        self.line.front().map(|(at, _)| *at)
    }

    /// Whether most of the line has ended otherwise, when only so many have not.
    pub(super) fn is_stale(&self, alive: u64) -> bool {
        self.line.len() as u64 > alive.saturating_mul(2).saturating_add(SLACK)
    }

    pub(super) fn sweep(&mut self, mut is_alive: impl FnMut(&Id) -> bool) {
        self.line.retain(|(_, id)| is_alive(id));
    }

    /// Puts the ids of an opened log in order.
    pub(super) fn sort(&mut self) {
        self.line.make_contiguous().sort_unstable();
    }

    /// As [`push`](Self::push), for what is sorted later.
    pub(super) fn push_unsorted(&mut self, at_ms: u64, id: Id) {
        self.line.push_back((at_ms, id));
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.line.len()
    }
}

const SLACK: u64 = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_go_first_and_no_one_before_its_time() {
        let mut ages = Ages::default();
        for (at, number) in [(10, 1), (20, 2), (15, 3)] {
            ages.push(at, Id([number; 16]));
        }
        assert_eq!(ages.pop_until(9), None);
        assert_eq!(ages.pop_until(19), Some(Id([1; 16])));
        assert_eq!(ages.pop_until(19), None);
        assert_eq!((ages.pop_until(20), ages.pop_until(20)), (Some(Id([2; 16])), Some(Id([3; 16]))));
        assert_eq!(ages.first_ms(), None);
    }

    #[test]
    fn a_line_of_the_ended_is_swept() {
        let mut ages = Ages::default();
        for number in 0..=255 {
            (0..8).for_each(|_| ages.push(1, Id([number; 16])));
        }
        assert!(!ages.is_stale(2048) && ages.is_stale(8));
        ages.sweep(|id| id.0[0] == 7);
        assert_eq!(ages.len(), 8);
    }
}
