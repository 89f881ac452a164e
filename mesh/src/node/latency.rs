//! How far away brokers are: the shortest of a few round trips of PING, for whoever has to choose between them.
//!
//! They are taken one after another once there is a connection, so that neither connecting nor what else is said at the
//! beginning counts.

use std::time::Duration;

use protocol::Instant;
use protocol::zre::NodeId;

use super::Node;
use crate::event::Event;

/// Round trips to one node.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RoundTrips {
    asked_at: Option<Instant>,
    shortest: Option<Duration>,
    count: u8,
}

impl RoundTrips {
    /// No answer is waited for any more; what was measured stays.
    pub(super) fn give_up(&mut self) {
        self.asked_at = None;
    }
}

impl Node {
    /// Asks a broker, if it has not been asked often enough and can be; whether it did.
    pub(super) fn measure(&mut self, now: Instant, node: NodeId) -> bool {
        if !self.config.measures || !self.registry.has(node) {
            return false;
        }
        let Some(peer) = self.peers.get_mut(&node) else { return false };
        let trips = &mut peer.round_trips;
        let is_to_ask = peer.is_linked && trips.asked_at.is_none() && trips.count < COUNT;
        if is_to_ask {
            trips.asked_at = Some(now);
            self.ping(node);
        }
        is_to_ask
    }

    /// It has answered.
    pub(super) fn on_ping_ok(&mut self, now: Instant, node: NodeId) {
        let Some(peer) = self.peers.get_mut(&node) else { return };
        let trips = &mut peer.round_trips;
        let Some(asked_at) = trips.asked_at.take() else { return };
        let shortest = trips.shortest.map_or(now - asked_at, |shortest| shortest.min(now - asked_at));
        (trips.shortest, trips.count) = (Some(shortest), trips.count + 1);
        if trips.count == COUNT {
            return self.tell(Event::Latency { node, round_trip: shortest });
        }
        self.measure(now, node);
    }
}

/// The first one may wait for caches and sleeping cores.
const COUNT: u8 = 3;
