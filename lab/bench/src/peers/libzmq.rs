//! libzmq, as a small proxy in C that is compiled when it is needed and runs as a process of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};
use tempfile::TempDir;
use zmtp::curve::KeyPair;

use super::process::{Addresses, Server};
use super::{Installed, Peer};

pub(super) fn find() -> anyhow::Result<Installed> {
    let (files, program) = compile(PROXY)?;
    Ok(Installed { peer: Peer::Libzmq, program, _files: Some(files) })
}

pub(super) fn start(program: &Path, curve: Option<&KeyPair>) -> anyhow::Result<Server> {
    let mut command = Command::new(program);
    if let Some(pair) = curve {
        command.args(["--curve", &pair.secret.to_z85()]);
    }
    Server::start_announcing(&mut command, None, |line| {
        let mut endpoints = line.strip_prefix("ready ")?.split(' ').map(|endpoint| endpoint.strip_prefix("tcp://"));
        let (clients, workers) = (endpoints.next()??.parse().ok()?, endpoints.next()??.parse().ok()?);
        Some(Addresses { clients, workers, curve: None })
    })
}

/// Compiles a C program that uses libzmq; the program lives as long as the folder.
///
/// # Errors
/// No C compiler, no libzmq to build with, or wrong source.
pub fn compile(source: &str) -> anyhow::Result<(TempDir, PathBuf)> {
    let files = tempfile::tempdir()?;
    let (input, program) = (files.path().join("program.c"), files.path().join("program"));
    std::fs::write(&input, source)?;
    let output = Command::new("cc")
        .args(["-O2", "-Wall", "-Wextra", "-o"])
        .args([&program, &input])
        .arg("-lzmq")
        .output()
        .context("no C compiler: `apt-get install gcc libzmq3-dev`")?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        bail!("libzmq is not there to build with: `apt-get install libzmq3-dev`\n{errors}");
    }
    Ok((files, program))
}

const PROXY: &str = include_str!("../../proxy/lru_proxy.c");
