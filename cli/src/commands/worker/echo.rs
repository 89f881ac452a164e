//! `majordomo worker echo`: replies with the request's body.

use worker::{Frames, Request};

use crate::args::Echo;
use crate::usage::Unsuccessful;

pub(super) async fn run(settings: Echo) -> Result<(), Unsuccessful> {
    let delay = settings.delay;
    // A delay stands for work, and whoever tries that out expects the next request to wait.
    let credit = settings.credit.unwrap_or(if delay.is_zero() { 64 } else { 1 });
    let worker = super::worker(&settings.session, &settings.service, credit).await?;
    super::serve(worker, move |request: Request| async move {
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        Ok::<Frames, String>(request.body)
    })
    .await
}
