//! What a worker tells whoever watches it. Data, not log lines: the driver logs them, tests and simulators assert on
//! them.

use protocol::PeerFault;
use protocol::mdp::Dialect;
use std::time::Duration;

use crate::job::JobId;

/// Something worth knowing happened in a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// READY is on its way; the broker may send requests. The protocol has no answer to it.
    Registered {
        /// How we speak.
        dialect: Dialect,
    },
    /// The connection is given up; a new one is tried after `retry_in`, unless the worker is ending.
    Lost {
        /// Why.
        cause: Cause,
        /// Jobs whose answers can no longer be sent.
        orphans: usize,
        /// The delay before the next attempt; `None` when there will be none.
        retry_in: Option<Duration>,
    },
    /// A job ended after its connection was lost; its answer went nowhere. The broker has it done by another worker.
    AnswerDropped(JobId),
    /// The broker broke a rule; its message was dropped.
    Fault(PeerFault),
    /// The broker sent a request that was not taken: before READY, or after the wish to end.
    RequestIgnored,
    /// The time for a clean end is over; so many jobs are cut off.
    Abandoned {
        /// How many.
        jobs: usize,
    },
}

/// Why a connection was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The socket reported it.
    Disconnected,
    /// The broker said DISCONNECT: it does not know us, or wants us gone.
    Dismissed,
    /// The broker was silent for longer than allowed.
    Silent,
    /// The broker sent more requests than anybody asked for.
    Overfed,
}
