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
    /// Those who tell brokers what to do.
    #[serde(default)]
    pub operators: Vec<Operator>,
    /// Those that keep requests for others; one at most.
    #[serde(default)]
    pub titanics: Vec<Titanic>,
    /// Those who leave requests with them.
    #[serde(default)]
    pub depositors: Vec<Depositor>,
    /// Members of meshes, who have nothing to do with the brokers.
    #[serde(default)]
    pub mesh_nodes: Vec<MeshNode>,
    /// How their beacons fare.
    #[serde(default)]
    pub weather: Weather,
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
    /// From then until then another version is in its place, one that knows nothing of MDP 0.3.
    #[serde(default)]
    pub old_ms: (u64, u64),
    #[serde(default = "ample")]
    pub kept_window_ms: u64,
    #[serde(default = "ample_size")]
    pub kept_answers_max: usize,
    #[serde(default = "ample_size")]
    pub kept_bytes_max: usize,
}

/// Room for all kept answers of a run: plans that were written down before there were any have it.
fn ample() -> u64 {
    120_000
}

fn ample_size() -> usize {
    AMPLE
}

/// No run keeps as many answers, nor as many bytes of them.
pub(crate) const AMPLE: usize = 1 << 26;

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
    /// What it does beyond that if it speaks MDP 0.3.
    #[serde(default)]
    pub native: Option<NativeWorker>,
}

/// What a worker of MDP 0.3 does that others cannot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NativeWorker {
    /// Whether it is our session; else it speaks by itself and keeps the rules as it must.
    #[serde(default)]
    pub ours: bool,
    /// Whether it falls back to MDP 0.2 where nobody answers 0.3 (our session only).
    #[serde(default)]
    pub falls_back: bool,
    /// Services that it offers beside its first one.
    pub others: Vec<u8>,
    /// The pause between two changes of its credit, at most; 0: it stays.
    pub credit_ms: u64,
    /// The pause before it drains itself or one of its services, at most; 0: it does not.
    pub drain_ms: u64,
    /// How many of a thousand jobs end with an error.
    pub error_permille: u32,
    /// Whether it stops what was cancelled; else it works on.
    pub stops: bool,
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
    /// What it calls itself, by number; two may claim the same.
    #[serde(default)]
    pub identity: Option<u32>,
    /// Whether another one before it claims the same: then it leaves with the storm, for the two would fight for ever.
    #[serde(default)]
    pub twin: bool,
    /// What it asks beside answers if it is ours and speaks MDP 0.3, with its dialect to fall back to.
    #[serde(default)]
    pub native: Option<OwnTerms>,
    /// What it does when an attempt was silent for too long, as `OnTimeout` lists it; 0: the same request again.
    #[serde(default)]
    pub on_timeout: u8,
    /// How many of a thousand requests begin with a command that an operator may disable.
    #[serde(default)]
    pub command_permille: u32,
}

/// Which of the client machines, or none.
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
    /// MDP 0.3 by itself, without a machine of ours: it repeats, cancels and borrows ids as no good client would.
    Native(NativeClient),
}

/// What a client of ours asks beside answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnTerms {
    /// Whether it falls back to its older dialect.
    pub falls_back: bool,
    /// How many of a thousand requests have a deadline.
    pub deadline_permille: u32,
    /// Which that is, at most.
    pub deadline_ms: u64,
    /// Whether its requests differ in priority.
    pub priorities: bool,
    /// Their idempotency as the protocol numbers it; 3: now this and now that.
    pub idempotency: u8,
}

/// What a client of MDP 0.3 does that others cannot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NativeClient {
    /// Requests under way.
    pub in_flight_max: usize,
    /// How many of a thousand requests it sends twice.
    pub double_permille: u32,
    /// How many of a thousand requests have an id that is another client's, or in use for another request.
    pub borrow_permille: u32,
    /// How many of a thousand requests have a deadline.
    pub deadline_permille: u32,
    /// Which that is, at most.
    pub deadline_ms: u64,
    /// Whether its requests differ in priority.
    pub priorities: bool,
    /// Their idempotency as the protocol numbers it; 3: now this and now that.
    pub idempotency: u8,
    /// How many of a thousand timeouts make it connect anew.
    pub reconnect_permille: u32,
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

/// Somebody who tells a broker what to do: filters, drains.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operator {
    /// Its number.
    pub id: u32,
    /// The number of the broker that it tells.
    pub broker: u32,
    /// How many changes it makes.
    pub changes: u32,
    /// The pause between two of them, at most.
    pub think_ms: u64,
    /// It filters services below this number.
    pub services: u8,
}

/// A Titanic and its disk; most fields are those of `titanic::store::Config` and of its log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "they are documented where they take effect")]
pub struct Titanic {
    pub id: u32,
    pub clock_ppm: i32,
    pub broker: u32,
    pub chunk_bytes: u32,
    /// Chunks of its log, at most.
    pub slots: u32,
    pub credit: usize,
    pub attempts_max: u32,
    pub call_timeout_ms: u64,
    pub calls_per_service_max: usize,
    pub backoff_first_ms: u64,
    pub backoff_max_ms: u64,
    /// 0: a request is never too old.
    pub request_ttl_ms: u64,
    pub remembered_max: usize,
    pub waiters_max: usize,
    /// What a flush takes, once to twice.
    pub flush_us: u64,
    pub tears_sectors: bool,
    /// What its disk does during the storm.
    pub disk: DiskFailures,
}

/// How many of a thousand operations of a disk go wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields are those of `disk::Rates`")]
pub struct DiskFailures {
    pub write_error: u32,
    pub short_write: u32,
    pub flush_error: u32,
    pub no_space: u32,
    pub spike: u32,
}

/// Somebody who leaves requests with a Titanic and comes back for the answers. What it has left it remembers, also when
/// its process dies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Depositor {
    /// Its number.
    pub id: u32,
    /// How its clock is wrong.
    pub clock_ppm: i32,
    /// The number of its broker, which is that of the Titanic.
    pub broker: u32,
    /// Whether it speaks MDP 0.3 and chooses ids; else its dialect, in which Titanic does.
    pub chooses: bool,
    /// How it speaks if it does not choose.
    #[serde(with = "DialectName")]
    pub dialect: Dialect,
    /// How many requests it leaves.
    pub lives: u32,
    /// How many of them at once.
    pub at_once: usize,
    /// The pause between two steps with one of them, at most.
    pub think_ms: u64,
    /// How long an attempt of a step may be silent.
    pub timeout_ms: u64,
    /// Attempts of a step.
    pub retries: u32,
    /// How long it waits for an answer at a time, at most.
    pub wait_ms: u64,
    /// Its requests are for services below this number.
    pub services: u8,
    /// Bytes of a request's padding, at most.
    pub padding: u64,
    /// How many of a thousand steps are to ask once more for what is known.
    pub again_permille: u32,
    /// How many of a thousand requests it closes without waiting for the answer.
    pub early_permille: u32,
    /// How many of a thousand requests it leaves there until the storm is over.
    pub keep_permille: u32,
}

/// A member of a mesh.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeshNode {
    /// Its number.
    pub id: u32,
    /// How its clock is wrong.
    pub clock_ppm: i32,
    /// Which mesh it is in: several may share the wire.
    pub mesh: u8,
    /// The time between its beacons.
    pub beacon_ms: u64,
    /// How long others may be silent.
    pub expired_ms: u64,
    /// How long a connection may say no HELLO.
    pub hello_ms: u64,
    /// Whether it announces services, as a broker does.
    pub offers: bool,
    /// The pause between two things that it does, at most.
    pub think_ms: u64,
    /// When it joins.
    pub start_ms: u64,
}

/// How datagrams fare; they take the network's latency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Weather {
    /// How many of a thousand are lost.
    pub loss_permille: u32,
    /// How many of a thousand arrive twice.
    pub duplicate_permille: u32,
    /// How many of a thousand are held up, so that later ones overtake them.
    pub reorder_permille: u32,
    /// What each of them takes in addition, at most.
    pub jitter_us: u64,
    /// What the held-up ones take in addition.
    pub delay_ms: u64,
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
        let others = self.hostiles.iter().map(|hostile| hostile.id);
        let others = others.chain(self.operators.iter().map(|operator| operator.id));
        let others = others.chain(self.titanics.iter().map(|titanic| titanic.id));
        let others = others.chain(self.depositors.iter().map(|depositor| depositor.id));
        let others = others.chain(self.mesh_nodes.iter().map(|node| node.id));
        brokers.chain(workers).chain(clients).chain(others).collect()
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
