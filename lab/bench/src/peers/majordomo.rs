//! Our own broker: `majordomo broker`, from the same build as this benchmark.

use std::env;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Command;

use anyhow::Context;
use tempfile::TempDir;
use zmtp::curve::KeyPair;

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

pub(super) fn start(program: &Path, curve: Option<&KeyPair>) -> anyhow::Result<Server> {
    let mut command = Command::new(program);
    command.args(["broker", "--bind", "tcp://127.0.0.1:0", "-q"]);
    let files = curve.map(key_file).transpose()?;
    if let Some(files) = &files {
        command.arg("--curve-secret").arg(files.path().join(KEY_FILE));
    }
    Server::start_announcing(&mut command, files, |line| {
        let address = line.strip_prefix("ready tcp://")?.trim().parse().ok()?;
        Some(Addresses::shared(address))
    })
}

/// A folder with the secret key in a file, as the broker wants it.
fn key_file(pair: &KeyPair) -> anyhow::Result<TempDir> {
    let files = tempfile::tempdir()?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(files.path().join(KEY_FILE))?;
    writeln!(file, "{}", &*pair.secret.to_z85())?;
    Ok(files)
}

const KEY_FILE: &str = "bench.key";
