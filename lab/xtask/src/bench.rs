//! `cargo xtask bench`: builds what is measured and what measures, then lets lab/bench do its work.

use std::process::Command;

use cargo_metadata::Metadata;

use crate::process;

/// The command line of `cargo xtask bench`.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Arguments {
    /// For the benchmark itself; `cargo xtask bench --help` lists them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Measures in release mode.
///
/// # Errors
/// When something does not build, or a measurement fails.
pub(crate) fn run(metadata: &Metadata, arguments: &Arguments) -> anyhow::Result<()> {
    let root = metadata.workspace_root.as_std_path();
    process::run(process::cargo(&["build", "--release", "--package", "majordomo"]).current_dir(root))?;
    let mut bench = process::cargo(&["run", "--release", "--package", "bench", "--"]);
    process::run(bench.args(&arguments.arguments).current_dir(root))
}

/// Shows that the benchmark works: one short round in `cargo`'s debug build, whose figures mean nothing.
///
/// # Errors
/// As [`run`].
pub(crate) fn smoke(mut cargo: Command) -> anyhow::Result<()> {
    process::run(cargo.args(["run", "--package", "bench", "--"]).args(SMOKE))
}

const SMOKE: &[&str] = &["rpc", "--rounds", "1", "--seconds", "1", "--sizes", "64", "--patterns", "1x1,50x20"];
