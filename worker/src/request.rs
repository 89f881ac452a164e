//! What a handler gets and what it gives.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::Stream;
use protocol::mdp::v03::Options;
use protocol::{Frames, RequestId, ServiceName};

use crate::cancel::{Cancellation, Signal};
use crate::job::Assignment;

/// A request, as a handler sees it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Request {
    /// The service that was asked.
    pub service: ServiceName,
    /// One frame or more.
    pub body: Frames,
    /// The client's number of its request, the same in every attempt and retry: by it a handler that must not do a
    /// thing twice knows what it has done. `None` for clients and brokers of MDP 0.1 and 0.2.
    pub id: Option<RequestId>,
    /// 1 for the first worker that is given the request, and so on; 255 stays 255. A broker of 0.1 or 0.2 does not say,
    /// and it is 1.
    pub attempt: u8,
    /// When nobody waits for the answer any more, if there is such a time. The handler is stopped then.
    pub deadline: Option<Instant>,
    /// What the client passed on beside the body, unread by the broker.
    pub options: Options,
    signal: Arc<Signal>,
}

impl Request {
    /// A request of nobody, for the test of a handler.
    pub fn new(service: ServiceName, body: impl Into<Frames>) -> Self {
        let (id, options, signal) = (None, Options::none(), Arc::default());
        Self { service, body: body.into(), id, attempt: 1, deadline: None, options, signal }
    }

    pub(crate) fn assigned(assignment: Assignment, signal: Arc<Signal>) -> Self {
        let Assignment { service, id, attempt, remaining, options, body } = assignment;
        let deadline = remaining.and_then(|remaining| Instant::now().checked_add(remaining));
        Self { service, body, id, attempt, deadline, options, signal }
    }

    /// How long somebody still waits for the answer; `None` when there is no end.
    pub fn remaining(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    /// Asks to be told when nobody waits for the answer any more, in place of being cut off. Ask before the first
    /// `await`: who has not asked is dropped at the `await` that it stands at.
    pub fn cancellation(&self) -> Cancellation {
        self.signal.watch()
    }

    /// W3C Trace Context of the caller, `traceparent`. Requests that the handler makes with our client in its own task
    /// are parts of the same trace without further ado; `None` when there is none that can be read.
    pub fn traceparent(&self) -> Option<&str> {
        self.options.traceparent()
    }

    /// W3C Trace Context of the caller, `tracestate`.
    pub fn tracestate(&self) -> Option<&str> {
        self.options.tracestate()
    }

    pub(crate) fn signal(&self) -> Arc<Signal> {
        Arc::clone(&self.signal)
    }
}

/// A handler's answer: one body, or a stream of them. [`Frames`] become one by `into()`.
#[must_use]
pub enum Reply {
    /// The whole answer. Nothing counts as one empty frame.
    Whole(Frames),
    /// An answer in parts; made by [`Reply::stream`] and [`Reply::stream_then`].
    Parts(Parts),
}

/// A stream of bodies, and what follows it.
pub struct Parts {
    pub(crate) stream: Pin<Box<dyn Stream<Item = Frames> + Send>>,
    pub(crate) last: Option<Frames>,
}

impl Reply {
    /// Each item becomes a PARTIAL and the last one the FINAL. Since nobody knows which is the last before the stream
    /// ends, an item leaves when the next one is there; [`stream_then`](Self::stream_then) is for those who cannot
    /// wait.
    ///
    /// The stream is polled no faster than the broker takes its items. A worker that speaks 0.1, which has no PARTIAL,
    /// joins the items into one reply, up to the size of one message; a larger one becomes an error reply.
    pub fn stream(parts: impl Stream<Item = Frames> + Send + 'static) -> Self {
        Self::Parts(Parts { stream: Box::pin(parts), last: None })
    }

    /// Each item becomes a PARTIAL and leaves at once; `last` follows as the FINAL.
    pub fn stream_then(parts: impl Stream<Item = Frames> + Send + 'static, last: impl Into<Frames>) -> Self {
        Self::Parts(Parts { stream: Box::pin(parts), last: Some(last.into()) })
    }
}

impl<F: Into<Frames>> From<F> for Reply {
    fn from(frames: F) -> Self {
        Self::Whole(frames.into())
    }
}

impl std::fmt::Debug for Reply {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Whole(frames) => formatter.debug_tuple("Whole").field(frames).finish(),
            Self::Parts(parts) => formatter.debug_tuple("Parts").field(parts).finish(),
        }
    }
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Parts").field("last", &self.last).finish_non_exhaustive()
    }
}
