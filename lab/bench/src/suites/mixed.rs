//! Jobs of 1 ms and of 100 ms, mixed, for four workers: how long short ones wait behind long ones.
//!
//! Our broker gives a worker what its credit allows and keeps the rest in one queue, so that whoever is free takes the
//! next job. A NATS queue group deals each job to some member at once, busy or not.

use std::time::Duration;

use serde::Serialize;

use super::{Common, rpc};
use crate::load::mixed::{self, Mix, MixedOutcome};
use crate::measure::median;
use crate::peers::{Installed, Peer};
use crate::report::Report;
use crate::report::table::Table;
use crate::results::Goal;

/// What arrives, and for how long.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Rounds of every mix; the median counts
    #[arg(long, default_value_t = ROUNDS, value_parser = clap::value_parser!(u32).range(1..=99))]
    pub rounds: u32,

    /// Time in which jobs arrive, seconds
    #[arg(long, default_value_t = SECONDS, value_parser = rpc::seconds)]
    pub seconds: f64,

    /// Long jobs among a hundred
    #[arg(long, value_delimiter = ',', default_values_t = LONG_PERCENT, value_parser = percent)]
    pub long_percent: Vec<f64>,

    /// How busy the workers are, percent
    #[arg(long, default_value_t = LOAD_PERCENT, value_parser = percent)]
    pub load_percent: f64,

    /// The servers to compare
    #[arg(long, value_delimiter = ',', default_value = "majordomo-0.3,nats,gearmand")]
    pub peers: Vec<Peer>,

    /// Worker connections, each of which does one job at a time
    #[arg(long, default_value_t = WORKERS, value_parser = clap::value_parser!(u16).range(1..=4000))]
    pub workers: u16,
}

impl Default for Args {
    fn default() -> Self {
        Self {
            rounds: ROUNDS,
            seconds: SECONDS,
            long_percent: LONG_PERCENT.to_vec(),
            load_percent: LOAD_PERCENT,
            peers: vec![Peer::Native, Peer::Nats, Peer::Gearmand],
            workers: WORKERS,
        }
    }
}

/// The latencies of one server under one mix, a round each, milliseconds.
#[derive(Debug, Clone, Serialize)]
struct Cell {
    peer: Peer,
    long_percent: f64,
    rounds: Vec<Option<Round>>,
    failures: Vec<String>,
}

#[derive(Debug, Clone, Default, Serialize)]
struct Round {
    jobs: u64,
    short_p50_ms: f64,
    short_p99_ms: f64,
    short_p999_ms: f64,
    long_p50_ms: f64,
    long_p99_ms: f64,
    lost: u64,
    mismatched: u64,
}

/// Runs every mix on every peer, in interleaved rounds.
///
/// # Errors
/// A peer is not installed. What goes wrong within a mix is in the report.
pub fn run(args: &Args, common: &Common) -> anyhow::Result<Report> {
    let installed = common.find(&args.peers)?;
    anyhow::ensure!(!installed.is_empty(), "none of the peers is installed");
    let mut cells = Vec::new();
    for &long_percent in &args.long_percent {
        let mix = args.mix(long_percent);
        let new_cell = |installed: &Installed| Cell::new(installed.peer, long_percent);
        let mut compared: Vec<_> = installed.iter().map(new_cell).collect();
        for round in 0..args.rounds as usize {
            let mut turn: Vec<_> = installed.iter().zip(&mut compared).collect();
            turn.rotate_left(round % installed.len());
            for (installed, cell) in turn {
                let started = common.placement.start_server(|| installed.start());
                let outcome = started.and_then(|server| installed.load_mixed(&server, &mix, round as u64));
                cell.add(outcome);
            }
        }
        cells.extend(compared);
    }
    report(args, common, &installed, &cells)
}

impl Args {
    fn mix(&self, long_percent: f64) -> Mix {
        Mix {
            short: mixed::SHORT,
            long: mixed::LONG,
            long_share: long_percent / 100.0,
            load: self.load_percent / 100.0,
            workers: usize::from(self.workers),
            duration: Duration::from_secs_f64(self.seconds),
            drain_max: DRAIN_MAX,
        }
    }
}

impl Cell {
    fn new(peer: Peer, long_percent: f64) -> Self {
        Self { peer, long_percent, rounds: Vec::new(), failures: Vec::new() }
    }

    fn add(&mut self, outcome: anyhow::Result<MixedOutcome>) {
        match outcome {
            Ok(outcome) => self.rounds.push(Some(Round::of(&outcome))),
            Err(error) => {
                self.rounds.push(None);
                self.failures.push(format!("{error:#}"));
            }
        }
    }

    fn errors(&self) -> u64 {
        let rounds = self.rounds.iter().flatten().map(|round| round.lost + round.mismatched);
        rounds.sum::<u64>() + self.failures.len() as u64
    }

    fn median(&self, figure: impl Fn(&Round) -> f64) -> f64 {
        median(&self.rounds.iter().flatten().map(figure).collect::<Vec<_>>())
    }
}

impl Round {
    fn of(outcome: &MixedOutcome) -> Self {
        let (short, long) = (&outcome.short_ns, &outcome.long_ns);
        let [short_p50_ms, short_p99_ms, short_p999_ms] =
            [0.5, 0.99, 0.999].map(|part| short.value_at_quantile(part) as f64 / 1e6);
        let [long_p50_ms, long_p99_ms] = [0.5, 0.99].map(|part| long.value_at_quantile(part) as f64 / 1e6);
        let (jobs, lost, mismatched) = (short.len() + long.len(), outcome.lost, outcome.mismatched);
        Self { jobs, short_p50_ms, short_p99_ms, short_p999_ms, long_p50_ms, long_p99_ms, lost, mismatched }
    }
}

fn report(args: &Args, common: &Common, installed: &[Installed], cells: &[Cell]) -> anyhow::Result<Report> {
    let versions: Vec<String> = installed.iter().map(Installed::version).collect();
    let errors = cells.iter().filter(|cell| cell.errors() > 0);
    let errors = errors.map(|cell| {
        let lost: u64 = cell.rounds.iter().flatten().map(|round| round.lost).sum();
        let (name, failures) = (cell.peer.name(), cell.failures.join("; "));
        format!("{name}, {} % long: {lost} lost, {} errors in all; {failures}", cell.long_percent, cell.errors())
    });
    Ok(Report {
        suite: "mixed",
        summary: format!(
            "Jobs of 1 ms and 100 ms, mixed, at random moments, for {} workers that are busy {} % of the time.",
            args.workers, args.load_percent
        ),
        notes: vec![
            format!(
                "{} interleaved rounds of {} s each; {}",
                args.rounds,
                args.seconds,
                common.placement.description()
            ),
            "a job is a wait of its worker and no work; latency counts from the moment when the job was due".into(),
            versions.join(" · "),
        ],
        tables: cells
            .chunk_by(|one, other| one.long_percent.total_cmp(&other.long_percent).is_eq())
            .map(table)
            .collect(),
        goals: args.long_percent.iter().map(|&long_percent| goal(cells, long_percent)).collect(),
        errors: errors.collect(),
        records: cells.iter().map(serde_json::to_value).collect::<Result<_, _>>()?,
    })
}

fn table(cells: &[Cell]) -> (String, Table) {
    let mut table = Table::new(&HEADINGS, 1);
    for cell in cells {
        let figures: [fn(&Round) -> f64; 5] = [
            |round| round.short_p50_ms,
            |round| round.short_p99_ms,
            |round| round.short_p999_ms,
            |round| round.long_p50_ms,
            |round| round.long_p99_ms,
        ];
        let jobs = format!("{:.0}", cell.median(|round| round.jobs as f64));
        let figures = figures.iter().map(|figure| format!("{:.1}", cell.median(figure)));
        let row = [cell.peer.name().into(), jobs].into_iter().chain(figures).chain([cell.errors().to_string()]);
        table.add(row.collect());
    }
    let heading = cells.first().map(|cell| format!("{} of 100 jobs are long", cell.long_percent));
    (heading.unwrap_or_default(), table)
}

fn goal(cells: &[Cell], long_percent: f64) -> Goal {
    let goal =
        format!("{long_percent} % long: p99 of the short ones at least {RATIO_MIN} x better than with nats-server");
    let find = |peer| {
        let same = |cell: &&Cell| cell.peer == peer && cell.long_percent.total_cmp(&long_percent).is_eq();
        cells.iter().find(same).filter(|cell| cell.errors() == 0 && !cell.rounds.is_empty())
    };
    let (Some(ours), Some(theirs)) = (find(Peer::Native), find(Peer::Nats)) else { return Goal::open(goal) };
    let pairs = ours.rounds.iter().flatten().zip(theirs.rounds.iter().flatten());
    let ratio = median(&pairs.map(|(ours, theirs)| theirs.short_p99_ms / ours.short_p99_ms).collect::<Vec<_>>());
    let [our_p99, their_p99] = [ours, theirs].map(|cell| cell.median(|round| round.short_p99_ms));
    Goal::judged(goal, format!("{ratio:.1} x ({our_p99:.1} ms, {their_p99:.1} ms)"), ratio >= RATIO_MIN)
}

fn percent(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(percent) if (0.1..=95.0).contains(&percent) => Ok(percent),
        _ => Err("a percentage is a number, 0.1 to 95".into()),
    }
}

const HEADINGS: [&str; 8] =
    ["server", "jobs", "short p50 ms", "short p99 ms", "short p99.9 ms", "long p50 ms", "long p99 ms", "errors"];
const ROUNDS: u32 = 3;
const SECONDS: f64 = 8.0;
const LONG_PERCENT: [f64; 2] = [1.0, 5.0];
const LOAD_PERCENT: f64 = 50.0;
const WORKERS: u16 = 4;
const RATIO_MIN: f64 = 5.0;
/// What a queue group has piled up behind long jobs takes a while.
const DRAIN_MAX: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(peer: Peer, p99s: &[f64]) -> Cell {
        let rounds = p99s.iter().map(|&short_p99_ms| Some(Round { jobs: 10, short_p99_ms, ..Round::default() }));
        Cell { rounds: rounds.collect(), ..Cell::new(peer, 1.0) }
    }

    #[test]
    fn the_goal_is_judged_round_by_round() {
        let ours = cell(Peer::Native, &[10.0, 20.0, 30.0]);
        let judged = |theirs: &[f64]| goal(&[ours.clone(), cell(Peer::Nats, theirs)], 1.0).verdict();
        assert_eq!(judged(&[50.0, 100.0, 150.0]), "reached");
        assert_eq!(judged(&[50.0, 99.0, 149.0]), "not reached");
        assert_eq!(goal(&[ours], 1.0).verdict(), "not measured");
    }

    #[test]
    fn a_mix_with_a_lost_job_is_not_judged_and_counts_as_an_error() {
        let (ours, mut theirs) = (cell(Peer::Native, &[1.0]), cell(Peer::Nats, &[100.0]));
        theirs.rounds.push(Some(Round { lost: 1, ..Round::default() }));
        assert_eq!(theirs.errors(), 1);
        assert_eq!(goal(&[ours, theirs], 1.0).verdict(), "not measured");
    }
}
