//! Workers, our broker and clients together, over real sockets.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests fail by panicking")]

mod asking;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use asking::ask_all;
use broker::Server;
use client::{Client, Error, LazyPirate, Reply};
use futures_util::stream;
use protocol::RequestId;
use protocol::mdp::v03::{self, FromClient, Terms, ToClient};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use worker::runtime::shutdown::Trigger;
use worker::runtime::zmtp::{Dealer, Endpoint, Event, Options};
use worker::{Dialect, Frames, Request, Shutdown, Worker};

const PATIENCE: Duration = Duration::from_secs(60);

/// A running broker.
struct Broker {
    endpoint: Endpoint,
    trigger: Trigger,
    running: JoinHandle<()>,
}

impl Broker {
    async fn start() -> Self {
        Self::start_at(&"tcp://127.0.0.1:0".parse().unwrap()).await
    }

    async fn start_at(endpoint: &Endpoint) -> Self {
        Self::start_with(endpoint, broker::Config::default()).await
    }

    async fn start_with(endpoint: &Endpoint, config: broker::Config) -> Self {
        let bound = async {
            loop {
                // The predecessor lets go of its port in its own time.
                match Server::bind(std::slice::from_ref(endpoint), config.clone(), Default::default()).await {
                    Ok(server) => return server,
                    Err(_) => tokio::task::yield_now().await,
                }
            }
        };
        let server = tokio::time::timeout(PATIENCE, bound).await.expect("the port is not free");
        let endpoint = server.endpoints()[0].clone();
        let (trigger, shutdown) = Shutdown::new();
        Self { endpoint, trigger, running: tokio::spawn(server.run(shutdown)) }
    }

    /// Dies without a word and comes back with an empty memory.
    async fn restart(self) -> Self {
        self.running.abort();
        let _ = self.running.await;
        Self::start_at(&self.endpoint).await
    }

    async fn stop(self) {
        self.trigger.pull();
        tokio::time::timeout(PATIENCE, self.running).await.unwrap().unwrap();
    }

    fn worker(&self) -> Worker {
        Worker::new(self.endpoint.to_string(), "echo").reconnect(Duration::from_millis(20), Duration::from_millis(100))
    }

    fn echo(&self, dialect: Dialect) -> JoinHandle<Result<(), worker::Error>> {
        let echo = |request: Request| async move { Ok::<Frames, Infallible>(request.body) };
        tokio::spawn(self.worker().dialect(dialect).serve(echo))
    }

    fn pirate(&self) -> LazyPirate {
        LazyPirate::new(self.endpoint.to_string()).timeout(PATIENCE)
    }

    fn client(&self) -> client::Builder {
        Client::builder(self.endpoint.to_string()).timeout(PATIENCE)
    }
}

#[tokio::test]
async fn a_worker_inside_serves_those_who_may_only_call_and_goes_on_to_the_end_of_its_broker() {
    let rights = broker::Rights { offer: Default::default(), admin: false, ..broker::Rights::everything() };
    let server = Server::bind(&["tcp://127.0.0.1:0".parse().unwrap()], Default::default(), Default::default()).await;
    let mut server = server.unwrap().letting(rights);
    let endpoint = server.endpoints()[0].to_string();
    let ((trigger, shutdown), (worker_trigger, worker_shutdown)) = (Shutdown::new(), Shutdown::new());
    let worker = Worker::inside(server.entrance(), "echo").credit(8).shutdown(worker_shutdown);
    let running = tokio::spawn(server.run(shutdown));
    let serving = tokio::spawn(worker.serve(|request: Request| async { Ok::<Frames, Infallible>(request.body) }));
    // As much as waits on the way within the process, several times over.
    let client = Client::builder(endpoint.clone()).timeout(PATIENCE).connect().unwrap();
    let body = "x".repeat(1 << 20);
    for answer in futures_util::future::join_all((0..64).map(|_| client.request("echo", [body.clone()]))).await {
        assert_eq!(answer.unwrap().body, Frames::from([body.clone()]));
    }
    let mut pirate = LazyPirate::new(endpoint).timeout(PATIENCE);
    let denied = pirate.request("mmi.drain", ["broker"]).await;
    assert_eq!(denied.unwrap_err().status().map(|status| status.code()), Some(403));
    trigger.pull();
    tokio::time::timeout(PATIENCE, running).await.unwrap().unwrap();
    worker_trigger.pull();
    tokio::time::timeout(PATIENCE, serving).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn clients_and_workers_of_all_dialects_understand_each_other() {
    let broker = Broker::start().await;
    for of_worker in [Dialect::V01, Dialect::V02, Dialect::V02Delimited] {
        let worker = broker.echo(of_worker);
        for of_client in [Dialect::V01, Dialect::V02, Dialect::V02Delimited, Dialect::V02Majortomo] {
            let reply = broker.pirate().dialect(of_client).request("echo", ["one", ""]).await;
            assert_eq!(reply, Ok(Reply { body: ["one", ""].into(), parts: 1 }), "{of_client:?} to {of_worker:?}");
        }
        worker.abort();
        let _ = worker.await;
    }
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_requests_of_one_client_are_answered_each_with_its_own_reply() {
    let broker = Broker::start().await;
    let workers: Vec<_> = (0..8).map(|_| broker.echo(Dialect::V02)).collect();
    let client = broker.client().connect().unwrap();
    assert_eq!(ask_all(&client, 100_000).await, 100_000);
    assert_eq!(client.counts().duplicates, 0);
    workers.iter().for_each(JoinHandle::abort);
    broker.stop().await;
}

#[tokio::test]
async fn a_broker_that_restarts_finds_its_workers_and_clients_again_by_themselves() {
    let mut broker = Broker::start().await;
    let worker = broker.echo(Dialect::V02);
    let mut pirate = broker.pirate();
    let client = broker.client().timeout(Duration::from_millis(500)).retries(100).connect().unwrap();
    for round in ["one", "two", "three"] {
        assert_eq!(pirate.request("echo", [round]).await.unwrap().body, [round].into());
        assert_eq!(client.request("echo", [round]).await.unwrap().body, [round].into());
        broker = broker.restart().await;
    }
    assert_eq!(ask_all(&client, 100).await, 100);
    worker.abort();
    broker.stop().await;
}

#[tokio::test]
async fn workers_that_end_cleanly_under_load_lose_no_request() {
    for credit in [1, 8] {
        end_workers_under_load(credit).await;
    }
}

async fn end_workers_under_load(credit: usize) {
    let broker = Broker::start().await;
    let client = broker.client().retries(1).connect().unwrap();
    let mut asking = tokio::spawn(async move { ask_all(&client, 2000).await });
    let mut ended = 0;
    let answered = loop {
        let (trigger, shutdown) = Shutdown::new();
        let end = Arc::new((AtomicU32::new(0), trigger));
        // Each worker wishes its own end in the middle of its hundredth job.
        let echo = move |request: Request| {
            let end = end.clone();
            async move {
                if end.0.fetch_add(1, Ordering::Relaxed) == 99 {
                    end.1.pull();
                }
                tokio::task::yield_now().await;
                Ok::<Frames, Infallible>(request.body)
            }
        };
        tokio::select! {
            outcome = broker.worker().credit(credit).shutdown(shutdown).serve(echo) => outcome.unwrap(),
            answered = &mut asking => break answered.unwrap(),
        }
        ended += 1;
    };
    assert_eq!(answered, 2000);
    // Requests that crossed the wish to end are answered, too: some more than a hundred each.
    assert!(ended >= 15, "{ended} workers ended");
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_credit_is_used_in_full_and_never_passed() {
    const CREDIT: usize = 8;
    let broker = Broker::start().await;
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let all_at_work = Arc::new(tokio::sync::Barrier::new(CREDIT));
    let counted = (running.clone(), most.clone());
    // Nobody ends before as many as the credit says have begun, so a worker that took fewer would never end.
    let echo = move |request: Request| {
        let ((running, most), all_at_work) = (counted.clone(), all_at_work.clone());
        async move {
            most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            all_at_work.wait().await;
            running.fetch_sub(1, Ordering::SeqCst);
            Ok::<Frames, Infallible>(request.body)
        }
    };
    let worker = tokio::spawn(broker.worker().credit(CREDIT).serve(echo));
    let client = broker.client().connect().unwrap();
    assert_eq!(ask_all(&client, 800).await, 800);
    assert_eq!(most.load(Ordering::SeqCst), CREDIT);
    worker.abort();
    broker.stop().await;
}

#[tokio::test]
async fn a_job_much_longer_than_the_silence_that_is_borne_runs_once_while_its_worker_heartbeats() {
    const BEAT: Duration = Duration::from_millis(200);
    let config = broker::Config { heartbeat: BEAT, ..broker::Config::default() };
    let broker = Broker::start_with(&"tcp://127.0.0.1:0".parse().unwrap(), config).await;
    let runs = Arc::new(AtomicU32::new(0));
    let counter = runs.clone();
    let slow = move |request: Request| {
        counter.fetch_add(1, Ordering::Relaxed);
        async move {
            tokio::time::sleep(Duration::from_secs(4)).await;
            Ok::<Frames, Infallible>(request.body)
        }
    };
    let worker = tokio::spawn(broker.worker().heartbeat(BEAT).serve(slow));
    assert_eq!(broker.pirate().request("echo", ["patience"]).await.unwrap().body, ["patience"].into());
    assert_eq!(runs.load(Ordering::Relaxed), 1);
    worker.abort();
    broker.stop().await;
}

#[tokio::test]
async fn cancel_and_deadline_of_a_client_stop_the_handler_and_free_its_slot() {
    let broker = Broker::start().await;
    let (begun, stopped) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let seen = (begun.clone(), stopped.clone());
    let handler = move |request: Request| {
        let (begun, stopped) = seen.clone();
        async move {
            if request.body != ["endless"].into() {
                return Ok::<Frames, Infallible>(request.body);
            }
            let cancellation = request.cancellation();
            begun.add_permits(1);
            cancellation.cancelled().await;
            stopped.add_permits(1);
            Ok(Frames::new())
        }
    };
    let worker = tokio::spawn(broker.worker().serve(handler));
    let mut client = Dealer::connect(broker.endpoint.clone(), Options::default());
    let ask = |number, body, deadline| {
        let terms = Terms { deadline, ..Terms::default() };
        let (id, service) = (RequestId([number; 16]), "echo".parse().unwrap());
        FromClient::Request(v03::client::Request { id, service, terms, body: Frames::from([body]) }).encode()
    };
    client.try_send(FromClient::Heartbeat.encode()).unwrap();
    assert_eq!(hear(&mut client).await, ToClient::Heartbeat);
    for (number, deadline, expected) in [(1, None, 499), (3, Some(Duration::from_millis(300)), 408)] {
        client.try_send(ask(number, "endless", deadline)).unwrap();
        begun.acquire().await.unwrap().forget();
        if deadline.is_none() {
            client.try_send(FromClient::Cancel(RequestId([number; 16])).encode()).unwrap();
        }
        assert_eq!(status(hear(&mut client).await), (number, expected));
        stopped.acquire().await.unwrap().forget();
        // Of credit 1 nothing is left as long as the other one runs.
        client.try_send(ask(number + 1, "next", None)).unwrap();
        assert_eq!(status(hear(&mut client).await), (number + 1, 200));
    }
    worker.abort();
    broker.stop().await;
}

/// What a client of 0.3 hears next.
async fn hear(client: &mut Dealer) -> ToClient {
    let mut events = Vec::new();
    loop {
        tokio::time::timeout(PATIENCE, client.recv(&mut events)).await.expect("nothing was said");
        for event in events.drain(..) {
            if let Event::Message { frames, .. } = event {
                return ToClient::decode(frames).unwrap();
            }
        }
    }
}

/// Which request ended, and how.
fn status(said: ToClient) -> (u8, u16) {
    match said {
        ToClient::Final { id, outcome, .. } => (id.0[0], outcome.status.code()),
        other => panic!("not FINAL: {other:?}"),
    }
}

#[tokio::test]
async fn a_streamed_reply_reaches_a_client_in_parts_and_a_01_client_as_one() {
    let broker = Broker::start().await;
    let count = |_: Request| async {
        let parts = ["one", "two", "three"].map(|text| Frames::from([text]));
        Ok::<_, Infallible>(worker::Reply::stream(stream::iter(parts)))
    };
    let worker = tokio::spawn(broker.worker().serve(count));
    let whole = Frames::from(["one", "two", "three"]);
    let client = broker.client().connect().unwrap();
    assert_eq!(client.request("echo", [""]).await, Ok(Reply { body: whole.clone(), parts: 3 }));
    assert_eq!(broker.pirate().request("echo", [""]).await, Ok(Reply { body: whole.clone(), parts: 3 }));
    let old = broker.pirate().dialect(Dialect::V01).request("echo", [""]).await;
    assert_eq!(old, Ok(Reply { body: whole, parts: 1 }));
    worker.abort();
    broker.stop().await;
}

#[tokio::test]
async fn a_broker_says_what_it_serves_and_refuses_what_it_does_not_know() {
    let broker = Broker::start().await;
    let worker = broker.echo(Dialect::V02);
    let mut pirate = broker.pirate();
    pirate.request("echo", [""]).await.unwrap();
    let services = pirate.services().await.unwrap().services;
    let [echo] = &services[..] else { panic!("{services:?}") };
    assert_eq!((echo.service.as_str(), echo.workers, echo.waiting, echo.queued), ("echo", 1, 1, 0));
    worker.abort();
    broker.stop().await;
}

#[tokio::test]
async fn a_request_for_a_service_without_workers_ends_as_a_timeout_that_says_the_broker_was_there() {
    let broker = Broker::start().await;
    let mut pirate = broker.pirate();
    // The broker answers for itself, so there is a connection.
    assert_eq!(pirate.request("mmi.service", ["nobody"]).await.unwrap().body, ["404"].into());
    pirate = pirate.timeout(Duration::from_millis(100)).retries(1);
    let error = pirate.request("nobody", [""]).await.unwrap_err();
    assert!(matches!(error, Error::Timeout { connected: true, attempts: 1, .. }), "{error:?}");
    broker.stop().await;
}
