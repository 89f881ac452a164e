//! Our own broker: `majordomo broker`, from the same build as this benchmark.

use std::env;
use std::path::Path;
use std::process::Command;

use anyhow::Context;

use super::process::{Addresses, Server};
use super::{Installed, Peer};

pub(super) fn find(broker: Option<&Path>) -> anyhow::Result<Installed> {
    let program = match broker {
        Some(path) => Some(path.to_owned()).filter(|path| path.is_file()),
        None => beside_us(),
    };
    let program =
        program.context("majordomo is not built: `cargo build --release -p majordomo`, or name it with --broker")?;
    Ok(Installed { peer: Peer::Majordomo, program, _files: None })
}

/// `target/release/bench` and `target/release/majordomo` are neighbours; a test's program lies one folder deeper.
fn beside_us() -> Option<std::path::PathBuf> {
    let us = env::current_exe().ok()?;
    us.ancestors().skip(1).take(2).map(|folder| folder.join("majordomo")).find(|candidate| candidate.is_file())
}

pub(super) fn start(program: &Path) -> anyhow::Result<Server> {
    let mut command = Command::new(program);
    command.args(["broker", "--bind", "tcp://127.0.0.1:0", "-q"]);
    Server::start_announcing(&mut command, None, |line| {
        let address = line.strip_prefix("ready tcp://")?.trim().parse().ok()?;
        Some(Addresses::shared(address))
    })
}
