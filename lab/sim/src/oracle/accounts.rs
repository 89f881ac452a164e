//! A broker has counted exactly one end for every request that it took: a reply, or a failure.

use broker::Counters;

/// What the broker's own counters cannot tell.
#[derive(Debug, Default)]
pub(crate) struct Accounts {
    /// Questions to the broker itself, which it counts as requests and answers at once.
    pub(crate) management: u64,
}

impl Accounts {
    /// Once no request is queued or with a worker.
    pub(crate) fn check(&self, counters: &Counters) -> Result<(), String> {
        let ended = counters.replies + counters.failed + counters.duplicates + self.management;
        if counters.requests == ended {
            return Ok(());
        }
        let (requests, replies, failed) = (counters.requests, counters.replies, counters.failed);
        let management = self.management;
        Err(format!("{requests} requests, but {replies} replies, {failed} failures, {management} of its own"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_or_doubled_end_is_found() {
        let accounts = Accounts { management: 1 };
        let check = |requests, replies, failed| {
            accounts.check(&Counters { requests, replies, failed, ..Counters::default() }).is_ok()
        };
        assert!(check(10, 6, 3));
        assert!(!check(10, 6, 2) && !check(10, 7, 3));
    }
}
