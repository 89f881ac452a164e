//! Requests that survive, with real processes: the service may be down, and Titanic may be killed at any time.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeMap;
use std::process::{Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use client::{Client, Fetched, Frames, RequestId};
use common::{Majordomo, command, metrics, run, stderr, stdout, wait_for_workers, wait_until};
use nix::sys::signal::Signal;

fn titanic(broker: &Majordomo, arguments: &[&str]) -> Majordomo {
    let titanic = Majordomo::titanic(&broker.endpoint, arguments);
    wait_for_workers(&broker.endpoint, "titanic.request", 1);
    titanic
}

fn ask(command: &str, broker: &Majordomo, arguments: &[&str]) -> Output {
    let words: Vec<&str> = command.split(' ').collect();
    run(&[&words[..], &["--broker", &broker.endpoint], arguments].concat())
}

fn submit(broker: &Majordomo, arguments: &[&str]) -> String {
    let output = ask("submit", broker, arguments);
    assert!(output.status.success(), "{}", stderr(&output));
    stdout(&output).trim().to_owned()
}

/// Exit status and standard output.
fn told(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), stdout(output))
}

#[test]
fn a_request_for_a_service_that_is_down_is_answered_when_it_comes() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log").to_str().unwrap().to_owned();
    let flags = ["--log", &log, "--capacity", "16MiB"];
    let broker = Majordomo::broker(&[]);
    let first = titanic(&broker, &flags);
    let id = submit(&broker, &["echo", "hello", "world"]);
    assert_eq!(told(&ask("fetch", &broker, &[&id])), (Some(1), String::new()));

    // It has left, and comes back: what it took is still there.
    first.signal(Signal::SIGTERM);
    assert_eq!(first.wait(Duration::from_secs(60)), Some(0));
    let _second = titanic(&broker, &flags);
    assert_eq!(told(&ask("fetch", &broker, &[&id])), (Some(1), String::new()));

    let _worker = Majordomo::echo(&broker.endpoint);
    let answer = (Some(0), "hello\nworld\n".to_owned());
    assert_eq!(told(&ask("fetch", &broker, &["--wait", "30s", &id])), answer);
    assert_eq!(told(&ask("fetch", &broker, &[&id.to_uppercase()])), answer, "a second time it is the same");
    assert_eq!(ask("close", &broker, &[&id]).status.code(), Some(0));
    assert_eq!(told(&ask("fetch", &broker, &[&id])), (Some(3), String::new()));
    assert_eq!(ask("close", &broker, &[&id]).status.code(), Some(0));
    assert_eq!(ask("fetch", &broker, &["../../etc/passwd"]).status.code(), Some(2));
}

#[test]
fn a_submit_under_a_chosen_id_is_taken_once_and_says_so_again() {
    let broker = Majordomo::broker(&[]);
    let _titanic = titanic(&broker, &["--memory", "--capacity", "16MiB"]);
    let id = "0123456789abcdef0123456789ABCDEF";
    for _ in 0..2 {
        assert_eq!(submit(&broker, &["--id", id, "echo", "one"]), id.to_lowercase());
    }
    let other = ask("submit", &broker, &["--id", id, "echo", "another"]);
    assert_eq!(other.status.code(), Some(1));
    assert!(stderr(&other).contains("400 "), "{}", stderr(&other));
}

#[test]
fn what_fails_too_often_is_listed_read_replayed_and_dropped() {
    let broker = Majordomo::broker(&[]);
    let _titanic = titanic(&broker, &["--memory", "--capacity", "16MiB", "--attempts", "2"]);
    let _worker = Majordomo::worker(&broker.endpoint, &["exec", "--service", "fail", "--", "false"]);
    wait_for_workers(&broker.endpoint, "fail", 1);
    let id = submit(&broker, &["fail", "hello"]);
    let fetched = ask("fetch", &broker, &["--wait", "30s", &id]);
    assert_eq!(fetched.status.code(), Some(1));
    assert!(stderr(&fetched).contains("given up"), "{}", stderr(&fetched));
    let rows = stdout(&ask("dead list", &broker, &[]));
    let row: serde_json::Value = serde_json::from_str(&rows).unwrap();
    assert_eq!((row["id"].as_str(), row["attempts"].as_u64()), (Some(id.as_str()), Some(2)));
    assert_eq!(told(&ask("dead read", &broker, &[&id])), (Some(0), "fail\nhello\n".to_owned()));
    assert_eq!(ask("dead replay", &broker, &[&id]).status.code(), Some(0));
    wait_until("its second death", || stdout(&ask("dead list", &broker, &[])).contains(&id));
    assert_eq!(ask("dead drop", &broker, &[&id]).status.code(), Some(0));
    assert_eq!(told(&ask("dead list", &broker, &[])), (Some(0), String::new()));
    assert_eq!(ask("dead drop", &broker, &[&id]).status.code(), Some(1));
}

#[test]
fn a_log_that_cannot_be_had_is_one_line_and_is_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let broker = Majordomo::broker(&[]);
    let held = titanic(&broker, &["--log", &path("held"), "--capacity", "16MiB"]);
    std::fs::write(path("text"), "this is no log, and it is somebody's\n".repeat(1000)).unwrap();
    for (arguments, status, part) in [
        (vec!["--log", &path("held")], 1, format!("process {}", held.pid())),
        (vec!["--log", &path("text")], 1, "not a Titanic log".to_owned()),
        (vec!["--log", &path("no/folder")], 1, "No such file".to_owned()),
        (vec!["--log", &path("small"), "--capacity", "1KiB"], 1, "too small".to_owned()),
        (vec![], 2, "--log".to_owned()),
        (vec!["--memory", "--sync", "sometimes"], 2, "always, os".to_owned()),
    ] {
        let output = ask("titanic", &broker, &arguments);
        let text = stderr(&output);
        assert_eq!((output.status.code(), text.lines().count()), (Some(status), 1), "{arguments:?}: {text}");
        assert!(text.contains(&part), "{part}: {text}");
    }
    assert!(std::fs::read_to_string(path("text")).unwrap().starts_with("this is no log"));
    submit(&broker, &["echo", "hello"]);
    let inspected = run(&["titanic", "inspect", &path("held"), "--verify", "--json"]);
    assert!(inspected.status.success(), "{}", stderr(&inspected));
    let inspected: serde_json::Value = serde_json::from_str(&stdout(&inspected)).unwrap();
    assert_eq!(inspected["states"]["open"], 1);
    assert_eq!(inspected["holder"], held.pid());
}

#[test]
fn a_full_log_refuses_and_takes_the_same_request_once_there_is_room() {
    let broker = Majordomo::broker(&[]);
    let _titanic = titanic(&broker, &["--memory", "--capacity", "1MiB"]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = Client::connect(broker.endpoint.clone()).unwrap();
        let (titanic, body) = (client.titanic(), Frames::from(["x".repeat(60_000)]));
        let mut taken = Vec::new();
        let refused = loop {
            match titanic.submit("nobody", body.clone()).await {
                Ok(id) => taken.push(id),
                Err(error) => break error.to_string(),
            }
        };
        assert!(refused.contains("500 the log is full") && !taken.is_empty(), "{refused}");
        let id = RequestId([7; 16]);
        assert!(titanic.submit_as(id, "nobody", body.clone()).await.is_err());
        for taken in taken {
            assert_eq!(titanic.fetch(taken, Duration::ZERO).await, Ok(Fetched::Pending));
            titanic.close(taken).await.unwrap();
        }
        assert_eq!(titanic.submit_as(id, "nobody", body.clone()).await, Ok(id));
    });
}

/// What clients were told.
#[derive(Default)]
struct Told {
    acknowledged: Mutex<BTreeMap<[u8; 16], String>>,
    is_over: AtomicBool,
}

/// Submits one request after the other. Who is not told anything asks again under the same id.
async fn submit_for_ever(client: Client, task: u64, told: Arc<Told>) {
    let mut number = 0;
    while !told.is_over.load(Relaxed) {
        number += 1;
        let id = RequestId((u128::from(task) << 64 | number).to_be_bytes());
        let body = format!("{task}.{number}");
        while client.titanic().submit_as(id, "echo", [body.clone()]).await.is_err() {
            if told.is_over.load(Relaxed) {
                return;
            }
        }
        told.acknowledged.lock().unwrap().insert(id.0, body);
    }
}

/// Clients that submit until they are told to stop.
struct Load {
    runtime: tokio::runtime::Runtime,
    endpoint: String,
    told: Arc<Told>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    fn start(endpoint: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let mut load =
            Self { runtime, endpoint: endpoint.to_owned(), told: Arc::new(Told::default()), tasks: Vec::new() };
        for task in 1..=8 {
            let submitting = submit_for_ever(load.connect(), task, load.told.clone());
            load.tasks.push(load.runtime.spawn(submitting));
        }
        load
    }

    fn connect(&self) -> Client {
        let _inside = self.runtime.enter();
        Client::builder(&self.endpoint).timeout(Duration::from_secs(2)).retries(2).connect().unwrap()
    }

    /// Waits for more acknowledgements.
    fn wait(&self, count: usize) {
        let now = || self.told.acknowledged.lock().unwrap().len();
        let before = now();
        wait_until("acknowledgements", || now() >= before + count);
    }

    /// Stops, and looks whether everything that was acknowledged has its own answer.
    fn account(self, least: usize) {
        self.told.is_over.store(true, Relaxed);
        let client = self.connect();
        for task in self.tasks {
            self.runtime.block_on(task).unwrap();
        }
        let acknowledged = std::mem::take(&mut *self.told.acknowledged.lock().unwrap());
        assert!(acknowledged.len() >= least);
        self.runtime.block_on(async {
            for (id, body) in acknowledged {
                let fetched = client.titanic().fetch(RequestId(id), Duration::from_secs(60)).await;
                assert_eq!(fetched, Ok(Fetched::Answer(Frames::from([body.clone()]))), "{body} was acknowledged");
            }
        });
    }
}

#[test]
fn killed_ten_times_under_load_it_loses_nothing_that_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log").to_str().unwrap().to_owned();
    let flags = ["--log", &log, "--capacity", "64MiB"];
    let broker = Majordomo::broker(&[]);
    let _worker = Majordomo::echo(&broker.endpoint);
    let mut process = titanic(&broker, &flags);
    let load = Load::start(&broker.endpoint);
    for _ in 0..10 {
        load.wait(100);
        process.kill();
        process = Majordomo::titanic(&broker.endpoint, &flags);
    }
    load.account(1000);
}

#[test]
fn what_a_later_flush_leaves_open_survives_the_death_of_the_process_all_the_same() {
    for sync in ["10ms", "os"] {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log").to_str().unwrap().to_owned();
        let flags = ["--log", &log, "--capacity", "64MiB", "--sync", sync];
        let broker = Majordomo::broker(&[]);
        let _worker = Majordomo::echo(&broker.endpoint);
        let mut process = titanic(&broker, &flags);
        let load = Load::start(&broker.endpoint);
        for _ in 0..3 {
            load.wait(100);
            process.kill();
            process = Majordomo::titanic(&broker.endpoint, &flags);
        }
        load.account(300);
    }
}

/// A broker with a Titanic in its process.
fn aboard(endpoint: Option<&str>, flags: &[&str]) -> Majordomo {
    let bind = ["--bind", endpoint.unwrap_or("tcp://127.0.0.1:0")];
    let broker = Majordomo::broker_with(&[&bind, flags].concat());
    wait_for_workers(&broker.endpoint, "titanic.request", 1);
    broker
}

#[test]
fn within_the_brokers_process_a_request_is_kept_over_a_restart_answered_and_closed() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log").to_str().unwrap().to_owned();
    let flags = ["--titanic", &log, "--capacity", "16MiB"];
    let broker = aboard(None, &flags);
    let endpoint = broker.endpoint.clone();
    let id = submit(&broker, &["echo", "hello", "world"]);
    assert_eq!(told(&ask("fetch", &broker, &[&id])), (Some(1), String::new()));
    broker.signal(Signal::SIGTERM);
    assert_eq!(broker.wait(Duration::from_secs(60)), Some(0));
    let inspected = run(&["titanic", "inspect", &log, "--verify", "--json"]);
    assert!(inspected.status.success(), "{}", stderr(&inspected));

    let broker = aboard(Some(&endpoint), &flags);
    let _worker = Majordomo::echo(&broker.endpoint);
    let answer = (Some(0), "hello\nworld\n".to_owned());
    assert_eq!(told(&ask("fetch", &broker, &["--wait", "30s", &id])), answer);
    assert_eq!(ask("close", &broker, &[&id]).status.code(), Some(0));
    assert_eq!(told(&ask("fetch", &broker, &[&id])), (Some(3), String::new()));
}

#[test]
fn a_broker_with_a_titanic_is_killed_ten_times_under_load_and_nothing_acknowledged_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log").to_str().unwrap().to_owned();
    let flags = ["--titanic", &log, "--capacity", "64MiB"];
    let mut broker = aboard(None, &flags);
    let endpoint = broker.endpoint.clone();
    let _worker = Majordomo::echo(&endpoint);
    let load = Load::start(&endpoint);
    for _ in 0..10 {
        load.wait(100);
        broker.kill();
        broker = Majordomo::broker_with(&[&["--bind", &endpoint], &flags[..]].concat());
    }
    load.account(1000);
}

#[test]
fn an_answer_that_comes_while_the_broker_leaves_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log").to_str().unwrap().to_owned();
    let broker = aboard(None, &["--titanic", &log, "--capacity", "16MiB"]);
    let _worker = Majordomo::worker(&broker.endpoint, &["echo", "--delay", "2s"]);
    wait_for_workers(&broker.endpoint, "echo", 1);
    submit(&broker, &["echo", "hello"]);
    wait_until("a call under way", || {
        let stats = stdout(&run(&["call", "--broker", &broker.endpoint, "mmi.stats", "echo"]));
        stats.contains("\"in_flight\":1")
    });
    broker.signal(Signal::SIGTERM);
    assert_eq!(broker.wait(Duration::from_secs(60)), Some(0));
    let inspected = stdout(&run(&["titanic", "inspect", &log, "--verify", "--json"]));
    let inspected: serde_json::Value = serde_json::from_str(&inspected).unwrap();
    assert_eq!(inspected["states"]["answered"], 1, "{inspected}");
}

#[test]
fn who_waits_for_an_answer_does_not_hold_up_the_end_of_a_broker_with_a_titanic() {
    let broker = aboard(None, &["--memory", "--capacity", "16MiB", "--drain-grace", "300s"]);
    let id = submit(&broker, &["nobody", "hello"]);
    let line = ["fetch", "--broker", &broker.endpoint, "--timeout", "60s", "--wait", "50s", &id];
    let waiting = command(&line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until("a fetch that waits", || {
        let stats = stdout(&run(&["call", "--broker", &broker.endpoint, "mmi.stats", "titanic.reply"]));
        stats.contains("\"in_flight\":1")
    });
    broker.signal(Signal::SIGTERM);
    assert_eq!(waiting.wait_with_output().unwrap().status.code(), Some(1), "still pending");
    assert_eq!(broker.wait(Duration::from_secs(60)), Some(0));
}

#[test]
fn a_log_that_the_broker_cannot_have_is_one_line_before_it_listens() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let held = aboard(None, &["--titanic", &path("held"), "--capacity", "16MiB"]);
    std::fs::write(path("text"), "this is no log, and it is somebody's\n".repeat(1000)).unwrap();
    for (arguments, status, part) in [
        (vec!["--titanic", &path("held")], 1, format!("process {}", held.pid())),
        (vec!["--titanic", &path("text")], 1, "not a Titanic log".to_owned()),
        (vec!["--titanic", &path("x"), "--sync", "sometimes"], 2, "always, os".to_owned()),
        (vec!["--titanic", &path("x"), "--memory"], 2, "--memory".to_owned()),
    ] {
        let output = run(&[&["broker", "--bind", "tcp://127.0.0.1:0"], &arguments[..]].concat());
        let text = stderr(&output);
        assert_eq!((output.status.code(), text.lines().count()), (Some(status), 1), "{arguments:?}: {text}");
        assert!(text.contains(&part) && stdout(&output).is_empty(), "{part}: {text}");
    }
}

#[test]
fn the_figures_of_a_titanic_are_among_the_metrics() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let broker = aboard(None, &["--memory", "--capacity", "16MiB", "--metrics", &port.to_string()]);
    submit(&broker, &["nobody", "hello"]);
    wait_until("the metrics", || {
        let text = metrics(port);
        text.contains("majordomo_titanic_submitted_total 1") && text.contains("majordomo_titanic_open 1")
    });
}
