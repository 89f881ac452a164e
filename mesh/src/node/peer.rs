//! One node of the table: how far we know it, and the numbers of what goes to it and comes from it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use protocol::timers::Alarm;
use protocol::zre::GroupName;
use protocol::{Instant, PeerId};

use super::latency::RoundTrips;
use crate::config::Key;

/// A node that we know of.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) state: State,
    /// Where it listens.
    pub(super) endpoint: String,
    /// Where its beacons come from; `None` for one that we know by its HELLO alone.
    pub(super) address: Option<IpAddr>,
    /// Whose owner it has to be, where we speak CURVE.
    pub(super) key: Option<Key>,
    /// Whether we know it by an introduction.
    pub(super) is_told_of: bool,
    /// The port of its beacons.
    pub(super) port: Option<u16>,
    /// The last sign of life.
    pub(super) heard: Instant,
    /// When we began to know it this far.
    pub(super) since: Instant,
    /// What its silence has led to so far.
    pub(super) doubt: Doubt,
    pub(super) alarm: Alarm,
    /// Whether our DEALER has a connection.
    pub(super) is_linked: bool,
    /// Whether our DEALER has lost a connection since we said HELLO over it.
    pub(super) is_broken: bool,
    /// Whether it was asked on a new connection if it is there, and has not answered.
    pub(super) is_asked: bool,
    /// Whether its last HELLO was taken for an answer to ours, so that it was not told ours again.
    pub(super) is_spared: bool,
    /// Which of our headers it was told.
    pub(super) headers: u64,
    /// The number of our last message to it; 0 before HELLO.
    pub(super) sent: u16,
    /// Whether it writes ids with small letters.
    pub(super) writes_small: bool,
    /// Its connection to our ROUTER.
    pub(super) connection: Option<PeerId>,
    pub(super) round_trips: RoundTrips,
}

/// How far we know it.
#[derive(Debug)]
pub(super) enum State {
    /// We have said HELLO, and it has not.
    Greeted,
    /// Both have.
    Ready(Member),
    /// Of another mesh, or not known to be of ours: it is told nothing.
    Stranger,
}

/// What a node has said of itself.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) name: Arc<str>,
    pub(super) groups: BTreeSet<GroupName>,
    /// How often its groups have changed.
    pub(super) status: u8,
    /// The number of its last message.
    pub(super) received: u16,
    /// Bytes that it takes in our table.
    pub(super) bytes: usize,
}

/// What silence has led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doubt {
    /// Nothing.
    None,
    /// We have asked whether it is there.
    Probed,
    /// We have told that it is evasive, and asked again.
    Evasive,
    /// There was no silence; all connections are gone, and nobody can be asked.
    Severed,
}

impl Peer {
    pub(super) fn new(now: Instant, endpoint: String, key: Option<Key>, state: State) -> Self {
        Self {
            state,
            key,
            endpoint,
            address: None,
            port: None,
            is_told_of: false,
            heard: now,
            since: now,
            doubt: Doubt::None,
            alarm: Alarm::default(),
            is_linked: false,
            is_broken: false,
            is_asked: false,
            is_spared: false,
            headers: 0,
            sent: 0,
            writes_small: false,
            connection: None,
            round_trips: RoundTrips::default(),
        }
    }

    pub(super) fn member(&self) -> Option<&Member> {
        match &self.state {
            State::Ready(member) => Some(member),
            State::Greeted | State::Stranger => None,
        }
    }

    pub(super) fn member_mut(&mut self) -> Option<&mut Member> {
        match &mut self.state {
            State::Ready(member) => Some(member),
            State::Greeted | State::Stranger => None,
        }
    }

    /// Whether it has been said HELLO and hears what is said to all.
    pub(super) fn is_told(&self) -> bool {
        !matches!(self.state, State::Stranger)
    }

    /// A sign of life.
    pub(super) fn on_life(&mut self, now: Instant) {
        self.heard = now;
        self.doubt = if self.doubt == Doubt::Severed && self.is_severed() { Doubt::Severed } else { Doubt::None };
    }

    /// Whether a beacon from there is not of where we look for it. Of one that we know by its HELLO alone none is.
    pub(super) fn is_elsewhere(&self, address: IpAddr, port: u16) -> bool {
        self.address.is_some_and(|known| known != address) || self.port.is_some_and(|known| known != port)
    }

    /// Whether it is here, and there was no connection to it since we have said HELLO.
    pub(super) fn is_never_reached(&self) -> bool {
        self.member().is_some() && !self.is_linked && !self.is_broken
    }

    /// Whether it was here, and there is neither a connection to it nor one from it.
    pub(super) fn is_severed(&self) -> bool {
        self.member().is_some() && !self.is_linked && self.connection.is_none()
    }

    /// The number of the next message to it.
    pub(super) fn next_sequence(&mut self) -> u16 {
        self.sent = self.sent.wrapping_add(1);
        self.sent
    }
}

impl Member {
    /// Takes the number of a message; whether it is the next one. pyre counts 65534, 0, 1, all others 65535 in between.
    pub(super) fn accepts(&mut self, sequence: u16) -> bool {
        let next = self.received.wrapping_add(1);
        let is_next = sequence == next || (next == u16::MAX && sequence == 0);
        if is_next {
            self.received = sequence;
        }
        is_next
    }
}

/// Bytes that a node's own words take in the table, about.
pub(super) fn bytes_of(name: &str, groups: &BTreeSet<GroupName>, headers: &BTreeMap<String, String>) -> usize {
    let groups: usize = groups.iter().map(group_bytes).sum();
    let headers: usize = headers.iter().map(|(name, value)| name.len() + value.len() + ENTRY_BYTES).sum();
    name.len() + groups + headers
}

pub(super) fn group_bytes(group: &GroupName) -> usize {
    group.as_str().len() + ENTRY_BYTES
}

const ENTRY_BYTES: usize = 48;
