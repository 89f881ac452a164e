//! What the broker tells about itself: events as data, and counters.
//!
//! The machine logs nothing. A driver turns events into log lines at a bounded rate and counters into metrics; the
//! simulator asserts on both.

use std::sync::Arc;
use std::time::Duration;

use protocol::mdp::v03::Status;
use protocol::trace::TraceContext;
use protocol::{PeerFault, PeerId, RequestId, ServiceName};

use crate::job::JobId;

/// Something that an operator or a test may want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A worker has registered.
    WorkerReady {
        /// Its connection.
        peer: PeerId,
        /// What it offers.
        service: ServiceName,
    },
    /// A worker is registered no more.
    WorkerLeft {
        /// Its connection.
        peer: PeerId,
        /// What it offered.
        service: ServiceName,
        /// Why.
        departure: Departure,
        /// How many requests it had not answered.
        unanswered: usize,
    },
    /// A request goes back to the front of its queue because its worker left.
    Requeued {
        /// The attempt that ended.
        job: JobId,
        /// Whose queue.
        service: ServiceName,
        /// How many workers have had it.
        attempts: u32,
    },
    /// A request ended without an answer from a worker.
    RequestFailed {
        /// Who asked.
        client: PeerId,
        /// For what.
        service: ServiceName,
        /// Why.
        end: RequestEnd,
    },
    /// A request was refused because its client may not make it, or not that many.
    RequestDenied {
        /// Who asked.
        client: PeerId,
        /// What the operator calls it; empty when nobody was asked who it is.
        name: Arc<str>,
        /// For what.
        service: ServiceName,
        /// Which right or limit.
        end: RequestEnd,
    },
    /// A peer may not be a worker of the service that it offers, or not any more.
    OfferDenied {
        /// Who offers.
        peer: PeerId,
        /// What the operator calls it.
        name: Arc<str>,
        /// What.
        service: ServiceName,
    },
    /// A peer has more connections than it may; this one is of no use.
    TooManyConnections {
        /// The connection.
        peer: PeerId,
        /// What the operator calls the peer.
        name: Arc<str>,
    },
    /// A connected peer may be here no longer.
    CutOff {
        /// The connection.
        peer: PeerId,
        /// What the operator called it.
        name: Arc<str>,
    },
    /// No new requests are taken any more.
    Draining {
        /// For which service; `None` for all.
        service: Option<ServiceName>,
    },
    /// An accepted request has ended, whatever its end. Told only where [somebody wants
    /// it](crate::Broker::telling_requests).
    RequestEnded(Box<Ended>),
    /// A peer broke a rule of MDP.
    Fault {
        /// Who.
        peer: PeerId,
        /// Which rule.
        fault: PeerFault,
    },
}

/// A request that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Who asked.
    pub client: PeerId,
    /// For what.
    pub service: ServiceName,
    /// The client's number, in MDP 0.3.
    pub id: Option<RequestId>,
    /// What it is a part of, if the client has said so in a way that can be read.
    pub trace: Option<TraceContext>,
    /// How many workers were given it.
    pub attempts: u32,
    /// How it ended.
    pub status: Status,
    /// From accepted to its end.
    pub took: Duration,
}

/// Why a worker is registered no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Departure {
    /// It said DISCONNECT.
    Left,
    /// Its connection closed.
    Closed,
    /// It was silent for too long.
    Expired,
    /// It broke a rule, or may not offer its service any more, and was told DISCONNECT.
    Expelled,
    /// It does not take what is sent to it.
    Stalled,
    /// An operator has drained it, or its service.
    Drained,
    /// The broker ends.
    Shutdown,
}

/// Why a request ended without an answer from a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestEnd {
    /// The queue of its service is full.
    QueueFull,
    /// All queues together, or the table of services, are full.
    BrokerFull,
    /// No worker, and the policy of the service is to refuse.
    NoWorker,
    /// It waited too long for a worker.
    WaitedTooLong,
    /// Every worker that had it left without an answer.
    AttemptsExhausted,
    /// Its worker left after parts of the answer had gone out, or its client did not take one of them.
    StreamBroken,
    /// Its answer is larger than a message to its client, or than what is kept for one that takes one reply only.
    ReplyTooLarge,
    /// It leaves no room in a message for what a worker has to be told with it.
    RequestTooLarge,
    /// Its command is disabled by `mmi.filter`.
    Disabled,
    /// Its client had left before a worker was free.
    Abandoned,
    /// Its id is in use for another request, or its answer cannot be given again.
    Duplicate,
    /// Its client has said CANCEL.
    Cancelled,
    /// Its deadline passed while a worker had it.
    Overdue,
    /// The broker or the service drains, and takes nothing new.
    Draining,
    /// It was accepted, and the time to drain was over before a worker could take it.
    NotWorkedOff,
    /// It was accepted, and the broker ends.
    BrokerEnds,
    /// Its client may not call the service.
    Forbidden,
    /// Its client makes more requests a second than it may.
    TooFast,
    /// Its client has as many requests in flight as it may.
    TooManyInFlight,
    /// Its client has more connections than it may.
    TooManyConnections,
}

/// Totals since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Requests that clients sent, those to `mmi.` included.
    pub requests: u64,
    /// Requests given to a worker, each attempt counted.
    pub dispatched: u64,
    /// Final replies passed on to clients.
    pub replies: u64,
    /// Parts of replies passed on to clients.
    pub partials: u64,
    /// Messages for peers that had left or did not take them.
    pub undeliverable: u64,
    /// Requests put back because their worker left.
    pub requeued: u64,
    /// Requests that ended without an answer from a worker.
    pub failed: u64,
    /// Requests that came again: joined to the one in progress, or answered from what is kept.
    pub duplicates: u64,
    /// What workers still said of requests that had ended for their clients; no fault.
    pub late: u64,
    /// Messages that broke a rule of MDP.
    pub faults: u64,
    /// Workers told to DISCONNECT.
    pub expelled: u64,
    /// Requests and workers refused for lack of a right.
    pub forbidden: u64,
    /// Requests and connections beyond a limit of their peer.
    pub limited: u64,
    /// Requests refused because of a drain.
    pub turned_away: u64,
    /// Peers that lost the right to be here while they were.
    pub cut_off: u64,
}

impl RequestEnd {
    /// The error reply of 0.1 and 0.2 in one frame: three digits and a reason.
    pub const fn status(self) -> &'static str {
        match self {
            Self::QueueFull => "429 queue of the service is full",
            Self::BrokerFull => "503 broker is full",
            Self::NoWorker => "503 no worker offers the service",
            Self::WaitedTooLong => "408 no worker became free in time",
            Self::AttemptsExhausted => "502 every worker that was given the request left without an answer",
            Self::StreamBroken => "502 the answer broke off in the middle",
            Self::ReplyTooLarge => "502 the answer is too large for one message to its client",
            Self::RequestTooLarge => "400 the request is too large for one message to a worker",
            Self::Disabled => "403 command is disabled",
            Self::Abandoned => "499 client has left",
            Self::Duplicate => "409 the id is in use for another request, or its answer cannot be given again",
            Self::Cancelled => "499 cancelled",
            Self::Overdue => "408 the deadline passed while a worker had the request",
            Self::Draining => "503 draining, nothing new is taken",
            Self::NotWorkedOff => "503 drained before a worker was free",
            Self::BrokerEnds => "503 the broker ends",
            Self::Forbidden => "403 not allowed",
            Self::TooFast => "429 too many requests a second",
            Self::TooManyInFlight => "429 too many requests in flight",
            Self::TooManyConnections => "429 too many connections",
        }
    }

    /// The status that a client of 0.3 is told: there 503 is for draining, and what is full is 429.
    pub const fn native_status(self) -> Status {
        match self {
            Self::QueueFull | Self::BrokerFull | Self::TooFast | Self::TooManyInFlight | Self::TooManyConnections => {
                Status::TOO_MANY
            }
            Self::NoWorker => Status::NO_SERVICE,
            Self::WaitedTooLong | Self::Overdue => Status::DEADLINE,
            Self::AttemptsExhausted | Self::StreamBroken | Self::ReplyTooLarge => Status::ATTEMPTS_EXHAUSTED,
            Self::RequestTooLarge => Status::BAD_REQUEST,
            Self::Draining | Self::NotWorkedOff | Self::BrokerEnds => Status::DRAINING,
            Self::Disabled | Self::Forbidden => Status::FORBIDDEN,
            Self::Duplicate => Status::DUPLICATE,
            Self::Abandoned | Self::Cancelled => Status::CANCELLED,
        }
    }

    /// Why, in words.
    pub fn reason(self) -> &'static str {
        self.status().split_once(' ').map_or("", |(_, reason)| reason)
    }

    /// Whether the request was refused for what its client may do, before anything else was looked at.
    pub const fn is_denial(self) -> bool {
        matches!(self, Self::Forbidden | Self::TooFast | Self::TooManyInFlight | Self::TooManyConnections)
    }
}

impl Departure {
    /// A word for logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Closed => "closed",
            Self::Expired => "expired",
            Self::Expelled => "expelled",
            Self::Stalled => "stalled",
            Self::Drained => "drained",
            Self::Shutdown => "shutdown",
        }
    }
}
