//! The `majordomo` command: reads its settings, runs one command, and ends with a status that tells the truth.
//!
//! 0 done; 1 failed; 2 bad usage or configuration. Settings come from the configuration file, then the environment
//! (`MAJORDOMO_*`), then the flags; the last one wins. One definition of each flag feeds all three, the help, the man
//! page and the completions.

mod args;
mod commands;
mod output;
mod security;
mod settings;
mod telemetry;
mod usage;

use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = match settings::read(std::env::args_os()) {
        Ok(cli) => cli,
        Err(problem) => return usage::report(&problem),
    };
    telemetry::log_to_stderr(cli.log_level());
    match commands::run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => usage::report_failure(&failure),
    }
}
