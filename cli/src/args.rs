//! The command line, defined once.

mod security;

use std::path::PathBuf;
use std::time::Duration;

use broker::ServiceName;
use bytesize::ByteSize;
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use crud::{cache, store};
use runtime::zmtp::{Endpoint, PublicKey};
use security::{SECURITY, public_key};

pub(crate) use security::{Keygen, PerPeer, Security, User};

/// ZeroMQ service messaging: a broker, workers, and calls that survive the death of either.
#[derive(Debug, Parser)]
#[command(name = "majordomo", version, propagate_version = true, arg_required_else_help = true)]
pub(crate) struct Cli {
    /// Settings as TOML: a table for each command, a key for each flag; flags and MAJORDOMO_* come after it
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Print one JSON object a line
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Log more (twice: still more)
    #[arg(short, long, global = true, action = ArgAction::Count)]
    verbose: u8,
    /// Log errors only
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What the process is to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the whole suite in this process and take the purchase-order tour through it
    Demo(Demo),
    /// Run a broker: MDP 0.1 and 0.2 on the same socket, and MMI
    Broker(Box<Broker>),
    /// Make a CURVE key pair: NAME.key for its owner alone, NAME.pub for everybody else
    Keygen(Keygen),
    /// Run a worker
    #[command(subcommand)]
    Worker(Worker),
    /// Call a service and print the reply, a frame a line
    Call(Call),
    /// Show what a broker serves
    Services(Services),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    Man,
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Keep everything up after the tour, until SIGINT or SIGTERM
    #[arg(long)]
    pub(crate) serve: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Broker {
    /// Where to listen, e.g. tcp://127.0.0.1:5555 or ipc:///run/majordomo.sock; may be given several times
    #[arg(long, value_name = "ENDPOINT", default_value = "tcp://127.0.0.1:5555", value_delimiter = ',')]
    pub(crate) bind: Vec<Endpoint>,
    /// A name for logs and metrics
    #[arg(long, default_value = "app")]
    pub(crate) name: String,
    /// Serve Prometheus metrics over HTTP at this address
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) metrics: Option<std::net::SocketAddr>,
    #[command(flatten)]
    pub(crate) security: Security,
    #[command(flatten)]
    pub(crate) heartbeat: Heartbeat,
    #[command(flatten)]
    pub(crate) policy: Policy,
    /// What a client of MDP 0.1 or 0.2, which have no error reply, is told when its queued request fails
    #[arg(long, value_enum, default_value = "silence")]
    pub(crate) error_replies: ErrorReplies,
    /// Requests that may wait, of all services together
    #[arg(long, value_name = "COUNT", default_value = "100000")]
    pub(crate) queued_max: usize,
    /// Bytes of the requests that may wait, of all services together
    #[arg(long, value_name = "SIZE", default_value = "128MiB")]
    pub(crate) queued_bytes_max: ByteSize,
    /// Services known at once
    #[arg(long, value_name = "COUNT", default_value = "20000")]
    pub(crate) services_max: usize,
    /// Connections at once
    #[arg(
        long,
        value_name = "COUNT",
        default_value = "10240",
        value_parser = clap::value_parser!(u32).range(1..=1_000_000)
    )]
    pub(crate) connections_max: u32,
    /// Bytes of one message
    #[arg(long, value_name = "SIZE", default_value = "64MiB")]
    pub(crate) message_bytes_max: ByteSize,
    #[command(flatten)]
    pub(crate) per_peer: PerPeer,
    /// Policies of single services; only in the configuration file, as [broker.service.NAME]
    #[arg(skip)]
    pub(crate) services: std::collections::BTreeMap<ServiceName, Policy>,
}

#[derive(Debug, Args)]
pub(crate) struct Heartbeat {
    /// How often each side shows that it lives
    #[arg(long, value_name = "DURATION", default_value = "2500ms", value_parser = positive_duration)]
    pub(crate) heartbeat: Duration,
    /// How many silent intervals make a peer dead
    #[arg(long, value_name = "COUNT", default_value = "3", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) liveness: u32,
}

/// How a service is treated.
#[derive(Debug, Clone, Args)]
pub(crate) struct Policy {
    /// A request for a service without workers waits, or is refused at once
    #[arg(long, value_enum, default_value = "queue")]
    pub(crate) no_worker: NoWorker,
    /// Requests that may wait for one service
    #[arg(long, value_name = "COUNT", default_value = "10000")]
    pub(crate) queue_max: usize,
    /// How long a request may wait for a worker
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = positive_duration)]
    pub(crate) queue_wait: Duration,
    /// How long a worker that does not heartbeat while it works may be silent over a request
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = positive_duration)]
    pub(crate) busy_timeout: Duration,
    /// How many workers a request is given to before it is given up
    #[arg(long, value_name = "COUNT", default_value = "3", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) attempts: u32,
    /// A queued request whose client has left is run all the same, or dropped
    #[arg(long, value_enum, default_value = "run")]
    pub(crate) abandoned: Abandoned,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum NoWorker {
    /// Wait for a worker
    Queue,
    /// Answer 503 at once
    Refuse,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Abandoned {
    /// Give it to a worker
    Run,
    /// Forget it
    Drop,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum ErrorReplies {
    /// Nothing; its own timeout acts
    Silence,
    /// A reply of one frame: three digits and a reason
    Status,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Worker {
    /// Reply with the request's body
    Echo(Echo),
    /// Serve purchase orders (POSave, POSelect, POUpdate, PODelete) through a database worker
    Mm(Mm),
    /// Serve a database: CREATE, RETRIEVE, UPDATE, DELETE
    Db(Db),
    /// Serve any program: the body on its standard input, the reply from its standard output
    Exec(Exec),
}

#[derive(Debug, Args)]
pub(crate) struct Session {
    /// The broker to work for
    #[arg(long, value_name = "ENDPOINT")]
    pub(crate) broker: Endpoint,
    #[command(flatten)]
    pub(crate) heartbeat: Heartbeat,
    #[command(flatten)]
    pub(crate) security: Security,
}

#[derive(Debug, Args)]
pub(crate) struct Echo {
    #[command(flatten)]
    pub(crate) session: Session,
    /// The service to offer
    #[arg(long, default_value = "echo")]
    pub(crate) service: ServiceName,
    /// How long each reply takes
    #[arg(long, value_name = "DURATION", default_value = "0ms", value_parser = humantime::parse_duration)]
    pub(crate) delay: Duration,
}

#[derive(Debug, Args)]
pub(crate) struct Mm {
    #[command(flatten)]
    pub(crate) session: Session,
    /// The broker of the database workers
    #[arg(long, value_name = "ENDPOINT")]
    pub(crate) db_broker: Endpoint,
    /// That broker's public key, when it is another than --curve-server-key
    #[arg(long, help_heading = SECURITY, value_name = "KEY", value_parser = public_key)]
    pub(crate) db_curve_server_key: Option<PublicKey>,
    /// The service to offer
    #[arg(long, default_value = "MM")]
    pub(crate) service: ServiceName,
    /// The service of the database workers
    #[arg(long, default_value = "MongoDB")]
    pub(crate) db_service: ServiceName,
    #[command(flatten)]
    pub(crate) patience: Patience,
}

#[derive(Debug, Args)]
pub(crate) struct Db {
    #[command(flatten)]
    pub(crate) session: Session,
    /// mongodb://…, sqlite:FILE or sqlite::memory:
    #[arg(long)]
    pub(crate) store: store::Address,
    /// redis://…, memory: or none
    #[arg(long, default_value = "none")]
    pub(crate) cache: cache::Address,
    /// The service to offer
    #[arg(long, default_value = "MongoDB")]
    pub(crate) service: ServiceName,
}

#[derive(Debug, Args)]
pub(crate) struct Exec {
    #[command(flatten)]
    pub(crate) session: Session,
    /// The service to offer
    #[arg(long)]
    pub(crate) service: ServiceName,
    /// The program and its arguments, after `--`
    #[arg(required = true, last = true, value_name = "CMD")]
    pub(crate) command: Vec<std::ffi::OsString>,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Patience {
    /// How long to wait for a reply before trying again
    #[arg(long, value_name = "DURATION", default_value = "2500ms", value_parser = positive_duration)]
    pub(crate) timeout: Duration,
    /// How often to try in all
    #[arg(long, value_name = "COUNT", default_value = "3", value_parser = clap::value_parser!(u32).range(1..=255))]
    pub(crate) retries: u32,
}

#[derive(Debug, Args)]
pub(crate) struct Call {
    /// The broker to ask
    #[arg(long, value_name = "ENDPOINT")]
    pub(crate) broker: Endpoint,
    #[command(flatten)]
    pub(crate) patience: Patience,
    #[command(flatten)]
    pub(crate) security: Security,
    /// The service to call
    pub(crate) service: ServiceName,
    /// The body, a frame each; `-` is standard input, `@FILE` a file; none is one empty frame
    pub(crate) body: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Services {
    /// The broker to ask
    #[arg(long, value_name = "ENDPOINT")]
    pub(crate) broker: Endpoint,
    #[command(flatten)]
    pub(crate) patience: Patience,
    #[command(flatten)]
    pub(crate) security: Security,
}

impl Cli {
    /// How much to log. A server tells its operator what happens; a command that prints results warns only.
    pub(crate) fn log_level(&self) -> &'static str {
        let is_server = matches!(self.command, Command::Broker(_) | Command::Worker(_));
        match self.verbose {
            0 if self.quiet => "error",
            0 if is_server => "info",
            0 => "warn",
            1 => "debug",
            2.. => "trace",
        }
    }
}

fn positive_duration(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|error| format!("{error}; e.g. 2500ms, 3s, 1m"))?;
    if duration.is_zero() { Err("must be more than zero".to_owned()) } else { Ok(duration) }
}
