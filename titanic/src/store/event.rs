//! What a store tells whoever watches it.

use std::fmt;
use std::io;

use protocol::ServiceName;

use crate::log::Id;

/// Something worth knowing happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A request was given up, and waits for somebody to look at it.
    Died {
        /// Which.
        id: Id,
        /// Who was asked.
        service: ServiceName,
        /// How often.
        attempts: u32,
        /// Why the last attempt failed.
        reason: String,
    },
    /// A record cannot be read any more.
    Damaged {
        /// Whose.
        id: Id,
    },
    /// An answer was not stored because the log is full; its request will be tried again.
    AnswerRefused {
        /// Whose.
        id: Id,
    },
    /// An answer was forgotten because nobody had closed it in time.
    Expired {
        /// Whose.
        id: Id,
    },
    /// Nobody serves this any more; its requests wait.
    Down(ServiceName),
    /// Somebody serves it again.
    Up(ServiceName),
    /// The disk failed, and the store has ended for good.
    Stopped(io::ErrorKind),
}

impl fmt::Display for Event {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Died { id, service, attempts, reason } => {
                let reason = reason.escape_debug();
                write!(formatter, "request {id} to {service} was given up after {attempts} attempts: {reason}")
            }
            Self::Damaged { id } => write!(formatter, "a record of {id} is damaged"),
            Self::AnswerRefused { id } => write!(formatter, "the log is full, and the answer to {id} was not stored"),
            Self::Expired { id } => write!(formatter, "the answer to {id} was forgotten: nobody closed it in time"),
            Self::Down(service) => write!(formatter, "nobody serves {service}; its requests wait"),
            Self::Up(service) => write!(formatter, "{service} is served"),
            Self::Stopped(kind) => write!(formatter, "the disk failed ({kind}): nothing is stored any more"),
        }
    }
}
