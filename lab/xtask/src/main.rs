//! `cargo xtask`: what the project does to itself. One subcommand a file or folder; here is only the command line.

#![allow(clippy::print_stdout, reason = "a program for people: its lines are its result")]

mod bench;
mod crash;
mod fuzz;
mod layers;
mod process;
mod rust_source;
mod sim;
mod test;
mod tidy;
mod tools;
mod tree;
mod violation;

use std::process::ExitCode;

use anyhow::Context;
use cargo_metadata::MetadataCommand;
use clap::Parser;

/// Checks, tests and benchmarks of the project.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask")]
enum Arguments {
    /// Check who imports whom, and that the machines are pure
    Layers,
    /// Check files, licences, links and promises in docs
    Tidy,
    /// Run the fuzz targets from their kept corpus
    Fuzz(fuzz::Arguments),
    /// Install what the tests need, then run everything that must hold
    Test(test::Arguments),
    /// Run the simulator: many seeds, or one again
    Sim(sim::Arguments),
    /// Crash Titanic's log, or damage it, many times
    Crash(crash::Arguments),
    /// Measure ours and its peers side by side
    Bench(bench::Arguments),
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if !error.is::<test::Failed>() {
                eprintln!("error: {error:#}");
            }
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let metadata = MetadataCommand::new().exec().context("asking cargo about the workspace")?;
    match arguments {
        Arguments::Layers => layers::run(&metadata),
        Arguments::Tidy => tidy::run(&metadata),
        Arguments::Fuzz(arguments) => fuzz::run(&metadata, arguments),
        Arguments::Test(arguments) => test::run(&metadata, arguments),
        Arguments::Sim(arguments) => sim::run(&metadata, arguments),
        Arguments::Crash(arguments) => crash::run(&metadata, arguments),
        Arguments::Bench(arguments) => bench::run(&metadata, arguments),
    }
}
