//! The worker over real sockets in MDP 0.3, against a broker that does what each test tells it.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests fail by panicking")]

mod scripted;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use protocol::mdp::client::Part;
use protocol::mdp::v03::worker::{Farewell, Request as Asked};
use protocol::mdp::v03::{FromWorker, JobNumber, Options, Status, ToWorker};
use protocol::mdp::worker::FromWorker as Old;
use protocol::{PeerId, RequestId};
use scripted::{Broker, PATIENCE};
use tokio::sync::{Semaphore, mpsc, watch};
use worker::{Event, Failure, Frames, Request, Service, Shutdown, Worker};

fn worker(broker: &Broker) -> Worker {
    Worker::new(broker.endpoint(), "echo").reconnect(Duration::from_millis(20), Duration::from_millis(100))
}

fn asked(number: u64, service: &str) -> Asked {
    Asked {
        job: JobNumber(number),
        attempt: 1,
        remaining: None,
        id: Some(RequestId([7; 16])),
        service: service.parse().unwrap(),
        options: Options::none(),
        body: Frames::from(["question"]),
    }
}

/// The next FINAL: job, parts, status, reason, first frame.
async fn last(broker: &mut Broker) -> (u64, u32, u16, String, Frames) {
    match broker.native().await {
        (_, FromWorker::Final { job, outcome, body }) => {
            let reason = outcome.options.reason().unwrap_or_default().to_owned();
            (job.0, outcome.parts, outcome.status.code(), reason, body)
        }
        other => panic!("not FINAL: {other:?}"),
    }
}

fn dismiss(broker: &mut Broker, peer: PeerId, status: Status, options: Options) {
    broker.say_native(peer, ToWorker::Disconnect(Farewell { status, options }));
}

#[tokio::test]
async fn a_broker_that_speaks_02_only_is_served_after_a_fall_back() {
    let mut broker = Broker::bind().await;
    let (told, mut events) = mpsc::unbounded_channel();
    let echo = |request: Request| async move { Ok::<Frames, Infallible>(request.body) };
    let observed = worker(&broker).observer(move |event| told.send(event.clone()).unwrap());
    let served = tokio::spawn(observed.serve(echo));
    let peer = broker.ready().await;
    broker.request(peer, "client", ["question"]);
    let reply = Old::Reply { address: "client".into(), part: Part::Final, body: ["question"].into() };
    assert_eq!(broker.said().await, (peer, reply));
    assert!(matches!(events.recv().await, Some(Event::FellBack { .. })));
    served.abort();
}

#[tokio::test]
async fn cancel_reaches_the_handler_which_is_dropped_and_the_final_says_499() {
    let mut broker = Broker::bind().await;
    let (begun, dropped) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (beginning, witness) = (begun.clone(), dropped.clone());
    let served = tokio::spawn(worker(&broker).serve(move |_: Request| {
        let (beginning, witness) = (beginning.clone(), Tells(witness.clone()));
        async move {
            let _witness = witness;
            beginning.add_permits(1);
            std::future::pending::<Result<Frames, Infallible>>().await
        }
    }));
    let (peer, _) = broker.native_ready().await;
    broker.say_native(peer, ToWorker::Request(asked(1, "echo")));
    begun.acquire().await.unwrap().forget();
    broker.say_native(peer, ToWorker::Cancel(JobNumber(1)));
    let (job, parts, status, ..) = last(&mut broker).await;
    assert_eq!((job, parts, status), (1, 0, 499));
    dropped.acquire().await.unwrap().forget();
    served.abort();
}

/// Tells when it is dropped.
struct Tells(Arc<Semaphore>);

impl Drop for Tells {
    fn drop(&mut self) {
        self.0.add_permits(1);
    }
}

#[tokio::test]
async fn a_handler_without_time_left_is_stopped_and_the_final_says_408() {
    let mut broker = Broker::bind().await;
    let endless = |request: Request| async move {
        assert!(request.remaining().is_some());
        std::future::pending::<Result<Frames, Infallible>>().await
    };
    let served = tokio::spawn(worker(&broker).serve(endless));
    let (peer, _) = broker.native_ready().await;
    let asked = Asked { remaining: Some(Duration::from_millis(100)), ..asked(1, "echo") };
    broker.say_native(peer, ToWorker::Request(asked));
    assert_eq!(last(&mut broker).await.2, 408);
    served.abort();
}

#[tokio::test]
async fn a_handler_knows_id_attempt_and_trace_of_its_request_and_chooses_the_status_of_its_failure() {
    let mut broker = Broker::bind().await;
    let refuse = |request: Request| async move {
        let (id, attempt) = (request.id.map(|id| id.0[0]), request.attempt);
        let reason = format!("{id:?} {attempt} {:?} {:?}", request.traceparent(), request.remaining());
        Err::<Frames, _>(Failure::new(404, reason))
    };
    let served = tokio::spawn(worker(&broker).serve(refuse));
    let (peer, _) = broker.native_ready().await;
    let options = Options::build().trace("00-1-2-03", None).finish().unwrap();
    broker.say_native(peer, ToWorker::Request(Asked { attempt: 2, options, ..asked(1, "echo") }));
    let (_, _, status, reason, body) = last(&mut broker).await;
    assert_eq!((status, reason.as_str()), (404, "Some(7) 2 Some(\"00-1-2-03\") None"));
    assert!(body.is_empty());
    served.abort();
}

#[tokio::test]
async fn each_service_of_a_worker_has_its_handler_and_its_metadata() {
    let mut broker = Broker::bind().await;
    let says = |text: &'static str| move |_: Request| async move { Ok::<Frames, Infallible>([text].into()) };
    let worker = Worker::at(broker.endpoint())
        .name("w1")
        .service("left", says("from the left"))
        .service(Service::new("right").version("2").schema("{}"), says("from the right"));
    let served = tokio::spawn(worker.run());
    let (peer, ready) = broker.native_ready().await;
    assert_eq!((ready.credit, ready.options.name()), (1, Some("w1")));
    let right = &ready.offers[1].options;
    assert_eq!((right.version(), right.schema()), (Some("2"), Some("{}")));
    for (number, service, answer) in [(1, "right", "from the right"), (2, "left", "from the left")] {
        broker.say_native(peer, ToWorker::Request(asked(number, service)));
        let (job, _, _, _, body) = last(&mut broker).await;
        assert_eq!((job, body), (number, [answer].into()));
    }
    served.abort();
}

#[tokio::test]
async fn as_many_handlers_run_at_once_as_the_credit_says_and_a_change_of_it_is_said() {
    let mut broker = Broker::bind().await;
    let (begun, release) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (beginning, gate) = (begun.clone(), release.clone());
    let (credit, changes) = watch::channel(3);
    let served = tokio::spawn(worker(&broker).credit(3).credit_changes(changes).serve(move |request: Request| {
        let (beginning, gate) = (beginning.clone(), gate.clone());
        async move {
            beginning.add_permits(1);
            gate.acquire().await.unwrap().forget();
            Ok::<Frames, Infallible>(request.body)
        }
    }));
    let (peer, ready) = broker.native_ready().await;
    assert_eq!(ready.credit, 3);
    for number in 1..=4 {
        broker.say_native(peer, ToWorker::Request(asked(number, "echo")));
    }
    // The fourth is beyond what was ever allowed; three run, though none of them has ended.
    let (job, _, status, ..) = last(&mut broker).await;
    assert_eq!((job, status), (4, 429));
    begun.acquire_many(3).await.unwrap().forget();
    credit.send(5).unwrap();
    assert_eq!(broker.native().await, (peer, FromWorker::Credit(5)));
    release.add_permits(3);
    for _ in 0..3 {
        assert_eq!(last(&mut broker).await.2, 200);
    }
    served.abort();
}

#[tokio::test]
async fn a_wish_to_end_is_a_drain_and_what_crossed_it_is_answered_before_the_worker_returns() {
    let mut broker = Broker::bind().await;
    let (trigger, shutdown) = Shutdown::new();
    let echo = |request: Request| async move { Ok::<Frames, Infallible>(request.body) };
    let served = tokio::spawn(worker(&broker).shutdown(shutdown).serve(echo));
    let (peer, _) = broker.native_ready().await;
    trigger.pull();
    assert!(matches!(broker.native().await, (_, FromWorker::Drain(drain)) if drain.service.is_none()));
    broker.say_native(peer, ToWorker::Request(asked(1, "echo")));
    assert_eq!(last(&mut broker).await.2, 200);
    dismiss(&mut broker, peer, Status::OK, Options::none());
    broker.gone(peer).await;
    assert_eq!(tokio::time::timeout(PATIENCE, served).await.unwrap().unwrap(), Ok(()));
}

#[tokio::test]
async fn a_worker_goes_to_the_broker_that_a_disconnect_names_if_it_knows_it() {
    let (mut broker, mut other) = (Broker::bind().await, Broker::bind().await);
    let stranger = Broker::bind().await;
    let echo = |request: Request| async move { Ok::<Frames, Infallible>(request.body) };
    let served = tokio::spawn(worker(&broker).alternative(other.endpoint()).serve(echo));
    let (peer, _) = broker.native_ready().await;
    let endpoints = [stranger.endpoint(), other.endpoint()];
    let options = Options::build().endpoints(endpoints.iter().map(String::as_str)).finish().unwrap();
    dismiss(&mut broker, peer, Status::DRAINING, options);
    let (peer, _) = other.native_ready().await;
    other.say_native(peer, ToWorker::Request(asked(1, "echo")));
    assert_eq!(last(&mut other).await.2, 200);
    served.abort();
}
