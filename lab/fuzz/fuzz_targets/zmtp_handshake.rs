//! The handshake of the socket engine, from the first octet to READY, with whatever follows it. However the network
//! cuts it: no panic, the same peer or the same fault, the same answers, and never an identity that a peer may not
//! have.
//!
//! ```text
//! input:  kind (1)  cut (1)  octets     kind: bit 0 router or dealer, bit 1 a valid greeting is put in front
//! ```
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use zmtp::{Fault, Handshake, Local, Mechanism, Peer, SocketType};

/// How a handshake went: how it ended, what we said, how many octets it took.
type Course = (Result<Option<Peer>, Fault>, Vec<u8>, usize);

fuzz_target!(|input: &[u8]| {
    let [kind, cut, octets @ ..] = input else { return };
    let stream = if kind & 2 == 0 { octets.to_vec() } else { [&greeting()[..], octets].concat() };
    let socket_type = if kind & 1 == 0 { SocketType::Router } else { SocketType::Dealer };
    let whole = shake(socket_type, &stream, stream.len().max(1));
    let pieces = shake(socket_type, &stream, usize::from(*cut).max(1));
    assert_eq!(whole, pieces);
    if let Ok(Some(peer)) = whole.0 {
        assert!(peer.identity.len() <= 255 && peer.identity.first() != Some(&0));
        assert!(whole.2 <= stream.len());
    }
});

fn shake(socket_type: SocketType, stream: &[u8], cut: usize) -> Course {
    let (identity, domain) = (Bytes::from_static(b"me"), String::new());
    let local = Local { socket_type, identity, domain, mechanism: Mechanism::Null };
    let mut handshake = Handshake::new(local);
    let (mut said, mut waiting, mut total) = (handshake.take_output(), Vec::new(), 0);
    for piece in stream.chunks(cut) {
        waiting.extend_from_slice(piece);
        let mut consumed = 0;
        let step = handshake.feed(&waiting, &mut consumed);
        said.extend(handshake.take_output());
        total += consumed;
        waiting.drain(..consumed);
        if !matches!(step, Ok(None)) {
            // How far it had come when it met the fault depends on the cutting; what it says about it does not.
            let total = if step.is_err() { 0 } else { total };
            return (step, said, total);
        }
    }
    (Ok(None), said, total)
}

fn greeting() -> [u8; 64] {
    let mut greeting = [0; 64];
    (greeting[0], greeting[9], greeting[10], greeting[11]) = (0xff, 0x7f, 3, 1);
    greeting[12..16].copy_from_slice(b"NULL");
    greeting
}
