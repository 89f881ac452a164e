//! What goes wrong, and when: drawn from the seed, kept in the plan.

use serde::{Deserialize, Serialize};

use crate::plan::PlannedFault;
use crate::rng::Rng;

/// A fault. Nodes are named by their number in the plan; a fault whose node is not there does nothing and is not
/// counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(
    missing_docs,
    reason = "`node` is whom it hits, `choice` which of its connections, the rest is named with its unit"
)]
pub enum Fault {
    /// One connection breaks; both ends are told.
    Reset { node: u32, choice: u64 },
    /// All connections of a node break at once.
    ResetAll { node: u32 },
    /// One connection dies in one direction; nobody is told, and it never heals.
    HalfOpen { node: u32, choice: u64, from_dialer: bool },
    /// One connection dies in both directions; nobody is told.
    BlackHole { node: u32, choice: u64 },
    /// Nothing passes between two nodes.
    Partition { node: u32, other: u32 },
    /// Nothing passes from a node to another; the other way it does.
    AsymmetricPartition { node: u32, other: u32 },
    /// A node sends nothing to and hears nothing from anybody.
    Isolation { node: u32 },
    /// A node does not read.
    Stall { node: u32 },
    /// A node's links take longer.
    Latency { node: u32, millis: u64 },
    /// A node's links carry less.
    Throttle { node: u32, nanos_per_byte: u64 },
    /// All queues are short.
    ShortQueues { max: usize },
    /// A process stands still.
    Pause { node: u32 },
    /// A process dies; its system closes its connections. It is started again afterwards.
    Crash { node: u32 },
    /// A machine dies with its process and says nothing. It is started again afterwards.
    PowerLoss { node: u32 },
    /// A process is told to end, and started again afterwards: an upgrade.
    Drain { node: u32 },
    /// A node turns new connections away.
    Deaf { node: u32 },
    /// A clock is set forward.
    ClockForward { node: u32, millis: u64 },
    /// A clock is set back.
    ClockBack { node: u32, millis: u64 },
    /// A clock runs fast or slow.
    ClockDrift { node: u32, ppm: i32 },
}

/// The names of all kinds, in the order of [`Fault::kind`].
pub const KINDS: [&str; 19] = [
    "reset",
    "reset all",
    "half-open",
    "black hole",
    "partition",
    "asymmetric partition",
    "isolation",
    "stall",
    "latency",
    "throttle",
    "short queues",
    "pause",
    "crash",
    "power loss",
    "drain",
    "turned away",
    "clock forward",
    "clock back",
    "clock drift",
];

impl Fault {
    /// Its place in [`KINDS`].
    pub const fn kind(&self) -> usize {
        match self {
            Self::Reset { .. } => 0,
            Self::ResetAll { .. } => 1,
            Self::HalfOpen { .. } => 2,
            Self::BlackHole { .. } => 3,
            Self::Partition { .. } => 4,
            Self::AsymmetricPartition { .. } => 5,
            Self::Isolation { .. } => 6,
            Self::Stall { .. } => 7,
            Self::Latency { .. } => 8,
            Self::Throttle { .. } => 9,
            Self::ShortQueues { .. } => 10,
            Self::Pause { .. } => 11,
            Self::Crash { .. } => 12,
            Self::PowerLoss { .. } => 13,
            Self::Drain { .. } => 14,
            Self::Deaf { .. } => 15,
            Self::ClockForward { .. } => 16,
            Self::ClockBack { .. } => 17,
            Self::ClockDrift { .. } => 18,
        }
    }
}

/// Draws a schedule of `count` faults for a storm. Nodes are drawn from `nodes`, brokers (the first `brokers` of them)
/// more often: everything depends on them.
pub(crate) fn schedule(rng: &mut Rng, count: u64, storm_ms: u64, nodes: &[u32], brokers: usize) -> Vec<PlannedFault> {
    let mut faults: Vec<_> = (0..count)
        .map(|_| {
            let at_ms = rng.between(200, storm_ms.saturating_sub(100));
            // Mostly shorter than what anybody's heartbeats notice, sometimes much longer.
            let longest = rng.one_of([100, 1000, 1000, 5000, 12_000]);
            PlannedFault { at_ms, for_ms: rng.between(5, longest), fault: draw(rng, nodes, brokers) }
        })
        .collect();
    faults.sort_by_key(|fault| fault.at_ms);
    faults
}

/// Draws what befalls a process that is to survive it, beside all else.
pub(crate) fn crashes(rng: &mut Rng, storm_ms: u64, node: u32) -> Vec<PlannedFault> {
    let crash = |rng: &mut Rng| {
        let at_ms = rng.between(200, storm_ms.saturating_sub(100));
        let for_ms = rng.between(5, 1000);
        let fault = match rng.below(8) {
            0..4 => Fault::PowerLoss { node },
            4..6 => Fault::Crash { node },
            6 => Fault::Drain { node },
            _ => Fault::Pause { node },
        };
        PlannedFault { at_ms, for_ms, fault }
    };
    (0..rng.below(8)).map(|_| crash(rng)).collect()
}

fn draw(rng: &mut Rng, nodes: &[u32], brokers: usize) -> Fault {
    let (node, other) = (node(rng, nodes, brokers), rng.pick(nodes).copied().unwrap_or(0));
    let choice = rng.bits();
    match rng.below(24) {
        0 => Fault::ResetAll { node },
        1 | 2 => Fault::HalfOpen { node, choice, from_dialer: rng.chance(50) },
        3 => Fault::BlackHole { node, choice },
        4 | 5 => Fault::Partition { node, other },
        6 => Fault::AsymmetricPartition { node, other },
        7 => Fault::Isolation { node },
        8 => Fault::Stall { node },
        9 => Fault::Latency { node, millis: rng.between(1, 800) },
        10 => Fault::Throttle { node, nanos_per_byte: rng.between(1000, 500_000) },
        11 => Fault::ShortQueues { max: rng.one_of([1, 2, 4]) },
        12 | 13 => Fault::Pause { node },
        14 | 15 => Fault::Crash { node },
        16 => Fault::PowerLoss { node },
        17 => Fault::Drain { node },
        18 => Fault::Deaf { node },
        19 => Fault::ClockForward { node, millis: rng.between(1, 20_000) },
        20 => Fault::ClockBack { node, millis: rng.between(1, 5000) },
        21 => Fault::ClockDrift { node, ppm: rng.one_of([-100_000, -1000, 1000, 100_000]) },
        _ => Fault::Reset { node, choice },
    }
}

fn node(rng: &mut Rng, nodes: &[u32], brokers: usize) -> u32 {
    let brokers = nodes.get(..brokers).unwrap_or(nodes);
    let list = if rng.chance(40) { brokers } else { nodes };
    rng.pick(list).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_name_and_is_drawn() {
        let mut rng = Rng::new(1);
        let mut seen = [false; KINDS.len()];
        for planned in schedule(&mut rng, 2000, 10_000, &[0, 1, 2], 1) {
            seen[planned.fault.kind()] = true;
        }
        assert_eq!(seen, [true; KINDS.len()]);
    }

    #[test]
    fn a_schedule_is_in_order_and_within_its_storm() {
        let faults = schedule(&mut Rng::new(2), 100, 10_000, &[0, 1], 1);
        assert!(faults.is_sorted_by_key(|fault| fault.at_ms));
        assert!(faults.iter().all(|fault| (200..10_000).contains(&fault.at_ms)));
    }
}
