//! PLAIN and CURVE with libzmq and libsodium at the other end, in both roles.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod common;

use std::time::Duration;

use bytes::Bytes;
use common::secure::{curve_client, curve_server, keys, only, plain_client, plain_server};
use common::{Inbox, PATIENCE, options, python, router};
use protocol::Frames;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Child;
use zmtp::{Dealer, Endpoint, Event, Fault, FaultKind, Heartbeat, Mechanism, Options, Stats};

fn guarded() -> Options {
    Options { authority: Some(only(&[2])), ..curve_server() }
}

fn quick_heartbeat() -> Option<Heartbeat> {
    let (interval, timeout) = (Duration::from_millis(100), Duration::from_secs(2));
    Some(Heartbeat { interval, timeout, ttl: Duration::from_secs(5) })
}

/// Echoes to a libzmq client in this role, until it has seen what it wanted; what was counted.
async fn serves(options: Options, arguments: &[&str]) -> Option<(Stats, usize)> {
    let (router, endpoint) = router(options).await;
    let endpoint = endpoint.to_string();
    let (role, rest) = arguments.split_first().unwrap();
    let peer = python::peer("security.py", &[&[*role, &endpoint], rest].concat()).await?;
    Some(python::echo_until_done(router, peer).await)
}

/// A libzmq server in this role, and where it listens.
async fn libzmq_server(role: &str) -> Option<(Child, Endpoint)> {
    let mut peer = python::peer("security.py", &[role, "tcp://127.0.0.1:*"]).await?;
    let mut lines = BufReader::new(peer.stdout.take().unwrap()).lines();
    let endpoint = lines.next_line().await.unwrap().unwrap().parse().unwrap();
    Some((peer, endpoint))
}

/// Why our dealer is not let in.
async fn refusal(endpoint: &Endpoint, options: Options) -> Fault {
    match Inbox::new(Dealer::connect(endpoint.clone(), options)).event().await {
        Event::Refused { fault, .. } => fault,
        other => panic!("expected Refused, got {other:?}"),
    }
}

async fn echoed(dealer: &mut Inbox<Dealer>, message: Frames) {
    dealer.socket.try_send(message.clone()).unwrap();
    assert!(dealer.message().await.1 == message, "{} octets came back otherwise", message.byte_count());
}

async fn ends(dealer: &mut Inbox<Dealer>, mut peer: Child) {
    echoed(dealer, Frames::from(["end"])).await;
    assert!(tokio::time::timeout(PATIENCE, peer.wait()).await.unwrap().unwrap().success());
}

#[tokio::test]
async fn libzmq_talks_curve_to_our_router_in_every_size_and_through_silence() {
    for heartbeat in [None, quick_heartbeat()] {
        let Some((stats, came)) = serves(Options { heartbeat, ..guarded() }, &["curve"]).await else { return };
        assert_eq!((came, stats.faults), (1, Vec::new()), "one connection, and nobody broke a rule");
    }
}

#[tokio::test]
async fn libzmq_clients_that_do_not_fit_our_curve_are_refused_as_libzmq_refuses() {
    for (role, kind) in
        [("unknown", FaultKind::Denied), ("wrong_server", FaultKind::Forged), ("null", FaultKind::Mechanism)]
    {
        let Some((stats, came)) = serves(guarded(), &[role]).await else { return };
        assert!(came == 0 && stats.faults_of(kind) >= 1, "{role}: {stats:?}");
    }
}

#[tokio::test]
async fn a_libzmq_curve_client_does_not_reach_our_null_router() {
    let (router, endpoint) = router(options()).await;
    let Some(peer) = python::peer("security.py", &["wrong_mechanism", &endpoint.to_string()]).await else { return };
    let (stats, came) = python::echo_until_done(router, peer).await;
    assert!(came == 0 && stats.faults_of(FaultKind::Mechanism) >= 1, "{stats:?}");
}

#[tokio::test]
async fn libzmq_talks_plain_to_our_router_with_the_right_password_only() {
    let Some((stats, came)) = serves(plain_server(), &["plain"]).await else { return };
    assert_eq!((came, stats.faults), (1, Vec::new()));
    let (stats, came) = serves(plain_server(), &["plain_wrong"]).await.unwrap();
    assert!(came == 0 && stats.faults_of(FaultKind::Denied) >= 1, "{stats:?}");
}

#[tokio::test]
async fn a_libzmq_client_joins_our_domain_by_its_metadata() {
    let options = Options { domain: "prod".into(), ..guarded() };
    let Some((stats, came)) = serves(options, &["metadata"]).await else { return };
    assert!(came == 1 && stats.faults_of(FaultKind::Domain) >= 1, "{stats:?}");
}

/// 10,000 take 20 s or more; `MAJORDOMO_TEST_RECONNECTS=10000` asks for them.
#[tokio::test]
async fn libzmq_reconnects_many_times_and_nothing_is_left_behind() {
    let count = std::env::var("MAJORDOMO_TEST_RECONNECTS").unwrap_or_else(|_| "500".into());
    let Some((stats, came)) = serves(guarded(), &["reconnects", &count]).await else { return };
    assert_eq!((came.to_string(), &stats.faults), (count, &Vec::new()));
    assert!(stats.connections <= 2 && stats.half_open == 0, "{stats:?}");
}

#[tokio::test]
async fn our_dealer_talks_curve_to_a_libzmq_router_in_every_size_and_through_silence() {
    let Some((peer, endpoint)) = libzmq_server("curve_router").await else { return };
    let options = Options { identity: Bytes::from_static(b"ours"), heartbeat: quick_heartbeat(), ..curve_client(2) };
    let mut dealer = Inbox::new(Dealer::connect(endpoint, options));
    assert!(matches!(dealer.event().await, Event::Connected { .. }));
    for size in [0, 1, 222, 223, 255, 256, 4096, 4097, 65_535, 65_536, 1_000_000, 16 << 20] {
        echoed(&mut dealer, Frames::from([Bytes::new(), Bytes::from(vec![3; size]), Bytes::from(vec![4; size / 2])]))
            .await;
    }
    let mut unexpected = Vec::new();
    let silence = tokio::time::timeout(Duration::from_millis(2500), dealer.socket.recv(&mut unexpected)).await;
    assert!(silence.is_err(), "{unexpected:?}");
    ends(&mut dealer, peer).await;
    assert_eq!(dealer.socket.stats().faults, Vec::new());
}

#[tokio::test]
async fn our_dealer_learns_why_a_libzmq_curve_router_does_not_let_it_in() {
    let Some((peer, endpoint)) = libzmq_server("curve_router").await else { return };
    assert_eq!(refusal(&endpoint, curve_client(3)).await, Fault::Refused("400".into()));
    let wrong = Mechanism::CurveClient { keys: keys(2), server: keys(9).public };
    assert_eq!(refusal(&endpoint, Options { mechanism: wrong, ..options() }).await, Fault::HandshakeClosed);
    assert_eq!(refusal(&endpoint, options()).await, Fault::Mechanism("CURVE".into()));
    let mut allowed = Inbox::new(Dealer::connect(endpoint, curve_client(2)));
    assert!(matches!(allowed.event().await, Event::Connected { .. }));
    ends(&mut allowed, peer).await;
}

#[tokio::test]
async fn our_dealer_talks_plain_to_a_libzmq_router_with_the_right_password_only() {
    let Some((peer, endpoint)) = libzmq_server("plain_router").await else { return };
    assert_eq!(refusal(&endpoint, plain_client("admin", "wrong")).await, Fault::Refused("400".into()));
    let mut dealer = Inbox::new(Dealer::connect(endpoint, plain_client("admin", "secret")));
    assert!(matches!(dealer.event().await, Event::Connected { .. }));
    echoed(&mut dealer, Frames::from([Bytes::from(vec![3; 70_000])])).await;
    ends(&mut dealer, peer).await;
}

#[tokio::test]
async fn our_curve_dealer_does_not_talk_to_a_libzmq_null_router() {
    let Some((_peer, endpoint)) = libzmq_server("null_router").await else { return };
    assert_eq!(refusal(&endpoint, curve_client(2)).await, Fault::Mechanism("NULL".into()));
}
