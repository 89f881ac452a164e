//! How much may be logged: what a peer does can cost a line, but never a line a packet.

use std::time::{Duration, Instant};

/// A share of lines for each second; what is beyond it is counted.
#[derive(Debug)]
pub(crate) struct Lines {
    max: u32,
    second: Option<Instant>,
    written: u32,
    suppressed: u64,
}

impl Lines {
    /// Up to `max` lines a second.
    pub(crate) fn new(max: u32) -> Self {
        Self { max, second: None, written: 0, suppressed: 0 }
    }

    /// Whether another line may be written now; else it is counted.
    pub(crate) fn may_write(&mut self) -> bool {
        let now = Instant::now();
        if self.second.is_none_or(|start| now.duration_since(start) >= WINDOW) {
            self.second = Some(now);
            self.written = 0;
        }
        let is_room = self.written < self.max;
        match is_room {
            true => self.written += 1,
            false => self.suppressed += 1,
        }
        is_room
    }

    /// How many lines were not written, once their second is over, and only once.
    pub(crate) fn take_suppressed(&mut self) -> Option<u64> {
        let is_over = self.second.is_none_or(|start| start.elapsed() >= WINDOW);
        (is_over && self.suppressed > 0).then(|| std::mem::take(&mut self.suppressed))
    }

    #[cfg(test)]
    pub(crate) fn suppressed(&self) -> u64 {
        self.suppressed
    }
}

const WINDOW: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_second_are_met_and_the_rest_is_counted_and_told_later() {
        let mut lines = Lines::new(50);
        let written = (0..10_000).filter(|_| lines.may_write()).count();
        // The clock may cross into a second window meanwhile, never into a third.
        assert!((50..=100).contains(&written), "{written}");
        assert_eq!(written as u64 + lines.suppressed(), 10_000);
        lines.second = lines.second.and_then(|second| second.checked_sub(WINDOW));
        assert_eq!(lines.take_suppressed(), Some(10_000 - written as u64));
        assert_eq!(lines.take_suppressed(), None);
    }
}
