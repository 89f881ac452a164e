//! `cargo xtask test`: installs what the tests need, then runs everything that must hold, one step after the other.
//!
//! A step that fails does not stop the next one: one run shows all that is wrong. [`steps`] is the list, [`report`] the
//! headings and the table at the end; [`crate::tools`] installs.

mod report;
mod steps;

use std::fmt;
use std::time::Instant;

use cargo_metadata::Metadata;

use crate::tools::Tools;
use report::Report;

/// The command line of `cargo xtask test`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Install nothing, fetch nothing; tests against a foreign peer that is missing say so and pass
    #[arg(long)]
    offline: bool,
    /// The steps to run; all of them when none is named
    #[arg(value_name = "STEP")]
    steps: Vec<String>,
}

/// Runs the steps and prints a table of them.
///
/// # Errors
/// When a step failed, or a name is unknown.
pub(crate) fn run(metadata: &Metadata, arguments: &Arguments) -> anyhow::Result<()> {
    let chosen = steps::chosen(&arguments.steps)?;
    let mut report = Report::default();
    let started = Instant::now();
    report.heading(TOOLS);
    let tools = if arguments.offline { Tools::present(metadata) } else { Tools::installed(metadata) };
    report.finished(TOOLS, started.elapsed(), tools.complaint(arguments.offline));
    for step in chosen {
        report.heading(step.name);
        let started = Instant::now();
        let result = (step.run)(&steps::Context { metadata, tools: &tools, offline: arguments.offline });
        report.finished(step.name, started.elapsed(), result);
    }
    println!("{report}");
    if report.passed() { Ok(()) } else { Err(Failed.into()) }
}

/// Some step failed. The report has said so already, in what must stay the last line.
#[derive(Debug)]
pub(crate) struct Failed;

impl fmt::Display for Failed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a step failed")
    }
}

impl std::error::Error for Failed {}

/// The first step, which the others stand on.
const TOOLS: &str = "tools";
