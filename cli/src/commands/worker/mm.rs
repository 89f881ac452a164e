//! `majordomo worker mm`: purchase orders, kept by a database worker behind another broker.

use client::Client;
use crud::Frames;
use crud::mm::Handler;
use worker::Request;

use crate::args::Mm;
use crate::security;
use crate::usage::Unsuccessful;

pub(super) async fn run(settings: Mm) -> Result<(), Unsuccessful> {
    let mut security = settings.session.security.clone();
    security.curve_server_key = settings.db_curve_server_key.or(security.curve_server_key);
    let client = Client::builder(settings.db_broker.to_string())
        .timeout(settings.patience.timeout)
        .retries(settings.patience.retries)
        .socket_options(security::connecting(&security)?)
        .connect()
        .map_err(anyhow::Error::from)?;
    let handler = Handler::with_service(client, settings.db_service.to_string());
    let worker = super::worker(&settings.session, &settings.service)?;
    super::serve(
        worker,
        move |request: Request| async move { Ok::<Frames, String>(handler.handle(request.body).await) },
    )
    .await
}
