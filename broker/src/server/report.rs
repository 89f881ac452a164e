//! Events as log lines, at a bounded rate: what a peer does can cost a line, but never a line a packet.

use protocol::PeerId;
use tracing::{debug, info, warn};

use crate::event::{Departure, Event};
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
        if !self.lines.may_write() {
            return;
        }
        match event {
            Event::WorkerReady { peer, service } => info!("{peer} offers {service}"),
            Event::WorkerLeft { peer, service, departure, unanswered } => match departure {
                Departure::Expired | Departure::Expelled | Departure::Stalled => {
                    warn!("worker {peer} of {service} is gone ({}), unanswered: {unanswered}", departure.name());
                }
                Departure::Left | Departure::Closed | Departure::Shutdown => {
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
            Event::Fault { peer, fault } => debug!("{peer}: {fault}"),
        }
    }

    /// Says how much was not said, once its second is over.
    pub(super) fn flush(&mut self) {
        if let Some(count) = self.lines.take_suppressed() {
            warn!("{count} more events were not logged");
        }
    }
}

/// A connection, and what the operator calls its peer if anybody has asked.
fn who(peer: PeerId, name: &str) -> String {
    if name.is_empty() { peer.to_string() } else { format!("{peer} ({name})") }
}

const LINES_PER_SECOND_MAX: u32 = 50;
