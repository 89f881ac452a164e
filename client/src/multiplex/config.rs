//! What a multiplexer is told once, and what of it makes no sense.

use std::time::Duration;

use bytes::Bytes;

use crate::error::Misuse;
use crate::flight::Voice;
use crate::speech::Speech;

/// The settings of one [`Multiplex`](super::Multiplex).
#[derive(Clone, Debug)]
pub struct Config {
    /// How the broker is spoken to.
    pub speech: Speech,
    /// How replies are told apart in 0.1 and 0.2; those of 0.3 have ids.
    pub correlation: Correlation,
    /// Requests under way at once.
    pub in_flight_max: usize,
    /// Requests that wait for one of those to end; more are refused with
    /// [`Failure::Full`](crate::failed::Failure::Full).
    pub waiting_max: usize,
    /// The first delay before a lost connection is replaced; it doubles up to `reconnect_max`.
    pub reconnect_first: Duration,
    /// The longest delay before a lost connection is replaced.
    pub reconnect_max: Duration,
    /// Where the jitter of the delays starts; the same seed waits the same.
    pub seed: u64,
    /// The first eight octets of all request ids of 0.3: random, and this client's alone.
    pub salt: u64,
    /// What a connection of 0.3 is announced as, so that the broker knows our requests again on the next one (MDP 0.3,
    /// section 5.1): random, and this client's alone. A connection in an older dialect is never announced: there an
    /// answer that comes late has to meet a connection that is gone.
    pub identity: Bytes,
    /// Where a broker that leaves may send us; other places are not gone to.
    pub elsewhere: Vec<String>,
}

/// How replies find their requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Correlation {
    /// By a number in the envelope.
    Envelope,
    /// By there being one only, whatever `in_flight_max` says.
    OneAtATime,
}

impl Config {
    /// For brokers that return the envelope; 1024 requests under way. Salt and identity are for the caller to choose.
    pub fn new(speech: impl Into<Speech>) -> Self {
        Self {
            speech: speech.into(),
            correlation: Correlation::Envelope,
            in_flight_max: 1024,
            waiting_max: 1024,
            reconnect_first: Duration::from_millis(100),
            reconnect_max: Duration::from_secs(1),
            seed: 0,
            salt: 0,
            identity: Bytes::new(),
            elsewhere: Vec::new(),
        }
    }

    /// Refuses what cannot work.
    ///
    /// # Errors
    /// [`Misuse::InFlight`] or [`Misuse::NoEnvelope`].
    pub fn check(&self) -> Result<(), Misuse> {
        if self.in_flight_max == 0 {
            return Err(Misuse::InFlight);
        }
        match self.speech.old() {
            Some(dialect) if self.correlation == Correlation::Envelope && !dialect.is_delimited() => {
                Err(Misuse::NoEnvelope(dialect))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn voice(&self) -> Voice {
        Voice { salt: self.salt, enveloped: self.correlation == Correlation::Envelope }
    }

    /// Requests that may be under way at once.
    pub fn slots(&self) -> usize {
        match self.correlation {
            Correlation::Envelope => self.in_flight_max,
            Correlation::OneAtATime => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use protocol::mdp::Dialect;

    use super::*;

    #[test]
    fn a_dialect_without_envelope_can_only_do_one_at_a_time() {
        let numbered = Config::new(Dialect::V02);
        assert_eq!(numbered.check(), Err(Misuse::NoEnvelope(Dialect::V02)));
        let fallen = Config::new(Speech::Native { fall_back: Some(Dialect::V02) });
        assert_eq!(fallen.check(), Err(Misuse::NoEnvelope(Dialect::V02)));
        let single = Config { correlation: Correlation::OneAtATime, ..numbered };
        assert_eq!((single.check(), single.slots()), (Ok(()), 1));
    }

    #[test]
    fn in_flight_max_is_one_at_least() {
        let none = Config { in_flight_max: 0, ..Config::new(Dialect::V01) };
        assert_eq!(none.check(), Err(Misuse::InFlight));
    }
}
