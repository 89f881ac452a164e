//! Flags of the commands for operators: watch a broker, drain it, put load on it.

use std::time::Duration;

use broker::ServiceName;
use bytesize::ByteSize;
use clap::Args;

use super::{Discovery, Patience, Place, Security, positive_duration};

#[derive(Debug, Args)]
pub(crate) struct Top {
    /// The broker to watch
    #[arg(long, value_name = "ENDPOINT")]
    pub(crate) broker: Place,
    #[command(flatten)]
    pub(crate) discovery: Discovery,
    /// How often to look
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = positive_duration)]
    pub(crate) interval: Duration,
    /// End after looking so often
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
    #[command(flatten)]
    pub(crate) patience: Patience,
    #[command(flatten)]
    pub(crate) security: Security,
}

#[derive(Debug, Args)]
pub(crate) struct Drain {
    /// The broker to tell; it must grant us the right `admin`
    #[arg(long, value_name = "ENDPOINT")]
    pub(crate) broker: Place,
    #[command(flatten)]
    pub(crate) discovery: Discovery,
    /// A service, or else a worker by its name or number
    pub(crate) name: Option<String>,
    /// The whole broker: it ends when it is done
    #[arg(long)]
    pub(crate) all: bool,
    /// Let a service take requests again
    #[arg(long)]
    pub(crate) resume: bool,
    /// How long what is under way may take
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = humantime::parse_duration)]
    pub(crate) grace: Duration,
    #[command(flatten)]
    pub(crate) patience: Patience,
    #[command(flatten)]
    pub(crate) security: Security,
}

#[derive(Debug, Args)]
pub(crate) struct Bench {
    /// The broker to go through
    #[arg(long, value_name = "ENDPOINT")]
    pub(crate) broker: Place,
    #[command(flatten)]
    pub(crate) discovery: Discovery,
    /// The service to call
    #[arg(long, default_value = "echo")]
    pub(crate) service: ServiceName,
    /// Connections
    #[arg(long, value_name = "COUNT", default_value = "1", value_parser = count(10_000))]
    pub(crate) clients: usize,
    /// Requests under way at once, on each connection
    #[arg(long, value_name = "COUNT", default_value = "100", value_parser = count(100_000))]
    pub(crate) outstanding: usize,
    /// Bytes of a request's body
    #[arg(long, value_name = "SIZE", default_value = "64B")]
    pub(crate) size: ByteSize,
    /// How long to go on
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = positive_duration)]
    pub(crate) duration: Duration,
    /// How many requests to make, in place of a duration
    #[arg(long, value_name = "COUNT", conflicts_with = "duration", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) requests: Option<u64>,
    /// Workers to offer the service with, in this process; they echo
    #[arg(long, value_name = "COUNT", default_value = "0")]
    pub(crate) workers: usize,
    /// Requests that each of those workers takes at once
    #[arg(long, value_name = "COUNT", default_value = "64", value_parser = count(65_536))]
    pub(crate) credit: usize,
    /// An answer that is not the request's body is a failure; always so with --workers
    #[arg(long)]
    pub(crate) verify: bool,
    #[command(flatten)]
    pub(crate) patience: Patience,
    #[command(flatten)]
    pub(crate) security: Security,
}

/// A count from 1 to `max`.
pub(super) fn count(max: usize) -> impl Fn(&str) -> Result<usize, String> + Clone {
    move |text| match text.parse() {
        Ok(count) if (1..=max).contains(&count) => Ok(count),
        _ => Err(format!("allowed: 1 to {max}")),
    }
}
