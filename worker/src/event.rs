//! What a worker tells whoever watches it. Data, not log lines: the driver logs them, tests and simulators assert on
//! them.

use std::fmt;
use std::time::Duration;

use protocol::PeerFault;
use protocol::mdp::Dialect;

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

impl fmt::Display for Event {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registered { .. } => write!(formatter, "registered with the broker"),
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
