//! The worker over real sockets, in the old dialects, against a broker that does what each test tells it.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests fail by panicking")]

mod scripted;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use protocol::mdp::client::Part;
use protocol::mdp::worker::{FromWorker, ToWorker};
use scripted::{Broker, PATIENCE};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use worker::runtime::zmtp::{Limits, Options};
use worker::{Dialect, Error, Frames, Misuse, Reply, Request, Shutdown, Worker, status};

type Served = JoinHandle<Result<(), Error>>;

fn worker(broker: &Broker) -> Worker {
    Worker::new(broker.endpoint(), "echo")
        .dialect(Dialect::V02)
        .reconnect(Duration::from_millis(20), Duration::from_millis(100))
}

/// Starts a worker that answers with what it was asked.
fn start_echo(worker: Worker) -> Served {
    tokio::spawn(worker.serve(|request: Request| async move { Ok::<Frames, Infallible>(request.body) }))
}

fn reply(address: &'static str, part: Part, body: impl Into<Frames>) -> FromWorker {
    FromWorker::Reply { address: address.into(), part, body: body.into() }
}

#[tokio::test]
async fn a_request_is_answered_in_every_dialect() {
    for dialect in [Dialect::V01, Dialect::V02, Dialect::V02Delimited] {
        let mut broker = Broker::bind().await;
        let served = start_echo(worker(&broker).dialect(dialect));
        let (peer, spoken, ready) = broker.command().await;
        assert_eq!((spoken, ready), (dialect, FromWorker::Ready { service: "echo".parse().unwrap(), credit: 1 }));
        broker.say(peer, dialect, ToWorker::Request { address: "client".into(), body: ["one", ""].into() });
        assert_eq!(broker.said().await, (peer, reply("client", Part::Final, ["one", ""])));
        served.abort();
    }
}

#[tokio::test]
async fn heartbeats_go_on_while_a_job_runs() {
    let mut broker = Broker::bind().await;
    let release = Arc::new(Semaphore::new(0));
    let gate = release.clone();
    let served = tokio::spawn(worker(&broker).heartbeat(Duration::from_millis(50)).liveness(1000).serve(
        move |request: Request| {
            let gate = gate.clone();
            async move {
                gate.acquire().await.map_err(|closed| closed.to_string())?.forget();
                Ok::<Frames, String>(request.body)
            }
        },
    ));
    let peer = broker.ready().await;
    broker.request(peer, "client", ["question"]);
    for _ in 0..5 {
        assert_eq!(broker.command().await, (peer, Dialect::V02, FromWorker::Heartbeat));
    }
    release.add_permits(1);
    assert_eq!(broker.said().await, (peer, reply("client", Part::Final, ["question"])));
    served.abort();
}

#[tokio::test]
async fn a_worker_comes_back_on_a_new_connection_after_disconnect_and_after_loss() {
    let mut broker = Broker::bind().await;
    let served = start_echo(worker(&broker));
    let first = broker.ready().await;
    broker.say(first, Dialect::V02, ToWorker::Disconnect);
    let second = broker.ready().await;
    broker.hang_up(second);
    let third = broker.ready().await;
    assert!(first < second && second < third);
    broker.request(third, "client", ["question"]);
    assert_eq!(broker.said().await, (third, reply("client", Part::Final, ["question"])));
    served.abort();
}

#[tokio::test]
async fn a_broker_that_says_nothing_is_left_for_a_new_connection() {
    let mut broker = Broker::bind().await;
    let served = start_echo(worker(&broker).heartbeat(Duration::from_millis(50)).liveness(2));
    let silent = broker.ready().await;
    assert!(broker.ready().await > silent);
    served.abort();
}

#[tokio::test]
async fn an_answer_whose_connection_is_gone_is_not_sent_on_the_next_one() {
    let mut broker = Broker::bind().await;
    let release = Arc::new(Semaphore::new(0));
    let gate = release.clone();
    let served = tokio::spawn(worker(&broker).serve(move |request: Request| {
        let gate = gate.clone();
        async move {
            gate.acquire().await.map_err(|closed| closed.to_string())?.forget();
            Ok::<Frames, String>(request.body)
        }
    }));
    let first = broker.ready().await;
    broker.request(first, "client", ["lost"]);
    broker.say(first, Dialect::V02, ToWorker::Disconnect);
    broker.gone(first).await;
    release.add_permits(1);
    // The orphan ends, its slot is free: READY, and nothing before it.
    let second = broker.ready().await;
    broker.request(second, "client", ["asked again"]);
    release.add_permits(1);
    assert_eq!(broker.said().await, (second, reply("client", Part::Final, ["asked again"])));
    served.abort();
}

#[tokio::test]
async fn errors_and_panics_are_answered_500_and_the_worker_goes_on() {
    let mut broker = Broker::bind().await;
    let served = tokio::spawn(worker(&broker).serve(|request: Request| async move {
        match request.body[0].as_ref() {
            b"fail" => Err("out of paper"),
            b"panic" => panic!("expected by the test"),
            _ => Ok(request.body),
        }
    }));
    let peer = broker.ready().await;
    for (question, answer) in [("fail", "500 out of paper"), ("panic", "500 worker panicked"), ("fine", "fine")] {
        broker.request(peer, "client", [question]);
        assert_eq!(broker.said().await, (peer, reply("client", Part::Final, [answer])));
    }
    served.abort();
}

#[tokio::test]
async fn a_malformed_request_to_a_typed_handler_is_answered_400() {
    let mut broker = Broker::bind().await;
    let double = |number: u32| async move { Ok::<_, Infallible>(number * 2) };
    let served = tokio::spawn(worker(&broker).serve(worker::json(double)));
    let peer = broker.ready().await;
    broker.request(peer, "client", ["21"]);
    assert_eq!(broker.said().await, (peer, reply("client", Part::Final, ["42"])));
    broker.request(peer, "client", ["x"]);
    let (_, FromWorker::Reply { body, .. }) = broker.said().await else { panic!("not a reply") };
    assert!(body[0].starts_with(b"400 expected value"), "{body:?}");
    served.abort();
}

#[tokio::test]
async fn a_streamed_reply_travels_in_parts_or_joined_in_mdp_01() {
    let count = |_: Request| async {
        let parts = ["one", "two", "three"].map(|text| Frames::from([text]));
        Ok::<_, Infallible>(Reply::stream(stream::iter(parts)))
    };
    let mut broker = Broker::bind().await;
    let served = tokio::spawn(worker(&broker).serve(count));
    let peer = broker.ready().await;
    broker.request(peer, "client", ["count"]);
    for (part, text) in [(Part::Partial, "one"), (Part::Partial, "two"), (Part::Final, "three")] {
        assert_eq!(broker.said().await, (peer, reply("client", part, [text])));
    }
    served.abort();

    let served = tokio::spawn(worker(&broker).dialect(Dialect::V01).serve(count));
    let peer = broker.ready().await;
    broker.say(peer, Dialect::V01, ToWorker::Request { address: "client".into(), body: ["count"].into() });
    assert_eq!(broker.said().await, (peer, reply("client", Part::Final, ["one", "two", "three"])));
    served.abort();
}

#[tokio::test]
async fn a_stream_is_produced_no_faster_than_the_broker_takes_it_and_loses_nothing() {
    const PARTS: usize = 400;
    // What may be on the way: our queues, and some mebibytes in the kernel and in the broker's socket.
    const AHEAD_MAX: usize = 200;
    let produced = Arc::new(AtomicUsize::new(0));
    let counter = produced.clone();
    let flood = move |_: Request| {
        let counter = counter.clone();
        let parts = stream::iter(0..PARTS).map(move |number| {
            counter.fetch_add(1, Ordering::Relaxed);
            Frames::from([number.to_string().into_bytes(), vec![0; 1 << 20]])
        });
        async move { Ok::<_, Infallible>(Reply::stream(parts)) }
    };
    let mut broker = Broker::bind().await;
    let limits = Limits { queue_messages_max: 4, ..Limits::default() };
    let worker = worker(&broker).socket_options(Options { limits, ..Options::default() });
    let served = tokio::spawn(worker.serve(flood));
    let peer = broker.ready().await;
    broker.request(peer, "client", ["flood"]);
    for number in 0..PARTS {
        let (_, FromWorker::Reply { body, .. }) = broker.said().await else { panic!("not a reply") };
        assert_eq!(body[0], number.to_string());
        let ahead = produced.load(Ordering::Relaxed) - number;
        assert!(ahead <= AHEAD_MAX, "{ahead} parts ahead of the broker");
    }
    served.abort();
}

#[tokio::test]
async fn a_clean_end_answers_the_running_job_says_disconnect_and_returns() {
    let mut broker = Broker::bind().await;
    let (trigger, shutdown) = Shutdown::new();
    let (begun, release) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (beginning, gate) = (begun.clone(), release.clone());
    let served = tokio::spawn(worker(&broker).shutdown(shutdown).serve(move |request: Request| {
        let gate = gate.clone();
        beginning.add_permits(1);
        async move {
            gate.acquire().await.map_err(|closed| closed.to_string())?.forget();
            Ok::<Frames, String>(request.body)
        }
    }));
    let peer = broker.ready().await;
    broker.request(peer, "client", ["question"]);
    begun.acquire().await.unwrap().forget();
    trigger.pull();
    release.add_permits(1);
    assert_eq!(broker.said().await, (peer, reply("client", Part::Final, ["question"])));
    assert_eq!(broker.said().await, (peer, FromWorker::Disconnect));
    broker.gone(peer).await;
    assert_eq!(tokio::time::timeout(PATIENCE, served).await.unwrap().unwrap(), Ok(()));
}

#[tokio::test]
async fn a_worker_without_a_broker_ends_when_it_is_told() {
    let (trigger, shutdown) = Shutdown::new();
    let served = start_echo(Worker::new("tcp://127.0.0.1:1", "echo").shutdown(shutdown));
    trigger.pull();
    assert_eq!(tokio::time::timeout(PATIENCE, served).await.unwrap().unwrap(), Ok(()));
}

#[tokio::test]
async fn what_cannot_work_is_refused_at_once_and_by_name() {
    async fn refused(worker: Worker) -> Error {
        worker.serve(|_: Request| async { Ok::<_, Infallible>(status::failed("never")) }).await.unwrap_err()
    }
    assert!(matches!(refused(Worker::new("nonsense", "echo")).await, Error::Misuse(Misuse::Endpoint { .. })));
    let endpoint = "tcp://127.0.0.1:1";
    assert_eq!(refused(Worker::new(endpoint, "")).await, Misuse::ServiceName { bytes: 0 }.into());
    assert!(matches!(refused(Worker::new(endpoint, "mmi.x")).await, Error::Misuse(Misuse::Management(_))));
    assert_eq!(refused(Worker::new(endpoint, "echo").liveness(0)).await, Misuse::Liveness.into());
}
