//! Durable acknowledgements a second: Titanic, in the broker's process and apart, beside other servers that keep what
//! they are given; and what else a log costs: its recovery, its memory, and what it costs when nothing is flushed.

mod disk;
mod goals;
mod whole;

use std::path::PathBuf;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::{Common, rpc};
use crate::measure::Placement;
use crate::peers::keepers::{Keeper, Shelf, start};
use crate::plan::{Pattern, Plan};
use crate::report::Report;
use crate::report::table::Table;
use crate::results::{Cell, MIB, Sample};
use disk::Disk;
use whole::Whole;

/// What to load, how, and for how long.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Rounds of every load; the median counts
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=99))]
    pub rounds: u32,

    /// Time of one load, seconds, after a quarter of it to warm up
    #[arg(long, default_value_t = 2.0, value_parser = rpc::seconds)]
    pub seconds: f64,

    /// Lengths of a body, bytes
    #[arg(long, value_delimiter = ',', default_values_t = BODIES, value_parser = rpc::body_bytes)]
    pub sizes: Vec<usize>,

    /// CLIENTSxOUTSTANDING: submitters, and messages that each keeps in flight
    #[arg(long, value_delimiter = ',', default_values_t = [Pattern::ALONE, MANY, ONE])]
    pub patterns: Vec<Pattern>,

    /// The servers to compare
    #[arg(long, value_delimiter = ',', default_value = "aboard,apart,jetstream,redis,beanstalkd")]
    pub keepers: Vec<Keeper>,

    /// A folder on the disk that is measured; without it, that of temporary files
    #[arg(long, value_name = "FOLDER")]
    pub folder: Option<PathBuf>,

    /// Leave out recovery, memory, and the comparison in memory
    #[arg(long)]
    pub without_whole: bool,

    /// Open requests whose memory is measured
    #[arg(long, default_value_t = 1_000_000)]
    pub open: u32,
}

/// Runs every load on every keeper, in interleaved rounds.
///
/// # Errors
/// A keeper is not installed, or the machine cannot be set up. What goes wrong within a load is in the report.
pub fn run(args: &Args, common: &Common) -> anyhow::Result<Report> {
    let folder = args.folder.clone().unwrap_or_else(std::env::temp_dir);
    let keepers = available(args, common);
    // The log as a whole, and what is in memory, are our own whatever they are compared with.
    let of_whole: &[_] = if args.without_whole { &[] } else { &MEMORY_KEEPERS };
    let shelf = Shelf::new(folder, common.broker.as_deref(), &[&keepers, of_whole].concat())?;
    let progress = progress_bar(args, &keepers);
    let mut cells = Vec::new();
    let mut disk = Disk::default();
    for &body_bytes in &args.sizes {
        for &pattern in &args.patterns {
            let plan = plan(args, pattern, body_bytes, 0);
            cells.extend(compare(&shelf, &keepers, &plan, args.rounds, common.placement, &progress));
            if pattern == Pattern::ALONE && keepers.contains(&Keeper::Aboard) {
                disk.measure(&shelf, args, body_bytes, common.placement)?;
            }
        }
    }
    let memory = if args.without_whole {
        Vec::new()
    } else {
        let plan = plan(args, MEMORY, *BODIES.first().unwrap_or(&128), WORKERS);
        compare(&shelf, &MEMORY_KEEPERS, &plan, args.rounds, common.placement, &progress)
    };
    progress.finish_and_clear();
    let whole = if args.without_whole { None } else { Some(Whole::measure(&shelf, args.open, common.placement)?) };
    report(args, common, &shelf, &keepers, (&cells, &memory), &disk, whole.as_ref())
}

/// With `--offline` those that are installed.
fn available(args: &Args, common: &Common) -> Vec<Keeper> {
    let is_there =
        |keeper: &Keeper| !common.offline || Shelf::new(PathBuf::new(), common.broker.as_deref(), &[*keeper]).is_ok();
    args.keepers.iter().copied().filter(is_there).collect()
}

fn plan(args: &Args, pattern: Pattern, body_bytes: usize, workers: usize) -> Plan {
    let duration = Duration::from_secs_f64(args.seconds);
    Plan { pattern, workers, credit: CREDIT, body_bytes, warm_up: duration / 4, duration, drain_max: DRAIN_MAX }
}

/// All rounds of one load. Each round starts with another keeper, so that none always runs in another's wake.
fn compare(
    shelf: &Shelf,
    keepers: &[Keeper],
    plan: &Plan,
    rounds: u32,
    placement: Placement,
    progress: &ProgressBar,
) -> Vec<Cell<Keeper>> {
    let mut cells: Vec<_> = keepers.iter().map(|&keeper| Cell::new(keeper, plan.pattern, plan.body_bytes)).collect();
    for round in 0..rounds as usize {
        let mut turn: Vec<_> = cells.iter_mut().collect();
        turn.rotate_left(round % keepers.len().max(1));
        for cell in turn {
            progress.set_message(format!("{:?}, {} B, {}", cell.peer, plan.body_bytes, plan.pattern));
            cell.add(sample(shelf, cell.peer, plan, placement));
            progress.inc(1);
        }
    }
    cells
}

/// One load on one fresh keeper.
fn sample(shelf: &Shelf, keeper: Keeper, plan: &Plan, placement: Placement) -> anyhow::Result<Sample> {
    let running = start(placement, shelf, keeper)?;
    // Only the echo has workers: what is kept, nobody takes out again.
    let workers = if keeper == Keeper::Echo { plan.workers } else { 0 };
    let outcome = running.load(keeper, &Plan { workers, ..plan.clone() })?;
    Ok(Sample::of(&outcome, running.resident_bytes_peak()?))
}

fn report(
    args: &Args,
    common: &Common,
    shelf: &Shelf,
    keepers: &[Keeper],
    (cells, memory): (&[Cell<Keeper>], &[Cell<Keeper>]),
    disk: &Disk,
    whole: Option<&Whole>,
) -> anyhow::Result<Report> {
    let mut tables = rpc::tables_of(cells, Keeper::Aboard);
    tables.push(("One submitter beside the disk and the broker".into(), disk.table()));
    tables.extend(
        rpc::tables_of(memory, Keeper::Echo).into_iter().map(|(load, table)| (format!("In memory, {load}"), table)),
    );
    tables.extend(whole.map(|whole| ("A log as a whole".into(), whole_table(whole))));
    let errors = cells.iter().chain(memory).filter(|cell| cell.errors() > 0).map(|cell| {
        let failures = cell.failures.join("; ");
        format!("{:?}, {} B, {}: {} errors; {failures}", cell.peer, cell.body_bytes, cell.pattern, cell.errors())
    });
    let mut records = cells.iter().chain(memory).map(serde_json::to_value).collect::<Result<Vec<_>, _>>()?;
    records.push(serde_json::to_value(disk)?);
    records.extend(whole.map(serde_json::to_value).transpose()?);
    Ok(Report {
        suite: "durable",
        summary: "Durable acknowledgements a second: every answer after the flush that covers its message.".into(),
        notes: vec![
            format!(
                "{} interleaved rounds of {} s each, all on one disk; {}",
                args.rounds,
                args.seconds,
                common.placement.description()
            ),
            shelf.versions(keepers).join(" · "),
            rpc::disturbance(cells),
        ],
        tables,
        goals: goals::of(cells, memory, disk, whole),
        errors: errors.collect(),
        records,
    })
}

fn whole_table(whole: &Whole) -> Table {
    let mut table = Table::new(&["what", "measured"], 1);
    table.add(vec!["live log that was recovered".into(), format!("{:.0} MiB", whole.live_bytes / MIB)]);
    table
        .add(vec!["recovery, from the start of the process to its ready".into(), format!("{:.2} s", whole.recovery_s)]);
    table.add(vec![
        format!("heap of the process for {} open requests", whole.open),
        format!("{:.0} MiB", whole.open_bytes / MIB),
    ]);
    table
}

fn progress_bar(args: &Args, keepers: &[Keeper]) -> ProgressBar {
    let loads = args.sizes.len() * args.patterns.len() * keepers.len();
    let memory = if args.without_whole { 0 } else { MEMORY_KEEPERS.len() };
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len}  {elapsed} of {duration}  {msg}");
    ProgressBar::new(((loads + memory) * args.rounds as usize) as u64)
        .with_style(style.expect("invariant: the template is well formed"))
}

const BODIES: [usize; 2] = [128, 1024];
/// Many submitters that wait for each acknowledgement.
const MANY: Pattern = Pattern { clients: 64, outstanding: 1 };
/// One that does not.
const ONE: Pattern = Pattern { clients: 1, outstanding: 256 };
/// Where nothing is flushed, all that counts is how many messages are worked on.
const MEMORY: Pattern = ONE;
const MEMORY_KEEPERS: [Keeper; 3] = [Keeper::AboardMemory, Keeper::ApartMemory, Keeper::Echo];
/// Of the echo.
const WORKERS: usize = 1;
const CREDIT: u32 = 256;
const DRAIN_MAX: Duration = Duration::from_secs(10);
