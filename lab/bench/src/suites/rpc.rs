//! Request and reply, side by side: throughput, latency, processor time and memory of each server under the same loads.

mod goals;
mod tables;

pub(super) use tables::{of as tables_of, same_load};

use std::time::Duration;

use anyhow::ensure;
use indicatif::{ProgressBar, ProgressStyle};

use super::Common;
use crate::measure::{Placement, median, resident_bytes_peak};
use crate::peers::{Installed, Peer, Server};
use crate::plan::{BODY_BYTES_MIN, Pattern, Plan};
use crate::report::Report;
use crate::results::{Cell, Sample};

/// What to load, how, and for how long.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Rounds of every load; the median counts
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=99))]
    pub rounds: u32,

    /// Time of one load, seconds, after a quarter of it to warm up
    #[arg(long, default_value_t = 2.0, value_parser = seconds)]
    pub seconds: f64,

    /// Lengths of a body, bytes
    #[arg(long, value_delimiter = ',', default_value = "64,1024,65536", value_parser = body_bytes)]
    pub sizes: Vec<usize>,

    /// CLIENTSxOUTSTANDING: connections, and requests that each keeps in flight
    #[arg(long, value_delimiter = ',', default_value = "1x1,1x1000,50x20,200x5")]
    pub patterns: Vec<Pattern>,

    /// The servers to compare
    #[arg(long, value_delimiter = ',', default_value = "majordomo,gearmand,nats,libzmq")]
    pub peers: Vec<Peer>,

    /// Worker connections
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=4000))]
    pub workers: u16,

    /// Requests that a worker takes at once, where its protocol has a word for it
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=65536))]
    pub credit: u32,
}

/// Runs every load on every peer, in interleaved rounds.
///
/// # Errors
/// A peer is not installed, or the machine cannot be set up. What goes wrong within a load is in the report.
pub fn run(args: &Args, common: &Common) -> anyhow::Result<Report> {
    let installed = common.find(&args.peers)?;
    ensure!(!installed.is_empty(), "none of the peers is installed");
    let cells = compare_all(args, &installed, common.placement, Installed::start);
    report(args, common, &installed, &cells)
}

/// How a peer is started.
type Start = fn(&Installed) -> anyhow::Result<Server>;

/// Every load on every peer, in interleaved rounds.
pub(super) fn compare_all(args: &Args, installed: &[Installed], placement: Placement, start: Start) -> Vec<Cell> {
    let mut cells = Vec::new();
    let progress = progress_bar(args, installed.len());
    for &body_bytes in &args.sizes {
        for &pattern in &args.patterns {
            let plan = args.plan(pattern, body_bytes);
            cells.extend(compare(installed, &plan, args.rounds, (placement, start), &progress));
        }
    }
    progress.finish_and_clear();
    cells
}

impl Args {
    fn plan(&self, pattern: Pattern, body_bytes: usize) -> Plan {
        let duration = Duration::from_secs_f64(self.seconds);
        let (warm_up, drain_max) = (duration / 4, DRAIN_MAX);
        let (workers, credit) = (usize::from(self.workers), self.credit);
        Plan { pattern, workers, credit, body_bytes, warm_up, duration, drain_max }
    }
}

/// All rounds of one load. Each round starts with another peer, so that none always runs in another's wake.
fn compare(
    installed: &[Installed],
    plan: &Plan,
    rounds: u32,
    (placement, start): (Placement, Start),
    progress: &ProgressBar,
) -> Vec<Cell> {
    let new_cell = |installed: &Installed| Cell::new(installed.peer, plan.pattern, plan.body_bytes);
    let mut cells: Vec<Cell> = installed.iter().map(new_cell).collect();
    for round in 0..rounds as usize {
        let mut turn: Vec<_> = installed.iter().zip(&mut cells).collect();
        turn.rotate_left(round % installed.len());
        for (installed, cell) in turn {
            let (name, pattern) = (installed.peer.name(), plan.pattern);
            progress.set_message(format!("{name}, {} B, {pattern}, round {}", plan.body_bytes, round + 1));
            cell.add(sample(installed, plan, placement, start));
            progress.inc(1);
        }
    }
    cells
}

/// One load on one fresh server.
fn sample(installed: &Installed, plan: &Plan, placement: Placement, start: Start) -> anyhow::Result<Sample> {
    let server = placement.start_server(|| start(installed))?;
    let outcome = installed.load(&server, plan)?;
    Ok(Sample::of(&outcome, resident_bytes_peak(server.pid())?))
}

pub(super) fn report(args: &Args, common: &Common, installed: &[Installed], cells: &[Cell]) -> anyhow::Result<Report> {
    let placement = common.placement.description();
    let versions: Vec<String> = installed.iter().map(Installed::version).collect();
    let errors = cells.iter().filter(|cell| cell.errors() > 0).map(|cell| {
        let failures = cell.failures.join("; ");
        let (name, lost) = (cell.peer.name(), cell.rounds.iter().flatten().map(|sample| sample.lost).sum::<u64>());
        let wrong = cell.rounds.iter().flatten().map(|sample| sample.mismatched).sum::<u64>();
        format!("{name}, {} B, {}: {lost} lost, {wrong} wrong replies; {failures}", cell.body_bytes, cell.pattern)
    });
    Ok(Report {
        suite: "rpc",
        summary: format!("Request and reply with {} workers, side by side.", args.workers),
        notes: vec![
            format!("{} interleaved rounds of {} s each; {placement}", args.rounds, args.seconds),
            versions.join(" · "),
            disturbance(cells),
        ],
        tables: tables::of(cells, Peer::Majordomo),
        goals: goals::of(cells),
        errors: errors.collect(),
        records: cells.iter().map(serde_json::to_value).collect::<Result<_, _>>()?,
    })
}

/// How busy the machine was with other things.
pub(super) fn disturbance<P>(cells: &[Cell<P>]) -> String {
    let others: Vec<f64> =
        cells.iter().flat_map(|cell| &cell.rounds).flatten().map(|round| round.others_busy).collect();
    let worst = others.iter().copied().fold(0.0, f64::max);
    let verdict = if median(&others) > DISTURBED { "the figures are disturbed" } else { "the machine was quiet" };
    format!("other processes took {:.2} of a core (median), {worst:.2} at worst: {verdict}", median(&others))
}

fn progress_bar(args: &Args, peers: usize) -> ProgressBar {
    let loads = args.sizes.len() * args.patterns.len() * args.rounds as usize * peers;
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len}  {elapsed} of {duration}  {msg}");
    ProgressBar::new(loads as u64).with_style(style.expect("invariant: the template is well formed"))
}

pub(super) fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.1..=600.0).contains(&seconds) => Ok(seconds),
        _ => Err("seconds are a number, 0.1 to 600".into()),
    }
}

pub(super) fn body_bytes(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(bytes) if (BODY_BYTES_MIN..=BODY_BYTES_MAX).contains(&bytes) => Ok(bytes),
        _ => Err(format!("a body has {BODY_BYTES_MIN} to {BODY_BYTES_MAX} bytes")),
    }
}

/// nats-server refuses longer ones as it comes.
const BODY_BYTES_MAX: usize = 1 << 20;
/// Cores' worth of other work from which on a comparison means little.
const DISTURBED: f64 = 0.1;
/// Long enough for a thousand bodies of 64 KiB on a busy machine.
const DRAIN_MAX: Duration = Duration::from_secs(10);
