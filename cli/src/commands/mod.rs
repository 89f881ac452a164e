//! One file a command.

mod bench;
mod broker;
mod call;
mod completions;
mod demo;
mod drain;
mod embedded;
mod keygen;
mod man;
mod mesh;
mod requests;
mod services;
mod titanic;
mod top;
mod worker;

use std::future::Future;
use std::time::Duration;

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
        Command::Mesh(mesh) => on_runtime(mesh::run(mesh, cli.json)),
        Command::Top(top) => on_runtime(top::run(top, cli.json)),
        Command::Drain(drain) => on_runtime(drain::run(drain, cli.json)),
        Command::Bench(bench) => on_runtime(bench::run(bench, cli.json)),
        Command::Titanic(settings) => on_runtime(titanic::run(*settings, cli.json)),
        Command::Submit(settings) => on_runtime(requests::submit(settings, cli.json)),
        Command::Fetch(settings) => on_runtime(requests::fetch(settings, cli.json)),
        Command::Close(settings) => on_runtime(requests::close(settings)),
        Command::Dead(command) => on_runtime(requests::dead(command, cli.json)),
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

/// A rate, for people and for scripts.
fn per_second(count: u64, elapsed: Duration) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "no count comes near what a double holds exactly")]
    let count = count as f64;
    count / elapsed.as_secs_f64().max(f64::EPSILON)
}
