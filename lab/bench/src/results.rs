//! What was measured, as figures: one sample a round, one cell a peer under one load, and what the rounds say together.

use serde::Serialize;

use crate::load::Outcome;
use crate::measure::{median, spread};
use crate::peers::Peer;
use crate::plan::Pattern;

/// One round of one peer.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Sample {
    /// Correct replies a second.
    pub requests_per_second: f64,
    /// Half of the replies took no longer, microseconds.
    pub p50_us: f64,
    /// 99 of 100 took no longer, microseconds.
    pub p99_us: f64,
    /// 999 of 1000 took no longer, microseconds.
    pub p999_us: f64,
    /// Processor time of the server for one request, microseconds.
    pub server_us_per_request: f64,
    /// Processor time of the generator, all its clients and workers, for one request, microseconds.
    pub generator_us_per_request: f64,
    /// Part of one core that the generator used; near 1 it was the limit, and the server could do more.
    pub generator_busy: f64,
    /// Cores' worth of time that other processes took meanwhile: what disturbs the figures.
    pub others_busy: f64,
    /// The most memory that the server had resident, MiB.
    pub resident_mib_peak: f64,
    /// Requests that were never answered.
    pub lost: u64,
    /// Replies that fitted no request.
    pub mismatched: u64,
}

impl Sample {
    /// The figures of one load, with the server's peak of resident memory.
    pub fn of(outcome: &Outcome, resident_bytes_peak: u64) -> Self {
        let seconds = outcome.elapsed.as_secs_f64();
        let percentile_us = |part: f64| outcome.latency_ns.value_at_quantile(part) as f64 / 1e3;
        let server = outcome.after.server.saturating_sub(outcome.before.server).as_secs_f64();
        let generator = outcome.after.generator.saturating_sub(outcome.before.generator).as_secs_f64();
        let per_request_us = |time: f64| time * 1e6 / outcome.replies.max(1) as f64;
        Self {
            requests_per_second: outcome.replies as f64 / seconds,
            p50_us: percentile_us(0.5),
            p99_us: percentile_us(0.99),
            p999_us: percentile_us(0.999),
            server_us_per_request: per_request_us(server),
            generator_us_per_request: per_request_us(generator),
            generator_busy: generator / seconds,
            others_busy: outcome.after.others_since(&outcome.before).as_secs_f64() / seconds,
            resident_mib_peak: resident_bytes_peak as f64 / MIB,
            lost: outcome.lost,
            mismatched: outcome.mismatched,
        }
    }
}

/// Whoever has a name in tables.
pub trait Named: Copy + PartialEq + Serialize {
    /// As it is called on the command line and in tables.
    fn name(self) -> &'static str;
}

/// All rounds of one peer under one load; a round that failed has no sample but a reason.
#[derive(Debug, Clone, Serialize)]
pub struct Cell<P = Peer> {
    /// Who served.
    pub peer: P,
    /// Clients and their outstanding requests, as `50x20`.
    #[serde(serialize_with = "as_text")]
    pub pattern: Pattern,
    /// Length of a request's and of a reply's body.
    pub body_bytes: usize,
    /// By round; `None` where the round failed.
    pub rounds: Vec<Option<Sample>>,
    /// Why rounds failed.
    pub failures: Vec<String>,
}

impl<P> Cell<P> {
    /// A cell that no round has filled yet.
    pub fn new(peer: P, pattern: Pattern, body_bytes: usize) -> Self {
        Self { peer, pattern, body_bytes, rounds: Vec::new(), failures: Vec::new() }
    }

    /// Books a round.
    pub fn add(&mut self, result: anyhow::Result<Sample>) {
        match result {
            Ok(sample) => self.rounds.push(Some(sample)),
            Err(error) => {
                self.rounds.push(None);
                self.failures.push(format!("{error:#}"));
            }
        }
    }

    /// Lost and mismatched requests and failed rounds: what has to be none for the figures to count.
    pub fn errors(&self) -> u64 {
        let samples = self.rounds.iter().flatten();
        samples.map(|sample| sample.lost + sample.mismatched).sum::<u64>() + self.failures.len() as u64
    }

    /// The median of one figure over the rounds; NaN when every round failed.
    pub fn median(&self, figure: impl Fn(&Sample) -> f64) -> f64 {
        median(&self.figures(figure))
    }

    /// How far the rounds are apart in one figure, as a part of its median.
    pub fn spread(&self, figure: impl Fn(&Sample) -> f64) -> f64 {
        spread(&self.figures(figure))
    }

    /// The median of the ratios of `self` to `other`, round by round: what drifts between rounds cancels out.
    pub fn ratio(&self, other: &Self, figure: impl Fn(&Sample) -> f64) -> f64 {
        let pairs = self.rounds.iter().zip(&other.rounds);
        let ratios: Vec<f64> =
            pairs.filter_map(|(ours, theirs)| Some(figure(ours.as_ref()?) / figure(theirs.as_ref()?))).collect();
        median(&ratios)
    }

    fn figures(&self, figure: impl Fn(&Sample) -> f64) -> Vec<f64> {
        self.rounds.iter().flatten().map(figure).collect()
    }
}

/// A goal of the project and what became of it.
#[derive(Debug, Clone, Serialize)]
pub struct Goal {
    /// What was to be reached.
    pub goal: String,
    /// What was measured; `None` when it was not.
    pub measured: Option<String>,
    /// Whether it is reached; `None` when it was not measured.
    pub reached: Option<bool>,
}

impl Goal {
    /// A goal that `measured` meets or misses.
    pub fn judged(goal: String, measured: String, reached: bool) -> Self {
        Self { goal, measured: Some(measured), reached: Some(reached) }
    }

    /// A goal whose figures are missing from this run.
    pub fn open(goal: String) -> Self {
        Self { goal, measured: None, reached: None }
    }

    /// `reached`, `not reached` or `not measured`.
    pub fn verdict(&self) -> &'static str {
        match self.reached {
            Some(true) => "reached",
            Some(false) => "not reached",
            None => "not measured",
        }
    }
}

/// Bytes in a MiB, for figures.
pub const MIB: f64 = 1_048_576.0;

fn as_text<S: serde::Serializer>(pattern: &Pattern, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(pattern)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(rates: &[f64]) -> Cell {
        let mut cell = Cell::new(Peer::Nats, Pattern::ALONE, 64);
        for rate in rates {
            cell.add(Ok(Sample { requests_per_second: *rate, ..Sample::default() }));
        }
        cell
    }

    #[test]
    fn ratio_is_taken_round_by_round() {
        // The machine was twice as fast in the second round: each round still says 2.
        let (ours, theirs) = (cell(&[100.0, 200.0, 100.0]), cell(&[50.0, 100.0, 50.0]));
        assert!((ours.ratio(&theirs, |sample| sample.requests_per_second) - 2.0).abs() < 1e-9);
    }

    #[test]
    fn a_failed_round_pairs_with_nothing_and_counts_as_an_error() {
        let (mut ours, mut theirs) = (cell(&[100.0]), cell(&[50.0]));
        ours.add(Err(anyhow::anyhow!("gone")));
        theirs.add(Ok(Sample { requests_per_second: 1.0, ..Sample::default() }));
        assert!((ours.ratio(&theirs, |sample| sample.requests_per_second) - 2.0).abs() < 1e-9);
        assert_eq!((ours.errors(), theirs.errors()), (1, 0));
        assert_eq!(ours.failures, ["gone"]);
    }

    #[test]
    fn lost_and_mismatched_replies_are_errors() {
        let mut cell = cell(&[]);
        cell.add(Ok(Sample { lost: 2, mismatched: 3, ..Sample::default() }));
        assert_eq!(cell.errors(), 5);
    }
}
