//! A member of a mesh: the machine, its beacons in the air, a ROUTER that listens and a DEALER for each of the others.
//!
//! Each process has an identity and a port of its own, as in the product. What it hears of others it is held to by
//! [`View`].

mod dealer;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use mesh::announcement::{Announcement, GROUP};
use mesh::{Address, Config, Event, Input, Node as Mesh, NodeId as MeshId, Output, Patience, marking};
use protocol::zre::{Beacon, Command, GroupName, Message};
use protocol::{Frames, Instant, Machine, PeerId};

use super::{Actor, Context, Exit, Heard, NodeId, Wish};
use crate::coverage;
use crate::net::{Link, Side};
use crate::oracle::meshes::{Member, View};
use crate::plan;
use crate::queue::MILLISECOND;
use dealer::Dealers;

/// A member.
#[derive(Debug)]
pub(crate) struct MeshNode {
    plan: plan::MeshNode,
    machine: Mesh,
    id: MeshId,
    lives: u16,
    /// Where the members are, by their place in the mesh: the first is 10.77.0.1.
    places: Vec<NodeId>,
    own: u8,
    dealers: Dealers,
    /// Connections to our ROUTER, and whose they are.
    callers: BTreeMap<Link, MeshId>,
    /// The newest of each member.
    newest: BTreeMap<MeshId, Link>,
    view: View,
    /// How many messages it has sent.
    said: u64,
    services: u8,
    is_calm: bool,
}

impl MeshNode {
    /// `places` are those of all members.
    pub(crate) fn new(plan: &plan::MeshNode, places: &[NodeId], own: u8) -> Self {
        let id = MeshId([0; 16]);
        Self {
            machine: Mesh::new(Config::new(id, PORT)),
            id,
            lives: 0,
            places: places.to_vec(),
            own,
            dealers: Dealers::default(),
            callers: BTreeMap::new(),
            newest: BTreeMap::new(),
            view: View::new(Duration::ZERO),
            said: 0,
            services: 0,
            is_calm: false,
            plan: plan.clone(),
        }
    }

    fn address(place: u8) -> Address {
        Address { ip: [10, 77, 0, place + 1].into(), prefix: 16, scope: 0 }
    }

    fn port(&self) -> u16 {
        PORT + self.lives
    }

    fn config(&self) -> Config {
        let patience = Patience::of(Duration::from_millis(self.plan.expired_ms));
        Config {
            name: format!("member-{}", self.own),
            mesh: mesh_name(self.plan.mesh).to_owned(),
            addresses: vec![Self::address(self.own)],
            headers: if self.plan.offers { self.announcement().headers() } else { BTreeMap::new() },
            groups: vec![group(GROUP)],
            beacon_interval: Duration::from_millis(self.plan.beacon_ms),
            ours: patience,
            hello_timeout: Duration::from_millis(self.plan.hello_ms),
            ..Config::new(self.id, self.port())
        }
    }

    fn announcement(&self) -> Announcement {
        Announcement {
            broker: format!("broker-{}", self.own),
            endpoints: vec![Self::address(self.own).endpoint(5555)],
            services: self.offered().into_iter().collect(),
            ..Announcement::default()
        }
    }

    /// What it serves, one bit each.
    fn offered(&self) -> std::collections::BTreeSet<String> {
        let bits = (0..SERVICES).filter(|bit| self.plan.offers && self.services >> bit & 1 == 1);
        bits.map(|bit| format!("service-{bit}")).collect()
    }

    /// Place in the states of the coverage table.
    fn state(&self) -> usize {
        let present = self.machine.present().count();
        usize::from(present > 0) + 2 * usize::from(self.machine.known() > present)
    }

    fn handle(&mut self, context: &mut Context<'_>, input: Input, kind: usize) {
        let before = self.state();
        context.env.coverage.met(coverage::Machine::Mesh, before, kind);
        self.machine.handle(context.local, input);
        context.env.coverage.changed(coverage::Machine::Mesh, before, self.state());
    }

    /// Something that its user wants.
    fn act(&mut self, context: &mut Context<'_>) {
        let group_name = context.rng.one_of(["red", "green", "blue"]);
        match context.rng.below(10) {
            0 | 1 => self.handle(context, Input::Join(group(group_name)), JOIN),
            2 => self.handle(context, Input::Leave(group(group_name)), LEAVE),
            3 | 4 if self.plan.offers => self.change_services(context),
            3..7 => {
                let present: Vec<_> = self.view.present().collect();
                let Some(node) = context.rng.pick(&present).copied() else { return };
                let content = self.message();
                self.handle(context, Input::Whisper { node, content }, WHISPER);
            }
            _ => {
                let content = self.message();
                self.handle(context, Input::Shout { group: group(group_name), content }, SHOUT);
            }
        }
        let groups = self.machine.groups().iter().map(|group| group.as_str().to_owned()).collect();
        if let Some(member) = context.env.meshes.member(self.id) {
            member.groups = groups;
        }
    }

    /// As a broker does whose workers come and go: it says so to whoever comes, and to whoever is there.
    fn change_services(&mut self, context: &mut Context<'_>) {
        self.services = u8::try_from(context.rng.below(1 << SERVICES)).unwrap_or(0);
        let announcement = self.announcement();
        self.handle(context, Input::Headers(announcement.headers()), HEADERS);
        self.handle(context, Input::Shout { group: group(GROUP), content: announcement.shout() }, SHOUT);
        let services = self.offered();
        if let Some(member) = context.env.meshes.member(self.id) {
            member.services = services;
        }
    }

    fn message(&mut self) -> Frames {
        self.said += 1;
        Frames::from([Bytes::from_static(SAID), Bytes::copy_from_slice(&self.said.to_be_bytes())])
    }

    fn perform(&mut self, context: &mut Context<'_>, output: Output) {
        match output {
            Output::Beacon(octets) => context.broadcast(&octets),
            Output::Connect { node, endpoint, .. } => match self.read(&endpoint) {
                Some(target) => self.dealers.connect(context, self.id, node, target),
                None => self.refuse(context, node),
            },
            Output::Send { node, frames } => {
                if is_hello(&frames) {
                    context.env.meshes.on_greeting(self.id, node);
                }
                if !self.dealers.send(context, node, frames) {
                    self.refuse(context, node);
                }
            }
            Output::Disconnect { node } => self.dealers.close(context, node),
            Output::Close { peer } => {
                if let Ok(link) = usize::try_from(peer.0).map(Link) {
                    context.dismiss(link);
                }
            }
            Output::Event(event) => self.observe(context, &event),
            Output::Finished => {
                context.env.meshes.on_farewell(self.id);
                context.exit = Some(Exit::Finished);
            }
        }
    }

    fn refuse(&mut self, context: &mut Context<'_>, node: MeshId) {
        self.view.on_refused(node);
        self.handle(context, Input::Refused { node }, REFUSED);
    }

    /// The member and the port that an endpoint names.
    fn read(&self, endpoint: &str) -> Option<(NodeId, u16)> {
        let address: SocketAddr = endpoint.strip_prefix("tcp://")?.parse().ok()?;
        let std::net::IpAddr::V4(ip) = address.ip() else { return None };
        let [10, 77, 0, number] = ip.octets() else { return None };
        Some((*self.places.get(usize::from(number.checked_sub(1)?))?, address.port()))
    }

    fn observe(&mut self, context: &mut Context<'_>, event: &Event) {
        context.trace(|| format!("{event:?}"));
        if let Some(name) = name(event) {
            context.env.coverage.told(name);
        }
        let now = context.local;
        let found = match event {
            Event::Enter { node, .. } => self.view.on_enter(*node),
            Event::Exit { node, departure, .. } => {
                let is_severed = !self.dealers.is_up(*node) && !self.newest.contains_key(node);
                self.view.on_exit(now, (self.id, *node), *departure, is_severed, &context.env.meshes)
            }
            Event::Join { node, group, .. } => self.view.on_group(*node, group.as_str(), true),
            Event::Leave { node, group, .. } => self.view.on_group(*node, group.as_str(), false),
            Event::ServiceUp { node, service, .. } => self.view.on_service(*node, service, true),
            Event::ServiceDown { node, service, .. } => self.view.on_service(*node, service, false),
            Event::Whisper { node, content, .. } | Event::Shout { node, content, .. } => match number(content) {
                Some(number) => self.view.on_said(*node, number),
                None => Err(format!("{node} says what nobody said: {content:?}")),
            },
            _ => Ok(()),
        };
        context.check("mesh", found);
    }

    fn forget_connections(&mut self) {
        self.dealers = Dealers::default();
        self.callers.clear();
        self.newest.clear();
    }

    fn on_caller(&mut self, context: &mut Context<'_>, link: Link, heard: Heard) {
        let peer = PeerId(link.0 as u64);
        match heard {
            Heard::Connected { identity } => {
                if let Some(node) = MeshId::from_identity(&identity) {
                    self.callers.insert(link, node);
                    // The newest connection of an identity wins, as with our ROUTER: the older one is closed.
                    if let Some(older) = self.newest.insert(node, link) {
                        context.close(older, Side::Listener, false);
                        context.hear_end(older);
                    }
                }
                self.handle(context, Input::Connected { peer, identity, key: None }, CONNECTED);
            }
            Heard::Message(frames) => {
                if let Some(node) = self.callers.get(&link) {
                    self.view.on_heard(context.local, *node);
                }
                self.handle(context, Input::Message { peer, frames }, MESSAGE);
            }
            Heard::Disconnected => {
                self.callers.remove(&link);
                self.newest.retain(|_, newest| *newest != link);
                self.handle(context, Input::Disconnected { peer }, DISCONNECTED);
            }
        }
    }
}

impl Actor for MeshNode {
    fn start(&mut self, context: &mut Context<'_>) {
        self.forget_connections();
        self.lives += 1;
        let mut chance = [0; 16];
        for half in chance.chunks_exact_mut(8) {
            half.copy_from_slice(&context.rng.bits().to_be_bytes());
        }
        self.id = marking::mark(chance, mesh_name(self.plan.mesh));
        self.services = u8::try_from(context.rng.below(1 << SERVICES)).unwrap_or(0);
        let config = self.config();
        if let Err(misuse) = config.check() {
            context.check("mesh", Err(misuse.to_string()));
        }
        let groups = config.groups.iter().map(|group| group.as_str().to_owned()).collect();
        let member = Member { mesh: self.plan.mesh, groups, services: self.offered() };
        context.env.meshes.on_start(self.id, member);
        self.machine = Mesh::new(config);
        self.view = View::new(Duration::from_millis(self.plan.expired_ms));
        self.said = 0;
        *context.listening = self.port();
        context.later(MILLISECOND, ACT);
    }

    fn die(&mut self, context: &mut Context<'_>) {
        context.env.meshes.on_death(self.id);
        self.forget_connections();
    }

    fn hear(&mut self, context: &mut Context<'_>, link: Link, heard: Heard) {
        let Some(node) = self.dealers.of(link) else { return self.on_caller(context, link, heard) };
        match heard {
            Heard::Connected { .. } => {
                self.dealers.on_connected(context, link);
                self.handle(context, Input::Linked { node, up: true }, LINKED);
            }
            Heard::Disconnected => {
                context.env.meshes.on_broken(self.id, node);
                self.dealers.on_lost(context, link);
                self.handle(context, Input::Linked { node, up: false }, LINKED);
            }
            // A ROUTER of a member says nothing.
            Heard::Message(_) => {}
        }
    }

    fn hear_beacon(&mut self, context: &mut Context<'_>, from: NodeId, octets: Bytes) {
        let Some(place) = self.places.iter().position(|place| *place == from) else { return };
        let Ok(place) = u8::try_from(place) else { return };
        if let Ok(beacon) = Beacon::decode(&octets)
            && !beacon.is_leaving()
        {
            self.view.on_heard(context.local, beacon.node);
        }
        let from = SocketAddr::new(Self::address(place).ip, 5670);
        self.handle(context, Input::Beacon { from, octets }, BEACON);
    }

    fn task(&mut self, context: &mut Context<'_>, task: u64) {
        if task != ACT {
            return self.dealers.reconnect(context, self.id, task);
        }
        if !self.is_calm {
            let pause = context.up_to(self.plan.think_ms);
            context.later(pause + MILLISECOND, ACT);
            self.act(context);
        }
    }

    fn wish(&mut self, context: &mut Context<'_>, wish: Wish) {
        match wish {
            Wish::Calm => self.is_calm = true,
            Wish::Probe => {}
            Wish::Drain | Wish::End => self.handle(context, Input::Shutdown, SHUTDOWN),
        }
    }

    fn tick(&mut self, context: &mut Context<'_>) {
        let late = self.machine.deadline().map_or(Duration::ZERO, |due| context.local.since(due));
        // Who comes this late was stopped, and has heard nobody.
        if late > Duration::from_millis(500) {
            self.view.on_slept(context.local, late);
        }
        let before = self.state();
        context.env.coverage.met(coverage::Machine::Mesh, before, TICK);
        self.machine.tick(context.local);
        context.env.coverage.changed(coverage::Machine::Mesh, before, self.state());
        // What it says now it says before it hears anything more.
        self.settle(context);
    }

    fn settle(&mut self, context: &mut Context<'_>) {
        while let Some(output) = self.machine.poll() {
            self.perform(context, output);
        }
        if context.exit.is_none() {
            context.check("mesh", self.view.check(context.local));
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.machine.deadline()
    }

    fn unsettled(&self, env: &crate::env::Env) -> Option<String> {
        self.view.unsettled(self.id, &env.meshes)
    }
}

/// Members of different meshes are on one wire.
fn mesh_name(number: u8) -> &'static str {
    if number == 0 { "" } else { "other" }
}

fn group(name: &str) -> GroupName {
    name.parse().expect("it is a name")
}

/// The number of a message.
fn number(content: &Frames) -> Option<u64> {
    let [word, number] = &content[..] else { return None };
    let number: [u8; 8] = number.as_ref().try_into().ok().filter(|_| *word == SAID)?;
    Some(u64::from_be_bytes(number))
}

/// The name in the coverage table, for what can happen here.
fn name(event: &Event) -> Option<&'static str> {
    use mesh::Departure;
    Some(match event {
        Event::Enter { .. } => "mesh: enter",
        Event::Exit { departure: Departure::Left, .. } => "mesh: exit left",
        Event::Exit { departure: Departure::Expired, .. } => "mesh: exit expired",
        Event::Exit { departure: Departure::Restarted, .. } => "mesh: exit restarted",
        Event::Exit { departure: Departure::Gap, .. } => "mesh: exit gap",
        Event::Exit { departure: Departure::Stalled, .. } => "mesh: exit stalled",
        Event::Join { .. } => "mesh: join",
        Event::Leave { .. } => "mesh: leave",
        Event::Evasive { .. } => "mesh: evasive",
        Event::Whisper { .. } => "mesh: whisper",
        Event::Shout { .. } => "mesh: shout",
        Event::ServiceUp { .. } => "mesh: service up",
        Event::ServiceDown { .. } => "mesh: service down",
        #[allow(unreachable_patterns, reason = "room for what this simulation cannot bring about yet")]
        _ => return None,
    })
}

/// The port of a first process is the next one.
const PORT: u16 = 49_152;
/// The task of doing something; others are those of [`Dealers`].
const ACT: u64 = 0;
const SERVICES: u8 = 3;
const SAID: &[u8] = b"said";

// Places in the inputs of the coverage table.
const BEACON: usize = 0;
const CONNECTED: usize = 1;
const MESSAGE: usize = 2;
const DISCONNECTED: usize = 3;
const LINKED: usize = 4;
const REFUSED: usize = 5;
const HEADERS: usize = 6;
const JOIN: usize = 7;
const LEAVE: usize = 8;
const WHISPER: usize = 9;
const SHOUT: usize = 10;
const SHUTDOWN: usize = 11;
const TICK: usize = 12;

fn is_hello(frames: &Frames) -> bool {
    matches!(Message::decode(frames.clone()), Ok(Message { command: Command::Hello(_), .. }))
}
