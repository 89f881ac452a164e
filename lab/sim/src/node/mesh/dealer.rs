//! The DEALERs of a member, one for each of the others. A connection that is lost is made again after a while; what
//! waits meanwhile is kept, and what was on its way is lost.

use std::collections::{BTreeMap, VecDeque};

use mesh::NodeId as MeshId;
use protocol::Frames;

use crate::net::{Link, Side};
use crate::node::{Context, NodeId};
use crate::queue::{MILLISECOND, Nanos};

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Dealers {
    open: BTreeMap<MeshId, Dealer>,
    by_link: BTreeMap<Link, MeshId>,
    /// Connections that are to be made again, by the number of their task.
    again: BTreeMap<u64, MeshId>,
    tasks: u64,
}

#[derive(Debug)]
struct Dealer {
    /// Whom it connects to, and at which port that one must listen.
    target: (NodeId, u16),
    link: Option<Link>,
    is_up: bool,
    /// What waits for a connection.
    held: VecDeque<Frames>,
    backoff: Nanos,
}

impl Dealers {
    /// Connects in the background.
    pub(super) fn connect(&mut self, context: &mut Context<'_>, own: MeshId, node: MeshId, target: (NodeId, u16)) {
        self.close(context, node);
        let link = context.dial_member(target, own.to_identity());
        self.by_link.insert(link, node);
        let dealer = Dealer { target, link: Some(link), is_up: false, held: VecDeque::new(), backoff: FIRST };
        self.open.insert(node, dealer);
    }

    /// Queues a message; whether there was room.
    pub(super) fn send(&mut self, context: &mut Context<'_>, node: MeshId, frames: Frames) -> bool {
        let Some(dealer) = self.open.get_mut(&node) else { return false };
        match dealer.link.filter(|_| dealer.is_up) {
            Some(link) if context.env.net.is_clogged(link, Side::Dialer) => false,
            Some(link) => {
                context.send(link, Side::Dialer, frames);
                true
            }
            None if dealer.held.len() >= context.env.net.queue_max => false,
            None => {
                dealer.held.push_back(frames);
                true
            }
        }
    }

    /// Drops it, and what it holds.
    pub(super) fn close(&mut self, context: &mut Context<'_>, node: MeshId) {
        let Some(dealer) = self.open.remove(&node) else { return };
        self.again.retain(|_, waiting| *waiting != node);
        if let Some(link) = dealer.link {
            self.by_link.remove(&link);
            context.close(link, Side::Dialer, false);
        }
    }

    pub(super) fn of(&self, link: Link) -> Option<MeshId> {
        self.by_link.get(&link).copied()
    }

    pub(super) fn is_up(&self, node: MeshId) -> bool {
        self.open.get(&node).is_some_and(|dealer| dealer.is_up)
    }

    pub(super) fn on_connected(&mut self, context: &mut Context<'_>, link: Link) {
        let Some(dealer) = self.of(link).and_then(|node| self.open.get_mut(&node)) else { return };
        (dealer.is_up, dealer.backoff) = (true, FIRST);
        for frames in std::mem::take(&mut dealer.held) {
            context.send(link, Side::Dialer, frames);
        }
    }

    /// A connection is lost: another one is made soon.
    pub(super) fn on_lost(&mut self, context: &mut Context<'_>, link: Link) {
        let Some(node) = self.by_link.remove(&link) else { return };
        let Some(dealer) = self.open.get_mut(&node) else { return };
        (dealer.link, dealer.is_up) = (None, false);
        self.tasks += 1;
        self.again.insert(self.tasks, node);
        context.later(dealer.backoff, self.tasks);
        dealer.backoff = (dealer.backoff * 2).min(LONGEST);
    }

    pub(super) fn reconnect(&mut self, context: &mut Context<'_>, own: MeshId, task: u64) {
        let Some(node) = self.again.remove(&task) else { return };
        let Some(dealer) = self.open.get_mut(&node) else { return };
        let link = context.dial_member(dealer.target, own.to_identity());
        dealer.link = Some(link);
        self.by_link.insert(link, node);
    }
}

/// Delays before a connection is made again, as in the product.
const FIRST: Nanos = 50 * MILLISECOND;
const LONGEST: Nanos = 1000 * MILLISECOND;
