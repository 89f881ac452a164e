//! `majordomo broker`: the broker on real sockets, until SIGINT or SIGTERM.

use std::time::Duration;

use anyhow::Context;
use broker::{Config, Limits, Server, Status};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use protocol::PeerLimits;
use runtime::Shutdown;
use runtime::zmtp;
use tokio::sync::watch;

use super::embedded::{self, Aboard};
use super::titanic::Opened;
use crate::announce::{Announced, Announcer};
use crate::args::{self, Broker};
use crate::output;
use crate::security;
use crate::telemetry;
use crate::usage::{Problem, Unsuccessful};

pub(super) async fn run(settings: Broker) -> Result<(), Unsuccessful> {
    let (options, table) = security::binding(&settings.security, &settings.bind, "do everything")?;
    let options = limited(options, &settings)?;
    let shutdown = Shutdown::on_signals().context("cannot follow signals")?;
    allow_descriptors(settings.connections_max);
    runtime::heap::keep_free_memory();
    let config = config(&settings)?;
    let opened = embedded::opened(&settings.titanic)?;
    let trust = security::server_trust(&options, table.as_ref());
    let server = match table {
        Some(table) => Server::bind_for(&settings.bind, config, options, table).await,
        None => Server::bind(&settings.bind, config, options).await,
    };
    let mut server = server.map_err(anyhow::Error::from)?;
    if let Some(Opened::File(_)) = opened {
        server = server.staying_awake(AWAKE_BESIDE_A_DISK);
    }
    let mut aboard = opened.map(|opened| Aboard::start(opened, &mut server)).transpose()?;
    if let Some(address) = settings.metrics {
        telemetry::serve_metrics(address)?;
        tokio::spawn(publish(server.status(), settings.name.clone()));
        if let Some(aboard) = &aboard {
            tokio::spawn(super::titanic::publish(aboard.status()));
        }
    }
    let announced = Announced { name: &settings.name, discovery: &settings.discovery, trust, is_direct: false };
    let announcer = match settings.mesh {
        true => Some(Announcer::start(announced, server.endpoints(), server.served()).await?),
        false => None,
    };
    let ready: String = server.endpoints().iter().map(|endpoint| format!("ready {endpoint}\n")).collect();
    output::announce(&ready);
    let shutdown = match &mut aboard {
        Some(aboard) => aboard.bind(shutdown),
        None => shutdown,
    };
    server.run(shutdown).await;
    if let Some(announcer) = announcer {
        announcer.leave().await;
    }
    if let Some(aboard) = aboard {
        aboard.end()?;
    }
    Ok(())
}

/// Longer than a good disk needs for a flush, which the answer to a lonely submit waits for.
const AWAKE_BESIDE_A_DISK: Duration = Duration::from_micros(300);

fn limited(mut options: zmtp::Options, settings: &Broker) -> Result<zmtp::Options, Problem> {
    options.limits.connections_max = usize::try_from(settings.connections_max).unwrap_or(usize::MAX);
    options.limits.message_bytes_max = size("--message-bytes-max", settings.message_bytes_max)?;
    Ok(options)
}

/// Each connection is a file descriptor, and shells hand out 1,024 of them. Raises the soft limit as far as it may;
/// past it the engine takes no connection until one closes.
fn allow_descriptors(connections_max: u32) {
    let wanted = u64::from(connections_max) + DESCRIPTORS_BESIDE_CONNECTIONS;
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return };
    if soft >= wanted {
        return;
    }
    if let Err(error) = setrlimit(Resource::RLIMIT_NOFILE, wanted.min(hard), hard) {
        tracing::warn!("cannot raise the limit of open files from {soft}: {error}");
    } else if hard < wanted {
        tracing::warn!(
            "open files are limited to {hard}, so fewer than --connections-max {connections_max} can be served"
        );
    }
}

fn config(settings: &Broker) -> Result<Config, Problem> {
    let services = settings.services.iter().map(|(name, settings)| (name.clone(), policy(settings)));
    Ok(Config {
        name: settings.name.clone(),
        elsewhere: elsewhere(settings)?,
        drain_grace: settings.drain_grace,
        heartbeat: settings.heartbeat.heartbeat,
        liveness: settings.heartbeat.liveness,
        limits: Limits {
            queued_requests_max: settings.queued_max,
            queued_bytes_max: usize::try_from(settings.queued_bytes_max.as_u64()).unwrap_or(usize::MAX),
            services_max: settings.services_max,
            kept_window: settings.kept_window,
            kept_answers_max: settings.kept_answers_max,
            kept_bytes_max: usize::try_from(settings.kept_bytes_max.as_u64()).unwrap_or(usize::MAX),
            per_peer: PeerLimits {
                requests_per_second: settings.per_peer.peer_requests_per_second,
                in_flight_max: settings.per_peer.peer_in_flight_max,
                connections_max: settings.per_peer.peer_connections_max,
            },
            ..Limits::default()
        },
        policy: policy(&settings.policy),
        services: services.collect(),
        error_replies: match settings.error_replies {
            args::ErrorReplies::Silence => broker::ErrorReplies::Silence,
            args::ErrorReplies::Status => broker::ErrorReplies::StatusFrame,
        },
    })
}

/// The list goes out as one option, which is bounded.
fn elsewhere(settings: &Broker) -> Result<Vec<String>, Problem> {
    let endpoints: Vec<_> = settings.elsewhere.iter().map(ToString::to_string).collect();
    let (bytes, allowed) = (endpoints.join(" ").len(), protocol::limits::ENDPOINTS_BYTES_MAX);
    if bytes > allowed {
        return Err(Problem::new(format!("--elsewhere: {bytes} bytes together (allowed: {allowed})")));
    }
    Ok(endpoints)
}

fn policy(settings: &args::Policy) -> broker::Policy {
    broker::Policy {
        no_worker: match settings.no_worker {
            args::NoWorker::Queue => broker::NoWorker::Queue,
            args::NoWorker::Refuse => broker::NoWorker::Refuse,
        },
        queue_max: settings.queue_max,
        queue_wait: settings.queue_wait,
        busy_timeout: settings.busy_timeout,
        attempts_max: settings.attempts,
        run_abandoned: settings.abandoned == args::Abandoned::Run,
    }
}

fn size(flag: &str, size: bytesize::ByteSize) -> Result<usize, Problem> {
    let bytes = usize::try_from(size.as_u64()).unwrap_or(usize::MAX);
    let allowed = 1024..=protocol::limits::MESSAGE_BYTES_MAX;
    if allowed.contains(&bytes) {
        return Ok(bytes);
    }
    Err(Problem::new(format!("{flag} {size}: allowed are 1KiB to 64MiB")))
}

/// Copies the broker's own figures into the metrics, once a second.
async fn publish(status: watch::Receiver<Status>, name: String) {
    let mut second = tokio::time::interval(Duration::from_secs(1));
    loop {
        second.tick().await;
        let status = status.borrow().clone();
        for (counter, value) in counters(&status) {
            metrics::counter!(counter, "broker" => name.clone()).absolute(value);
        }
        for (gauge, value) in gauges(&status) {
            metrics::gauge!(gauge, "broker" => name.clone()).set(f64::from(u32::try_from(value).unwrap_or(u32::MAX)));
        }
    }
}

fn counters(status: &Status) -> [(&'static str, u64); 16] {
    let counters = &status.counters;
    [
        ("majordomo_requests_total", counters.requests),
        ("majordomo_dispatched_total", counters.dispatched),
        ("majordomo_replies_total", counters.replies),
        ("majordomo_partials_total", counters.partials),
        ("majordomo_undeliverable_total", counters.undeliverable),
        ("majordomo_requeued_total", counters.requeued),
        ("majordomo_failed_total", counters.failed),
        ("majordomo_duplicates_total", counters.duplicates),
        ("majordomo_late_total", counters.late),
        ("majordomo_faults_total", counters.faults),
        ("majordomo_expelled_total", counters.expelled),
        ("majordomo_forbidden_total", counters.forbidden),
        ("majordomo_limited_total", counters.limited),
        ("majordomo_turned_away_total", counters.turned_away),
        ("majordomo_cut_off_total", counters.cut_off),
        ("majordomo_refused_total", status.refused),
    ]
}

fn gauges(status: &Status) -> [(&'static str, usize); 6] {
    [
        ("majordomo_connections", status.connections),
        ("majordomo_services", status.services),
        ("majordomo_workers", status.workers),
        ("majordomo_queued_requests", status.queued),
        ("majordomo_in_flight_requests", status.in_flight),
        ("majordomo_draining", usize::from(status.is_draining)),
    ]
}

/// Listeners, standard streams, the runtime's own.
const DESCRIPTORS_BESIDE_CONNECTIONS: u64 = 64;
