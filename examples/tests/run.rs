//! Each example, run as a user runs it, beside a real broker.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests fail by panicking")]

use std::convert::Infallible;
use std::process::Stdio;
use std::time::Duration;

use client::{Frames, LazyPirate, Reply};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use worker::runtime::shutdown::Trigger;
use worker::{Request, Shutdown, Worker};

const PATIENCE: Duration = Duration::from_secs(60);

struct Broker {
    endpoint: String,
    /// The broker ends when nobody can wish it any more.
    _trigger: Trigger,
}

impl Broker {
    async fn start() -> Self {
        let endpoints = ["tcp://127.0.0.1:0".parse().unwrap()];
        let server = broker::Server::bind(&endpoints, broker::Config::default(), Default::default()).await.unwrap();
        let endpoint = server.endpoints()[0].to_string();
        let (trigger, shutdown) = Shutdown::new();
        tokio::spawn(server.run(shutdown));
        Self { endpoint, _trigger: trigger }
    }

    /// Starts a worker program.
    fn program(&self, path: &str) -> Child {
        Command::new(path).arg(&self.endpoint).kill_on_drop(true).spawn().unwrap()
    }

    /// What a client program prints, once it has ended well.
    async fn printed(&self, path: &str) -> String {
        let program = Command::new(path).arg(&self.endpoint).kill_on_drop(true).stderr(Stdio::inherit()).output();
        let output = tokio::time::timeout(PATIENCE, program).await.expect("the program does not end").unwrap();
        assert!(output.status.success(), "{}", output.status);
        String::from_utf8(output.stdout).unwrap()
    }

    async fn ask(&self, service: &str, body: &str) -> Reply {
        LazyPirate::new(&self.endpoint).timeout(PATIENCE).request(service, [body.to_owned()]).await.unwrap()
    }

    fn echo(&self) -> JoinHandle<Result<(), worker::Error>> {
        let echo = |request: Request| async move { Ok::<Frames, Infallible>(request.body) };
        tokio::spawn(Worker::new(&self.endpoint, "echo").serve(echo))
    }
}

/// A worker program ends well on SIGTERM.
async fn end(mut program: Child) {
    kill(Pid::from_raw(program.id().unwrap().try_into().unwrap()), Signal::SIGTERM).unwrap();
    let status = tokio::time::timeout(PATIENCE, program.wait()).await.expect("the program does not end").unwrap();
    assert!(status.success(), "{status}");
}

fn frames<const N: usize>(frames: [&'static str; N]) -> Frames {
    frames.into()
}

#[tokio::test]
async fn echo_worker_sends_back_what_comes() {
    let broker = Broker::start().await;
    let program = broker.program(env!("CARGO_BIN_EXE_echo_worker"));
    assert_eq!(broker.ask("echo", "hello").await.body, frames(["hello"]));
    end(program).await;
}

#[tokio::test]
async fn json_worker_confirms_orders_and_refuses_what_is_none() {
    let broker = Broker::start().await;
    let program = broker.program(env!("CARGO_BIN_EXE_json_worker"));
    let reply = broker.ask("orders", r#"{"item": "pen", "count": 4}"#).await;
    assert_eq!(reply.body, frames([r#"{"text":"4 x pen","total":12}"#]));
    let reply = broker.ask("orders", r#"{"item": "pen"}"#).await;
    assert!(reply.body[0].starts_with(b"400 missing field `count`"), "{reply:?}");
    let reply = broker.ask("orders", r#"{"item": "pen", "count": 18446744073709551615}"#).await;
    assert_eq!(reply.body, frames(["500 nobody can pay for that"]));
    end(program).await;
}

#[tokio::test]
async fn streaming_worker_counts_down_in_parts() {
    let broker = Broker::start().await;
    let program = broker.program(env!("CARGO_BIN_EXE_streaming_worker"));
    let reply = broker.ask("countdown", "3").await;
    assert_eq!(reply, Reply { body: frames(["3", "2", "1", "lift-off"]), parts: 4 });
    let reply = broker.ask("countdown", "x").await;
    assert!(reply.body[0].starts_with(b"400 \"x\" is not a number"), "{reply:?}");
    end(program).await;
}

#[tokio::test]
async fn tower_worker_counts_its_answers() {
    let broker = Broker::start().await;
    let program = broker.program(env!("CARGO_BIN_EXE_tower_worker"));
    assert_eq!(broker.ask("counted", "first").await.body, frames(["first", "1"]));
    assert_eq!(broker.ask("counted", "second").await.body, frames(["second", "2"]));
    end(program).await;
}

#[tokio::test]
async fn lazy_pirate_prints_the_reply() {
    let broker = Broker::start().await;
    let echo = broker.echo();
    assert_eq!(broker.printed(env!("CARGO_BIN_EXE_lazy_pirate")).await, "hello\nworld\n");
    echo.abort();
}

#[tokio::test]
async fn ten_thousand_requests_get_ten_thousand_replies() {
    let broker = Broker::start().await;
    let echo = broker.echo();
    let printed = broker.printed(env!("CARGO_BIN_EXE_ten_thousand_requests")).await;
    assert_eq!(printed, "10000 requests, 10000 replies\n");
    echo.abort();
}

#[tokio::test]
async fn find_services_lists_what_is_served() {
    let broker = Broker::start().await;
    let echo = broker.echo();
    broker.ask("echo", "so that it is there").await;
    assert_eq!(broker.printed(env!("CARGO_BIN_EXE_find_services")).await, "echo: 1 workers, 0 waiting\n");
    echo.abort();
}
