//! Our own sockets against each other, over real connections.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod common;

use bytes::Bytes;
use common::{Inbox, PATIENCE, echo, options, router};
use protocol::{Frames, PeerId};
use zmtp::{Backoff, Dealer, Endpoint, Event, Limits, Moves, Options, Router, UnsentReason};

#[tokio::test]
async fn a_message_goes_there_and_back_and_both_sides_see_the_peer_come_and_go() {
    let (router, endpoint) = router(options()).await;
    let mut router = Inbox::new(router);
    let identity = Bytes::from_static(b"one");
    let mut dealer = Inbox::new(Dealer::connect(endpoint, Options { identity: identity.clone(), ..options() }));
    let (peer, announced) = router.connected().await;
    assert_eq!(announced, identity);
    dealer.connected().await;
    dealer.socket.try_send(Frames::from(["", "hello"])).unwrap();
    assert_eq!(router.message().await, (peer, Frames::from(["", "hello"])));
    router.socket.try_send(peer, Frames::from(["", "hello yourself"])).unwrap();
    assert_eq!(dealer.message().await.1, Frames::from(["", "hello yourself"]));
    dealer.socket.close().await;
    assert_eq!(router.disconnected().await, peer);
    let refused = router.socket.try_send(peer, Frames::from(["late"])).unwrap_err();
    assert_eq!((refused.reason, refused.frames), (UnsentReason::Gone, Frames::from(["late"])));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_of_every_size_arrive_whole_and_in_order() {
    let (router, endpoint) = router(options()).await;
    echo(router);
    let mut dealer = Inbox::new(Dealer::connect(endpoint, options()));
    let sizes = [0, 1, 255, 256, 4096, 4097, 65_535, 65_536, 70_000, 1 << 20, 3];
    let message = |turn: usize| -> Frames {
        let bodies = sizes.iter().map(|size| Bytes::from(vec![u8::try_from(turn % 251).unwrap(); *size]));
        bodies.cycle().skip(turn).take(1 + turn % 4).collect()
    };
    for turn in 0..100 {
        dealer.socket.try_send(message(turn)).unwrap();
        if turn % 10 == 9 {
            for answered in turn - 9..=turn {
                assert_eq!(dealer.next_message().await.1, message(answered));
            }
        }
    }
}

#[tokio::test]
async fn a_dealer_follows_a_peer_that_moves_without_waiting_out_its_delay_and_takes_what_was_queued_along() {
    let (first, from) = router(options()).await;
    let (second, there) = router(options()).await;
    let (tell, now) = tokio::sync::watch::channel(from.clone());
    let (mut first, mut second) = (Inbox::new(first), Inbox::new(second));
    // A delay that nobody waits out.
    let reconnect = Backoff { first: PATIENCE * 10, max: PATIENCE * 10 };
    let moves = Some(Moves { from: from.clone(), now: now.clone() });
    let following = Options { reconnect, moves, ..options() };
    let mut dealer = Inbox::new(Dealer::connect(from.clone(), following.clone()));
    first.connected().await;
    dealer.connected().await;
    drop(first);
    dealer.disconnected().await;
    dealer.socket.try_send(Frames::from(["kept"])).unwrap();
    tell.send_replace(there);
    second.connected().await;
    assert_eq!(second.message().await.1, Frames::from(["kept"]));
    // A socket that was not sent there has nothing to do with it.
    let (third, elsewhere) = router(options()).await;
    let _other = Dealer::connect(elsewhere, following);
    Inbox::new(third).connected().await;
}

#[tokio::test]
async fn a_router_that_moves_keeps_its_connections_and_is_found_at_its_new_address_alone() {
    let (router, endpoint) = router(options()).await;
    let mut router = Inbox::new(router);
    let mut old = Inbox::new(Dealer::connect(endpoint.clone(), options()));
    let (old_peer, _) = router.connected().await;
    let port = endpoint.port().unwrap();
    let there = std::net::SocketAddr::from(([127, 0, 0, 2], port));
    let nowhere = std::net::SocketAddr::from(([192, 0, 2, 1], port));
    let refused = router.socket.move_to(nowhere).unwrap_err().to_string();
    assert!(refused.starts_with(&format!("cannot listen on tcp://192.0.2.1:{port}")), "{refused}");
    assert_eq!(router.socket.endpoints(), std::slice::from_ref(&endpoint));
    router.socket.move_to(there).unwrap();
    assert_eq!(router.socket.endpoints(), [Endpoint::from(there)]);
    let _new = Dealer::connect(there.into(), options());
    let (new_peer, _) = router.connected().await;
    assert_ne!(new_peer, old_peer);
    router.socket.try_send(old_peer, Frames::from(["still here"])).unwrap();
    assert_eq!(old.next_message().await.1, Frames::from(["still here"]));
    // The task that listened ends when it is next looked at.
    let left = async {
        while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, left).await.expect("nobody listens at the old address");
    router.socket.close().await;
}

#[tokio::test]
async fn frames_max_is_met_and_not_passed() {
    let (router, endpoint) = router(options()).await;
    let mut router = Inbox::new(router);
    let mut dealer = Dealer::connect(endpoint, options());
    let frames = |count: usize| -> Frames { (0..count).map(|_| Bytes::from_static(b"x")).collect() };
    dealer.try_send(frames(1024)).unwrap();
    assert_eq!(dealer.try_send(frames(1025)).unwrap_err().reason, UnsentReason::TooLarge);
    assert_eq!(router.next_message().await.1, frames(1024));
}

#[tokio::test]
async fn message_bytes_max_is_met_and_not_passed() {
    let limits = Limits { message_bytes_max: 10_000, ..Limits::default() };
    let (router, endpoint) = router(Options { limits, ..options() }).await;
    let mut router = Inbox::new(router);
    let mut dealer = Dealer::connect(endpoint, Options { limits, ..options() });
    let message = |last: usize| Frames::from([Bytes::from(vec![1; 9000]), Bytes::from(vec![2; last])]);
    assert_eq!(dealer.try_send(message(1001)).unwrap_err().reason, UnsentReason::TooLarge);
    dealer.try_send(message(1000)).unwrap();
    assert_eq!(router.next_message().await.1, message(1000));
}

#[tokio::test]
async fn the_newest_connection_of_an_identity_wins_and_the_old_one_gets_its_own_end() {
    let (router, endpoint) = router(options()).await;
    let mut router = Inbox::new(router);
    let mut first = common::raw::dealer(&endpoint, 1, b"same").await;
    let (old, _) = router.connected().await;
    let mut second = common::raw::dealer(&endpoint, 1, b"same").await;
    let (new, identity) = router.connected().await;
    assert_eq!(identity, &b"same"[..]);
    assert_eq!(router.disconnected().await, old);
    assert!(common::raw::read_to_end(&mut first).await.is_empty(), "the old connection was closed");
    assert_eq!(router.socket.try_send(old, Frames::from(["x"])).unwrap_err().reason, UnsentReason::Gone);
    router.socket.try_send(new, Frames::from(["hi"])).unwrap();
    let mut frame = [0; 4];
    common::raw::read_exact(&mut second, &mut frame).await;
    assert_eq!(&frame, b"\0\x02hi");
    assert_eq!(router.socket.stats().replaced, 1);
}

#[tokio::test]
async fn disconnect_writes_what_is_queued_and_lets_nothing_more_in() {
    let (router, endpoint) = router(options()).await;
    let mut router = Inbox::new(router);
    let mut dealer = Inbox::new(Dealer::connect(endpoint, options()));
    dealer.connected().await;
    let (peer, _) = router.connected().await;
    let farewell = Frames::from([Bytes::from(vec![7; 1 << 20])]);
    router.socket.try_send(peer, farewell.clone()).unwrap();
    router.socket.disconnect(peer);
    assert_eq!(router.socket.try_send(peer, Frames::from(["x"])).unwrap_err().reason, UnsentReason::Gone);
    dealer.socket.try_send(Frames::from(["too late"])).unwrap();
    assert_eq!(dealer.message().await.1, farewell);
    assert_eq!(router.disconnected().await, peer, "no message of a dismissed peer comes");
}

#[tokio::test]
async fn closing_a_dealer_lets_its_queue_leave_even_before_it_is_connected() {
    let (router, endpoint) = router(options()).await;
    let mut router = Inbox::new(router);
    let mut dealer = Dealer::connect(endpoint, options());
    for number in 0..100u8 {
        dealer.try_send(Frames::from([Bytes::from(vec![number; 50_000])])).unwrap();
    }
    let reading = tokio::spawn(async move {
        for number in 0..100u8 {
            assert_eq!(router.next_message().await.1[0][0], number);
        }
    });
    dealer.close().await;
    tokio::time::timeout(PATIENCE, reading).await.unwrap().unwrap();
}

#[tokio::test]
async fn closing_a_router_lets_its_queues_leave() {
    let (router, endpoint) = router(options()).await;
    let mut router = Inbox::new(router);
    let mut dealer = Inbox::new(Dealer::connect(endpoint, options()));
    let (peer, _) = router.connected().await;
    for number in 0..50u8 {
        router.socket.try_send(peer, Frames::from([Bytes::from(vec![number; 50_000])])).unwrap();
    }
    let closing = tokio::spawn(router.socket.close());
    for number in 0..50u8 {
        assert_eq!(dealer.next_message().await.1[0][0], number);
    }
    tokio::time::timeout(PATIENCE, closing).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_dealer_finds_the_router_again_and_sends_what_it_queued_meanwhile() {
    let (first, endpoint) = router(options()).await;
    let mut first = Inbox::new(first);
    let mut dealer = Inbox::new(Dealer::connect(endpoint.clone(), options()));
    first.connected().await;
    let (before, _) = dealer.connected().await;
    drop(first);
    assert_eq!(dealer.disconnected().await, before);
    dealer.socket.try_send(Frames::from(["queued"])).unwrap();
    let again = Router::bind(&[endpoint], options()).await.unwrap();
    let mut again = Inbox::new(again);
    let (after, _) = dealer.connected().await;
    assert_ne!(before, after, "each connection has its own number");
    assert_eq!(again.next_message().await.1, Frames::from(["queued"]));
}

#[tokio::test]
async fn a_message_cut_off_by_a_reset_is_sent_again_as_a_whole() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint: Endpoint = format!("tcp://{}", listener.local_addr().unwrap()).parse().unwrap();
    let mut dealer = Inbox::new(Dealer::connect(endpoint, options()));
    let mut connection = common::raw::accept_as_router(&listener).await;
    dealer.connected().await;
    // More than the kernel's buffers take, so that the dealer is stuck in the middle.
    let body = Bytes::from(vec![9; 12 << 20]);
    dealer.socket.try_send(Frames::from([Bytes::from_static(b"head"), body.clone()])).unwrap();
    let mut start = [0; 1000];
    common::raw::read_exact(&mut connection, &mut start).await;
    drop(connection);
    let mut again = common::raw::accept_as_router(&listener).await;
    let mut whole = vec![0; 6 + 9 + body.len()];
    common::raw::read_exact(&mut again, &mut whole).await;
    assert_eq!(whole, [common::raw::frame(true, b"head"), common::raw::frame(false, &body)].concat());
}

#[tokio::test]
async fn a_slow_reader_is_full_and_the_others_do_not_notice() {
    let limits = Limits { queue_messages_max: 1000, queue_bytes_max: 1 << 20, ..Limits::default() };
    let (router, endpoint) = router(Options { limits, ..options() }).await;
    let mut router = Inbox::new(router);
    let slow = common::raw::dealer(&endpoint, 1, b"").await;
    let (slow_peer, _) = router.connected().await;
    let message = || Frames::from([Bytes::from(vec![1; 60_000])]);
    let mut sent = 0;
    // The kernel takes some megabytes as well; the writer needs its turns to give them to it.
    let full = loop {
        match router.socket.try_send(slow_peer, message()) {
            Ok(()) => sent += 1,
            Err(unsent) => break unsent,
        }
        tokio::task::yield_now().await;
    };
    assert_eq!((full.reason, full.frames), (UnsentReason::Full, message()));
    assert!(sent < 1000, "the queue is bounded: {sent} messages of 60 kB were taken");
    let mut dealer = Inbox::new(Dealer::connect(endpoint, options()));
    let (peer, _) = router.connected().await;
    router.socket.try_send(peer, Frames::from(["you are not slow"])).unwrap();
    dealer.connected().await;
    assert_eq!(dealer.message().await.1, Frames::from(["you are not slow"]));
    drop(slow);
    assert_eq!(router.disconnected().await, slow_peer);
}

#[tokio::test]
async fn queue_messages_max_is_met_and_not_passed() {
    let limits = Limits { queue_messages_max: 3, ..Limits::default() };
    let nobody: Endpoint = "tcp://127.0.0.1:1".parse().unwrap();
    let mut dealer = Dealer::connect(nobody, Options { limits, ..options() });
    for _ in 0..3 {
        dealer.try_send(Frames::from(["x"])).unwrap();
    }
    assert_eq!(dealer.try_send(Frames::from(["x"])).unwrap_err().reason, UnsentReason::Full);
    assert_eq!(dealer.stats().unsent_full, 1);
}

#[tokio::test]
async fn a_local_socket_works_its_file_replaces_a_dead_one_and_goes_away_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("broker.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists(), "a dead process left its file");
    let endpoint: Endpoint = format!("ipc://{}", path.display()).parse().unwrap();
    let router = Router::bind(std::slice::from_ref(&endpoint), options()).await.unwrap();
    let taken = Router::bind(std::slice::from_ref(&endpoint), options()).await.unwrap_err().to_string();
    assert!(taken.contains(&endpoint.to_string()) && taken.contains("in use"), "{taken}");
    let echo = echo(router);
    common::assert_served(&endpoint).await;
    echo.abort();
    assert!(echo.await.unwrap_err().is_cancelled());
    common::eventually(|| !path.exists()).await;
}

#[tokio::test]
async fn a_file_that_is_no_socket_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("precious");
    std::fs::write(&path, "data").unwrap();
    let endpoint: Endpoint = format!("ipc://{}", path.display()).parse().unwrap();
    assert!(Router::bind(&[endpoint], options()).await.is_err());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "data");
}

#[tokio::test]
async fn an_endpoint_in_use_is_named_in_the_error() {
    let (_router, endpoint) = router(options()).await;
    let error = Router::bind(std::slice::from_ref(&endpoint), options()).await.unwrap_err().to_string();
    assert!(error.contains(&endpoint.to_string()) && error.contains("in use"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_peers_leaving_at_once_are_all_reported_and_the_listener_lives() {
    let (router, endpoint) = router(options()).await;
    let mut router = Inbox::new(router);
    let mut crowd = Vec::new();
    let mut known = std::collections::BTreeSet::<PeerId>::new();
    for _ in 0..500 {
        crowd.push(common::raw::dealer(&endpoint, 1, b"").await);
        known.insert(router.connected().await.0);
    }
    assert_eq!(known.len(), 500);
    drop(crowd);
    for _ in 0..500 {
        assert!(known.remove(&router.disconnected().await));
    }
    common::eventually(|| router.socket.stats().connections == 0).await;
    echo(router.socket);
    common::assert_served(&endpoint).await;
}

#[tokio::test]
async fn connections_max_is_met_and_not_passed() {
    let limits = Limits { connections_max: 2, ..Limits::default() };
    let (router, endpoint) = router(Options { limits, ..options() }).await;
    let mut router = Inbox::new(router);
    let first = common::raw::dealer(&endpoint, 1, b"").await;
    let _second = common::raw::dealer(&endpoint, 1, b"").await;
    let (peer, _) = router.connected().await;
    router.connected().await;
    let mut third = common::raw::dial(&endpoint).await;
    assert!(common::raw::read_to_end(&mut third).await.is_empty());
    assert_eq!(router.socket.stats().refused, 1);
    drop(first);
    assert_eq!(router.disconnected().await, peer);
    let _fourth = common::raw::dealer(&endpoint, 1, b"").await;
}

#[tokio::test]
async fn recv_loses_nothing_when_its_future_is_dropped() {
    let (mut router, endpoint) = router(options()).await;
    let mut dealer = Dealer::connect(endpoint, options());
    let mut seen = 0;
    let mut events = Vec::new();
    for number in 0..200u8 {
        dealer.try_send(Frames::from([Bytes::from(vec![number])])).unwrap();
    }
    while seen < 200 {
        tokio::select! {
            biased;
            () = tokio::task::yield_now() => {}
            () = router.recv(&mut events) => {}
        }
        for event in events.drain(..) {
            if let Event::Message { frames, .. } = event {
                assert_eq!(usize::from(frames[0][0]), seen);
                seen += 1;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn on_several_threads_every_message_of_a_crowd_is_answered_in_order() {
    let (router, endpoint) = router(options()).await;
    echo(router);
    let crowd = (0..30usize).map(|number| {
        let endpoint = endpoint.clone();
        tokio::spawn(async move {
            let mut dealer = Inbox::new(Dealer::connect(endpoint, options()));
            let message = |turn: usize| Frames::from([vec![b'x'; turn * 37 % 600], turn.to_be_bytes().to_vec()]);
            let (mut sent, mut answered, ahead) = (0, 0, 1 + number * 17);
            while answered < 2000 {
                while sent < 2000 && sent - answered < ahead {
                    dealer.socket.try_send(message(sent)).unwrap();
                    sent += 1;
                }
                assert_eq!(dealer.next_message().await.1, message(answered));
                answered += 1;
            }
            dealer.socket.close().await;
        })
    });
    for dealer in crowd.collect::<Vec<_>>() {
        dealer.await.unwrap();
    }
}

#[tokio::test]
async fn answers_to_a_busy_peer_arrive_while_another_floods() {
    let (router, endpoint) = router(options()).await;
    echo(router);
    let mut flood = Dealer::connect(endpoint.clone(), options());
    let flooding = tokio::spawn(async move {
        let mut events = Vec::new();
        loop {
            while flood.try_send(Frames::from(["flood"])).is_ok() {}
            flood.recv(&mut events).await;
            events.clear();
        }
    });
    let mut busy = Inbox::new(Dealer::connect(endpoint, options()));
    for round in 0..20 {
        for number in 0..50 {
            busy.socket.try_send(Frames::from([format!("{round}/{number}")])).unwrap();
        }
        for number in 0..50 {
            assert_eq!(busy.next_message().await.1, Frames::from([format!("{round}/{number}")]));
        }
    }
    flooding.abort();
}
