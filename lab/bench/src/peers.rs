//! The servers that are compared: which there are, how each is found, started, loaded and stopped.
//!
//! A peer is a foreign program in a process of its own on a free port of the loopback, started afresh for every
//! measurement and ended by its process id. Each is set up as its own documentation would for speed; the reasons stand
//! in its file.

mod gearmand;
mod libzmq;
mod majordomo;
mod nats;
mod process;

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::bail;
use clap::ValueEnum;
use serde::Serialize;
use tempfile::TempDir;
use zmtp::KEY_BYTES;
use zmtp::curve::{KeyPair, SecretKey};

pub use libzmq::compile;
pub use process::{Addresses, Server};

use crate::load::{self, Curve, Outcome};
use crate::measure::Gauge;
use crate::plan::Plan;
use crate::wire::gearman::Gearman;
use crate::wire::lru::Lru;
use crate::wire::mdp::Mdp;
use crate::wire::nats::Nats;

/// A server to compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Peer {
    /// Our own broker, MDP 0.1.
    Majordomo,
    /// Debian's gearman-job-server: the nearest semantics to MDP.
    Gearmand,
    /// nats-server, request-reply over a queue group.
    Nats,
    /// A ROUTER-ROUTER proxy on libzmq, least recently used worker first.
    Libzmq,
}

impl Peer {
    /// As it is called on the command line and in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Majordomo => "majordomo",
            Self::Gearmand => "gearmand",
            Self::Nats => "nats",
            Self::Libzmq => "libzmq",
        }
    }

    /// Finds its program; `broker` says where ours is, when it is not beside this one.
    ///
    /// # Errors
    /// It is not installed: the text says how to get it.
    pub fn find(self, broker: Option<&Path>) -> anyhow::Result<Installed> {
        match self {
            Self::Majordomo => majordomo::find(broker),
            Self::Gearmand => gearmand::find(),
            Self::Nats => nats::find(),
            Self::Libzmq => libzmq::find(),
        }
    }
}

/// A peer whose program is there.
#[derive(Debug)]
pub struct Installed {
    /// Which one.
    pub peer: Peer,
    program: PathBuf,
    /// A program that we compiled ourselves vanishes with it.
    _files: Option<TempDir>,
}

impl Installed {
    /// What the program says about its version, one line.
    pub fn version(&self) -> String {
        let output = Command::new(&self.program).arg("--version").output();
        let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
        let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("version unknown");
        // gearmand goes on with where to complain.
        line.split(" - ").next().unwrap_or(line).to_owned()
    }

    /// Starts it on a free port of the loopback.
    ///
    /// # Errors
    /// It does not start, or does not listen.
    pub fn start(&self) -> anyhow::Result<Server> {
        match self.peer {
            Peer::Majordomo => majordomo::start(&self.program, None),
            Peer::Gearmand => gearmand::start(&self.program),
            Peer::Nats => nats::start(&self.program),
            Peer::Libzmq => libzmq::start(&self.program, None),
        }
    }

    /// Starts it with a new key pair over CURVE, which lets in whoever knows the public key.
    ///
    /// # Errors
    /// As [`start`](Self::start); the peer knows no CURVE; the system has no random octets.
    pub fn start_with_curve(&self) -> anyhow::Result<Server> {
        let (mut server, mut client) = ([0; KEY_BYTES], [0; KEY_BYTES]);
        getrandom::fill(&mut server)?;
        getrandom::fill(&mut client)?;
        let pair = KeyPair::new(SecretKey::from(server));
        let started = match self.peer {
            Peer::Majordomo => majordomo::start(&self.program, Some(&pair)),
            Peer::Libzmq => libzmq::start(&self.program, Some(&pair)),
            Peer::Gearmand | Peer::Nats => bail!("{} knows no CURVE", self.peer.name()),
        };
        Ok(started?.with_curve(Some(Curve { server: pair.public, secret: client })))
    }

    /// Runs `plan` against a server that [`Installed::start`] started, in the protocol that it speaks.
    ///
    /// # Errors
    /// As [`load::run`], with the last words of the server.
    pub fn load(&self, server: &Server, plan: &Plan) -> anyhow::Result<Outcome> {
        self.load_beside(server, plan, || Ok(())).map(|(outcome, ())| outcome)
    }

    /// As [`Installed::load`], beside a disturbance that begins once all connections are taken in.
    ///
    /// # Errors
    /// As [`Installed::load`], and those of `disturb`.
    pub fn load_beside<D>(
        &self,
        server: &Server,
        plan: &Plan,
        disturb: impl FnOnce() -> anyhow::Result<D>,
    ) -> anyhow::Result<(Outcome, D)> {
        let (addresses, gauge) = (server.addresses(), Gauge::new(server.pid()));
        let outcome = match self.peer {
            Peer::Majordomo => load::run_beside(&Mdp, addresses, plan, &gauge, disturb),
            Peer::Gearmand => load::run_beside(&Gearman, addresses, plan, &gauge, disturb),
            Peer::Nats => load::run_beside(&Nats, addresses, plan, &gauge, disturb),
            Peer::Libzmq => load::run_beside(&Lru, addresses, plan, &gauge, disturb),
        };
        outcome.map_err(|error| match server.last_words() {
            words if words.is_empty() => error,
            words => error.context(format!("the last words of {}:\n{words}", self.peer.name())),
        })
    }
}

/// Finds `program` on the search path, in the system's folder for servers, or among the project's test tools.
fn find_program(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let tools = env::var_os("MAJORDOMO_TEST_PYTHON").map(PathBuf::from);
    let beside_python = tools.as_deref().and_then(Path::parent).map(Path::to_owned);
    let target = env::current_exe().unwrap_or_default();
    let installed = target.ancestors().map(|folder| folder.join("test-tools/python/bin"));
    env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin")])
        .chain(beside_python)
        .chain(installed)
        .map(|folder| folder.join(program))
        .find(|candidate| candidate.is_file())
}
