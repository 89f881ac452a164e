//! Each example, run as a user runs it, beside a real broker.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests fail by panicking")]

use std::convert::Infallible;
use std::process::Stdio;
use std::time::Duration;

use client::{Frames, LazyPirate, Reply, Status};
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

    /// Asks, and is told this status for a reason like this.
    async fn refused(&self, service: &str, body: &str, status: Status, reason: &str) {
        let mut pirate = LazyPirate::new(&self.endpoint).timeout(PATIENCE);
        let error = pirate.request(service, [body.to_owned()]).await.unwrap_err();
        assert!(error.status() == Some(status) && error.to_string().contains(reason), "{error}");
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
    for (order, status, reason) in [
        (r#"{"item": "pen"}"#, Status::BAD_REQUEST, "missing field `count`"),
        (r#"{"item": "pen", "count": 18446744073709551615}"#, Status::WORKER_FAILED, "nobody can pay for that"),
    ] {
        broker.refused("orders", order, status, reason).await;
    }
    end(program).await;
}

#[tokio::test]
async fn streaming_worker_counts_down_in_parts() {
    let broker = Broker::start().await;
    let program = broker.program(env!("CARGO_BIN_EXE_streaming_worker"));
    let reply = broker.ask("countdown", "3").await;
    assert_eq!(reply, Reply { body: frames(["3", "2", "1", "lift-off"]), parts: 4 });
    broker.refused("countdown", "x", Status::BAD_REQUEST, "\"x\" is not a number").await;
    end(program).await;
}

#[tokio::test]
async fn busy_worker_serves_two_services_many_requests_at_once_and_refuses_with_a_status() {
    let broker = Broker::start().await;
    let program = broker.program(env!("CARGO_BIN_EXE_busy_worker"));
    let started = std::time::Instant::now();
    let naps = (0..20).map(|_| broker.ask("sleep", "500"));
    for reply in futures_util::future::join_all(naps).await {
        assert_eq!(reply.body, frames(["slept"]));
    }
    assert!(started.elapsed() < Duration::from_secs(8), "one after the other they take 10 s");
    assert_eq!(broker.ask("half", "42").await.body, frames(["21"]));
    for (half, status, reason) in
        [("7", Status::BAD_REQUEST, "7 is odd"), ("x", Status::WORKER_FAILED, "invalid digit")]
    {
        broker.refused("half", half, status, reason).await;
    }
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

#[tokio::test]
async fn deadline_and_cancel_says_what_became_of_both() {
    let broker = Broker::start().await;
    let printed = broker.printed(env!("CARGO_BIN_EXE_deadline_and_cancel")).await;
    let [urgent, unwanted] = printed.lines().collect::<Vec<_>>()[..] else { panic!("{printed}") };
    // Broker and client count the same time, and either may be the first to say so.
    assert!(urgent.contains("service nobody at ") && urgent.contains("1 attempt in 0.3 s"), "{urgent}");
    assert_eq!(unwanted, "not wanted any more: cancelled");
}

#[tokio::test]
async fn no_addresses_finds_the_broker_that_is_announced_in_the_mesh() {
    let broker = Broker::start().await;
    let announcement = mesh::announcement::Announcement {
        broker: format!("example-{}", std::process::id()),
        endpoints: vec![broker.endpoint.clone()],
        ..Default::default()
    };
    let mut headers = announcement.headers();
    headers.insert(mesh::HOST_HEADER.to_owned(), mesh::host());
    let interfaces = vec![mesh::Interface::Name("lo".to_owned())];
    let settings = mesh::Settings { interfaces, headers, ..Default::default() };
    let (_mesh, _events) = mesh::Mesh::enter(settings).await.unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_no_addresses"));
    let _worker = program.arg(&announcement.broker).arg("lo").kill_on_drop(true).spawn().unwrap();
    assert_eq!(broker.ask("echo", "hello").await.body, Frames::from(["hello"]));
}
