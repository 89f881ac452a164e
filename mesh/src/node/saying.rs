//! What we say to others. Each of them has its own numbers, so a SHOUT is a command frame for each and one content.

use bytes::Bytes;
use protocol::mutants::{self, Mutant};
use protocol::zre::{Beacon, Command, GroupName, Hello, Message, NodeId};
use protocol::{Frames, limits};

use super::peer::{Member, Peer};
use super::{Node, Output};
use crate::announcement::{self, Announcement};
use crate::event::Event;

impl Node {
    /// Says something to a node that has been said HELLO.
    pub(super) fn say(&mut self, node: NodeId, command: Command) {
        let Some(peer) = self.peers.get_mut(&node) else { return };
        let is_content = matches!(command, Command::Whisper { .. } | Command::Shout { .. });
        let frames = Message { sequence: peer.next_sequence(), command }.encode();
        if is_content {
            self.counters.messages_sent += 1;
        } else {
            self.counters.commands_sent += 1;
            self.count_octets(frames.byte_count());
        }
        self.outputs.push_back(Output::Send { node, frames });
    }

    pub(super) fn say_hello(&mut self, node: NodeId) {
        let hello = Hello {
            endpoint: self.own_endpoint(node),
            groups: self.groups.iter().cloned().collect(),
            status: self.status,
            name: self.config.name.clone(),
            headers: self.own_headers(),
        };
        if let Some(peer) = self.peers.get_mut(&node) {
            peer.headers = self.headers_count;
        }
        self.say(node, Command::Hello(hello));
    }

    pub(super) fn ping(&mut self, node: NodeId) {
        self.counters.pings_sent += 1;
        self.say(node, Command::Ping);
    }

    pub(super) fn send_beacon(&mut self, port: u16) {
        let octets: Bytes = Beacon { node: self.config.id, port, key: self.config.key }.encode();
        self.counters.beacons_sent += 1;
        self.count_octets(octets.len());
        self.outputs.push_back(Output::Beacon(octets));
    }

    pub(super) fn on_join_wished(&mut self, group: &GroupName) {
        let is_full = u32::try_from(self.groups.len()).is_ok_and(|count| count >= limits::ZRE_GROUPS_MAX);
        if !is_full && self.groups.insert(group.clone()) {
            self.status = self.status.wrapping_add(1);
            let status = self.status;
            self.say_to_all(|| Command::Join { group: group.clone(), status });
        }
    }

    pub(super) fn on_leave_wished(&mut self, group: &GroupName) {
        if self.groups.remove(group) {
            self.elections.remove(group);
            self.status = self.status.wrapping_add(1);
            let status = self.status;
            self.say_to_all(|| Command::Leave { group: group.clone(), status });
        }
    }

    pub(super) fn on_whisper_wished(&mut self, node: NodeId, content: Frames) {
        match self.peers.get(&node).and_then(|peer| peer.member()) {
            Some(_) => self.say(node, Command::Whisper { content }),
            None => self.tell(Event::Undelivered { node }),
        }
    }

    pub(super) fn on_shout_wished(&mut self, group: &GroupName, content: &Frames) {
        let hears = |node: &Node, id: &NodeId| {
            node.peers.get(id).and_then(|peer| peer.member()).is_some_and(|member| member.groups.contains(group))
        };
        let members: Vec<NodeId> = self.peers.keys().filter(|id| hears(self, id)).copied().collect();
        let is_about_services = group.as_str() == announcement::GROUP;
        for node in members {
            if let Some(peer) = self.peers.get_mut(&node).filter(|_| is_about_services) {
                peer.headers = self.headers_count;
            }
            self.say(node, Command::Shout { group: group.clone(), content: content.clone() });
        }
    }

    /// Services may have changed after our HELLO, when a node that had not said its own could not be told: now it can.
    pub(super) fn catch_up(&mut self, node: NodeId) {
        let Some(peer) = self.peers.get_mut(&node).filter(|peer| peer.headers != self.headers_count) else { return };
        let is_in = |member: &Member| member.groups.iter().any(|group| group.as_str() == announcement::GROUP);
        if !peer.member().is_some_and(is_in) {
            return;
        }
        peer.headers = self.headers_count;
        let group = announcement::GROUP.parse();
        if let (Some(announcement), Ok(group)) = (Announcement::from_headers(&self.config.headers), group) {
            self.say(node, Command::Shout { group, content: announcement.shout() });
        }
    }

    /// A datagram may be lost, so the farewell is sent three times. GOODBYE goes to nodes that have said HELLO: Zyre
    /// and pyre leave it unheard.
    pub(super) fn on_shutdown(&mut self) {
        let nodes: Vec<NodeId> = self.present().filter(|node| crate::marking::is_ours(*node)).collect();
        nodes.into_iter().for_each(|node| self.say(node, Command::Goodbye));
        (0..FAREWELLS).for_each(|_| self.send_beacon(0));
        self.outputs.push_back(Output::Finished);
        self.is_over = true;
    }

    /// To everybody who has been said HELLO: also to those who have not answered yet, or the count of our groups that
    /// they have would be wrong for ever.
    fn say_to_all(&mut self, command: impl Fn() -> Command) {
        let is_told = |peer: &Peer| match mutants::on(Mutant::JoinOnlyToKnown) {
            true => peer.member().is_some(),
            false => peer.is_told(),
        };
        let nodes: Vec<NodeId> = self.peers.iter().filter(|(_, peer)| is_told(peer)).map(|(node, _)| *node).collect();
        nodes.into_iter().for_each(|node| self.say(node, command()));
    }

    fn count_octets(&mut self, octets: usize) {
        self.counters.discovery_octets_sent += u64::try_from(octets).unwrap_or_default();
    }
}

const FAREWELLS: usize = 3;
