//! What is shown of a broker: its state now, and rates since the look before.

use std::time::Duration;

use serde::Serialize;

use super::sample::{Info, Sample, Service, Stats};
use crate::commands::per_second;

/// A broker, as it is shown.
#[derive(Debug, Default, Serialize)]
pub(super) struct View {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) uptime_ms: u64,
    pub(super) draining: bool,
    pub(super) connections: u64,
    pub(super) workers: u64,
    pub(super) queued: u64,
    pub(super) in_flight: u64,
    pub(super) requests_per_second: f64,
    pub(super) services: Vec<Row>,
    /// Services that are not among them.
    pub(super) more: u64,
}

/// One service.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct Row {
    pub(super) service: String,
    pub(super) draining: bool,
    pub(super) workers: u64,
    pub(super) waiting: u64,
    pub(super) in_flight: u64,
    pub(super) queued: u64,
    pub(super) oldest_ms: Option<u64>,
    pub(super) replies_per_second: f64,
    pub(super) errors_per_second: f64,
    pub(super) p50_us: Option<u64>,
    pub(super) p99_us: Option<u64>,
    pub(super) p999_us: Option<u64>,
    /// Status, reason and age of the last error, for people; empty if there was none.
    pub(super) last_error: String,
}

impl View {
    /// What has changed from one look to the next, `elapsed` later.
    pub(super) fn between(before: &Sample, now: &Sample, elapsed: Duration) -> Self {
        let Info { name, version, uptime_ms, draining, connections, workers, queued, in_flight, .. } = now.info.clone();
        // A broker that was restarted meanwhile counts from 0 again.
        let restarted = uptime_ms < before.info.uptime_ms;
        let rate = |before: u64, now: u64| per_second(now.saturating_sub(if restarted { 0 } else { before }), elapsed);
        let names = now.stats.keys().chain(now.services.keys().filter(|name| !now.stats.contains_key(*name)));
        let row = |name: &String| {
            let stats = now.stats.get(name).cloned().unwrap_or_default();
            let old = before.stats.get(name).cloned().unwrap_or_default();
            let service = now.services.get(name).cloned().unwrap_or_default();
            let rates = [rate(old.replies, stats.replies), rate(old.errors, stats.errors)];
            Row::new(name, &service, stats, rates)
        };
        Self {
            name: name.unwrap_or_default(),
            version,
            uptime_ms,
            draining,
            connections,
            workers,
            queued,
            in_flight,
            requests_per_second: rate(before.info.requests, now.info.requests),
            services: names.map(row).collect(),
            more: now.more,
        }
    }
}

impl Row {
    fn new(name: &str, service: &Service, stats: Stats, [replies_per_second, errors_per_second]: [f64; 2]) -> Self {
        let last_error = stats.last_error.map_or_else(String::new, |error| {
            format!("{} {} ({} ago)", error.status, error.reason, duration(error.age_ms))
        });
        Self {
            service: name.to_owned(),
            draining: service.draining,
            workers: service.workers,
            waiting: service.waiting,
            in_flight: stats.in_flight,
            queued: stats.queued,
            oldest_ms: stats.oldest_ms,
            replies_per_second,
            errors_per_second,
            p50_us: stats.p50_us,
            p99_us: stats.p99_us,
            p999_us: stats.p999_us,
            last_error,
        }
    }
}

/// Milliseconds in the two largest units that matter, such as `3h 12m` or `450ms`.
pub(in crate::commands) fn duration(millis: u64) -> String {
    let seconds = millis / 1000;
    match seconds {
        0 => format!("{millis}ms"),
        1..60 => format!("{seconds}s"),
        60..3600 => format!("{}m {}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h {}m", seconds / 3600, seconds / 60 % 60),
        86_400.. => format!("{}d {}h", seconds / 86_400, seconds / 3600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn sample(uptime_ms: u64, requests: u64, replies: u64) -> Sample {
        let stats = Stats { service: "echo".into(), replies, ..Stats::default() };
        Sample {
            info: Info { uptime_ms, requests, ..Info::default() },
            services: BTreeMap::from([("idle".into(), Service { workers: 1, ..Service::default() })]),
            stats: BTreeMap::from([("echo".into(), stats)]),
            more: 0,
        }
    }

    #[test]
    fn rates_are_differences_over_the_time_between_two_looks() {
        let view = View::between(&sample(1000, 10, 5), &sample(3000, 30, 15), Duration::from_secs(2));
        assert!((view.requests_per_second - 10.0).abs() < 1e-9);
        assert_eq!(view.services.len(), 2, "one with statistics, one with a worker only");
        assert!((view.services[0].replies_per_second - 5.0).abs() < 1e-9);
    }

    #[test]
    fn a_restarted_broker_has_no_negative_rates() {
        let view = View::between(&sample(90_000, 1000, 900), &sample(500, 10, 5), Duration::from_secs(1));
        assert!((view.requests_per_second - 10.0).abs() < 1e-9);
        assert!((view.services[0].replies_per_second - 5.0).abs() < 1e-9);
    }

    #[test]
    fn durations_have_two_units() {
        let texts = [450, 59_000, 61_000, 11_520_000, 90_000_000].map(duration);
        assert_eq!(texts, ["450ms", "59s", "1m 1s", "3h 12m", "1d 1h"]);
    }
}
