//! A request as the broker holds it, and the answer to it, in no dialect yet.
//!
//! ```text
//!   MDPC01, MDPC02, MDPC03 ──► Request ──► queue, worker ──► Answer ──► the client's own dialect again
//! ```
//!
//! What a dialect cannot say is said as docs/rfc/MDP-0.3.md, section 11, has it.

use bytes::Bytes;
use protocol::mdp::client::{self, Part, encode_reply};
use protocol::mdp::v03::{self, Idempotency, Options, Outcome, Status, ToClient};
use protocol::mdp::{self, Dialect};
use protocol::mutants::{self, Mutant};
use protocol::{Frames, Instant, Priority, RequestId, ServiceName};

/// What a client asks for, whatever dialect it speaks.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) form: Form,
    /// Who shall do it.
    pub(crate) service: ServiceName,
    /// After this nobody waits for the answer; `None` where nothing was said.
    pub(crate) deadline: Option<Instant>,
    /// How urgent it is among those of its client.
    pub(crate) priority: Priority,
    /// How often it may run.
    pub(crate) idempotency: Idempotency,
    /// What goes to a worker of 0.3 unread.
    pub(crate) passed_on: Options,
    /// One frame or more, not looked into.
    pub(crate) body: Frames,
}

/// How a client speaks, and so how it is answered.
#[derive(Clone, Debug)]
pub(crate) enum Form {
    /// 0.1 or 0.2, with the client's own frames, if it has any, which are returned with each reply.
    Old { dialect: Dialect, envelope: Option<Box<Frames>> },
    /// 0.3, with the client's number for the request.
    Native(RequestId),
}

impl Request {
    /// A request of 0.3, which has come at `now`.
    pub(crate) fn native(now: Instant, request: v03::client::Request) -> Self {
        let v03::client::Request { id, service, terms, body } = request;
        let deadline = terms.deadline.map(|left| now + left);
        let v03::Terms { priority, idempotency, passed_on, .. } = terms;
        Self { form: Form::Native(id), service, deadline, priority, idempotency, passed_on, body }
    }

    /// Frames of the message that gives it to a worker, of the dialect that needs most.
    pub(crate) fn frames_to_worker(&self) -> usize {
        self.body.len() + WORKER_HEAD_FRAMES
    }

    /// Octets of that message.
    pub(crate) fn bytes_to_worker(&self) -> usize {
        self.body.byte_count() + self.passed_on.as_bytes().len() + self.service.as_bytes().len() + WORKER_HEAD_BYTES
    }

    /// Bytes that it brings along and that have to be kept, the lists of frames with them.
    pub(crate) fn byte_count(&self) -> usize {
        let envelope = match &self.form {
            Form::Old { envelope: Some(envelope), .. } => envelope.byte_count() + envelope.list_bytes(),
            Form::Old { envelope: None, .. } | Form::Native(_) => 0,
        };
        envelope + self.body.byte_count() + self.body.list_bytes() + self.passed_on.as_bytes().len()
    }
}

impl From<mdp::Request> for Request {
    fn from(request: client::Request) -> Self {
        let mdp::Request { dialect, envelope, service, body } = request;
        let form = Form::Old { dialect, envelope: (!envelope.is_empty()).then(|| Box::new(envelope)) };
        let (priority, idempotency) = (Priority::default(), Idempotency::Repeatable);
        Self { form, service, deadline: None, priority, idempotency, passed_on: Options::none(), body }
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

    /// The message that tells this client the end of its request.
    pub(crate) fn write(&self, service: &ServiceName, outcome: &Outcome, body: Frames) -> Frames {
        match self {
            Self::Native(id) => outcome.encode_final(*id, body),
            Self::Old { dialect, envelope } => {
                let envelope = returned(envelope.as_deref());
                encode_reply(*dialect, envelope, service, Part::Final, old_body(outcome, body))
            }
        }
    }

    /// The message that tells this client a part of the answer, numbered from 0. One without PARTIAL is not told parts.
    pub(crate) fn write_part(&self, service: &ServiceName, number: u32, body: Frames) -> Frames {
        match self {
            Self::Native(id) => ToClient::Partial { id: *id, part: number, body }.encode(),
            Self::Old { dialect, envelope } => {
                encode_reply(*dialect, returned(envelope.as_deref()), service, Part::Partial, body)
            }
        }
    }
}

/// The client's own frames, as they go back.
fn returned(envelope: Option<&Frames>) -> Frames {
    envelope.filter(|_| !mutants::on(Mutant::ForgetEnvelope)).cloned().unwrap_or_default()
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

/// Two empty frames, header, command and address: REQUEST of 0.1 and 0.2.
const WORKER_HEAD_FRAMES: usize = 5;
/// Header, command, job, attempt, time left, id and the length of the name: REQUEST of 0.3.
const WORKER_HEAD_BYTES: usize = 7 + 8 + 1 + 4 + 16 + 1;
