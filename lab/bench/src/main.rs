//! `bench`: runs the suites, prints what they found, and writes it into docs/PERFORMANCE.md when asked.
//!
//! Exit status: 0 measured; 1 something could not be measured, or a reply was lost or wrong; 2 bad usage.

use std::io::Write;
use std::process::ExitCode;

use bench::measure::Machine;
use bench::peers::Peer;
use bench::report::{Report, document};
use bench::suites::{Common, curve, durable, footprint, mesh, mixed, native, rpc};
use clap::{Parser, Subcommand};

/// Load generator and peers, side by side
#[derive(Debug, Parser)]
#[command(name = "bench", args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    suite: Option<Suite>,

    #[command(flatten)]
    rpc: rpc::Args,

    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Subcommand)]
enum Suite {
    /// Request and reply, our broker beside other servers (what `bench` alone does first, then `native`, `mixed` and
    /// `footprint`)
    Rpc(rpc::Args),
    /// MDP 0.3: the same with many requests in flight and workers with credit
    Native(native::Args),
    /// Short and long jobs mixed, for few workers: how long the short ones wait
    Mixed(mixed::Args),
    /// The same over CURVE beside libzmq with libsodium, handshakes, and a flood of them
    Curve(curve::Args),
    /// Titanic's durable acknowledgements beside other servers that keep what they are given; recovery, memory
    Durable(durable::Args),
    /// Memory of our broker, idle and for each idle connection
    Footprint(footprint::Args),
    /// The mesh: real nodes in network namespaces on a bridge, for which it needs root; `cargo xtask bench mesh` adds a
    /// simulated one
    Mesh(mesh::Args),
    /// Serves as the bare forwarder that our broker is compared with
    #[command(hide = true)]
    Forward,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // Nothing can be done about a closed standard error.
            let _ = writeln!(std::io::stderr(), "bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs what was asked for; whether everything could be measured.
fn run(cli: &Cli) -> anyhow::Result<bool> {
    let machine = Machine::read()?;
    cli.common.placement.settle_generator()?;
    let publish = |report: Report| publish(&report, &machine, &cli.common);
    match &cli.suite {
        Some(Suite::Rpc(args)) => publish(rpc::run(args, &cli.common)?),
        Some(Suite::Native(args)) => publish(native::run(args, &cli.common)?),
        Some(Suite::Mixed(args)) => publish(mixed::run(args, &cli.common)?),
        Some(Suite::Forward) => bench::forward::serve().map(|()| true),
        Some(Suite::Curve(args)) => publish(curve::run(args, &cli.common)?),
        Some(Suite::Durable(args)) => publish(durable::run(args, &cli.common)?),
        Some(Suite::Footprint(args)) => publish(footprint::run(args, &cli.common)?),
        Some(Suite::Mesh(args)) => publish(mesh::run(args, &cli.common)?),
        None => {
            let measured = publish(rpc::run(&cli.rpc, &cli.common)?)?;
            if !cli.rpc.peers.contains(&Peer::Majordomo) {
                return Ok(measured);
            }
            let native = publish(native::run(&native::Args::default(), &cli.common)?)?;
            let mixed = publish(mixed::run(&mixed::Args::default(), &cli.common)?)?;
            Ok(publish(footprint::run(&footprint::Args::default(), &cli.common)?)? && mixed && native && measured)
        }
    }
}

/// Prints a report, writes its section when asked; whether it is free of errors.
fn publish(report: &Report, machine: &Machine, common: &Common) -> anyhow::Result<bool> {
    let text = if common.json { report.to_json_lines(machine)? } else { report.to_text() };
    std::io::stdout().lock().write_all(text.as_bytes())?;
    if let Some(path) = &common.write {
        document::write_section(path, report.suite, &report.to_markdown(machine))?;
    }
    Ok(report.errors.is_empty())
}
