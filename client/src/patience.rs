//! How long a request waits, and what is known when it has waited in vain.

use std::time::Duration;

use protocol::mutants::{self, Mutant};

use crate::error::Misuse;

/// How long and how often a request is tried. The defaults are the Guide's: 2.5 s, three times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// How long an attempt may be silent. Each PARTIAL starts it anew.
    pub timeout: Duration,
    /// How often the request is sent in all, the first time included (the Guide's REQUEST_RETRIES).
    pub retries: u32,
}

/// A request that nobody answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Silence {
    /// How many attempts were made.
    pub attempts: u32,
    /// From the first attempt to giving up.
    pub elapsed: Duration,
    /// Whether there was a connection in any of them.
    pub connected: bool,
    /// Whether the broker, or we, refused the connection: then the attempts that were left were not made.
    pub refused: bool,
}

impl Default for Patience {
    fn default() -> Self {
        Self { timeout: Duration::from_millis(2500), retries: 3 }
    }
}

impl Patience {
    /// Whether no attempt follows this one, of which the first is 1.
    pub(crate) fn is_last(self, attempt: u32) -> bool {
        if mutants::on(Mutant::NeverGiveUp) {
            return false;
        }
        attempt >= self.retries || mutants::on(Mutant::GiveUpAtOnce)
    }

    /// Refuses what cannot work.
    ///
    /// # Errors
    /// [`Misuse::Timeout`] or [`Misuse::Retries`].
    pub fn check(self) -> Result<(), Misuse> {
        if self.timeout.is_zero() {
            return Err(Misuse::Timeout);
        }
        if self.retries == 0 || self.retries > u32::from(u8::MAX) {
            return Err(Misuse::Retries(self.retries));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_go_from_one_to_what_an_octet_can_number() {
        let check = |retries| Patience { retries, ..Patience::default() }.check();
        assert_eq!((check(0), check(1)), (Err(Misuse::Retries(0)), Ok(())));
        assert_eq!((check(255), check(256)), (Ok(()), Err(Misuse::Retries(256))));
        assert_eq!(Patience { timeout: Duration::ZERO, retries: 1 }.check(), Err(Misuse::Timeout));
    }
}
