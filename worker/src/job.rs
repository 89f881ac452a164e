//! A request in work: where its answer goes, what has been answered so far, and whether its end is decided already.
//!
//! ```text
//!   REQUEST ──► Job ──parts──► PARTIAL*, FINAL                  (a dialect that streams)
//!                    ──parts──► joined ──► one REPLY            (0.1, which has no PARTIAL)
//!                    ──end decided──► parts dropped ──► FINAL with that status
//! ```

use std::time::Duration;

use bytes::Bytes;
use protocol::limits::{FRAMES_PER_MESSAGE_MAX, MESSAGE_BYTES_MAX};
use protocol::mdp::v03::{self, JobNumber, Options};
use protocol::mutants::{self, Mutant};
use protocol::{Frames, Instant, RequestId, ServiceName};

use crate::failure::Failure;
use crate::speech::{Speech, Ticket};

/// A job's number within its session, never given twice. The broker's word would not do: a broker may use one address
/// for every request of a client, and a job may outlive the connection it came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub u64);

/// What a handler is given to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// Which of the worker's services was asked.
    pub service: ServiceName,
    /// The client's number of its request, the same in each attempt and retry: a handler that must not do a thing twice
    /// knows the request by it. `None` where client or broker has no ids, which is all of MDP 0.1 and 0.2.
    pub id: Option<RequestId>,
    /// 1 for the first worker that is given this request, and so on; 255 stays 255. Always 1 in MDP 0.1 and 0.2, which
    /// do not say.
    pub attempt: u8,
    /// After this, counted from when the request was read, nobody waits for the answer. `None` when there is no end.
    pub remaining: Option<Duration>,
    /// What the client passed on: trace context, and what else goes from end to end.
    pub options: Options,
    /// One frame or more.
    pub body: Frames,
}

impl Assignment {
    pub(crate) fn native(request: v03::worker::Request) -> Self {
        let v03::worker::Request { attempt, remaining, id, service, options, body, .. } = request;
        Self { service, id, attempt, remaining, options, body }
    }

    pub(crate) fn old(service: ServiceName, body: Frames) -> Self {
        Self { service, id: None, attempt: 1, remaining: None, options: Options::none(), body }
    }
}

/// A job that waits for a slot or runs; what is to be done, its handler has.
#[derive(Debug)]
pub(crate) struct Job {
    /// The broker's word for the request; `None` once the connection is lost, so that nothing can be answered there.
    ticket: Option<Ticket>,
    /// When nobody waits for it any more.
    pub(crate) deadline: Option<Instant>,
    /// Parts that were sent.
    parts: u32,
    /// The parts so far, where the dialect wants one reply.
    joined: Frames,
    /// How the job ends, whatever its handler still says.
    end: Option<Box<Failure>>,
}

impl Job {
    pub(crate) fn new(now: Instant, ticket: Ticket, remaining: Option<Duration>) -> Self {
        let deadline = remaining.map(|remaining| now + remaining);
        Self { ticket: Some(ticket), deadline, parts: 0, joined: Frames::new(), end: None }
    }

    /// The connection is lost: its broker will give the job to somebody else.
    pub(crate) fn orphan(&mut self) {
        self.ticket = self.ticket.take().filter(|_| mutants::on(Mutant::AnswerOnNewConnection));
        self.joined = Frames::new();
    }

    pub(crate) fn is_orphan(&self) -> bool {
        self.ticket.is_none()
    }

    /// The broker's number, in 0.3.
    pub(crate) fn number(&self) -> Option<JobNumber> {
        match self.ticket {
            Some(Ticket::Number(number)) => Some(number),
            Some(Ticket::Address(_)) | None => None,
        }
    }

    /// Decides how the job ends; whether that was open until now. Nothing more of its answer is sent before the end.
    pub(crate) fn decide(&mut self, end: Failure) -> bool {
        let was_open = self.end.is_none();
        if was_open {
            self.end = Some(Box::new(end));
            self.joined = Frames::new();
        }
        was_open
    }

    /// Takes a part of the answer; returns what is to be sent now. A part that cannot be sent is the failure with which
    /// the job has to end.
    pub(crate) fn part(&mut self, speech: Speech, body: Frames) -> Result<Option<Frames>, Failure> {
        let Some(ticket) = self.ticket.clone().filter(|_| self.end.is_none()) else { return Ok(None) };
        if !speech.streams() {
            self.joined.extend(body);
            return check(&self.joined).map(|()| None);
        }
        let body = at_least_one_frame(body);
        check(&body)?;
        let part = self.parts;
        let too_many = || Failure::of("an answer of more parts than can be counted");
        self.parts = part.checked_add(1).ok_or_else(too_many)?;
        Ok(Some(speech.partial(ticket, part, body)))
    }

    /// Ends the job; returns what is to be sent, if it can be sent anywhere.
    pub(crate) fn finish(mut self, speech: Speech, answer: Result<Frames, Failure>) -> Option<Frames> {
        let ticket = self.ticket.take()?;
        let answer = match (self.end, answer) {
            (Some(end), _) => Err(*end),
            (None, Ok(body)) => {
                let body = at_least_one_frame(joined(self.joined, body));
                check(&body).map(|()| body)
            }
            (None, Err(failure)) => Err(failure),
        };
        Some(speech.last(ticket, self.parts, answer))
    }
}

fn joined(mut parts: Frames, last: Frames) -> Frames {
    if parts.is_empty() {
        return last;
    }
    parts.extend(last);
    parts
}

/// MDP wants one frame at least.
fn at_least_one_frame(mut body: Frames) -> Frames {
    if body.is_empty() {
        body.push(Bytes::new());
    }
    body
}

/// An oversized body would never leave the socket, so that its client would wait in vain.
fn check(body: &Frames) -> Result<(), Failure> {
    if !exceeds_limits(body) {
        return Ok(());
    }
    Err(Failure::of(format_args!(
        "reply of {} frames and {} bytes (allowed: {BODY_FRAMES_MAX} and {BODY_BYTES_MAX})",
        body.len(),
        body.byte_count()
    )))
}

pub(crate) fn exceeds_limits(body: &Frames) -> bool {
    body.len() > BODY_FRAMES_MAX || body.byte_count() > BODY_BYTES_MAX
}

/// Frames and bytes of a body: the message's, less room for delimiter, header, command, address, its delimiter, and
/// what a broker puts in front of it for the client.
const BODY_FRAMES_MAX: usize = FRAMES_PER_MESSAGE_MAX - 32;
const BODY_BYTES_MAX: usize = MESSAGE_BYTES_MAX - (16 << 10);

#[cfg(test)]
mod tests {
    use protocol::mdp::{Dialect, FromPeer, worker::FromWorker};

    use super::*;

    const V01: Speech = Speech::Old(Dialect::V01);
    const V02: Speech = Speech::Old(Dialect::V02);

    fn job() -> Job {
        Job::new(Instant::ZERO, Ticket::Address(Bytes::from_static(b"client")), None)
    }

    fn body(frames: Frames) -> Frames {
        match protocol::mdp::decode(frames) {
            Ok(FromPeer::Worker(_, FromWorker::Reply { body, .. })) => body,
            other => panic!("not a reply: {other:?}"),
        }
    }

    fn answered(speech: Speech, answer: Frames) -> Frames {
        body(job().finish(speech, Ok(answer)).unwrap())
    }

    #[test]
    fn an_empty_answer_becomes_one_empty_frame() {
        assert_eq!(answered(V02, Frames::new()), Frames::from([""]));
        assert_eq!(answered(V01, Frames::new()), Frames::from([""]));
    }

    #[test]
    fn body_limits_are_met_and_not_passed() {
        let frames = |count| Frames::from(vec![Bytes::from_static(b"x"); count]);
        assert_eq!(answered(V02, frames(BODY_FRAMES_MAX)), frames(BODY_FRAMES_MAX));
        let refusal = answered(V02, frames(BODY_FRAMES_MAX + 1));
        assert!(refusal[0].starts_with(b"500 reply of 993 frames"), "{refusal:?}");

        let bytes = |count| Frames::from([Bytes::from(vec![0; count])]);
        assert_eq!(answered(V02, bytes(BODY_BYTES_MAX)), bytes(BODY_BYTES_MAX));
        let refusal = answered(V02, bytes(BODY_BYTES_MAX + 1));
        assert!(refusal[0].starts_with(b"500 reply of 1 frames"), "{refusal:?}");
    }

    #[test]
    fn a_part_beyond_the_limits_is_the_failure_that_the_job_ends_with() {
        let mut job = job();
        let failure = job.part(V02, Frames::from([Bytes::from(vec![0; BODY_BYTES_MAX + 1])])).unwrap_err();
        assert!(job.decide(failure));
        assert_eq!(job.part(V02, Frames::from(["after it"])), Ok(None));
        let end = body(job.finish(V02, Ok(Frames::from(["end"]))).unwrap());
        assert!(end[0].starts_with(b"500 reply of 1 frames"), "{end:?}");
    }

    #[test]
    fn joined_parts_beyond_the_limit_hold_no_memory_and_end_as_an_error() {
        let mut job = job();
        let half = || Frames::from([Bytes::from(vec![0; BODY_BYTES_MAX / 2])]);
        assert_eq!(job.part(V01, half()), Ok(None));
        assert_eq!(job.part(V01, half()), Ok(None));
        let failure = job.part(V01, half()).unwrap_err();
        job.decide(failure);
        assert_eq!((job.joined.byte_count(), job.part(V01, half())), (0, Ok(None)));
        let body = body(job.finish(V01, Ok(Frames::from(["end"]))).unwrap());
        assert_eq!(body.len(), 1);
        assert!(body[0].starts_with(b"500 "), "{body:?}");
    }

    #[test]
    fn only_the_first_decision_counts() {
        let mut job = job();
        assert!(job.decide(Failure::new(408, "too late")) && !job.decide(Failure::new(499, "cancelled")));
        assert_eq!(body(job.finish(V02, Ok(Frames::new())).unwrap()), Frames::from(["408 too late"]));
    }
}
