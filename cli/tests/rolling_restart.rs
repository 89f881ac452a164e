//! A rolling restart of broker and workers under load, with real processes: each request gets its own answer.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use client::Client;
use common::{Majordomo, wait_for_workers, wait_until};
use nix::sys::signal::Signal;
use protocol::Frames;

/// What the tasks that ask have seen so far.
#[derive(Default)]
struct Seen {
    answered: AtomicU64,
    turned_away: AtomicU64,
    is_over: AtomicBool,
}

/// Asks one request after the other until the end is wished. Who is turned away, or finds nobody there any more, asks
/// the second broker: nothing has run.
async fn ask(brokers: [Client; 2], task: u64, seen: Arc<Seen>) {
    let (mut number, mut broker) = (0, 0);
    while !seen.is_over.load(Relaxed) {
        let body = Frames::from([format!("{task}.{number}")]);
        let told = match brokers[broker].request("echo", body.clone()).await {
            Ok(reply) if reply.body == body => {
                seen.answered.fetch_add(1, Relaxed);
                number += 1;
                continue;
            }
            Ok(reply) => format!("{:?}", reply.body),
            Err(error) => error.to_string(),
        };
        assert_eq!(broker, 0, "request {task}.{number} is lost: {told}");
        broker = 1;
        if told.contains("503") {
            seen.turned_away.fetch_add(1, Relaxed);
        }
    }
}

/// Waits until that many more requests were answered: whatever has just happened, the load goes on.
fn go_on(seen: &Seen) {
    let before = seen.answered.load(Relaxed);
    wait_until("answers", || seen.answered.load(Relaxed) >= before + 200);
}

fn end(process: Majordomo) {
    process.signal(Signal::SIGTERM);
    assert_eq!(process.wait(Duration::from_secs(60)), Some(0));
}

fn echo(endpoint: &str) -> Majordomo {
    Majordomo::worker(endpoint, &["echo", "--delay", "2ms"])
}

#[test]
fn a_rolling_restart_of_workers_and_broker_under_load_loses_nothing() {
    let second = Majordomo::broker(&[]);
    let first = Majordomo::broker(&["--elsewhere", &second.endpoint]);
    let mut workers = vec![echo(&first.endpoint), echo(&first.endpoint)];
    wait_for_workers(&first.endpoint, "echo", 2);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let connect =
        |endpoint: &str| Client::builder(endpoint).timeout(Duration::from_secs(5)).retries(2).connect().unwrap();
    let brokers = runtime.block_on(async { [connect(&first.endpoint), connect(&second.endpoint)] });
    let seen = Arc::new(Seen::default());
    let tasks: Vec<_> = (0..16).map(|task| runtime.spawn(ask(brokers.clone(), task, seen.clone()))).collect();
    go_on(&seen);

    for _ in 0..2 {
        let new = echo(&first.endpoint);
        wait_for_workers(&first.endpoint, "echo", 3);
        end(workers.remove(0));
        workers.push(new);
        go_on(&seen);
    }
    workers.extend([echo(&second.endpoint), echo(&second.endpoint)]);
    wait_for_workers(&second.endpoint, "echo", 2);
    end(first);
    go_on(&seen);

    seen.is_over.store(true, Relaxed);
    for task in tasks {
        runtime.block_on(task).unwrap();
    }
    assert!(seen.turned_away.load(Relaxed) > 0, "nobody was turned away: it ended without a drain");
}
