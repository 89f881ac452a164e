//! A request in work: where its answer goes, and what has been answered so far.
//!
//! ```text
//!   REQUEST ──► Job ──parts──► PARTIAL*, FINAL                  (a dialect that streams)
//!                    ──parts──► joined ──► one REPLY            (0.1, which has no PARTIAL)
//! ```

use bytes::Bytes;
use protocol::Frames;
use protocol::limits::{FRAMES_PER_MESSAGE_MAX, MESSAGE_BYTES_MAX};
use protocol::mdp::Dialect;
use protocol::mdp::client::Part;
use protocol::mutants::{self, Mutant};

use crate::status;

/// A job's number within its session, never given twice. The broker's address would not do: a broker may use one
/// address for every request of a client, and a job may outlive the connection it came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub u64);

/// A running job.
#[derive(Debug)]
pub(crate) struct Job {
    /// The broker's word for the request; `None` once the connection is lost, so that nothing can be answered there.
    address: Option<Bytes>,
    /// The parts so far, where the dialect wants one reply.
    joined: Frames,
    /// Whether the joined parts have passed a limit, and `joined` is the error that says so.
    overflowed: bool,
}

impl Job {
    pub(crate) fn new(address: Bytes) -> Self {
        Self { address: Some(address), joined: Frames::new(), overflowed: false }
    }

    /// The connection is lost: its broker will give the job to somebody else.
    pub(crate) fn orphan(&mut self) {
        self.address = self.address.take().filter(|_| mutants::on(Mutant::AnswerOnNewConnection));
        self.joined = Frames::new();
    }

    pub(crate) fn is_orphan(&self) -> bool {
        self.address.is_none()
    }

    /// Takes a part of the answer; returns what is to be sent now, and where to.
    pub(crate) fn answer(&mut self, dialect: Dialect, part: Part, body: Frames) -> Option<(Bytes, Frames)> {
        let address = self.address.clone()?;
        if dialect.streams() {
            return Some((address, within_limits(body)));
        }
        self.join(body);
        match part {
            Part::Partial => None,
            Part::Final => Some((address, within_limits(std::mem::take(&mut self.joined)))),
        }
    }

    fn join(&mut self, body: Frames) {
        if self.overflowed {
            return;
        }
        self.joined.extend(body);
        if exceeds_limits(&self.joined) {
            self.overflowed = true;
            self.joined = within_limits(std::mem::take(&mut self.joined));
        }
    }
}

/// A body as it can travel: MDP wants one frame at least, and an oversized one would never leave the socket, so that
/// its client would wait in vain.
fn within_limits(mut body: Frames) -> Frames {
    if body.is_empty() {
        body.push(Bytes::new());
    }
    if exceeds_limits(&body) {
        return status::failed(format_args!(
            "reply of {} frames and {} bytes (allowed: {BODY_FRAMES_MAX} and {BODY_BYTES_MAX})",
            body.len(),
            body.byte_count()
        ));
    }
    body
}

fn exceeds_limits(body: &Frames) -> bool {
    body.len() > BODY_FRAMES_MAX || body.byte_count() > BODY_BYTES_MAX
}

/// Frames and bytes of a body: the message's, less room for delimiter, header, command, address, its delimiter, and
/// what a broker puts in front of it for the client.
const BODY_FRAMES_MAX: usize = FRAMES_PER_MESSAGE_MAX - 32;
const BODY_BYTES_MAX: usize = MESSAGE_BYTES_MAX - (16 << 10);

#[cfg(test)]
mod tests {
    use super::*;

    fn job() -> Job {
        Job::new(Bytes::from_static(b"client"))
    }

    fn answered(dialect: Dialect, part: Part, body: Frames) -> Option<Frames> {
        job().answer(dialect, part, body).map(|(_, body)| body)
    }

    #[test]
    fn an_empty_answer_becomes_one_empty_frame() {
        assert_eq!(answered(Dialect::V02, Part::Final, Frames::new()), Some(Frames::from([""])));
        assert_eq!(answered(Dialect::V01, Part::Final, Frames::new()), Some(Frames::from([""])));
    }

    #[test]
    fn body_limits_are_met_and_not_passed() {
        let frames = |count| Frames::from(vec![Bytes::from_static(b"x"); count]);
        assert_eq!(answered(Dialect::V02, Part::Final, frames(BODY_FRAMES_MAX)), Some(frames(BODY_FRAMES_MAX)));
        let refusal = answered(Dialect::V02, Part::Final, frames(BODY_FRAMES_MAX + 1)).unwrap();
        assert!(refusal.first().unwrap().starts_with(b"500 reply of 993 frames"), "{refusal:?}");

        let bytes = |count| Frames::from([Bytes::from(vec![0; count])]);
        assert_eq!(answered(Dialect::V02, Part::Final, bytes(BODY_BYTES_MAX)), Some(bytes(BODY_BYTES_MAX)));
        let refusal = answered(Dialect::V02, Part::Final, bytes(BODY_BYTES_MAX + 1)).unwrap();
        assert!(refusal.first().unwrap().starts_with(b"500 reply of 1 frames"), "{refusal:?}");
    }

    #[test]
    fn joined_parts_beyond_the_limit_hold_no_memory_and_end_as_an_error() {
        let mut job = job();
        for _ in 0..3 {
            let quarter = Frames::from([Bytes::from(vec![0; BODY_BYTES_MAX / 2])]);
            assert_eq!(job.answer(Dialect::V01, Part::Partial, quarter), None);
        }
        assert!(job.joined.byte_count() < 1000);
        let (_, body) = job.answer(Dialect::V01, Part::Final, Frames::from(["end"])).unwrap();
        assert_eq!(body.len(), 1);
        assert!(body.first().unwrap().starts_with(b"500 "), "{body:?}");
    }
}
