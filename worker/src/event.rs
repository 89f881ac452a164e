//! What a worker tells whoever watches it. Data, not log lines: the driver logs them, tests and simulators assert on
//! them.

use std::fmt;
use std::time::Duration;

use protocol::mdp::Dialect;
use protocol::{PeerFault, ServiceName};

use crate::job::JobId;
use crate::speech::Speech;

/// Something worth knowing happened in a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// We serve. In MDP 0.3 the broker has answered READY; an old dialect has no answer to it, so READY is on its way.
    Registered {
        /// How we speak.
        speech: Speech,
    },
    /// The broker did not answer MDP 0.3; an older dialect is tried on a new connection.
    FellBack {
        /// Which.
        to: Dialect,
    },
    /// The dialect has room for one service; so many others are not offered on this connection.
    NotOffered {
        /// How many.
        services: usize,
    },
    /// The broker gives us no more requests, of this service or at all.
    Draining {
        /// Which service; `None` is all.
        service: Option<ServiceName>,
    },
    /// The broker said DISCONNECT and why. [`Lost`](Self::Lost) follows, unless we were leaving.
    Dismissed {
        /// Three digits.
        status: u16,
        /// In the broker's words. Show it escaped.
        reason: String,
    },
    /// A job is stopped before its handler has answered: nobody waits for it, or its answer cannot be sent.
    Stopped {
        /// Which.
        job: JobId,
        /// What its client is told.
        status: u16,
    },
    /// The broker sent more than it was ever allowed, or what we do not offer; the request was refused.
    Refused {
        /// With what.
        status: u16,
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
    /// The broker did not answer MDP 0.3, and no other dialect is allowed.
    Unanswered,
    /// The broker drains, and all that it gave us is answered.
    Drained,
    /// The broker sent more requests than anybody asked for.
    Overfed,
}

impl fmt::Display for Event {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registered { speech } => write!(formatter, "registered with the broker, in {speech}"),
            Self::FellBack { to } => {
                write!(formatter, "the broker does not answer MDP 0.3; trying {}", Speech::Old(*to))
            }
            Self::NotOffered { services } => {
                write!(formatter, "this broker takes one service a worker, {services} others are not offered")
            }
            Self::Draining { service: Some(service) } => write!(formatter, "the broker drains {service}"),
            Self::Draining { service: None } => write!(formatter, "the broker drains us"),
            Self::Dismissed { status, reason } => {
                write!(formatter, "the broker said DISCONNECT {status}: {}", reason.escape_debug())
            }
            Self::Stopped { job, status } => write!(formatter, "job {} was stopped with {status}", job.0),
            Self::Refused { status } => {
                write!(formatter, "a request that should not have come was refused with {status}")
            }
            Self::Lost { cause, orphans, retry_in } => {
                write!(formatter, "broker lost: {cause}")?;
                if *orphans > 0 {
                    write!(formatter, "; {orphans} running jobs will be done by another worker")?;
                }
                match retry_in {
                    Some(delay) => write!(formatter, "; next try in {} ms", delay.as_millis()),
                    None => Ok(()),
                }
            }
            Self::AnswerDropped(_) => write!(formatter, "an answer came after its connection was lost and was dropped"),
            Self::Fault(fault) => write!(formatter, "the broker broke a rule: {fault}"),
            Self::RequestIgnored => write!(formatter, "a request was ignored: not registered, or ending"),
            Self::Abandoned { jobs } => write!(formatter, "the time for a clean end is over, {jobs} jobs are cut off"),
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Disconnected => "no connection",
            Self::Dismissed => "it said DISCONNECT",
            Self::Silent => "it was silent for too long",
            Self::Unanswered => "it does not answer MDP 0.3",
            Self::Drained => "it drains",
            Self::Overfed => "it sent more requests than it was asked for",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_broker_reads_as_a_sentence() {
        let lost = |orphans, retry_in| Event::Lost { cause: Cause::Silent, orphans, retry_in }.to_string();
        assert_eq!(lost(0, None), "broker lost: it was silent for too long");
        assert_eq!(
            lost(2, Some(Duration::from_millis(250))),
            "broker lost: it was silent for too long; 2 running jobs will be done by another worker; next try in 250 ms"
        );
    }
}
