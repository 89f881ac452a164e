//! `majordomo titanic`: requests that survive, until SIGINT or SIGTERM; and `titanic inspect`: what a log holds.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use runtime::Shutdown;
use serde_json::json;
use titanic::log::{self, MappedFile, Memory, Progress, Recovery, Region, Settings, State, Summary};
use titanic::server::{Place, Server, Status};
use titanic::store::Config;
use tokio::sync::watch;

use crate::args::{Keeping, Serve, Titanic, TitanicCommand};
use crate::output;
use crate::security;
use crate::telemetry;
use crate::usage::{Problem, Unsuccessful};

pub(super) async fn run(settings: Titanic, json: bool) -> Result<(), Unsuccessful> {
    match settings.inspect {
        Some(TitanicCommand::Inspect { file, verify }) => inspect(&file, verify, json),
        None => serve(settings.serve).await,
    }
}

async fn serve(settings: Serve) -> Result<(), Unsuccessful> {
    let broker = settings.broker.as_ref().ok_or_else(|| Problem::new("--broker is missing".to_owned()))?;
    let options = security::connecting(&settings.security)?;
    let shutdown = Shutdown::on_signals().context("cannot follow signals")?;
    let found = super::worker::found(broker, &settings.discovery, &settings.security, &shutdown).await?;
    let place = Place { broker: found.endpoint.to_string(), options: found.follow(options) };
    match open(settings.log.as_deref(), &settings.keeping, settings.attempts)? {
        Opened::File(server) => finish(server, place, settings.metrics, shutdown).await,
        Opened::Memory(server) => finish(server, place, settings.metrics, shutdown).await,
    }
}

async fn finish<R: Region + Send + 'static>(
    server: Server<R>,
    place: Place,
    metrics: Option<SocketAddr>,
    shutdown: Shutdown,
) -> Result<(), Unsuccessful> {
    if let Some(address) = metrics {
        telemetry::serve_metrics(address)?;
        tokio::spawn(publish(server.status()));
    }
    server.serve(place, shutdown).await.map_err(anyhow::Error::from)?;
    Ok(())
}

/// A Titanic that is open, on either of the things that it may stand on.
pub(super) enum Opened {
    File(Server<MappedFile>),
    Memory(Server<Memory>),
}

/// Opens the log, or takes memory.
pub(super) fn open(path: Option<&Path>, keeping: &Keeping, attempts: u32) -> anyhow::Result<Opened> {
    let capacity_bytes = keeping.capacity.as_u64();
    let log = Settings { capacity_bytes, initial_bytes: keeping.preallocate.as_u64(), geometry: None };
    let config = config(keeping, attempts);
    let Some(path) = path else { return Ok(Opened::Memory(Server::in_memory(&log, config)?)) };
    let bar = bar();
    let opened = Server::open(path, &log, config, &mut |done| show(&bar, done));
    let (server, recovery) = opened.map_err(|error| about(path, error))?;
    bar.finish_and_clear();
    tell(path, &recovery);
    Ok(Opened::File(server))
}

fn config(keeping: &Keeping, attempts_max: u32) -> Config {
    Config {
        sync: keeping.sync,
        attempts_max,
        call_timeout: keeping.call_timeout,
        calls_per_service_max: usize::try_from(keeping.calls_per_service).unwrap_or(usize::MAX),
        request_ttl: keeping.request_ttl,
        answer_ttl: keeping.answer_ttl,
        // What is remembered of closed requests takes a sixteenth of the log at most.
        remembered_max: usize::try_from(keeping.capacity.as_u64() / 16 / REMEMBERED_BYTES).unwrap_or(usize::MAX),
        ..Config::default()
    }
}

/// Copies Titanic's own figures into the metrics, once a second.
pub(super) async fn publish(status: watch::Receiver<Status>) {
    let mut second = tokio::time::interval(Duration::from_secs(1));
    loop {
        second.tick().await;
        let Status { counters, open, answered, dead, remembered, usage } = *status.borrow();
        for (counter, value) in [
            ("majordomo_titanic_submitted_total", counters.submitted),
            ("majordomo_titanic_answered_total", counters.answered),
            ("majordomo_titanic_closed_total", counters.closed),
            ("majordomo_titanic_died_total", counters.died),
            ("majordomo_titanic_refused_total", counters.refused),
            ("majordomo_titanic_calls_total", counters.calls),
            ("majordomo_titanic_flushes_total", counters.flushes),
        ] {
            metrics::counter!(counter).absolute(value);
        }
        for (gauge, value) in [
            ("majordomo_titanic_open", open),
            ("majordomo_titanic_kept_answers", answered),
            ("majordomo_titanic_dead", dead),
            ("majordomo_titanic_remembered", remembered),
            ("majordomo_titanic_file_bytes", usage.file_bytes),
            ("majordomo_titanic_capacity_bytes", usage.capacity_bytes),
            ("majordomo_titanic_live_bytes", usage.live_bytes),
        ] {
            #[allow(clippy::cast_precision_loss, reason = "a gauge is a float, and exact up to 8 PiB")]
            metrics::gauge!(gauge).set(value as f64);
        }
    }
}

fn inspect(path: &Path, verify: bool, json: bool) -> Result<(), Unsuccessful> {
    let bar = bar();
    let (log, report, holder) =
        log::open_read_only(path, &mut |done| show(&bar, done)).map_err(|error| about(path, error))?;
    bar.finish_and_clear();
    let summary = log.summary(report);
    if json {
        output::json(&as_json(&summary, holder))?;
    } else {
        for line in lines(&summary, holder) {
            output::line(&line)?;
        }
    }
    let lost = summary.report.lost_bytes;
    if verify && lost > 0 {
        return Err(anyhow::anyhow!("{}: {lost} octets that were safe are not what was written", path.display()).into());
    }
    Ok(())
}

fn lines(summary: &Summary, holder: Option<u32>) -> Vec<String> {
    let (usage, report) = (summary.usage, &summary.report);
    let mut lines = Vec::new();
    if let Some(pid) = holder {
        lines.push(format!("open in process {pid}: what it is just writing may look torn"));
    }
    lines.extend(summary.states.iter().map(|(state, count)| format!("{:<10} {count:>12}", name(*state))));
    lines.extend([
        format!("{:<10} {:>12} octets, {} at most", "file", usage.file_bytes, usage.capacity_bytes),
        format!("{:<10} {:>12} octets", "in use", usage.used_bytes),
        format!("{:<10} {:>12} octets", "that count", usage.live_bytes),
        format!("{:<10} {:>12}", "records", report.records),
        format!("{:<10} {:>12} octets that were safe", "lost", report.lost_bytes),
        format!("{:<10} {:>12} octets that nobody was told were safe", "torn", report.torn_bytes),
    ]);
    lines
}

fn as_json(summary: &Summary, holder: Option<u32>) -> serde_json::Value {
    let (usage, report) = (summary.usage, &summary.report);
    let states: serde_json::Map<_, _> =
        summary.states.iter().map(|(state, count)| (name(*state).to_owned(), (*count).into())).collect();
    json!({
        "states": states,
        "file-bytes": usage.file_bytes,
        "capacity-bytes": usage.capacity_bytes,
        "used-bytes": usage.used_bytes,
        "live-bytes": usage.live_bytes,
        "records": report.records,
        "lost-bytes": report.lost_bytes,
        "torn-bytes": report.torn_bytes,
        "holder": holder,
    })
}

fn name(state: State) -> &'static str {
    match state {
        State::Open => "open",
        State::Attempted => "attempted",
        State::Dead => "dead",
        State::Answered => "answered",
        State::Closed => "closed",
    }
}

/// What an operator wants to know of a log that was opened.
fn tell(path: &Path, recovery: &Recovery) {
    let path = path.display();
    tracing::info!("{path}: {} records in {} octets", recovery.records, recovery.scanned_bytes);
    if recovery.lost_bytes > 0 {
        tracing::error!("{path}: {} octets that were safe are not what was written", recovery.lost_bytes);
    }
    if recovery.torn_bytes > 0 {
        tracing::warn!(
            "{path}: {} octets were torn by a crash; nobody was told that they were safe",
            recovery.torn_bytes
        );
    }
}

/// On a terminal only; long work elsewhere says nothing.
fn bar() -> ProgressBar {
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("log {bar:40} {bytes}/{total_bytes} {eta}") {
        bar.set_style(style);
    }
    bar
}

fn show(bar: &ProgressBar, Progress { done, total }: Progress) {
    bar.set_length(total);
    bar.set_position(done);
}

fn about(path: &Path, error: impl Into<anyhow::Error>) -> anyhow::Error {
    error.into().context(path.display().to_string())
}

/// A record of an id that is remembered.
const REMEMBERED_BYTES: u64 = 88;
