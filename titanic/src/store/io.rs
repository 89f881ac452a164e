//! What may happen to a store, what it wants done, and what it counts.

use std::io;

use protocol::{Frames, ServiceName};

use super::calls::{CallId, Outcome};
use super::event::Event;
use super::services::Verb;
use crate::log::{Id, Job, Stopped};

/// Whose question it is; the driver numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// What may happen to a store.
#[derive(Debug)]
pub enum Input {
    /// One of its services is asked.
    Asked {
        /// Whom to tell.
        ticket: Ticket,
        /// Which service.
        verb: Verb,
        /// The id that the client gave its request (MDP 0.3).
        chosen: Option<Id>,
        /// An id that nobody can guess, for a request without one.
        fresh: Id,
        /// The frames of the question.
        body: Frames,
    },
    /// Nobody waits for this answer any more.
    Withdrawn(Ticket),
    /// The flush of this job, begun after it was handed out, has answered well.
    Flushed(Job),
    /// A flush has failed.
    FlushFailed(io::ErrorKind),
    /// A call has ended.
    Ended(CallId, Outcome),
    /// What the broker says about a service: whether it is served, if it says.
    Looked(ServiceName, Option<bool>),
    /// All that was told has left: more may be told ([`Config::told_bytes_max`](super::Config::told_bytes_max)).
    Relieved,
    /// The broker is about to leave: whoever waits for an answer is told to ask again.
    Hurry,
    /// It is to end soon: nobody waits for answers any more, nothing is called any more.
    Quiet,
    /// Nobody asks any more: it ends when all is told.
    End,
}

/// What a store wants done.
#[derive(Debug, PartialEq, Eq)]
pub enum Output {
    /// Answer a question.
    Tell(Ticket, Frames),
    /// Flush the region, and say how it went. There is one at a time.
    Flush(Job),
    /// Call a service: once, for as long as [`Config::call_timeout`](super::Config::call_timeout), under this id.
    Call {
        /// Which call.
        call: CallId,
        /// The request's own id, the same in every attempt.
        id: Id,
        /// Who is to answer.
        service: ServiceName,
        /// What is asked.
        body: Frames,
    },
    /// Nobody waits for this call any more.
    Abandon(CallId),
    /// Ask the broker whether anybody serves this.
    Look(ServiceName),
    /// Tell whoever watches.
    Event(Event),
    /// Nothing follows: it was to end, and all is told; or the disk failed.
    Finished(Result<(), Stopped>),
}

/// Totals since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Requests that were taken, each once.
    pub submitted: u64,
    /// Answers that were stored.
    pub answered: u64,
    /// Requests and answers that were closed.
    pub closed: u64,
    /// Requests that were given up.
    pub died: u64,
    /// Records that the log did not take.
    pub refused: u64,
    /// Calls of the real services.
    pub calls: u64,
    /// Flushes that were asked for.
    pub flushes: u64,
}
