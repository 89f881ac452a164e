//! Which versions of MDP a client speaks, and the neutral form in which both machines hear answers of all of them.
//!
//! ```text
//!   0.3      ids, numbered parts, status, DRAIN ──┐
//!                                                 ├──► Said ──► machine
//!   0.1, 0.2 envelope or nothing, parts, FINAL ───┘
//! ```
//!
//! Here is the wall between the dialects: what is written, and what is read. Whatever differs beyond that differs in
//! `Answer::place`: parts of 0.3 have numbers, those of 0.2 have none.

use std::time::Duration;

use protocol::mdp::client::{Part, decode_reply};
use protocol::mdp::v03::{Drain, FromClient, Status, ToClient};
use protocol::mdp::{Dialect, v03};
use protocol::{Frames, PeerFault, RequestId, ServiceName};

use crate::failed::Failed;
use crate::number::Number;

/// Which versions of MDP a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speech {
    /// MDP 0.3, asked for on each new connection. A broker that does not answer it is spoken to in an older dialect, if
    /// there is one here.
    Native {
        /// The older dialect.
        fall_back: Option<Dialect>,
    },
    /// An older dialect, and nothing else.
    Old(Dialect),
}

impl Speech {
    /// The older dialect that it may come to.
    pub const fn old(self) -> Option<Dialect> {
        match self {
            Self::Native { fall_back } => fall_back,
            Self::Old(dialect) => Some(dialect),
        }
    }

    /// How each new connection begins.
    pub(crate) const fn first(self) -> Tongue {
        match self {
            Self::Native { .. } => Tongue::Native,
            Self::Old(dialect) => Tongue::Old(dialect),
        }
    }
}

impl Default for Speech {
    /// MDP 0.3, and 0.2 with a broker that does not answer it.
    fn default() -> Self {
        Self::Native { fall_back: Some(Dialect::V02Delimited) }
    }
}

impl From<Dialect> for Speech {
    fn from(dialect: Dialect) -> Self {
        Self::Old(dialect)
    }
}

/// What one connection is spoken to in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tongue {
    Native,
    Old(Dialect),
}

/// What a broker says, whatever the dialect.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "it is taken apart where it was made, and answers are the common case")]
pub(crate) enum Said {
    Answer(Answer),
    Drain(Drain),
    Heartbeat,
}

/// A part of an answer, or its end.
#[derive(Debug)]
pub(crate) struct Answer {
    /// What finds the request.
    pub(crate) tag: Tag,
    /// Who answers, where that is said.
    pub(crate) service: Option<ServiceName>,
    /// How many parts came before, where they are counted.
    pub(crate) place: Option<u32>,
    pub(crate) part: Part,
    /// That it is no answer but the reason why there is none; said by FINALs of 0.3 only.
    pub(crate) failed: Option<Failed>,
    pub(crate) body: Frames,
}

/// What finds the request of an answer.
#[derive(Debug)]
pub(crate) enum Tag {
    Id(RequestId),
    Envelope(Frames),
}

impl Tag {
    /// The number and the run that it was made of, if it was made by us.
    pub(crate) fn read(&self, salt: u64) -> Option<(Number, u8)> {
        match self {
            Self::Id(id) => Number::read_id(*id, salt),
            Self::Envelope(envelope) => Number::read(envelope),
        }
    }
}

impl Answer {
    /// Whether it is the end that a cancelled request has: nobody waits for it, and it is not worth telling.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.failed.as_ref().is_some_and(|failed| failed.status == Status::CANCELLED)
    }
}

impl Tongue {
    /// Reads what came from a broker.
    pub(crate) fn decode(self, message: Frames) -> Result<Said, PeerFault> {
        match self {
            Self::Native => ToClient::decode(message).map(Said::from),
            Self::Old(dialect) => {
                let reply = decode_reply(dialect, message)?;
                let tag = Tag::Envelope(reply.envelope);
                let (service, part, body) = (reply.service, reply.part, reply.body);
                Ok(Said::Answer(Answer { tag, service, place: None, part, failed: None, body }))
            }
        }
    }
}

impl From<ToClient> for Said {
    fn from(said: ToClient) -> Self {
        let answer = |id, place, part, failed, body| {
            Self::Answer(Answer { tag: Tag::Id(id), service: None, place: Some(place), part, failed, body })
        };
        match said {
            ToClient::Partial { id, part, body } => answer(id, part, Part::Partial, None, body),
            ToClient::Final { id, outcome, body } if outcome.status.is_success() => {
                answer(id, outcome.parts, Part::Final, None, body)
            }
            ToClient::Final { id, outcome, body } => {
                let parts = outcome.parts;
                answer(id, parts, Part::Final, Some(Failed::new(&outcome, body)), Frames::new())
            }
            ToClient::Drain(drain) => Self::Drain(drain),
            ToClient::Heartbeat => Self::Heartbeat,
        }
    }
}

/// A request as it is sent in 0.3.
pub(crate) fn request(id: RequestId, service: ServiceName, terms: v03::Terms, body: Frames) -> Frames {
    FromClient::Request(v03::client::Request { id, service, terms, body }).encode()
}

/// Nobody waits for this one any more.
pub(crate) fn cancel(id: RequestId) -> Frames {
    FromClient::Cancel(id).encode()
}

/// Are you there, and do you speak 0.3?
pub(crate) fn heartbeat() -> Frames {
    FromClient::Heartbeat.encode()
}

/// How long a connection may stand without a word of 0.3, or a request wait on it without hearing anything (MDP 0.3,
/// "Limits and timing").
pub const ASK_AFTER: Duration = Duration::from_millis(2500);
