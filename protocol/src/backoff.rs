//! Delays between attempts that grow, up to a ceiling, and never fall in step with anybody else's.
//!
//! A thousand workers that lost one broker must not come back in the same millisecond. The jitter is computed from a
//! seed that the driver hands in, so that a machine with the same seed waits the same on every run.

use std::time::Duration;

use crate::mutants::{self, Mutant};

/// Doubles from a first delay to a ceiling; each delay is jittered to between half of its step and the whole of it.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    max: Duration,
    step: Duration,
    seed: u64,
}

impl Backoff {
    /// Starts at `first` and grows to `max`; a `max` below `first` counts as `first`.
    pub fn new(first: Duration, max: Duration, seed: u64) -> Self {
        Self { first, max: max.max(first), step: first, seed }
    }

    /// The next delay; the one after it is drawn from twice the step.
    pub fn next_delay(&mut self) -> Duration {
        let step = self.step;
        let factor = if mutants::on(Mutant::NeverGrow) { 1 } else { 2 };
        self.step = step.saturating_mul(factor).min(self.max);
        let half = step / 2;
        half + half.mul_f64(self.fraction())
    }

    /// An attempt succeeded: the next failure starts at the first delay again.
    pub fn reset(&mut self) {
        self.step = if mutants::on(Mutant::NeverReset) { self.step } else { self.first };
    }

    /// A number from 0 up to 1. The mixing is that of SplitMix64 (Steele, Lea, Flood 2014): plenty for spreading load.
    fn fraction(&mut self) -> f64 {
        self.seed = self.seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.seed;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^= mixed >> 31;
        f64::from(u32::try_from(mixed >> 32).unwrap_or(u32::MAX)) / (f64::from(u32::MAX) + 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_millis(250);
    const MAX: Duration = Duration::from_secs(2);

    #[test]
    fn delays_double_to_the_ceiling_and_stay_within_half_a_step_of_it() {
        let mut backoff = Backoff::new(FIRST, MAX, 7);
        for step in [250, 500, 1000, 2000, 2000, 2000].map(Duration::from_millis) {
            let delay = backoff.next_delay();
            assert!(delay >= step / 2 && delay <= step, "{delay:?} of {step:?}");
        }
    }

    #[test]
    fn a_success_starts_again_at_the_first_delay() {
        let mut backoff = Backoff::new(FIRST, MAX, 7);
        for _ in 0..5 {
            backoff.next_delay();
        }
        backoff.reset();
        assert!(backoff.next_delay() <= FIRST);
    }

    #[test]
    fn the_same_seed_waits_the_same_and_another_seed_does_not() {
        let delays = |seed| {
            let mut backoff = Backoff::new(FIRST, MAX, seed);
            [(); 4].map(|()| backoff.next_delay())
        };
        assert_eq!(delays(1), delays(1));
        assert_ne!(delays(1), delays(2));
    }

    #[test]
    fn a_ceiling_of_centuries_saturates() {
        let mut backoff = Backoff::new(Duration::MAX, Duration::ZERO, 1);
        for _ in 0..3 {
            assert!(backoff.next_delay() <= Duration::MAX);
        }
    }
}
