//! What one worker knows of a database's [`Grant`], and what it may do with it. Pure: time comes as an argument.
//!
//! ```text
//!   asked         answered                     asked + lease
//!     |--------------|------------------------------|
//!     the store was asked: the grant was in force   |
//!     at some moment after this one                 from here on the cache may not answer: ask again
//! ```
//!
//! Whoever ends a tenure waits a [`Timing::lease`] before acting on it. So nobody answers from a cache whose tenure was
//! ended more than a lease ago, however little the workers can hear of each other; clocks need not agree, only run
//! at much the same speed.

use std::time::{Duration, Instant};

use super::grant::{Grant, Tenure};

/// How long things may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// For how long a worker relies on what it knows, counted from before it asked.
    pub lease: Duration,
    /// How often the holder shows in the store that it is in use.
    pub beat: Duration,
    /// After how long without a beat another cache may end the holder's tenure.
    pub silence: Duration,
    /// How long the place stays vacant after a tenure, so that a cache that some workers cannot reach is not granted
    /// again and again.
    pub settle: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            lease: Duration::from_millis(250),
            beat: Duration::from_secs(1),
            silence: Duration::from_secs(5),
            settle: Duration::from_secs(2),
        }
    }
}

impl Timing {
    /// How long to wait after the end of a tenure: a lease, and a tenth more for clocks that run slower than ours.
    pub fn wait(&self) -> Duration {
        self.lease + self.lease / 10
    }
}

/// One worker's knowledge of one database's grant.
#[derive(Debug, Clone, Default)]
pub struct Tenancy(Option<Seen>);

#[derive(Debug, Clone)]
struct Seen {
    grant: Grant,
    /// Before the store was asked for it.
    asked_at: Instant,
    /// When this revision was first seen.
    since: Instant,
}

impl Tenancy {
    /// The tag under which the cache of this instance may answer at this moment.
    pub fn serving(&self, now: Instant, instance: &str, timing: &Timing) -> Option<&str> {
        let seen = self.0.as_ref().filter(|seen| now < seen.asked_at + timing.lease)?;
        match &seen.grant.tenure {
            Tenure::Held { by, tag } if by == instance => Some(tag),
            _ => None,
        }
    }

    /// Whether what is known is too old to rely on, so that the store should be asked.
    pub fn is_stale(&self, now: Instant, timing: &Timing) -> bool {
        self.0.as_ref().is_none_or(|seen| now >= seen.asked_at + timing.lease)
    }

    /// The store was asked at one moment and answered at another. An answer to an earlier question than the last one
    /// counts for nothing.
    pub fn on_answer(&mut self, asked_at: Instant, answered_at: Instant, grant: Grant) {
        let since = match &self.0 {
            Some(seen) if seen.asked_at > asked_at => return,
            Some(seen) if seen.grant.revision == grant.revision => seen.since,
            _ => answered_at,
        };
        self.0 = Some(Seen { grant, asked_at, since });
    }

    /// The store has another revision than this one.
    pub fn on_refused(&mut self, revision: i64) {
        self.0.take_if(|seen| seen.grant.revision == revision);
    }

    /// What this worker, which reaches the cache of this instance, would put in the grant's place: the revision that it
    /// replaces, and the new grant. `tag` makes the tag of a tenure that begins.
    pub fn proposal(
        &self,
        now: Instant,
        instance: &str,
        tag: impl FnOnce() -> String,
        timing: &Timing,
    ) -> Option<(i64, Grant)> {
        let Seen { grant, since, .. } = self.0.as_ref()?;
        let age = now.saturating_duration_since(*since);
        let claim = || Tenure::Held { by: instance.to_owned(), tag: tag() };
        let tenure = match &grant.tenure {
            Tenure::Vacant if grant.revision == 0 || age >= timing.settle => claim(),
            Tenure::Ending if age >= timing.settle.max(timing.wait()) => claim(),
            held @ Tenure::Held { by, .. } if by == instance && age >= timing.beat => held.clone(),
            Tenure::Held { by, .. } if by != instance && age >= timing.silence => Tenure::Ending,
            _ => return None,
        };
        Some((grant.revision, grant.next(tenure)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMING: Timing = Timing {
        lease: Duration::from_millis(100),
        beat: Duration::from_secs(1),
        silence: Duration::from_secs(5),
        settle: Duration::from_secs(2),
    };

    fn millis(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    fn held(revision: i64, by: &str) -> Grant {
        Grant { revision, tenure: Tenure::Held { by: by.into(), tag: "tag".into() } }
    }

    fn new() -> String {
        "new".into()
    }

    fn knowing(at: Instant, grant: Grant) -> Tenancy {
        let mut tenancy = Tenancy::default();
        tenancy.on_answer(at, at + millis(10), grant);
        tenancy
    }

    #[test]
    fn a_lease_counts_from_before_the_question() {
        let start = Instant::now();
        let tenancy = knowing(start, held(1, "us"));
        assert_eq!(tenancy.serving(start + millis(99), "us", &TIMING), Some("tag"));
        assert_eq!(tenancy.serving(start + millis(100), "us", &TIMING), None);
        assert!(!tenancy.is_stale(start + millis(99), &TIMING) && tenancy.is_stale(start + millis(100), &TIMING));
    }

    #[test]
    fn only_the_instance_that_holds_the_grant_serves() {
        let start = Instant::now();
        assert_eq!(knowing(start, held(1, "them")).serving(start, "us", &TIMING), None);
        let ending = Grant { revision: 2, tenure: Tenure::Ending };
        assert_eq!(knowing(start, ending).serving(start, "us", &TIMING), None);
        assert_eq!(Tenancy::default().serving(start, "us", &TIMING), None);
    }

    #[test]
    fn an_answer_to_an_earlier_question_does_not_bring_back_what_ended() {
        let start = Instant::now();
        let mut tenancy = knowing(start + millis(5), Grant { revision: 2, tenure: Tenure::Ending });
        tenancy.on_answer(start, start + millis(20), held(1, "us"));
        assert_eq!(tenancy.serving(start + millis(21), "us", &TIMING), None);
    }

    #[test]
    fn what_the_store_contradicts_is_forgotten() {
        let start = Instant::now();
        let mut tenancy = knowing(start, held(4, "us"));
        tenancy.on_refused(3);
        assert_eq!(tenancy.serving(start, "us", &TIMING), Some("tag"), "that was about an earlier revision");
        tenancy.on_refused(4);
        assert_eq!(tenancy.serving(start, "us", &TIMING), None);
        assert!(tenancy.is_stale(start, &TIMING));
    }

    #[test]
    fn the_first_cache_claims_at_once_and_later_ones_after_the_place_has_settled() {
        let start = Instant::now();
        let claim = |revision, tag: &str| Grant { revision, tenure: Tenure::Held { by: "us".into(), tag: tag.into() } };
        let proposal = knowing(start, Grant::default()).proposal(start, "us", new, &TIMING);
        assert_eq!(proposal, Some((0, claim(1, "new"))));
        let vacated = knowing(start, Grant { revision: 7, tenure: Tenure::Vacant });
        assert_eq!(vacated.proposal(start + millis(2009), "us", new, &TIMING), None);
        assert_eq!(vacated.proposal(start + millis(2010), "us", new, &TIMING), Some((7, claim(8, "new"))));
    }

    #[test]
    fn nobody_claims_before_the_leases_of_an_ended_tenure_are_over() {
        let start = Instant::now();
        let hasty = Timing { settle: Duration::ZERO, ..TIMING };
        let ending = knowing(start, Grant { revision: 3, tenure: Tenure::Ending });
        assert_eq!(ending.proposal(start + millis(10) + millis(109), "us", new, &hasty), None);
        assert!(ending.proposal(start + millis(10) + millis(110), "us", new, &hasty).is_some());
    }

    #[test]
    fn a_holder_beats_and_keeps_its_tag() {
        let start = Instant::now();
        let tenancy = knowing(start, held(4, "us"));
        assert_eq!(tenancy.proposal(start + millis(1009), "us", new, &TIMING), None);
        assert_eq!(tenancy.proposal(start + millis(1010), "us", new, &TIMING), Some((4, held(5, "us"))));
    }

    #[test]
    fn a_holder_that_beats_is_left_alone_and_a_silent_one_is_ended() {
        let start = Instant::now();
        let mut tenancy = knowing(start, held(4, "them"));
        tenancy.on_answer(start + millis(4900), start + millis(4910), held(5, "them"));
        assert_eq!(tenancy.proposal(start + millis(9000), "us", new, &TIMING), None);
        let ended = Some((5, Grant { revision: 6, tenure: Tenure::Ending }));
        assert_eq!(tenancy.proposal(start + millis(9910), "us", new, &TIMING), ended);
    }
}
