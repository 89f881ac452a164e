//! The air between the mesh nodes: beacons, each copy of which fares by itself ([`super::datagram`]).

use std::collections::BTreeMap;

use bytes::Bytes;

use super::datagram::{Weather, arrivals};
use crate::node::NodeId;
use crate::queue::{Event, Nanos, Queue};
use crate::rng::Rng;

/// Datagrams on their way.
#[derive(Debug, Default)]
pub(crate) struct Air {
    weather: Weather,
    /// Who hears it.
    listeners: Vec<NodeId>,
    flying: BTreeMap<u64, Datagram>,
    sent: u64,
}

/// One copy on its way.
#[derive(Clone, Debug)]
pub(crate) struct Datagram {
    pub(crate) from: NodeId,
    pub(crate) to: NodeId,
    pub(crate) octets: Bytes,
}

impl Air {
    pub(crate) fn new(weather: Weather, listeners: Vec<NodeId>) -> Self {
        Self { weather, listeners, ..Self::default() }
    }

    /// Sends to everybody else.
    pub(crate) fn broadcast(&mut self, now: Nanos, queue: &mut Queue, rng: &mut Rng, from: NodeId, octets: &Bytes) {
        for to in self.listeners.iter().copied().filter(|to| *to != from) {
            for at in arrivals(&self.weather, rng, now).into_iter().flatten() {
                self.sent += 1;
                self.flying.insert(self.sent, Datagram { from, to, octets: octets.clone() });
                queue.push(at, Event::Datagram { number: self.sent });
            }
        }
    }

    /// It arrives.
    pub(crate) fn take(&mut self, number: u64) -> Option<Datagram> {
        self.flying.remove(&number)
    }

    /// It has arrived, and is to be read later.
    pub(crate) fn hold(&mut self, queue: &mut Queue, at: Nanos, number: u64, datagram: Datagram) {
        self.flying.insert(number, datagram);
        queue.push(at, Event::Datagram { number });
    }
}
