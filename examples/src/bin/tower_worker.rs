//! A handler that is a `tower::Service`: middleware of your choice goes around it.
//!
//! Here a layer of ours counts the requests into each reply; timeouts, limits and traces of others fit in the same
//! place.

use std::sync::atomic::{AtomicU64, Ordering};

use tower::{ServiceBuilder, service_fn};
use worker::{Frames, Request, Shutdown, Worker};

static ANSWERED: AtomicU64 = AtomicU64::new(0);

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let echo = service_fn(|request: Request| async move { Ok::<Frames, std::io::Error>(request.body) });
    let counted = ServiceBuilder::new().map_response(count).service(echo);
    Worker::new(examples::broker(), "counted").shutdown(Shutdown::on_signals()?).serve(counted).await?;
    Ok(())
}

fn count(mut body: Frames) -> Frames {
    let answered = ANSWERED.fetch_add(1, Ordering::Relaxed) + 1;
    body.push(answered.to_string());
    body
}
