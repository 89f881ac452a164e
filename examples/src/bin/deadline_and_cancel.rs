//! A request with terms of its own, and one that nobody wants any more.
//!
//! The broker takes a request out of its queue when its deadline passes, and when its future is dropped: whoever stops
//! waiting costs no worker anything. Both need MDP 0.3, which a `Client` speaks unless it is told otherwise.

#![allow(clippy::print_stdout, reason = "a program")]

use std::time::Duration;

use client::{Client, OnTimeout, Priority};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let client = Client::connect(examples::broker())?;
    let urgent = client.ask("nobody").deadline(Duration::from_millis(300)).priority(Priority::MAX);
    if let Err(error) = urgent.on_timeout(OnTimeout::Abort).request(["hello"]).await {
        println!("{error}");
    }
    tokio::select! {
        reply = client.request("nobody", ["hello"]) => println!("{:?}", reply?.body),
        () = tokio::time::sleep(Duration::from_millis(300)) => println!("not wanted any more: cancelled"),
    }
    Ok(())
}
