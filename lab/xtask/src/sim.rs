//! `cargo xtask sim`: builds the simulator in release mode and lets it do its work.

use cargo_metadata::Metadata;

use crate::process;

/// The command line of `cargo xtask sim`.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Arguments {
    /// For the simulator itself; `cargo xtask sim --help` lists them. Flags alone are those of its sweep:
    /// `cargo xtask sim --seeds 10000`; with --mutants first, those of its mutation check; with --scale
    /// first, those of its large worlds
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Runs the simulator.
///
/// # Errors
/// When it does not build, or an oracle objects.
pub(crate) fn run(metadata: &Metadata, arguments: &Arguments) -> anyhow::Result<()> {
    let mut command = process::cargo(&["run", "--release", "--quiet", "--package", "sim"]);
    command.current_dir(&metadata.workspace_root);
    let mut words = arguments.arguments.iter().map(String::as_str).peekable();
    if words.next_if(|word| ["--mutants", "mutants"].contains(word)).is_some() {
        command.args(["--features", "mutants", "--", "mutants"]);
    } else if words.next_if_eq(&"--scale").is_some() {
        command.args(["--", "scale"]);
    } else {
        command.arg("--");
        if words.peek().is_none_or(|word| word.starts_with("--") && *word != "--help") {
            command.arg("sweep");
        }
    }
    process::run(command.args(words))
}
