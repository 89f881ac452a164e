//! A service in one closure: what comes is sent back.
//!
//! It may be started before its broker, and outlives its broker's restarts. On SIGINT or SIGTERM it answers the request
//! that it is working on, tells the broker that it leaves, and ends.

use worker::{Frames, Request, Shutdown, Worker};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let echo = |request: Request| async move { Ok::<Frames, std::io::Error>(request.body) };
    Worker::new(examples::broker(), "echo").shutdown(Shutdown::on_signals()?).serve(echo).await?;
    Ok(())
}
