//! PLAIN, both sides, in each of their states. Whatever comes, however it is cut: no panic, the same end, and nobody
//! gets in without the password.
//!
//! ```text
//! input:  state (1)  cut (1)  octets
//!   0  a server, instead of HELLO        2  a client, instead of WELCOME
//!   1  a server, instead of INITIATE     3  a client, instead of READY
//! ```
#![no_main]

use std::sync::Arc;

use bytes::Bytes;
use fuzz::{Course, command, shake};
use libfuzzer_sys::fuzz_target;
use zmtp::{
    Admission, Credentials, Decision, Gate, Handshake, Local, Login, Mechanism, Proof, Refusal, SocketType, same_secret,
};

struct Doorman;

impl Gate for Doorman {
    fn decide(&self, credentials: &Credentials<'_>) -> Decision {
        match credentials {
            Credentials::Plain { username: b"me", password } if same_secret(password, b"hush") => {
                Decision::Allow(Admission::default())
            }
            _ => Decision::Refuse(Refusal::Denied),
        }
    }

    fn may_be_called(&self, identity: &Bytes, proof: &Proof) -> bool {
        assert_eq!(proof, &Proof::User(Bytes::from_static(b"me")));
        assert!(!identity.is_empty() && identity.len() <= 255);
        true
    }
}

fuzz_target!(|input: &[u8]| {
    let [state, cut, octets @ ..] = input else { return };
    let (mechanism, before) = match state % 4 {
        0 => (Mechanism::PlainServer, Vec::new()),
        1 => (Mechanism::PlainServer, command(b"HELLO", b"\x02me\x04hush")),
        2 => (client(), Vec::new()),
        _ => (client(), command(b"WELCOME", b"")),
    };
    let stream = [&greeting()[..], &before, octets].concat();
    let whole = hear(&mechanism, &stream, stream.len());
    assert_eq!(whole, hear(&mechanism, &stream, usize::from(*cut).max(1)));
    if let Ok(Some(peer)) = whole.0 {
        assert!(peer.identity.len() <= 255 && peer.identity.first() != Some(&0));
        let is_server = matches!(mechanism, Mechanism::PlainServer);
        assert!(!is_server || peer.principal.unwrap().proof == Proof::User(Bytes::from_static(b"me")));
    }
});

fn client() -> Mechanism {
    Mechanism::PlainClient(Arc::new(Login::new("me", "hush").unwrap()))
}

fn hear(mechanism: &Mechanism, stream: &[u8], cut: usize) -> Course {
    let (identity, domain, mechanism) = (Bytes::from_static(b"me"), String::new(), mechanism.clone());
    let local = Local { socket_type: SocketType::Router, identity, domain, mechanism };
    shake(&mut Handshake::new(local).guarded_by(Arc::new(Doorman)), stream, cut)
}

fn greeting() -> [u8; 64] {
    let mut greeting = fuzz::greeting();
    greeting[12..17].copy_from_slice(b"PLAIN");
    greeting
}
