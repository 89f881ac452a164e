//! The span of a request, as `tracing` knows it: opened when the request is under way, closed when nobody waits for it
//! any more.
//!
//! | field | what it is |
//! |---|---|
//! | `service`, `id` | who was asked, and the request's id in MDP 0.3, of its first run |
//! | `attempt` | how often it was tried |
//! | `status` | 200, the status of an error, 499 for one that was dropped; absent for silence |
//! | `error` | why there is no answer, in words |
//! | `trace_id`, `span_id`, `parent_id` | its place in the trace, which the worker's span is a child of |

use protocol::mdp::v03::Status;
use protocol::{RequestId, ServiceName};
use runtime::trace::{self, Trace};
use tracing::field::{Empty, display};

use crate::error::Error;

/// The span of one request.
#[derive(Clone, Debug)]
pub(crate) struct Span(tracing::Span);

impl Span {
    /// Opens it; also returns what the worker is to be told. `parent` is what the caller says that it is a part of,
    /// else the handler that it is made in says so.
    pub(crate) fn open(service: &ServiceName, id: RequestId, parent: Option<Trace>) -> (Self, Option<Trace>) {
        let span = tracing::debug_span!(
            "request",
            otel.kind = "client",
            %service,
            id = Empty,
            attempt = 1_u8,
            status = Empty,
            error = Empty,
            trace_id = Empty,
            span_id = Empty,
            parent_id = Empty,
        );
        if !span.is_disabled() {
            span.record("id", display(id));
        }
        let sent = trace::begin(&span, parent.or_else(trace::current));
        (Self(span), sent)
    }

    /// It is tried once more.
    pub(crate) fn attempt(&self, attempt: u8) {
        self.0.record("attempt", attempt);
    }

    fn end(&self, outcome: Result<(), &Error>) {
        if self.0.is_disabled() {
            return;
        }
        let status = match outcome {
            Ok(()) => Some(Status::OK),
            Err(error) => {
                self.0.record("error", display(error));
                error.status()
            }
        };
        if let Some(status) = status {
            self.0.record("status", status.code());
        }
    }
}

/// The span of a request that somebody waits for. Dropped before the end, the request was given up.
#[derive(Debug)]
pub(crate) struct Watched {
    span: Span,
    over: bool,
}

impl Watched {
    pub(crate) fn new(span: Span) -> Self {
        Self { span, over: false }
    }

    /// The caller has heard the end.
    pub(crate) fn end(&mut self, outcome: Result<(), &Error>) {
        self.over = true;
        self.span.end(outcome);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if !self.over {
            self.span.0.record("status", Status::CANCELLED.code());
        }
    }
}
