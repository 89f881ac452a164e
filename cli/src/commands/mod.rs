//! One file a command.

mod broker;
mod call;
mod completions;
mod demo;
mod keygen;
mod man;
mod services;
mod worker;

use std::future::Future;

use anyhow::Context;

use crate::args::{Cli, Command};
use crate::usage::Unsuccessful;

/// Runs the command of the line.
pub(crate) fn run(cli: Cli) -> Result<(), Unsuccessful> {
    match cli.command {
        Command::Demo(demo) => on_runtime(demo::run(demo, cli.json)),
        Command::Broker(broker) => on_one_thread(broker::run(*broker)),
        Command::Keygen(settings) => keygen::run(&settings, cli.json),
        Command::Worker(worker) => on_runtime(worker::run(worker)),
        Command::Call(call) => on_runtime(call::run(call, cli.json)),
        Command::Services(services) => on_runtime(services::run(services, cli.json)),
        Command::Completions { shell } => Ok(completions::print(shell)?),
        Command::Man => Ok(man::print()?),
    }
}

/// The broker is one machine: with its connections on the same thread a request crosses no thread boundary.
fn on_one_thread(command: impl Future<Output = Result<(), Unsuccessful>>) -> Result<(), Unsuccessful> {
    run_on(tokio::runtime::Builder::new_current_thread(), command)
}

fn on_runtime(command: impl Future<Output = Result<(), Unsuccessful>>) -> Result<(), Unsuccessful> {
    run_on(tokio::runtime::Builder::new_multi_thread(), command)
}

fn run_on(
    mut runtime: tokio::runtime::Builder,
    command: impl Future<Output = Result<(), Unsuccessful>>,
) -> Result<(), Unsuccessful> {
    let runtime = runtime.enable_all().build().context("cannot start the asynchronous runtime")?;
    runtime.block_on(command)
}
