//! How a worker is spoken to, in its own dialect.

use std::time::Duration;

use protocol::mdp::v03::{self, JobNumber, Options, Status, worker::Farewell};
use protocol::mdp::{Dialect, worker::ToWorker};
use protocol::{Frames, Instant, limits};

use crate::job::Job;
use crate::request::Form;

/// The dialect of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speech {
    /// 0.1 or 0.2.
    Old(Dialect),
    /// 0.3.
    Native,
}

impl Speech {
    /// REQUEST. A worker of 0.1 or 0.2 hears neither the time that is left nor what the client passed on.
    pub(crate) fn request(self, now: Instant, job: &Job) -> Frames {
        match self {
            Self::Old(dialect) => {
                ToWorker::Request { address: job.id.to_address(), body: job.request.body.clone() }.encode(dialect)
            }
            Self::Native => {
                let attempt = u8::try_from(job.attempts).unwrap_or(u8::MAX).max(1);
                let remaining = job.request.deadline.map(|deadline| deadline - now);
                let id = match job.request.form {
                    Form::Native(id) => Some(id),
                    Form::Old { .. } => None,
                };
                let ends = (&job.request.service, &job.request.passed_on);
                v03::worker::Request::write(JobNumber(job.id.0), attempt, remaining, id, ends, job.request.body.clone())
            }
        }
    }

    /// HEARTBEAT, which is followed by another after `interval`.
    pub(crate) fn heartbeat(self, interval: Duration) -> Frames {
        match self {
            Self::Old(dialect) => ToWorker::Heartbeat.encode(dialect),
            Self::Native => v03::ToWorker::Heartbeat(interval.min(limits::HEARTBEAT_INTERVAL_MAX)).encode(),
        }
    }

    /// DISCONNECT, with the reason where the dialect can say it.
    pub(crate) fn disconnect(self, farewell: Farewell) -> Frames {
        match self {
            Self::Old(dialect) => ToWorker::Disconnect.encode(dialect),
            Self::Native => v03::ToWorker::Disconnect(farewell).encode(),
        }
    }
}

/// A status and its reason in words.
pub(crate) fn farewell(status: Status, reason: &str) -> Farewell {
    Farewell { status, options: because(reason) }
}

/// Options that say why. A reason is cut to the length that is allowed, so the list is always valid.
pub(crate) fn because(reason: &str) -> Options {
    Options::build().reason(reason).finish().unwrap_or_default()
}
