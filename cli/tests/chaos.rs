//! Death of workers and brokers under load: nothing is lost, nobody is answered twice.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::raw::{Raw, request};
use common::{Majordomo, call, run, stderr, stdout, wait_for_workers};
use nix::sys::signal::Signal;

#[test]
fn a_hundred_clients_are_answered_once_each_time_while_a_worker_is_killed_every_second() {
    let broker = Majordomo::broker(&["--attempts", "10"]);
    let mut workers: Vec<_> = (0..8).map(|_| slow_echo(&broker.endpoint)).collect();
    wait_for_workers(&broker.endpoint, "echo", 8);
    let is_done = AtomicBool::new(false);
    let kills = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..100_u32)
            .map(|number| {
                scope.spawn({
                    let endpoint = &broker.endpoint;
                    move || two_hundred_requests(endpoint, number)
                })
            })
            .collect();
        let killer = scope.spawn(|| {
            let mut kills = 0_u32;
            while !is_done.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_secs(1));
                workers.remove(0).kill();
                workers.push(slow_echo(&broker.endpoint));
                kills += 1;
            }
            kills
        });
        for client in clients {
            client.join().unwrap();
        }
        is_done.store(true, Ordering::Relaxed);
        killer.join().unwrap()
    });
    assert!(kills >= 3, "the run was too short to prove anything: {kills} kills");
}

fn slow_echo(endpoint: &str) -> Majordomo {
    Majordomo::worker(endpoint, &["echo", "--delay", "4ms"])
}

fn two_hundred_requests(endpoint: &str, number: u32) {
    let mut client = Raw::dealer(endpoint);
    client.stream.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
    // One more than is asked for: were any answered twice, the next answer would be the wrong one.
    for sequence in 0..=200 {
        let body = format!("client {number}, request {sequence}");
        client.write(&request(b"echo", body.as_bytes()));
        assert_eq!(String::from_utf8_lossy(client.receive().last().unwrap()), body);
    }
}

#[test]
fn a_broker_killed_under_load_comes_back_to_its_workers_and_clients() {
    let broker = Majordomo::broker(&[]);
    let endpoint = broker.endpoint.clone();
    let beat = ["--heartbeat", "300ms"];
    let _workers: Vec<_> = (0..3).map(|_| Majordomo::worker(&endpoint, &[&["echo"][..], &beat].concat())).collect();
    wait_for_workers(&endpoint, "echo", 3);
    let (answered, answers) = std::sync::mpsc::channel();
    let clients: Vec<_> = (0..4)
        .map(|number| {
            let (endpoint, answered) = (endpoint.clone(), answered.clone());
            std::thread::spawn(move || {
                for sequence in 0..30 {
                    let body = format!("{number}:{sequence}");
                    let patience = ["--timeout", "500ms", "--retries", "60"];
                    assert_eq!(call(&endpoint, &[&patience[..], &["echo", &body]].concat()), [body]);
                    answered.send(()).unwrap();
                }
            })
        })
        .collect();
    answers.iter().take(8).for_each(drop);
    broker.kill();
    let _broker = Majordomo::broker_at(&endpoint);
    for client in clients {
        client.join().unwrap();
    }
    wait_for_workers(&endpoint, "echo", 3);
}

#[test]
fn three_workers_share_the_load_and_a_kill_in_the_middle_of_a_request_is_not_noticed() {
    let broker = Majordomo::broker(&[]);
    let doomed = Majordomo::worker(&broker.endpoint, &["echo", "--delay", "1h"]);
    wait_for_workers(&broker.endpoint, "echo", 1);
    let mut client = Raw::dealer(&broker.endpoint);
    client.write(&request(b"echo", b"in the middle"));
    common::wait_until("the worker to be busy", || {
        stdout(&run(&["services", "--broker", &broker.endpoint, "--json"])).contains("\"waiting\":0")
    });
    let _others = [Majordomo::worker(&broker.endpoint, &["echo"]), Majordomo::worker(&broker.endpoint, &["echo"])];
    wait_for_workers(&broker.endpoint, "echo", 3);
    doomed.kill();
    assert_eq!(client.receive().last().unwrap(), b"in the middle");
}

#[test]
fn a_long_job_succeeds_while_its_worker_heartbeats() {
    let broker = Majordomo::broker(&["--heartbeat", "200ms", "--busy-timeout", "1500ms"]);
    let _worker = Majordomo::worker(&broker.endpoint, &["echo", "--delay", "4s", "--heartbeat", "200ms"]);
    wait_for_workers(&broker.endpoint, "echo", 1);
    assert_eq!(call(&broker.endpoint, &["--timeout", "30s", "--retries", "1", "echo", "patience"]), ["patience"]);
}

#[test]
fn a_worker_that_hangs_is_noticed_within_a_second_of_its_expiry_and_its_job_goes_to_another() {
    let broker = Majordomo::broker(&["--heartbeat", "500ms", "--busy-timeout", "60s"]);
    let hung = Majordomo::worker(&broker.endpoint, &["echo", "--delay", "1h", "--heartbeat", "500ms"]);
    wait_for_workers(&broker.endpoint, "echo", 1);
    let mut client = Raw::dealer(&broker.endpoint);
    client.write(&request(b"echo", b"hello"));
    // Three beats over the job: the broker knows now that this worker can.
    std::thread::sleep(Duration::from_millis(2000));
    hung.signal(Signal::SIGSTOP);
    let stopped = Instant::now();
    let _other = Majordomo::worker(&broker.endpoint, &["echo"]);
    assert_eq!(client.receive().last().unwrap(), b"hello");
    let noticed = stopped.elapsed();
    assert!(noticed < Duration::from_millis(2500), "expiry is 1.5 s after its last beat; it took {noticed:?}");
    hung.signal(Signal::SIGCONT);
}

#[test]
fn servers_end_cleanly_on_sigterm_and_sigint() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let broker = Majordomo::broker(&[]);
        let worker = Majordomo::echo(&broker.endpoint);
        worker.signal(signal);
        assert_eq!(worker.wait(Duration::from_secs(10)), Some(0));
        broker.signal(signal);
        assert_eq!(broker.wait(Duration::from_secs(10)), Some(0));
    }
}

#[test]
fn a_worker_that_is_asked_to_end_finishes_its_job_first() {
    let broker = Majordomo::broker(&[]);
    let worker = Majordomo::worker(&broker.endpoint, &["echo", "--delay", "1s"]);
    wait_for_workers(&broker.endpoint, "echo", 1);
    let mut client = Raw::dealer(&broker.endpoint);
    client.write(&request(b"echo", b"last words"));
    common::wait_until("the worker to be busy", || {
        stdout(&run(&["services", "--broker", &broker.endpoint, "--json"])).contains("\"waiting\":0")
    });
    worker.signal(Signal::SIGTERM);
    assert_eq!(client.receive().last().unwrap(), b"last words");
    assert_eq!(worker.wait(Duration::from_secs(10)), Some(0));
    let output = run(&["services", "--broker", &broker.endpoint, "--json"]);
    assert!(!stdout(&output).contains("echo"), "{}{}", stdout(&output), stderr(&output));
}
