//! `cargo xtask bench`: builds what is measured and what measures, then lets lab/bench do its work.

use std::process::Command;

use cargo_metadata::Metadata;

use crate::process;
use crate::tools::Tools;

/// The command line of `cargo xtask bench`.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Arguments {
    /// For the benchmark itself; `cargo xtask bench --help` lists them. Without any, everything is measured and written
    /// into docs/PERFORMANCE.md
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Measures in release mode.
///
/// # Errors
/// When something does not build, or a measurement fails.
pub(crate) fn run(metadata: &Metadata, arguments: &Arguments) -> anyhow::Result<()> {
    let tools = Tools::installed(metadata);
    if let Err(error) = tools.complaint(false) {
        println!("{error:#}; measuring without");
    }
    let cargo = |words: &[&str]| {
        let mut command = process::cargo(words);
        command.current_dir(&metadata.workspace_root).envs(tools.environment());
        command
    };
    process::run(&mut cargo(&["build", "--release", "--package", "majordomo"]))?;
    let mut measure = cargo(&["run", "--release", "--package", "bench", "--"]);
    measure.args(&arguments.arguments);
    if arguments.arguments.is_empty() {
        measure.args(["--write", "docs/PERFORMANCE.md"]);
    }
    process::run(&mut measure)
}

/// Shows that the benchmark works: one short round of debug builds, whose figures mean nothing. `cargo` gives commands
/// that run in the right place; without `peers` only our own broker is measured.
///
/// # Errors
/// As [`run`].
pub(crate) fn smoke(cargo: impl Fn(&[&str]) -> Command, peers: bool) -> anyhow::Result<()> {
    process::run(&mut cargo(&["build", "--package", "majordomo", "--package", "bench"]))?;
    let alone: &[&str] = if peers { &[] } else { &["--peers", "majordomo"] };
    process::run(cargo(&["run", "--package", "bench", "--"]).args(SMOKE).args(alone))
}

const SMOKE: &[&str] = &["rpc", "--rounds", "1", "--seconds", "1", "--sizes", "64", "--patterns", "1x1,50x20"];
