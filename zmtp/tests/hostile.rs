//! Peers that break rules, on purpose or by accident: each costs its own connection and a counter, and everybody else
//! is served all the while.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod common;

use std::time::Duration;

use bytes::Bytes;
use common::raw::{self, command, frame, greeting, ready};
use common::{Inbox, PATIENCE, assert_served, echo, eventually, options, router};
use protocol::Frames;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use zmtp::{Dealer, Endpoint, Event, FaultKind, Heartbeat, Limits, Options, Router};

/// Sends `input` on a new connection and expects it to be closed, the fault to be counted, and others to be served.
async fn closes(input: &[u8], kind: FaultKind) {
    let (router, endpoint) = router(options()).await;
    let mut hostile = raw::dial(&endpoint).await;
    hostile.write_all(input).await.unwrap();
    let router = pump_until_closed(router, &mut hostile).await;
    eventually(|| router.stats().faults_of(kind) == 1).await;
    echo(router);
    assert_served(&endpoint).await;
}

/// Lets the router run until the peer's connection is closed.
async fn pump_until_closed(mut router: Router, hostile: &mut TcpStream) -> Router {
    let mut events = Vec::new();
    let closed = raw::read_to_end(hostile);
    tokio::pin!(closed);
    loop {
        tokio::select! {
            _ = &mut closed => return router,
            () = router.recv(&mut events) => {}
        }
    }
}

fn after_handshake(input: &[u8]) -> Vec<u8> {
    [&greeting(1)[..], &ready("DEALER", b""), input].concat()
}

#[tokio::test]
async fn a_length_claim_of_any_size_closes_before_and_after_the_handshake() {
    for claimed in [64u64 << 30, 1 << 60, 1 << 63, u64::MAX] {
        let message = [&[2][..], &claimed.to_be_bytes()].concat();
        closes(&after_handshake(&message), FaultKind::MessageBytes).await;
        let ready = [&greeting(1)[..], &[6], &claimed.to_be_bytes()].concat();
        closes(&ready, FaultKind::CommandBytes).await;
    }
}

#[tokio::test]
async fn what_came_whole_before_a_fault_arrives() {
    let (router, endpoint) = router(options()).await;
    let mut router = Inbox::new(router);
    let mut hostile = raw::dial(&endpoint).await;
    // In one segment, so that one read finds both.
    hostile.write_all(&after_handshake(&[frame(false, b"good"), vec![0x08, 0]].concat())).await.unwrap();
    router.connected().await;
    assert_eq!(router.message().await.1, Frames::from(["good"]));
    router.disconnected().await;
    assert_eq!(router.socket.stats().faults_of(FaultKind::Flags), 1);
}

#[tokio::test]
async fn broken_frames_and_commands_close() {
    closes(&after_handshake(&[0x08, 0]), FaultKind::Flags).await;
    closes(&after_handshake(&[0x05, 0]), FaultKind::Flags).await;
    closes(&after_handshake(&command(b"\x04PING\0")), FaultKind::Command).await;
    closes(&after_handshake(&command(b"")), FaultKind::Command).await;
    closes(&after_handshake(&ready("DEALER", b"")), FaultKind::Unexpected).await;
    closes(&after_handshake(&command(b"\x05ERROR\x03bye")), FaultKind::Refused).await;
    closes(&after_handshake(&frame(true, b"x").repeat(1025)), FaultKind::FrameCount).await;
}

#[tokio::test]
async fn broken_greetings_close() {
    closes(b"GET / HTTP/1.1\r\n\r\n", FaultKind::Signature).await;
    closes(b"\x01\x00\x00\x01x", FaultKind::Signature).await;
    closes(b"\xff\0\0\0\0\0\0\0\x02\0xy", FaultKind::Version).await;
    let mut curve = greeting(1);
    curve[12..17].copy_from_slice(b"CURVE");
    closes(&curve, FaultKind::Mechanism).await;
    closes(&[greeting(1), frame(false, b"hello")].concat(), FaultKind::Unexpected).await;
    closes(&[greeting(1), ready("PUB", b"")].concat(), FaultKind::SocketType).await;
    closes(&[greeting(1), ready("DEALER", b"\0made up")].concat(), FaultKind::Identity).await;
}

#[tokio::test]
async fn a_socket_type_mismatch_is_told_so_before_the_close() {
    let (router, endpoint) = router(options()).await;
    let mut peer = raw::dial(&endpoint).await;
    peer.write_all(&[greeting(1), ready("SUB", b"")].concat()).await.unwrap();
    let said = raw::read_to_end(&mut peer).await;
    let expected = [greeting(1), ready("ROUTER", b"")].concat();
    assert_eq!(said[..expected.len()], expected);
    assert_eq!(said[expected.len() + 2..][..6], *b"\x05ERROR");
    drop(router);
}

#[tokio::test]
async fn unknown_commands_are_ignored() {
    let (router, endpoint) = router(options()).await;
    let mut router = Inbox::new(router);
    let mut peer = raw::dealer(&endpoint, 1, b"").await;
    router.connected().await;
    let strange = [command(b"\x09SUBSCRIBEabc"), command(&[b"\x03NEW"[..].to_vec(), vec![0; 5000]].concat())].concat();
    peer.write_all(&[strange, frame(false, b"hi")].concat()).await.unwrap();
    assert_eq!(router.message().await.1, Frames::from(["hi"]));
}

#[tokio::test]
async fn a_handshake_that_trickles_is_over_when_its_time_is() {
    let handshake_timeout = Duration::from_millis(200);
    let (router, endpoint) = router(Options { handshake_timeout, ..options() }).await;
    let mut silent = raw::dial(&endpoint).await;
    let mut trickling = raw::dial(&endpoint).await;
    let drip = async {
        let mut octets = greeting(1).into_iter().cycle();
        while trickling.write_all(&[octets.next().unwrap()]).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, drip).await.expect("activity does not prolong the handshake");
    raw::read_to_end(&mut silent).await;
    eventually(|| router.stats().faults_of(FaultKind::HandshakeTimeout) == 2).await;
    eventually(|| router.stats().half_open == 0).await;
    echo(router);
    assert_served(&endpoint).await;
}

#[tokio::test]
async fn a_crowd_of_silent_connections_cannot_lock_out_who_comes_later() {
    let limits = Limits { half_open_max: 40, half_open_per_address_max: 20, ..Limits::default() };
    let (router, endpoint) = router(Options { limits, ..options() }).await;
    let mut crowd = Vec::new();
    for _ in 0..60 {
        crowd.push(raw::dial(&endpoint).await);
    }
    eventually(|| router.stats().accepted == 60).await;
    eventually(|| router.stats().connections <= 20).await;
    let stats = router.stats();
    assert_eq!((stats.half_open, stats.evicted), (20, 40));
    raw::read_to_end(&mut crowd[0]).await;
    echo(router);
    assert_served(&endpoint).await;
}

#[tokio::test]
async fn a_flooding_peer_does_not_starve_others() {
    let (router, endpoint) = router(options()).await;
    let mut router = Inbox::new(router);
    let mut flooder = raw::dealer(&endpoint, 1, b"").await;
    let (flooding, _) = router.connected().await;
    let flood = tokio::spawn(async move {
        let burst = frame(false, b"x").repeat(20_000);
        while flooder.write_all(&burst).await.is_ok() {}
    });
    // The owner is slow: it takes nothing until the flooder can write no more, so all of it is in the kernel or in
    // line.
    let mut modest = raw::dealer(&endpoint, 1, b"").await;
    modest.write_all(&frame(false, b"me too")).await.unwrap();
    let mut before = 0;
    loop {
        match router.event().await {
            Event::Message { peer, .. } if peer == flooding => before += 1,
            Event::Message { frames, .. } => {
                assert_eq!(frames, Frames::from(["me too"]));
                break;
            }
            _ => {}
        }
        assert!(before < 200_000, "the modest peer is never heard");
    }
    flood.abort();
}

#[tokio::test]
async fn what_a_flooder_makes_us_hold_while_the_owner_is_away_is_bounded() {
    let (router, endpoint) = router(options()).await;
    let mut flooder = raw::dealer(&endpoint, 1, b"").await;
    let burst = frame(false, b"").repeat(100_000);
    let mut written = 0usize;
    // Until the kernel's buffers are full too: a write that does not end within a while is stuck for good.
    while let Ok(done) = tokio::time::timeout(Duration::from_secs(1), flooder.write_all(&burst)).await {
        done.unwrap();
        written += burst.len();
        assert!(written < 1 << 30, "reading never stops");
    }
    let held = router.stats().messages_received;
    assert!(held <= 2 * 1024 + 1024, "{held} messages wait for an owner that is away");
}

#[tokio::test]
async fn half_sent_messages_of_many_peers_share_the_memory_fairly() {
    let limits = Limits { inbound_bytes_max: 4 << 20, ..Limits::default() };
    let (router, endpoint) = router(Options { limits, ..options() }).await;
    let mut router = Inbox::new(router);
    // A modest message is under way before the greedy come, and finished after.
    let mut modest = raw::dealer(&endpoint, 1, b"").await;
    let (modest_peer, _) = router.connected().await;
    let body = vec![5; 200_000];
    let message = frame(false, &body);
    modest.write_all(&message[..150_000]).await.unwrap();
    let mut greedy = Vec::new();
    for _ in 0..8 {
        greedy.push(raw::dealer(&endpoint, 1, b"").await);
        router.connected().await;
    }
    // All but the last octet of 8 MiB; refused somewhere on the way.
    let half = [&[2][..], &(8u64 << 20).to_be_bytes(), &vec![0; (8 << 20) - 1]].concat();
    for mut peer in greedy {
        let half = half.clone();
        tokio::spawn(async move {
            let _ = peer.write_all(&half).await;
            raw::read_to_end(&mut peer).await;
        });
    }
    for _ in 0..8 {
        let gone = router.disconnected().await;
        assert_ne!(gone, modest_peer);
    }
    eventually(|| router.socket.stats().faults_of(FaultKind::Memory) == 8).await;
    modest.write_all(&message[150_000..]).await.unwrap();
    assert_eq!(router.message().await, (modest_peer, Frames::from([Bytes::from(body)])));
}

#[tokio::test]
async fn outbound_bytes_max_bounds_all_slow_readers_together() {
    let limits = Limits { outbound_bytes_max: 4 << 20, ..Limits::default() };
    let (router, endpoint) = router(Options { limits, ..options() }).await;
    let mut router = Inbox::new(router);
    let (mut peers, mut slow) = (Vec::new(), Vec::new());
    for _ in 0..8 {
        slow.push(raw::dealer(&endpoint, 1, b"").await);
        peers.push(router.connected().await.0);
    }
    // No await: nothing is written meanwhile, so every octet taken is held.
    let message = Frames::from([Bytes::from(vec![1; 10_000])]);
    let mut taken = 0;
    for &peer in peers.iter().cycle().take(8 * 1000) {
        taken += usize::from(router.socket.try_send(peer, message.clone()).is_ok());
    }
    let held = taken * 10_000;
    assert!((4 << 20..6 << 20).contains(&held), "{held} octets are held");
}

fn quick_heartbeat() -> Options {
    let (interval, timeout) = (Duration::from_millis(100), Duration::from_millis(100));
    Options { heartbeat: Some(Heartbeat { interval, timeout, ttl: Duration::from_secs(3) }), ..options() }
}

#[tokio::test]
async fn a_silent_peer_gets_a_ping_and_when_it_stays_silent_its_connection_ends() {
    let (router, endpoint) = router(quick_heartbeat()).await;
    let mut router = Inbox::new(router);
    let mut peer = raw::dealer(&endpoint, 1, b"").await;
    let (id, _) = router.connected().await;
    assert_eq!(raw::read_to_end(&mut peer).await, b"\x04\x07\x04PING\x00\x1e");
    assert_eq!(router.disconnected().await, id);
    eventually(|| router.socket.stats().faults_of(FaultKind::Silent) == 1).await;
}

#[tokio::test]
async fn a_peer_that_answers_pings_stays() {
    let (router, endpoint) = router(quick_heartbeat()).await;
    let mut peer = raw::dealer(&endpoint, 1, b"").await;
    for _ in 0..8 {
        let mut ping = [0; 9];
        raw::read_exact(&mut peer, &mut ping).await;
        assert_eq!(&ping, b"\x04\x07\x04PING\x00\x1e");
        peer.write_all(b"\x04\x05\x04PONG").await.unwrap();
    }
    assert_eq!(router.stats().connections, 1);
}

#[tokio::test]
async fn a_3_0_peer_is_never_pinged() {
    let (router, endpoint) = router(quick_heartbeat()).await;
    let mut peer = raw::dealer(&endpoint, 0, b"").await;
    assert!(raw::stays_open(&mut peer, Duration::from_millis(600)).await);
    drop(router);
    assert!(raw::read_to_end(&mut peer).await.is_empty(), "not one octet came");
}

#[tokio::test]
async fn a_ping_is_echoed_with_its_context_and_its_ttl_is_heeded() {
    let (router, endpoint) = router(Options { heartbeat: None, ..options() }).await;
    let mut router = Inbox::new(router);
    let mut peer = raw::dealer(&endpoint, 1, b"").await;
    let (id, _) = router.connected().await;
    peer.write_all(b"\x04\x0e\x04PING\x00\x03context").await.unwrap();
    assert_eq!(raw::read_to_end(&mut peer).await, b"\x04\x0c\x04PONGcontext", "then it was silent for 300 ms");
    assert_eq!(router.disconnected().await, id);
}

#[tokio::test]
async fn a_peer_whose_messages_wait_for_a_slow_owner_is_not_called_silent() {
    let limits = Limits { batch_messages_max: 1, ..Limits::default() };
    let (router, endpoint) = router(Options { limits, ..quick_heartbeat() }).await;
    let mut peer = raw::dealer(&endpoint, 1, b"").await;
    peer.write_all(&frame(false, b"x").repeat(10)).await.unwrap();
    let mut octets = [0; 9];
    // The PINGs that come show that more than the timeout passes; no PONG of ours is read behind the messages.
    for _ in 0..6 {
        raw::read_exact(&mut peer, &mut octets).await;
        peer.write_all(b"\x04\x05\x04PONG").await.unwrap();
    }
    let mut router = Inbox::new(router);
    router.connected().await;
    for _ in 0..10 {
        router.message().await;
    }
}

#[tokio::test]
async fn a_peer_that_pings_and_never_reads_does_not_grow_our_memory() {
    let (router, endpoint) = router(options()).await;
    let mut peer = raw::dealer(&endpoint, 1, b"").await;
    let pings = command(b"\x04PING\0\0sixteen octets!!").repeat(10_000);
    let mut written = 0usize;
    while let Ok(done) = tokio::time::timeout(Duration::from_secs(1), peer.write_all(&pings)).await {
        done.unwrap();
        written += pings.len();
        assert!(written < 1 << 30, "reading never stops");
    }
    echo(router);
    assert_served(&endpoint).await;
}

#[tokio::test]
async fn a_version_2_peer_talks_to_the_router() {
    let (router, endpoint) = router(options()).await;
    echo(router);
    let mut peer = raw::dial(&endpoint).await;
    // As JeroMQ 0.3 does: signature, then revision 1, type REQ, empty identity; then a request.
    peer.write_all(b"\xff\0\0\0\0\0\0\0\x01\x7f").await.unwrap();
    let mut opening = [0; 11];
    raw::read_exact(&mut peer, &mut opening).await;
    assert_eq!(opening[..], greeting(1)[..11]);
    peer.write_all(b"\x01\x03\0\0\x01\0\0\x02hi").await.unwrap();
    let mut answer = [0; 9];
    raw::read_exact(&mut peer, &mut answer).await;
    assert_eq!(&answer, b"\x06\0\0\x01\0\0\x02hi", "our type, our empty identity, the echo");
}

#[tokio::test]
async fn a_dealer_that_was_refused_with_error_comes_back_only_after_the_longest_delay() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint: Endpoint = format!("tcp://{}", listener.local_addr().unwrap()).parse().unwrap();
    let reconnect = zmtp::Backoff { first: Duration::from_millis(1), max: Duration::from_millis(700) };
    let dealer = Dealer::connect(endpoint, Options { reconnect, ..options() });
    let (mut refused, _) = listener.accept().await.unwrap();
    refused.write_all(&[greeting(1), command(b"\x05ERROR\x03400")].concat()).await.unwrap();
    raw::read_to_end(&mut refused).await;
    let closed = tokio::time::Instant::now();
    tokio::time::timeout(PATIENCE, listener.accept()).await.unwrap().unwrap();
    assert!(closed.elapsed() >= Duration::from_millis(600), "came back after {:?}", closed.elapsed());
    assert_eq!(dealer.stats().faults_of(FaultKind::Refused), 1);
}

#[tokio::test]
async fn many_flooders_together_leave_less_in_line_when_memory_is_short() {
    let limits = Limits { inbound_bytes_max: 1 << 20, ..Limits::default() };
    let (router, endpoint) = router(Options { limits, ..options() }).await;
    let mut flooders = Vec::new();
    for _ in 0..20 {
        let mut flooder = raw::dealer(&endpoint, 1, b"").await;
        flooders.push(tokio::spawn(async move {
            let burst = frame(false, b"").repeat(100_000);
            // Until the kernel's buffers are full too.
            while tokio::time::timeout(Duration::from_secs(1), flooder.write_all(&burst)).await.is_ok() {}
            flooder
        }));
    }
    let mut stuck = Vec::new();
    for flooder in flooders {
        stuck.push(tokio::time::timeout(PATIENCE, flooder).await.expect("the flood is held back").unwrap());
    }
    let held = usize::try_from(router.stats().messages_received).unwrap();
    // The memory of all, one batch past it, and what everybody may have uncounted, twice: waiting and about to.
    let bound = (1 << 20) + limits.batch_bytes_max + 20 * 2 * (16 << 10) + 20 * 1024;
    assert!(held * size_of::<Event>() <= bound, "{held} messages wait for an owner that is away");
    assert!(held >= 20, "everybody has something in line");
    assert_eq!(router.stats().faults, Vec::new(), "a flood is held back, not punished");
}
