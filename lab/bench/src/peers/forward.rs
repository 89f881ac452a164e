//! The bare forwarder on our own engine: a hidden command of the benchmark itself, in a process of its own.

use std::path::Path;
use std::process::Command;

use anyhow::Context;

use super::majordomo::beside_us;
use super::process::{Addresses, Server};
use super::{Installed, Peer};

pub(super) fn find() -> anyhow::Result<Installed> {
    let program = beside_us("bench").context("the benchmark does not find itself: `cargo build --package bench`")?;
    Ok(Installed { peer: Peer::Forward, program, _files: None })
}

pub(super) fn start(program: &Path) -> anyhow::Result<Server> {
    Server::start_announcing(Command::new(program).arg("forward"), None, |line| {
        let mut endpoints = line.strip_prefix("ready ")?.split(' ').map(|endpoint| endpoint.strip_prefix("tcp://"));
        let (clients, workers) = (endpoints.next()??.parse().ok()?, endpoints.next()??.parse().ok()?);
        Some(Addresses { clients, workers, curve: None })
    })
}
