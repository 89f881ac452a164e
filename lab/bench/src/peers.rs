//! The servers that are compared: which there are, how each is found, started, loaded and stopped.
//!
//! A peer is a foreign program in a process of its own on a free port of the loopback, started afresh for every
//! measurement and ended by its process id. Each is set up as its own documentation would for speed; the reasons stand
//! in its file.

mod forward;
mod gearmand;
pub mod keepers;
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

use crate::load::mixed::{Mix, MixedOutcome};
use crate::load::{self, Curve, Outcome};
use crate::measure::Gauge;
use crate::plan::Plan;
use crate::results::Named;
use crate::wire::forward::Forward;
use crate::wire::gearman::Gearman;
use crate::wire::lru::Lru;
use crate::wire::mdp::Mdp;
use crate::wire::mdp03::{Answers, Mdp03};
use crate::wire::nats::Nats;

/// A server to compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Peer {
    /// Our own broker, MDP 0.1.
    Majordomo,
    /// Our own broker, MDP 0.3: many requests in flight, workers with credit.
    #[value(name = "majordomo-0.3")]
    #[serde(rename = "majordomo-0.3")]
    Native,
    /// The same, keeping each answer for a client that repeats its request, which none of the others does.
    #[value(name = "majordomo-0.3-kept")]
    #[serde(rename = "majordomo-0.3-kept")]
    Keeping,
    /// A bare ROUTER-ROUTER forwarder on our own engine: what our broker would be if it did nothing.
    Forward,
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
            Self::Native => "majordomo-0.3",
            Self::Keeping => "majordomo-0.3-kept",
            Self::Forward => "forward",
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
            Self::Majordomo | Self::Native | Self::Keeping => majordomo::find(self, broker),
            Self::Forward => forward::find(),
            Self::Gearmand => gearmand::find(),
            Self::Nats => nats::find(),
            Self::Libzmq => libzmq::find(),
        }
    }
}

impl Named for Peer {
    fn name(self) -> &'static str {
        Self::name(self)
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
    /// Where the program is.
    pub fn program(&self) -> &Path {
        &self.program
    }

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
            Peer::Majordomo | Peer::Native | Peer::Keeping => majordomo::start(&self.program, None),
            Peer::Forward => forward::start(&self.program),
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
            Peer::Majordomo | Peer::Native | Peer::Keeping => majordomo::start(&self.program, Some(&pair)),
            Peer::Libzmq => libzmq::start(&self.program, Some(&pair)),
            Peer::Gearmand | Peer::Nats | Peer::Forward => bail!("{} knows no CURVE", self.peer.name()),
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
            Peer::Native | Peer::Keeping => {
                load::run_beside(&self.native(plan.credit), addresses, plan, &gauge, disturb)
            }
            Peer::Forward => load::run_beside(&Forward, addresses, plan, &gauge, disturb),
            Peer::Gearmand => load::run_beside(&Gearman, addresses, plan, &gauge, disturb),
            Peer::Nats => load::run_beside(&Nats, addresses, plan, &gauge, disturb),
            Peer::Libzmq => load::run_beside(&Lru, addresses, plan, &gauge, disturb),
        };
        outcome.map_err(|error| self.explain(error, server))
    }

    /// Lets the jobs of `mix` arrive at a server that [`Installed::start`] started. A worker does one at a time, and is
    /// given one at a time where its protocol can say so.
    ///
    /// # Errors
    /// As [`Installed::load`].
    pub fn load_mixed(&self, server: &Server, mix: &Mix, seed: u64) -> anyhow::Result<MixedOutcome> {
        let addresses = server.addresses();
        let outcome = match self.peer {
            Peer::Majordomo => load::mixed::run(&Mdp, addresses, mix, seed),
            Peer::Native | Peer::Keeping => load::mixed::run(&self.native(1), addresses, mix, seed),
            Peer::Forward => load::mixed::run(&Forward, addresses, mix, seed),
            Peer::Gearmand => load::mixed::run(&Gearman, addresses, mix, seed),
            Peer::Nats => load::mixed::run(&Nats, addresses, mix, seed),
            Peer::Libzmq => load::mixed::run(&Lru, addresses, mix, seed),
        };
        outcome.map_err(|error| self.explain(error, server))
    }

    fn native(&self, credit: u32) -> Mdp03 {
        Mdp03 { credit, answers: if self.peer == Peer::Keeping { Answers::Kept } else { Answers::Forgotten } }
    }

    fn explain(&self, error: anyhow::Error, server: &Server) -> anyhow::Error {
        match server.last_words() {
            words if words.is_empty() => error,
            words => error.context(format!("the last words of {}:\n{words}", self.peer.name())),
        }
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
