//! Where beacons do not reach everybody: whoever is met introduces a node to all that it knows.
//!
//! ```text
//!   newcomer ── beacon to one address ──► any member        HELLO both ways, with the header X-INTRODUCE
//!   member   ── WHISPER "majordomo.peers", a line each: id endpoint ──► newcomer, about the others
//! ```
//!
//! Where CURVE is spoken, a line has the node's public key as well, in hexadecimal: the newcomer takes the member's
//! word for it, and the connection proves it.
//!
//! The newcomer says HELLO to each of them, which is all that ZRE needs: so it meets Zyre and pyre nodes, too. Only who
//! met it by a beacon introduces it, or everybody would. Nodes that hear no beacons of each other ask each other by
//! PING.

use std::net::{IpAddr, Ipv4Addr};

use bytes::Bytes;
use protocol::zre::{Command, NodeId};
use protocol::{Frames, Instant};

use super::Node;
use super::peer::{Peer, State};
use crate::config::Key;
use crate::marking;

/// The header of a node that wants to be introduced.
pub(super) const INTRODUCE_HEADER: &str = "X-INTRODUCE";

impl Node {
    /// A node has entered that wants to be introduced, and was met by its beacon.
    pub(super) fn introduce(&mut self, newcomer: NodeId) {
        let others = self.peers.iter().filter(|(node, peer)| **node != newcomer && peer.member().is_some());
        let lines: Vec<String> = others.map(|(node, peer)| line(*node, peer)).collect();
        for lines in lines.chunks(LINES_PER_MESSAGE) {
            self.say(newcomer, Command::Whisper { content: content(&lines.concat()) });
        }
    }

    /// Whether a whisper was an introduction, and nobody else's affair.
    pub(super) fn on_introduction(&mut self, now: Instant, by: NodeId, content: &Frames) -> bool {
        let [word, lines] = &content[..] else { return false };
        if !marking::is_ours(by) || word != WORD {
            return false;
        }
        let lines = std::str::from_utf8(lines).unwrap_or_default();
        for (node, endpoint, key) in lines.lines().take(LINES_PER_MESSAGE).filter_map(introduced) {
            self.on_told_of(now, node, endpoint, key);
        }
        true
    }

    /// A hub of gossip knows a node.
    pub(super) fn on_gossip(&mut self, now: Instant, node: NodeId, endpoint: &str, key: Option<Key>) {
        if is_endpoint(endpoint) { self.on_told_of(now, node, endpoint, key) } else { self.counters.faults += 1 }
    }

    fn on_told_of(&mut self, now: Instant, node: NodeId, endpoint: &str, key: Option<Key>) {
        let is_known = node == self.config.id || self.peers.contains_key(&node) || self.is_shunned(now, node);
        // A foreign node that a named mesh introduces has named it; HELLO tells again.
        if is_known || self.is_of_other_mesh(node) || key.is_some() != self.config.key.is_some() {
            return;
        }
        let count = self.half_known.get(&TOLD_OF).copied().unwrap_or_default();
        if count >= self.config.limits.half_known_per_address_max || self.peers.len() >= self.config.limits.peers_max {
            self.counters.full += 1;
            return;
        }
        *self.half_known.entry(TOLD_OF).or_default() += 1;
        let mut peer = Peer::new(now, endpoint.to_owned(), key, State::Greeted);
        (peer.is_told_of, peer.connection) = (true, self.connection_of(node, key));
        self.peers.insert(node, peer);
        self.wake_for(node);
        self.greet(node);
    }
}

/// Where nodes are counted that we were told of.
pub(super) const TOLD_OF: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

fn line(node: NodeId, peer: &Peer) -> String {
    let digits = |key: Key| key.iter().fold(" ".to_owned(), |digits, octet| digits + &format!("{octet:02X}"));
    format!("{node} {}{}\n", peer.endpoint, peer.key.map(digits).unwrap_or_default())
}

fn introduced(line: &str) -> Option<(NodeId, &str, Option<Key>)> {
    let mut words = line.split(' ');
    let (node, endpoint, digits) = (words.next()?, words.next()?, words.next());
    let key = match digits {
        Some(digits) => Some(key(digits)?),
        None => None,
    };
    if is_endpoint(endpoint) { Some((node.parse().ok()?, endpoint, key)) } else { None }
}

fn is_endpoint(text: &str) -> bool {
    super::conversation::is_endpoint(text) && text.len() <= usize::from(u8::MAX)
}

fn key(digits: &str) -> Option<Key> {
    let mut key = Key::default();
    let pairs = digits.as_bytes().as_chunks::<2>();
    if pairs.0.len() != key.len() || !pairs.1.is_empty() {
        return None;
    }
    for (octet, pair) in key.iter_mut().zip(pairs.0) {
        *octet = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(key)
}

fn content(lines: &str) -> Frames {
    Frames::from([Bytes::from_static(WORD), Bytes::copy_from_slice(lines.as_bytes())])
}

const WORD: &[u8] = b"majordomo.peers";
const LINES_PER_MESSAGE: usize = 1024;
