//! The flags of requests that survive: the server, and what one asks it.

use std::path::PathBuf;
use std::time::Duration;

use broker::ServiceName;
use bytesize::ByteSize;
use clap::{Args, Subcommand};
use client::RequestId;

use super::{Discovery, Patience, Place, Security, positive_duration};

/// Keep requests until they are answered: titanic.request, titanic.reply, titanic.close (RFC 9)
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Titanic {
    #[command(subcommand)]
    pub(crate) inspect: Option<TitanicCommand>,
    #[command(flatten)]
    pub(crate) serve: Serve,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TitanicCommand {
    /// Say what a log holds, and change nothing; also while a Titanic has it open
    Inspect {
        /// The log
        file: PathBuf,
        /// Fail when anything in it is damaged
        #[arg(long)]
        verify: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// The broker to serve at, and to call services at; or mesh:NAME
    #[arg(long, value_name = "ENDPOINT", required = true)]
    pub(crate) broker: Option<Place>,
    #[command(flatten)]
    pub(crate) discovery: Discovery,
    /// The log; made if it is not there
    #[arg(long, value_name = "FILE", required_unless_present = "memory", conflicts_with = "memory")]
    pub(crate) log: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) keeping: Keeping,
    /// How often a request is tried before it is given up; what nobody was there for does not count
    #[arg(long, value_name = "COUNT", default_value = "20", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) attempts: u32,
    /// Serve Prometheus metrics over HTTP at this address
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) metrics: Option<std::net::SocketAddr>,
    #[command(flatten)]
    pub(crate) security: Security,
}

/// Titanic within the broker's process.
#[derive(Debug, Args)]
#[command(next_help_heading = "Requests that survive (Titanic), in this process")]
pub(crate) struct Embedded {
    /// Keep requests in this log, made if it is not there: titanic.request, titanic.reply, titanic.close (RFC 9) are
    /// served by the broker itself
    #[arg(long, value_name = "FILE", conflicts_with = "memory")]
    pub(crate) titanic: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) keeping: Keeping,
    /// How often a request is tried before it is given up; what nobody was there for does not count
    #[arg(long, value_name = "COUNT", default_value = "20", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) titanic_attempts: u32,
}

/// How requests are kept, and how they are tried.
#[derive(Debug, Args)]
pub(crate) struct Keeping {
    /// How long the log may become; a full log refuses requests and loses none
    #[arg(long, value_name = "SIZE", default_value = "1GiB")]
    pub(crate) capacity: ByteSize,
    /// How long a new log is from the beginning. Beyond it the log grows as it fills, and nothing else goes on while it
    /// does; what is preallocated is written once, before anything is served
    #[arg(long, value_name = "SIZE", default_value = "64MiB")]
    pub(crate) preallocate: ByteSize,
    /// When a request is acknowledged: always, os, or a duration such as 10ms
    ///
    /// always: once it is on the disk; many share one flush.
    ///   survives a crash of the process: yes; of the operating system: yes; a power cut: yes
    /// 10ms, or another duration: once the operating system has it; the disk has it that much later.
    ///   of the process: yes; of the operating system, a power cut: all but what came in the last 10 ms
    /// os: the same, with 5 s, or sooner when the operating system likes.
    ///   of the process: yes; of the operating system, a power cut: all but what came in the last 5 s
    /// --memory: at once.
    ///   none of the three
    #[arg(long, value_name = "WHEN", default_value = "always", value_parser = sync, verbatim_doc_comment)]
    pub(crate) sync: titanic::store::Sync,
    /// Keep everything in memory: faster, and gone with the process
    #[arg(long)]
    pub(crate) memory: bool,
    /// How long one attempt may take
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = positive_duration)]
    pub(crate) call_timeout: Duration,
    /// Calls at once to one service
    #[arg(long, value_name = "COUNT", default_value = "64", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) calls_per_service: u32,
    /// Give up a request that is not answered after so long; never without it
    #[arg(long, value_name = "DURATION", value_parser = positive_duration)]
    pub(crate) request_ttl: Option<Duration>,
    /// Forget an answer that nobody has closed after so long; never without it
    #[arg(long, value_name = "DURATION", value_parser = positive_duration)]
    pub(crate) answer_ttl: Option<Duration>,
}

/// Where Titanic is, and how long we wait for it.
#[derive(Debug, Args)]
pub(crate) struct AtTitanic {
    /// The broker that Titanic serves at; or mesh:NAME
    #[arg(long, value_name = "ENDPOINT")]
    pub(crate) broker: Place,
    #[command(flatten)]
    pub(crate) discovery: Discovery,
    #[command(flatten)]
    pub(crate) patience: Patience,
    #[command(flatten)]
    pub(crate) security: Security,
}

#[derive(Debug, Args)]
pub(crate) struct Submit {
    #[command(flatten)]
    pub(crate) at: AtTitanic,
    /// The request's id, 32 hexadecimal digits: a submit that is repeated under it within a day is taken once
    #[arg(long, value_name = "ID", value_parser = request_id)]
    pub(crate) id: Option<RequestId>,
    /// The service that is to answer; it need not be there
    pub(crate) service: ServiceName,
    /// The body, a frame each; `-` is standard input, `@FILE` a file; none is one empty frame
    pub(crate) body: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Fetch {
    #[command(flatten)]
    pub(crate) at: AtTitanic,
    /// How long to wait for the answer
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = humantime::parse_duration)]
    pub(crate) wait: Duration,
    /// The request's id
    #[arg(value_parser = request_id)]
    pub(crate) id: RequestId,
}

#[derive(Debug, Args)]
pub(crate) struct Close {
    #[command(flatten)]
    pub(crate) at: AtTitanic,
    /// The request's id
    #[arg(value_parser = request_id)]
    pub(crate) id: RequestId,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Dead {
    /// List what was given up, a JSON object a line
    List {
        #[command(flatten)]
        at: AtTitanic,
    },
    /// Print service and body of a request that was given up, a frame a line
    Read(Close),
    /// Have a request called again, with all its attempts
    Replay(Close),
    /// Forget a request
    Drop(Close),
}

fn sync(text: &str) -> Result<titanic::store::Sync, String> {
    use titanic::store::Sync;
    match text {
        "always" => Ok(Sync::Always),
        "os" => Ok(Sync::Within(Duration::from_secs(5))),
        _ => match positive_duration(text) {
            Ok(within) if within <= Duration::from_secs(60) => Ok(Sync::Within(within)),
            _ => Err("allowed: always, os, or a duration up to 1m".to_owned()),
        },
    }
}

fn request_id(text: &str) -> Result<RequestId, String> {
    let id = titanic::store::read_id(text.as_bytes()).map(|id| RequestId(id.0));
    id.filter(|id| id.0 != [0; 16]).ok_or_else(|| "not 32 hexadecimal digits, or all of them zero".to_owned())
}
