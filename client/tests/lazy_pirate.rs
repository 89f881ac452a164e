//! The Lazy Pirate over real sockets, against a broker that does what each test tells it.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests fail by panicking")]

mod scripted;

use std::time::Duration;

use client::{Dialect, Error, Frames, LazyPirate, Misuse, Progress, Reply};
use protocol::mdp::client::Part;
use scripted::Broker;

/// A pirate of 0.2, with attempts that no test of a healthy broker reaches.
fn pirate(broker: &Broker) -> LazyPirate {
    LazyPirate::new(broker.endpoint()).dialect(Dialect::V02).timeout(Duration::from_secs(10))
}

#[tokio::test]
async fn a_request_is_answered_in_every_dialect() {
    for dialect in [Dialect::V01, Dialect::V02, Dialect::V02Delimited, Dialect::V02Majortomo] {
        let mut broker = Broker::bind().await;
        let mut pirate = pirate(&broker).dialect(dialect);
        let serve = async {
            let (peer, request) = broker.request().await;
            assert_eq!((request.dialect, request.envelope.is_empty()), (dialect, true));
            broker.reply(peer, &request, Part::Final, ["answer", "and more"]);
        };
        let (reply, ()) = tokio::join!(pirate.request("echo", ["question"]), serve);
        assert_eq!(reply, Ok(Reply { body: ["answer", "and more"].into(), parts: 1 }));
    }
}

#[tokio::test]
async fn an_unanswered_request_comes_again_unchanged_on_a_new_connection() {
    let mut broker = Broker::bind().await;
    let mut pirate = pirate(&broker).timeout(Duration::from_millis(300)).retries(50);
    let serve = async {
        let (first_peer, first) = broker.request().await;
        let (second_peer, second) = broker.request().await;
        assert_ne!(first_peer, second_peer);
        assert_eq!(first, second);
        broker.reply(first_peer, &first, Part::Final, ["too late"]);
        // Whichever attempt is heard: its reply carries its own body.
        broker.reply(second_peer, &second, Part::Final, ["answer"]);
        broker.echo().await;
    };
    let reply = tokio::select! {
        reply = pirate.request("echo", ["question"]) => reply.unwrap(),
        () = serve => unreachable!(),
    };
    assert!([Frames::from(["answer"]), Frames::from(["question"])].contains(&reply.body), "{reply:?}");
}

#[tokio::test]
async fn a_broker_that_is_not_there_is_named_with_attempts_and_time() {
    // A port that was free a moment ago.
    let broker = Broker::bind().await;
    let endpoint = broker.endpoint();
    broker.close().await;
    let mut pirate = LazyPirate::new(&endpoint).timeout(Duration::from_millis(100)).retries(2);
    let error = pirate.request("echo", ["question"]).await.unwrap_err();
    let Error::Timeout { endpoint: named, attempts: 2, elapsed, connected: false, .. } = error else {
        panic!("{error:?}")
    };
    assert_eq!(named, endpoint);
    assert!(elapsed >= Duration::from_millis(200));
}

#[tokio::test]
async fn a_broker_that_is_silent_is_told_apart_from_one_that_is_not_there() {
    let mut broker = Broker::bind().await;
    let mut pirate = pirate(&broker);
    let serve = async {
        let (peer, request) = broker.request().await;
        broker.reply(peer, &request, Part::Final, ["answer"]);
    };
    let (reply, ()) = tokio::join!(pirate.request("echo", ["question"]), serve);
    reply.unwrap();
    pirate = pirate.timeout(Duration::from_millis(100)).retries(2);
    let error = pirate.request("echo", ["question"]).await.unwrap_err();
    assert!(matches!(error, Error::Timeout { attempts: 2, connected: true, .. }), "{error:?}");
}

#[tokio::test]
async fn a_broker_that_restarts_between_requests_is_found_again() {
    let mut broker = Broker::bind().await;
    let mut pirate = pirate(&broker);
    for round in ["one", "two"] {
        let serve = async {
            let (peer, request) = broker.request().await;
            broker.reply(peer, &request, Part::Final, [round]);
        };
        let (reply, ()) = tokio::join!(pirate.request("echo", ["question"]), serve);
        assert_eq!(reply.unwrap().body, [round].into());
        broker = broker.restart().await;
    }
}

#[tokio::test]
async fn a_connection_lost_under_a_request_is_replaced_at_once_and_not_after_the_timeout() {
    let mut broker = Broker::bind().await;
    let mut pirate = pirate(&broker).retries(1);
    let serve = async {
        let (peer, _) = broker.request().await;
        broker.hang_up(peer);
        let (peer, request) = broker.request().await;
        broker.reply(peer, &request, Part::Final, ["answer"]);
    };
    let (reply, ()) = tokio::join!(pirate.request("echo", ["question"]), serve);
    assert_eq!(reply.unwrap().body, ["answer"].into());
}

#[tokio::test]
async fn parts_are_collected_or_handed_over_one_by_one() {
    let mut broker = Broker::bind().await;
    let mut pirate = pirate(&broker);
    let mut heard = Vec::new();
    let ask = async {
        let reply = pirate.request("count", ["question"]).await.unwrap();
        assert_eq!(reply, Reply { body: ["one", "two"].into(), parts: 2 });
        pirate.request_parts("count", ["question"], |progress| heard.push(progress)).await.unwrap();
    };
    let serve = async {
        for _ in 0..2 {
            let (peer, request) = broker.request().await;
            broker.reply(peer, &request, Part::Partial, ["one"]);
            broker.reply(peer, &request, Part::Final, ["two"]);
        }
    };
    tokio::join!(ask, serve);
    assert_eq!(heard, [Progress::Part(["one"].into()), Progress::Part(["two"].into())]);
}

#[tokio::test]
async fn a_request_that_was_dropped_does_not_leave_its_answer_to_the_next_one() {
    let mut broker = Broker::bind().await;
    let mut pirate = pirate(&broker);
    let (dropped_by, dropped) = tokio::select! {
        reply = pirate.request("echo", ["dropped"]) => panic!("{reply:?}"),
        request = broker.request() => request,
    };
    broker.reply(dropped_by, &dropped, Part::Final, ["dropped"]);
    let serve = async {
        let (peer, request) = broker.request().await;
        assert_ne!(peer, dropped_by);
        broker.reply(peer, &request, Part::Final, ["wanted"]);
    };
    let (reply, ()) = tokio::join!(pirate.request("echo", ["wanted"]), serve);
    assert_eq!(reply.unwrap().body, ["wanted"].into());
}

#[tokio::test]
async fn what_cannot_work_is_refused_at_once_and_by_name() {
    let mut nowhere = LazyPirate::new("nonsense");
    assert!(matches!(nowhere.request("echo", ["x"]).await, Err(Error::Misuse(Misuse::Endpoint { .. }))));
    let mut pirate = LazyPirate::new("tcp://127.0.0.1:1").retries(0);
    assert_eq!(pirate.request("", ["x"]).await, Err(Misuse::ServiceName { bytes: 0 }.into()));
    assert_eq!(pirate.request("echo", ["x"]).await, Err(Misuse::Retries(0).into()));
}

#[tokio::test]
async fn a_broker_says_what_it_serves() {
    let mut broker = Broker::bind().await;
    let mut pirate = pirate(&broker);
    let serve = async {
        let (peer, request) = broker.request().await;
        assert_eq!(request.service, "mmi.services".parse().unwrap());
        let line = r#"{"service": "echo", "workers": 3, "waiting": 2, "queued": 0}"#;
        broker.reply(peer, &request, Part::Final, ["200", line]);
    };
    let (services, ()) = tokio::join!(pirate.services(), serve);
    let services = services.unwrap().services;
    assert_eq!((services[0].service.as_str(), services[0].workers, services[0].waiting), ("echo", 3, 2));
}
