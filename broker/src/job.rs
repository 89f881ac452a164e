//! A request on its way through the broker: waiting in a queue, or with a worker.

use std::ops::{Deref, DerefMut};

use bytes::Bytes;
use protocol::mdp::v03::Idempotency;
use protocol::{Frames, Instant, PeerId};

use crate::account::InFlight;
use crate::clients::Client;
use crate::known::Ticket;
use crate::request::Request;
use crate::service::ServiceId;

/// One attempt at one request. The worker sees it as the client address and returns it with each reply, so that an
/// answer can never reach a request that it was not given for. Numbers are never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub u64);

/// A request with everything that is needed to answer it. Boxed: it goes from hand to hand many times, and is large.
#[derive(Debug)]
pub(crate) struct Job(Box<Option<Facts>>);

/// Boxes of requests that have ended, for others. They come and go by the thousand in the order of a queue, which is
/// what an allocator is slowest at.
#[derive(Debug, Default)]
pub(crate) struct Boxes(Vec<Job>);

/// What there is to know of a request.
#[derive(Debug)]
pub(crate) struct Facts {
    /// The present attempt; changes with each.
    pub(crate) id: JobId,
    pub(crate) client: Origin,
    /// Its place among the requests that are known by their ids; `None` where it has none, and once it has ended.
    pub(crate) ticket: Option<Ticket>,
    pub(crate) request: Request,
    pub(crate) reply: ReplyState,
    /// How many parts of the answer its present worker has sent.
    pub(crate) parts: u32,
    /// When it was accepted.
    pub(crate) accepted: Instant,
    /// Its service, while it waits or a worker has it.
    pub(crate) place: ServiceId,
    /// When it is given up if no worker has taken it.
    pub(crate) expires: Instant,
    /// How many workers have been given it.
    pub(crate) attempts: u32,
    pub(crate) byte_count: usize,
    /// What the message to its present worker takes.
    pub(crate) sent_bytes: usize,
    /// Counts it as its client's while it lives; nobody reads it.
    pub(crate) _in_flight: Option<InFlight>,
}

/// Where answers go.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    /// The connection that asked.
    pub(crate) peer: PeerId,
    /// Whose connection that is. A client that comes back under its identity is still answered.
    pub(crate) client: Client,
}

/// The way that the parts of an answer take: a connection, and how many messages it had not taken before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Course {
    pub(crate) peer: PeerId,
    pub(crate) missed: u64,
}

/// How far the answer has got.
#[derive(Debug)]
pub(crate) enum ReplyState {
    /// Nothing has left for the client: another worker may start anew.
    Untouched,
    /// Parts have gone out; nobody else may begin again from the start, and the rest goes the same way or nowhere.
    Streaming(Option<Course>),
    /// Parts are kept for a client that takes one reply only. Boxed, as hardly any answer comes in parts.
    Gathering(Box<Frames>),
    /// The request has failed already; what its worker still says is dropped.
    Over,
}

impl Boxes {
    /// A job of these facts.
    pub(crate) fn fill(&mut self, facts: Facts) -> Job {
        let mut job = self.0.pop().unwrap_or_else(|| Job(Box::default()));
        *job.0 = Some(facts);
        job
    }

    /// Drops a job and keeps its box, if that is not one too many.
    pub(crate) fn keep(&mut self, mut job: Job) {
        *job.0 = None;
        if self.0.len() < BOXES_MAX {
            self.0.push(job);
        }
    }
}

impl Deref for Job {
    type Target = Facts;

    #[inline]
    fn deref(&self) -> &Facts {
        self.0.as_ref().as_ref().expect(FILLED)
    }
}

impl DerefMut for Job {
    #[inline]
    fn deref_mut(&mut self) -> &mut Facts {
        self.0.as_mut().as_mut().expect(FILLED)
    }
}

impl Facts {
    /// Whether its client has been told the end.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.reply, ReplyState::Over)
    }

    /// Whether it must never be given to a second worker.
    pub(crate) fn runs_once(&self) -> bool {
        self.request.idempotency == Idempotency::Once
    }
}

impl JobId {
    /// The client address that stands for this attempt.
    pub(crate) fn to_address(self) -> Bytes {
        Bytes::copy_from_slice(&self.0.to_be_bytes())
    }

    /// The attempt that a client address stands for; `None` if this broker cannot have given it out.
    pub(crate) fn from_address(address: &[u8]) -> Option<Self> {
        address.try_into().ok().map(|bytes| Self(u64::from_be_bytes(bytes)))
    }
}

const FILLED: &str = "invariant: the box of a job is full";

/// Boxes that are kept: some hundred kilobytes.
const BOXES_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_max_is_met_and_not_passed() {
        let mut boxes = Boxes::default();
        (0..BOXES_MAX + 10).for_each(|_| boxes.keep(Job(Box::default())));
        assert_eq!(boxes.0.len(), BOXES_MAX);
        assert!(size_of::<Facts>() * BOXES_MAX < 400 << 10, "{} octets each", size_of::<Facts>());
    }
}
