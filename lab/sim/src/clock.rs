//! A node's own clock: it drifts and it jumps.
//!
//! Machines are promised that `now` never goes backwards. A real driver reads a monotonic clock; so does this one: when
//! the clock is set back, the reading stands still until the clock has caught up. A jump forward (a machine that slept,
//! a corrected clock) is passed on as it is.

use protocol::Instant;

use crate::queue::Nanos;

/// A clock. It shows [`ORIGIN`] at the beginning of the world.
#[derive(Debug, Clone)]
pub(crate) struct Clock {
    /// A pair of readings that belong together: of the world, and of this clock.
    world: Nanos,
    local: Nanos,
    /// Parts per million by which it runs fast (or slow, when negative).
    drift_ppm: i32,
    shown: Nanos,
}

/// What a clock shows at the beginning: late enough that it can be set back.
const ORIGIN: Nanos = 1 << 40;
const MILLION: u128 = 1_000_000;

impl Clock {
    pub(crate) fn new(drift_ppm: i32) -> Self {
        Self { world: 0, local: ORIGIN, drift_ppm, shown: 0 }
    }

    /// What it shows when the world's time is `now`; never less than before.
    pub(crate) fn read(&mut self, now: Nanos) -> Instant {
        self.shown = self.shown.max(self.raw(now));
        Instant::from_nanos(self.shown)
    }

    /// The world's time at which it will show `local`; never before `now`.
    pub(crate) fn world_time(&self, now: Nanos, local: Instant) -> Nanos {
        let ahead = u128::from(local.as_nanos().saturating_sub(self.local));
        let needed = (ahead * MILLION).div_ceil(self.speed());
        let needed = Nanos::try_from(needed).unwrap_or(Nanos::MAX);
        self.world.saturating_add(needed).max(now)
    }

    pub(crate) fn jump_forward(&mut self, now: Nanos, by: Nanos) {
        self.rebase(now);
        self.local = self.local.saturating_add(by);
    }

    pub(crate) fn jump_back(&mut self, now: Nanos, by: Nanos) {
        self.rebase(now);
        self.local = self.local.saturating_sub(by);
    }

    pub(crate) fn drift(&mut self, now: Nanos, ppm: i32) {
        self.rebase(now);
        self.drift_ppm = ppm;
    }

    fn rebase(&mut self, now: Nanos) {
        self.local = self.raw(now);
        self.world = now;
    }

    fn raw(&self, now: Nanos) -> Nanos {
        let passed = u128::from(now.saturating_sub(self.world)) * self.speed() / MILLION;
        self.local.saturating_add(Nanos::try_from(passed).unwrap_or(Nanos::MAX))
    }

    /// Millionths of a local second that pass in a second of the world; a clock never stops.
    fn speed(&self) -> u128 {
        u128::try_from(1_000_000 + i64::from(self.drift_ppm)).unwrap_or(1).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Nanos = 1_000_000_000;

    #[test]
    fn a_fast_clock_reaches_its_deadline_early_and_never_before_it() {
        for ppm in [-50_000, -7, 0, 13, 50_000] {
            let mut clock = Clock::new(ppm);
            let deadline = Instant::from_nanos(ORIGIN + 10 * SECOND + 1);
            let at = clock.world_time(0, deadline);
            assert_eq!(at < 10 * SECOND, ppm > 0, "{ppm}");
            assert!(clock.read(at) >= deadline, "{ppm}");
        }
    }

    #[test]
    fn a_clock_that_is_set_back_stands_still_until_it_has_caught_up() {
        let mut clock = Clock::new(0);
        let before = clock.read(5 * SECOND);
        clock.jump_back(5 * SECOND, 2 * SECOND);
        assert_eq!(clock.read(6 * SECOND), before);
        assert_eq!(clock.read(8 * SECOND).since(before).as_secs(), 1);
    }

    #[test]
    fn a_jump_forward_makes_a_deadline_due_at_once() {
        let mut clock = Clock::new(0);
        let deadline = Instant::from_nanos(ORIGIN + 100 * SECOND);
        clock.jump_forward(SECOND, 200 * SECOND);
        assert_eq!(clock.world_time(SECOND, deadline), SECOND);
    }
}
