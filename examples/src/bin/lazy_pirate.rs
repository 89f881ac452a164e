//! A request that survives a broker's restart, and an error that says what happened.
//!
//! Stop the broker and start it again while this program waits: the request is sent anew on a new socket. Without any
//! broker it ends after three attempts, and says so.

#![allow(clippy::print_stdout, reason = "a program")]

use std::time::Duration;

use client::LazyPirate;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let mut pirate = LazyPirate::new(examples::broker()).timeout(Duration::from_millis(2500)).retries(3);
    let reply = pirate.request("echo", ["hello", "world"]).await?;
    for frame in &reply.body {
        println!("{}", String::from_utf8_lossy(frame));
    }
    Ok(())
}
