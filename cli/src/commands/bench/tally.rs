//! What callers have seen, and how it is told.

use std::collections::BTreeMap;
use std::time::Duration;

use client::Error;
use hdrhistogram::Histogram;
use serde::Serialize;

use crate::commands::per_second;

/// What one caller has seen, or several together.
pub(in crate::commands) struct Tally {
    /// Microseconds from asking to the whole answer.
    latency: Histogram<u64>,
    /// How many requests failed, by why. Texts of timeouts hold times, so only the first of a kind is kept.
    failures: BTreeMap<&'static str, (u64, String)>,
}

/// What was asked of whom.
#[derive(Debug, Serialize)]
pub(in crate::commands) struct Load {
    #[serde(flatten)]
    pub(in crate::commands) target: Target,
    pub(in crate::commands) clients: usize,
    pub(in crate::commands) outstanding: usize,
    pub(in crate::commands) bytes: u64,
}

/// Who is asked.
#[derive(Debug, Serialize)]
pub(in crate::commands) enum Target {
    /// A service, through a broker.
    #[serde(rename = "service")]
    Service(String),
    /// A member of a full mesh.
    #[serde(rename = "name")]
    Member(String),
}

/// The outcome of a run.
#[derive(Debug, Serialize)]
pub(in crate::commands) struct Summary {
    #[serde(flatten)]
    load: Load,
    seconds: f64,
    pub(in crate::commands) requests: u64,
    pub(in crate::commands) failed: u64,
    requests_per_second: f64,
    p50_us: u64,
    p90_us: u64,
    p99_us: u64,
    p999_us: u64,
    max_us: u64,
    failures: BTreeMap<&'static str, u64>,
    #[serde(skip)]
    first_failure: Option<String>,
}

impl Default for Tally {
    fn default() -> Self {
        let latency = Histogram::new_with_bounds(1, LATENCY_MAX_US, 3).expect("the bounds are constants in range");
        Self { latency, failures: BTreeMap::new() }
    }
}

impl Tally {
    pub(in crate::commands) fn answered(&mut self, after: Duration) {
        self.latency.saturating_record(u64::try_from(after.as_micros()).unwrap_or(u64::MAX));
    }

    /// An answer that was not what was asked for.
    pub(in crate::commands) fn mismatched(&mut self) {
        self.fail("mismatch", "the answer is not the request's body (does the service echo?)".to_owned());
    }

    pub(in crate::commands) fn failed(&mut self, error: &Error) {
        self.fail(kind(error), error.to_string());
    }

    /// A request that failed, with a word for what kind of failure it was.
    pub(in crate::commands) fn fail(&mut self, kind: &'static str, text: String) {
        self.failures.entry(kind).or_insert((0, text)).0 += 1;
    }

    pub(in crate::commands) fn add(&mut self, other: &Self) {
        self.latency.add(&other.latency).expect("both have the same bounds");
        for (kind, (count, text)) in &other.failures {
            self.failures.entry(kind).or_insert_with(|| (0, text.clone())).0 += count;
        }
    }
}

impl Summary {
    pub(in crate::commands) fn new(load: Load, tally: &Tally, elapsed: Duration) -> Self {
        let answered = tally.latency.len();
        let failed = tally.failures.values().map(|(count, _)| count).sum::<u64>();
        Self {
            load,
            seconds: elapsed.as_secs_f64(),
            requests: answered + failed,
            failed,
            requests_per_second: per_second(answered, elapsed),
            p50_us: tally.latency.value_at_quantile(0.5),
            p90_us: tally.latency.value_at_quantile(0.9),
            p99_us: tally.latency.value_at_quantile(0.99),
            p999_us: tally.latency.value_at_quantile(0.999),
            max_us: tally.latency.max(),
            failures: tally.failures.iter().map(|(kind, (count, _))| (*kind, *count)).collect(),
            first_failure: tally.failures.values().next().map(|(_, text)| text.clone()),
        }
    }

    /// Why the first kind of failed requests failed.
    pub(in crate::commands) fn first_failure(&self) -> Option<&str> {
        self.first_failure.as_deref()
    }

    /// Lines for people.
    pub(in crate::commands) fn table(&self) -> Vec<String> {
        let Load { target, clients, outstanding, bytes } = &self.load;
        let (Target::Service(target) | Target::Member(target)) = target;
        let mut lines = vec![
            format!("{target}: {clients} x {outstanding} outstanding, {bytes} bytes, {:.1} s", self.seconds),
            format!("{:>12.0} requests/s  ({} answered)", self.requests_per_second, self.requests - self.failed),
        ];
        let percentiles = [("p50", self.p50_us), ("p90", self.p90_us), ("p99", self.p99_us), ("p99.9", self.p999_us)];
        for (name, microseconds) in percentiles.into_iter().chain([("max", self.max_us)]) {
            lines.push(format!("{microseconds:>12} us {name}"));
        }
        lines.extend(self.failures.iter().map(|(kind, count)| format!("{count:>12} failed: {kind}")));
        lines
    }
}

/// A word for each kind of failure, for scripts.
const fn kind(error: &Error) -> &'static str {
    match error {
        Error::Timeout { .. } => "timeout",
        Error::NotLetIn { .. } => "not let in",
        Error::Full { .. } => "full",
        Error::TooLarge { .. } => "too large",
        Error::Refused { .. } | Error::Status { .. } => "refused",
        _ => "other",
    }
}

/// The longest time that is told apart, in microseconds: an hour.
const LATENCY_MAX_US: u64 = 3_600_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn load() -> Load {
        Load { target: Target::Service("echo".into()), clients: 1, outstanding: 2, bytes: 64 }
    }

    #[test]
    fn a_summary_counts_answers_and_failures_of_all_callers() {
        let mut all = Tally::default();
        for microseconds in [100, 200] {
            let mut one = Tally::default();
            one.answered(Duration::from_micros(microseconds));
            one.failed(&Error::Full { max: 1 });
            all.add(&one);
        }
        all.mismatched();
        let summary = Summary::new(load(), &all, Duration::from_secs(2));
        assert_eq!((summary.requests, summary.failed), (5, 3));
        assert_eq!(summary.failures, BTreeMap::from([("full", 2), ("mismatch", 1)]));
        assert_eq!((summary.p50_us, summary.max_us), (100, 200));
        assert!((summary.requests_per_second - 1.0).abs() < 1e-9);
        assert_eq!(summary.first_failure(), Some("1 requests are under way, and no more are allowed"));
    }

    #[test]
    fn a_run_without_an_answer_has_no_percentiles_and_no_rate() {
        let summary = Summary::new(load(), &Tally::default(), Duration::from_secs(1));
        assert_eq!((summary.requests, summary.p50_us, summary.max_us), (0, 0, 0));
        assert_eq!(summary.first_failure(), None);
    }

    #[test]
    fn an_answer_later_than_an_hour_counts_as_one_of_an_hour() {
        let mut tally = Tally::default();
        tally.answered(Duration::from_secs(100_000));
        let summary = Summary::new(load(), &tally, Duration::from_secs(1));
        assert!(summary.max_us >= LATENCY_MAX_US / 1000 * 999, "{}", summary.max_us);
        assert_eq!(summary.requests, 1);
    }
}
