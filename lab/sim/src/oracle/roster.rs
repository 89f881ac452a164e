//! A broker treats its workers as RFC 7, MDP-0.3 and its own promises say.
//!
//! - A request goes to a worker that offers its service and has credit left: to the one with the least in flight for
//!   its credit, and among equals to the one that has waited longest.
//! - No worker with credit left waits while a request for one of its services does.
//! - A worker that drains is given nothing more, and is let go once it has answered all.
//! - A worker that has said DISCONNECT is registered no more.
//! - Every worker is sent something in each heartbeat interval.
//! - A silent worker is given up when it has been silent for too long, and not before.
//! - `mmi.service` answers 200 if and only if a worker of the service is registered.

use std::collections::BTreeMap;
use std::time::Duration;

use broker::Departure;
use bytes::Bytes;
use protocol::{Instant, PeerId, ServiceName};

use super::spoken::Command;

/// What the broker was told about workers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) heartbeat: Duration,
    /// Silence that makes a worker dead which beats.
    pub(crate) expiry: Duration,
    /// Silence that makes a worker dead which may be busy and single-threaded.
    pub(crate) busy_timeout: Duration,
}

/// The workers of one broker, as they must be seen by it.
#[derive(Debug)]
pub(crate) struct Roster {
    rules: Rules,
    members: BTreeMap<PeerId, Member>,
    /// What those have said of themselves that may be about to be members.
    announced: BTreeMap<PeerId, Option<(usize, Duration)>>,
    count: u64,
}

#[derive(Debug)]
struct Member {
    services: Vec<ServiceName>,
    heard: Instant,
    spoken_to: Instant,
    credit: usize,
    in_flight: usize,
    /// Its place among those with as much in flight.
    turn: u64,
    /// How often it beats, as it has said itself (0.3).
    interval: Option<Duration>,
    drains: bool,
    /// It has given up what it may never have offered: nobody knows whether that was a turn.
    is_vague: bool,
}

impl Member {
    fn has_credit(&self) -> bool {
        self.in_flight < self.credit
    }

    fn offers(&self, service: &[u8]) -> bool {
        self.services.iter().any(|offered| offered.as_bytes() == service)
    }

    /// Whether it is next before one that has so many requests for that credit, and that turn.
    fn comes_before(&self, other: &Self) -> bool {
        let (mine, theirs) = (self.in_flight * other.credit.max(1), other.in_flight * self.credit.max(1));
        let is_vague = self.is_vague || other.is_vague;
        mine < theirs || (mine == theirs && !is_vague && self.turn < other.turn)
    }
}

impl Roster {
    pub(crate) fn new(rules: Rules) -> Self {
        Self { rules, members: BTreeMap::new(), announced: BTreeMap::new(), count: 0 }
    }

    pub(crate) fn contains(&self, peer: PeerId) -> bool {
        self.members.contains_key(&peer)
    }

    /// A peer has said something; the broker is about to handle it.
    pub(crate) fn on_heard(&mut self, now: Instant, peer: PeerId, command: &Command) {
        if let Command::Ready(announced) = command {
            self.announced.insert(peer, *announced);
        }
        let Some(member) = self.members.get_mut(&peer) else { return };
        member.heard = now;
        match command {
            Command::Final if member.in_flight > 0 => member.in_flight -= 1,
            Command::Credit(credit) => member.credit = *credit,
            Command::Drain(Some(name)) if !member.offers(name) => {
                member.is_vague = true;
                return;
            }
            Command::Drain(service) => {
                member.services.retain(|offered| service.as_ref().is_some_and(|name| offered.as_bytes() != name));
                member.drains = member.services.is_empty();
            }
            // Who offers nothing any more leaves without a word of the broker's.
            Command::Disconnect if member.drains => return drop(self.members.remove(&peer)),
            Command::Heartbeat(Some(interval)) if member.interval.is_some() => {
                member.interval = Some(*interval);
                return;
            }
            _ => return,
        }
        self.count += 1;
        (member.turn, member.is_vague) = (self.count, false);
    }

    /// A worker offers a service.
    pub(crate) fn on_ready(&mut self, now: Instant, peer: PeerId, service: ServiceName) {
        if let Some(member) = self.members.get_mut(&peer) {
            return member.services.push(service);
        }
        self.count += 1;
        let announced = self.announced.remove(&peer).flatten();
        let member = Member {
            services: vec![service],
            heard: now,
            spoken_to: now,
            credit: announced.map_or(1, |(credit, _)| credit),
            in_flight: 0,
            turn: self.count,
            interval: announced.map(|(_, interval)| interval),
            drains: false,
            is_vague: false,
        };
        self.members.insert(peer, member);
    }

    /// Whether a worker offers this service.
    pub(crate) fn serves(&self, service: &ServiceName) -> bool {
        self.members.values().any(|member| member.offers(service.as_bytes()))
    }

    /// A worker offers a service no more.
    pub(crate) fn on_left(
        &mut self,
        now: Instant,
        peer: PeerId,
        service: &ServiceName,
        departure: Departure,
    ) -> Result<(), String> {
        let expired = departure == Departure::Expired;
        let Some(member) = self.members.get_mut(&peer) else { return Ok(()) };
        member.services.retain(|offered| offered != service);
        if departure == Departure::Drained {
            // It finishes what it has, and gets what is left of its services.
            self.count += 1;
            member.turn = self.count;
            member.drains |= member.services.is_empty();
        }
        let (heard, patience) = (member.heard, patience(&self.rules, member).0);
        if member.services.is_empty() && !member.drains {
            self.members.remove(&peer);
        }
        if expired && now < heard + patience {
            return Err(format!("worker {} is given up {} after it was heard", peer.0, millis(now - heard)));
        }
        Ok(())
    }

    /// A connection is gone.
    pub(crate) fn on_disconnected(&mut self, peer: PeerId) {
        self.members.remove(&peer);
        self.announced.remove(&peer);
    }

    /// The broker sends a worker something.
    pub(crate) fn on_sent(&mut self, now: Instant, peer: PeerId, command: &Command) -> Result<(), String> {
        let Some(member) = self.members.get_mut(&peer) else { return Ok(()) };
        member.spoken_to = now;
        match command {
            Command::Request(service) => {
                let service = service.clone();
                self.on_given(now, peer, service)
            }
            Command::Disconnect => {
                self.members.remove(&peer);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn on_given(&mut self, now: Instant, peer: PeerId, named: Option<Bytes>) -> Result<(), String> {
        let Some(mut member) = self.members.remove(&peer) else { return Ok(()) };
        let only = member.services.first().map(|service| service.to_frame());
        let service = named.or(only).unwrap_or_default();
        let is_allowed = member.has_credit() && member.offers(&service) && !member.drains;
        let better = self
            .members
            .iter()
            .find(|(_, other)| other.has_credit() && other.offers(&service) && other.comes_before(&member));
        let found = match better {
            _ if !is_allowed => {
                let (has, credit) = (member.in_flight, member.credit);
                Err(format!("worker {} is given a request for {service:?}, and has {has} of {credit}", peer.0))
            }
            Some((other, _)) => Err(format!("worker {} is given a request, {} comes before it", peer.0, other.0)),
            None => Ok(()),
        };
        // To a worker that waits a request is a new question.
        if member.in_flight == 0 {
            member.heard = now;
        }
        self.count += 1;
        (member.turn, member.in_flight, member.is_vague) = (self.count, member.in_flight + 1, false);
        self.members.insert(peer, member);
        found
    }

    /// The broker has done all that was due by `now`; so many requests are `queued` for a service.
    pub(crate) fn check(&self, now: Instant, queued: impl Fn(&ServiceName) -> usize) -> Result<(), String> {
        for (peer, member) in &self.members {
            if now >= member.spoken_to + self.rules.heartbeat {
                return Err(format!("worker {} was sent nothing for {}", peer.0, millis(now - member.spoken_to)));
            }
            if now >= member.heard + patience(&self.rules, member).1 {
                return Err(format!("worker {} was silent for {}", peer.0, millis(now - member.heard)));
            }
            if member.drains && member.in_flight == 0 {
                return Err(format!("worker {} drains, has answered all, and is not let go", peer.0));
            }
            let waiting = member.services.iter().find(|service| member.has_credit() && queued(service) > 0);
            if let Some(service) = waiting {
                return Err(format!("worker {} waits, and so do requests for {service}", peer.0));
            }
        }
        Ok(())
    }

    /// What the broker must say of a service.
    pub(crate) fn check_code(&self, service: &[u8], code: &[u8]) -> Result<(), String> {
        let has_worker = self.members.values().any(|member| member.offers(service));
        let expected: &[u8] = if has_worker { b"200" } else { b"404" };
        if code == expected {
            return Ok(());
        }
        let (code, service) = (String::from_utf8_lossy(code), String::from_utf8_lossy(service));
        Err(format!("mmi.service says {code} of {service}, which has {}a worker", if has_worker { "" } else { "not " }))
    }
}

/// How long a worker may be silent at least and at most.
fn patience(rules: &Rules, member: &Member) -> (Duration, Duration) {
    let Rules { expiry, busy_timeout, .. } = *rules;
    match member.interval {
        Some(interval) => (interval * 3, interval * 3),
        None if member.in_flight == 0 => (expiry, expiry),
        // Whether it beats while it works is for the broker to find out.
        None => (expiry.min(busy_timeout), expiry.max(busy_timeout)),
    }
}

fn millis(duration: Duration) -> String {
    format!("{} ms", duration.as_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Rules = Rules {
        heartbeat: Duration::from_millis(100),
        expiry: Duration::from_millis(300),
        busy_timeout: Duration::from_millis(500),
    };
    const REQUEST: Command = Command::Request(None);

    fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    fn s0() -> ServiceName {
        "s0".parse().unwrap()
    }

    fn ready(peers: &[u64]) -> Roster {
        let mut roster = Roster::new(RULES);
        for peer in peers {
            roster.on_ready(at(0), PeerId(*peer), s0());
        }
        roster
    }

    /// Workers of 0.3 with that credit each.
    fn native(credits: &[usize]) -> Roster {
        let mut roster = Roster::new(RULES);
        for (peer, credit) in (1..).map(PeerId).zip(credits) {
            roster.on_heard(at(0), peer, &Command::Ready(Some((*credit, Duration::from_millis(100)))));
            roster.on_ready(at(0), peer, s0());
        }
        roster
    }

    fn none(_: &ServiceName) -> usize {
        0
    }

    #[test]
    fn who_has_waited_longest_is_next() {
        let mut roster = ready(&[1, 2]);
        assert!(roster.on_sent(at(0), PeerId(1), &REQUEST).is_ok());
        roster.on_heard(at(1), PeerId(1), &Command::Final);
        assert!(roster.on_sent(at(1), PeerId(1), &REQUEST).is_err(), "2 has waited longer");
        assert!(roster.on_sent(at(1), PeerId(2), &REQUEST).is_ok());
    }

    #[test]
    fn who_has_least_for_its_credit_is_next_and_nobody_has_more_than_that() {
        let mut roster = native(&[1, 4]);
        for peer in [1, 2, 2] {
            assert_eq!(roster.on_sent(at(0), PeerId(peer), &REQUEST), Ok(()));
        }
        roster.on_heard(at(1), PeerId(1), &Command::Final);
        assert!(roster.on_sent(at(1), PeerId(2), &REQUEST).is_err(), "1 has nothing to do");
        roster.on_heard(at(1), PeerId(2), &Command::Credit(2));
        assert!(roster.on_sent(at(1), PeerId(2), &REQUEST).is_err(), "it has three and takes two");
        assert!(roster.on_sent(at(1), PeerId(1), &Command::Request(Some("s9".into()))).is_err(), "it offers no s9");
    }

    #[test]
    fn a_worker_that_waits_beside_a_queue_and_one_that_is_kept_though_it_drains_are_found() {
        let mut roster = native(&[1]);
        assert!(roster.check(at(1), none).is_ok() && roster.check(at(1), |_| 1).is_err());
        roster.on_heard(at(1), PeerId(1), &Command::Drain(None));
        assert!(roster.on_left(at(1), PeerId(1), &s0(), Departure::Left).is_ok());
        assert!(roster.check(at(1), none).is_err());
        assert!(roster.on_sent(at(1), PeerId(1), &Command::Disconnect).is_ok());
        assert!(roster.check(at(1), none).is_ok());
    }

    #[test]
    fn silence_towards_a_worker_and_of_a_worker_are_found() {
        let mut roster = ready(&[1]);
        assert!(roster.check(at(99), none).is_ok() && roster.check(at(100), none).is_err());
        for beat in 1..6 {
            assert!(roster.on_sent(at(beat * 90), PeerId(1), &Command::Other).is_ok());
        }
        assert!(roster.check(at(299), none).is_ok() && roster.check(at(300), none).is_err());
        roster.on_heard(at(300), PeerId(1), &Command::Other);
        assert!(roster.check(at(301), none).is_ok());
    }

    #[test]
    fn who_is_given_up_too_early_is_found() {
        let left = |after, departure| ready(&[1]).on_left(at(after), PeerId(1), &s0(), departure);
        assert!(left(299, Departure::Expired).is_err() && left(300, Departure::Expired).is_ok());
        assert!(left(1, Departure::Left).is_ok());
    }

    #[test]
    fn mmi_tells_who_is_there() {
        let roster = ready(&[1]);
        assert!(roster.check_code(b"s0", b"200").is_ok() && roster.check_code(b"s1", b"404").is_ok());
        assert!(roster.check_code(b"s0", b"404").is_err() && roster.check_code(b"s1", b"200").is_err());
    }
}
