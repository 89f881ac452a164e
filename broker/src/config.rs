//! What an operator may choose. Parsed once, elsewhere; here every value is present and valid.

use std::collections::BTreeMap;
use std::time::Duration;

use protocol::{PeerLimits, ServiceName, limits};

/// The broker's settings.
#[derive(Clone, Debug)]
pub struct Config {
    /// What the broker calls itself when it is asked.
    pub name: String,
    /// Endpoints where whoever is turned away by a drain can go instead, best first.
    pub elsewhere: Vec<String>,
    /// How long a server works off what it has accepted when its process is asked to end.
    pub drain_grace: Duration,
    /// How often each side shows that it lives.
    pub heartbeat: Duration,
    /// How many silent intervals make a worker dead; 3 to 5 by RFC 7.
    pub liveness: u32,
    /// Bounds over all services together.
    pub limits: Limits,
    /// What holds for a service that is not named in `services`.
    pub policy: Policy,
    /// Services with a policy of their own.
    pub services: BTreeMap<ServiceName, Policy>,
    /// What a client of 0.1 or 0.2 is told when its request fails: those dialects have no error reply.
    pub error_replies: ErrorReplies,
}

/// Bounds over all services together. A request beyond one is refused and counted.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Requests that wait for a worker.
    pub queued_requests_max: usize,
    /// Bytes of the bodies of those requests.
    pub queued_bytes_max: usize,
    /// Services known at once: those with workers, queued requests or a filter.
    pub services_max: usize,
    /// Bytes of the PARTIALs kept for one client that cannot take a reply in parts.
    pub gathered_bytes_max: usize,
    /// Bytes of a message; a server takes what its socket allows.
    pub message_bytes_max: usize,
    /// Bytes of requests that one worker has at once, whatever its credit; one request may pass it. A server takes what
    /// its socket can hold for a worker, or a burst would make it look as if it did not read.
    pub worker_bytes_max: usize,
    /// How long the answer to a request with an id is kept for whoever asks again; 120 s unless memory is short.
    pub kept_window: Duration,
    /// Requests that are remembered after their end. The oldest go first, ids of requests that run once go last.
    pub kept_answers_max: usize,
    /// Bytes of kept answers.
    pub kept_bytes_max: usize,
    /// Bytes of an answer that is kept; a larger one is not.
    pub kept_answer_bytes_max: usize,
    /// How much one peer may do, where its rights do not say otherwise.
    pub per_peer: PeerLimits,
}

/// How one service is treated.
#[derive(Clone, Debug)]
pub struct Policy {
    /// What to do with a request when no worker is registered.
    pub no_worker: NoWorker,
    /// Requests that may wait for this service.
    pub queue_max: usize,
    /// How long a request may wait for a worker.
    pub queue_wait: Duration,
    /// How long a worker that does not heartbeat while it works may be silent over one request.
    pub busy_timeout: Duration,
    /// How many workers a request is given to before it is given up.
    pub attempts_max: u32,
    /// Whether a request whose client has left is still given to a worker.
    pub run_abandoned: bool,
}

/// What to do with a request when no worker is registered for its service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoWorker {
    /// Keep it until a worker comes or it has waited too long.
    Queue,
    /// Answer `503` at once.
    Refuse,
}

/// What a client of a dialect without error replies is told when its request fails after it was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorReplies {
    /// Nothing: its own timeout acts. An error that looks like a result is worse than none.
    Silence,
    /// A final reply of one frame: three digits and a reason.
    StatusFrame,
}

impl Config {
    /// The policy of a service.
    pub fn policy(&self, service: &ServiceName) -> &Policy {
        self.services.get(service).unwrap_or(&self.policy)
    }

    /// How often a worker is spoken to: as chosen, but not less often than 0.3 can say.
    pub(crate) fn beat(&self) -> Duration {
        self.heartbeat.min(limits::HEARTBEAT_INTERVAL_MAX)
    }

    /// Silence that makes a heart-beating worker dead.
    pub fn expiry(&self) -> Duration {
        self.heartbeat.saturating_mul(self.liveness)
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            name: "majordomo".to_owned(),
            elsewhere: Vec::new(),
            drain_grace: Duration::ZERO,
            heartbeat: limits::HEARTBEAT_INTERVAL,
            liveness: limits::HEARTBEAT_LIVENESS,
            limits: Limits::default(),
            policy: Policy::default(),
            services: BTreeMap::new(),
            error_replies: ErrorReplies::Silence,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            queued_requests_max: 100_000,
            queued_bytes_max: 128 << 20,
            services_max: 20_000,
            gathered_bytes_max: 16 << 20,
            message_bytes_max: limits::MESSAGE_BYTES_MAX,
            worker_bytes_max: 12 << 20,
            kept_window: Duration::from_secs(120),
            kept_answers_max: 100_000,
            kept_bytes_max: 64 << 20,
            kept_answer_bytes_max: 256 << 10,
            per_peer: PeerLimits::default(),
        }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            no_worker: NoWorker::Queue,
            queue_max: 10_000,
            queue_wait: Duration::from_secs(60),
            busy_timeout: Duration::from_secs(30),
            attempts_max: 3,
            run_abandoned: true,
        }
    }
}
