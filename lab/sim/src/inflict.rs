//! Faults taking effect, and ending.

use crate::env::Env;
use crate::fault::Fault;
use crate::net::{Link, Side, Slowness};
use crate::node::{NodeId, Process, Wish};
use crate::queue::{Event, MILLISECOND};
use crate::world::World;

impl World {
    /// A planned fault begins. It is counted if it found something to break.
    pub(super) fn on_fault(&mut self, index: usize) {
        let Some(planned) = self.plan.faults.get(index).cloned() else { return };
        if !self.inflict(planned.fault) {
            return;
        }
        self.happened(7, index);
        self.env.trace.line(self.env.now, "fault", || format!("{:?} for {} ms", planned.fault, planned.for_ms));
        if let Some(count) = self.faults.get_mut(planned.fault.kind()) {
            *count += 1;
        }
        if let Some(active) = self.active.get_mut(index) {
            *active = true;
        }
        self.env.queue.push(self.env.now + planned.for_ms * MILLISECOND, Event::Relief { index });
    }

    /// A fault ends, if it is in effect.
    pub(super) fn on_relief(&mut self, index: usize) {
        let Some(active) = self.active.get_mut(index).filter(|active| **active) else { return };
        *active = false;
        if let Some(planned) = self.plan.faults.get(index).cloned() {
            self.happened(8, index);
            self.env.trace.line(self.env.now, "fault", || format!("{:?} ends", planned.fault));
            self.relieve(planned.fault);
        }
    }

    fn inflict(&mut self, fault: Fault) -> bool {
        match fault {
            Fault::Reset { node, choice } => self.break_one(node, choice),
            Fault::ResetAll { node } => self.break_all(node),
            Fault::HalfOpen { node, choice, from_dialer } => {
                let side = if from_dialer { Side::Dialer } else { Side::Listener };
                self.cut_one(node, choice, &[side])
            }
            Fault::BlackHole { node, choice } => self.cut_one(node, choice, &[Side::Dialer, Side::Listener]),
            Fault::Partition { node, other } => self.wall(node, other, true, true),
            Fault::AsymmetricPartition { node, other } => self.wall(node, other, false, true),
            Fault::Isolation { node } => self.isolate(node, true),
            Fault::Stall { node } => self.with(node, |world, id| {
                let Env { now, queue, net, .. } = &mut world.env;
                net.stop_reading(*now, queue, id, true);
            }),
            Fault::Latency { node, millis } => {
                self.slow(node, Slowness { latency: millis * MILLISECOND, ..Slowness::default() })
            }
            Fault::Throttle { node, nanos_per_byte } => {
                self.slow(node, Slowness { per_byte: nanos_per_byte, ..Slowness::default() })
            }
            Fault::ShortQueues { max } => {
                let queue_max = &mut self.env.net.queue_max;
                let shorter = max < *queue_max;
                *queue_max = max.min(*queue_max);
                shorter
            }
            Fault::Pause { node } => self.with(node, |world, id| world.pause(id)),
            Fault::Crash { node } => self.with(node, Self::kill),
            Fault::PowerLoss { node } => self.with(node, |world, id| {
                world.act(id, |actor, context| actor.lose_power(context));
                world.kill_silently(id);
                let Env { now, queue, net, .. } = &mut world.env;
                net.vanish(*now, queue, &mut world.rng, id);
            }),
            Fault::Drain { node } => self.with(node, |world, id| {
                world.wish(id, if id.0 < world.plan.brokers.len() { Wish::Drain } else { Wish::End })
            }),
            Fault::Deaf { node } => self.with(node, |world, id| world.deafen(id, true)),
            Fault::ClockForward { node, millis } => self.set_clock(node, millis, true),
            Fault::ClockBack { node, millis } => self.set_clock(node, millis, false),
            Fault::ClockDrift { node, ppm } => self.drift(node, Some(ppm)),
        }
    }

    fn relieve(&mut self, fault: Fault) {
        match fault {
            Fault::Partition { node, other } => drop(self.wall(node, other, true, false)),
            Fault::AsymmetricPartition { node, other } => drop(self.wall(node, other, false, false)),
            Fault::Isolation { node } => drop(self.isolate(node, false)),
            Fault::Stall { node } => {
                if let Some(id) = self.find(node) {
                    let Env { now, queue, net, .. } = &mut self.env;
                    net.stop_reading(*now, queue, id, false);
                }
            }
            Fault::Latency { node, .. } | Fault::Throttle { node, .. } => {
                if let Some(id) = self.find(node) {
                    self.env.net.slow_down(id, Slowness::default());
                }
            }
            Fault::ShortQueues { .. } => self.env.net.queue_max = self.env.net.plan().queue_max,
            Fault::Pause { node } => {
                if let Some(id) = self.find(node) {
                    self.resume(id);
                }
            }
            Fault::Crash { node } | Fault::PowerLoss { node } => {
                if let Some(id) = self.find(node) {
                    self.start(id);
                }
            }
            Fault::Drain { node } => {
                if let Some(id) = self.find(node) {
                    self.restart(id);
                }
            }
            Fault::Deaf { node } => {
                if let Some(id) = self.find(node) {
                    self.deafen(id, false);
                }
            }
            Fault::ClockDrift { node, .. } => drop(self.drift(node, None)),
            Fault::Reset { .. }
            | Fault::ResetAll { .. }
            | Fault::HalfOpen { .. }
            | Fault::BlackHole { .. }
            | Fault::ClockForward { .. }
            | Fault::ClockBack { .. } => {}
        }
    }

    /// Does something to a node whose process runs; whether it does.
    fn with(&mut self, id: u32, what: impl FnOnce(&mut Self, NodeId)) -> bool {
        let running = |id: &NodeId| self.nodes.get(id.0).is_some_and(|node| node.process == Process::Running);
        let Some(id) = self.find(id).filter(running) else { return false };
        what(self, id);
        true
    }

    /// The established connections of a node.
    fn links(&self, node: u32) -> Vec<Link> {
        let Some(id) = self.find(node) else { return Vec::new() };
        let has =
            |link: &Link| [Side::Dialer, Side::Listener].iter().any(|side| self.env.net.peer(*link, *side) == Some(id));
        self.env.net.established().into_iter().filter(has).collect()
    }

    fn choose(&self, node: u32, choice: u64) -> Option<Link> {
        let links = self.links(node);
        let place = choice.checked_rem(links.len() as u64)?;
        links.get(usize::try_from(place).ok()?).copied()
    }

    fn break_one(&mut self, node: u32, choice: u64) -> bool {
        let Some(link) = self.choose(node, choice) else { return false };
        let Env { now, queue, net, .. } = &mut self.env;
        net.reset(*now, queue, &mut self.rng, link)
    }

    fn break_all(&mut self, node: u32) -> bool {
        let links = self.links(node);
        let Env { now, queue, net, .. } = &mut self.env;
        links.into_iter().filter(|link| net.reset(*now, queue, &mut self.rng, *link)).count() > 0
    }

    fn cut_one(&mut self, node: u32, choice: u64, sides: &[Side]) -> bool {
        let Some(link) = self.choose(node, choice) else { return false };
        let Env { now, queue, net, .. } = &mut self.env;
        for side in sides {
            net.cut(*now, queue, link, *side);
        }
        true
    }

    fn wall(&mut self, node: u32, other: u32, both: bool, up: bool) -> bool {
        let (Some(from), Some(to)) = (self.find(node), self.find(other)) else { return false };
        if from == to {
            return false;
        }
        let Env { now, queue, net, .. } = &mut self.env;
        net.wall(*now, queue, from, to, up);
        if both {
            net.wall(*now, queue, to, from, up);
        }
        true
    }

    fn isolate(&mut self, node: u32, up: bool) -> bool {
        let others: Vec<_> = self.nodes.iter().map(|node| node.id).filter(|id| *id != node).collect();
        others.into_iter().filter(|other| self.wall(node, *other, true, up)).count() > 0
    }

    fn slow(&mut self, node: u32, slowness: Slowness) -> bool {
        self.with(node, |world, id| world.env.net.slow_down(id, slowness))
    }

    fn pause(&mut self, id: NodeId) {
        if let Some(node) = self.nodes.get_mut(id.0) {
            node.pauses = node.pauses.saturating_add(1);
        }
        let Env { now, queue, net, .. } = &mut self.env;
        net.pause(*now, queue, id, true);
    }

    /// A process runs on. What came due meanwhile comes now, the machine's deadline first.
    fn resume(&mut self, id: NodeId) {
        let Env { now, queue, net, .. } = &mut self.env;
        net.pause(*now, queue, id, false);
        let Some(node) = self.nodes.get_mut(id.0) else { return };
        node.pauses = node.pauses.saturating_sub(1);
        if !node.is_awake() {
            return;
        }
        for task in std::mem::take(&mut node.postponed) {
            queue.push(*now, Event::Task { node: id, life: node.life, task });
        }
        node.armed = None;
        self.tick_if_due(id);
        self.settle(id);
    }

    /// Starts a process that was told to end, whether it has ended or not.
    fn restart(&mut self, id: NodeId) {
        if self.nodes.get(id.0).is_some_and(|node| node.process == Process::Running) {
            self.kill(id);
        }
        if let Some(node) = self.nodes.get_mut(id.0) {
            node.process = Process::Off;
        }
        self.start(id);
    }

    fn deafen(&mut self, id: NodeId, is_deaf: bool) {
        if let Some(node) = self.nodes.get_mut(id.0) {
            node.is_deaf = is_deaf;
        }
    }

    fn set_clock(&mut self, node: u32, millis: u64, forward: bool) -> bool {
        let now = self.env.now;
        self.with(node, |world, id| {
            if let Some(node) = world.nodes.get_mut(id.0) {
                if forward {
                    node.clock.jump_forward(now, millis * MILLISECOND);
                } else {
                    node.clock.jump_back(now, millis * MILLISECOND);
                }
                node.armed = None;
            }
            world.look_at_clock(id);
        })
    }

    fn drift(&mut self, node: u32, ppm: Option<i32>) -> bool {
        let now = self.env.now;
        let Some(id) = self.find(node) else { return false };
        if let Some(node) = self.nodes.get_mut(id.0) {
            node.clock.drift(now, ppm.unwrap_or(node.drift_ppm));
            node.armed = None;
        }
        self.look_at_clock(id);
        true
    }

    /// A clock was changed: what it says now may be a deadline that has passed.
    fn look_at_clock(&mut self, id: NodeId) {
        if self.nodes.get(id.0).is_some_and(crate::node::Node::is_awake) {
            self.tick_if_due(id);
            self.settle(id);
        }
    }
}
