//! What stands between two nodes, and how a socket finds out that it hears nothing any more.

use super::{Link, Network, Side, Slowness};
use crate::node::NodeId;
use crate::queue::{Event, MILLISECOND, Nanos, Queue};
use crate::rng::Rng;

impl Network {
    /// From now on nothing that `from` sends on this link arrives; only heartbeats find out.
    pub(crate) fn cut(&mut self, now: Nanos, queue: &mut Queue, link: Link, from: Side) {
        if let Some(end) = self.end_mut(link, from) {
            end.cut = true;
        }
        self.listen_for_silence(now, queue, link, from);
    }

    /// Builds a wall (`up`) or takes one down; messages that stood before it then arrive.
    pub(crate) fn wall(&mut self, now: Nanos, queue: &mut Queue, from: NodeId, to: NodeId, up: bool) {
        count(&mut self.walls, from.0 * self.nodes + to.0, up);
        self.blockage_changed(now, queue, |sender, receiver| (sender, receiver) == (from, to));
    }

    /// A node stops reading (`true`), or has one reason less for it. Its sockets live and answer heartbeats.
    pub(crate) fn stop_reading(&mut self, now: Nanos, queue: &mut Queue, node: NodeId, stop: bool) {
        count(&mut self.unread, node.0, stop);
        self.blockage_changed(now, queue, |_, receiver| receiver == node);
    }

    /// The whole process of a node stands still (`true`), or runs again.
    pub(crate) fn pause(&mut self, now: Nanos, queue: &mut Queue, node: NodeId, stop: bool) {
        count(&mut self.unread, node.0, stop);
        count(&mut self.mute, node.0, stop);
        self.blockage_changed(now, queue, |sender, receiver| sender == node || receiver == node);
    }

    pub(crate) fn slow_down(&mut self, node: NodeId, slowness: Slowness) {
        if let Some(slow) = self.slow.get_mut(node.0) {
            *slow = slowness;
        }
    }

    /// The end of a node that heard nothing since `since`: whether it gives up, and then who is to be told.
    pub(crate) fn on_deaf(
        &mut self,
        now: Nanos,
        queue: &mut Queue,
        rng: &mut Rng,
        (link, from): (Link, Side),
        since: Nanos,
    ) -> Option<NodeId> {
        let sender = self.end_mut(link, from).filter(|end| end.outgoing.silent_since == Some(since))?;
        sender.outgoing.silent_since = None;
        let receiver = self.end(link, from.other()).filter(|end| end.open && end.greeted)?;
        let node = receiver.node;
        // Who does not read cannot notice silence; whatever lets it read again has it listen anew.
        if is_counted(&self.unread, node.0) || !self.is_silent(link, from) {
            return None;
        }
        self.close(now, queue, rng, (link, from.other()), false);
        Some(node)
    }

    /// Whether nothing passes from a node to another.
    pub(super) fn is_walled(&self, from: NodeId, to: NodeId) -> bool {
        is_counted(&self.walls, from.0 * self.nodes + to.0)
    }

    /// Whether a node does not read.
    pub(super) fn is_stalled(&self, node: NodeId) -> bool {
        is_counted(&self.unread, node.0)
    }

    /// Whether what `from` sends does not get to the other end.
    pub(super) fn is_blocked(&self, link: Link, from: Side) -> bool {
        let receiver = self.end(link, from.other());
        self.is_cut_off(link, from) || receiver.is_some_and(|end| is_counted(&self.unread, end.node.0))
    }

    /// Whether not even a heartbeat of `from` gets to the other end.
    fn is_silent(&self, link: Link, from: Side) -> bool {
        let sender = self.end(link, from);
        self.is_cut_off(link, from) || sender.is_some_and(|end| is_counted(&self.mute, end.node.0))
    }

    fn is_cut_off(&self, link: Link, from: Side) -> bool {
        let (Some(sender), Some(receiver)) = (self.end(link, from), self.end(link, from.other())) else { return true };
        sender.cut || self.is_walled(sender.node, receiver.node)
    }

    fn blockage_changed(&mut self, now: Nanos, queue: &mut Queue, concerns: impl Fn(NodeId, NodeId) -> bool) {
        for link in self.alive.clone() {
            for from in [Side::Dialer, Side::Listener] {
                let Some(sender) = self.end(link, from).map(|end| end.node) else { continue };
                let Some(receiver) = self.peer(link, from) else { continue };
                if !concerns(sender, receiver) {
                    continue;
                }
                if self.is_silent(link, from) {
                    self.listen_for_silence(now, queue, link, from);
                } else if let Some(end) = self.end_mut(link, from) {
                    end.outgoing.silent_since = None;
                }
                if !self.is_blocked(link, from) {
                    self.schedule(now, queue, link, from);
                }
            }
        }
    }

    /// Lets the receiving socket find out that it hears nothing any more.
    pub(super) fn listen_for_silence(&mut self, now: Nanos, queue: &mut Queue, link: Link, from: Side) {
        let patience = self.plan.silence_ms * MILLISECOND;
        let Some(end) = self.end_mut(link, from).filter(|end| end.outgoing.silent_since.is_none()) else { return };
        end.outgoing.silent_since = Some(now);
        queue.push(now + patience, Event::Deaf { link, from, since: now });
    }
}

fn count(counts: &mut [u8], position: usize, up: bool) {
    if let Some(count) = counts.get_mut(position) {
        *count = if up { count.saturating_add(1) } else { count.saturating_sub(1) };
    }
}

fn is_counted(counts: &[u8], position: usize) -> bool {
    counts.get(position).is_some_and(|count| *count > 0)
}
