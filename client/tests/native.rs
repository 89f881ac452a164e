//! MDP 0.3 over real sockets, against a broker that does what each test tells it.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests fail by panicking")]

mod scripted;

use std::time::Duration;

use client::{Client, Dialect, Error, Frames, Idempotency, LazyPirate, OnTimeout, Priority, Progress, Speech, Status};
use futures_util::StreamExt;
use protocol::mdp::client::Part;
use protocol::mdp::v03::options::Options;
use protocol::mdp::v03::{FromClient, Outcome, ToClient};
use scripted::Broker;

/// Attempts that no test of a healthy broker reaches.
const LONG: Duration = Duration::from_secs(60);

fn client(broker: &Broker) -> Client {
    Client::builder(broker.endpoint()).timeout(LONG).connect().unwrap()
}

#[tokio::test]
async fn a_request_whose_future_is_dropped_is_cancelled_at_the_broker() {
    let mut broker = Broker::bind().await;
    let client = client(&broker);
    let (peer, request) = tokio::select! {
        reply = client.request("echo", ["dropped"]) => panic!("{reply:?}"),
        asked = broker.asked() => asked,
    };
    assert_eq!(broker.heard().await, (peer, FromClient::Cancel(request.id)));
}

#[tokio::test]
async fn a_stream_of_parts_is_a_stream_and_dropped_it_is_cancelled() {
    let mut broker = Broker::bind().await;
    let client = client(&broker);
    let parts = client.request_parts("count", ["question"]).await.unwrap();
    let (peer, request) = broker.asked().await;
    assert_eq!(request.terms.deadline, None, "a stream has no end unless it is told one");
    for part in 0..2 {
        broker.say(peer, ToClient::Partial { id: request.id, part, body: ["part"].into() });
    }
    let two: Vec<_> = parts.take(2).collect().await;
    assert_eq!(two, [Ok(Progress::Part(["part"].into())), Ok(Progress::Part(["part"].into()))]);
    // `take` has dropped the stream.
    assert_eq!(broker.heard().await, (peer, FromClient::Cancel(request.id)));
}

#[tokio::test]
async fn what_is_asked_beside_the_answer_travels_with_the_request() {
    let mut broker = Broker::bind().await;
    let client = client(&broker);
    let ask = client
        .ask("echo")
        .deadline(Duration::from_secs(20))
        .priority(Priority::MAX)
        .idempotency(Idempotency::Once)
        .on_timeout(OnTimeout::Abort)
        .trace("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", Some("a=1"))
        .request(["question"]);
    let serve = async {
        let (peer, request) = broker.asked().await;
        broker.end(peer, request.id, Outcome::OK, ["answer"]);
        request.terms
    };
    let (reply, terms) = tokio::join!(ask, serve);
    assert_eq!(reply.unwrap().body, ["answer"].into());
    assert!(terms.deadline.unwrap() <= Duration::from_secs(20));
    assert_eq!((terms.priority, terms.idempotency), (Priority::MAX, Idempotency::Once));
    assert_eq!(terms.passed_on.tracestate(), Some("a=1"));
    assert!(terms.passed_on.traceparent().is_some());
}

#[tokio::test]
async fn a_client_that_comes_back_is_the_same_and_repeats_its_request_under_its_id() {
    let mut broker = Broker::bind().await;
    let client = client(&broker);
    let asking = tokio::spawn(async move { client.request("echo", ["question"]).await });
    let (peer, first) = broker.asked().await;
    broker.hang_up(peer);
    let (peer, second) = broker.asked().await;
    assert_eq!((first.id, first.body), (second.id, second.body));
    broker.end(peer, second.id, Outcome::OK, ["answer"]);
    assert_eq!(asking.await.unwrap().unwrap().body, ["answer"].into());
}

#[tokio::test]
async fn an_error_reaches_pirate_and_client_at_once_with_all_that_was_said() {
    let mut broker = Broker::bind().await;
    let options = Options::build().reason("not you").retry_after(Duration::from_secs(3)).finish().unwrap();
    let outcome = Outcome { parts: 0, status: Status::FORBIDDEN, options };
    let client = client(&broker);
    let mut pirate = LazyPirate::new(broker.endpoint()).timeout(LONG);
    let endpoint = broker.endpoint();
    let serve = async {
        for _ in 0..2 {
            let (peer, request) = broker.asked().await;
            broker.end(peer, request.id, outcome.clone(), Frames::new());
        }
    };
    let ask = async { (client.request("echo", [""]).await, pirate.request("echo", [""]).await) };
    let ((of_client, of_pirate), ()) = tokio::join!(ask, serve);
    for error in [of_client.unwrap_err(), of_pirate.unwrap_err()] {
        assert_eq!(error.status(), Some(Status::FORBIDDEN));
        let text = error.to_string();
        let begin = format!("service echo at {endpoint}: 403 not allowed: not you; ask again in 3.0 s (1 attempt in ");
        assert!(text.starts_with(&begin), "{text}");
    }
}

#[tokio::test]
async fn an_old_broker_is_spoken_to_in_02_by_client_and_pirate() {
    let mut broker = Broker::bind().await;
    let client = client(&broker);
    let mut pirate = LazyPirate::new(broker.endpoint()).timeout(Duration::from_millis(500)).retries(50);
    let serve = async {
        for _ in 0..2 {
            let (peer, request) = broker.request().await;
            assert!([Dialect::V02, Dialect::V02Delimited].contains(&request.dialect));
            broker.reply(peer, &request, Part::Final, ["answer"]);
        }
        broker.echo().await;
    };
    let ask = async {
        assert_eq!(pirate.request("echo", ["question"]).await.unwrap().body, ["answer"].into());
        assert_eq!(client.request("echo", ["question"]).await.unwrap().body, ["answer"].into());
        assert_eq!(client.counts().unanswered, 1);
        let once = client.ask("echo").idempotency(Idempotency::Once).request(["question"]).await;
        assert!(matches!(once, Err(Error::NotNative { .. })), "{once:?}");
    };
    tokio::select! {
        () = ask => {}
        () = serve => unreachable!(),
    }
}

#[tokio::test]
async fn an_old_broker_is_named_where_only_03_is_allowed() {
    let broker = Broker::bind().await;
    let only = Speech::Native { fall_back: None };
    let mut pirate = LazyPirate::new(broker.endpoint()).speech(only).timeout(Duration::from_secs(1)).retries(1);
    let error = pirate.request("echo", ["question"]).await.unwrap_err();
    assert!(matches!(error, Error::Timeout { connected: true, mute: true, .. }), "{error:?}");
    assert!(error.to_string().ends_with("the broker was reached and did not answer MDP 0.3"), "{error}");
}

#[tokio::test]
async fn a_broker_that_leaves_sends_new_requests_where_the_client_may_go() {
    let (mut first, mut second) = (Broker::bind().await, Broker::bind().await);
    let elsewhere = second.endpoint();
    let client = Client::builder(first.endpoint()).timeout(LONG).elsewhere([&elsewhere]).connect().unwrap();
    let ask = |body: &'static str| {
        let client = client.clone();
        tokio::spawn(async move { client.request("echo", [body]).await.unwrap().body })
    };
    let old = ask("old");
    let (peer, request) = first.asked().await;
    let options = Options::build().endpoints([elsewhere.as_str()]).finish().unwrap();
    let drain = protocol::mdp::v03::Drain { grace: LONG, service: None, options };
    first.say(peer, ToClient::Drain(drain));
    first.end(peer, request.id, Outcome::OK, ["from the first"]);
    assert_eq!(old.await.unwrap(), ["from the first"].into());
    let new = ask("new");
    let (peer, request) = second.asked().await;
    second.end(peer, request.id, Outcome::OK, ["from the second"]);
    assert_eq!(new.await.unwrap(), ["from the second"].into());
}

#[tokio::test]
async fn what_cannot_work_is_refused_at_once_and_by_name() {
    use client::Misuse;
    let client = Client::connect("tcp://127.0.0.1:1").unwrap();
    let once = client.ask("echo").idempotency(Idempotency::Once).on_timeout(OnTimeout::Resend).request([""]).await;
    assert_eq!(once, Err(Misuse::ResentOnce.into()));
    let trace = client.ask("echo").trace("x".repeat(3000), None).request([""]).await;
    assert!(matches!(trace, Err(Error::Misuse(Misuse::Option { name: "trace", .. }))), "{trace:?}");
    let elsewhere = Client::builder("tcp://127.0.0.1:1").elsewhere(["nonsense"]).connect();
    assert!(matches!(elsewhere, Err(Error::Misuse(Misuse::Endpoint { .. }))));
}
