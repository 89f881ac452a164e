//! The command line, defined once.

mod mesh;
mod operate;
mod security;
mod titanic;

use std::path::PathBuf;
use std::time::Duration;

use broker::ServiceName;
use bytesize::ByteSize;
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use crud::{cache, store};
use runtime::zmtp::{Endpoint, PublicKey};
use security::{SECURITY, public_key};

pub(crate) use mesh::{
    Chat, Discovery, MemberKeys, Mesh, MeshBench, MeshSend, MeshServe, MeshTop, Peers, Place, Watch,
};
pub(crate) use operate::{Bench, Drain, Top};
pub(crate) use security::{Keygen, PerPeer, Security, User};
pub(crate) use titanic::{AtTitanic, Close, Dead, Embedded, Fetch, Keeping, Serve, Submit, Titanic, TitanicCommand};

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
    /// Send the spans of requests to this OpenTelemetry collector, e.g. http://127.0.0.1:4318 (builds with `otel`)
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) otlp: Option<String>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What the process is to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the whole suite in this process and take the purchase-order tour through it
    Demo(Demo),
    /// Run a broker: MDP 0.1, 0.2 and 0.3 on the same socket, and MMI
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
    /// Keep requests until they are answered: titanic.request, titanic.reply, titanic.close (RFC 9)
    Titanic(Box<Titanic>),
    /// Hand a request to Titanic and print its id: from then on it survives whatever comes
    Submit(Submit),
    /// Print the answer to a request; exit status 1 when it is still pending, 3 when it is not known
    Fetch(Fetch),
    /// Forget a request and its answer
    Close(Close),
    /// Look after requests that Titanic has given up
    #[command(subcommand)]
    Dead(Dead),
    /// Take part in a mesh: nodes that find each other, without a broker and without addresses (ZRE)
    #[command(subcommand)]
    Mesh(Mesh),
    /// Watch a broker's services live
    Top(Top),
    /// Let a service, a worker or the whole broker finish what it has, and give it nothing more
    Drain(Drain),
    /// Put load on a service and show rates and percentiles
    Bench(Bench),
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
    /// How long to work off what was accepted after SIGINT or SIGTERM; a second signal ends at once
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = humantime::parse_duration)]
    pub(crate) drain_grace: Duration,
    /// Where those who are turned away by a drain can go instead; may be given several times, the best first
    #[arg(long, value_name = "ENDPOINT", value_delimiter = ',')]
    pub(crate) elsewhere: Vec<Endpoint>,
    /// Serve Prometheus metrics over HTTP at this address
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) metrics: Option<std::net::SocketAddr>,
    /// Tell the mesh where we listen and what we serve, so that `--broker mesh:` finds us
    #[arg(long)]
    pub(crate) mesh: bool,
    #[command(flatten)]
    pub(crate) discovery: Discovery,
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
    /// How long the answer to a request of MDP 0.3 is kept, so that the same request, when its client repeats it
    /// because it did not hear the answer, is answered again and not run again
    #[arg(long, value_name = "DURATION", default_value = "120s", value_parser = positive_duration)]
    pub(crate) kept_window: Duration,
    /// Answers that are kept at once; beyond, some are forgotten before their time, and a repeated request runs again
    #[arg(long, value_name = "COUNT", default_value = "100000")]
    pub(crate) kept_answers_max: usize,
    /// Bytes of the answers that are kept; beyond, as above
    #[arg(long, value_name = "SIZE", default_value = "64MiB")]
    pub(crate) kept_bytes_max: ByteSize,
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
    #[command(flatten)]
    pub(crate) titanic: Embedded,
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
    /// The broker to work for: an endpoint, or mesh: for any that is found in the mesh, mesh:NAME for one of that name
    #[arg(long, value_name = "ENDPOINT", required_unless_present = "mesh")]
    pub(crate) broker: Option<Place>,
    /// Work for no broker: offer the service in the mesh, where `call --broker mesh:` finds it
    #[arg(long, conflicts_with = "broker")]
    pub(crate) mesh: bool,
    /// With --mesh: where callers reach us; may be given several times. Other machines need e.g. tcp://0.0.0.0:0
    #[arg(
        long,
        value_name = "ENDPOINT",
        default_value = "tcp://127.0.0.1:0",
        value_delimiter = ',',
        conflicts_with = "broker"
    )]
    pub(crate) bind: Vec<Endpoint>,
    /// With --mesh: what to be called there [default: the service]
    #[arg(long, conflicts_with = "broker")]
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) discovery: Discovery,
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
    /// How many requests are answered at once [default: 64, or 1 where each takes a --delay]
    #[arg(long, value_name = "COUNT", value_parser = credit())]
    pub(crate) credit: Option<u32>,
}

#[derive(Debug, Args)]
pub(crate) struct Mm {
    #[command(flatten)]
    pub(crate) session: Session,
    /// The broker of the database workers: an endpoint, mesh: or mesh:NAME
    #[arg(long, value_name = "ENDPOINT")]
    pub(crate) db_broker: Place,
    /// That broker's public key, when it is another than --curve-server-key
    #[arg(long, help_heading = SECURITY, value_name = "KEY", value_parser = public_key)]
    pub(crate) db_curve_server_key: Option<PublicKey>,
    /// The service to offer
    #[arg(long, default_value = "MM")]
    pub(crate) service: ServiceName,
    /// The service of the database workers
    #[arg(long, default_value = "MongoDB")]
    pub(crate) db_service: ServiceName,
    /// How many requests are handled at once
    #[arg(long, value_name = "COUNT", default_value = "64", value_parser = credit())]
    pub(crate) credit: u32,
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
    /// How many requests are handled at once
    #[arg(long, value_name = "COUNT", default_value = "16", value_parser = credit())]
    pub(crate) credit: u32,
}

#[derive(Debug, Args)]
pub(crate) struct Exec {
    #[command(flatten)]
    pub(crate) session: Session,
    /// The service to offer
    #[arg(long)]
    pub(crate) service: ServiceName,
    /// How many programs run at once
    #[arg(long, value_name = "COUNT", default_value = "1", value_parser = credit())]
    pub(crate) credit: u32,
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
    /// The broker to ask: an endpoint, or mesh: for any that is found in the mesh, mesh:NAME for one of that name
    #[arg(long, value_name = "ENDPOINT")]
    pub(crate) broker: Place,
    #[command(flatten)]
    pub(crate) discovery: Discovery,
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
    /// The broker to ask: an endpoint, or mesh: for any that is found in the mesh, mesh:NAME for one of that name
    #[arg(long, value_name = "ENDPOINT", required_unless_present = "mesh")]
    pub(crate) broker: Option<Place>,
    /// Show what all brokers of the mesh serve, and where, instead of asking one
    #[arg(long, conflicts_with = "broker")]
    pub(crate) mesh: bool,
    #[command(flatten)]
    pub(crate) discovery: Discovery,
    #[command(flatten)]
    pub(crate) patience: Patience,
    #[command(flatten)]
    pub(crate) security: Security,
    /// Only these services: names, or the beginning of names and a `*`
    #[arg(value_name = "SERVICE")]
    pub(crate) patterns: Vec<String>,
}

impl Cli {
    /// How much to log. A server tells its operator what happens; a command that prints results warns only.
    pub(crate) fn log_level(&self) -> &'static str {
        let is_server = matches!(self.command, Command::Broker(_) | Command::Worker(_) | Command::Titanic(_));
        match self.verbose {
            0 if self.quiet => "error",
            0 if is_server => "info",
            0 => "warn",
            1 => "debug",
            2.. => "trace",
        }
    }
}

/// As many requests at once as a worker may say that it takes.
fn credit() -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..=65_536)
}

fn positive_duration(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|error| format!("{error}; e.g. 2500ms, 3s, 1m"))?;
    if duration.is_zero() { Err("must be more than zero".to_owned()) } else { Ok(duration) }
}
