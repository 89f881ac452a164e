//! Our worker and our clients with brokers that we did not write: a strict MDP 0.1 broker on pyzmq, and majortomo.
//!
//! The Python is `MAJORDOMO_TEST_PYTHON`, else `python3`. Without pyzmq and majortomo these tests fail, unless
//! `MAJORDOMO_TEST_OFFLINE=1` allows to go on without them.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::print_stdout, reason = "a test")]

mod asking;

use std::convert::Infallible;
use std::process::Stdio;
use std::time::Duration;

use asking::ask_all;
use client::{Client, LazyPirate, Reply};
use futures_util::stream;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use worker::{Dialect, Frames, Request, Shutdown, Worker};

const PATIENCE: Duration = Duration::from_secs(60);
const HEARTBEAT: Duration = Duration::from_millis(250);

/// A broker in a process of its own, which ends with the test.
struct Foreign {
    endpoint: String,
    lines: Lines<BufReader<ChildStdout>>,
    process: Child,
}

impl Foreign {
    /// Starts a script of `peers/`; `None` when it cannot run here and need not.
    async fn start(script: &str, module: &str, arguments: &[&str]) -> Option<Self> {
        let python = std::env::var("MAJORDOMO_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
        let import = Command::new(&python).arg("-c").arg(format!("import {module}")).output().await;
        if !import.is_ok_and(|output| output.status.success()) {
            let offline = std::env::var("MAJORDOMO_TEST_OFFLINE").is_ok_and(|value| value == "1");
            assert!(offline, "{python} has no module {module}; MAJORDOMO_TEST_OFFLINE=1 goes on without it");
            println!("not run: {python} has no module {module}");
            return None;
        }
        let mut process = Command::new(python)
            .arg(format!("{}/tests/peers/{script}", env!("CARGO_MANIFEST_DIR")))
            .args(arguments)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut foreign = Self { endpoint: String::new(), lines, process };
        foreign.endpoint = foreign.line().await.strip_prefix("ready ").unwrap().to_owned();
        Some(foreign)
    }

    /// What it says next; a broker that ends instead has found a violation, and said so.
    async fn line(&mut self) -> String {
        let line = tokio::time::timeout(PATIENCE, self.lines.next_line()).await.expect("nothing was said");
        line.unwrap().expect("the broker has ended")
    }

    /// Passes if nobody has violated the broker's protocol.
    fn assert_content(&mut self) {
        assert_eq!(self.process.try_wait().unwrap(), None, "the broker has ended");
    }

    fn worker(&self, dialect: Dialect) -> Worker {
        Worker::new(&self.endpoint, "echo").dialect(dialect).heartbeat(HEARTBEAT).liveness(100)
    }

    fn pirate(&self, dialect: Dialect) -> LazyPirate {
        LazyPirate::new(&self.endpoint).dialect(dialect).timeout(PATIENCE)
    }

    fn client(&self, dialect: Dialect) -> Client {
        Client::builder(&self.endpoint).dialect(dialect).one_at_a_time().timeout(PATIENCE).connect().unwrap()
    }
}

async fn rfc7_broker() -> Option<Foreign> {
    Foreign::start("rfc7_broker.py", "zmq", &["--interval", "250"]).await
}

async fn majortomo_broker() -> Option<Foreign> {
    Foreign::start("majortomo_broker.py", "majortomo.broker", &[]).await
}

async fn echo(request: Request) -> Result<Frames, Infallible> {
    Ok(request.body)
}

#[tokio::test]
async fn a_strict_01_broker_is_served_and_asked_and_told_of_the_end() {
    let Some(mut broker) = rfc7_broker().await else { return };
    let (trigger, shutdown) = Shutdown::new();
    let worker = tokio::spawn(broker.worker(Dialect::V01).shutdown(shutdown).serve(echo));
    assert_eq!(broker.line().await, "worker echo");
    let reply = broker.pirate(Dialect::V01).request("echo", ["one", ""]).await;
    assert_eq!(reply, Ok(Reply { body: ["one", ""].into(), parts: 1 }));
    assert_eq!(ask_all(&broker.client(Dialect::V01), 200).await, 200);
    trigger.pull();
    assert_eq!(broker.line().await, "gone echo");
    worker.await.unwrap().unwrap();
    broker.assert_content();
}

#[tokio::test]
async fn a_job_that_takes_longer_than_the_brokers_silence_towards_busy_workers_is_answered() {
    let Some(mut broker) = rfc7_broker().await else { return };
    let slow = |request: Request| async {
        tokio::time::sleep(10 * HEARTBEAT).await;
        echo(request).await
    };
    let worker = tokio::spawn(broker.worker(Dialect::V01).liveness(3).serve(slow));
    let mut pirate = broker.pirate(Dialect::V01).retries(1);
    assert_eq!(pirate.request("echo", ["slow"]).await.unwrap().body, ["slow"].into());
    // Had it left in between, it would have said READY again.
    assert_eq!(broker.line().await, "worker echo");
    worker.abort();
    broker.process.kill().await.unwrap();
    assert_eq!(broker.lines.next_line().await.unwrap(), None);
}

#[tokio::test]
async fn a_streamed_reply_is_one_reply_to_a_01_broker() {
    let Some(mut broker) = rfc7_broker().await else { return };
    let count = |_: Request| async {
        let parts = ["one", "two"].map(|text| Frames::from([text]));
        Ok::<_, Infallible>(worker::Reply::stream(stream::iter(parts)))
    };
    let worker = tokio::spawn(broker.worker(Dialect::V01).serve(count));
    let reply = broker.pirate(Dialect::V01).request("echo", [""]).await;
    assert_eq!(reply, Ok(Reply { body: ["one", "two"].into(), parts: 1 }));
    worker.abort();
    broker.assert_content();
}

#[tokio::test]
async fn majortomo_is_served_and_asked_with_whole_and_with_streamed_replies() {
    let Some(mut broker) = majortomo_broker().await else { return };
    let count_or_echo = |request: Request| async move {
        let parts = ["one", "two"].map(|text| Frames::from([text]));
        Ok::<worker::Reply, Infallible>(match request.body[0].as_ref() {
            b"count" => worker::Reply::stream(stream::iter(parts)),
            _ => request.body.into(),
        })
    };
    let worker = tokio::spawn(broker.worker(Dialect::V02Delimited).serve(count_or_echo));
    let mut pirate = broker.pirate(Dialect::V02Majortomo);
    let count = Ok(Reply { body: ["one", "two"].into(), parts: 2 });
    assert_eq!(pirate.request("echo", ["question", ""]).await.unwrap().body, ["question", ""].into());
    assert_eq!(pirate.request("echo", ["count"]).await, count);
    let client = broker.client(Dialect::V02Majortomo);
    assert_eq!(client.request("echo", ["count"]).await, count);
    assert_eq!(ask_all(&client, 100).await, 100);
    worker.abort();
    broker.assert_content();
}
