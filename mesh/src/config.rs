//! What an operator may choose, with defaults; and what cannot work.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::time::Duration;

use protocol::limits;
use protocol::mutants::{self, Mutant};
use protocol::zre::{GroupName, KEY_BYTES, NodeId};

use crate::marking;

/// Settings of one node.
#[derive(Clone, Debug)]
pub struct Config {
    /// Who we are; [`marking::mark`] makes one from chance.
    pub id: NodeId,
    /// Our public key, where we speak CURVE. Then we know those alone who have one, too, and else those who have none.
    pub key: Option<Key>,
    /// What we are called; up to 255 bytes.
    pub name: String,
    /// The mesh that we belong to; empty for the one that every foreign node is in.
    pub mesh: String,
    /// The port that our ROUTER listens on.
    pub port: u16,
    /// Our addresses, the one first that is told where no other fits.
    pub addresses: Vec<Address>,
    /// What else we want known.
    pub headers: BTreeMap<String, String>,
    /// The groups that we are in from the beginning.
    pub groups: Vec<GroupName>,
    /// The groups that we stand for election in from the beginning; we are in them.
    pub contests: Vec<GroupName>,
    /// Whether whoever we meet shall introduce us to all it knows: our beacons do not reach everybody.
    pub wants_introduction: bool,
    /// Whether it is measured how far away brokers are.
    pub measures: bool,
    /// The time between beacons.
    pub beacon_interval: Duration,
    /// How long a node of ours may be silent.
    pub ours: Patience,
    /// How long any other node may be silent.
    pub foreign: Patience,
    /// How long a connection may say no HELLO.
    pub hello_timeout: Duration,
    /// Bounds.
    pub limits: Limits,
}

/// A public key of CURVE (RFC 25).
pub type Key = [u8; KEY_BYTES];

/// An address of ours and its network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// The address.
    pub ip: IpAddr,
    /// Bits that all addresses of the network share.
    pub prefix: u8,
    /// The interface's number where the address means nothing without (IPv6, link-local); else 0.
    pub scope: u32,
}

/// When silence means what. Beacons and messages of every kind are signs of life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// After this silence we ask, by PING. Nobody is told.
    pub probe: Duration,
    /// After this one the node is called evasive.
    pub evasive: Duration,
    /// After this one it is gone.
    pub expired: Duration,
}

/// Bounds of what others can make us keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Nodes known, half-known ones included.
    pub peers_max: usize,
    /// Nodes of one address that have sent a beacon and no HELLO; and nodes that we were told of, all together.
    pub half_known_per_address_max: usize,
    /// Bytes of the names, groups and headers of all nodes.
    pub table_bytes_max: usize,
}

/// A setting that cannot work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misuse {
    /// A text that does not fit its field.
    #[error("{what} of {bytes} bytes (allowed: up to 255)")]
    TooLong {
        /// Which.
        what: &'static str,
        /// How long it is.
        bytes: usize,
    },
    /// All that HELLO has to say does not fit.
    #[error("groups and headers of {0} bytes (allowed: up to {max})", max = limits::ZRE_COMMAND_BYTES_MAX - HELLO_ROOM)]
    Hello(usize),
    /// A message of more bytes or frames than one may have.
    #[error("a message of {bytes} bytes in {frames} frames (allowed: {CONTENT_BYTES_MAX} in {CONTENT_FRAMES_MAX})")]
    Content {
        /// Of all frames.
        bytes: usize,
        /// How many.
        frames: usize,
    },
    /// More groups or headers than others accept.
    #[error("{count} {what} (allowed: up to {allowed})")]
    Count {
        /// Of what.
        what: &'static str,
        /// How many there are.
        count: usize,
        /// At most.
        allowed: u32,
    },
}

impl Patience {
    /// Asks a little after the first beacon that is missing out of three, and calls evasive when little is left.
    pub fn of(expired: Duration) -> Self {
        Self { probe: expired * 5 / 12, evasive: expired * 5 / 6, expired }
    }
}

impl Address {
    /// Whether `other` is in the same network.
    pub fn is_near(&self, other: IpAddr) -> bool {
        let shared = |ours: u128, theirs: u128, bits: u32| {
            let host_bits = bits.saturating_sub(self.prefix.into());
            host_bits >= 128 || (ours ^ theirs) >> host_bits == 0
        };
        match (self.ip, other) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => shared(ours.to_bits().into(), theirs.to_bits().into(), 32),
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => shared(ours.to_bits(), theirs.to_bits(), 128),
            _ => false,
        }
    }

    /// With a port.
    pub fn socket_address(&self, port: u16) -> SocketAddr {
        match self.ip {
            IpAddr::V4(ip) => SocketAddr::from((ip, port)),
            IpAddr::V6(ip) => SocketAddrV6::new(ip, port, 0, self.scope).into(),
        }
    }

    /// As an endpoint with a port.
    pub fn endpoint(&self, port: u16) -> String {
        match self.ip {
            IpAddr::V4(ip) => format!("tcp://{ip}:{port}"),
            IpAddr::V6(ip) if self.scope != 0 => format!("tcp://[{ip}%{}]:{port}", self.scope),
            IpAddr::V6(ip) => format!("tcp://[{ip}]:{port}"),
        }
    }
}

impl Config {
    /// The defaults: three seconds for nodes of ours, thirty for others, a beacon a second.
    pub fn new(id: NodeId, port: u16) -> Self {
        Self {
            id,
            key: None,
            name: id.default_name(),
            mesh: String::new(),
            port,
            addresses: Vec::new(),
            headers: BTreeMap::new(),
            groups: Vec::new(),
            contests: Vec::new(),
            wants_introduction: false,
            measures: false,
            beacon_interval: Duration::from_secs(1),
            ours: Patience::of(Duration::from_secs(3)),
            foreign: Patience::of(Duration::from_secs(30)),
            hello_timeout: Duration::from_secs(10),
            limits: Limits::default(),
        }
    }

    /// Whether others will understand us.
    ///
    /// # Errors
    /// The setting that cannot work, and what is allowed.
    pub fn check(&self) -> Result<(), Misuse> {
        for (what, text) in [("name", &self.name), ("mesh name", &self.mesh)] {
            check_text(what, text)?;
        }
        check_count("groups", self.groups.len() + self.contests.len(), limits::ZRE_GROUPS_MAX)?;
        check_headers(&self.headers)?;
        let groups: usize = self.groups.iter().chain(&self.contests).map(|group| group.as_str().len() + 4).sum();
        check_hello(groups + bytes_of(&self.headers))
    }

    /// How long a node may leave our HELLO unanswered. One of ours that beacons answers in the end: to give it up and
    /// to begin anew would look like a restart to it, if it is only its own HELLO that is late.
    pub(crate) fn hello_patience(&self, node: NodeId) -> Duration {
        if marking::is_ours(node) { self.hello_timeout * 3 } else { self.hello_timeout }
    }

    /// How long we wait for a node.
    pub(crate) fn patience(&self, node: NodeId) -> Patience {
        let patience = if marking::is_ours(node) { self.ours } else { self.foreign };
        let expired = match patience.expired {
            expired if mutants::on(Mutant::KeepSilentMember) => expired * 2,
            expired if mutants::on(Mutant::ExpireEarly) => expired / 2,
            expired => expired,
        };
        Patience { expired, ..patience }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { peers_max: 4096, half_known_per_address_max: 256, table_bytes_max: 64 << 20 }
    }
}

fn check_text(what: &'static str, text: &str) -> Result<(), Misuse> {
    if text.len() > usize::from(u8::MAX) { Err(Misuse::TooLong { what, bytes: text.len() }) } else { Ok(()) }
}

fn check_count(what: &'static str, count: usize, allowed: u32) -> Result<(), Misuse> {
    let fits = u32::try_from(count).is_ok_and(|count| count <= allowed);
    if fits { Ok(()) } else { Err(Misuse::Count { what, count, allowed }) }
}

pub(crate) fn check_headers(headers: &BTreeMap<String, String>) -> Result<(), Misuse> {
    headers.keys().try_for_each(|name| check_text("header name", name))?;
    check_count("headers", headers.len() + HEADERS_OF_OURS, limits::ZRE_HEADERS_MAX)?;
    check_hello(bytes_of(headers))
}

/// Whether a message can be sent to others.
#[cfg(feature = "tokio")]
pub(crate) fn check_content(content: &protocol::Frames) -> Result<(), Misuse> {
    let (bytes, frames) = (content.byte_count(), content.len());
    let fits = bytes <= CONTENT_BYTES_MAX && frames <= CONTENT_FRAMES_MAX;
    if fits { Ok(()) } else { Err(Misuse::Content { bytes, frames }) }
}

fn check_hello(bytes: usize) -> Result<(), Misuse> {
    if bytes > limits::ZRE_COMMAND_BYTES_MAX - HELLO_ROOM { Err(Misuse::Hello(bytes)) } else { Ok(()) }
}

fn bytes_of(headers: &BTreeMap<String, String>) -> usize {
    headers.iter().map(|(name, value)| name.len() + value.len() + 5).sum()
}

/// Room for the endpoint, the name and the mesh's name in a HELLO.
const HELLO_ROOM: usize = 1024;
/// Headers that a node adds by itself: the mesh's name, and the wish to be introduced.
const HEADERS_OF_OURS: usize = 2;
/// The command frame comes in front of the content.
const CONTENT_BYTES_MAX: usize = limits::MESSAGE_BYTES_MAX - HELLO_ROOM;
const CONTENT_FRAMES_MAX: usize = limits::FRAMES_PER_MESSAGE_MAX - 1;
