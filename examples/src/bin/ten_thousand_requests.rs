//! Many requests under way on one connection, each answered with its own reply.
//!
//! A `Client` is cheap to clone: each task has one, and all of them share the connection. How many requests are under
//! way at once is bounded; the others wait their turn.

#![allow(clippy::print_stdout, reason = "a program")]

use client::Client;
use tokio::task::JoinSet;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let client = Client::connect(examples::broker())?;
    let mut asking = JoinSet::new();
    for number in 0..10_000 {
        let client = client.clone();
        asking.spawn(async move {
            let reply = client.request("echo", [number.to_string()]).await?;
            anyhow::ensure!(reply.body == [number.to_string()].into(), "{number} got {:?}", reply.body);
            Ok(())
        });
    }
    let answered = asking.join_all().await.into_iter().collect::<anyhow::Result<Vec<()>>>()?.len();
    println!("{answered} requests, {answered} replies");
    Ok(())
}
