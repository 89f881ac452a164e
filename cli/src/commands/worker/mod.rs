//! `majordomo worker …`: the workers that come with the suite.

mod db;
mod echo;
mod exec;
mod mm;

use anyhow::Context;
use broker::ServiceName;
use runtime::Shutdown;
use worker::{Handler, Worker};

use crate::args;
use crate::security;
use crate::usage::Unsuccessful;

pub(super) async fn run(worker: args::Worker) -> Result<(), Unsuccessful> {
    match worker {
        args::Worker::Echo(echo) => echo::run(echo).await,
        args::Worker::Exec(exec) => exec::run(exec).await,
        args::Worker::Mm(mm) => mm::run(mm).await,
        args::Worker::Db(db) => db::run(db).await,
    }
}

/// A worker that follows SIGINT and SIGTERM.
fn worker(session: &args::Session, service: &ServiceName) -> Result<Worker, Unsuccessful> {
    let options = security::connecting(&session.security)?;
    let shutdown = Shutdown::on_signals().context("cannot follow signals")?;
    Ok(Worker::new(session.broker.to_string(), service.as_bytes())
        .heartbeat(session.heartbeat.heartbeat)
        .liveness(session.heartbeat.liveness)
        .shutdown(shutdown)
        .socket_options(options))
}

async fn serve<Kind: 'static, H: Handler<Kind>>(worker: Worker, handler: H) -> Result<(), Unsuccessful> {
    Ok(worker.serve(handler).await.map_err(anyhow::Error::from)?)
}
