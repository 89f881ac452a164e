//! `cargo xtask sim`: builds the simulator in release mode and lets it do its work.

use cargo_metadata::Metadata;

use crate::process;

/// The command line of `cargo xtask sim`.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Arguments {
    /// For the simulator itself; `cargo xtask sim --help` lists them. Flags alone are those of its sweep:
    /// `cargo xtask sim --seeds 10000`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Runs the simulator.
///
/// # Errors
/// When it does not build, or an oracle objects.
pub(crate) fn run(metadata: &Metadata, arguments: &Arguments) -> anyhow::Result<()> {
    let mut command = process::cargo(&["run", "--release", "--quiet", "--package", "sim", "--"]);
    command.current_dir(&metadata.workspace_root);
    let is_flag = |argument: &String| argument.starts_with("--") && argument != "--help";
    if arguments.arguments.first().is_none_or(is_flag) {
        command.arg("sweep");
    }
    process::run(command.args(&arguments.arguments))
}
