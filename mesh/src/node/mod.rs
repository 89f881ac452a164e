//! The node machine: what is heard, and what follows.
//!
//! ```text
//!                    beacon, or HELLO of an unknown node
//!        unknown ───────────────────────────────────────► Greeted ── its HELLO ──► Ready ──► PING, evasive, expired
//!           ▲  └─ foreign, and we are in a named mesh ──► Stranger ── HELLO of ──────▲  │
//!           │                                                  our mesh                │
//!           └── leaving beacon, GOODBYE, silence, a message left out, a full queue ◄───┘
//! ```
//!
//! This file holds the state and sends each input to its arm; the arms live in `discovery` (beacons, connections, who
//! is let into the table), `conversation` (messages of others), `introduction` (who brings others
//! together), `election` (who leads a group), `saying` (messages of ours), `life` (time) and `latency` (how far away
//! brokers are).

mod conversation;
mod discovery;
mod election;
mod introduction;
mod latency;
mod life;
mod peer;
mod saying;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use protocol::timers::{Alarm, Timers};
use protocol::zre::{GroupName, NodeId};
use protocol::{Frames, Instant, Machine, PeerId};

use crate::config::{Address, Config, Key};
use crate::event::{Counters, Event};
use crate::registry::Registry;
use election::Election;
use peer::Peer;

/// What may happen to a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A datagram came to the port of beacons.
    Beacon {
        /// Where it came from.
        from: SocketAddr,
        /// What it holds.
        octets: Bytes,
    },
    /// Somebody has connected to our ROUTER. A number is used once.
    Connected {
        /// The connection.
        peer: PeerId,
        /// The routing identity.
        identity: Bytes,
        /// The public key that it has proved to be the owner of, where we have one ourselves.
        key: Option<Key>,
    },
    /// A message came to our ROUTER.
    Message {
        /// Over which connection.
        peer: PeerId,
        /// The frames, without a routing frame.
        frames: Frames,
    },
    /// A connection to our ROUTER is gone.
    Disconnected {
        /// Which.
        peer: PeerId,
    },
    /// Our DEALER to a node has a connection, or has lost it.
    Linked {
        /// Whose.
        node: NodeId,
        /// Whether there is one.
        up: bool,
    },
    /// A [`Output::Send`] could not be carried out: the queue to the node is full, or its endpoint is none.
    Refused {
        /// To whom it should have gone.
        node: NodeId,
    },
    /// Somebody says where a node listens, and with which key.
    ToldOf {
        /// Which node.
        node: NodeId,
        /// Where.
        endpoint: String,
        /// Its public key, where it has one.
        key: Option<Key>,
    },
    /// Our addresses are others now.
    Addresses(Vec<Address>),
    /// Whoever comes from now on is to be told these headers.
    Headers(BTreeMap<String, String>),
    /// Be in a group.
    Join(GroupName),
    /// Be in a group, and stand for election there as long as we are.
    Contest(GroupName),
    /// Be in a group no more.
    Leave(GroupName),
    /// Send to one node.
    Whisper {
        /// Which.
        node: NodeId,
        /// What.
        content: Frames,
    },
    /// Send to a group, whether we are in it or not.
    Shout {
        /// Which.
        group: GroupName,
        /// What.
        content: Frames,
    },
    /// Leave the mesh and finish.
    Shutdown,
}

/// What a node wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send a datagram to everybody, on every interface.
    Beacon(Bytes),
    /// Open a DEALER with our identity.
    Connect {
        /// For which node.
        node: NodeId,
        /// Where it listens.
        endpoint: String,
        /// The public key that it has to prove to be the owner of, where we have one ourselves.
        key: Option<Key>,
    },
    /// Send over the DEALER of a node.
    Send {
        /// Whose.
        node: NodeId,
        /// The frames.
        frames: Frames,
    },
    /// Drop the DEALER of a node and what it still holds.
    Disconnect {
        /// Whose.
        node: NodeId,
    },
    /// Close a connection to our ROUTER.
    Close {
        /// Which.
        peer: PeerId,
    },
    /// Something to tell.
    Event(Event),
    /// Nothing more comes; let the DEALERs send what they hold, and end.
    Finished,
}

/// A member of a mesh, without sockets, clock or chance.
#[derive(Debug)]
pub struct Node {
    config: Config,
    groups: BTreeSet<GroupName>,
    /// How often our headers have changed.
    headers_count: u64,
    /// How often our groups have changed.
    status: u8,
    peers: BTreeMap<NodeId, Peer>,
    connections: BTreeMap<PeerId, Connection>,
    /// Half-known nodes of each address.
    half_known: BTreeMap<IpAddr, usize>,
    /// Nodes that we have nothing to do with until then.
    shunned: BTreeMap<NodeId, Instant>,
    table_bytes: usize,
    registry: Registry,
    /// Of groups that we are in, those where somebody stands.
    elections: BTreeMap<GroupName, Election>,
    timers: Timers<Wake>,
    beacons: Beacons,
    outputs: VecDeque<Output>,
    counters: Counters,
    is_over: bool,
}

/// Somebody who has connected to us.
#[derive(Debug)]
struct Connection {
    node: NodeId,
    key: Option<Key>,
    since: Instant,
    alarm: Alarm,
}

/// When the next beacon is due, and how many there were.
#[derive(Debug, Default)]
struct Beacons {
    count: u32,
    due: Instant,
    sent_at: Instant,
    alarm: Alarm,
}

/// Whom time wakes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Wake {
    Beacon,
    Peer(NodeId),
    Connection(PeerId),
}

impl Node {
    /// A node that sends its first beacon with its first tick, which is due at once. The configuration is taken to be
    /// [checked](Config::check).
    pub fn new(config: Config) -> Self {
        let mut node = Self {
            groups: config.groups.iter().cloned().collect(),
            status: u8::try_from(config.groups.len() % 256).unwrap_or_default(),
            config,
            headers_count: 0,
            peers: BTreeMap::new(),
            connections: BTreeMap::new(),
            half_known: BTreeMap::new(),
            shunned: BTreeMap::new(),
            table_bytes: 0,
            registry: Registry::default(),
            elections: BTreeMap::new(),
            timers: Timers::default(),
            beacons: Beacons::default(),
            outputs: VecDeque::new(),
            counters: Counters::default(),
            is_over: false,
        };
        node.timers.arm(&mut node.beacons.alarm, Wake::Beacon, Instant::ZERO);
        for group in node.config.contests.clone() {
            node.on_contest_wished(&group);
        }
        node
    }

    /// Who we are.
    pub fn id(&self) -> NodeId {
        self.config.id
    }

    /// What was counted so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// The nodes that have said HELLO.
    pub fn present(&self) -> impl Iterator<Item = NodeId> {
        self.peers.iter().filter(|(_, peer)| peer.member().is_some()).map(|(node, _)| *node)
    }

    /// The groups that we are in.
    pub fn groups(&self) -> &BTreeSet<GroupName> {
        &self.groups
    }

    /// Who leads a group that we are in, if somebody does.
    pub fn leader(&self, group: &GroupName) -> Option<NodeId> {
        self.elections.get(group).and_then(Election::leader)
    }

    /// Nodes in the table, half-known ones and strangers included.
    pub fn known(&self) -> usize {
        self.peers.len()
    }

    fn tell(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }
}

impl Machine for Node {
    type Input = Input;
    type Output = Output;

    fn handle(&mut self, now: Instant, input: Input) {
        if self.is_over {
            return;
        }
        match input {
            Input::Beacon { from, octets } => self.on_beacon(now, from, &octets),
            Input::Connected { peer, identity, key } => self.on_connected(now, peer, &identity, key),
            Input::Message { peer, frames } => self.on_message(now, peer, frames),
            Input::Disconnected { peer } => self.on_disconnected(peer),
            Input::Linked { node, up } => self.on_linked(now, node, up),
            Input::Refused { node } => self.on_refused(now, node),
            Input::ToldOf { node, endpoint, key } => self.on_gossip(now, node, &endpoint, key),
            Input::Addresses(addresses) => self.config.addresses = addresses,
            Input::Headers(headers) => {
                self.headers_count += 1;
                self.config.headers = headers;
            }
            Input::Join(group) => self.on_join_wished(&group),
            Input::Contest(group) => self.on_contest_wished(&group),
            Input::Leave(group) => self.on_leave_wished(&group),
            Input::Whisper { node, content } => self.on_whisper_wished(node, content),
            Input::Shout { group, content } => self.on_shout_wished(&group, &content),
            Input::Shutdown => self.on_shutdown(),
        }
    }

    fn tick(&mut self, now: Instant) {
        if !self.is_over {
            self.on_time(now);
        }
    }

    fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn deadline(&self) -> Option<Instant> {
        if self.is_over { None } else { self.timers.deadline() }
    }
}
