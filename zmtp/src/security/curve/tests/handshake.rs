//! Both sides together, and every way to get a command wrong.

use std::sync::Mutex;

use super::*;
use crate::security::authority::{Admission, Credentials, Decision, Gate, Proof, Refusal};
use crate::wire::command::Command;
use crate::wire::frame::Head;

/// Answers all alike; remembers whom it was asked about.
#[derive(Debug)]
struct Doorman {
    decision: Decision,
    may_be_called: bool,
    asked: Mutex<Vec<PublicKey>>,
}

impl Gate for Doorman {
    fn decide(&self, credentials: &Credentials<'_>) -> Decision {
        let Credentials::Curve(key) = *credentials else { panic!("not CURVE: {credentials:?}") };
        self.asked.lock().unwrap().push(key);
        self.decision.clone()
    }

    fn may_be_called(&self, identity: &Bytes, proof: &Proof) -> bool {
        assert_eq!((&identity[..], proof), (&b"me"[..], &Proof::Key(pair(1).public)));
        self.may_be_called
    }
}

fn doorman(decision: Decision, may_be_called: bool) -> Arc<Doorman> {
    Arc::new(Doorman { decision, may_be_called, asked: Mutex::default() })
}

/// A handshake up to INITIATE with a server that has this gate; what comes of it there, and what is said.
fn knock(gate: &Arc<Doorman>) -> (Result<Option<Peer>, Fault>, Vec<u8>) {
    let gate: Arc<Doorman> = Arc::clone(gate);
    let (mut client, mut server) = greeted(client(), server().guarded_by(gate));
    carry(&mut client, &mut server).unwrap();
    carry(&mut server, &mut client).unwrap();
    let outcome = carry(&mut client, &mut server);
    (outcome, server.take_output())
}

#[test]
fn both_sides_know_each_other_by_their_keys() {
    let (mut client, mut server) = greeted(client(), server());
    assert_eq!(carry(&mut client, &mut server), Ok(None));
    assert_eq!(carry(&mut server, &mut client), Ok(None));
    let of_server = carry(&mut client, &mut server).unwrap().unwrap();
    let of_client = carry(&mut server, &mut client).unwrap().unwrap();
    assert_eq!(of_server.principal.unwrap().proof, Proof::Key(pair(1).public));
    assert_eq!(of_client.principal.unwrap().proof, Proof::Key(pair(2).public));
    assert_eq!((of_server.socket_type, of_client.socket_type), (SocketType::Dealer, SocketType::Router));
}

#[test]
fn the_gate_is_asked_for_the_key_once_and_its_answer_goes_with_the_peer() {
    let admission = Admission { name: Arc::from("billing"), data: Some(Arc::new(7u32)) };
    let gate = doorman(Decision::Allow(admission), true);
    let principal = knock(&gate).0.unwrap().unwrap().principal.unwrap();
    assert_eq!(&*principal.admission.name, "billing");
    assert_eq!(principal.admission.data.as_ref().unwrap().downcast_ref(), Some(&7u32));
    assert_eq!(*gate.asked.lock().unwrap(), [pair(1).public]);
}

#[test]
fn a_refused_key_is_told_the_status_or_nothing() {
    for (refusal, status, said) in [
        (Refusal::Later, 300, &b""[..]),
        (Refusal::Denied, 400, b"\x04\x0a\x05ERROR\x03400"),
        (Refusal::Failed, 500, b"\x04\x0a\x05ERROR\x03500"),
    ] {
        let heard = knock(&doorman(Decision::Refuse(refusal), true));
        assert_eq!(heard, (Err(Fault::Denied(status)), said.to_vec()));
    }
}

#[test]
fn an_identity_of_another_key_is_refused_with_a_reason() {
    let (outcome, said) = knock(&doorman(Decision::Allow(Admission::default()), false));
    assert_eq!(outcome, Err(Fault::IdentityTaken));
    assert_eq!(Command::parse(&said[2..]), Ok(Command::Error(b"identity belongs to another key")));
}

#[test]
fn a_client_that_is_refused_learns_why_before_and_after_welcome() {
    let (mut early, _) = greeted(client(), server());
    assert_eq!(feed(&mut early, b"\x04\x0a\x05ERROR\x03400"), Err(Fault::Refused("400".into())));
    let (mut late, mut server) = greeted(client(), server());
    carry(&mut late, &mut server).unwrap();
    carry(&mut server, &mut late).unwrap();
    assert_eq!(feed(&mut late, b"\x04\x0a\x05ERROR\x03400"), Err(Fault::Refused("400".into())));
}

#[test]
fn a_client_with_the_wrong_server_key_gets_no_further_than_hello() {
    let (mut client, mut server) = greeted(client_of(pair(1), pair(3).public), server());
    assert_eq!(carry(&mut client, &mut server), Err(Fault::Forged("HELLO")));
    assert_eq!(server.take_output(), b"", "whoever does not know our key learns nothing");
}

#[test]
fn a_server_without_the_secret_key_gets_no_further_than_welcome() {
    let (mut client, mut real) = greeted(client(), server());
    let hello = client.take_output();
    feed(&mut real, &hello).unwrap();
    let mut forged = real.take_output();
    // A WELCOME for another connection: the client's key of this one is another.
    let other = Handshake::fresh(
        local(SocketType::Dealer, Mechanism::CurveClient { keys: pair(1), server: pair(2).public }),
        fresh(0x32),
    );
    let (mut other, _) = greeted(other, server());
    assert_eq!(feed(&mut other, &forged), Err(Fault::Forged("WELCOME")));
    forged[30] ^= 1;
    assert_eq!(feed(&mut client, &forged), Err(Fault::Forged("WELCOME")));
}

#[test]
fn a_client_cannot_say_that_it_has_a_key_that_it_has_not() {
    // Its public key says one thing, its secret key another.
    let thief = Arc::new(KeyPair { public: pair(9).public, secret: pair(1).secret.clone() });
    let (mut client, mut server) = greeted(client_of(thief, pair(2).public), server());
    carry(&mut client, &mut server).unwrap();
    carry(&mut server, &mut client).unwrap();
    assert_eq!(carry(&mut client, &mut server), Err(Fault::Forged("INITIATE")));
}

#[test]
fn a_recorded_initiate_is_worth_nothing_on_another_connection_or_after_a_restart() {
    let shared = cookies();
    let others = Arc::new(Cookies::default());
    turn(&others, Instant::ZERO, 1);
    let on = |number| server_with(Fresh::new([0x53; SEED_BYTES], number, Arc::clone(&shared)));
    let (mut client, mut server) = greeted(client(), on(1));
    let hello = client.take_output();
    feed(&mut server, &hello).unwrap();
    carry(&mut server, &mut client).unwrap();
    let initiate = client.take_output();
    for other in [on(2), server_with(Fresh::new([0x53; SEED_BYTES], 1, others))] {
        let (_, mut other) = greeted(super::client(), other);
        assert_eq!(feed(&mut other, &hello), Ok(None), "HELLO proves nothing yet");
        assert_eq!(feed(&mut other, &initiate), Err(Fault::Forged("cookie")));
    }
    assert!(feed(&mut server, &initiate).unwrap().is_some(), "on its own it is");
}

#[test]
fn an_initiate_that_comes_too_late_is_refused() {
    let cookies = cookies();
    let (mut client, mut server) = greeted(client(), server_with(Fresh::new([0x53; SEED_BYTES], 1, cookies.clone())));
    carry(&mut client, &mut server).unwrap();
    carry(&mut server, &mut client).unwrap();
    let late = Instant::from_millis(120_000);
    turn(&cookies, late, 7);
    assert_eq!(carry(&mut client, &mut server), Err(Fault::Forged("cookie")));
}

/// Each command of a handshake, as octets, with the side that is to hear it: built anew for every trial.
fn at(step: usize) -> (Handshake, Vec<u8>) {
    let (mut client, mut server) = greeted(client(), server());
    for _ in 0..step / 2 {
        carry(&mut client, &mut server).unwrap();
        carry(&mut server, &mut client).unwrap();
    }
    let said = client.take_output();
    if step.is_multiple_of(2) {
        return (server, said);
    }
    feed(&mut server, &said).unwrap();
    let said = server.take_output();
    (client, said)
}

const COMMANDS: [&str; 4] = ["HELLO", "WELCOME", "INITIATE", "READY"];

#[test]
fn no_bit_of_any_command_can_be_changed_unnoticed() {
    for (step, name) in COMMANDS.iter().enumerate() {
        let (_, command) = at(step);
        let padding = if step == 0 { 10..82 } else { 0..0 };
        // The head and the name decide what it is; the padding of HELLO means nothing.
        let start = Head::parse(&command).unwrap().unwrap().length + 1 + name.len();
        for place in (start..command.len()).filter(|place| !padding.contains(place)) {
            let (mut hearer, mut flipped) = at(step);
            flipped[place] ^= 1 << (place % 8);
            let outcome = feed(&mut hearer, &flipped);
            assert!(outcome.is_err(), "{name}, octet {place}");
        }
    }
}

#[test]
fn every_truncated_or_longer_command_is_refused() {
    for (step, name) in COMMANDS.iter().enumerate() {
        let (_, command) = at(step);
        let head = Head::parse(&command).unwrap().unwrap();
        let body = &command[head.length..];
        for size in 0..=body.len() + 1 {
            let (mut hearer, _) = at(step);
            let mut other = [body, b"\0"].concat();
            other.truncate(size);
            let mut frame = Vec::new();
            crate::wire::frame::put_command_head(&mut frame, size);
            frame.extend(other);
            let refused = feed(&mut hearer, &frame).is_err();
            assert_eq!(refused, size != body.len(), "{name} of {size} octets");
        }
    }
}

#[test]
fn every_command_out_of_its_place_is_refused() {
    for (step, name) in COMMANDS.iter().enumerate() {
        let (_, command) = at(step);
        // To whoever waits for another one, and again to whoever has just heard it.
        for other in (0..4).filter(|&other| other != step) {
            let (mut hearer, _) = at(other);
            assert!(feed(&mut hearer, &command).is_err(), "{name} to one who waits for {}", COMMANDS[other]);
        }
        let (mut hearer, command) = at(step);
        let outcome = feed(&mut hearer, &[&command[..], &command].concat());
        if step < 2 {
            assert!(outcome.is_err(), "{name} twice");
        } else {
            // What follows the last command is for the session, which knows no such thing.
            assert!(outcome.unwrap().is_some());
            let (mut inbound, _) = hearer.take_session().unwrap().split(1 << 20);
            assert!(inbound.open(&mut command.clone()).is_err(), "{name} as a message");
        }
    }
}

#[test]
fn an_initiate_with_a_short_nonce_of_the_past_is_refused() {
    let (mut server, mut initiate) = at(2);
    let nonce = Head::parse(&initiate).unwrap().unwrap().length + 9 + 96;
    initiate[nonce..nonce + 8].copy_from_slice(&1u64.to_be_bytes());
    assert_eq!(feed(&mut server, &initiate), Err(Fault::Nonce), "HELLO had it");
}

#[test]
fn without_fresh_octets_there_is_no_curve() {
    let mut handshake = Handshake::new(local(SocketType::Router, Mechanism::CurveServer(pair(2))));
    let (mut client, _) = greeted(client(), server());
    client.take_output();
    let mut greeting = vec![0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 3, 1];
    greeting.extend_from_slice(b"CURVE");
    greeting.resize(64, 0);
    assert_eq!(feed(&mut handshake, &greeting), Err(Fault::Unexpected("CURVE without fresh octets")));
}

#[test]
fn a_version_2_peer_is_refused_at_its_first_octet() {
    let mut server = server();
    assert_eq!(feed(&mut server, b"\xff\0\0\0\0\0\0\0\x01\x7f\x01"), Err(Fault::Version(2)));
}

#[test]
fn debug_of_a_handshake_shows_no_secret() {
    let (mut client, mut server) = greeted(client(), server());
    carry(&mut client, &mut server).unwrap();
    let shown = format!("{client:?} {server:?}");
    // The seeds and secret keys of this test, as a list of octets or in hex.
    for secret in ["49, 49, 49", "83, 83, 83", "1, 1, 1, 1", "2, 2, 2, 2", "3131", "5353", "cccc", "204, 204"] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}
