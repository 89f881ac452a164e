//! What an operator does from the command line, with real processes: watch, drain, put load on.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod common;

use common::{Majordomo, call, run, stderr, stdout, wait_until};
use serde_json::Value;

fn json_lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn bench_answers_each_of_its_requests_and_tells_percentiles_in_order() {
    let broker = Majordomo::broker(&[]);
    let line =
        ["bench", "--broker", &broker.endpoint, "--workers", "2", "--requests", "500", "--clients", "3", "--json"];
    let output = run(&line);
    assert!(output.status.success(), "{}", stderr(&output));
    let lines = json_lines(&stdout(&output));
    let [summary] = lines.as_slice() else { panic!("one line is a run: {lines:?}") };
    assert_eq!((summary["requests"].as_u64(), summary["failed"].as_u64()), (Some(500), Some(0)));
    let percentiles = ["p50_us", "p90_us", "p99_us", "p999_us", "max_us"].map(|name| summary[name].as_u64().unwrap());
    assert!(percentiles.is_sorted() && percentiles[0] > 0, "{percentiles:?}");
}

#[test]
fn bench_of_a_service_that_does_not_echo_says_so_and_fails() {
    let broker = Majordomo::broker(&[]);
    let _worker = Majordomo::worker(&broker.endpoint, &["exec", "--service", "upper", "--", "tr", "m", "M"]);
    common::wait_for_workers(&broker.endpoint, "upper", 1);
    let line = ["bench", "--broker", &broker.endpoint, "--service", "upper", "--requests", "3", "--outstanding", "1"];
    assert!(run(&line).status.success(), "an answer is an answer unless it is to be verified");
    let output = run(&[&line[..], &["--verify"]].concat());
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("3 of 3 requests failed"), "{}", stderr(&output));
}

#[test]
fn top_tells_a_script_what_the_broker_does() {
    let broker = Majordomo::broker(&[]);
    let _worker = Majordomo::echo(&broker.endpoint);
    call(&broker.endpoint, &["echo", "hello"]);
    let output = run(&["top", "--broker", &broker.endpoint, "--json", "--count", "2", "--interval", "10ms"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let views = json_lines(&stdout(&output));
    assert_eq!(views.len(), 2);
    let service = &views[1]["services"][0];
    assert_eq!((service["service"].as_str(), service["workers"].as_u64()), (Some("echo"), Some(1)));
    assert!(service["p50_us"].as_u64().is_some(), "one request has been measured: {service}");
}

#[test]
fn a_drained_service_refuses_until_it_is_resumed() {
    let broker = Majordomo::broker(&[]);
    let worker = Majordomo::echo(&broker.endpoint);
    let drain = |arguments: &[&str]| run(&[&["drain", "--broker", &broker.endpoint], arguments].concat());
    assert_eq!(stdout(&drain(&["echo"])), "service echo: draining\n");
    let refused = run(&["call", "--broker", &broker.endpoint, "--retries", "1", "echo", "hello"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("503"), "{}", stderr(&refused));
    assert_eq!(stdout(&drain(&["echo", "--resume"])), "service echo: resumed\n");
    drop(worker);
    let _worker = Majordomo::echo(&broker.endpoint);
    assert_eq!(call(&broker.endpoint, &["echo", "hello"]), ["hello"]);
}

#[test]
fn a_drained_broker_ends_and_what_nobody_knows_is_an_error() {
    let broker = Majordomo::broker(&[]);
    let unknown = run(&["drain", "--broker", &broker.endpoint, "nobody"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(stderr(&unknown).contains("no service and no worker nobody"), "{}", stderr(&unknown));
    assert_eq!(run(&["drain", "--broker", &broker.endpoint]).status.code(), Some(2));
    assert_eq!(stdout(&run(&["drain", "--broker", &broker.endpoint, "--all"])), "broker: draining\n");
    assert_eq!(broker.wait(std::time::Duration::from_secs(20)), Some(0));
}

#[test]
fn a_worker_is_drained_by_its_number() {
    let broker = Majordomo::broker(&[]);
    let worker = Majordomo::echo(&broker.endpoint);
    let workers = json_lines(&call(&broker.endpoint, &["mmi.workers"])[1..].join("\n"));
    let number = workers[0]["worker"].as_u64().unwrap();
    let output = run(&["drain", "--broker", &broker.endpoint, &number.to_string(), "--json"]);
    assert_eq!(json_lines(&stdout(&output))[0]["kind"], "worker", "{}", stderr(&output));
    wait_until("the worker has gone", || {
        let workers = json_lines(&call(&broker.endpoint, &["mmi.workers"])[1..].join("\n"));
        workers.iter().all(|worker| worker["worker"] != number)
    });
    drop(worker);
}
