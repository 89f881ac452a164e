//! What a task does its work for: the place in a trace that travels from a handler to the requests which it makes, and
//! the spans of `tracing` that stand for it.
//!
//! ```text
//!   Client::request ── span, begin() ──TRACEPARENT──► broker ──► worker: span, begin() ── within(handler)
//!                          ▲                                                                  │
//!                          └────────────────────────── current() ◄────────────────────────────┘
//! ```
//!
//! Where nobody listens to a span nothing is made: a place that came from outside is passed on as it is.

use std::future::Future;
use std::num::{NonZeroU64, NonZeroU128};
use std::sync::Arc;

use protocol::mdp::v03::Options;
use protocol::trace::TraceContext;
use tracing::Span;
use tracing::field::display;

/// A place in a trace, and what its vendors add.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// Where.
    pub context: TraceContext,
    /// The value of `tracestate`, which is handed on unread.
    pub state: Option<Arc<str>>,
}

tokio::task_local! {
    static CURRENT: Trace;
}

impl Trace {
    /// Reads `traceparent` and `tracestate`. Without the former the latter means nothing.
    pub fn read(traceparent: Option<&str>, tracestate: Option<&str>) -> Option<Self> {
        Some(Self { context: TraceContext::parse(traceparent?)?, state: tracestate.map(Arc::from) })
    }

    /// The options of MDP 0.3 that say it. A `tracestate` that is too long is left out, as W3C allows.
    pub fn options(&self) -> Options {
        let traceparent = self.context.to_string();
        let list = |state| Options::build().trace(&traceparent, state).finish();
        list(self.state.as_deref()).or_else(|_| list(None)).unwrap_or_else(|_| Options::none())
    }
}

/// What the present task works for, if that was said.
pub fn current() -> Option<Trace> {
    CURRENT.try_with(Clone::clone).ok()
}

/// Does `work` for `trace`: [`current`] says so in it. Tasks that it spawns are told by whoever spawns them.
pub async fn within<F: Future>(trace: Option<Trace>, work: F) -> F::Output {
    match trace {
        Some(trace) => CURRENT.scope(trace, work).await,
        None => work.await,
    }
}

/// Finds the place that `span` has in the trace of `parent`, or in a new one, and writes it into the span's fields
/// `trace_id`, `span_id` and `parent_id`. Where nobody listens to the span, whoever is asked is a child of `parent`.
pub fn begin(span: &Span, parent: Option<Trace>) -> Option<Trace> {
    if span.is_disabled() {
        return parent;
    }
    let number = NonZeroU64::new(fastrand::u64(1..))?;
    let (context, state) = match parent {
        Some(Trace { context, state }) => {
            span.record("parent_id", display(format_args!("{:016x}", context.span)));
            (context.child(number), state)
        }
        None => (TraceContext::root(NonZeroU128::new(fastrand::u128(1..))?, number), None),
    };
    span.record("trace_id", display(format_args!("{:032x}", context.trace)));
    span.record("span_id", display(format_args!("{:016x}", context.span)));
    Some(Trace { context, state })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn where_nobody_listens_a_place_is_passed_on_and_none_is_made() {
        let parent = Trace::read(Some(PARENT), Some("a=1"));
        assert!(parent.is_some());
        assert_eq!(begin(&Span::none(), parent.clone()), parent);
        assert_eq!(begin(&Span::none(), None), None);
    }

    #[test]
    fn a_tracestate_that_is_too_long_is_left_out_and_the_place_is_not() {
        let long = format!("a={}", "1".repeat(2000));
        let options = Trace::read(Some(PARENT), Some(&long)).unwrap().options();
        assert_eq!((options.traceparent(), options.tracestate()), (Some(PARENT), None));
        let options = Trace::read(Some(PARENT), Some("a=1")).unwrap().options();
        assert_eq!((options.traceparent(), options.tracestate()), (Some(PARENT), Some("a=1")));
        assert_eq!(Trace::read(Some("nonsense"), Some("a=1")), None);
    }

    #[tokio::test]
    async fn work_knows_what_it_is_done_for_and_what_follows_it_does_not() {
        let trace = Trace::read(Some(PARENT), None);
        assert_eq!(within(trace.clone(), async { current() }).await, trace);
        assert_eq!(current(), None);
        assert_eq!(within(None, async { current() }).await, None);
    }
}
