//! A registered worker shows that it lives, notices a dead broker, promises no slot that is not free, and answers on
//! the connection that the request came from.

use std::time::Duration;

use bytes::Bytes;
use protocol::{Frames, Instant};

use super::roster::Command;

/// What the worker was told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) heartbeat: Duration,
    /// How long its broker may be silent while a slot is free.
    pub(crate) patience: Duration,
    /// How long while all are taken.
    pub(crate) busy_grace: Duration,
    pub(crate) credit: usize,
}

/// The registration of one worker.
#[derive(Debug)]
pub(crate) struct Registration {
    rules: Rules,
    heard: Instant,
    sent: Instant,
    /// What the broker calls the requests that it gave us on this connection.
    addresses: Vec<Bytes>,
}

impl Registration {
    pub(crate) fn new(rules: Rules) -> Self {
        Self { rules, heard: Instant::ZERO, sent: Instant::ZERO, addresses: Vec::new() }
    }

    /// READY goes out while `jobs` run.
    pub(crate) fn on_registered(&mut self, now: Instant, jobs: usize) -> Result<(), String> {
        (self.heard, self.sent) = (now, now);
        self.addresses.clear();
        if jobs < self.rules.credit {
            return Ok(());
        }
        Err(format!("says READY, and {jobs} jobs fill its slots"))
    }

    /// The broker says something.
    pub(crate) fn on_heard(&mut self, now: Instant, frames: &Frames) {
        self.heard = now;
        if Command::of(frames) == Some(Command::Request) {
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
        let Rules { heartbeat, patience, busy_grace, .. } = self.rules;
        if now >= self.sent + heartbeat {
            return Err(format!("has sent nothing for {} ms", (now - self.sent).as_millis()));
        }
        let patience = if is_busy { patience.max(busy_grace) } else { patience };
        if now >= self.heard + patience {
            return Err(format!("bears that its broker is silent for {} ms", (now - self.heard).as_millis()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    #[test]
    fn silence_on_either_side_and_a_slot_that_is_not_free_are_found() {
        let millis = Duration::from_millis;
        let rules = Rules { heartbeat: millis(100), patience: millis(300), busy_grace: millis(500), credit: 1 };
        let mut registration = Registration::new(rules);
        assert!(registration.on_registered(at(0), 1).is_err());
        assert!(registration.on_registered(at(0), 0).is_ok());
        assert!(registration.check(at(99), false).is_ok() && registration.check(at(100), false).is_err());
        assert!(registration.on_sent(at(250), &["", "MDPW01", "\x04"].into()).is_ok());
        assert!(registration.check(at(299), false).is_ok() && registration.check(at(300), false).is_err());
        assert!(registration.check(at(300), true).is_ok());
        registration.on_free_slot(at(300));
        assert!(registration.check(at(349), false).is_ok());
    }

    #[test]
    fn an_answer_on_another_connection_is_found() {
        let rules = Rules { heartbeat: Duration::MAX, patience: Duration::MAX, busy_grace: Duration::ZERO, credit: 2 };
        let mut registration = Registration::new(rules);
        let request = Frames::from(["", "MDPW01", "\x02", "7", "", "body"]);
        let reply = Frames::from(["", "MDPW01", "\x03", "7", "", "body"]);
        assert!(registration.on_registered(at(0), 0).is_ok());
        registration.on_heard(at(1), &request);
        assert!(registration.on_sent(at(2), &reply).is_ok());
        assert!(registration.on_registered(at(3), 1).is_ok());
        assert!(registration.on_sent(at(4), &reply).is_err());
    }
}
