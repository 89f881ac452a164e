//! PLAIN and CURVE between sockets of ours: who gets in, who does not, and what both sides learn of it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use common::raw::{self, command};
use common::secure::{allow, curve_client, curve_server, keys, only, plain_client, plain_server, server_key};
use common::{Inbox, PATIENCE, echo, eventually, options, router};
use protocol::{Frames, PeerId};
use tokio::io::AsyncWriteExt;
use zmtp::{
    Admission, Authority, Backoff, Credentials, Dealer, Decision, Endpoint, Event, Fault, FaultKind, Heartbeat, Limits,
    Mechanism, Options, Principal, Proof, Refusal, Router,
};

/// The next event, which should be a connection.
async fn connected<S: common::Receive>(inbox: &mut Inbox<S>) -> (PeerId, Option<Arc<Principal>>) {
    match inbox.event().await {
        Event::Connected { peer, principal, .. } => (peer, principal),
        other => panic!("expected Connected, got {other:?}"),
    }
}

/// Why a dealer is not let in.
async fn refusal(endpoint: Endpoint, options: Options) -> Fault {
    match Inbox::new(Dealer::connect(endpoint, options)).event().await {
        Event::Refused { fault, .. } => fault,
        other => panic!("expected Refused, got {other:?}"),
    }
}

/// Both ways, messages of every size up to `bytes_max`.
async fn converse(server: Options, client: Options, bytes_max: usize) {
    let (router, endpoint) = router(server).await;
    echo(router);
    let mut dealer = Inbox::new(Dealer::connect(endpoint, client));
    connected(&mut dealer).await;
    let mut size = 1;
    while size <= bytes_max {
        for size in [size - 1, size, size + 1] {
            let message = Frames::from([Bytes::new(), Bytes::from(vec![7; size]), Bytes::from_static(b"end")]);
            dealer.socket.try_send(message.clone()).unwrap();
            assert!(dealer.message().await.1 == message, "{size} octets came back otherwise");
        }
        size *= 4;
    }
    // A batch: more than one write and one read hold.
    for number in 0..20_000 {
        dealer.socket.try_send(Frames::from([format!("{number}")])).unwrap();
    }
    for number in 0..20_000 {
        assert_eq!(dealer.message().await.1, Frames::from([format!("{number}")]));
    }
}

#[tokio::test]
async fn messages_of_every_size_pass_through_curve() {
    converse(curve_server(), curve_client(2), 16 << 20).await;
}

#[tokio::test]
async fn messages_of_every_size_pass_through_plain() {
    converse(plain_server(), plain_client("admin", "secret"), 1 << 20).await;
}

#[tokio::test]
async fn the_one_that_connects_may_be_the_server() {
    let client = Options { mechanism: curve_client(2).mechanism, ..options() };
    converse(client, curve_server(), 1 << 12).await;
    converse(plain_client("admin", "secret"), plain_server(), 1 << 12).await;
}

#[tokio::test]
async fn both_sides_learn_who_the_other_is() {
    let (router, endpoint) = router(Options { authority: Some(only(&[2])), ..curve_server() }).await;
    let (mut router, mut dealer) = (Inbox::new(router), Inbox::new(Dealer::connect(endpoint, curve_client(2))));
    let of_router = connected(&mut router).await.1.unwrap();
    let of_dealer = connected(&mut dealer).await.1.unwrap();
    assert_eq!((&of_router.proof, &*of_router.admission.name), (&Proof::Key(keys(2).public), "key 2"));
    assert_eq!(of_dealer.proof, Proof::Key(server_key()));
}

#[tokio::test]
async fn a_user_is_known_by_name_and_by_what_the_authority_added() {
    let authority = Authority::new(|applicant| {
        assert!(applicant.address.unwrap().is_loopback());
        assert_eq!(applicant.domain, "prod");
        let Credentials::Plain { username: b"admin", .. } = applicant.credentials else { panic!("{applicant:?}") };
        Decision::Allow(Admission { name: Arc::from("the admin"), data: Some(Arc::new(vec!["echo"])) })
    });
    let domain = || "prod".to_owned();
    let (router, endpoint) = router(Options { authority: Some(authority), domain: domain(), ..plain_server() }).await;
    let _dealer = Dealer::connect(endpoint, Options { domain: domain(), ..plain_client("admin", "secret") });
    let principal = connected(&mut Inbox::new(router)).await.1.unwrap();
    assert_eq!(principal.proof, Proof::User(Bytes::from_static(b"admin")));
    assert_eq!(&*principal.admission.name, "the admin");
    assert_eq!(principal.admission.data.as_ref().unwrap().downcast_ref(), Some(&vec!["echo"]));
}

#[tokio::test]
async fn an_authority_is_asked_over_null_too() {
    let authority = Authority::new(|applicant| match applicant.credentials {
        Credentials::Null => allow("anybody"),
        _ => Decision::Refuse(Refusal::Denied),
    });
    let (open, endpoint) = router(Options { authority: Some(authority), ..options() }).await;
    let _dealer = Dealer::connect(endpoint, options());
    let principal = connected(&mut Inbox::new(open)).await.1.unwrap();
    assert_eq!((&principal.proof, &*principal.admission.name), (&Proof::Nothing, "anybody"));
    let closed = Authority::new(|_| Decision::Refuse(Refusal::Denied));
    let (closed, endpoint) = router(Options { authority: Some(closed), ..options() }).await;
    assert_eq!(refusal(endpoint.clone(), options()).await, Fault::Refused("400".into()));
    let mut old = raw::dial(&endpoint).await;
    old.write_all(b"\xff\0\0\0\0\0\0\0\x01\x7f\x01\x03\0\0").await.unwrap();
    assert_eq!(raw::read_to_end(&mut old).await.len(), 11, "ZMTP 2.0 has no way in either");
    eventually(|| closed.stats().faults_of(FaultKind::Denied) == 2).await;
}

#[tokio::test]
async fn keys_users_and_mechanisms_that_do_not_fit_are_refused_with_the_reason() {
    let refused = |reason: &str| Fault::Refused(reason.into());
    let (curve, endpoint) = router(Options { authority: Some(only(&[2])), ..curve_server() }).await;
    assert_eq!(refusal(endpoint.clone(), curve_client(3)).await, refused("400"), "a key that is not allowed");
    let mechanism = Mechanism::CurveClient { keys: keys(2), server: keys(9).public };
    let wrong = Options { mechanism, ..options() };
    assert_eq!(refusal(endpoint.clone(), wrong).await, Fault::HandshakeClosed, "the wrong server key");
    assert_eq!(refusal(endpoint.clone(), options()).await, Fault::Mechanism("CURVE".into()));
    assert_eq!(refusal(endpoint.clone(), plain_client("a", "b")).await, Fault::Mechanism("CURVE".into()));
    let stats = curve.stats();
    assert_eq!((stats.faults_of(FaultKind::Denied), stats.faults_of(FaultKind::Forged)), (1, 1));
    let (_plain, endpoint) = router(plain_server()).await;
    assert_eq!(refusal(endpoint.clone(), plain_client("admin", "Secret")).await, refused("400"));
    assert_eq!(refusal(endpoint.clone(), plain_client("nobody", "secret")).await, refused("400"));
    assert_eq!(refusal(endpoint.clone(), plain_client("busy", "")).await, Fault::HandshakeClosed, "closed silently");
    assert_eq!(refusal(endpoint, curve_client(2)).await, Fault::Mechanism("PLAIN".into()));
    let (_closed, endpoint) = router(Options { authority: None, ..plain_server() }).await;
    assert_eq!(refusal(endpoint, plain_client("admin", "secret")).await, refused("400"), "nobody to ask");
    let (_open, endpoint) = router(options()).await;
    assert_eq!(refusal(endpoint, curve_client(2)).await, Fault::Mechanism("NULL".into()));
}

#[tokio::test]
async fn sockets_of_different_domains_do_not_talk_and_say_why() {
    let domain = |name: &str, options: Options| Options { domain: name.into(), ..options };
    for (server, client) in
        [(options(), options()), (curve_server(), curve_client(2)), (plain_server(), plain_client("admin", "secret"))]
    {
        for (theirs, ours) in [("prod", "test"), ("prod", ""), ("", "test")] {
            let (router, endpoint) = router(domain(theirs, server.clone())).await;
            let fault = refusal(endpoint, domain(ours, client.clone())).await;
            let seen = Fault::Domain { theirs: theirs.into(), ours: ours.into() };
            let told = Fault::Domain { theirs: ours.into(), ours: theirs.into() };
            let told = Fault::Refused(told.to_string());
            // Over NULL both say READY at once, and the dealer sees for itself.
            assert!(fault == told || fault == seen, "{fault}");
            eventually(|| router.stats().faults_of(FaultKind::Domain) == 1).await;
        }
        let (router, endpoint) = router(domain("prod", server)).await;
        let _dealer = Dealer::connect(endpoint, domain("prod", client));
        Inbox::new(router).connected().await;
    }
}

#[tokio::test]
async fn a_refused_dealer_tells_it_once_and_does_not_hammer() {
    let (router, endpoint) = router(Options { authority: Some(only(&[])), ..curve_server() }).await;
    let reconnect = Backoff { first: Duration::from_millis(1), max: Duration::from_millis(300) };
    let mut dealer = Inbox::new(Dealer::connect(endpoint, Options { reconnect, ..curve_client(2) }));
    assert!(matches!(dealer.event().await, Event::Refused { .. }));
    let start = tokio::time::Instant::now();
    eventually(|| router.stats().faults_of(FaultKind::Denied) == 3).await;
    assert!(start.elapsed() >= Duration::from_millis(500), "came back after {:?}", start.elapsed() / 2);
    let mut events = Vec::new();
    let again = tokio::time::timeout(Duration::from_millis(1), dealer.socket.recv(&mut events)).await;
    assert!(again.is_err(), "{events:?}");
}

#[tokio::test]
async fn an_identity_belongs_to_the_key_that_had_it_first() {
    let named = |number| Options { identity: Bytes::from_static(b"worker-7"), ..curve_client(number) };
    let (router, endpoint) = router(curve_server()).await;
    let mut router = Inbox::new(router);
    let mut first = Inbox::new(Dealer::connect(endpoint.clone(), named(2)));
    let (id, _) = router.connected().await;
    connected(&mut first).await;
    let taken = Fault::Refused("identity belongs to another key".into());
    assert_eq!(refusal(endpoint.clone(), named(3)).await, taken, "while it is there");
    router.socket.try_send(id, Frames::from(["still mine"])).unwrap();
    assert_eq!(first.message().await.1, Frames::from(["still mine"]));
    drop(first);
    assert_eq!(router.disconnected().await, id);
    assert_eq!(refusal(endpoint.clone(), named(3)).await, taken, "and when it has gone");
    let _again = Dealer::connect(endpoint, named(2));
    assert_eq!(router.connected().await.1, &b"worker-7"[..]);
    assert_eq!(router.socket.stats().replaced, 0);
}

#[tokio::test]
async fn a_forgotten_identity_is_still_not_taken_from_one_who_is_there() {
    let limits = Limits { identities_max: 1, ..Limits::default() };
    let named =
        |number, name: &'static str| Options { identity: Bytes::from_static(name.as_bytes()), ..curve_client(number) };
    let (router, endpoint) = router(Options { limits, ..curve_server() }).await;
    let mut router = Inbox::new(router);
    let mut first = Inbox::new(Dealer::connect(endpoint.clone(), named(2, "mine")));
    let (id, _) = router.connected().await;
    connected(&mut first).await;
    let _other = Dealer::connect(endpoint.clone(), named(3, "other"));
    router.connected().await;
    let _thief = Dealer::connect(
        endpoint,
        Options { reconnect: Backoff { first: PATIENCE, max: PATIENCE }, ..named(4, "mine") },
    );
    let (thief, identity) = router.connected().await;
    assert_eq!(identity, &b""[..]);
    assert_eq!(router.disconnected().await, thief, "closed at once");
    router.socket.try_send(id, Frames::from(["still mine"])).unwrap();
    assert_eq!(first.message().await.1, Frames::from(["still mine"]));
}

#[tokio::test]
async fn a_silent_curve_connection_lives_by_encrypted_heartbeats() {
    let (interval, timeout) = (Duration::from_millis(50), Duration::from_millis(500));
    let heartbeat = Some(Heartbeat { interval, timeout, ttl: Duration::from_secs(1) });
    let (router, endpoint) = router(Options { heartbeat, ..curve_server() }).await;
    let mut dealer = Inbox::new(Dealer::connect(endpoint, Options { heartbeat: None, ..curve_client(2) }));
    connected(&mut dealer).await;
    let mut router = Inbox::new(router);
    connected(&mut router).await;
    let mut unexpected = Vec::new();
    let silence = tokio::time::timeout(Duration::from_millis(1500), router.socket.recv(&mut unexpected)).await;
    assert!(silence.is_err(), "{unexpected:?}");
    assert!(router.socket.stats().bytes_received > 40 * 10, "PONGs came, each of 40 octets or more");
}

#[tokio::test]
async fn what_a_curve_dealer_could_not_write_goes_out_on_its_next_connection() {
    let (first, endpoint) = router(curve_server()).await;
    let mut dealer = Inbox::new(Dealer::connect(endpoint.clone(), curve_client(2)));
    connected(&mut dealer).await;
    // Nobody reads: the kernel's buffers fill in the middle of a message, encrypted for a connection that ends.
    let body = Bytes::from(vec![5; 1 << 20]);
    for number in 0..15 {
        dealer.socket.try_send(Frames::from([Bytes::from(format!("{number}")), body.clone()])).unwrap();
    }
    eventually(|| dealer.socket.stats().bytes_sent > 1 << 20).await;
    first.close().await;
    let again = Router::bind(&[endpoint], curve_server()).await.unwrap();
    let mut again = Inbox::new(again);
    let (_, message) = again.next_message().await;
    let mut expected: usize = String::from_utf8_lossy(&message[0]).parse().unwrap();
    assert!(expected > 0, "what was written as a whole is not written again");
    while expected < 14 {
        let (_, message) = again.next_message().await;
        expected += 1;
        assert_eq!(message[0], format!("{expected}"));
        assert!(message[1] == body);
    }
}

/// Speaks the greeting of CURVE, then `input`; the router closes, counts a fault, and serves others.
async fn closes(input: &[u8], kind: FaultKind) {
    let (router, endpoint) = router(curve_server()).await;
    let mut hostile = raw::dial(&endpoint).await;
    let mut greeting = raw::greeting(1);
    greeting[12..17].copy_from_slice(b"CURVE");
    hostile.write_all(&[&greeting, input].concat()).await.unwrap();
    let answer = raw::read_to_end(&mut hostile).await;
    assert_eq!(answer.len(), 64, "nothing but the greeting is said to one who proves nothing");
    eventually(|| router.stats().faults_of(kind) == 1).await;
    echo(router);
    let mut dealer = Inbox::new(Dealer::connect(endpoint, curve_client(2)));
    dealer.socket.try_send(Frames::from(["still", "there?"])).unwrap();
    assert_eq!(dealer.next_message().await.1, Frames::from(["still", "there?"]));
}

#[tokio::test]
async fn bogus_curve_handshakes_close_without_a_word() {
    closes(&raw::ready("DEALER", b""), FaultKind::Unexpected).await;
    closes(&command(b"\x05HELLO"), FaultKind::Command).await;
    closes(&command(&[&b"\x05HELLO\x01\0"[..], &[0; 192]].concat()), FaultKind::Forged).await;
    closes(&command(&[&b"\x05HELLO\x01\0"[..], &[9; 192]].concat()), FaultKind::Forged).await;
    closes(&command(&[&b"\x08INITIATE"[..], &[9; 400]].concat()), FaultKind::Unexpected).await;
    closes(b"\x06\xff\xff\xff\xff\xff\xff\xff\xff", FaultKind::CommandBytes).await;
}

#[tokio::test]
async fn a_flood_of_bogus_hellos_keeps_nobody_out() {
    let limits = Limits { half_open_max: 64, half_open_per_address_max: 64, ..Limits::default() };
    let (router, endpoint) = router(Options { limits, ..curve_server() }).await;
    echo(router);
    let mut greeting = raw::greeting(1);
    greeting[12..17].copy_from_slice(b"CURVE");
    let hello = [greeting, command(&[&b"\x05HELLO\x01\0"[..], &[9; 192]].concat())].concat();
    let flooded = endpoint.clone();
    let flood = tokio::spawn(async move {
        loop {
            let mut bogus = raw::dial(&flooded).await;
            let _ = bogus.write_all(&hello).await;
        }
    });
    for _ in 0..20 {
        let mut dealer = Inbox::new(Dealer::connect(endpoint.clone(), curve_client(2)));
        dealer.socket.try_send(Frames::from(["in?"])).unwrap();
        assert_eq!(dealer.next_message().await.1, Frames::from(["in?"]));
    }
    flood.abort();
}

#[tokio::test]
async fn a_peer_that_was_let_in_can_be_sent_away_at_once() {
    let (router, endpoint) = router(curve_server()).await;
    let mut router = Inbox::new(router);
    let mut dealer = Inbox::new(Dealer::connect(endpoint.clone(), curve_client(2)));
    let (id, _) = router.connected().await;
    let (connection, _) = connected(&mut dealer).await;
    router.socket.try_send(id, Frames::from(["goodbye"])).unwrap();
    router.socket.disconnect(id);
    assert_eq!(dealer.message().await.1, Frames::from(["goodbye"]));
    assert_eq!(dealer.disconnected().await, connection);
}
