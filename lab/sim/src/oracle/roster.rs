//! A broker treats its workers as RFC 7 and its own promises say.
//!
//! - A request goes to the worker that has waited longest.
//! - A worker that has said DISCONNECT is registered no more.
//! - Every worker is sent something in each heartbeat interval.
//! - A silent worker is given up when it has been silent for too long, and not before.
//! - `mmi.service` answers 200 if and only if a worker of the service is registered.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use protocol::{Frames, Instant, PeerId, ServiceName};

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
    count: u64,
}

#[derive(Debug)]
struct Member {
    service: ServiceName,
    heard: Instant,
    spoken_to: Instant,
    /// Its place among those who wait; `None` while it works.
    waits: Option<u64>,
}

/// A message to or from a worker, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Request,
    Final,
    Disconnect,
    Other,
}

impl Command {
    /// The command of a message in the worker's protocol (RFC 7 and 18), if it is one.
    pub(crate) fn of(frames: &Frames) -> Option<Self> {
        let header = frames.iter().take(2).position(|frame| frame.starts_with(b"MDPW0"))?;
        let is_01 = frames.get(header)?.ends_with(b"1");
        Some(match (frames.get(header + 1)?.as_ref(), is_01) {
            ([2], _) => Self::Request,
            ([3], true) | ([4], false) => Self::Final,
            ([5], true) | ([6], false) => Self::Disconnect,
            _ => Self::Other,
        })
    }

    /// The client's address that a request or a part of an answer names.
    pub(crate) fn address(frames: &Frames) -> Option<Bytes> {
        let header = frames.iter().take(2).position(|frame| frame.starts_with(b"MDPW0"))?;
        let names_one = matches!(frames.get(header + 1)?.as_ref(), [2 | 3]) || Self::of(frames) == Some(Self::Final);
        frames.get(header + 2).filter(|_| names_one).cloned()
    }
}

impl Roster {
    pub(crate) fn new(rules: Rules) -> Self {
        Self { rules, members: BTreeMap::new(), count: 0 }
    }

    pub(crate) fn contains(&self, peer: PeerId) -> bool {
        self.members.contains_key(&peer)
    }

    /// A peer has said something; the broker has handled it, its outputs are yet to be shown.
    pub(crate) fn on_heard(&mut self, now: Instant, peer: PeerId, command: Command) {
        let Some(member) = self.members.get_mut(&peer) else { return };
        member.heard = now;
        if command == Command::Final && member.waits.is_none() {
            self.count += 1;
            member.waits = Some(self.count);
        }
    }

    pub(crate) fn on_ready(&mut self, now: Instant, peer: PeerId, service: ServiceName) {
        self.count += 1;
        self.members.insert(peer, Member { service, heard: now, spoken_to: now, waits: Some(self.count) });
    }

    /// A worker is registered no more; `expired` if for its silence.
    pub(crate) fn on_left(&mut self, now: Instant, peer: PeerId, expired: bool) -> Result<(), String> {
        let Some(member) = self.members.remove(&peer) else { return Ok(()) };
        let patience = self.patience(&member).0;
        if expired && now < member.heard + patience {
            return Err(format!("worker {} is given up {} after it was heard", peer.0, millis(now - member.heard)));
        }
        Ok(())
    }

    /// The broker sends a worker something.
    pub(crate) fn on_sent(&mut self, now: Instant, peer: PeerId, command: Command) -> Result<(), String> {
        let Some(member) = self.members.get_mut(&peer) else { return Ok(()) };
        member.spoken_to = now;
        if command != Command::Request {
            return Ok(());
        }
        let Some(mine) = member.waits.take() else { return Ok(()) };
        // To a worker that waits a request is a new question.
        member.heard = now;
        let service = member.service.clone();
        let waits =
            |(_, other): &(&PeerId, &Member)| other.service == service && other.waits.is_some_and(|waits| waits < mine);
        match self.members.iter().find(waits) {
            Some((other, _)) => Err(format!("worker {} is given a request, {} has waited longer", peer.0, other.0)),
            None => Ok(()),
        }
    }

    /// The broker has done all that was due by `now`.
    pub(crate) fn check(&self, now: Instant) -> Result<(), String> {
        for (peer, member) in &self.members {
            if now >= member.spoken_to + self.rules.heartbeat {
                return Err(format!("worker {} was sent nothing for {}", peer.0, millis(now - member.spoken_to)));
            }
            if now >= member.heard + self.patience(member).1 {
                return Err(format!("worker {} was silent for {}", peer.0, millis(now - member.heard)));
            }
        }
        Ok(())
    }

    /// What the broker must say of a service.
    pub(crate) fn check_code(&self, service: &[u8], code: &[u8]) -> Result<(), String> {
        let has_worker = self.members.values().any(|member| member.service.as_bytes() == service);
        let expected: &[u8] = if has_worker { b"200" } else { b"404" };
        if code == expected {
            return Ok(());
        }
        let (code, service) = (String::from_utf8_lossy(code), String::from_utf8_lossy(service));
        Err(format!("mmi.service says {code} of {service}, which has {}a worker", if has_worker { "" } else { "not " }))
    }

    /// How long a worker may be silent at least and at most.
    fn patience(&self, member: &Member) -> (Duration, Duration) {
        let Rules { expiry, busy_timeout, .. } = self.rules;
        match member.waits {
            Some(_) => (expiry, expiry),
            // Whether it beats while it works is for the broker to find out.
            None => (expiry.min(busy_timeout), expiry.max(busy_timeout)),
        }
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

    fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    fn ready(peers: &[u64]) -> Roster {
        let mut roster = Roster::new(RULES);
        for peer in peers {
            roster.on_ready(at(0), PeerId(*peer), "s0".parse().unwrap());
        }
        roster
    }

    #[test]
    fn who_has_waited_longest_is_next() {
        let mut roster = ready(&[1, 2]);
        assert!(roster.on_sent(at(0), PeerId(1), Command::Request).is_ok());
        roster.on_heard(at(1), PeerId(1), Command::Final);
        assert!(roster.on_sent(at(1), PeerId(1), Command::Request).is_err(), "2 has waited longer");
        assert!(roster.on_sent(at(1), PeerId(2), Command::Request).is_ok());
    }

    #[test]
    fn silence_towards_a_worker_and_of_a_worker_are_found() {
        let mut roster = ready(&[1]);
        assert!(roster.check(at(99)).is_ok() && roster.check(at(100)).is_err());
        for beat in 1..6 {
            assert!(roster.on_sent(at(beat * 90), PeerId(1), Command::Other).is_ok());
        }
        assert!(roster.check(at(299)).is_ok() && roster.check(at(300)).is_err());
        roster.on_heard(at(300), PeerId(1), Command::Other);
        assert!(roster.check(at(301)).is_ok());
    }

    #[test]
    fn who_is_given_up_too_early_is_found() {
        assert!(ready(&[1]).on_left(at(299), PeerId(1), true).is_err());
        assert!(ready(&[1]).on_left(at(300), PeerId(1), true).is_ok());
        assert!(ready(&[1]).on_left(at(1), PeerId(1), false).is_ok());
    }

    #[test]
    fn mmi_tells_who_is_there() {
        let roster = ready(&[1]);
        assert!(roster.check_code(b"s0", b"200").is_ok() && roster.check_code(b"s1", b"404").is_ok());
        assert!(roster.check_code(b"s0", b"404").is_err() && roster.check_code(b"s1", b"200").is_err());
    }

    #[test]
    fn commands_are_read_in_both_dialects() {
        let of = |frames: Frames| Command::of(&frames);
        assert_eq!(of(["", "MDPW01", "\x03", "address"].into()), Some(Command::Final));
        assert_eq!(of(["MDPW02", "\x03", "address"].into()), Some(Command::Other));
        assert_eq!(of(["", "MDPW02", "\x06"].into()), Some(Command::Disconnect));
        assert_eq!(of(["", "MDPC02", "\x01"].into()), None);
    }
}
