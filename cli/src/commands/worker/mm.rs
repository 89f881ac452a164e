//! `majordomo worker mm`: purchase orders, kept by a database worker behind another broker.

use anyhow::Context;
use client::Client;
use crud::Frames;
use crud::mm::Handler;
use runtime::Shutdown;
use worker::Request;

use crate::args::Mm;
use crate::security;
use crate::usage::Unsuccessful;

pub(super) async fn run(settings: Mm) -> Result<(), Unsuccessful> {
    let mut security = settings.session.security.clone();
    security.curve_server_key = settings.db_curve_server_key.or(security.curve_server_key);
    let options = security::connecting(&security)?;
    let shutdown = Shutdown::on_signals().context("cannot follow signals")?;
    let database = super::found(&settings.db_broker, &settings.session.discovery, &security, &shutdown).await?;
    let client = Client::builder(database.endpoint.to_string())
        .timeout(settings.patience.timeout)
        .retries(settings.patience.retries)
        .socket_options(database.follow(options))
        .connect()
        .map_err(anyhow::Error::from)?;
    let handler = Handler::with_service(client, settings.db_service.to_string());
    let worker = super::worker(&settings.session, &settings.service, settings.credit).await?;
    super::serve(
        worker,
        move |request: Request| async move { Ok::<Frames, String>(handler.handle(request.body).await) },
    )
    .await
}
