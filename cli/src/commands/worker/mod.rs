//! `majordomo worker …`: the workers that come with the suite.

mod db;
mod direct;
mod echo;
mod exec;
mod mm;

use anyhow::Context;
use broker::ServiceName;
use runtime::Shutdown;
use worker::{Handler, Worker};

use crate::args;
use crate::discovery;
use crate::security;
use crate::usage::Unsuccessful;
use direct::Direct;

pub(super) async fn run(worker: args::Worker) -> Result<(), Unsuccessful> {
    match worker {
        args::Worker::Echo(echo) => echo::run(echo).await,
        args::Worker::Exec(exec) => exec::run(exec).await,
        args::Worker::Mm(mm) => mm::run(mm).await,
        args::Worker::Db(db) => db::run(db).await,
    }
}

/// A worker that drains on SIGINT and SIGTERM, and what it works for when that is no broker.
struct Place {
    worker: Worker,
    direct: Option<Direct>,
}

async fn worker(session: &args::Session, service: &ServiceName, credit: u32) -> Result<Place, Unsuccessful> {
    let shutdown = Shutdown::on_signals().context("cannot follow signals")?;
    let (worker, direct) = match &session.broker {
        Some(broker) => {
            let options = security::connecting(&session.security)?;
            let found = found(broker, &session.discovery, &session.security, &shutdown).await?;
            let options = found.follow(options);
            let worker = Worker::new(found.endpoint.to_string(), service.as_bytes()).socket_options(options);
            (worker.shutdown(shutdown), None)
        }
        None => {
            let (worker, direct) = Direct::open(session, service, shutdown).await?;
            (worker, Some(direct))
        }
    };
    let worker = worker
        .heartbeat(session.heartbeat.heartbeat)
        .liveness(session.heartbeat.liveness)
        .credit(usize::try_from(credit).unwrap_or(usize::MAX));
    Ok(Place { worker, direct })
}

/// The broker, for which a worker waits as long as it takes. Whoever ends it meanwhile ends nothing that has begun.
pub(super) async fn found(
    place: &args::Place,
    discovery: &args::Discovery,
    security: &args::Security,
    shutdown: &Shutdown,
) -> Result<mesh::Found, Unsuccessful> {
    let mut shutdown = shutdown.clone();
    tokio::select! {
        found = discovery::find(place, discovery, security, None, None) => found,
        () = shutdown.wished() => std::process::exit(0),
    }
}

async fn serve<Kind: 'static, H: Handler<Kind>>(place: Place, handler: H) -> Result<(), Unsuccessful> {
    let serving = place.worker.serve(handler);
    match place.direct {
        Some(direct) => direct.run(serving).await,
        None => Ok(serving.await.map_err(anyhow::Error::from)?),
    }
}
