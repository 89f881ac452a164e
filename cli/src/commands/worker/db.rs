//! `majordomo worker db`: documents in MongoDB or SQLite, with a cache in front.

use anyhow::Context;
use crud::Frames;
use crud::database::Handler;
use worker::Request;

use crate::args::Db;
use crate::usage::Unsuccessful;

pub(super) async fn run(settings: Db) -> Result<(), Unsuccessful> {
    let handler = Handler::open(&settings.store, &settings.cache).await.context("cannot open the store")?;
    let worker = super::worker(&settings.session, &settings.service, settings.credit).await?;
    super::serve(
        worker,
        move |request: Request| async move { Ok::<Frames, String>(handler.handle(request.body).await) },
    )
    .await
}
