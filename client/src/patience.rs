//! How long a request waits, what is done when it has waited in vain, and what is known then.
//!
//! The six modes of [`OnTimeout`], for a timeout of T and three attempts. A lost connection is none of them: whatever
//! the mode, what was under way is sent again on the next one, and that is still the same attempt.
//!
//! ```text
//!                  attempts at        gives up   id        other requests
//!   Abort          0                  T                    go on
//!   Retry          0, T, 2T           3T         the same  go on
//!   RetryBlocked   0, T, 2T           3T         the same  wait from T until it has ended
//!   Resend         0, T, 2T           3T         a new one go on
//!   ResendBlocked  0, T, 2T           3T         a new one wait from T until it has ended
//!   Backoff        0, T, 3T           7T         the same  go on
//! ```

use std::time::Duration;

use protocol::mutants::{self, Mutant};

use crate::error::Misuse;

/// How long and how often a request is tried. The defaults are the Guide's: 2.5 s, three times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// How long an attempt may be silent. Each PARTIAL starts it anew.
    pub timeout: Duration,
    /// How often the request is sent in all, the first time included (the Guide's REQUEST_RETRIES).
    /// [`OnTimeout::Abort`] sends it once, whatever stands here.
    pub retries: u32,
    /// What is done when an attempt was silent for too long.
    pub on_timeout: OnTimeout,
}

/// What is done when an attempt was silent for too long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnTimeout {
    /// The request ends. There is one attempt only.
    Abort,
    /// The same request is sent again. A broker of MDP 0.3 knows it by its id: one that is still in progress goes on,
    /// one that has been answered is answered from what is kept, and it runs anew only where it was lost. Brokers of
    /// 0.1 and 0.2 cannot know it again and run it twice.
    #[default]
    Retry,
    /// As [`Retry`](Self::Retry), and from the first timeout until the request has ended no other request of this
    /// client is sent for the first time: a broker in trouble is not given more to do. What was sent before goes on.
    RetryBlocked,
    /// The request is cancelled and asked anew under another id, so that another worker may take it up while the first
    /// one still hangs. It may run twice, so a request that is to run [`Once`](protocol::mdp::v03::Idempotency::Once)
    /// cannot be resent. Towards brokers of 0.1 and 0.2 it is the same as [`Retry`](Self::Retry).
    Resend,
    /// As [`Resend`](Self::Resend), and other requests wait as with [`RetryBlocked`](Self::RetryBlocked).
    ResendBlocked,
    /// As [`Retry`](Self::Retry), but each attempt may be silent for twice as long as the one before.
    Backoff {
        /// The longest timeout of an attempt; [`BACKOFF_CEILING`] is the usual one.
        ceiling: Duration,
    },
}

/// The usual ceiling of [`OnTimeout::Backoff`].
pub const BACKOFF_CEILING: Duration = Duration::from_secs(32);

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
    /// Whether a connection stood and the broker did not say a word of MDP 0.3 on it.
    pub mute: bool,
}

impl Default for Patience {
    fn default() -> Self {
        Self { timeout: Duration::from_millis(2500), retries: 3, on_timeout: OnTimeout::default() }
    }
}

impl Patience {
    /// How long a request takes at most that nobody says anything about.
    pub fn total(self) -> Duration {
        let mut total = Duration::ZERO;
        for attempt in 1..=self.attempts() {
            total = total.saturating_add(self.timeout_of(attempt));
        }
        total
    }

    /// How long this attempt may be silent, of which the first is 1.
    pub(crate) fn timeout_of(self, attempt: u32) -> Duration {
        match self.on_timeout {
            OnTimeout::Backoff { ceiling } => {
                let factor = 2_u32.saturating_pow(attempt.saturating_sub(1));
                self.timeout.saturating_mul(factor).min(ceiling.max(self.timeout))
            }
            _ => self.timeout,
        }
    }

    /// Whether no attempt follows this one.
    pub(crate) fn is_last(self, attempt: u32) -> bool {
        if mutants::on(Mutant::NeverGiveUp) {
            return false;
        }
        attempt >= self.attempts() || mutants::on(Mutant::GiveUpAtOnce)
    }

    /// Whether another attempt is another request in the broker's eyes.
    pub(crate) fn asks_anew(self) -> bool {
        matches!(self.on_timeout, OnTimeout::Resend | OnTimeout::ResendBlocked)
    }

    /// Whether other requests wait for one that has timed out.
    pub(crate) fn blocks(self) -> bool {
        matches!(self.on_timeout, OnTimeout::RetryBlocked | OnTimeout::ResendBlocked)
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

    fn attempts(self) -> u32 {
        if self.on_timeout == OnTimeout::Abort { 1 } else { self.retries }
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
        assert_eq!(Patience { timeout: Duration::ZERO, ..Patience::default() }.check(), Err(Misuse::Timeout));
    }

    #[test]
    fn a_backoff_doubles_up_to_its_ceiling_and_centuries_saturate() {
        let on_timeout = OnTimeout::Backoff { ceiling: BACKOFF_CEILING };
        let patience = Patience { retries: 255, on_timeout, ..Patience::default() };
        let millis: Vec<_> = (1..=6).map(|attempt| patience.timeout_of(attempt).as_millis()).collect();
        assert_eq!(millis, [2500, 5000, 10_000, 20_000, 32_000, 32_000]);
        assert_eq!(patience.timeout_of(255), BACKOFF_CEILING);
        assert_eq!(Patience { timeout: Duration::MAX, ..patience }.total(), Duration::MAX);
        let low = Patience { on_timeout: OnTimeout::Backoff { ceiling: Duration::ZERO }, ..patience };
        assert_eq!(low.timeout_of(9), patience.timeout, "a ceiling below the timeout is the timeout");
    }

    #[test]
    fn the_total_is_what_all_attempts_take_together() {
        let total = |on_timeout| Patience { on_timeout, ..Patience::default() }.total().as_millis();
        assert_eq!(total(OnTimeout::Abort), 2500);
        assert_eq!(total(OnTimeout::Retry), 7500);
        assert_eq!(total(OnTimeout::ResendBlocked), 7500);
        assert_eq!(total(OnTimeout::Backoff { ceiling: BACKOFF_CEILING }), 17_500);
    }
}
