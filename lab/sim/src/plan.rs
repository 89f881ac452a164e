//! What happens in a run, as data: who is there, how they behave, which faults come when.
//!
//! A plan is drawn from a seed ([`crate::workload`]), or read from a file. Everything in it has a number of its own,
//! and all chance within a node comes from the seed and that number: taking one node or one fault out leaves the others
//! as they were. That is what makes a failing plan shrinkable.

use protocol::mdp::Dialect;
use serde::{Deserialize, Serialize};

use crate::fault::Fault;

/// A whole run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Where all chance comes from.
    pub seed: u64,
    /// How long there are requests and faults; calm follows.
    pub storm_ms: u64,
    /// The network in fair weather.
    pub network: Network,
    /// The brokers.
    pub brokers: Vec<Broker>,
    /// The workers.
    pub workers: Vec<Worker>,
    /// The clients.
    pub clients: Vec<Client>,
    /// Peers that mean no good.
    pub hostiles: Vec<Hostile>,
    /// What goes wrong.
    pub faults: Vec<PlannedFault>,
}

/// The network in fair weather.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// What a message takes at least.
    pub latency_us: u64,
    /// What it takes in addition, at most.
    pub jitter_us: u64,
    /// What a byte takes on a link; 0 where bandwidth does not matter.
    pub nanos_per_byte: u64,
    /// Messages on their way to one peer before its queue is full.
    pub queue_max: usize,
    /// After this silence a socket gives its connection up (ZMTP's own heartbeats).
    pub silence_ms: u64,
    /// How long a socket waits before it knocks again where nobody listened.
    pub retry_ms: u64,
}

/// A broker; the fields are those of `broker::Config`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "they are documented where they take effect")]
pub struct Broker {
    pub id: u32,
    pub clock_ppm: i32,
    pub heartbeat_ms: u64,
    pub liveness: u32,
    pub queue_max: usize,
    pub queue_wait_ms: u64,
    pub busy_timeout_ms: u64,
    pub attempts_max: u32,
    pub refuse: bool,
    pub run_abandoned: bool,
    pub status_frames: bool,
    pub queued_requests_max: usize,
    pub queued_bytes_max: usize,
    pub services_max: usize,
    pub gathered_bytes_max: usize,
}

/// A worker and how it works.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Worker {
    /// Its number.
    pub id: u32,
    /// How its clock is wrong.
    pub clock_ppm: i32,
    /// The number of its broker.
    pub broker: u32,
    /// Its service.
    pub service: u8,
    /// How it speaks.
    #[serde(with = "DialectName")]
    pub dialect: Dialect,
    /// Whether it is one of those that say nothing while they work (RFC 7 allows it); else it is our own session.
    pub single_threaded: bool,
    /// Its heartbeat, which may differ from its broker's.
    pub heartbeat_ms: u64,
    /// Silent intervals that make its broker dead.
    pub liveness: u32,
    /// How many jobs it would take at once.
    pub credit: usize,
    /// How long its broker may be silent while it is busy.
    pub busy_grace_ms: u64,
    /// How long it finishes jobs after the wish to end.
    pub shutdown_grace_ms: u64,
    /// What a part of a job takes at most.
    pub part_ms: u64,
    /// Parts of an answer at most.
    pub parts_max: u64,
    /// How many of a thousand jobs take `hang_ms` instead.
    pub hang_permille: u32,
    /// How long those take.
    pub hang_ms: u64,
    /// How many of a thousand jobs kill it in the middle.
    pub deadly_permille: u32,
    /// When it joins.
    pub start_ms: u64,
    /// When it leaves politely; 0: not before the end.
    pub leave_ms: u64,
}

/// A client and what it asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Client {
    /// Its number.
    pub id: u32,
    /// How its clock is wrong.
    pub clock_ppm: i32,
    /// The number of its broker.
    pub broker: u32,
    /// Which machine it is.
    pub kind: ClientKind,
    /// How it speaks.
    #[serde(with = "DialectName")]
    pub dialect: Dialect,
    /// How many requests it makes.
    pub requests: u32,
    /// The pause between two of them, at most.
    pub think_ms: u64,
    /// How long an attempt may be silent.
    pub timeout_ms: u64,
    /// Attempts of a request.
    pub retries: u32,
    /// It asks services below this number.
    pub services: u8,
    /// Bytes of a request's padding, at most.
    pub padding: u64,
    /// How many of a thousand requests it gives up before they end.
    pub forget_permille: u32,
    /// How many of a thousand requests are questions to the broker itself (RFC 8).
    pub management_permille: u32,
    /// When it joins.
    pub start_ms: u64,
}

/// Which of the two client machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClientKind {
    /// One request at a time.
    Pirate,
    /// Many on one connection.
    Multiplex {
        /// Whether replies are told apart by a number in the envelope; else one at a time.
        numbered: bool,
        /// Requests under way.
        in_flight_max: usize,
        /// Requests that wait.
        waiting_max: usize,
    },
}

/// A peer that sends what nobody should.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hostile {
    /// Its number.
    pub id: u32,
    /// The number of the broker that suffers it.
    pub broker: u32,
    /// Messages it sends.
    pub messages: u32,
    /// The pause between two of them, at most.
    pub think_ms: u64,
    /// It calls and offers services below this number, and others.
    pub services: u8,
}

/// A fault and when it comes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedFault {
    /// When it begins.
    pub at_ms: u64,
    /// How long it lasts, where that means something.
    pub for_ms: u64,
    /// What it is.
    pub fault: Fault,
}

/// How a dialect is written in a plan.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Dialect")]
enum DialectName {
    V01,
    V02,
    V02Delimited,
    V02Majortomo,
}

impl Plan {
    /// The numbers of all nodes, in the order in which they are made.
    pub(crate) fn ids(&self) -> Vec<u32> {
        let brokers = self.brokers.iter().map(|broker| broker.id);
        let workers = self.workers.iter().map(|worker| worker.id);
        let clients = self.clients.iter().map(|client| client.id);
        brokers.chain(workers).chain(clients).chain(self.hostiles.iter().map(|hostile| hostile.id)).collect()
    }

    /// The plan as text.
    pub fn to_text(&self) -> String {
        serde_json::to_string_pretty(self).expect("a plan is numbers, names and lists")
    }

    /// Reads a plan.
    ///
    /// # Errors
    /// What is wrong with the text, and where.
    pub fn from_text(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_survives_its_text() {
        for seed in 0..20 {
            let plan = crate::workload::plan(seed);
            assert_eq!(Plan::from_text(&plan.to_text()), Ok(plan));
        }
    }

    #[test]
    fn what_is_wrong_with_a_text_is_said() {
        assert!(Plan::from_text("{}").unwrap_err().contains("missing field"));
    }
}
