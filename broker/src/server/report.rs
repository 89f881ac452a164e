//! Events as log lines, at a bounded rate: what a peer does can cost a line, but never a line a packet.

use protocol::PeerId;
use runtime::trace::{self, Trace};
use tracing::field::{Empty, display};
use tracing::{Level, debug, info, warn};

use crate::event::{Departure, Ended, Event};
use crate::lines::Lines;

/// Writes events to the log until a second's share is used up, then counts.
#[derive(Debug)]
pub(super) struct Report {
    lines: Lines,
}

impl Default for Report {
    fn default() -> Self {
        Self { lines: Lines::new(LINES_PER_SECOND_MAX) }
    }
}

impl Report {
    pub(super) fn event(&mut self, event: &Event) {
        // Whoever wants to hear of each request hears of each.
        if !matches!(event, Event::RequestEnded(_)) && !self.lines.may_write() {
            return;
        }
        match event {
            Event::WorkerReady { peer, service } => info!("{peer} offers {service}"),
            Event::WorkerLeft { peer, service, departure, unanswered } => match departure {
                Departure::Expired | Departure::Expelled | Departure::Stalled => {
                    warn!("worker {peer} of {service} is gone ({}), unanswered: {unanswered}", departure.name());
                }
                Departure::Left | Departure::Closed | Departure::Drained | Departure::Shutdown => {
                    info!("worker {peer} of {service} is gone ({}), unanswered: {unanswered}", departure.name());
                }
            },
            Event::Requeued { service, attempts, .. } => {
                info!("request for {service} requeued after attempt {attempts}")
            }
            Event::RequestFailed { client, service, end } => {
                warn!("request of {client} for {service} failed: {}", end.status());
            }
            Event::RequestDenied { client, name, service, end } => {
                warn!("request of {} for {service} refused: {}", who(*client, name), end.status());
            }
            Event::OfferDenied { peer, name, service } => warn!("{} may not offer {service}", who(*peer, name)),
            Event::TooManyConnections { peer, name } => warn!("{} is one connection too many", who(*peer, name)),
            Event::CutOff { peer, name } => warn!("{} is cut off: it is not allowed any more", who(*peer, name)),
            Event::Draining { service: Some(service) } => info!("{service} drains: nothing new is taken"),
            Event::Draining { service: None } => info!("draining: nothing new is taken"),
            Event::Fault { peer, fault } => debug!("{peer}: {fault}"),
            Event::RequestEnded(ended) => request_ended(ended),
        }
    }

    /// Says how much was not said, once its second is over.
    pub(super) fn flush(&mut self) {
        if let Some(count) = self.lines.take_suppressed() {
            warn!("{count} more events were not logged");
        }
    }
}

/// Whether somebody listens to the spans of requests.
pub(super) fn tells_requests() -> bool {
    tracing::enabled!(target: TARGET, Level::DEBUG)
}

/// A request as a span of the trace that it is a part of, and a line in it. The span is as long as it takes to write it
/// down: how long the request was here is its field `took_us`.
fn request_ended(ended: &Ended) {
    let span = tracing::debug_span!(
        target: TARGET,
        "broker",
        service = %ended.service,
        id = Empty,
        attempts = ended.attempts,
        status = ended.status.code(),
        took_us = u64::try_from(ended.took.as_micros()).unwrap_or(u64::MAX),
        trace_id = Empty,
        span_id = Empty,
        parent_id = Empty,
    );
    if let Some(id) = ended.id {
        span.record("id", display(id));
    }
    // One that is no part of anything does not become a trace of its own.
    if let Some(context) = ended.trace {
        trace::begin(&span, Some(Trace { context, state: None }));
    }
    let _entered = span.enter();
    debug!(target: TARGET, "request of {} ended: {}", ended.client, ended.status);
}

/// Of all that is told of single requests, so that one filter turns it on.
const TARGET: &str = "broker::request";

/// A connection, and what the operator calls its peer if anybody has asked.
fn who(peer: PeerId, name: &str) -> String {
    if name.is_empty() { peer.to_string() } else { format!("{peer} ({name})") }
}

const LINES_PER_SECOND_MAX: u32 = 50;
