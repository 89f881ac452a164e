//! Our own broker: `majordomo broker`, from the same build as this benchmark.

use std::env;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;
use tempfile::TempDir;
use zmtp::curve::KeyPair;

use super::process::{Addresses, Server};
use super::{Installed, Peer};

pub(super) fn find(peer: Peer, broker: Option<&Path>) -> anyhow::Result<Installed> {
    Ok(Installed { peer, program: program(broker)?, _files: None })
}

pub(super) fn program(broker: Option<&Path>) -> anyhow::Result<PathBuf> {
    let program = match broker {
        Some(path) => Some(path.to_owned()).filter(|path| path.is_file()),
        None => beside_us("majordomo"),
    };
    program.context("majordomo is not built: `cargo build --release -p majordomo`, or name it with --broker")
}

/// What a line of the broker says about where it listens.
pub(super) fn address_of(line: &str) -> Option<Addresses> {
    line.strip_prefix("ready tcp://")?.trim().parse().ok().map(Addresses::shared)
}

/// `target/release/bench` and `target/release/majordomo` are neighbours; a test's program lies one folder deeper.
pub(super) fn beside_us(program: &str) -> Option<PathBuf> {
    let us = env::current_exe().ok()?;
    us.ancestors().skip(1).take(2).map(|folder| folder.join(program)).find(|candidate| candidate.is_file())
}

pub(super) fn start(program: &Path, curve: Option<&KeyPair>) -> anyhow::Result<Server> {
    let mut command = Command::new(program);
    command.args(["broker", "--bind", "tcp://127.0.0.1:0", "-q"]);
    command.args(["--queue-max", QUEUE_MAX, "--queued-max", QUEUE_MAX]);
    let files = curve.map(key_file).transpose()?;
    if let Some(files) = &files {
        command.arg("--curve-secret").arg(files.path().join(KEY_FILE));
    }
    Server::start_announcing(&mut command, files, address_of)
}

/// A folder with the secret key in a file, as the broker wants it.
fn key_file(pair: &KeyPair) -> anyhow::Result<TempDir> {
    let files = tempfile::tempdir()?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(files.path().join(KEY_FILE))?;
    writeln!(file, "{}", &*pair.secret.to_z85())?;
    Ok(files)
}

/// Whoever waits for a worker stands in the queue; the largest load has 100,000 outstanding.
const QUEUE_MAX: &str = "200000";
const KEY_FILE: &str = "bench.key";
