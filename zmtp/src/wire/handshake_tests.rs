//! The handshake alone: octets in, octets out, every way to get it wrong.

use super::*;
use crate::wire::command::{self, Command};

fn local(socket_type: SocketType, identity: &'static [u8]) -> Local {
    let identity = Bytes::from_static(identity);
    Local { socket_type, identity, domain: String::new(), mechanism: Mechanism::Null }
}

fn router() -> Handshake {
    Handshake::new(local(SocketType::Router, b""))
}

fn greeting(minor: u8) -> Vec<u8> {
    let mut greeting = vec![0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 3, minor, b'N', b'U', b'L', b'L'];
    greeting.resize(64, 0);
    greeting
}

fn ready(socket_type: &[u8], identity: &[u8]) -> Vec<u8> {
    let (mut metadata, mut ready) = (Vec::new(), Vec::new());
    command::put_property(&mut metadata, b"Socket-Type", socket_type);
    command::put_property(&mut metadata, b"Identity", identity);
    command::put(&mut ready, b"READY", &metadata);
    ready
}

/// Feeds everything at once.
fn feed(handshake: &mut Handshake, input: &[u8]) -> Result<Option<Peer>, Fault> {
    handshake.feed(input, &mut 0)
}

fn fault_of(input: &[u8]) -> Fault {
    feed(&mut router(), input).expect_err("the input should be a fault")
}

/// Lets two handshakes talk until both know their peer.
fn introduce(mut left: Handshake, mut right: Handshake) -> (Peer, Peer) {
    let (mut of_left, mut of_right) = (None, None);
    for _ in 0..9 {
        let (to_right, to_left) = (left.take_output(), right.take_output());
        of_left = of_left.or(feed(&mut left, &to_left).unwrap());
        of_right = of_right.or(feed(&mut right, &to_right).unwrap());
    }
    (of_left.expect("left knows its peer"), of_right.expect("right knows its peer"))
}

#[test]
fn two_of_ours_know_each_other() {
    let dealer = Handshake::new(local(SocketType::Dealer, b"me"));
    let (of_router, of_dealer) = introduce(router(), dealer);
    assert_eq!((of_router.socket_type, &of_router.identity[..]), (SocketType::Dealer, &b"me"[..]));
    assert_eq!((of_dealer.socket_type, &of_dealer.identity[..]), (SocketType::Router, &b""[..]));
    assert_eq!((of_router.version, of_dealer.version), ((3, 1), (3, 1)));
    assert!(of_router.understands_ping() && of_router.sends_commands());
}

#[test]
fn one_octet_at_a_time_is_as_good_as_all_at_once() {
    let stream = [greeting(1), ready(b"DEALER", &[b'i'; 255]), b"\0\x02hi".to_vec()].concat();
    let (mut handshake, mut waiting, mut found) = (router(), Vec::new(), None);
    for (place, &octet) in stream.iter().enumerate() {
        waiting.push(octet);
        let mut consumed = 0;
        let peer = handshake.feed(&waiting, &mut consumed).unwrap();
        waiting.drain(..consumed);
        if let Some(peer) = peer {
            assert_eq!(place, stream.len() - 5, "READY ends four octets before the message");
            found = Some(peer);
        }
    }
    assert_eq!(found.unwrap().identity.len(), 255);
    assert_eq!(waiting, b"\0\x02hi", "what comes after READY is the decoder's");
}

#[test]
fn what_follows_ready_in_the_same_read_is_not_consumed() {
    let stream = [greeting(1), ready(b"REQ", b""), b"\0\x00".to_vec()].concat();
    let mut consumed = 0;
    assert!(router().feed(&stream, &mut consumed).unwrap().is_some());
    assert_eq!(consumed, stream.len() - 2);
}

#[test]
fn our_ready_follows_the_peers_greeting_and_waits_for_nothing_else() {
    let mut handshake = router();
    assert_eq!(handshake.take_output(), greeting(1)[..11]);
    assert_eq!(feed(&mut handshake, &greeting(0)[..11]), Ok(None));
    assert_eq!(handshake.take_output(), greeting(1)[11..]);
    assert_eq!(feed(&mut handshake, &greeting(0)[11..]), Ok(None));
    assert_eq!(handshake.take_output(), ready(b"ROUTER", b""));
    let peer = feed(&mut handshake, &ready(b"DEALER", b"")).unwrap().unwrap();
    assert_eq!(peer.version, (3, 0));
    assert!(!peer.understands_ping(), "3.0 knows no PING");
}

#[test]
fn a_later_version_is_accepted_and_understands_ping() {
    let mut later = greeting(0);
    later[10] = 4;
    let peer = feed(&mut router(), &[later, ready(b"DEALER", b"")].concat()).unwrap().unwrap();
    assert_eq!(peer.version, (4, 0));
    assert!(peer.understands_ping());
}

#[test]
fn property_names_are_read_whatever_their_case_and_others_are_skipped() {
    let mut body = b"\x05READY\x0bsocket-TYPE\x00\x00\x00\x06DEALER\x05X-foo\x00\x00\x00\x03bar".to_vec();
    body.extend(b"\x08IDENTITY\x00\x00\x00\x02me");
    let stream = [greeting(1), vec![4, u8::try_from(body.len()).unwrap()], body].concat();
    assert_eq!(feed(&mut router(), &stream).unwrap().unwrap().identity, &b"me"[..]);
}

#[test]
fn a_version_2_peer_is_answered_in_its_own_form() {
    let mut handshake = Handshake::new(local(SocketType::Router, b"us"));
    handshake.take_output();
    // As JeroMQ 0.3 greets: REQ without an identity; a message follows.
    let stream = b"\xff\0\0\0\0\0\0\0\x01\x7f\x01\x03\0\0\x01\0";
    let mut consumed = 0;
    let peer = handshake.feed(stream, &mut consumed).unwrap().unwrap();
    assert_eq!(handshake.take_output(), b"\x06\0\x02us");
    let (socket_type, identity) = (SocketType::Request, Bytes::new());
    assert_eq!(peer, Peer { version: (2, 0), socket_type, identity, principal: None });
    assert!(!peer.understands_ping() && !peer.sends_commands());
    assert_eq!(consumed, 14);
}

#[test]
fn a_version_2_peer_may_have_an_identity() {
    let stream = b"\xff\0\0\0\0\0\0\0\x01\x7f\x02\x05\0\x03abc";
    let peer = feed(&mut router(), stream).unwrap().unwrap();
    assert_eq!((peer.socket_type, &peer.identity[..]), (SocketType::Dealer, &b"abc"[..]));
}

#[test]
fn malformed_version_2_greetings_are_faults() {
    let signature = b"\xff\0\0\0\0\0\0\0\x01\x7f\x01";
    for (rest, fault) in [
        (&b"\x04"[..], Fault::SocketType("4".into())),
        (b"\x63", Fault::SocketType("99".into())),
        (b"\x03\x01\x00", Fault::Unexpected("frame other than the identity")),
        (b"\x03\x04\x00", Fault::Unexpected("frame other than the identity")),
        (b"\x03\x08", Fault::Flags(8)),
        (b"\x03\x02\0\0\0\0\0\0\x01\0", Fault::Identity),
        (b"\x03\0\x02\0a", Fault::Identity),
    ] {
        assert_eq!(fault_of(&[&signature[..], rest].concat()), fault, "{}", rest.escape_ascii());
    }
}

#[test]
fn other_protocols_and_version_1_are_refused_at_the_first_octet_that_tells() {
    assert_eq!(fault_of(b"G"), Fault::Signature);
    assert_eq!(fault_of(b"\x01\x00"), Fault::Signature, "ZMTP 1.0, anonymous");
    assert_eq!(fault_of(b"\xff\0\0\0\0\0\0\0\x05\0abcd"), Fault::Version(1), "ZMTP 1.0, long identity");
    assert_eq!(fault_of(b"\xff\0\0\0\0\0\0\0\x01\x7f\0"), Fault::Version(1));
}

#[test]
fn another_mechanism_is_refused() {
    let mut curve = greeting(1);
    curve[12..17].copy_from_slice(b"CURVE");
    assert_eq!(fault_of(&curve), Fault::Mechanism("CURVE".into()));
}

#[test]
fn an_unfit_socket_type_or_identity_is_told_so_with_an_error_command() {
    for (ready, fault, reason) in [
        (ready(b"PUB", b""), Fault::SocketType("PUB".into()), "PUB"),
        (ready(b"REP", b""), Fault::SocketType("REP".into()), "REP"),
        (b"\x04\x06\x05READY".to_vec(), Fault::SocketType(String::new()), "socket type"),
        (ready(b"DEALER", b"\0abc"), Fault::Identity, "identity"),
        (ready(b"DEALER", &[b'x'; 256]), Fault::Identity, "identity"),
    ] {
        let mut handshake = router();
        feed(&mut handshake, &greeting(1)).unwrap();
        handshake.take_output();
        assert_eq!(feed(&mut handshake, &ready), Err(fault));
        let output = handshake.take_output();
        let Ok(Command::Error(told)) = Command::parse(&output[2..]) else { panic!("no ERROR: {output:?}") };
        assert!(String::from_utf8_lossy(told).contains(reason));
    }
}

#[test]
fn whatever_is_not_ready_after_the_greeting_is_a_fault() {
    for (input, fault) in [
        (&b"\x00\x05hello"[..], Fault::Unexpected("message")),
        (b"\x01\x00", Fault::Unexpected("message")),
        (b"\x05\x00", Fault::Flags(5)),
        (b"\x84\x00", Fault::Flags(0x84)),
        (b"\x04\x07\x04PING\0\0", Fault::Unexpected("command")),
        (b"\x04\x06\x05HELLO", Fault::Unexpected("command")),
        (b"\x04\x00", Fault::Command("unnamed")),
        (b"\x04\x08\x05READY\x05S", Fault::Metadata),
        (b"\x06\0\0\0\0\0\0\x20\x01", Fault::CommandBytes(8193)),
        (b"\x06\x7f\xff\xff\xff\xff\xff\xff\xff", Fault::CommandBytes(0x7fff_ffff_ffff_ffff)),
        (b"\x06\xff\xff\xff\xff\xff\xff\xff\xff", Fault::CommandBytes(u64::MAX)),
        (b"\x04\x0b\x05ERROR\x04nope", Fault::Refused("nope".into())),
    ] {
        assert_eq!(fault_of(&[&greeting(1)[..], input].concat()), fault, "{}", input.escape_ascii());
    }
}
