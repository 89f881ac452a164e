//! A request as the broker holds it, and the answer to it, in no dialect yet.
//!
//! ```text
//!   MDPC01, MDPC02, MDPC03 ──► Request ──► queue, worker ──► Answer ──► the client's own dialect again
//! ```
//!
//! What a dialect cannot say is said as docs/rfc/MDP-0.3.md, section 11, has it.

use bytes::Bytes;
use protocol::mdp::client::{self, Part, encode_reply};
use protocol::mdp::v03::{self, Options, Outcome, Status, ToClient};
use protocol::mdp::{self, Dialect};
use protocol::mutants::{self, Mutant};
use protocol::{Frames, Instant, RequestId, ServiceName};

/// What a client asks for, whatever dialect it speaks.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) form: Form,
    /// Who shall do it.
    pub(crate) service: ServiceName,
    /// After this nobody waits for the answer; `None` where nothing was said.
    pub(crate) deadline: Option<Instant>,
    /// What goes to a worker of 0.3 unread.
    pub(crate) passed_on: Options,
    /// One frame or more, not looked into.
    pub(crate) body: Frames,
}

/// How a client speaks, and so how it is answered.
#[derive(Clone, Debug)]
pub(crate) enum Form {
    /// 0.1 or 0.2, with the client's own frames, which are returned with each reply.
    Old { dialect: Dialect, envelope: Frames },
    /// 0.3, with the client's number for the request.
    Native(RequestId),
}

/// What a client is told.
#[derive(Debug)]
pub(crate) enum Answer {
    /// A part, numbered from 0.
    Partial { number: u32, body: Frames },
    /// The end.
    Final { outcome: Outcome, body: Frames },
}

impl Request {
    /// A request of 0.3, which has come at `now`.
    pub(crate) fn native(now: Instant, request: v03::client::Request) -> Self {
        let v03::client::Request { id, service, terms, body } = request;
        let deadline = terms.deadline.map(|left| now + left);
        Self { form: Form::Native(id), service, deadline, passed_on: terms.passed_on, body }
    }

    /// Bytes that it brings along and that have to be kept.
    pub(crate) fn byte_count(&self) -> usize {
        self.body.byte_count() + self.passed_on.as_bytes().len()
    }
}

impl From<mdp::Request> for Request {
    fn from(request: client::Request) -> Self {
        let mdp::Request { dialect, envelope, service, body } = request;
        Self { form: Form::Old { dialect, envelope }, service, deadline: None, passed_on: Options::none(), body }
    }
}

impl Form {
    /// Whether an answer may come in parts.
    pub(crate) const fn streams(&self) -> bool {
        match self {
            Self::Old { dialect, .. } => dialect.streams(),
            Self::Native(_) => true,
        }
    }

    /// The message that tells this client the answer. One without PARTIAL has to be given [`Answer::Final`] only.
    pub(crate) fn write(&self, service: &ServiceName, answer: Answer) -> Frames {
        match (self, answer) {
            (Self::Native(id), Answer::Partial { number, body }) => {
                ToClient::Partial { id: *id, part: number, body }.encode()
            }
            (Self::Native(id), Answer::Final { outcome, body }) => ToClient::Final { id: *id, outcome, body }.encode(),
            (Self::Old { dialect, envelope }, answer) => {
                let envelope = if mutants::on(Mutant::ForgetEnvelope) { Frames::new() } else { envelope.clone() };
                let (part, body) = match answer {
                    Answer::Partial { body, .. } => (Part::Partial, body),
                    Answer::Final { outcome, body } => (Part::Final, old_body(&outcome, body)),
                };
                encode_reply(*dialect, envelope, service, part, body)
            }
        }
    }
}

impl Answer {
    /// Success in one piece.
    pub(crate) fn whole(body: Frames) -> Self {
        Self::Final { outcome: Outcome::OK, body }
    }
}

/// The body of a final reply in a dialect without status: an error is one frame more, three digits and the reason.
fn old_body(outcome: &Outcome, mut body: Frames) -> Frames {
    if !outcome.status.is_success() {
        body.push_front(status_line(outcome.status, outcome.options.reason()));
    }
    body
}

fn status_line(status: Status, reason: Option<&str>) -> Bytes {
    format!("{} {}", status.code(), reason.unwrap_or(status.words())).into()
}
