//! What all nodes share: the time, what will happen, the network, and those who watch.

use crate::coverage::Coverage;
use crate::hash::EventHash;
use crate::net::Network;
use crate::net::air::Air;
use crate::oracle::Oracles;
use crate::oracle::deposits::Deposits;
use crate::oracle::meshes::Meshes;
use crate::queue::{Nanos, Queue};
use crate::trace::Trace;

/// The world without its nodes.
#[derive(Debug)]
pub(crate) struct Env {
    pub(crate) now: Nanos,
    pub(crate) queue: Queue,
    pub(crate) net: Network,
    pub(crate) oracles: Oracles,
    /// Beacons on their way.
    pub(crate) air: Air,
    /// The members of meshes.
    pub(crate) meshes: Meshes,
    /// What was left with a Titanic.
    pub(crate) deposits: Deposits,
    pub(crate) coverage: Coverage,
    pub(crate) hash: EventHash,
    pub(crate) trace: Trace,
    /// Numbers the executions of jobs, so that answers of two can be told apart.
    pub(crate) runs: u64,
    /// Services that can be expected to answer, by the place of their broker.
    pub(crate) served: Vec<(crate::node::NodeId, u8)>,
    /// What went wrong on disks.
    pub(crate) disks: crate::disk::Counts,
}
