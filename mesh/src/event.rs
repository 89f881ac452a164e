//! What a node tells about its mesh, as data.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use protocol::Frames;
use protocol::zre::{GroupName, NodeId};

/// Something that happened in the mesh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A node is there.
    Enter {
        /// Who.
        node: NodeId,
        /// What it is called.
        name: Arc<str>,
        /// Where it listens.
        endpoint: Arc<str>,
        /// What else it says of itself.
        headers: Arc<BTreeMap<String, String>>,
    },
    /// A node is gone.
    Exit {
        /// Who.
        node: NodeId,
        /// What it was called.
        name: Arc<str>,
        /// Why.
        departure: Departure,
    },
    /// A node is in a group.
    Join {
        /// Who.
        node: NodeId,
        /// What it is called.
        name: Arc<str>,
        /// The group.
        group: GroupName,
    },
    /// A node is not in a group any more.
    Leave {
        /// Who.
        node: NodeId,
        /// What it is called.
        name: Arc<str>,
        /// The group.
        group: GroupName,
    },
    /// A node leads a group that we are in; until it is gone, or another one does.
    Leader {
        /// Who: another one, or we.
        node: NodeId,
        /// What it is called.
        name: Arc<str>,
        /// The group.
        group: GroupName,
    },
    /// A node has been silent for long, and did not answer a PING.
    Evasive {
        /// Who.
        node: NodeId,
        /// What it is called.
        name: Arc<str>,
    },
    /// A message to us alone.
    Whisper {
        /// From whom.
        node: NodeId,
        /// What it is called.
        name: Arc<str>,
        /// The message.
        content: Frames,
    },
    /// A message to a group.
    Shout {
        /// From whom.
        node: NodeId,
        /// What it is called.
        name: Arc<str>,
        /// The group.
        group: GroupName,
        /// The message.
        content: Frames,
    },
    /// A broker offers a service.
    ServiceUp {
        /// The broker's node.
        node: NodeId,
        /// What the broker is called.
        name: Arc<str>,
        /// Where it listens for clients and workers.
        endpoint: Arc<str>,
        /// The service.
        service: Arc<str>,
    },
    /// A broker does not offer a service any more, or is gone.
    ServiceDown {
        /// The broker's node.
        node: NodeId,
        /// What the broker is called.
        name: Arc<str>,
        /// Where it listened.
        endpoint: Arc<str>,
        /// The service.
        service: Arc<str>,
    },
    /// How far away a broker is; only told to whoever [wants it measured](crate::Config::measures).
    Latency {
        /// The broker's node.
        node: NodeId,
        /// There and back.
        round_trip: Duration,
    },
    /// A message could not be sent: the node is not there.
    Undelivered {
        /// To whom.
        node: NodeId,
    },
}

/// Why a node is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Departure {
    /// It said so.
    Left,
    /// It was silent for too long.
    Expired,
    /// It said HELLO again; it is there again at once.
    Restarted,
    /// A message of it is missing; it is found again.
    Gap,
    /// It does not take what we send.
    Stalled,
}

impl Departure {
    /// A word for logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Expired => "expired",
            Self::Restarted => "restarted",
            Self::Gap => "message lost",
            Self::Stalled => "stalled",
        }
    }
}

/// What a node has counted since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Beacons that we sent.
    pub beacons_sent: u64,
    /// Beacons of others.
    pub beacons_heard: u64,
    /// HELLO, PING, PING-OK, JOIN, LEAVE and GOODBYE that we sent.
    pub commands_sent: u64,
    /// The octets of beacons and of those commands.
    pub discovery_octets_sent: u64,
    /// PING among them.
    pub pings_sent: u64,
    /// Messages that we sent: WHISPER and SHOUT, one for each receiver.
    pub messages_sent: u64,
    /// Messages that came.
    pub messages_heard: u64,
    /// Beacons and messages that broke a rule.
    pub faults: u64,
    /// Beacons and connections of another mesh.
    pub other_mesh: u64,
    /// Commands of nodes that had said no HELLO.
    pub early: u64,
    /// What was turned away because a table was full.
    pub full: u64,
    /// HELLO in the name of a node that is there already.
    pub taken: u64,
    /// Nodes that left a message out.
    pub gaps: u64,
    /// Connections that never said HELLO.
    pub silent: u64,
    /// JOIN and LEAVE whose status was not the one expected.
    pub status_jumps: u64,
}
