//! Clients of MDP 0.3, our broker and workers together, over real sockets.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests fail by panicking")]

use std::convert::Infallible;
use std::time::Duration;

use broker::{NoWorker, Policy, Server};
use client::{Client, Frames, LazyPirate, Progress, Reply, Speech, Status};
use tokio::task::{JoinHandle, JoinSet};
use worker::runtime::shutdown::Trigger;
use worker::runtime::zmtp::{Limits, Options};
use worker::{Request, Shutdown, Worker};

/// Longer than anything here takes; reached only by a test that fails.
const LONG: Duration = Duration::from_secs(120);
const SECOND: Duration = Duration::from_secs(1);

struct Broker {
    endpoint: String,
    /// Ends the broker when it is dropped.
    _trigger: Trigger,
}

impl Broker {
    async fn start(policy: Policy) -> Self {
        Self::start_with(policy, Options::default()).await
    }

    async fn start_with(policy: Policy, options: Options) -> Self {
        let config = broker::Config { policy, ..broker::Config::default() };
        let server = Server::bind(&["tcp://127.0.0.1:0".parse().unwrap()], config, options).await.unwrap();
        let endpoint = server.endpoints()[0].to_string();
        let (trigger, shutdown) = Shutdown::new();
        tokio::spawn(server.run(shutdown));
        Self { endpoint, _trigger: trigger }
    }

    fn echo(&self) -> JoinHandle<Result<(), worker::Error>> {
        let echo = |request: Request| async move { Ok::<Frames, Infallible>(request.body) };
        tokio::spawn(Worker::new(self.endpoint.clone(), "echo").serve(echo))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_requests_in_flight_over_four_workers_are_answered_each_with_its_own_reply() {
    const COUNT: usize = 100_000;
    let broker = Broker::start(Policy { queue_max: COUNT, queue_wait: LONG, ..Policy::default() }).await;
    let only = Speech::Native { fall_back: None };
    let client = Client::builder(&broker.endpoint).speech(only).timeout(LONG).in_flight_max(COUNT).connect().unwrap();
    // Nobody works before all of them are under way.
    let mut asking = JoinSet::new();
    for number in 0..COUNT {
        let client = client.clone();
        asking.spawn(async move {
            let reply = client.request("echo", [number.to_string()]).await.unwrap();
            assert_eq!(reply.body, [number.to_string()].into());
        });
    }
    let mut pirate = LazyPirate::new(&broker.endpoint).timeout(LONG);
    loop {
        let services = pirate.services().await.unwrap().services;
        if services.iter().any(|service| service.queued == COUNT as u64) {
            break;
        }
        tokio::task::yield_now().await;
    }
    let workers: Vec<_> = (0..4).map(|_| broker.echo()).collect();
    assert_eq!(asking.join_all().await.len(), COUNT);
    assert_eq!(client.counts().faults, 0);
    workers.iter().for_each(JoinHandle::abort);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_larger_than_what_waits_for_a_worker_are_given_to_it_as_it_takes_them_and_none_is_given_twice() {
    const COUNT: usize = 25;
    let broker = Broker::start(Policy { queue_wait: LONG, ..Policy::default() }).await;
    let client = Client::builder(&broker.endpoint).timeout(LONG).connect().unwrap();
    let mut asking = JoinSet::new();
    for number in 0..COUNT {
        let client = client.clone();
        // 53 MiB together, and one of them more than what may wait for a peer.
        let body = vec![0; if number == 0 { 17 << 20 } else { 3 << 19 }];
        asking.spawn(async move {
            let length = body.len().to_string();
            assert_eq!(client.request("length", [body]).await.unwrap().body, [length].into());
        });
    }
    let mut pirate = LazyPirate::new(&broker.endpoint).timeout(LONG);
    loop {
        let services = pirate.services().await.unwrap();
        if services.services.iter().any(|service| service.queued == COUNT as u64) {
            break;
        }
        tokio::task::yield_now().await;
    }
    let length = |request: Request| async move {
        let length = request.body.byte_count().to_string();
        Ok::<Frames, Infallible>([length].into())
    };
    let worker =
        tokio::spawn(Worker::new(broker.endpoint.clone(), "length").credit(100).heartbeat(20 * SECOND).serve(length));
    asking.join_all().await;
    let info = pirate.request("mmi.info", [""]).await.unwrap();
    let info = String::from_utf8_lossy(&info.body[1]).into_owned();
    assert!(info.contains("\"requeued\":0"), "{info}");
    worker.abort();
}

#[tokio::test]
async fn a_request_that_fits_its_own_message_and_not_its_workers_is_refused_and_the_worker_stays() {
    let options = Options { limits: Limits { message_bytes_max: 100_000, ..Limits::default() }, ..Options::default() };
    let broker = Broker::start_with(Policy::default(), options).await;
    let worker = broker.echo();
    let client = Client::builder(&broker.endpoint).timeout(LONG).connect().unwrap();
    assert!(client.request("echo", [vec![0; 99_950]]).await.is_ok());
    let error = client.request("echo", [vec![0; 99_962]]).await.unwrap_err();
    assert_eq!(error.status(), Some(Status::BAD_REQUEST), "{error:?}");
    assert!(client.request("echo", ["still there"]).await.is_ok());
    worker.abort();
}

#[tokio::test]
async fn an_error_of_the_broker_is_told_at_once_and_not_after_the_timeout() {
    let broker = Broker::start(Policy { no_worker: NoWorker::Refuse, ..Policy::default() }).await;
    let client = Client::builder(&broker.endpoint).timeout(LONG).connect().unwrap();
    let error = client.request("nobody", [""]).await.unwrap_err();
    assert_eq!(error.status(), Some(Status::NO_SERVICE), "{error:?}");
    let error = LazyPirate::new(&broker.endpoint).timeout(LONG).request("nobody", [""]).await.unwrap_err();
    assert_eq!(error.status(), Some(Status::NO_SERVICE), "{error:?}");
}

#[tokio::test]
async fn parts_of_a_worker_come_one_by_one_and_are_collected_whole() {
    let broker = Broker::start(Policy::default()).await;
    let count = |_: Request| async {
        let parts = ["one", "two", "three"].map(|text| Frames::from([text]));
        Ok::<_, Infallible>(worker::Reply::stream(futures_util::stream::iter(parts)))
    };
    let worker = tokio::spawn(Worker::new(broker.endpoint.clone(), "count").serve(count));
    let client = Client::builder(&broker.endpoint).timeout(LONG).connect().unwrap();
    let mut parts = client.request_parts("count", [""]).await.unwrap();
    for text in ["one", "two", "three"] {
        assert_eq!(parts.next().await, Some(Ok(Progress::Part([text].into()))));
    }
    assert_eq!(parts.next().await, None);
    let mut pirate = LazyPirate::new(&broker.endpoint).timeout(LONG);
    let whole = Reply { body: ["one", "two", "three"].into(), parts: 3 };
    assert_eq!(client.request("count", [""]).await, Ok(whole.clone()));
    assert_eq!(pirate.request("count", [""]).await, Ok(whole));
    worker.abort();
}
