//! PLAIN alone: both sides of it, and every command that is wrong.

use std::sync::Mutex;

use super::*;
use crate::security::authority::{Admission, Decision, Gate};

/// Lets `me` in with `hush`, and remembers whom it was asked about.
#[derive(Debug, Default)]
struct Doorman(Mutex<Vec<Bytes>>);

impl Gate for Doorman {
    fn decide(&self, credentials: &Credentials<'_>) -> Decision {
        let Credentials::Plain { username, password } = *credentials else { panic!("not PLAIN: {credentials:?}") };
        self.0.lock().unwrap().push(Bytes::copy_from_slice(username));
        match (username, password) {
            (b"me", b"hush") => Decision::Allow(Admission { name: Arc::from("myself"), data: None }),
            (b"busy", _) => Decision::Refuse(Refusal::Later),
            (b"lost", _) => Decision::Refuse(Refusal::Failed),
            _ => Decision::Refuse(Refusal::Denied),
        }
    }

    fn may_be_called(&self, _identity: &Bytes, _proof: &Proof) -> bool {
        true
    }
}

fn client(username: &'static str, password: &str) -> Client {
    Client::new(Arc::new(Login::new(username, password).unwrap()))
}

fn begun(client: &mut Client) -> Vec<u8> {
    let mut output = Vec::new();
    client.begin(&mut Terms { output: &mut output, metadata: b"", gate: None }).unwrap();
    output
}

/// What comes of a command, and what is said to it.
fn tell(exchange: &mut impl Exchange, name: &[u8], data: &[u8]) -> (Result<Option<Vec<u8>>, Fault>, Vec<u8>) {
    let (mut output, gate) = (Vec::new(), Doorman::default());
    let mut terms = Terms { output: &mut output, metadata: b"ours", gate: Some(&gate) };
    (exchange.on_command(name, data, &mut terms), output)
}

#[test]
fn rfc24_commands_are_the_documented_octets() {
    let mut client = client("me", "hush");
    assert_eq!(begun(&mut client), b"\x04\x0e\x05HELLO\x02me\x04hush");
    let mut server = Server::default();
    assert_eq!(tell(&mut server, b"HELLO", b"\x02me\x04hush"), (Ok(None), b"\x04\x08\x07WELCOME".to_vec()));
    assert_eq!(tell(&mut client, b"WELCOME", b""), (Ok(None), b"\x04\x0d\x08INITIATEours".to_vec()));
    assert_eq!(tell(&mut server, b"INITIATE", b"theirs"), (Ok(Some(b"theirs".to_vec())), Vec::new()));
    let mut output = Vec::new();
    let accepted = server.accept(&mut Terms { output: &mut output, metadata: b"ours", gate: None });
    assert_eq!(output, b"\x04\x0a\x05READYours");
    let principal = accepted.principal.unwrap();
    assert_eq!((&principal.proof, &*principal.admission.name), (&Proof::User(Bytes::from_static(b"me")), "myself"));
    assert_eq!(tell(&mut client, b"READY", b"theirs"), (Ok(Some(b"theirs".to_vec())), Vec::new()));
}

#[test]
fn a_refused_user_is_told_the_status_or_nothing() {
    for (hello, status, said) in [
        (&b"\x02me\x04hash"[..], 400, &b"\x04\x0a\x05ERROR\x03400"[..]),
        (b"\x02me\x00", 400, b"\x04\x0a\x05ERROR\x03400"),
        (b"\x00\x00", 400, b"\x04\x0a\x05ERROR\x03400"),
        (b"\x04lost\x00", 500, b"\x04\x0a\x05ERROR\x03500"),
        (b"\x04busy\x00", 300, b""),
    ] {
        let heard = tell(&mut Server::default(), b"HELLO", hello);
        assert_eq!(heard, (Err(Fault::Denied(status)), said.to_vec()), "{}", hello.escape_ascii());
    }
}

#[test]
fn without_a_gate_nobody_is_let_in() {
    let mut output = Vec::new();
    let mut terms = Terms { output: &mut output, metadata: b"", gate: None };
    assert_eq!(Server::default().on_command(b"HELLO", b"\x02me\x04hush", &mut terms), Err(Fault::Denied(400)));
    assert_eq!(output, b"\x04\x0a\x05ERROR\x03400");
}

#[test]
fn a_client_that_is_refused_learns_why() {
    let mut client = client("me", "wrong");
    begun(&mut client);
    for said in [&b"\x05ERROR\x03400"[..], b"^RROR\x03400"] {
        let (name, data) = client.split(said).unwrap();
        assert_eq!(tell(&mut client, name, data).0, Err(Fault::Refused("400".into())));
    }
}

#[test]
fn malformed_repeated_and_early_commands_are_faults() {
    for hello in [&b""[..], b"\x02me", b"\x02me\x05hush", b"\x02me\x04hush!", b"\xff"] {
        assert_eq!(tell(&mut Server::default(), b"HELLO", hello).0, Err(Fault::Command("HELLO")));
    }
    let unexpected = Err(Fault::Unexpected("command"));
    for early in [&b"INITIATE"[..], b"READY", b"WELCOME", b"ERROR", b"MESSAGE"] {
        assert_eq!(tell(&mut Server::default(), early, b"").0, unexpected);
    }
    let mut server = Server::default();
    tell(&mut server, b"HELLO", b"\x02me\x04hush").0.unwrap();
    assert_eq!(tell(&mut server, b"HELLO", b"\x02me\x04hush").0, unexpected, "one name a connection");
    for early in [&b"READY"[..], b"INITIATE", b"HELLO"] {
        assert_eq!(tell(&mut client("me", "hush"), early, b"").0, unexpected);
    }
    let mut client = client("me", "hush");
    assert_eq!(tell(&mut client, b"WELCOME", b"x").0, Err(Fault::Command("WELCOME")));
    tell(&mut client, b"WELCOME", b"").0.unwrap();
    assert_eq!(tell(&mut client, b"WELCOME", b"").0, unexpected);
}

#[test]
fn a_name_or_password_of_256_octets_is_refused_before_it_is_sent() {
    assert!(Login::new("n".repeat(255), "p".repeat(255)).is_ok());
    let error = Login::new("n".repeat(256), "p").unwrap_err();
    assert_eq!(error.to_string(), "user name of 256 bytes (allowed: up to 255)");
    assert!(Login::new("n", "p".repeat(256)).is_err());
}

#[test]
fn debug_of_a_login_shows_no_password() {
    assert_eq!(format!("{:?}", client("me", "hush").login), "Login(me)");
}
