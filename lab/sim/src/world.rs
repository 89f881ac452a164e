//! The world: nodes, network, faults and oracles of one run, moved on event by event.
//!
//! An *event* is one thing that happens: a message or the end of a connection arrives, a machine is ticked, a node does
//! something that it planned, a fault begins or ends.

use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::cast;
use crate::coverage::Coverage;
use crate::disk::Counts;
use crate::env::Env;
use crate::fault::KINDS;
use crate::hash::EventHash;
use crate::net::{Arrival, Link, Network, Side};
use crate::node::{Actor, Context, Exit, Heard, Node, NodeId, Process};
use crate::oracle::deposits::Deposits;
use crate::oracle::meshes::Meshes;
use crate::oracle::{Oracles, Violation};
use crate::phases::{Phase, STEP};
use crate::plan::Plan;
use crate::queue::{Event, MILLISECOND, Nanos, Queue};
use crate::rng::Rng;
use crate::trace::Trace;

/// What a run came to.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The hash of all that happened.
    pub hash: u64,
    /// How many events there were.
    pub events: u64,
    /// Virtual time, in nanoseconds.
    pub time: Nanos,
    /// Requests that ended for their callers.
    pub requests: u64,
    /// Faults that took effect, in the order of [`KINDS`].
    pub faults: [u64; KINDS.len()],
    /// What went wrong on disks.
    pub disks: Counts,
    /// Where the machines have been.
    pub coverage: Coverage,
    /// What must not be; none in a good run.
    pub violations: Vec<Violation>,
    /// The story, if it was asked for.
    pub trace: Trace,
}

/// A run under way.
#[derive(Debug)]
pub(crate) struct World {
    pub(super) plan: Plan,
    pub(super) nodes: Vec<Node>,
    pub(super) env: Env,
    /// Of each planned fault: whether it is in effect.
    pub(super) active: Vec<bool>,
    pub(super) faults: [u64; KINDS.len()],
    /// Chance of the faults themselves.
    pub(super) rng: Rng,
    events: u64,
    pub(super) phase: Phase,
    pub(super) phase_since: Nanos,
    /// Clients that have shown that they are answered again.
    pub(super) probed: usize,
}

/// Runs a plan to its end, or to the first violation. A machine that panics is a violation, too.
pub fn run(plan: &Plan, trace: Trace) -> Outcome {
    let mut world = World::new(plan.clone(), trace);
    // After a panic nothing is asked of the machines any more; what the oracles and the trace have is whole.
    let ran = catch_unwind(AssertUnwindSafe(|| {
        while world.phase != Phase::Over && world.env.oracles.violations().is_empty() && world.step() {}
    }));
    if let Err(panic) = ran {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without a text");
        world.env.oracles.violated(world.env.now, "panic", text.to_owned());
    }
    Outcome {
        hash: world.env.hash.value(),
        events: world.events,
        time: world.env.now,
        requests: world.env.oracles.ended(),
        faults: world.faults,
        disks: world.env.disks,
        coverage: world.env.coverage,
        violations: world.env.oracles.violations().to_vec(),
        trace: world.env.trace,
    }
}

impl World {
    fn new(plan: Plan, trace: Trace) -> Self {
        let root = Rng::new(plan.seed);
        let nodes = cast::nodes(&plan, &root);
        let env = Env {
            now: 0,
            queue: Queue::default(),
            net: Network::new(plan.network.clone(), nodes.len()),
            oracles: Oracles::default(),
            air: cast::air(&plan),
            meshes: Meshes::default(),
            deposits: Deposits::default(),
            coverage: Coverage::default(),
            hash: EventHash::default(),
            trace,
            runs: 0,
            served: Vec::new(),
            disks: Counts::default(),
        };
        let active = vec![false; plan.faults.len()];
        let (faults, rng) = ([0; KINDS.len()], root.fork(RELIEF));
        let mut world =
            Self { plan, nodes, env, active, faults, rng, events: 0, phase: Phase::Storm, phase_since: 0, probed: 0 };
        world.schedule();
        world
    }

    /// Puts everything that is planned into the queue.
    fn schedule(&mut self) {
        let starts = self.plan.workers.iter().map(|worker| (worker.id, worker.start_ms));
        let starts = starts.chain(self.plan.clients.iter().map(|client| (client.id, client.start_ms)));
        let starts = starts.chain(self.plan.mesh_nodes.iter().map(|node| (node.id, node.start_ms)));
        let late: Vec<_> = starts.collect();
        for (place, node) in self.nodes.iter().enumerate() {
            let start_ms = late.iter().find(|(id, _)| *id == node.id).map_or(0, |(_, start_ms)| *start_ms);
            self.env.queue.push(start_ms * MILLISECOND, Event::Start { node: NodeId(place) });
        }
        for (index, planned) in self.plan.faults.iter().enumerate() {
            self.env.queue.push(planned.at_ms * MILLISECOND, Event::Fault { index });
        }
        self.env.queue.push(self.plan.storm_ms * MILLISECOND, Event::Phase);
    }

    /// The next event; whether there was one.
    fn step(&mut self) -> bool {
        let Some((now, event)) = self.env.queue.pop() else { return false };
        self.env.now = now;
        match event {
            Event::Arrival { link, from } => self.on_arrival(link, from),
            Event::Deaf { link, from, since } => self.on_deaf(link, from, since),
            Event::Dismissed { node, life, link } => self.on_dismissed(node, life, link),
            Event::Datagram { number } => self.on_datagram(number),
            Event::Wake { node } => self.on_wake(node),
            Event::Task { node, life, task } => self.on_task(node, life, task),
            Event::Start { node } => self.start(node),
            Event::Fault { index } => self.on_fault(index),
            Event::Relief { index } => self.on_relief(index),
            Event::Phase => self.on_phase(),
        }
        true
    }

    /// Counts an event and takes it into the hash.
    pub(super) fn happened(&mut self, kind: u64, whom: usize) {
        self.events += 1;
        self.env.hash.number(self.env.now);
        self.env.hash.number(kind << 32 | whom as u64);
    }

    /// Everything that has arrived on a stream is handled in one round, as a driver does.
    fn on_arrival(&mut self, link: Link, from: Side) {
        let mut round = None;
        for _ in 0..ROUND_MAX {
            match self.env.net.arrive(self.env.now, &mut self.env.queue, link, from) {
                Arrival::Nothing => return self.finish_round(round),
                Arrival::Void => {}
                Arrival::Knock { node } => self.on_knock(node, link, &mut round),
                Arrival::Connected { node } => {
                    self.hear(node, link, Heard::Connected { identity: bytes::Bytes::new() }, &mut round);
                }
                Arrival::Message { node, frames } => self.hear(node, link, Heard::Message(frames), &mut round),
                Arrival::Disconnected { node } => self.hear(node, link, Heard::Disconnected, &mut round),
            }
        }
        self.env.queue.push(self.env.now, Event::Arrival { link, from });
        self.finish_round(round);
    }

    fn on_knock(&mut self, node: NodeId, link: Link, round: &mut Option<NodeId>) {
        let port = self.env.net.port(link);
        let is_open = |node: &Node| node.process == Process::Running && !node.is_deaf && node.port == port;
        let listens = self.nodes.get(node.0).is_some_and(is_open);
        let (now, Env { queue, net, .. }) = (self.env.now, &mut self.env);
        if listens {
            let identity = net.accept(now, queue, &mut self.rng, link);
            self.hear(node, link, Heard::Connected { identity }, round);
        } else if net.is_wanted(link) {
            net.turn_away(now, queue, &mut self.rng, link);
        }
    }

    fn hear(&mut self, node: NodeId, link: Link, heard: Heard, round: &mut Option<NodeId>) {
        let kind = match &heard {
            Heard::Connected { .. } => 1,
            Heard::Message(frames) => {
                for frame in frames {
                    self.env.hash.bytes(frame);
                }
                2
            }
            Heard::Disconnected => 3,
        };
        self.happened(kind, node.0 << 16 | link.0);
        if round.is_none() {
            self.tick_if_due(node);
        }
        *round = Some(node);
        self.act(node, |actor, context| {
            context.trace(|| format!("hears on {}: {heard:?}", link.0));
            actor.hear(context, link, heard);
        });
    }

    fn finish_round(&mut self, round: Option<NodeId>) {
        if let Some(node) = round {
            self.settle(node);
        }
    }

    fn on_deaf(&mut self, link: Link, from: Side, since: Nanos) {
        let Env { now, queue, net, .. } = &mut self.env;
        if let Some(node) = net.on_deaf(*now, queue, &mut self.rng, (link, from), since) {
            let mut round = None;
            self.hear(node, link, Heard::Disconnected, &mut round);
            self.finish_round(round);
        }
    }

    fn on_dismissed(&mut self, id: NodeId, life: u32, link: Link) {
        let Some(node) = self.nodes.get(id.0).filter(|node| node.life == life) else { return };
        if node.process != Process::Running {
            return;
        }
        if node.pauses > 0 {
            // Whoever stands still is told when it runs again, or later.
            return self.env.queue.push(self.env.now + STEP, Event::Dismissed { node: id, life, link });
        }
        let mut round = None;
        self.hear(id, link, Heard::Disconnected, &mut round);
        self.finish_round(round);
    }

    fn on_datagram(&mut self, number: u64) {
        let Some(datagram) = self.env.air.take(number) else { return };
        let (from, to) = (datagram.from, datagram.to);
        let Some(node) = self.nodes.get(to.0).filter(|node| node.process == Process::Running) else { return };
        if node.pauses > 0 {
            // The system keeps it until the process runs again.
            let at = self.env.now + STEP;
            return self.env.air.hold(&mut self.env.queue, at, number, datagram);
        }
        if !self.env.net.lets_through(from, to) {
            return;
        }
        self.happened(9, to.0);
        self.env.hash.bytes(&datagram.octets);
        self.tick_if_due(to);
        self.act(to, |actor, context| actor.hear_beacon(context, from, datagram.octets));
        self.settle(to);
    }

    fn on_wake(&mut self, id: NodeId) {
        let now = self.env.now;
        let Some(node) = self.nodes.get_mut(id.0).filter(|node| node.armed == Some(now)) else { return };
        node.armed = None;
        if node.is_awake() {
            self.tick_if_due(id);
            self.settle(id);
        }
    }

    fn on_task(&mut self, id: NodeId, life: u32, task: u64) {
        let Some(node) = self.nodes.get_mut(id.0).filter(|node| node.life == life) else { return };
        if node.process != Process::Running {
            return;
        }
        if node.pauses > 0 {
            return node.postponed.push(task);
        }
        self.happened(5, id.0);
        self.tick_if_due(id);
        self.act(id, |actor, context| actor.task(context, task));
        self.settle(id);
    }

    /// Ticks a machine whose deadline has passed, before it handles anything: so does the driver.
    pub(super) fn tick_if_due(&mut self, id: NodeId) {
        let now = self.env.now;
        let Some(node) = self.nodes.get_mut(id.0) else { return };
        let local = node.clock.read(now);
        if node.actor.deadline().is_some_and(|deadline| deadline <= local) {
            self.happened(4, id.0);
            self.act(id, |actor, context| actor.tick(context));
        }
    }

    /// Lets a node act.
    pub(super) fn act(&mut self, id: NodeId, what: impl FnOnce(&mut dyn Actor, &mut Context<'_>)) {
        let Some(node) = self.nodes.get_mut(id.0) else { return };
        let local = node.clock.read(self.env.now);
        let mut context = Context {
            env: &mut self.env,
            node: id,
            id: node.id,
            name: &node.name,
            life: node.life,
            local,
            rng: &mut node.rng,
            uplink: node.uplink,
            listening: &mut node.port,
            exit: None,
        };
        what(node.actor.as_mut(), &mut context);
        match context.exit {
            None => {}
            Some(Exit::Finished) => self.ended(id),
            Some(Exit::Replaced) => self.replaced(id),
            Some(Exit::Died) => self.died_of_work(id),
        }
    }

    /// Ends a node's round: outputs are carried out, the next deadline is armed.
    pub(super) fn settle(&mut self, id: NodeId) {
        if self.nodes.get(id.0).is_none_or(|node| node.process != Process::Running) {
            return;
        }
        self.act(id, |actor, context| actor.settle(context));
        let now = self.env.now;
        let Some(node) = self.nodes.get_mut(id.0).filter(|node| node.process == Process::Running) else { return };
        let Some(deadline) = node.actor.deadline() else { return };
        let at = node.clock.world_time(now, deadline);
        if node.armed.is_none_or(|armed| at < armed) {
            node.armed = Some(at);
            self.env.queue.push(at, Event::Wake { node: id });
        }
    }

    pub(super) fn find(&self, id: u32) -> Option<NodeId> {
        self.nodes.iter().position(|node| node.id == id).map(NodeId)
    }
}

/// What the generator of the faults themselves is forked for.
const RELIEF: u64 = 500;
/// Things that arrive on one connection and are handled in one round.
const ROUND_MAX: usize = 64;
