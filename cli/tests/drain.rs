//! The end of a broker, with real processes: what it has accepted is worked off, and nobody has to wait for nothing.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use common::{Majordomo, call, command, run, stdout, wait_for_workers, wait_until};
use nix::sys::signal::Signal;

/// Starts a call and waits until a worker has it.
fn call_under_way(endpoint: &str, service: &str) -> Child {
    let line = ["call", "--broker", endpoint, "--timeout", "60s", "--retries", "1", service, "hello"];
    let child = command(&line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until("a request in flight", || {
        call(endpoint, &["mmi.stats", service])
            .iter()
            .any(|line| line.contains(&format!("\"service\":\"{service}\"")) && line.contains("\"in_flight\":1"))
    });
    child
}

fn echo(endpoint: &str, delay: &str) -> Majordomo {
    let worker = Majordomo::worker(endpoint, &["echo", "--delay", delay]);
    wait_for_workers(endpoint, "echo", 1);
    worker
}

#[test]
fn a_broker_that_is_told_to_end_works_off_what_it_accepted_and_ends_then() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let broker = Majordomo::broker(&["--drain-grace", "60s"]);
        let worker = echo(&broker.endpoint, "1s");
        let under_way = call_under_way(&broker.endpoint, "echo");
        broker.signal(signal);
        let output = under_way.wait_with_output().unwrap();
        assert_eq!(stdout(&output).trim(), "hello");
        assert_eq!(broker.wait(Duration::from_secs(30)), Some(0));
        drop(worker);
    }
}

#[test]
fn a_second_signal_ends_a_broker_at_once() {
    let broker = Majordomo::broker(&["--drain-grace", "300s"]);
    let _worker = echo(&broker.endpoint, "300s");
    let mut under_way = call_under_way(&broker.endpoint, "echo");
    broker.signal(Signal::SIGTERM);
    wait_until("the broker drains", || {
        call(&broker.endpoint, &["mmi.info"]).iter().any(|line| line.contains("\"draining\":true"))
    });
    broker.signal(Signal::SIGINT);
    assert_eq!(broker.wait(Duration::from_secs(30)), Some(0));
    under_way.kill().unwrap();
    under_way.wait().unwrap();
}

#[test]
fn a_request_that_no_worker_could_take_does_not_hold_the_end_up() {
    let broker = Majordomo::broker(&["--drain-grace", "300s"]);
    let _worker = echo(&broker.endpoint, "0s");
    let line = ["call", "--broker", &broker.endpoint, "--timeout", "60s", "--retries", "1", "absent", "x"];
    let mut waiting = command(&line).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_until("a queued request", || {
        call(&broker.endpoint, &["mmi.info"]).iter().any(|line| line.contains("\"queued\":1"))
    });
    let start = Instant::now();
    broker.signal(Signal::SIGTERM);
    assert_eq!(broker.wait(Duration::from_secs(60)), Some(0));
    assert!(start.elapsed() < Duration::from_secs(60));
    waiting.kill().unwrap();
    waiting.wait().unwrap();
}

#[test]
fn an_operator_drains_a_broker_by_mmi() {
    let broker = Majordomo::broker(&[]);
    let output = run(&["call", "--broker", &broker.endpoint, "mmi.drain", "broker", "60000"]);
    assert_eq!(stdout(&output).trim(), "200");
    assert_eq!(broker.wait(Duration::from_secs(30)), Some(0));
}
