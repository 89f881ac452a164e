//! Memory that many peers share: nobody is refused while there is room, and when it runs out the refusals meet those
//! who hold more than an equal share, so that a crowd of greedy peers cannot lock out a modest one.
//!
//! What a peer holds below [`FREE_BYTES`] is not counted, which keeps the shared counters out of the common path.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Octets that everybody may hold uncounted.
pub(crate) const FREE_BYTES: usize = 16 << 10;

/// The shared account.
#[derive(Debug)]
pub(crate) struct Budget {
    max: usize,
    bytes: AtomicUsize,
    holders: AtomicUsize,
}

/// What one peer holds; gives it back when dropped.
#[derive(Debug)]
pub(crate) struct Charge {
    budget: Arc<Budget>,
    counted: usize,
}

impl Budget {
    pub(crate) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { max, bytes: AtomicUsize::new(0), holders: AtomicUsize::new(0) })
    }

    /// Octets counted at the moment.
    #[cfg(test)]
    fn counted(&self) -> usize {
        self.bytes.load(Relaxed)
    }
}

impl Charge {
    pub(crate) fn new(budget: Arc<Budget>) -> Self {
        Self { budget, counted: 0 }
    }

    /// Whether this peer may come to hold `bytes`.
    pub(crate) fn allows(&self, bytes: usize) -> bool {
        let wanted = bytes.saturating_sub(FREE_BYTES);
        if wanted <= self.counted {
            return true;
        }
        let total = self.budget.bytes.load(Relaxed).saturating_add(wanted - self.counted);
        let holders = self.budget.holders.load(Relaxed) + usize::from(self.counted == 0);
        total <= self.budget.max || wanted <= self.budget.max / holders.max(1)
    }

    /// Says what this peer holds now.
    pub(crate) fn set(&mut self, bytes: usize) {
        let counted = bytes.saturating_sub(FREE_BYTES);
        if counted == self.counted {
            return;
        }
        match (self.counted, counted) {
            (0, _) => self.budget.holders.fetch_add(1, Relaxed),
            (_, 0) => self.budget.holders.fetch_sub(1, Relaxed),
            _ => 0,
        };
        if counted > self.counted {
            self.budget.bytes.fetch_add(counted - self.counted, Relaxed);
        } else {
            self.budget.bytes.fetch_sub(self.counted - counted, Relaxed);
        }
        self.counted = counted;
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lone_peer_may_hold_everything_and_no_more() {
        let budget = Budget::new(1000);
        let charge = Charge::new(Arc::clone(&budget));
        assert!(charge.allows(FREE_BYTES + 1000));
        assert!(!charge.allows(FREE_BYTES + 1001));
    }

    #[test]
    fn a_modest_peer_has_its_share_even_when_a_greedy_one_took_all() {
        let budget = Budget::new(1000);
        let (mut greedy, modest) = (Charge::new(Arc::clone(&budget)), Charge::new(Arc::clone(&budget)));
        greedy.set(FREE_BYTES + 1000);
        assert!(!greedy.allows(FREE_BYTES + 1001));
        assert!(modest.allows(FREE_BYTES + 500), "half is the share of one of two");
        assert!(!modest.allows(FREE_BYTES + 501));
    }

    #[test]
    fn what_is_given_back_is_counted_no_more() {
        let budget = Budget::new(1000);
        let mut charge = Charge::new(Arc::clone(&budget));
        charge.set(FREE_BYTES + 700);
        charge.set(FREE_BYTES + 300);
        assert_eq!(budget.counted(), 300);
        drop(charge);
        assert_eq!((budget.counted(), budget.holders.load(Relaxed)), (0, 0));
    }
}
