//! Members of a full mesh on real sockets: what they tell when they end.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::time::Duration;

use mesh::fixed::{Client, Error, Event, Events, Patience, Roster, Server};
use runtime::Shutdown;
use runtime::zmtp::{Endpoint, Options};

/// A member that listens on a free port, and a client of it.
async fn member(file: &str, patience: Patience, of_client: Patience) -> (Server, Events, Client) {
    let roster = Roster::parse(file, "").unwrap();
    let loopback: Endpoint = "tcp://127.0.0.1:0".parse().unwrap();
    let bound = Server::bind(&[loopback], &roster, "alpha", patience, Options::default()).await;
    let (server, events) = bound.unwrap();
    let mut own = roster.get("alpha").unwrap().clone();
    own.port = server.endpoints().first().and_then(Endpoint::port).unwrap();
    (server, events, Client::connect(&own, of_client, Options::default()).unwrap())
}

/// The next event; a minute is for ever.
async fn next(events: &mut Events) -> Option<Event> {
    tokio::time::timeout(Duration::from_secs(60), events.recv()).await.expect("waited in vain")
}

const LONG: Duration = Duration::from_secs(600);

#[tokio::test]
async fn the_end_tells_who_has_not_acknowledged_what_was_under_way() {
    // Nobody listens at port 1.
    let file =
        r#"{"replicas": [{"name": "alpha", "address": "127.0.0.1:2"}, {"name": "bravo", "address": "127.0.0.1:1"}]}"#;
    let patience = Patience { absent: LONG, timeout: LONG, ..Patience::default() };
    let (server, mut events, client) = member(file, patience, patience).await;
    let (trigger, shutdown) = Shutdown::new();
    let server = tokio::spawn(server.run(shutdown));
    let sent = tokio::spawn(async move { client.send("hi").await });
    assert_eq!(next(&mut events).await, Some(Event::Message { via: "alpha".into(), text: "hi".into() }));
    trigger.pull();
    let missing = Event::Missing { names: vec!["bravo".into()], text: "hi".into() };
    assert_eq!((next(&mut events).await, next(&mut events).await), (Some(missing), None));
    assert_eq!(sent.await.unwrap().unwrap().missing, ["bravo"]);
    server.await.unwrap();
}

/// Sends texts of so many bytes until no more is acknowledged since nobody reads; then the member ends, and all that it
/// has acknowledged is read.
async fn all_that_was_acknowledged_is_told(bytes: usize, acknowledged_min: usize, acknowledged_max: usize) {
    let file = r#"{"replicas": [{"name": "alpha", "address": "127.0.0.1:2"}]}"#;
    let once = Patience { absent: LONG, timeout: Duration::from_secs(2), tries: 1, ..Patience::default() };
    let (server, mut events, client) = member(file, Patience::default(), once).await;
    let (trigger, shutdown) = Shutdown::new();
    let server = tokio::spawn(server.run(shutdown));
    let text = "t".repeat(bytes);
    let mut acknowledged = 0;
    let failure = loop {
        match client.send(&text).await {
            Ok(_) => acknowledged += 1,
            Err(failure) => break failure,
        }
    };
    assert!(matches!(failure, Error::Unanswered { .. }), "{failure}");
    assert!((acknowledged_min..=acknowledged_max).contains(&acknowledged), "{acknowledged}");
    trigger.pull();
    let mut told = 0;
    while next(&mut events).await.is_some() {
        told += 1;
    }
    // The one that nobody had room for may be taken in before the end, too late for the client.
    assert!((acknowledged..=acknowledged + 1).contains(&told), "{told} of {acknowledged}");
    server.await.unwrap();
}

#[tokio::test]
async fn events_max_is_met_and_all_that_was_acknowledged_is_told_at_the_end() {
    all_that_was_acknowledged_is_told(1, 257, 257).await;
}

#[tokio::test]
async fn event_bytes_max_is_met_and_all_that_was_acknowledged_is_told_at_the_end() {
    all_that_was_acknowledged_is_told(1 << 20, 17, 17).await;
}
