//! `sim`: sweeps over seeds, replays one, makes a failing one smaller.
//!
//! Exit status: 0 nothing was found; 1 an oracle objected; 2 bad usage. Only the commands read a wall clock, for
//! events a second.

#![allow(clippy::print_stdout, reason = "a program for people: its lines are its result")]

mod curves;
mod logs;
#[cfg(feature = "mutants")]
mod mutants;
mod report;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use sim::plan::Plan;
use sim::trace::Trace;
use sim::{shrink, sweep, workload, world};

/// The world in a seed: brokers, workers and clients under every fault
#[derive(Debug, Parser)]
#[command(name = "sim")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run many seeds; those that fail are shrunk and written down
    Sweep(Sweep),
    /// Run one seed, or a plan, and tell its story
    Replay(Replay),
    /// Show that the oracles find seeded bugs
    #[cfg(feature = "mutants")]
    Mutants(mutants::Arguments),
    /// Run large worlds and show what grows how
    Scale(curves::Scale),
    /// Crash Titanic's log at every operation of its disk
    Crash(logs::Crash),
    /// Damage Titanic's log in every way
    Damage(logs::Damage),
    /// Print the plan of a seed
    Plan {
        /// The seed
        seed: u64,
    },
}

#[derive(Debug, clap::Args)]
struct Sweep {
    /// How many seeds
    #[arg(long, default_value_t = 1000)]
    seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Threads; as many as there are processors when not given
    #[arg(long)]
    threads: Option<usize>,
    /// One JSON object instead of a table
    #[arg(long)]
    json: bool,
    /// Where plans and traces of failing seeds go
    #[arg(long, default_value = "target/sim")]
    out: PathBuf,
}

#[derive(Debug, clap::Args)]
struct Replay {
    /// The seed; with --plan only a name
    seed: u64,
    /// A plan to run in place of the seed's own
    #[arg(long)]
    plan: Option<PathBuf>,
    /// Write the trace there instead of printing it
    #[arg(long)]
    trace: Option<PathBuf>,
}

fn main() -> ExitCode {
    // A panic of a machine is reported as a violation, with its seed; its own message would only tear the table.
    std::panic::set_hook(Box::new(|_| {}));
    let done = match Cli::parse().command {
        Command::Sweep(arguments) => run_sweep(&arguments),
        Command::Replay(arguments) => replay(&arguments),
        Command::Scale(arguments) => curves::run(&arguments),
        #[cfg(feature = "mutants")]
        Command::Mutants(arguments) => mutants::run(&arguments, processors()),
        Command::Crash(arguments) => logs::run_crash(&arguments),
        Command::Damage(arguments) => logs::run_damage(&arguments),
        Command::Plan { seed } => {
            println!("{}", workload::plan(seed).to_text());
            Ok(true)
        }
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("sim: {error}");
            ExitCode::from(2)
        }
    }
}

/// Whether no seed failed.
fn run_sweep(arguments: &Sweep) -> Result<bool, String> {
    let threads = arguments.threads.unwrap_or_else(processors).max(1);
    let bar = ProgressBar::new(arguments.seeds);
    bar.set_style(ProgressStyle::with_template(BAR).map_err(|error| error.to_string())?);
    let started = Instant::now();
    let found = sweep::sweep(arguments.from, arguments.seeds, threads, |so_far| {
        bar.set_position(so_far.seeds);
        if so_far.failed > 0 {
            bar.set_message(format!("{} failed", so_far.failed));
        }
    });
    bar.finish_and_clear();
    let seconds = started.elapsed().as_secs_f64();
    if arguments.json {
        println!("{}", report::json(&found, seconds, threads));
    } else {
        print!("{}", report::table(&found, seconds, threads));
    }
    for (seed, violation) in found.failures.iter().take(SHRUNK_MAX) {
        let small = shrink::shrink(&workload::plan(*seed), violation.oracle, SHRINK_RUNS);
        let written = write_down(&arguments.out, *seed, &small)?;
        // The smaller plan and its story beside it; standard output stays what it is, a table or JSON.
        eprintln!("seed {seed} shrunk: cargo xtask sim replay {seed} --plan {}", written.display());
    }
    Ok(found.failed == 0)
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn write_down(folder: &Path, seed: u64, plan: &Plan) -> Result<PathBuf, String> {
    let path = folder.join(format!("seed-{seed}.json"));
    let io = |error: std::io::Error| format!("{}: {error}", path.display());
    fs::create_dir_all(folder).map_err(io)?;
    fs::write(&path, plan.to_text()).map_err(io)?;
    let trace = world::run(plan, Trace::kept()).trace;
    fs::write(path.with_extension("trace"), trace.lines().join("\n")).map_err(io)?;
    Ok(path)
}

/// Whether no oracle objected.
fn replay(arguments: &Replay) -> Result<bool, String> {
    let plan = match &arguments.plan {
        None => workload::plan(arguments.seed),
        Some(path) => {
            let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
            Plan::from_text(&text).map_err(|error| format!("{}: {error}", path.display()))?
        }
    };
    let outcome = world::run(&plan, Trace::kept());
    let story = outcome.trace.lines().join("\n");
    match &arguments.trace {
        None => println!("{story}"),
        Some(path) => fs::write(path, story).map_err(|error| format!("{}: {error}", path.display()))?,
    }
    for violation in &outcome.violations {
        println!("{}: {} at {} ms", violation.oracle, violation.what, violation.at / 1_000_000);
    }
    println!("{} events, {} requests, hash {:016x}", outcome.events, outcome.requests, outcome.hash);
    Ok(outcome.violations.is_empty())
}

const BAR: &str = "{bar:40} {pos}/{len} seeds, {per_sec}, {eta} left  {msg}";
/// Failing seeds that are shrunk: the first ones tell most.
const SHRUNK_MAX: usize = 3;
/// Runs that shrinking one of them may take.
const SHRINK_RUNS: usize = 600;
