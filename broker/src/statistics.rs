//! What is known of each service: how many requests it had, how they ended, and how long that took.
//!
//! A broker may know 20,000 services, so a service that nobody uses costs two hundred bytes. How long requests take is
//! kept as two histograms, of this minute and of the one before, with two digits (1 %). Up to [`MEASURED_MAX`] services
//! have them (27 MB at the worst), and those that have been idle for both minutes give theirs up. Recording is an
//! addition in a table. What is known of a service outlives it for a while: an operator asks why it is gone.

use std::time::Duration;

use hdrhistogram::Histogram;
use protocol::mdp::v03::Status;
use protocol::trace::TraceContext;
use protocol::{Instant, ServiceName};

use crate::broker::Broker;
use crate::event::{Ended, Event, RequestEnd};
use crate::job::Job;
use crate::request::Form;
use crate::service::ServiceId;

/// What is known of one service.
#[derive(Debug, Default)]
pub(crate) struct Statistics {
    /// Accepted, or refused for another reason than a right or a limit of their client.
    pub(crate) requests: u64,
    /// Ended with a result.
    pub(crate) replies: u64,
    /// Ended otherwise.
    pub(crate) errors: u64,
    pub(crate) last_error: Option<LastError>,
    /// Requests that workers have.
    pub(crate) in_flight: usize,
    /// Whether it ever had a worker. A name that is only asked for is not remembered.
    pub(crate) was_served: bool,
    pub(crate) latency: Option<Box<Latency>>,
}

/// The last request that ended without a result.
#[derive(Debug)]
pub(crate) struct LastError {
    pub(crate) status: Status,
    /// Of a worker or of the broker; not longer than an option may be.
    pub(crate) reason: Box<str>,
    pub(crate) at: Instant,
}

/// How long requests took from accepted to FINAL, in microseconds.
#[derive(Debug)]
pub(crate) struct Latency {
    recent: Histogram<u32>,
    former: Histogram<u32>,
    /// When what is recent becomes what is former.
    turns_at: Instant,
}

impl Statistics {
    fn count_error(&mut self, at: Instant, status: Status, reason: &str) {
        self.errors += 1;
        self.last_error = Some(LastError { status, reason: reason.into(), at });
    }
}

impl Latency {
    pub(crate) fn new(now: Instant) -> Self {
        let empty = || {
            let mut histogram = Histogram::new(DIGITS).expect("2 digits are within 0 to 5");
            histogram.auto(true);
            histogram
        };
        Self { recent: empty(), former: empty(), turns_at: now + WINDOW }
    }

    pub(crate) fn record(&mut self, now: Instant, took: Duration) {
        self.turn(now);
        let micros = u64::try_from(took.min(TOOK_MAX).as_micros()).unwrap_or(u64::MAX);
        // It cannot fail: the histogram grows as far as the longest time needs.
        let _ = self.recent.record(micros);
    }

    /// The times within which half, 99 % and 99.9 % of the requests ended; `None` when there were none lately.
    pub(crate) fn percentiles(&mut self, now: Instant) -> Option<[u64; 3]> {
        self.turn(now);
        let mut both = self.recent.clone();
        // It cannot fail: both grow as far as they need.
        let _ = both.add(&self.former);
        (!both.is_empty()).then(|| [0.5, 0.99, 0.999].map(|quantile| both.value_at_quantile(quantile)))
    }

    /// Whether neither this minute nor the one before has seen a request.
    pub(crate) fn is_idle(&mut self, now: Instant) -> bool {
        self.turn(now);
        self.recent.is_empty() && self.former.is_empty()
    }

    fn turn(&mut self, now: Instant) {
        if now < self.turns_at {
            return;
        }
        std::mem::swap(&mut self.recent, &mut self.former);
        self.recent.reset();
        if now >= self.turns_at + WINDOW {
            self.former.reset();
        }
        self.turns_at = now + WINDOW;
    }
}

impl Broker {
    /// A request has been accepted.
    pub(crate) fn count_accepted(&mut self, id: ServiceId) {
        if let Some(service) = self.services.get_mut(id) {
            service.statistics.requests += 1;
        }
    }

    /// A request has been refused before it was in any queue. What its client may not do says nothing about the
    /// service, and a service that is not known is not made by a refusal.
    pub(crate) fn count_refused(&mut self, service: &ServiceName, end: RequestEnd) {
        let known = self.services.find(service).filter(|_| !end.is_denial());
        let Some(service) = known.and_then(|id| self.services.get_mut(id)) else { return };
        service.statistics.requests += 1;
        service.statistics.count_error(self.now, end.native_status(), end.reason());
    }

    /// An accepted request has ended, as its FINAL says.
    pub(crate) fn count_ended(&mut self, job: &Job, status: Status, reason: Option<&str>) {
        let now = self.now;
        self.services.record(job.place, now, now - job.accepted);
        if self.tells_requests {
            self.tell_ended(job, status);
        }
        let Some(service) = self.services.get_mut(job.place) else { return };
        match status.is_success() {
            true => service.statistics.replies += 1,
            false => service.statistics.count_error(now, status, reason.unwrap_or(status.words())),
        }
    }

    fn tell_ended(&mut self, job: &Job, status: Status) {
        let request = &job.request;
        self.tell(Event::RequestEnded(Box::new(Ended {
            client: job.client.peer,
            service: request.service.detached(),
            id: match request.form {
                Form::Native(id) => Some(id),
                Form::Old { .. } => None,
            },
            trace: request.passed_on.traceparent().and_then(TraceContext::parse),
            attempts: job.attempts,
            status,
            took: self.now - job.accepted,
        })));
    }
}

/// Services whose times are measured at once.
pub(crate) const MEASURED_MAX: usize = 1_000;
/// Services that are gone and still remembered.
pub(crate) const RETIRED_MAX: usize = 256;
/// How long a histogram is the recent one.
pub(crate) const WINDOW: Duration = Duration::from_secs(60);
/// Longer times are this long; it bounds a histogram to 13 KB.
const TOOK_MAX: Duration = Duration::from_secs(60 * 60);
const DIGITS: u8 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::from_millis(seconds * 1000)
    }

    #[test]
    fn percentiles_are_those_of_this_minute_and_the_one_before() {
        let mut latency = Latency::new(at(0));
        for millis in 1..=1000 {
            latency.record(at(10), Duration::from_millis(millis));
        }
        let close = |found: Option<[u64; 3]>, expected: [u64; 3]| {
            let found = found.expect("there were requests");
            for (found, expected) in found.into_iter().zip(expected) {
                assert!(found.abs_diff(expected) * 100 <= expected, "{found} and not {expected}");
            }
        };
        close(latency.percentiles(at(59)), [500_000, 990_000, 999_000]);
        latency.record(at(61), Duration::from_micros(7));
        close(latency.percentiles(at(61)), [500_000, 990_000, 999_000]);
        close(latency.percentiles(at(121)), [7, 7, 7]);
        assert_eq!(latency.percentiles(at(181)), None);
        assert!(latency.is_idle(at(181)));
    }

    #[test]
    fn a_silence_of_both_minutes_forgets_everything_at_once() {
        let mut latency = Latency::new(at(0));
        latency.record(at(1), Duration::from_secs(1));
        assert!(!latency.is_idle(at(119)), "it may be the former minute's");
        let mut latency = Latency::new(at(0));
        latency.record(at(1), Duration::from_secs(1));
        assert_eq!(latency.percentiles(at(120)), None);
    }

    #[test]
    fn times_beyond_the_longest_do_not_make_a_histogram_grow() {
        let mut latency = Latency::new(at(0));
        latency.record(at(1), Duration::MAX);
        latency.record(at(1), TOOK_MAX);
        let counters = latency.recent.distinct_values();
        assert!(counters * size_of::<u32>() <= 13 << 10, "{counters} counters");
        let hour = latency.percentiles(at(1)).unwrap()[0];
        assert!((3_600_000_000..3_700_000_000).contains(&hour), "{hour}");
    }
}
