//! Events as log lines, at a bounded rate: what a peer does can cost a line, but never a line a packet.

use std::time::{Duration, Instant};

use tracing::{debug, info, warn};

use crate::event::{Departure, Event};

/// Writes events to the log until a second's share is used up, then counts.
#[derive(Debug, Default)]
pub(super) struct Report {
    second: Option<Instant>,
    lines: u32,
    suppressed: u64,
}

impl Report {
    pub(super) fn event(&mut self, event: &Event) {
        if self.is_full() {
            self.suppressed += 1;
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
            Event::Fault { peer, fault } => debug!("{peer}: {fault}"),
        }
    }

    /// Says how much was not said, once its second is over.
    pub(super) fn flush(&mut self) {
        if self.suppressed > 0 && self.second.is_some_and(|start| start.elapsed() >= WINDOW) {
            warn!("{} more events were not logged", self.suppressed);
            *self = Self::default();
        }
    }

    fn is_full(&mut self) -> bool {
        let now = Instant::now();
        if self.second.is_none_or(|start| now.duration_since(start) >= WINDOW) {
            self.flush();
            *self = Self { second: Some(now), lines: 0, suppressed: self.suppressed };
        }
        self.lines += 1;
        self.lines > LINES_PER_WINDOW_MAX
    }
}

const WINDOW: Duration = Duration::from_secs(1);
const LINES_PER_WINDOW_MAX: u32 = 50;

#[cfg(test)]
mod tests {
    use protocol::{PeerFault, PeerId};

    use super::*;

    #[test]
    fn lines_per_window_max_is_met_and_the_rest_is_counted() {
        let mut report = Report::default();
        for number in 0..u64::from(LINES_PER_WINDOW_MAX) + 1000 {
            report.event(&Event::Fault { peer: PeerId(number), fault: PeerFault::Header });
        }
        // The clock may cross into a second window meanwhile, never into a third.
        assert!(report.suppressed >= 1000 - u64::from(LINES_PER_WINDOW_MAX));
    }
}
