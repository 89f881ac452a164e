//! Who is let into the table, by beacon or by connection, and how a node leaves it.
//!
//! RFC 36, "Discovery": a new node is connected to and said HELLO. A beacon of a known node is a sign of life, as pyre
//! has it, and one with port 0 its farewell. Nothing that somebody says in another's name costs that other one its
//! place: the address has to fit.
//!
//! Where there are keys, a beacon proves nothing, and anybody can send it: which key a node has, where it listens and
//! that it leaves. Its HELLO proves the key. Until then, what one beacon says gives way to what another one says, and
//! both to the HELLO.

use std::net::{IpAddr, SocketAddr};

use protocol::zre::{Beacon, NodeId};
use protocol::{Instant, PeerId};

use super::introduction::TOLD_OF;
use super::peer::{Peer, State};
use super::{Connection, Node, Output, Wake};
use crate::config::Key;
use crate::event::{Departure, Event};
use crate::marking;

impl Node {
    pub(super) fn on_beacon(&mut self, now: Instant, from: SocketAddr, octets: &[u8]) {
        let Ok(beacon) = Beacon::decode(octets) else {
            self.counters.faults += 1;
            return;
        };
        if beacon.node == self.config.id {
            return;
        }
        self.counters.beacons_heard += 1;
        // A node with a key speaks CURVE: we could not talk unless both of us have one.
        if self.is_of_other_mesh(beacon.node) || beacon.key.is_some() != self.config.key.is_some() {
            self.counters.other_mesh += 1;
        } else if self.gives_way(now, from, &beacon) {
            self.remove(now, beacon.node, Departure::Expired);
            self.on_beacon_of_unknown(now, from, &beacon);
        } else if self.is_of_other_key(beacon.node, beacon.key) {
            // In the name of a node that has proved, or has a moment to prove, to be somebody else.
            self.counters.taken += 1;
        } else if self.peers.contains_key(&beacon.node) {
            self.on_beacon_of_known(now, from, &beacon);
        } else if !beacon.is_leaving() && !self.is_shunned(now, beacon.node) {
            self.on_beacon_of_unknown(now, from, &beacon);
        }
    }

    /// Whether a node of ours is of a mesh that is not ours; a foreign node may be of any.
    pub(super) fn is_of_other_mesh(&self, node: NodeId) -> bool {
        marking::is_ours(node) && !marking::may_be_of(node, &self.config.mesh)
    }

    /// Whether a beacon says something else of a node than an earlier one did, nothing was proved meanwhile, and there
    /// was time to.
    fn gives_way(&self, now: Instant, from: SocketAddr, beacon: &Beacon) -> bool {
        let Some(known) = self.peers.get(&beacon.node).filter(|known| known.key.is_some()) else { return false };
        let is_other = known.key != beacon.key || (known.is_elsewhere(from.ip(), beacon.port) && !known.is_linked);
        let is_proved = known.member().is_some() || known.connection.is_some();
        is_other && !beacon.is_leaving() && !is_proved && now - known.since >= self.config.beacon_interval / 2
    }

    fn on_beacon_of_known(&mut self, now: Instant, from: SocketAddr, beacon: &Beacon) {
        if beacon.is_leaving() {
            return self.on_farewell(now, from, beacon.node);
        }
        let Some(peer) = self.peers.get_mut(&beacon.node) else { return };
        let is_lost = peer.is_never_reached() && now - peer.since >= self.config.beacon_interval;
        if peer.key.is_some() && is_lost && peer.is_elsewhere(from.ip(), beacon.port) {
            return self.look_there(now, from, beacon);
        }
        // A node with two interfaces beacons on both. One that has moved is not reached at its old address any more:
        // there its beacons are no life, so that it expires and is found at the new one.
        let is_from_there = peer.address.is_none_or(|address| address == from.ip());
        let is_port = peer.port.is_none_or(|port| port == beacon.port);
        if is_port && (is_from_there || peer.is_linked) {
            peer.on_life(now);
            if peer.address.is_none() && peer.member().is_some() {
                self.on_first_beacon(from, beacon);
            }
        }
    }

    /// Where there are keys, a member of ours says GOODBYE, which nobody else can; and who is not here yet is not kept
    /// away by what anybody can say.
    fn on_farewell(&mut self, now: Instant, from: SocketAddr, node: NodeId) {
        let Some(peer) = self.peers.get(&node) else { return };
        let is_from_there = peer.address.is_none_or(|address| address == from.ip());
        let departure = match (peer.key, peer.member()) {
            (Some(_), Some(_)) if marking::is_ours(node) => return,
            (Some(_), None) => Departure::Expired,
            (Some(_), Some(_)) | (None, _) => Departure::Left,
        };
        if is_from_there {
            self.remove(now, node, departure);
        }
    }

    /// A member that has proved its key was never reached where a beacon said that it listens: this one says another
    /// place.
    fn look_there(&mut self, now: Instant, from: SocketAddr, beacon: &Beacon) {
        let Some(peer) = self.peers.get_mut(&beacon.node) else { return };
        (peer.address, peer.port, peer.since) = (Some(from.ip()), Some(beacon.port), now);
        peer.endpoint = endpoint(from, beacon.port);
        self.outputs.push_back(Output::Disconnect { node: beacon.node });
        self.greet(beacon.node);
    }

    /// Until now we knew it by its HELLO alone. Where we do not reach it at the endpoint that it named (one of another
    /// network, or of another interface), we do where its beacons come from.
    fn on_first_beacon(&mut self, from: SocketAddr, beacon: &Beacon) {
        let Some(peer) = self.peers.get_mut(&beacon.node) else { return };
        (peer.address, peer.port) = (Some(from.ip()), Some(beacon.port));
        let endpoint = endpoint(from, beacon.port);
        if !peer.is_linked && peer.endpoint != endpoint {
            peer.endpoint = endpoint;
            self.outputs.push_back(Output::Disconnect { node: beacon.node });
            self.greet(beacon.node);
        }
    }

    fn on_beacon_of_unknown(&mut self, now: Instant, from: SocketAddr, beacon: &Beacon) {
        let half_known = self.half_known.get(&from.ip()).copied().unwrap_or_default();
        if self.peers.len() >= self.config.limits.peers_max
            || half_known >= self.config.limits.half_known_per_address_max
        {
            self.counters.full += 1;
            return;
        }
        // Whether a foreign node belongs to a named mesh is in its HELLO; until then it is told nothing.
        let is_stranger = !self.config.mesh.is_empty() && !marking::is_ours(beacon.node);
        let state = if is_stranger { State::Stranger } else { State::Greeted };
        let mut peer = Peer::new(now, endpoint(from, beacon.port), beacon.key, state);
        (peer.address, peer.port) = (Some(from.ip()), Some(beacon.port));
        peer.connection = self.connection_of(beacon.node, beacon.key);
        *self.half_known.entry(from.ip()).or_default() += 1;
        self.peers.insert(beacon.node, peer);
        self.wake_for(beacon.node);
        if !is_stranger {
            self.greet(beacon.node);
        }
    }

    /// Opens a DEALER to a node and says HELLO.
    pub(super) fn greet(&mut self, node: NodeId) {
        let Some(peer) = self.peers.get_mut(&node) else { return };
        (peer.sent, peer.is_linked) = (0, false);
        (peer.is_broken, peer.is_asked, peer.is_spared) = (false, false, false);
        let (endpoint, key) = (peer.endpoint.clone(), peer.key);
        self.outputs.push_back(Output::Connect { node, endpoint, key });
        self.say_hello(node);
    }

    pub(super) fn on_connected(&mut self, now: Instant, peer: PeerId, identity: &[u8], key: Option<Key>) {
        let Some(node) = NodeId::from_identity(identity).filter(|node| *node != self.config.id) else {
            self.counters.faults += 1;
            return self.outputs.push_back(Output::Close { peer });
        };
        if self.is_of_other_mesh(node) {
            self.counters.other_mesh += 1;
            return self.outputs.push_back(Output::Close { peer });
        }
        if self.is_proved_by_other_key(node, key) {
            self.counters.taken += 1;
            return self.outputs.push_back(Output::Close { peer });
        }
        if self.connections.len() >= self.config.limits.peers_max.saturating_mul(2) {
            self.counters.full += 1;
            return self.outputs.push_back(Output::Close { peer });
        }
        let mut connection = Connection { node, key, since: now, alarm: Default::default() };
        self.timers.arm(&mut connection.alarm, Wake::Connection(peer), now + self.config.hello_timeout);
        self.connections.insert(peer, connection);
        if let Some(known) = self.peers.get_mut(&node).filter(|known| known.key == key) {
            known.connection = known.connection.max(Some(peer));
            self.on_connection_changed(node);
        }
    }

    pub(super) fn on_disconnected(&mut self, peer: PeerId) {
        let Some(gone) = self.connections.remove(&peer) else { return };
        let left = self.connection_of(gone.node, gone.key);
        if let Some(known) = self.peers.get_mut(&gone.node)
            && known.connection == Some(peer)
        {
            known.connection = left;
            self.on_connection_changed(gone.node);
        }
    }

    /// What was on its way when a connection broke is lost. On the next one a PING follows at once, so that whoever has
    /// missed something notices: the next message of ours may be far.
    pub(super) fn on_linked(&mut self, now: Instant, node: NodeId, up: bool) {
        let Some(peer) = self.peers.get_mut(&node) else { return };
        peer.is_linked = up;
        peer.is_broken |= !up;
        // What was asked over the former connection may never be answered.
        peer.round_trips.give_up();
        if peer.is_spared && !up {
            // It has closed our connection, and only its HELLO came before that was known.
            self.outputs.push_back(Output::Disconnect { node });
            self.greet(node);
            return self.on_connection_changed(node);
        }
        let (is_again, is_here) = (up && peer.is_broken && peer.is_told(), peer.member().is_some());
        let is_to_greet = is_again && (!is_here || peer.is_asked);
        if is_to_greet {
            // Our HELLO may have been lost with a connection before, and without it nothing of ours is heard.
            (peer.sent, peer.is_broken) = (0, false);
        }
        peer.is_asked |= is_again && is_here;
        if is_to_greet {
            self.say_hello(node);
        }
        self.on_connection_changed(node);
        if !self.measure(now, node) && is_again && is_here {
            self.ping(node);
        }
    }

    /// A queue that is full leaves a hole in the numbers, so that nothing that follows would be understood.
    pub(super) fn on_refused(&mut self, now: Instant, node: NodeId) {
        self.remove(now, node, Departure::Stalled);
    }

    /// Whether this is not the key that the node of this name is known by.
    pub(super) fn is_of_other_key(&self, node: NodeId, key: Option<Key>) -> bool {
        self.peers.get(&node).is_some_and(|known| known.key != key)
    }

    /// Whether the node of this name is here, and has proved to have another key.
    pub(super) fn is_proved_by_other_key(&self, node: NodeId, key: Option<Key>) -> bool {
        self.peers.get(&node).is_some_and(|known| known.member().is_some() && known.key != key)
    }

    /// The newest connection of a node with this key.
    pub(super) fn connection_of(&self, node: NodeId, key: Option<Key>) -> Option<PeerId> {
        let is_its = |connection: &Connection| connection.node == node && connection.key == key;
        self.connections.iter().rev().find(|(_, connection)| is_its(connection)).map(|(peer, _)| *peer)
    }

    /// Forgets a node, and has nothing to do with it for a moment: a farewell may be overtaken by an older beacon, and
    /// whoever breaks rules shall not do so at the speed of the network.
    pub(super) fn remove(&mut self, now: Instant, node: NodeId, departure: Departure) {
        let Some(peer) = self.peers.remove(&node) else { return };
        self.on_gone(node, &peer, departure);
        if peer.is_told() {
            self.outputs.push_back(Output::Disconnect { node });
        }
        if let Some(connection) = peer.connection {
            self.outputs.push_back(Output::Close { peer: connection });
        }
        if departure != Departure::Expired {
            self.shun(now, node);
        }
    }

    /// What follows when a node is not there any more, or is there anew.
    pub(super) fn on_gone(&mut self, node: NodeId, peer: &Peer, departure: Departure) {
        let Some(member) = peer.member() else {
            return self.on_half_known_gone(if peer.is_told_of { Some(TOLD_OF) } else { peer.address });
        };
        let name = std::sync::Arc::clone(&member.name);
        self.table_bytes = self.table_bytes.saturating_sub(member.bytes);
        let outputs = &mut self.outputs;
        self.registry.on_exit(node, |event| outputs.push_back(Output::Event(event)));
        self.tell(Event::Exit { node, name, departure });
        member.groups.iter().for_each(|group| self.elect_without(group, node));
    }

    /// One half-known node less at this address.
    pub(super) fn on_half_known_gone(&mut self, address: Option<IpAddr>) {
        let Some(address) = address else { return };
        if let Some(count) = self.half_known.get_mut(&address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.half_known.remove(&address);
            }
        }
    }

    pub(super) fn is_shunned(&self, now: Instant, node: NodeId) -> bool {
        self.shunned.get(&node).is_some_and(|until| now < *until)
    }

    fn shun(&mut self, now: Instant, node: NodeId) {
        if self.shunned.len() >= SHUNNED_MAX {
            self.shunned.retain(|_, until| now < *until);
        }
        if self.shunned.len() < SHUNNED_MAX {
            self.shunned.insert(node, now + self.config.beacon_interval);
        }
    }
}

/// Where a node listens whose beacons come from there.
fn endpoint(mut from: SocketAddr, port: u16) -> String {
    from.set_port(port);
    format!("tcp://{from}")
}

const SHUNNED_MAX: usize = 1024;
