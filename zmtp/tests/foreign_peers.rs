//! Implementations that are not ours, in both roles: libzmq through Python, and the `zeromq` crate.
//!
//! How Python is found is told in `common/python.rs`.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod common;

use std::time::Duration;

use bytes::Bytes;
use common::{Inbox, PATIENCE, options, python, router};
use protocol::Frames;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Child;
use zeromq::{Socket, SocketRecv, SocketSend, ZmqMessage};
use zmtp::{Dealer, Endpoint, FaultKind, Heartbeat, Options, Router};

fn quick_heartbeat() -> Options {
    let (interval, timeout) = (Duration::from_millis(100), Duration::from_secs(2));
    Options { heartbeat: Some(Heartbeat { interval, timeout, ttl: Duration::from_secs(5) }), ..options() }
}

/// Starts the Python peer; `None` when there is none and that is known.
async fn libzmq(role: &str, endpoint: &str) -> Option<Child> {
    python::peer("libzmq.py", &[role, endpoint]).await
}

async fn echoes_to_libzmq(role: &str, options: Options) {
    let (router, endpoint) = router(options).await;
    let Some(peer) = libzmq(role, &endpoint.to_string()).await else { return };
    let (stats, came) = python::echo_until_done(router, peer).await;
    assert_eq!((came, stats.faults), (1, Vec::new()), "one connection, and nobody broke a rule");
}

#[tokio::test]
async fn libzmq_req_talks_to_our_router() {
    echoes_to_libzmq("req", options()).await;
}

#[tokio::test]
async fn libzmq_req_with_correlation_talks_to_our_router() {
    echoes_to_libzmq("correlated", options()).await;
}

#[tokio::test]
async fn libzmq_dealer_sends_messages_of_every_shape_to_our_router() {
    echoes_to_libzmq("dealer", options()).await;
}

#[tokio::test]
async fn a_silent_libzmq_peer_with_heartbeats_keeps_its_connection() {
    echoes_to_libzmq("heartbeat", Options { heartbeat: None, ..options() }).await;
    echoes_to_libzmq("heartbeat", quick_heartbeat()).await;
}

#[tokio::test]
async fn libzmq_dealer_talks_to_our_router_over_a_local_socket() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint: Endpoint = format!("ipc://{}/socket", folder.path().display()).parse().unwrap();
    let router = Router::bind(std::slice::from_ref(&endpoint), options()).await.unwrap();
    let Some(peer) = libzmq("dealer", &endpoint.to_string()).await else { return };
    assert_eq!(python::echo_until_done(router, peer).await.1, 1);
}

#[tokio::test]
async fn our_dealer_talks_to_a_libzmq_router_through_silence_and_heartbeats() {
    let Some(mut peer) = libzmq("router", "tcp://127.0.0.1:*").await else { return };
    let mut lines = BufReader::new(peer.stdout.take().unwrap()).lines();
    let endpoint = lines.next_line().await.unwrap().unwrap().parse().unwrap();
    let identity = Bytes::from_static(b"from rust");
    let mut dealer = Inbox::new(Dealer::connect(endpoint, Options { identity, ..quick_heartbeat() }));
    dealer.connected().await;
    for size in [0, 255, 256, 5000, 1_000_000] {
        let message = Frames::from([Bytes::new(), Bytes::from(vec![3; size])]);
        dealer.socket.try_send(message.clone()).unwrap();
        assert_eq!(dealer.message().await.1, message);
    }
    let mut unexpected = Vec::new();
    let silence = tokio::time::timeout(Duration::from_millis(1500), dealer.socket.recv(&mut unexpected)).await;
    assert!(silence.is_err(), "{unexpected:?}");
    dealer.socket.try_send(Frames::from(["end"])).unwrap();
    assert_eq!(dealer.message().await.1, Frames::from(["end"]));
    assert!(tokio::time::timeout(PATIENCE, peer.wait()).await.unwrap().unwrap().success());
    assert_eq!(dealer.socket.stats().faults_of(FaultKind::Silent), 0);
}

fn zmq_message(frames: &[Bytes]) -> ZmqMessage {
    ZmqMessage::try_from(frames.to_vec()).unwrap()
}

#[tokio::test]
async fn the_zeromq_crates_req_and_dealer_talk_to_our_router() {
    let (router, endpoint) = router(options()).await;
    common::echo(router);
    let mut request = zeromq::ReqSocket::new();
    request.connect(&endpoint.to_string()).await.unwrap();
    for number in 0..50 {
        request.send(format!("request {number}").into()).await.unwrap();
        let answer = tokio::time::timeout(PATIENCE, request.recv()).await.unwrap().unwrap();
        assert_eq!(answer.into_vec(), [Bytes::from(format!("request {number}"))]);
    }
    let mut dealer = zeromq::DealerSocket::new();
    dealer.connect(&endpoint.to_string()).await.unwrap();
    for size in [1, 255, 256, 4097, 1_000_000] {
        let frames = [Bytes::from_static(b"id"), Bytes::from(vec![1; size])];
        dealer.send(zmq_message(&frames)).await.unwrap();
        let answer = tokio::time::timeout(PATIENCE, dealer.recv()).await.unwrap().unwrap();
        assert_eq!(answer.into_vec(), frames);
    }
}

#[tokio::test]
async fn our_dealer_talks_to_the_zeromq_crates_router() {
    let mut foreign = zeromq::RouterSocket::new();
    let endpoint = foreign.bind("tcp://127.0.0.1:0").await.unwrap().to_string().parse().unwrap();
    let identity = Bytes::from_static(b"ours");
    let mut dealer = Inbox::new(Dealer::connect(endpoint, Options { identity: identity.clone(), ..options() }));
    dealer.connected().await;
    for size in [1, 255, 256, 5000] {
        let message = Frames::from([Bytes::from_static(b"x"), Bytes::from(vec![2; size])]);
        dealer.socket.try_send(message.clone()).unwrap();
        let received = tokio::time::timeout(PATIENCE, foreign.recv()).await.unwrap().unwrap().into_vec();
        assert_eq!(received[0], identity);
        assert_eq!(received[1..], message[..]);
        foreign.send(zmq_message(&received)).await.unwrap();
        assert_eq!(dealer.message().await.1, message);
    }
}
