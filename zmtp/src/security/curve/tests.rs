//! The CURVE handshake alone: the golden octets of libsodium, both sides together, and everything that is wrong.

mod golden;
mod handshake;
mod stream;

use std::sync::Arc;

use bytes::Bytes;
use protocol::Instant;

use super::*;
use crate::security::mechanism::Mechanism;
use crate::security::public_key::{KEY_BYTES, PublicKey};
use crate::wire::fault::Fault;
use crate::wire::handshake::{Handshake, Local, Peer};
use crate::wire::socket_type::SocketType;

fn pair(secret: u8) -> Arc<KeyPair> {
    Arc::new(KeyPair::new(SecretKey::from([secret; KEY_BYTES])))
}

fn cookies() -> Arc<Cookies> {
    let cookies = Arc::new(Cookies::default());
    turn(&cookies, Instant::ZERO, 0xcc);
    cookies
}

fn turn(cookies: &Cookies, now: Instant, key: u8) {
    cookies.turn(now, || Ok::<_, std::convert::Infallible>([key; KEY_BYTES])).unwrap();
}

fn fresh(seed: u8) -> Fresh {
    Fresh::new([seed; SEED_BYTES], 1, cookies())
}

fn local(socket_type: SocketType, mechanism: Mechanism) -> Local {
    Local { socket_type, identity: Bytes::from_static(b"me"), domain: String::new(), mechanism }
}

/// A client with the secret key 0x01.., for the server with the secret key 0x02...
fn client() -> Handshake {
    client_of(pair(1), pair(2).public)
}

fn client_of(keys: Arc<KeyPair>, server: PublicKey) -> Handshake {
    Handshake::fresh(local(SocketType::Dealer, Mechanism::CurveClient { keys, server }), fresh(0x31))
}

fn server() -> Handshake {
    server_with(fresh(0x53))
}

fn server_with(fresh: Fresh) -> Handshake {
    Handshake::fresh(local(SocketType::Router, Mechanism::CurveServer(pair(2))), fresh)
}

/// Feeds everything at once.
fn feed(handshake: &mut Handshake, input: &[u8]) -> Result<Option<Peer>, Fault> {
    let mut consumed = 0;
    let outcome = handshake.feed(input, &mut consumed);
    assert!(consumed <= input.len());
    outcome
}

/// Lets both exchange greetings, so that the client's HELLO comes next.
fn greeted(mut client: Handshake, mut server: Handshake) -> (Handshake, Handshake) {
    for _ in 0..2 {
        let (to_server, to_client) = (client.take_output(), server.take_output());
        // HELLO follows the last part of the client's greeting and stays in its output.
        assert_eq!(feed(&mut server, &to_server), Ok(None));
        assert_eq!(feed(&mut client, &to_client), Ok(None));
    }
    (client, server)
}

/// Carries what one side says to the other; what comes of it.
fn carry(from: &mut Handshake, to: &mut Handshake) -> Result<Option<Peer>, Fault> {
    let said = from.take_output();
    feed(to, &said)
}

/// A whole handshake; the sessions of client and server.
fn sessions() -> (Session, Session) {
    let (mut client, mut server) = greeted(client(), server());
    assert_eq!(carry(&mut client, &mut server), Ok(None), "HELLO");
    assert_eq!(carry(&mut server, &mut client), Ok(None), "WELCOME");
    assert!(carry(&mut client, &mut server).unwrap().is_some(), "INITIATE");
    assert!(carry(&mut server, &mut client).unwrap().is_some(), "READY");
    (client.take_session().unwrap(), server.take_session().unwrap())
}
