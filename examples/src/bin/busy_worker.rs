//! Two services and many requests at once, in one worker.
//!
//! `half` refuses what cannot be halved with a status of its own. `sleep` is told when nobody waits for it any more,
//! because its client cancelled or its deadline passed, and goes on to do what has to be done then; a handler that does
//! not ask is dropped where it stands. On SIGTERM the worker drains: what the broker has sent is answered, then it
//! ends.

use std::time::Duration;

use worker::{Failure, Frames, Request, Service, Shutdown, Worker};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let half = Service::new("half").version("1.0").description("halves even numbers");
    Worker::at(examples::broker())
        .name("busy")
        .credit(64)
        .service(half, |request: Request| async move { halve(&request) })
        .service("sleep", sleep)
        .shutdown(Shutdown::on_signals()?)
        .run()
        .await?;
    Ok(())
}

fn halve(request: &Request) -> Result<Frames, Failure> {
    let number = number(request)?;
    if number % 2 == 1 {
        return Err(Failure::new(400, format!("{number} is odd")));
    }
    Ok([(number / 2).to_string()].into())
}

async fn sleep(request: Request) -> Result<Frames, Failure> {
    let cancellation = request.cancellation();
    let nap = Duration::from_millis(number(&request)?);
    tokio::select! {
        () = tokio::time::sleep(nap) => Ok(["slept"].into()),
        () = cancellation.cancelled() => Err(Failure::new(499, "woken")),
    }
}

/// An error of another kind needs no more than `?`: it is a failure with status 500.
fn number(request: &Request) -> Result<u64, Failure> {
    let text = request.body.first().map(|frame| String::from_utf8_lossy(frame).into_owned()).unwrap_or_default();
    Ok(text.parse()?)
}
