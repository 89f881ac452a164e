//! Whoever drains takes nothing new and loses nothing (docs/rfc/MDP-0.3.md, 7.7): new requests are refused, what was
//! accepted is worked off within the time if there is a worker for it.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use protocol::mmi::{Query, Target};
use protocol::{Frames, Instant, ServiceName};

/// What drains at one broker.
#[derive(Debug, Default)]
pub(crate) struct Drains {
    services: BTreeSet<ServiceName>,
    /// Until when the whole broker works off what it has.
    until: Option<Instant>,
}

/// A change that the broker has been asked for.
#[derive(Debug)]
pub(crate) enum Change {
    Broker(Duration),
    Service(ServiceName),
    Resume(ServiceName),
}

impl Drains {
    /// The change that a request to `service` asks for, if it does.
    pub(crate) fn change(service: &Bytes, frames: &Frames) -> Option<Change> {
        if **service != *b"mmi.drain" && **service != *b"mmi.resume" {
            return None;
        }
        let header = frames.iter().position(|frame| *frame == service)?;
        let body = frames.clone().skip(header + 1);
        match Query::parse(&ServiceName::new(service.clone()).ok()?, &body) {
            Query::Drain { target: Target::Broker, grace } => Some(Change::Broker(grace)),
            Query::Drain { target: Target::Service(service), .. } => Some(Change::Service(service)),
            Query::Resume(service) => Some(Change::Resume(service)),
            _ => None,
        }
    }

    /// Takes note of a drain of the whole broker, which it does whenever it is asked; whether this is one.
    pub(crate) fn begin(&mut self, now: Instant, change: &Change) -> bool {
        let Change::Broker(grace) = change else { return false };
        self.until = Some(now + *grace);
        true
    }

    /// Whether the whole broker drains.
    pub(crate) fn is_on(&self) -> bool {
        self.until.is_some()
    }

    /// The broker has said that it did.
    pub(crate) fn apply(&mut self, now: Instant, change: Change) {
        match change {
            Change::Broker(grace) => self.until = Some(now + grace),
            Change::Service(service) => drop(self.services.insert(service.detached())),
            Change::Resume(service) => drop(self.services.remove(&service)),
        }
    }

    /// Whether a request to this service is to be refused.
    pub(crate) fn covers(&self, service: &Bytes) -> bool {
        self.until.is_some() || self.services.iter().any(|drained| drained.as_bytes() == service)
    }

    /// A request that was accepted ends because the broker does; whether workers offer its service.
    pub(crate) fn on_cut_off(&self, now: Instant, service: &ServiceName, is_served: bool) -> Result<(), String> {
        if is_served && self.until.is_some_and(|until| now < until) {
            return Err(format!("a request for {service} is not worked off, and there was time and a worker"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(drains: &mut Drains, question: &'static str, body: &[&'static str]) {
        let mut frames = Frames::from(["", "MDPC01", question]);
        body.iter().for_each(|frame| frames.push(*frame));
        let change = Drains::change(&question.into(), &frames).expect("it is one");
        drains.apply(Instant::ZERO, change);
    }

    #[test]
    fn what_drains_takes_nothing_until_it_is_resumed() {
        let mut drains = Drains::default();
        ask(&mut drains, "mmi.drain", &["service", "s0"]);
        assert!(drains.covers(&"s0".into()) && !drains.covers(&"s1".into()));
        ask(&mut drains, "mmi.resume", &["service", "s0"]);
        assert!(!drains.covers(&"s0".into()));
        ask(&mut drains, "mmi.drain", &["broker", "500"]);
        assert!(drains.covers(&"s1".into()));
    }

    #[test]
    fn what_is_cut_off_too_early_is_found() {
        let mut drains = Drains::default();
        ask(&mut drains, "mmi.drain", &["broker", "500"]);
        let cut_off = |millis, is_served| {
            drains.on_cut_off(Instant::from_millis(millis), &"s0".parse().expect("a name"), is_served)
        };
        assert!(cut_off(499, true).is_err() && cut_off(500, true).is_ok() && cut_off(499, false).is_ok());
    }
}
