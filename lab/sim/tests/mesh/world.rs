//! Many nodes on one wire that loses, is cut, and carries on: virtual time, and the same run from the same seed.
//!
//! ```text
//!   beacon ──► every node on the same side of the cut, each copy lost with its own chance
//!   Send   ──► the ROUTER of the node behind the endpoint: in order; late where a segment was lost or the wire cut
//! ```
//!
//! What TCP does is modelled by its effect: a segment that is lost comes later and holds up what follows; a cut holds
//! everything up until it heals, or until the sender gives the connection up.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use mesh::{Address, Config, Counters, Departure, Event, GroupName, Input, Node, NodeId, Output, marking};
use protocol::{Instant, Machine, PeerId};

/// Where a node runs, and what it has told since it was started.
pub struct Place {
    node: Option<Node>,
    id: NodeId,
    endpoint: String,
    address: SocketAddr,
    /// On which side of the cut.
    pub side: u8,
    links: BTreeMap<NodeId, Link>,
    /// Who is there, as told by Enter and Exit.
    pub present: BTreeMap<NodeId, usize>,
    scheduled: Option<Instant>,
}

struct Link {
    target: usize,
    peer: PeerId,
    /// Nothing of this connection arrives before.
    busy_until: Instant,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Happening {
    Tick { place: usize },
    Beacon { from: usize, octets: Bytes },
    Input { place: usize, life: usize, number: u64 },
}

/// Whether the node at a place stands for election.
pub type Stands = fn(usize) -> bool;

/// The world.
pub struct World {
    pub now: Instant,
    chance: u64,
    pub loss_per_mille: u64,
    pub places: Vec<Place>,
    /// How often each place has been started: what was meant for an earlier life is lost.
    lives: Vec<usize>,
    queue: BinaryHeap<Reverse<(Instant, u64, Happening)>>,
    inputs: BTreeMap<u64, Input>,
    next: u64,
    by_endpoint: BTreeMap<String, usize>,
    /// What waits for the cut to heal: from whom, to whom, over which connection.
    held: Vec<(usize, usize, PeerId, Input)>,
    /// Where, who, why, and when.
    pub exits: Vec<(usize, NodeId, Departure, Instant)>,
    pub evasive: Vec<(usize, NodeId, Instant)>,
    /// The group that each node is in, and whether a place stands for election there.
    pub group: Option<(GroupName, Stands)>,
    /// Where, and who leads.
    pub leaders: Vec<(usize, NodeId)>,
}

pub fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

impl World {
    pub fn new(seed: u64, loss_per_mille: u64) -> Self {
        Self {
            now: Instant::from_millis(1000),
            chance: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            loss_per_mille,
            places: Vec::new(),
            lives: Vec::new(),
            queue: BinaryHeap::new(),
            inputs: BTreeMap::new(),
            next: 1,
            by_endpoint: BTreeMap::new(),
            held: Vec::new(),
            exits: Vec::new(),
            evasive: Vec::new(),
            group: None,
            leaders: Vec::new(),
        }
    }

    /// xorshift64*: enough for a wire.
    pub fn random(&mut self, below: u64) -> u64 {
        self.chance ^= self.chance >> 12;
        self.chance ^= self.chance << 25;
        self.chance ^= self.chance >> 27;
        (self.chance.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % below
    }

    fn is_lost(&mut self) -> bool {
        self.loss_per_mille > 0 && self.random(1000) < self.loss_per_mille
    }

    /// Starts nodes at new places, within a second.
    pub fn start(&mut self, count: usize) {
        for _ in 0..count {
            let place = self.places.len();
            let address = format!("10.77.{}.{}:5670", place / 250, place % 250 + 1).parse().unwrap();
            self.places.push(Place {
                node: None,
                id: NodeId([0; 16]),
                endpoint: String::new(),
                address,
                side: 0,
                links: BTreeMap::new(),
                present: BTreeMap::new(),
                scheduled: None,
            });
            self.lives.push(0);
            let at = self.now + millis(self.random(1000));
            self.revive(place, at);
        }
    }

    /// Starts a process at a place: the same name, a new identity, another port.
    pub fn revive(&mut self, place: usize, at: Instant) {
        let mut chance = [0; 16];
        chance.iter_mut().for_each(|octet| *octet = u8::try_from(self.random(256)).unwrap());
        let port = u16::try_from(49_152 + self.lives[place]).unwrap();
        let own = Address { ip: self.places[place].address.ip(), prefix: 16, scope: 0 };
        let id = marking::mark(chance, "");
        let mut config = Config { name: format!("node-{place}"), addresses: vec![own], ..Config::new(id, port) };
        if let Some((group, stands)) = &self.group {
            config.groups = vec![group.clone()];
            config.contests = stands(place).then(|| group.clone()).into_iter().collect();
        }
        config.check().unwrap();
        let revived = &mut self.places[place];
        (revived.id, revived.endpoint, revived.node) = (id, own.endpoint(port), Some(Node::new(config)));
        revived.scheduled = Some(at);
        self.by_endpoint.insert(own.endpoint(port), place);
        self.push(at, Happening::Tick { place });
    }

    /// kill -9: its connections are reset.
    pub fn kill(&mut self, place: usize) -> NodeId {
        let killed = &mut self.places[place];
        killed.node = None;
        killed.present.clear();
        let (id, links) = (killed.id, std::mem::take(&mut killed.links));
        let endpoint = std::mem::take(&mut killed.endpoint);
        self.by_endpoint.remove(&endpoint);
        self.lives[place] += 1;
        for link in links.into_values() {
            self.deliver(place, link.target, link.peer, self.now + millis(1), Input::Disconnected { peer: link.peer });
        }
        for other in 0..self.places.len() {
            if self.places[other].links.get(&id).is_some_and(|link| link.target == place) {
                self.input(self.now + millis(1), other, Input::Linked { node: id, up: false });
            }
        }
        id
    }

    /// Asks a node to leave.
    pub fn leave(&mut self, place: usize) {
        self.with(place, |node, now| node.handle(now, Input::Shutdown));
        self.places[place].node = None;
        self.places[place].present.clear();
        self.lives[place] += 1;
    }

    /// Who leads, as a place sees it; `None` where nothing runs, too.
    pub fn leader(&self, place: usize) -> Option<NodeId> {
        let (group, _) = self.group.as_ref()?;
        self.places[place].node.as_ref()?.leader(group)
    }

    /// Whether there is a process at a place.
    pub fn runs(&self, place: usize) -> bool {
        self.places[place].node.is_some()
    }

    /// The identity at a place.
    pub fn id(&self, place: usize) -> NodeId {
        self.places[place].id
    }

    /// Joins what was cut.
    pub fn heal(&mut self) {
        self.places.iter_mut().for_each(|place| place.side = 0);
        for (from, to, peer, input) in std::mem::take(&mut self.held) {
            let is_open = self.places[from].links.values().any(|link| link.peer == peer && link.target == to);
            if is_open || matches!(input, Input::Disconnected { .. }) {
                self.input(self.now + millis(200), to, input);
            }
        }
    }

    pub fn run(&mut self, duration: Duration) {
        let end = self.now + duration;
        while self.queue.peek().is_some_and(|Reverse((at, ..))| *at <= end) {
            let Some(Reverse((at, _, happening))) = self.queue.pop() else { return };
            self.now = at;
            match happening {
                Happening::Tick { place } if self.places[place].scheduled == Some(at) => {
                    self.places[place].scheduled = None;
                    self.with(place, |node, now| node.tick(now));
                }
                Happening::Tick { .. } => {}
                Happening::Beacon { from, octets } => self.on_beacon(from, &octets),
                Happening::Input { place, life, number } => {
                    let input = self.inputs.remove(&number).unwrap();
                    if life == self.lives[place] {
                        self.with(place, |node, now| node.handle(now, input));
                    }
                }
            }
        }
        self.now = end;
    }

    fn push(&mut self, at: Instant, happening: Happening) {
        self.next += 1;
        self.queue.push(Reverse((at, self.next, happening)));
    }

    fn input(&mut self, at: Instant, place: usize, input: Input) {
        self.next += 1;
        let (number, life) = (self.next, self.lives[place]);
        self.inputs.insert(number, input);
        self.push(at, Happening::Input { place, life, number });
    }

    /// Over a connection: at its time, or once the cut has healed.
    fn deliver(&mut self, from: usize, to: usize, peer: PeerId, at: Instant, input: Input) {
        if self.places[from].side == self.places[to].side {
            self.input(at, to, input);
        } else {
            self.held.push((from, to, peer, input));
        }
    }

    fn with(&mut self, place: usize, act: impl FnOnce(&mut Node, Instant)) {
        let Some(mut node) = self.places[place].node.take() else { return };
        act(&mut node, self.now);
        while let Some(output) = node.poll() {
            self.perform(place, output);
        }
        if let Some(due) = node.deadline().map(|due| due.max(self.now))
            && self.places[place].scheduled.is_none_or(|scheduled| due < scheduled)
        {
            self.places[place].scheduled = Some(due);
            self.push(due, Happening::Tick { place });
        }
        self.places[place].node = Some(node);
    }

    fn perform(&mut self, place: usize, output: Output) {
        match output {
            Output::Beacon(octets) => self.push(self.now + millis(1), Happening::Beacon { from: place, octets }),
            Output::Connect { node, endpoint, .. } => self.connect(place, node, &endpoint),
            Output::Send { node, frames } => {
                let late = self.late();
                let now = self.now;
                let Some(link) = self.places[place].links.get_mut(&node) else { return };
                link.busy_until = (now + late).max(link.busy_until);
                let (at, target, peer) = (link.busy_until, link.target, link.peer);
                self.deliver(place, target, peer, at, Input::Message { peer, frames });
            }
            Output::Disconnect { node } => {
                let Some(link) = self.places[place].links.remove(&node) else { return };
                let at = (self.now + millis(1)).max(link.busy_until);
                self.deliver(place, link.target, link.peer, at, Input::Disconnected { peer: link.peer });
            }
            Output::Close { peer } => self.on_closed(place, peer),
            Output::Event(event) => self.on_event(place, &event),
            Output::Finished => {}
        }
    }

    fn on_event(&mut self, place: usize, event: &Event) {
        match *event {
            Event::Enter { node, .. } => *self.places[place].present.entry(node).or_default() += 1,
            Event::Exit { node, departure, .. } => {
                self.places[place].present.remove(&node);
                self.exits.push((place, node, departure, self.now));
            }
            Event::Leader { node, .. } => self.leaders.push((place, node)),
            Event::Evasive { node, .. } => self.evasive.push((place, node, self.now)),
            _ => {}
        }
    }

    /// One copy for each, with its own chance.
    fn on_beacon(&mut self, from: usize, octets: &Bytes) {
        let (address, side) = (self.places[from].address, self.places[from].side);
        for other in 0..self.places.len() {
            let reached = &self.places[other];
            if other != from && reached.side == side && reached.node.is_some() && !self.is_lost() {
                let input = Input::Beacon { from: address, octets: octets.clone() };
                self.with(other, |node, now| node.handle(now, input));
            }
        }
    }

    fn connect(&mut self, place: usize, node: NodeId, endpoint: &str) {
        let Some(&target) = self.by_endpoint.get(endpoint) else { return };
        self.next += 1;
        let peer = PeerId(self.next);
        let at = self.now + self.late();
        self.places[place].links.insert(node, Link { target, peer, busy_until: at });
        let identity = self.places[place].id.to_identity();
        self.deliver(place, target, peer, at, Input::Connected { peer, identity, key: None });
        self.input(at, place, Input::Linked { node, up: true });
    }

    /// A ROUTER has closed a connection: the DEALER connects again by itself.
    fn on_closed(&mut self, place: usize, peer: PeerId) {
        self.input(self.now, place, Input::Disconnected { peer });
        let by = |other: &Place| other.links.iter().find(|(_, link)| link.peer == peer).map(|(node, _)| *node);
        let Some((other, node)) = self.places.iter().enumerate().find_map(|(at, other)| Some((at, by(other)?))) else {
            return;
        };
        self.next += 1;
        let (again, at) = (PeerId(self.next), self.now + millis(50));
        let identity = self.places[other].id.to_identity();
        if let Some(link) = self.places[other].links.get_mut(&node) {
            (link.peer, link.busy_until) = (again, at);
        }
        self.deliver(other, place, again, at, Input::Connected { peer: again, identity, key: None });
        self.input(self.now + millis(1), other, Input::Linked { node, up: false });
        self.input(at, other, Input::Linked { node, up: true });
    }

    /// A segment that is lost is sent again after 10 ms, 200 ms, 400 ms, …
    fn late(&mut self) -> Duration {
        let mut late = millis(1);
        for again in [10, 200, 400, 800, 1600] {
            if !self.is_lost() {
                break;
            }
            late += millis(again);
        }
        late
    }

    pub fn alive(&self) -> impl Iterator<Item = &Place> {
        self.places.iter().filter(|place| place.node.is_some())
    }

    pub fn counters(&self) -> Vec<Counters> {
        self.alive().filter_map(|place| place.node.as_ref()).map(Node::counters).collect()
    }

    /// Whether everybody sees exactly those on its side of the cut.
    pub fn is_whole(&self) -> bool {
        let mut sides: BTreeMap<u8, Vec<NodeId>> = BTreeMap::new();
        self.alive().for_each(|place| sides.entry(place.side).or_default().push(place.id));
        self.alive().all(|place| {
            let others = sides[&place.side].iter().filter(|id| **id != place.id);
            place.present.len() + 1 == sides[&place.side].len()
                && others.into_iter().all(|id| place.present.contains_key(id))
        })
    }

    /// Runs until the mesh is whole; how long that took. A minute is for ever.
    pub fn until_whole(&mut self) -> Duration {
        let start = self.now;
        while !self.is_whole() {
            assert!(self.now - start < millis(60_000), "not whole after a minute");
            self.run(millis(50));
        }
        self.now - start
    }
}
