//! Processes of nodes: how they start and the ways in which they end.

use crate::env::Env;
use crate::node::{NodeId, Process};
use crate::queue::{Event, MILLISECOND, Nanos};
use crate::world::World;

impl World {
    /// Starts a process, if none runs.
    pub(super) fn start(&mut self, id: NodeId) {
        let now = self.env.now;
        let Some(node) = self.nodes.get_mut(id.0).filter(|node| node.process == Process::Off) else { return };
        node.process = Process::Running;
        node.life += 1;
        node.armed = None;
        node.postponed.clear();
        self.env.trace.line(now, &node.name, || "starts".to_owned());
        self.happened(6, id.0);
        self.act(id, |actor, context| actor.start(context));
        self.settle(id);
    }

    /// A process has ended politely. Whoever is still connected to it learns so.
    pub(super) fn ended(&mut self, id: NodeId) {
        let now = self.env.now;
        let Some(node) = self.nodes.get_mut(id.0) else { return };
        node.process = Process::Ended;
        self.env.trace.line(now, &node.name, || "ends".to_owned());
        let Env { queue, net, .. } = &mut self.env;
        net.finish(now, queue, &mut node.rng, id);
    }

    /// A process has ended politely, and another one takes its place soon.
    pub(super) fn replaced(&mut self, id: NodeId) {
        self.ended(id);
        if let Some(node) = self.nodes.get_mut(id.0) {
            node.process = Process::Off;
        }
        self.env.queue.push(self.env.now + RESTART, Event::Start { node: id });
    }

    /// A process killed itself by what it does; it is started again soon.
    pub(super) fn died_of_work(&mut self, id: NodeId) {
        self.kill(id);
        self.env.queue.push(self.env.now + RESTART, Event::Start { node: id });
    }

    /// A process dies from one instant to the next; its connections stay to be dealt with by the caller.
    pub(super) fn kill_silently(&mut self, id: NodeId) {
        let now = self.env.now;
        self.act(id, |actor, context| actor.die(context));
        let Some(node) = self.nodes.get_mut(id.0) else { return };
        node.process = Process::Off;
        self.env.trace.line(now, &node.name, || "dies".to_owned());
    }

    /// A process dies and its system closes its connections.
    pub(super) fn kill(&mut self, id: NodeId) {
        self.kill_silently(id);
        let Env { now, queue, net, .. } = &mut self.env;
        net.hang_up(*now, queue, &mut self.rng, id);
    }
}

/// Until a process that killed itself is started again.
const RESTART: Nanos = 50 * MILLISECOND;
