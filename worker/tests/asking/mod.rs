//! Many requests at once, as several test programs ask them.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use client::Client;
use tokio::task::JoinSet;

/// Asks the service `echo` so many times at once; how often it answered, each time what was asked.
pub(crate) async fn ask_all(client: &Client, count: u32) -> usize {
    let mut asking = JoinSet::new();
    for number in 0..count {
        let client = client.clone();
        asking.spawn(async move {
            let reply = client.request("echo", [number.to_string()]).await.unwrap();
            assert_eq!(reply.body, [number.to_string()].into());
        });
    }
    asking.join_all().await.len()
}
