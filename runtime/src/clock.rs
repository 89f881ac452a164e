//! The clock of one process: monotonic nanoseconds since it started, as [`protocol::Instant`].

use std::time::Duration;

use protocol::Instant;

/// A monotonic clock. Copies agree with each other.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: tokio::time::Instant,
}

impl Clock {
    /// A clock whose origin is one second ago, so that no machine mistakes its first instant for "never".
    pub fn start() -> Self {
        let now = tokio::time::Instant::now();
        Self { origin: now.checked_sub(Duration::from_secs(1)).unwrap_or(now) }
    }

    /// The present.
    pub fn now(&self) -> Instant {
        Instant::ZERO + self.origin.elapsed()
    }

    /// The same instant for tokio's timers. What tokio cannot express (centuries) becomes a day from now: a machine may
    /// be woken early at no harm.
    pub fn to_tokio(&self, instant: Instant) -> tokio::time::Instant {
        let day = Duration::from_secs(24 * 60 * 60);
        let now = self.now();
        self.origin.checked_add((instant - Instant::ZERO).min((now + day) - Instant::ZERO)).unwrap_or(self.origin + day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_instant_survives_the_way_to_tokio_and_a_far_one_becomes_a_day() {
        let clock = Clock::start();
        let soon = clock.now() + Duration::from_millis(50);
        assert_eq!(clock.to_tokio(soon).duration_since(clock.to_tokio(clock.now())).as_millis() / 100, 0);
        let far = clock.to_tokio(Instant::MAX).duration_since(tokio::time::Instant::now());
        assert!(far > Duration::from_secs(86_000) && far <= Duration::from_secs(86_401));
    }
}
