//! gearmand, Debian's gearman-job-server: named functions, one job at a time a worker, a queue in the server.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::Context;

use super::process::{Server, free_address};
use super::{Installed, Peer, find_program};

pub(super) fn find() -> anyhow::Result<Installed> {
    let program =
        find_program("gearmand").context("gearmand is not installed: `apt-get install gearman-job-server`")?;
    Ok(Installed { peer: Peer::Gearmand, program, _files: None })
}

/// It cannot say which port it took, so it is given one that is free, and another when somebody was faster.
pub(super) fn start(program: &Path) -> anyhow::Result<Server> {
    let mut result = start_at(program, free_address()?);
    for _ in 1..ATTEMPTS_MAX {
        if result.is_ok() {
            break;
        }
        result = start_at(program, free_address()?);
    }
    result
}

/// One worker is woken a job: by default all 64 would be, for each, and none of its figures would mean anything. Its
/// threads stay at the default of four, under load the fastest of 1, 2, 4 and 8.
fn start_at(program: &Path, address: SocketAddr) -> anyhow::Result<Server> {
    let files = tempfile::tempdir()?;
    let mut command = Command::new(program);
    command
        .args(["--listen", &address.ip().to_string(), "--port", &address.port().to_string()])
        .args(["--backlog", "1024", "--worker-wakeup", "1", "--log-file", "stderr", "--config-file", "/dev/null"])
        .arg("--pid-file")
        .arg(files.path().join("gearmand.pid"));
    Server::start_silent(&mut command, Some(files), address)
}

const ATTEMPTS_MAX: usize = 3;
