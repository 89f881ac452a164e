//! A registered worker shows that it lives, notices a dead broker, promises no slot that is not free, and answers on
//! the connection that the request came from.

use std::time::Duration;

use bytes::Bytes;
use protocol::{Frames, Instant};

use super::spoken::Command;

/// What the worker was told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) heartbeat: Duration,
    /// How long its broker may be silent while a slot is free.
    pub(crate) patience: Duration,
    /// How long while all are taken.
    pub(crate) busy_grace: Duration,
    pub(crate) credit: usize,
    /// In 0.3: of how many of its own intervals a broker may be silent.
    pub(crate) liveness: u32,
    /// In 0.3: how long it may take to answer READY.
    pub(crate) fallback_after: Duration,
}

/// The registration of one worker.
#[derive(Debug)]
pub(crate) struct Registration {
    rules: Rules,
    heard: Instant,
    sent: Instant,
    /// What the broker calls the requests that it gave us on this connection.
    addresses: Vec<Bytes>,
    is_native: bool,
    /// In 0.3: when the broker has to speak again, as it has promised.
    interval: Option<Duration>,
}

impl Registration {
    pub(crate) fn new(rules: Rules) -> Self {
        Self {
            rules,
            heard: Instant::ZERO,
            sent: Instant::ZERO,
            addresses: Vec::new(),
            is_native: false,
            interval: None,
        }
    }

    /// READY goes out while `jobs` run, in 0.3 with that credit.
    pub(crate) fn on_registered(&mut self, now: Instant, jobs: usize, credit: Option<usize>) -> Result<(), String> {
        (self.heard, self.sent, self.interval) = (now, now, None);
        self.is_native = credit.is_some();
        self.addresses.clear();
        if jobs + credit.unwrap_or(1) <= self.rules.credit.max(jobs) {
            return Ok(());
        }
        Err(format!(
            "says READY with credit {}, and {jobs} jobs fill its {} slots",
            credit.unwrap_or(1),
            self.rules.credit
        ))
    }

    /// So many jobs may run at once from now on.
    pub(crate) fn on_credit(&mut self, credit: usize) {
        self.rules.credit = credit;
    }

    /// The broker says something.
    pub(crate) fn on_heard(&mut self, now: Instant, frames: &Frames) {
        self.heard = now;
        match Command::of(frames) {
            Some(Command::Heartbeat(Some(interval))) => self.interval = Some(interval),
            // It is bound to say its interval next.
            Some(_) if self.is_native => self.interval = self.interval.or(Some(self.rules.heartbeat)),
            _ => {}
        }
        if matches!(Command::of(frames), Some(Command::Request(_))) {
            self.addresses.extend(Command::address(frames));
        }
    }

    /// A slot becomes free, which forgives the broker's silence until then.
    pub(crate) fn on_free_slot(&mut self, now: Instant) {
        self.heard = now;
    }

    pub(crate) fn on_sent(&mut self, now: Instant, frames: &Frames) -> Result<(), String> {
        self.sent = now;
        match Command::address(frames) {
            Some(address) if !self.addresses.contains(&address) => {
                Err(format!("answers request {address:?}, which came on another connection"))
            }
            _ => Ok(()),
        }
    }

    /// The worker is registered and has done all that was due by `now`.
    pub(crate) fn check(&self, now: Instant, is_busy: bool) -> Result<(), String> {
        let Rules { heartbeat, patience, busy_grace, liveness, fallback_after, .. } = self.rules;
        if now >= self.sent + heartbeat {
            return Err(format!("has sent nothing for {} ms", (now - self.sent).as_millis()));
        }
        let patience = match self.interval {
            _ if !self.is_native => {
                if is_busy {
                    patience.max(busy_grace)
                } else {
                    patience
                }
            }
            Some(interval) => interval * liveness,
            None => fallback_after,
        };
        if now >= self.heard + patience {
            return Err(format!("bears that its broker is silent for {} ms", (now - self.heard).as_millis()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Rules = Rules {
        heartbeat: Duration::from_millis(100),
        patience: Duration::from_millis(300),
        busy_grace: Duration::ZERO,
        credit: 1,
        liveness: 3,
        fallback_after: Duration::from_millis(700),
    };

    #[test]
    fn in_0_3_a_broker_is_given_as_long_as_it_has_promised_and_no_credit_that_is_not_there() {
        let beat = |millis| protocol::mdp::v03::ToWorker::Heartbeat(Duration::from_millis(millis)).encode();
        let mut registration = Registration::new(Rules { heartbeat: Duration::MAX, credit: 2, ..RULES });
        assert!(registration.on_registered(at(0), 1, Some(2)).is_err());
        assert!(registration.on_registered(at(0), 1, Some(1)).is_ok());
        assert!(registration.check(at(699), false).is_ok() && registration.check(at(700), false).is_err());
        registration.on_heard(at(600), &beat(50));
        assert!(registration.check(at(749), true).is_ok() && registration.check(at(750), true).is_err());
    }

    fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    #[test]
    fn silence_on_either_side_and_a_slot_that_is_not_free_are_found() {
        let millis = Duration::from_millis;
        let rules =
            Rules { heartbeat: millis(100), patience: millis(300), busy_grace: millis(500), credit: 1, ..RULES };
        let mut registration = Registration::new(rules);
        assert!(registration.on_registered(at(0), 1, None).is_err());
        assert!(registration.on_registered(at(0), 0, None).is_ok());
        assert!(registration.check(at(99), false).is_ok() && registration.check(at(100), false).is_err());
        assert!(registration.on_sent(at(250), &["", "MDPW01", "\x04"].into()).is_ok());
        assert!(registration.check(at(299), false).is_ok() && registration.check(at(300), false).is_err());
        assert!(registration.check(at(300), true).is_ok());
        registration.on_free_slot(at(300));
        assert!(registration.check(at(349), false).is_ok());
    }

    #[test]
    fn an_answer_on_another_connection_is_found() {
        let rules = Rules { heartbeat: Duration::MAX, patience: Duration::MAX, credit: 2, ..RULES };
        let mut registration = Registration::new(rules);
        let request = Frames::from(["", "MDPW01", "\x02", "7", "", "body"]);
        let reply = Frames::from(["", "MDPW01", "\x03", "7", "", "body"]);
        assert!(registration.on_registered(at(0), 0, None).is_ok());
        registration.on_heard(at(1), &request);
        assert!(registration.on_sent(at(2), &reply).is_ok());
        assert!(registration.on_registered(at(3), 1, None).is_ok());
        assert!(registration.on_sent(at(4), &reply).is_err());
    }
}
