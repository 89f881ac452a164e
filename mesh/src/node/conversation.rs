//! What other nodes say to us.
//!
//! HELLO is the first message of a connection and has the number 1; what comes before it is left unheard. Each message
//! has the next number: one that is left out, or repeated, means that we do not know what was said, so the node is
//! given up and found anew (RFC 36, "Protocol Sequencing"). A frame that cannot be read costs itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use protocol::mutants::{self, Mutant};
use protocol::zre::{Command, GroupName, Hello, Message, NodeId};
use protocol::{Frames, Instant, PeerId, limits};

use super::introduction::INTRODUCE_HEADER;
use super::latency::RoundTrips;
use super::peer::{Member, Peer, State, bytes_of, group_bytes};
use super::{Node, Output};
use crate::announcement;
use crate::config::Key;
use crate::event::{Departure, Event};
use crate::marking::{self, MESH_HEADER};

impl Node {
    pub(super) fn on_message(&mut self, now: Instant, peer: PeerId, frames: Frames) {
        let Some((node, key)) = self.connections.get(&peer).map(|connection| (connection.node, connection.key)) else {
            return;
        };
        self.counters.messages_heard += 1;
        if self.is_proved_by_other_key(node, key) {
            self.counters.taken += 1;
            return self.outputs.push_back(Output::Close { peer });
        }
        match Message::decode(frames) {
            // Of an earlier connection, whose messages the next one has overtaken.
            Ok(_) | Err(_) if self.is_late(peer, node) => self.counters.early += 1,
            Ok(Message { sequence, command: Command::Hello(hello) }) => self.on_hello(now, peer, node, sequence, hello),
            Ok(Message { sequence, command }) => self.on_command(now, node, sequence, command),
            Err(_) => self.on_fault(node),
        }
    }

    /// Whether a member has another connection to us by now.
    fn is_late(&self, peer: PeerId, node: NodeId) -> bool {
        self.peers.get(&node).is_some_and(|known| known.member().is_some() && known.connection > Some(peer))
    }

    /// The message had a number, which we take to be the next one.
    fn on_fault(&mut self, node: NodeId) {
        self.counters.faults += 1;
        if let Some(member) = self.peers.get_mut(&node).and_then(Peer::member_mut) {
            member.received = member.received.wrapping_add(1);
        }
    }

    fn on_command(&mut self, now: Instant, node: NodeId, sequence: u16, command: Command) {
        let Some(peer) = self.peers.get_mut(&node) else {
            self.counters.early += 1;
            return;
        };
        let Some(member) = peer.member_mut() else {
            self.counters.early += 1;
            return;
        };
        if !member.accepts(sequence) && !mutants::on(Mutant::AcceptGap) {
            self.counters.gaps += 1;
            return self.remove(now, node, Departure::Gap);
        }
        let name = Arc::clone(&member.name);
        peer.on_life(now);
        peer.is_asked &= command != Command::PingOk;
        match command {
            Command::Whisper { content } => self.on_whisper(now, node, name, content),
            Command::Shout { group, content } => self.on_shout(node, name, group, content),
            Command::Join { group, status } => self.on_join(node, &group, status),
            Command::Leave { group, status } => self.on_leave(node, &group, status),
            Command::Ping => self.on_ping(now, node),
            Command::Goodbye => self.remove(now, node, Departure::Left),
            Command::Elect { group, challenger } => self.on_elect(node, &group, &challenger),
            Command::Leader { group, leader } => self.on_leader(node, &group, &leader),
            Command::PingOk => self.on_ping_ok(now, node),
            // HELLO has an arm of its own.
            Command::Hello(_) => {}
        }
    }

    /// Whoever asks has missed beacons of ours, and others may have: one more for all helps most where much is lost.
    fn on_ping(&mut self, now: Instant, node: NodeId) {
        self.say(node, Command::PingOk);
        if now - self.beacons.sent_at >= self.config.beacon_interval / 5 {
            self.beacons.sent_at = now;
            self.send_beacon(self.config.port);
        }
    }

    fn on_whisper(&mut self, now: Instant, node: NodeId, name: Arc<str>, content: Frames) {
        if !self.on_introduction(now, node, &content) {
            self.tell(Event::Whisper { node, name, content });
        }
    }

    fn on_shout(&mut self, node: NodeId, name: Arc<str>, group: GroupName, content: Frames) {
        let outputs = &mut self.outputs;
        let tell = |event| outputs.push_back(Output::Event(event));
        if group.as_str() == announcement::GROUP && self.registry.on_shout(node, &content, tell) {
            return;
        }
        self.tell(Event::Shout { node, name, group, content });
    }

    fn on_join(&mut self, node: NodeId, group: &GroupName, status: u8) {
        let has_room = self.table_bytes + group_bytes(group) <= self.config.limits.table_bytes_max;
        let Some(member) = self.peers.get_mut(&node).and_then(Peer::member_mut) else { return };
        self.counters.status_jumps += u64::from(status != member.status.wrapping_add(1));
        member.status = status;
        let is_full = u32::try_from(member.groups.len()).is_ok_and(|count| count >= limits::ZRE_GROUPS_MAX);
        if is_full || !has_room {
            self.counters.full += 1;
        } else if member.groups.insert(group.clone()) {
            member.bytes += group_bytes(group);
            self.table_bytes += group_bytes(group);
            let name = Arc::clone(&member.name);
            self.tell(Event::Join { node, name, group: group.clone() });
            self.elect_with(group);
            if group.as_str() == announcement::GROUP {
                self.catch_up(node);
            }
        }
    }

    fn on_leave(&mut self, node: NodeId, group: &GroupName, status: u8) {
        let Some(member) = self.peers.get_mut(&node).and_then(Peer::member_mut) else { return };
        self.counters.status_jumps += u64::from(status != member.status.wrapping_add(1));
        member.status = status;
        if let Some(group) = member.groups.take(group).filter(|_| !mutants::on(Mutant::ForgetLeave)) {
            member.bytes = member.bytes.saturating_sub(group_bytes(&group));
            self.table_bytes = self.table_bytes.saturating_sub(group_bytes(&group));
            let name = Arc::clone(&member.name);
            self.tell(Event::Leave { node, name, group: group.clone() });
            self.elect_without(&group, node);
        }
    }

    fn on_hello(&mut self, now: Instant, peer: PeerId, node: NodeId, sequence: u16, hello: Hello) {
        if sequence != 1 || hello.endpoint == self.own_endpoint(node) || !is_endpoint(&hello.endpoint) {
            self.counters.faults += 1;
            // A HELLO with another number is not the next message either.
            if self.peers.get(&node).is_some_and(|known| known.member().is_some()) {
                self.remove(now, node, Departure::Gap);
            }
            return;
        }
        if self.is_shunned(now, node) {
            self.counters.early += 1;
            return;
        }
        // Its connection has proved its key, which a beacon in its name has only claimed to be another.
        if self.is_of_other_key(node, self.key_of(peer)) {
            self.remove(now, node, Departure::Expired);
        }
        if hello.headers.get(MESH_HEADER).map_or("", String::as_str) != self.config.mesh {
            return self.on_stranger(now, peer, node, hello.endpoint);
        }
        if self.is_taken(now, node, &hello) {
            self.counters.taken += 1;
            return self.outputs.push_back(Output::Close { peer });
        }
        self.admit(now, peer, node, hello);
    }

    /// The node of another mesh is remembered, so that its beacons lead to nothing.
    fn on_stranger(&mut self, now: Instant, peer: PeerId, node: NodeId, endpoint: String) {
        self.counters.other_mesh += 1;
        self.outputs.push_back(Output::Close { peer });
        match self.peers.get_mut(&node) {
            Some(known) if known.member().is_some() => self.remove(now, node, Departure::Left),
            Some(known) if known.is_told() => {
                known.state = State::Stranger;
                self.outputs.push_back(Output::Disconnect { node });
            }
            Some(_) => {}
            None => self.remember_stranger(now, peer, node, endpoint),
        }
    }

    fn remember_stranger(&mut self, now: Instant, peer: PeerId, node: NodeId, endpoint: String) {
        if self.peers.len() >= self.config.limits.peers_max {
            self.counters.full += 1;
            return;
        }
        let key = self.key_of(peer);
        self.peers.insert(node, Peer::new(now, endpoint, key, State::Stranger));
        self.wake_for(node);
    }

    /// Whether somebody says HELLO in the name of a node that is there, that we reach, and that listens elsewhere.
    fn is_taken(&self, now: Instant, node: NodeId, hello: &Hello) -> bool {
        let Some(peer) = self.peers.get(&node) else { return false };
        let is_there = peer.is_linked && now - peer.heard < self.config.patience(node).probe;
        let is_elsewhere = port_of(&peer.endpoint) != port_of(&hello.endpoint);
        peer.member().is_some() && is_there && is_elsewhere
    }

    /// Both sides have said HELLO, or will have once ours has left.
    fn admit(&mut self, now: Instant, connection: PeerId, node: NodeId, hello: Hello) {
        let Hello { endpoint, groups, status, name, headers } = hello;
        let groups: BTreeSet<GroupName> = groups.into_iter().collect();
        let bytes = bytes_of(&name, &groups, &headers);
        let freed = self.peers.get(&node).and_then(Peer::member).map_or(0, |member| member.bytes);
        let is_new = !self.peers.contains_key(&node);
        if (is_new && self.peers.len() >= self.config.limits.peers_max)
            || self.table_bytes.saturating_sub(freed) + bytes > self.config.limits.table_bytes_max
        {
            self.counters.full += 1;
            return self.outputs.push_back(Output::Close { peer: connection });
        }
        let name: Arc<str> = if name.is_empty() { node.default_name().into() } else { name.into() };
        let mut peer = match self.peers.remove(&node) {
            Some(peer) => {
                if !mutants::on(Mutant::ForgetRestart) {
                    self.on_gone(node, &peer, Departure::Restarted);
                }
                peer
            }
            None => Peer::new(now, endpoint.clone(), self.key_of(connection), State::Stranger),
        };
        let stands = self.hello_stands(now, node, &peer, &endpoint);
        let is_greeted = matches!(peer.state, State::Greeted) || stands;
        let is_met_by_beacon = matches!(peer.state, State::Greeted) && !peer.is_told_of;
        if peer.member().is_some() && !stands {
            self.outputs.push_back(Output::Disconnect { node });
            (peer.endpoint, peer.address, peer.port) = (endpoint, None, None);
        }
        peer.state =
            State::Ready(Member { name: Arc::clone(&name), groups: groups.clone(), status, received: 1, bytes });
        peer.is_spared = stands;
        (peer.connection, peer.since, peer.round_trips) = (Some(connection), now, RoundTrips::default());
        peer.on_life(now);
        self.table_bytes += bytes;
        let told: Arc<str> = peer.endpoint.as_str().into();
        self.peers.insert(node, peer);
        self.wake_for(node);
        if !is_greeted {
            self.greet(node);
        }
        let wants_introduction = is_met_by_beacon && headers.contains_key(INTRODUCE_HEADER) && marking::is_ours(node);
        self.tell_entered(node, &name, told, &groups, headers);
        self.measure(now, node);
        self.catch_up(node);
        if wants_introduction {
            self.introduce(node);
        }
    }

    /// Whether a member that says HELLO again has ours all the same. It may have said it because of ours: to say ours
    /// once more would be answered in the same way, without an end. One of our kind that does not know us any more has
    /// closed our connection; foreign nodes cannot, and say HELLO at once only in answer.
    fn hello_stands(&self, now: Instant, node: NodeId, peer: &Peer, endpoint: &str) -> bool {
        let is_there = peer.member().is_some() && port_of(&peer.endpoint) == port_of(endpoint);
        let is_recent = now - peer.since < self.config.beacon_interval;
        is_there && if marking::is_ours(node) { !peer.is_broken } else { is_recent }
    }

    fn key_of(&self, peer: PeerId) -> Option<Key> {
        self.connections.get(&peer).and_then(|connection| connection.key)
    }

    fn tell_entered(
        &mut self,
        node: NodeId,
        name: &Arc<str>,
        endpoint: Arc<str>,
        groups: &BTreeSet<GroupName>,
        headers: BTreeMap<String, String>,
    ) {
        let headers = Arc::new(headers);
        self.tell(Event::Enter { node, name: Arc::clone(name), endpoint, headers: Arc::clone(&headers) });
        for group in groups {
            self.tell(Event::Join { node, name: Arc::clone(name), group: group.clone() });
        }
        let outputs = &mut self.outputs;
        self.registry.on_enter(node, &headers, |event| outputs.push_back(Output::Event(event)));
        groups.iter().for_each(|group| self.elect_with(group));
    }

    /// Where we tell this node that we listen: at our address in its network.
    pub(super) fn own_endpoint(&self, node: NodeId) -> String {
        let address = self.peers.get(&node).and_then(|peer| peer.address);
        let addresses = &self.config.addresses;
        let near = address.and_then(|address| addresses.iter().find(|ours| ours.is_near(address)));
        let own = near.or(addresses.first());
        own.map_or_else(|| format!("tcp://127.0.0.1:{}", self.config.port), |own| own.endpoint(self.config.port))
    }

    /// The headers of our HELLO.
    pub(super) fn own_headers(&self) -> BTreeMap<String, String> {
        let mut headers = self.config.headers.clone();
        if !self.config.mesh.is_empty() {
            headers.insert(marking::MESH_HEADER.to_owned(), self.config.mesh.clone());
        }
        if self.config.wants_introduction {
            headers.insert(INTRODUCE_HEADER.to_owned(), "1".to_owned());
        }
        headers
    }
}

pub(super) fn is_endpoint(text: &str) -> bool {
    text.starts_with("tcp://") && port_of(text).is_some_and(|port| port != 0)
}

fn port_of(endpoint: &str) -> Option<u16> {
    endpoint.rsplit_once(':')?.1.parse().ok()
}
