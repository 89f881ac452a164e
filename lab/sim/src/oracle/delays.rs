//! The delays before new connections double from the first one to the longest, and fall back to the first once a
//! connection was of use.

use std::time::Duration;

/// What the next delay must be.
#[derive(Debug)]
pub(crate) struct Delays {
    first: Duration,
    max: Duration,
    step: Duration,
}

impl Delays {
    pub(crate) fn new(first: Duration, max: Duration) -> Self {
        Self { first, max, step: first }
    }

    /// The connection was of use.
    pub(crate) fn on_success(&mut self) {
        self.step = self.first;
    }

    /// The connection is lost, and the machine waits for so long; it may have been asked to stay away for one of these
    /// times beside that.
    pub(crate) fn on_delay(&mut self, delay: Duration, absences: &[Duration]) -> Result<(), String> {
        let step = self.step;
        self.step = (step * 2).min(self.max);
        let is_due = |absence: &Duration| delay >= *absence + step / 2 && delay <= *absence + step;
        if [Duration::ZERO].iter().chain(absences).any(is_due) {
            return Ok(());
        }
        Err(format!("waits {} ms where half to the whole of {} is due", delay.as_millis(), step.as_millis()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_that_do_not_grow_or_do_not_fall_back_are_found() {
        let millis = Duration::from_millis;
        let mut delays = Delays::new(millis(50), millis(100));
        assert!(delays.on_delay(millis(50), &[]).is_ok() && delays.on_delay(millis(100), &[]).is_ok());
        assert!(delays.on_delay(millis(50), &[]).is_ok() && delays.on_delay(millis(49), &[]).is_err());
        delays.on_success();
        assert!(delays.on_delay(millis(51), &[]).is_err());
    }
}
