//! The flags of the mesh: where to look for others, and as whom.

use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use bytesize::ByteSize;
use clap::{Args, Subcommand};
use mesh::{GroupName, Interface};
use runtime::zmtp::{Endpoint, EndpointError};

use super::operate::count;
use super::security::SECURITY;
use super::{Patience, positive_duration};

#[derive(Debug, Subcommand)]
pub(crate) enum Mesh {
    /// Print a line for each thing that happens: ENTER, EXIT, JOIN, LEAVE, LEADER, EVASIVE, SHOUT, WHISPER, SERVICE-UP,
    /// SERVICE-DOWN
    Watch(Watch),
    /// Shout the lines of standard input to a group, and print what is heard; `/whisper NAME TEXT` goes to one alone
    Chat(Chat),
    /// Show the nodes of the mesh live: where they are, their groups, leaders, services and messages
    Top(MeshTop),
    /// Be a member of a full mesh whose members stand in a file, and print what clients say to any of them
    Serve(MeshServe),
    /// Say something to one member of a full mesh, which says it to all; exit status 0 when all have it
    Send(MeshSend),
    /// Put load on a full mesh, and show rates and percentiles
    Bench(MeshBench),
}

/// Where a broker is: an endpoint, or in the mesh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    Endpoint(Endpoint),
    /// The broker of this name, or any.
    Mesh(String),
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix("mesh:") {
            Some(name) => Ok(Self::Mesh(name.to_owned())),
            None => text.parse().map(Self::Endpoint).map_err(|error: EndpointError| format!("{error}, or mesh:")),
        }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Endpoint(endpoint) => endpoint.fmt(formatter),
            Self::Mesh(name) => write!(formatter, "mesh:{name}"),
        }
    }
}

/// Where to look for others.
#[derive(Debug, Clone, Args)]
pub(crate) struct Discovery {
    /// The network interface to look in, by its name or an address of it; may be given several times. Without it, all
    /// that lead to a network
    #[arg(long, help_heading = MESH, value_name = "INTERFACE", value_delimiter = ',')]
    pub(crate) interface: Vec<Interface>,
    /// The mesh to be in; those of other names are not seen. Without it, the one that every other ZRE program is in
    #[arg(long, help_heading = MESH, value_name = "NAME", default_value = "", hide_default_value = true)]
    pub(crate) mesh_name: String,
    /// The UDP port of beacons
    #[arg(long, help_heading = MESH, value_name = "PORT", default_value = "5670")]
    pub(crate) beacon_port: u16,
    /// Send beacons to this multicast group, of IPv4 or IPv6, in place of a broadcast
    #[arg(long, help_heading = MESH, value_name = "GROUP", value_parser = multicast)]
    pub(crate) multicast: Option<IpAddr>,
    /// The address of any other node, where neither broadcast nor multicast is routed: it introduces us to all. A name
    /// may stand for many addresses (Kubernetes: a headless service); may be given several times
    #[arg(long, help_heading = MESH, value_name = "HOST[:PORT]", value_delimiter = ',')]
    pub(crate) peer: Vec<String>,
    /// A hub of zgossip (another node's --gossip-bind, or czmq's), where there are no beacons: it tells all where each
    /// listens; may be given several times
    #[arg(long, help_heading = MESH, value_name = "ENDPOINT", value_delimiter = ',')]
    pub(crate) gossip: Vec<Endpoint>,
    /// Be such a hub here, for others
    #[arg(long, help_heading = MESH, value_name = "ENDPOINT")]
    pub(crate) gossip_bind: Option<Endpoint>,
    /// How long another Majordomo node may be silent before it is gone (other ZRE programs: 30s)
    #[arg(long, help_heading = MESH, value_name = "DURATION", default_value = "3s", value_parser = positive_duration)]
    pub(crate) mesh_expiry: Duration,
}

/// Who we are in a mesh that speaks CURVE, and whose company we keep.
#[derive(Debug, Clone, Args)]
pub(crate) struct MemberKeys {
    /// Our own secret key, from keygen: be in the mesh of those who have keys, and see nobody else
    #[arg(long, help_heading = SECURITY, value_name = "FILE")]
    pub(crate) curve_secret: Option<PathBuf>,
    /// With --curve-secret: whose keys are let in (TOML, as for a broker); without it, everybody's
    #[arg(long, help_heading = SECURITY, value_name = "FILE", requires = "curve_secret")]
    pub(crate) allow: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = WATCH_EXAMPLES)]
pub(crate) struct Watch {
    #[command(flatten)]
    pub(crate) discovery: Discovery,
    /// A group to join; may be given several times. Without it (and --contest), every group that is seen
    #[arg(long, value_name = "GROUP")]
    pub(crate) group: Vec<GroupName>,
    /// A group to stand for election in, and to join; may be given several times
    #[arg(long, value_name = "GROUP")]
    pub(crate) contest: Vec<GroupName>,
    #[command(flatten)]
    pub(crate) keys: MemberKeys,
}

#[derive(Debug, Args)]
#[command(after_help = TOP_EXAMPLES)]
pub(crate) struct MeshTop {
    #[command(flatten)]
    pub(crate) discovery: Discovery,
    /// A group to join, so that its messages are counted and its leader is known; may be given several times. Without
    /// it, every group that is seen
    #[arg(long, value_name = "GROUP")]
    pub(crate) group: Vec<GroupName>,
    /// How often to look
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = positive_duration)]
    pub(crate) interval: Duration,
    /// End after looking so often
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
    #[command(flatten)]
    pub(crate) keys: MemberKeys,
}

#[derive(Debug, Args)]
#[command(after_help = CHAT_EXAMPLES)]
pub(crate) struct Chat {
    /// What to be called
    #[arg(long)]
    pub(crate) name: String,
    /// The group to talk in
    #[arg(long, value_name = "GROUP")]
    pub(crate) group: GroupName,
    /// Stand for election in the group: who leads it is printed
    #[arg(long)]
    pub(crate) contest: bool,
    #[command(flatten)]
    pub(crate) discovery: Discovery,
    #[command(flatten)]
    pub(crate) keys: MemberKeys,
}

/// The file with the members of a full mesh.
#[derive(Debug, Args)]
pub(crate) struct Peers {
    /// The file with the members, as zmqnet writes it; else PEERS_PATH in the environment, else a peers.json here
    #[arg(long, value_name = "FILE")]
    pub(crate) peers: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = SERVE_EXAMPLES)]
pub(crate) struct MeshServe {
    #[command(flatten)]
    pub(crate) peers: Peers,
    /// Which of the members to be
    #[arg(long)]
    pub(crate) name: String,
    /// Where to listen, in place of what the file says; may be given several times
    #[arg(long, value_name = "ENDPOINT", value_delimiter = ',')]
    pub(crate) bind: Vec<Endpoint>,
    /// How long another member may take to acknowledge, each time
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = positive_duration)]
    pub(crate) timeout: Duration,
    /// How often it is tried in all. One to which there is no connection is not tried, and named after half a second
    #[arg(long, value_name = "COUNT", default_value = "2", value_parser = clap::value_parser!(u32).range(1..=255))]
    pub(crate) retries: u32,
    /// Allow a bind beyond loopback although nothing there is encrypted
    #[arg(long)]
    pub(crate) insecure: bool,
}

#[derive(Debug, Args)]
#[command(after_help = SEND_EXAMPLES)]
pub(crate) struct MeshSend {
    #[command(flatten)]
    pub(crate) peers: Peers,
    /// The member to say it to
    #[arg(long)]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) patience: Patience,
    /// How long to wait between two messages
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = humantime::parse_duration)]
    pub(crate) delay: Duration,
    /// What to say; each argument is a message of its own
    #[arg(required = true, value_name = "MESSAGE")]
    pub(crate) messages: Vec<String>,
}

#[derive(Debug, Args)]
#[command(after_help = BENCH_EXAMPLES)]
pub(crate) struct MeshBench {
    #[command(flatten)]
    pub(crate) peers: Peers,
    /// The member to say it to
    #[arg(long)]
    pub(crate) name: String,
    /// Connections
    #[arg(long, value_name = "COUNT", default_value = "1", value_parser = count(10_000))]
    pub(crate) clients: usize,
    /// Messages under way at once, on each connection
    #[arg(long, value_name = "COUNT", default_value = "1", value_parser = count(1000))]
    pub(crate) outstanding: usize,
    /// Bytes of a message
    #[arg(long, value_name = "SIZE", default_value = "64B")]
    pub(crate) size: ByteSize,
    /// How long to go on
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = positive_duration)]
    pub(crate) duration: Duration,
    /// How many messages to say, in place of a duration
    #[arg(long, value_name = "COUNT", conflicts_with = "duration", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) messages: Option<u64>,
    /// Append the result to this file, as one JSON object on a line
    #[arg(long, value_name = "FILE")]
    pub(crate) results: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) patience: Patience,
}

fn multicast(text: &str) -> Result<IpAddr, String> {
    let address: IpAddr = text.parse().map_err(|_| NOT_MULTICAST.to_owned())?;
    if address.is_multicast() { Ok(address) } else { Err(NOT_MULTICAST.to_owned()) }
}

/// The heading of these flags in the help.
const MESH: &str = "Mesh";
const NOT_MULTICAST: &str = "not a multicast group (allowed: such as 239.192.7.1 or ff02::1)";

const WATCH_EXAMPLES: &str = "Examples:
  majordomo mesh watch
  majordomo mesh watch --interface eth0 --group CHAT --json
  majordomo mesh watch --peer 10.0.0.7";
const CHAT_EXAMPLES: &str = "Examples, each in a terminal of its own:
  majordomo mesh chat --name alice --group CHAT
  majordomo mesh chat --name bob --group CHAT
  echo hello | majordomo mesh chat --name carol --group CHAT";
const SERVE_EXAMPLES: &str = "Examples, each in a terminal of its own:
  majordomo mesh serve --peers peers.json --name alpha
  majordomo mesh serve --peers peers.json --name bravo
  majordomo mesh send --peers peers.json --name bravo \"this is a test message\"
With members on other machines, of which the file says \"address\": \"10.0.0.7:3264\":
  majordomo mesh serve --peers peers.json --name alpha --insecure

peers.json:
  {\"replicas\": [
    {\"pid\": 1000, \"name\": \"alpha\", \"address\": \"localhost:3264\", \"host\": \"apollo\"},
    {\"pid\": 1001, \"name\": \"bravo\", \"address\": \"localhost:3265\", \"host\": \"apollo\"}
  ]}";
const SEND_EXAMPLES: &str = "Examples:
  majordomo mesh send --peers peers.json --name bravo \"this is a test message\"
  PEERS_PATH=peers.json majordomo mesh send --name bravo --delay 1s one two three";
const BENCH_EXAMPLES: &str = "Examples:
  majordomo mesh bench --peers peers.json --name bravo --duration 10s
  majordomo mesh bench --peers peers.json --name bravo --messages 1000 --clients 4 --results results.json";
const TOP_EXAMPLES: &str = "Examples:
  majordomo mesh top
  majordomo mesh top --json --count 3 --interval 2s
  majordomo mesh top --interface eth0 --group CHAT";
