//! The node machine alone, with time as numbers. The bench below plays all other nodes and keeps what was put out.

mod bounds;
mod discovery;
mod election;
mod groups;
mod introduction;
mod keys;
mod life;
mod meshes;
mod sequence;
mod services;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use protocol::zre::{Beacon, Command, GroupName, Hello, Message, NodeId};
use protocol::{Frames, Instant, Machine, PeerId};

use crate::{Address, Config, Event, Input, Key, Node, Output, marking};

/// A node, the present, and all that it has put out since the last look.
pub(super) struct Bench {
    pub(super) node: Node,
    pub(super) now: Instant,
    pub(super) outputs: Vec<Output>,
    connections: u64,
}

/// Somebody else, whose messages are counted.
pub(super) struct Other {
    pub(super) id: NodeId,
    pub(super) peer: PeerId,
    sent: u16,
}

pub(super) fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// A node of ours in the mesh without a name.
pub(super) fn ours(number: u8) -> NodeId {
    marking::mark([number; 16], "")
}

/// A node as Zyre and pyre make them.
pub(super) fn foreign(number: u8) -> NodeId {
    NodeId([number; 16])
}

pub(super) fn group(name: &str) -> GroupName {
    name.parse().unwrap()
}

pub(super) fn source(host: u8) -> SocketAddr {
    format!("10.77.0.{host}:5670").parse().unwrap()
}

pub(super) fn config() -> Config {
    let own = Address { ip: "10.77.0.1".parse().unwrap(), prefix: 24, scope: 0 };
    Config { name: "me".into(), addresses: vec![own], ..Config::new(ours(1), 50001) }
}

impl Bench {
    pub(super) fn new() -> Self {
        Self::with(|_| {})
    }

    /// A node that has sent its first beacons.
    pub(super) fn with(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = config();
        change(&mut config);
        let now = Instant::from_millis(1000);
        let mut bench = Self { node: Node::new(config), now, outputs: Vec::new(), connections: 0 };
        bench.wait(millis(2000));
        bench.outputs.clear();
        bench
    }

    pub(super) fn handle(&mut self, input: Input) {
        self.node.handle(self.now, input);
        self.outputs.extend(std::iter::from_fn(|| self.node.poll()));
    }

    /// Lets time pass, from deadline to deadline as a driver does.
    pub(super) fn wait(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some(due) = self.node.deadline().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.node.tick(self.now);
            self.outputs.extend(std::iter::from_fn(|| self.node.poll()));
        }
        self.now = end;
    }

    pub(super) fn beacon(&mut self, node: NodeId, host: u8, port: u16) {
        let octets = Beacon { node, port, key: None }.encode();
        self.handle(Input::Beacon { from: source(host), octets });
    }

    /// A node that connects and says nothing yet.
    pub(super) fn connect(&mut self, id: NodeId) -> Other {
        self.connect_with(id, None)
    }

    /// The same of one that has proved to own a key.
    pub(super) fn connect_with(&mut self, id: NodeId, key: Option<Key>) -> Other {
        self.connections += 1;
        let peer = PeerId(self.connections);
        self.handle(Input::Connected { peer, identity: id.to_identity(), key });
        Other { id, peer, sent: 0 }
    }

    /// A node at 10.77.0.2 that has sent a beacon and HELLO, to which we are linked.
    pub(super) fn enter(&mut self, id: NodeId, groups: &[&str]) -> Other {
        self.beacon(id, 2, 50002);
        let mut other = self.connect(id);
        other.say(self, Command::Hello(hello(50002, groups)));
        self.handle(Input::Linked { node: id, up: true });
        other
    }

    pub(super) fn raw(&mut self, peer: PeerId, frames: Frames) {
        self.handle(Input::Message { peer, frames });
    }

    /// What was told since the last look.
    pub(super) fn events(&mut self) -> Vec<Event> {
        let (events, outputs) = self.outputs.drain(..).partition(|output| matches!(output, Output::Event(_)));
        self.outputs = outputs;
        let events: Vec<Output> = events;
        events
            .into_iter()
            .filter_map(|output| if let Output::Event(event) = output { Some(event) } else { None })
            .collect()
    }

    /// Short words for what was told.
    pub(super) fn told(&mut self) -> Vec<String> {
        self.events().iter().map(word).collect()
    }

    /// What was said to a node since the last look, with its numbers.
    pub(super) fn said(&mut self, to: NodeId) -> Vec<(u16, Command)> {
        let mut said = Vec::new();
        self.outputs.retain(|output| match output {
            Output::Send { node, frames } if *node == to => {
                let Message { sequence, command } = Message::decode(frames.clone()).unwrap();
                said.push((sequence, command));
                false
            }
            _ => true,
        });
        said
    }

    pub(super) fn beacons(&self) -> Vec<Beacon> {
        let beacon = |output: &Output| match output {
            Output::Beacon(octets) => Some(Beacon::decode(octets).unwrap()),
            _ => None,
        };
        self.outputs.iter().filter_map(beacon).collect()
    }

    pub(super) fn connects(&self) -> Vec<(NodeId, String)> {
        let connect = |output: &Output| match output {
            Output::Connect { node, endpoint, .. } => Some((*node, endpoint.clone())),
            _ => None,
        };
        self.outputs.iter().filter_map(connect).collect()
    }

    pub(super) fn closed(&self, peer: PeerId) -> bool {
        self.outputs.contains(&Output::Close { peer })
    }
}

impl Other {
    /// Says something with the next number.
    pub(super) fn say(&mut self, bench: &mut Bench, command: Command) {
        self.sent = self.sent.wrapping_add(1);
        self.say_numbered(bench, self.sent, command);
    }

    pub(super) fn say_numbered(&mut self, bench: &mut Bench, sequence: u16, command: Command) {
        self.sent = sequence;
        bench.raw(self.peer, Message { sequence, command }.encode());
    }
}

pub(super) fn hello(port: u16, groups: &[&str]) -> Hello {
    Hello {
        endpoint: format!("tcp://10.77.0.2:{port}"),
        groups: groups.iter().map(|name| group(name)).collect(),
        status: u8::try_from(groups.len()).unwrap(),
        name: "other".into(),
        headers: BTreeMap::new(),
    }
}

pub(super) fn text(content: &'static str) -> Frames {
    Frames::from([Bytes::from_static(content.as_bytes())])
}

pub(super) fn word(event: &Event) -> String {
    match event {
        Event::Enter { name, .. } => format!("enter {name}"),
        Event::Exit { name, departure, .. } => format!("exit {name} {}", departure.name()),
        Event::Join { name, group, .. } => format!("join {name} {group}"),
        Event::Leave { name, group, .. } => format!("leave {name} {group}"),
        Event::Leader { name, group, .. } => format!("leader {name} {group}"),
        Event::Evasive { name, .. } => format!("evasive {name}"),
        Event::Whisper { name, content, .. } => format!("whisper {name} {content:?}"),
        Event::Shout { name, group, content, .. } => format!("shout {name} {group} {content:?}"),
        Event::ServiceUp { name, service, .. } => format!("up {name} {service}"),
        Event::ServiceDown { name, service, .. } => format!("down {name} {service}"),
        Event::Latency { round_trip, .. } => format!("latency {} ms", round_trip.as_millis()),
        Event::Undelivered { .. } => "undelivered".into(),
    }
}
