//! The asynchronous client over real sockets, against a broker that does what each test tells it.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests fail by panicking")]

mod scripted;

use std::collections::HashSet;
use std::time::Duration;

use client::runtime::zmtp::{Limits, Options};
use client::{Client, Dialect, Error, Frames, Misuse, Patience, Progress, Reply};
use protocol::mdp::client::Part;
use scripted::Broker;
use tokio::task::JoinSet;

/// Attempts that no test of a healthy broker reaches.
fn patient(broker: &Broker) -> client::Builder {
    Client::builder(broker.endpoint()).dialect(Dialect::V02Delimited).timeout(Duration::from_secs(60))
}

/// Asks for `numbers` all at once, each in a task of its own, and returns whoever got its own number back.
async fn ask_all(client: &Client, numbers: std::ops::Range<u32>) -> HashSet<u32> {
    let mut asking = JoinSet::new();
    for number in numbers {
        let client = client.clone();
        asking.spawn(async move {
            let reply = client.request("echo", [number.to_string()]).await.unwrap();
            assert_eq!(reply, Reply { body: [number.to_string()].into(), parts: 1 });
            number
        });
    }
    asking.join_all().await.into_iter().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_requests_are_answered_each_with_its_own_reply() {
    let broker = Broker::bind().await;
    let client = patient(&broker).connect().unwrap();
    let echo = tokio::spawn(broker.echo());
    assert_eq!(ask_all(&client, 0..100_000).await.len(), 100_000);
    assert_eq!(client.counts().duplicates, 0);
    echo.abort();
}

#[tokio::test]
async fn replies_find_their_requests_in_mdp_01_too() {
    let broker = Broker::bind().await;
    let client = patient(&broker).dialect(Dialect::V01).connect().unwrap();
    let echo = tokio::spawn(broker.echo());
    assert_eq!(ask_all(&client, 0..2000).await.len(), 2000);
    echo.abort();
}

#[tokio::test]
async fn a_broker_that_restarts_under_load_costs_no_request_and_doubles_no_reply() {
    let mut broker = Broker::bind().await;
    let client = patient(&broker).in_flight_max(100).connect().unwrap();
    let ask = tokio::spawn({
        let client = client.clone();
        async move { ask_all(&client, 0..1000).await }
    });
    for _ in 0..3 {
        // Some are answered, some lie in the broker when it dies, some are on their way.
        for _ in 0..50 {
            let (peer, request) = broker.request().await;
            let body = request.body.clone();
            broker.reply(peer, &request, Part::Final, body);
        }
        for _ in 0..20 {
            broker.request().await;
        }
        broker = broker.restart().await;
    }
    let echo = tokio::spawn(broker.echo());
    assert_eq!(ask.await.unwrap().len(), 1000);
    let counts = client.counts();
    assert!(counts.connections >= 4 && counts.resent >= 60, "{counts:?}");
    echo.abort();
}

#[tokio::test]
async fn an_unanswered_request_is_sent_again_and_its_second_answer_is_dropped_and_counted() {
    let mut broker = Broker::bind().await;
    let client = patient(&broker).timeout(Duration::from_millis(300)).retries(50).connect().unwrap();
    let asking = tokio::spawn({
        let client = client.clone();
        async move { client.request("echo", ["question"]).await }
    });
    let (peer, first) = broker.request().await;
    let (same_peer, second) = broker.request().await;
    assert_eq!((peer, &first.body, &first.envelope[0][1..]), (same_peer, &second.body, &second.envelope[0][1..]));
    broker.reply(peer, &second, Part::Final, ["answer"]);
    broker.reply(peer, &first, Part::Final, ["answer"]);
    assert_eq!(asking.await.unwrap().unwrap().body, ["answer"].into());
    // The duplicate came before this one's reply, so it is counted by now.
    let echo = tokio::spawn(broker.echo());
    client.request("echo", ["next"]).await.unwrap();
    assert!(client.counts().duplicates >= 1, "{:?}", client.counts());
    echo.abort();
}

#[tokio::test]
async fn a_request_whose_future_is_dropped_frees_its_place() {
    let mut broker = Broker::bind().await;
    let client = patient(&broker).in_flight_max(1).waiting_max(0).connect().unwrap();
    let (peer, dropped) = tokio::select! {
        reply = client.request("echo", ["dropped"]) => panic!("{reply:?}"),
        request = broker.request() => request,
    };
    let serve = async {
        let (same_peer, request) = broker.request().await;
        broker.reply(peer, &dropped, Part::Final, ["dropped"]);
        broker.reply(same_peer, &request, Part::Final, ["wanted"]);
    };
    let (reply, ()) = tokio::join!(client.request("echo", ["wanted"]), serve);
    assert_eq!(reply.unwrap().body, ["wanted"].into());
    assert_eq!(client.counts().duplicates, 1);
}

#[tokio::test]
async fn beyond_the_limits_try_request_refuses_and_request_waits() {
    let mut broker = Broker::bind().await;
    let client = patient(&broker).in_flight_max(1).waiting_max(1).connect().unwrap();
    let ask = |body: &'static str| {
        let client = client.clone();
        tokio::spawn(async move { client.request("echo", [body]).await })
    };
    let (first, second) = (ask("one"), ask("two"));
    let (peer, request) = broker.request().await;
    // Both places are taken once the second task has run; the first one surely has.
    while !second.is_finished() && client.try_request("echo", ["three"]).await != Err(Error::Full { max: 2 }) {
        tokio::task::yield_now().await;
    }
    let third = ask("three");
    broker.reply(peer, &request, Part::Final, ["answer"]);
    let echo = tokio::spawn(broker.echo());
    for asked in [first, second, third] {
        assert!(asked.await.unwrap().is_ok());
    }
    echo.abort();
}

#[tokio::test]
async fn parts_come_as_they_are_sent_and_end() {
    let mut broker = Broker::bind().await;
    let client = patient(&broker).connect().unwrap();
    let mut parts = client.request_parts("count", ["question"]).await.unwrap();
    let (peer, request) = broker.request().await;
    for (part, body) in [(Part::Partial, "one"), (Part::Partial, "two"), (Part::Final, "three")] {
        broker.reply(peer, &request, part, [body]);
        assert_eq!(parts.next().await, Some(Ok(Progress::Part([body].into()))));
    }
    assert_eq!((parts.next().await, parts.next().await), (None, None));
}

#[tokio::test]
async fn parts_that_nobody_takes_end_as_lagging_after_those_that_were_kept() {
    let mut broker = Broker::bind().await;
    let client = patient(&broker).connect().unwrap();
    let mut parts = client.request_parts("count", ["question"]).await.unwrap();
    let (peer, request) = broker.request().await;
    for _ in 0..1025 {
        broker.reply(peer, &request, Part::Partial, ["part"]);
    }
    // Once this one is answered, all of the parts before it have arrived.
    let echo = tokio::spawn(broker.echo());
    client.request("echo", ["after"]).await.unwrap();
    for _ in 0..1024 {
        assert!(matches!(parts.next().await, Some(Ok(Progress::Part(_)))));
    }
    assert_eq!(parts.next().await, Some(Err(Error::Lagging { max: 1024 })));
    assert_eq!(parts.next().await, None);
    echo.abort();
}

#[tokio::test]
async fn a_stream_whose_broker_dies_starts_anew_and_says_so() {
    let mut broker = Broker::bind().await;
    let client = patient(&broker).connect().unwrap();
    let mut parts = client.request_parts("count", ["question"]).await.unwrap();
    let (peer, request) = broker.request().await;
    broker.reply(peer, &request, Part::Partial, ["void"]);
    assert_eq!(parts.next().await, Some(Ok(Progress::Part(["void"].into()))));
    broker.hang_up(peer);
    assert_eq!(parts.next().await, Some(Ok(Progress::Restarted)));
    let (peer, request) = broker.request().await;
    broker.reply(peer, &request, Part::Final, ["whole"]);
    assert_eq!(parts.next().await, Some(Ok(Progress::Part(["whole"].into()))));
    assert_eq!(parts.next().await, None);
}

#[tokio::test]
async fn one_at_a_time_sends_no_envelope_and_no_second_request_before_the_first_reply() {
    let mut broker = Broker::bind().await;
    let client = patient(&broker).dialect(Dialect::V01).one_at_a_time().connect().unwrap();
    let ask = |body: &'static str| {
        let client = client.clone();
        tokio::spawn(async move { client.request("echo", [body]).await.unwrap().body })
    };
    let asked = [ask("one"), ask("two"), ask("three")];
    for _ in 0..3 {
        let (peer, request) = broker.request().await;
        assert_eq!(request.envelope, Frames::new());
        let body = request.body.clone();
        broker.reply(peer, &request, Part::Final, body);
    }
    let [one, two, three] = asked;
    assert_eq!(one.await.unwrap(), ["one"].into());
    assert_eq!(two.await.unwrap(), ["two"].into());
    assert_eq!(three.await.unwrap(), ["three"].into());
}

#[tokio::test]
async fn a_full_socket_delays_requests_and_loses_none() {
    let broker = Broker::bind().await;
    let limits = Limits { queue_messages_max: 2, ..Limits::default() };
    let client = patient(&broker).socket_options(Options { limits, ..Options::default() }).connect().unwrap();
    let echo = tokio::spawn(broker.echo());
    assert_eq!(ask_all(&client, 0..500).await.len(), 500);
    echo.abort();
}

#[tokio::test]
async fn a_handle_may_have_a_patience_of_its_own() {
    let mut broker = Broker::bind().await;
    let client = patient(&broker).connect().unwrap();
    // There is a connection, so that the hasty one need not wait for it.
    let (reply, ()) = tokio::join!(client.request("echo", ["question"]), async {
        let (peer, request) = broker.request().await;
        broker.reply(peer, &request, Part::Final, ["answer"]);
    });
    reply.unwrap();
    let hasty =
        client.with_patience(Patience { timeout: Duration::from_millis(100), retries: 2, ..Patience::default() });
    let outcome = hasty.request("echo", ["question"]).await;
    assert!(matches!(outcome, Err(Error::Timeout { attempts: 2, connected: true, .. })), "{outcome:?}");
}

#[tokio::test]
async fn what_cannot_work_is_refused_at_once_and_by_name() {
    let endpoint = "tcp://127.0.0.1:1";
    assert!(matches!(Client::connect("nonsense"), Err(Error::Misuse(Misuse::Endpoint { .. }))));
    let refused = |builder: client::Builder| builder.connect().err();
    assert_eq!(refused(Client::builder(endpoint).in_flight_max(0)), Some(Misuse::InFlight.into()));
    assert_eq!(refused(Client::builder(endpoint).timeout(Duration::ZERO)), Some(Misuse::Timeout.into()));
    let pure = Client::builder(endpoint).dialect(Dialect::V02);
    assert_eq!(refused(pure), Some(Misuse::NoEnvelope(Dialect::V02).into()));
}

#[tokio::test]
async fn the_connection_ends_with_the_last_handle() {
    let mut broker = Broker::bind().await;
    let client = patient(&broker).connect().unwrap();
    let (reply, ()) = tokio::join!(client.request("echo", ["question"]), async {
        let (peer, request) = broker.request().await;
        broker.reply(peer, &request, Part::Final, ["answer"]);
    });
    reply.unwrap();
    drop(client);
    let gone =
        |event: &client::runtime::zmtp::Event| matches!(event, client::runtime::zmtp::Event::Disconnected { .. });
    while !broker.events().await.iter().any(gone) {}
}
