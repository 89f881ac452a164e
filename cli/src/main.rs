//! The `majordomo` command: reads its settings, runs one command, and ends with a status that tells the truth.
//!
//! 0 done; 1 failed; 2 bad usage or configuration; 3 not known (`fetch`). Settings come from the configuration file,
//! then the environment (`MAJORDOMO_*`), then the flags; the last one wins. One definition of each flag feeds all
//! three, the help, the man page and the completions.

mod announce;
mod args;
mod commands;
mod discovery;
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
    let telemetry = match telemetry::start(cli.log_level(), cli.otlp.as_deref()) {
        Ok(telemetry) => telemetry,
        Err(problem) => return usage::report(&problem),
    };
    let outcome = commands::run(cli);
    telemetry.finish();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => usage::report_failure(&failure),
    }
}
