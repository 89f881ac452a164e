//! `majordomo bench`: puts load on a service and shows rates and percentiles.
//!
//! ```text
//!   --clients connections ┐
//!   --outstanding each    ├─► callers, each: request, await, record, again ──► tallies, summed at the end
//!   --workers of our own  ┘   (they echo, in this process)
//! ```
//!
//! It measures what a program with our SDK gets, the time in its own queue included. The suite that compares brokers
//! is `cargo xtask bench`: its generator costs less than any client library.

pub(super) mod course;
pub(super) mod tally;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::anyhow;
use client::{Client, Frames};
use runtime::Shutdown;
use runtime::zmtp::Options;
use tokio::task::JoinSet;
use worker::Worker;

use self::course::{Course, bar, gather};
use self::tally::{Load, Summary, Tally, Target};
use super::call::find;
use crate::args::Bench;
use crate::discovery::Found;
use crate::output;
use crate::security;
use crate::usage::Unsuccessful;

pub(super) async fn run(settings: Bench, json: bool) -> Result<(), Unsuccessful> {
    let mut end = Shutdown::on_signals().map_err(anyhow::Error::from)?;
    // A worker that is called directly has no place for workers of ours.
    let service = Some(settings.service.to_string()).filter(|_| settings.workers == 0);
    let found =
        find(&settings.broker, &settings.discovery, &settings.security, service.as_deref(), &settings.patience).await?;
    let options = found.follow(security::connecting(&settings.security)?);
    let workers = echo_workers(&settings, &found, &options);
    let clients = clients(&settings, &found, &options)?;
    let course = Arc::new(Course::new(settings.requests, settings.duration));
    let body = Body::new(&settings);
    let progress = bar(&course);
    let mut callers = JoinSet::new();
    for client in &clients {
        for _ in 0..settings.outstanding {
            let (service, body) = (settings.service.clone(), body.clone());
            callers.spawn(call_until_the_end(client.clone(), service, body, course.clone()));
        }
    }
    let tally = tokio::select! {
        tally = gather(&mut callers, &course, &progress) => tally,
        () = end.wished() => {
            course.stop();
            gather(&mut callers, &course, &progress).await
        }
    };
    let elapsed = course.elapsed();
    progress.finish_and_clear();
    drop(workers);
    report(&settings, &tally, elapsed, json)
}

/// What is asked each time, and whether the answer must be the same.
#[derive(Clone)]
struct Body {
    frames: Frames,
    verify: bool,
}

impl Body {
    fn new(settings: &Bench) -> Self {
        let bytes = usize::try_from(settings.size.as_u64()).unwrap_or(usize::MAX);
        Self { frames: Frames::from([vec![b'm'; bytes]]), verify: settings.verify || settings.workers > 0 }
    }
}

async fn call_until_the_end(client: Client, service: broker::ServiceName, body: Body, course: Arc<Course>) -> Tally {
    let mut tally = Tally::default();
    while course.takes_another() {
        let begun = Instant::now();
        let outcome = client.request(service.as_bytes(), body.frames.clone()).await;
        match outcome {
            Ok(reply) if body.verify && reply.body != body.frames => tally.mismatched(),
            Ok(_) => tally.answered(begun.elapsed()),
            Err(error) => tally.failed(&error),
        }
        course.one_is_done();
    }
    tally
}

fn clients(settings: &Bench, found: &Found, options: &Options) -> Result<Vec<Client>, Unsuccessful> {
    let client = || {
        Client::builder(found.endpoint.to_string())
            .in_flight_max(settings.outstanding)
            .timeout(settings.patience.timeout)
            .retries(settings.patience.retries)
            .socket_options(options.clone())
            .connect()
            .map_err(|error| Unsuccessful::Failed(error.into()))
    };
    (0..settings.clients).map(|_| client()).collect()
}

/// Workers of our own, which end when this is dropped.
fn echo_workers(settings: &Bench, found: &Found, options: &Options) -> JoinSet<()> {
    let mut workers = JoinSet::new();
    for _ in 0..settings.workers {
        let worker = Worker::new(found.endpoint.to_string(), settings.service.as_bytes())
            .credit(settings.credit)
            .socket_options(options.clone())
            .serve(|request: worker::Request| async move { Ok::<_, String>(request.body) });
        workers.spawn(async move {
            if let Err(error) = worker.await {
                tracing::error!("worker: {error}");
            }
        });
    }
    workers
}

fn report(settings: &Bench, tally: &Tally, elapsed: Duration, json: bool) -> Result<(), Unsuccessful> {
    let load = Load {
        target: Target::Service(settings.service.to_string()),
        clients: settings.clients,
        outstanding: settings.outstanding,
        bytes: settings.size.as_u64(),
    };
    let summary = Summary::new(load, tally, elapsed);
    if json {
        output::json(&serde_json::to_value(&summary).map_err(anyhow::Error::from)?)?;
    } else {
        for line in summary.table() {
            output::line(&line)?;
        }
    }
    match summary.first_failure() {
        None => Ok(()),
        Some(failure) => Err(anyhow!("{} of {} requests failed: {failure}", summary.failed, summary.requests).into()),
    }
}
