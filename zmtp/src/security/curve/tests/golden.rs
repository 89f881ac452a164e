//! Against libsodium: the vectors of tests/vectors/curve.py.

use super::*;
use crate::security::curve::message::Opener;
use crate::wire::frame::Head;

/// The octets that libsodium computed under a name.
fn vectors(name: &str) -> Vec<Vec<u8>> {
    let lines = include_str!("../../../../tests/vectors/curve.txt").lines().map(|line| line.split_once(' ').unwrap());
    let found: Vec<_> = lines.filter(|(found, _)| *found == name).map(|(_, hex)| octets(hex)).collect();
    assert!(!found.is_empty(), "{name}");
    found
}

fn vector(name: &str) -> Vec<u8> {
    vectors(name).remove(0)
}

fn octets(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2).map(|place| u8::from_str_radix(&hex[2 * place..2 * place + 2], 16).unwrap()).collect()
}

fn keys(name: &str) -> Arc<KeyPair> {
    let secret: [u8; KEY_BYTES] = vector(name).try_into().unwrap();
    Arc::new(KeyPair::new(secret.into()))
}

fn fresh(transient: &str, nonce: &str) -> Fresh {
    Fresh::new([vector(transient), vector(nonce)].concat().try_into().unwrap(), 1, cookies())
}

fn golden_client() -> Handshake {
    let mechanism = Mechanism::CurveClient { keys: keys("client"), server: keys("server").public };
    Handshake::fresh(local(SocketType::Dealer, mechanism), fresh("client-transient", "vouch-nonce"))
}

fn golden_server() -> Handshake {
    let identity = Bytes::new();
    let local = Local { identity, ..local(SocketType::Router, Mechanism::CurveServer(keys("server"))) };
    Handshake::fresh(local, fresh("server-transient", "welcome-nonce"))
}

/// What a side says once it has heard `greeting`, the peer's greeting not counted.
fn after_greeting(handshake: &mut Handshake) -> Vec<u8> {
    let mut greeting = vec![0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 3, 1];
    greeting.extend_from_slice(b"CURVE");
    greeting.resize(64, 0);
    assert_eq!(feed(handshake, &greeting), Ok(None));
    handshake.take_output().split_off(64)
}

#[test]
fn public_keys_are_those_of_libsodium() {
    for name in ["client", "server"] {
        assert_eq!(keys(name).public.as_bytes()[..], vector(&format!("{name}-public"))[..]);
    }
}

#[test]
fn the_client_says_what_libsodium_computed_and_takes_its_answers() {
    let mut client = golden_client();
    assert_eq!(after_greeting(&mut client), vector("hello"));
    assert_eq!(feed(&mut client, &vector("welcome")), Ok(None));
    assert_eq!(client.take_output(), vector("initiate"));
    let peer = feed(&mut client, &vector("ready")).unwrap().expect("READY ends the handshake");
    assert_eq!((peer.socket_type, &peer.identity[..]), (SocketType::Router, &b""[..]));
    let mut session = client.take_session().unwrap();
    for (message, (flags, body)) in vectors("message-of-client").iter().zip(OF_CLIENT) {
        let mut output = Vec::new();
        let head = Head { more: flags & 1 != 0, command: flags & 2 != 0, size: body.len() as u64, length: 0 };
        session.sealer.seal(head, body, &mut output);
        assert_eq!(&output, message);
    }
    takes(&mut session.opener, "message-of-server", OF_SERVER);
}

#[test]
fn the_server_says_what_libsodium_computed_and_takes_its_answers() {
    let mut server = golden_server();
    assert_eq!(after_greeting(&mut server), b"");
    assert_eq!(feed(&mut server, &vector("hello")), Ok(None));
    let welcome = server.take_output();
    assert_eq!(welcome.len(), vector("welcome").len());
    // Up to the authenticator the octets are fixed; the rest depends on our own cookie.
    assert_eq!(welcome[..26], vector("welcome")[..26]);
    let mut client = golden_client();
    after_greeting(&mut client);
    assert_eq!(feed(&mut client, &welcome), Ok(None));
    let cookie = 9 + 9..9 + 9 + 96;
    let ours = client.take_output();
    // The cookie stands in the clear: libsodium's INITIATE is right with ours in its place.
    let mut initiate = vector("initiate");
    initiate[cookie.clone()].copy_from_slice(&ours[cookie]);
    assert_eq!(initiate, ours);
    let peer = feed(&mut server, &initiate).unwrap().expect("INITIATE ends the handshake");
    assert_eq!((peer.socket_type, &peer.identity[..]), (SocketType::Dealer, &b"me"[..]));
    assert_eq!(server.take_output(), vector("ready"));
    let mut session = server.take_session().unwrap();
    takes(&mut session.opener, "message-of-client", OF_CLIENT);
    for (message, (flags, body)) in vectors("message-of-server").iter().zip(OF_SERVER) {
        let mut output = Vec::new();
        let head = Head { more: flags & 1 != 0, command: flags & 2 != 0, size: body.len() as u64, length: 0 };
        session.sealer.seal(head, body, &mut output);
        assert_eq!(&output, message);
    }
}

/// The messages of the script: flags and body.
const OF_CLIENT: &[(u8, &[u8])] = &[(1, b""), (0, b"hello"), (2, b"\x04PING\0\0"), (0, &[b'x'; 300])];
const OF_SERVER: &[(u8, &[u8])] = &[(0, b"hello"), (2, b"\x04PONG")];

fn takes(opener: &mut Opener, name: &str, expected: &[(u8, &[u8])]) {
    let messages = vectors(name);
    assert_eq!(messages.len(), expected.len());
    for (message, (flags, body)) in messages.into_iter().zip(expected) {
        let head = Head::parse(&message).unwrap().unwrap();
        let mut sealed = message[head.length..].to_vec();
        let opened = opener.open(&mut sealed).unwrap();
        assert_eq!((opened.more, opened.command), (flags & 1 != 0, flags & 2 != 0));
        assert_eq!(sealed[message::OVERHEAD_BYTES..], **body);
    }
}
