//! `majordomo completions SHELL`: from the same definitions as the flags themselves.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::args::Cli;
use crate::output;

pub(super) fn print(shell: Shell) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "majordomo", &mut script);
    output::bytes(&script)
}
