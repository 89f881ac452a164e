//! The wall between the dialects: what a worker says and hears, without how it is written.
//!
//! ```text
//!   session ── what ──► Speech ── how ──► frames of 0.1, 0.2 or 0.3
//!           ◄── Said ──        ◄────────
//! ```
//!
//! MDP 0.1 and 0.2 say less: where they have no word for something, nothing is sent, and the session knows what that
//! means for it by asking [`Speech::is_native`].

use std::time::Duration;

use bytes::Bytes;
use protocol::limits::{CREDIT_MAX, HEARTBEAT_INTERVAL_MAX};
use protocol::mdp::client::Part;
use protocol::mdp::v03::worker::Farewell;
use protocol::mdp::v03::{self, Drain, JobNumber, Options, Outcome, Ready, Status};
use protocol::mdp::worker::{FromWorker, ToWorker};
use protocol::mdp::{Dialect, v03::FromWorker as Native};
use protocol::{Frames, PeerFault};

use crate::config::Config;
use crate::failure::Failure;
use crate::job::Assignment;

/// How a broker is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Speech {
    /// MDP 0.3.
    Native,
    /// An older dialect: one service, one request at a time, no error reply.
    Old(Dialect),
}

/// The broker's word for a request: what each part of its answer is returned under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ticket {
    /// The client address of 0.1 and 0.2.
    Address(Bytes),
    /// The job number of 0.3.
    Number(JobNumber),
}

/// What a broker says.
#[derive(Debug)]
pub(crate) enum Said {
    Request(Ticket, Assignment),
    Cancel(JobNumber),
    Drain(Drain),
    /// With the promise of another within this time, in 0.3.
    Heartbeat(Option<Duration>),
    /// With its reasons, in 0.3.
    Disconnect(Option<Farewell>),
}

impl Speech {
    /// Whether it is MDP 0.3.
    pub const fn is_native(self) -> bool {
        matches!(self, Self::Native)
    }

    /// Whether an answer may be sent in parts.
    pub(crate) const fn streams(self) -> bool {
        match self {
            Self::Native => true,
            Self::Old(dialect) => dialect.streams(),
        }
    }

    /// What a message of the broker says. A request of an old dialect is for the one service that was offered.
    pub(crate) fn decode(self, config: &Config, message: Frames) -> Result<Said, PeerFault> {
        match self {
            Self::Native => Ok(match v03::ToWorker::decode(message)? {
                v03::ToWorker::Request(request) => {
                    let ticket = Ticket::Number(request.job);
                    Said::Request(ticket, Assignment::native(request))
                }
                v03::ToWorker::Cancel(job) => Said::Cancel(job),
                v03::ToWorker::Drain(drain) => Said::Drain(drain),
                v03::ToWorker::Heartbeat(interval) => Said::Heartbeat(Some(interval)),
                v03::ToWorker::Disconnect(farewell) => Said::Disconnect(Some(farewell)),
            }),
            Self::Old(dialect) => Ok(match ToWorker::decode(dialect, message)? {
                ToWorker::Request { address, body } => {
                    Said::Request(Ticket::Address(address), Assignment::old(config.first_service(), body))
                }
                ToWorker::Heartbeat => Said::Heartbeat(None),
                ToWorker::Disconnect => Said::Disconnect(None),
            }),
        }
    }

    /// READY, with as much credit as there are free slots.
    pub(crate) fn ready(self, config: &Config, credit: usize) -> Frames {
        match self {
            Self::Native => {
                let (credit, interval) = (credit_on_wire(credit), config.beat());
                let offers = config.offers.clone();
                Native::Ready(Ready { credit, interval, options: config.about.clone(), offers }).encode()
            }
            Self::Old(dialect) => {
                let ready = FromWorker::Ready { service: config.first_service(), credit: credit_on_wire(credit) };
                ready.encode(dialect)
            }
        }
    }

    /// A part of an answer, `part` of them came before.
    pub(crate) fn partial(self, ticket: Ticket, part: u32, body: Frames) -> Frames {
        match (self, ticket) {
            (_, Ticket::Number(job)) => Native::Partial { job, part, body }.encode(),
            (Self::Old(dialect), Ticket::Address(address)) => {
                FromWorker::Reply { address, part: Part::Partial, body }.encode(dialect)
            }
            (Self::Native, Ticket::Address(_)) => Frames::new(),
        }
    }

    /// The end of an answer. An old dialect has no error: there it is a body that begins with the status.
    pub(crate) fn last(self, ticket: Ticket, parts: u32, answer: Result<Frames, Failure>) -> Frames {
        match (self, ticket) {
            (_, Ticket::Number(job)) => {
                let (status, options, body) = match answer {
                    Ok(body) => (Status::OK, Options::none(), body),
                    Err(failure) => failure.into_native(),
                };
                Native::Final { job, outcome: Outcome { parts, status, options }, body }.encode()
            }
            (Self::Old(dialect), Ticket::Address(address)) => {
                let body = answer.unwrap_or_else(Failure::into_body);
                FromWorker::Reply { address, part: Part::Final, body }.encode(dialect)
            }
            (Self::Native, Ticket::Address(_)) => Frames::new(),
        }
    }

    /// HEARTBEAT.
    pub(crate) fn heartbeat(self, config: &Config) -> Frames {
        match self {
            Self::Native => Native::Heartbeat(config.beat()).encode(),
            Self::Old(dialect) => FromWorker::Heartbeat.encode(dialect),
        }
    }

    /// DISCONNECT.
    pub(crate) fn disconnect(self) -> Frames {
        match self {
            Self::Native => Native::Disconnect(Farewell { status: Status::OK, options: Options::none() }).encode(),
            Self::Old(dialect) => FromWorker::Disconnect.encode(dialect),
        }
    }

    /// DRAIN of everything; only 0.3 has it.
    pub(crate) fn drain(grace: Duration) -> Frames {
        Native::Drain(Drain { grace, service: None, options: Options::none() }).encode()
    }

    /// CREDIT; only 0.3 has it.
    pub(crate) fn credit(credit: usize) -> Frames {
        Native::Credit(credit_on_wire(credit)).encode()
    }
}

impl From<Dialect> for Speech {
    fn from(dialect: Dialect) -> Self {
        Self::Old(dialect)
    }
}

impl std::fmt::Display for Speech {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Native => "MDP 0.3",
            Self::Old(Dialect::V01) => "MDP 0.1",
            Self::Old(Dialect::V02 | Dialect::V02Delimited | Dialect::V02Majortomo) => "MDP 0.2",
        })
    }
}

fn credit_on_wire(credit: usize) -> u32 {
    u32::try_from(credit).unwrap_or(u32::MAX).min(CREDIT_MAX)
}

impl Config {
    /// How often we show that we live; 0.3 cannot say less often than once a minute.
    pub(crate) fn beat(&self) -> Duration {
        self.heartbeat.min(HEARTBEAT_INTERVAL_MAX)
    }
}
