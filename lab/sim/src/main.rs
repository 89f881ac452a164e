//! `sim`: sweeps over seeds, and replays of one.

#![allow(clippy::print_stdout, reason = "a program for people: its lines are its result")]

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use sim::trace::Trace;

/// The world in a seed
#[derive(Debug, Parser)]
#[command(name = "sim")]
enum Cli {
    /// Run many seeds
    Sweep {
        /// How many
        #[arg(long, default_value_t = 1000)]
        seeds: u64,
        /// The first one
        #[arg(long, default_value_t = 0)]
        from: u64,
        #[arg(long, default_value_t = 2)]
        threads: usize,
    },
    /// Run one seed
    Replay { seed: u64 },
}

fn main() -> ExitCode {
    match Cli::parse() {
        Cli::Sweep { seeds, from, threads } => {
            let started = Instant::now();
            let report = sim::sweep::sweep(from, seeds, threads, |_| {});
            let took = started.elapsed().as_secs_f64();
            println!(
                "{} seeds {} events {} requests {:.0} events/s",
                report.seeds,
                report.events,
                report.requests,
                report.events as f64 / took
            );
            println!("events a seed {}", report.events / report.seeds.max(1));
            for (name, count) in sim::fault::KINDS.iter().zip(report.faults) {
                println!("  {name}: {count}");
            }
            let (reached, all) = report.coverage.reached();
            println!("coverage {reached} of {all}");
            for name in report.coverage.never() {
                println!("  never {name}");
            }
            println!("{} failed", report.failed);
            for (seed, violation) in report.failures.iter().take(20) {
                println!("  seed {seed}: {} {}", violation.oracle, violation.what);
            }
            if report.failed > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
        }
        Cli::Replay { seed } => {
            let outcome = sim::sweep::run(&sim::workload::plan(seed), Trace::kept());
            for line in outcome.trace.lines() {
                println!("{line}");
            }
            println!("{:?}", outcome.violations);
            println!("hash {:016x} events {}", outcome.hash, outcome.events);
            ExitCode::SUCCESS
        }
    }
}
