//! The server's side of CURVE, in each of its states. Whatever comes, however it is cut: no panic, the same end, and
//! nobody gets in or is heard who has not the keys.
//!
//! ```text
//! input:  state (1)  cut (1)  octets
//!   0  instead of HELLO            3  INITIATE with a right key and vouch, and these metadata
//!   1  instead of INITIATE         4  MESSAGEs with the right key and these contents, each behind its length (1)
//!   2  a right INITIATE box        5  honest MESSAGEs, in which these octets are changed: place (2), mask (1)
//!      with these contents
//! ```
#![no_main]

use fuzz::{HONEST, command, greeting, message, read, sealed, server, server_reader, shake, short_nonce};
use libfuzzer_sys::fuzz_target;
use zmtp::{Fault, Peer};

fuzz_target!(|input: &[u8]| {
    let [state, cut, octets @ ..] = input else { return };
    let cut = usize::from(*cut).max(1);
    match state % 6 {
        0 => assert_stranger(&[&greeting()[..], octets].concat(), cut),
        1 => assert_stranger(&[&greeting()[..], &HONEST.hello, octets].concat(), cut),
        2 => {
            known(&initiate(octets), cut).unwrap_err();
        }
        3 => {
            // What the honest client put in front of its metadata: key, nonce and vouch.
            let mut honest = HONEST.initiate.clone();
            let front = vouched(&mut honest);
            if let Ok(Some(peer)) = known(&initiate(&[&front, octets].concat()), cut) {
                assert!(peer.identity.len() <= 255 && peer.identity.first() != Some(&0));
            }
        }
        4 => messages(octets, cut),
        _ => changed(octets, cut),
    }
});

/// Whoever has no key is not let in, and learns nothing.
fn assert_stranger(stream: &[u8], cut: usize) {
    let whole = shake(&mut server(), stream, stream.len());
    let honest = HONEST.initiate.len() + 64 + HONEST.hello.len();
    let is_honest = stream.len() >= honest && stream[64..honest] == [&HONEST.hello[..], &HONEST.initiate].concat();
    if !is_honest {
        assert!(!matches!(whole.0, Ok(Some(_))));
        let said = &whole.1[64.min(whole.1.len())..];
        assert!(said.is_empty() || *said == HONEST.welcome[..], "a stranger hears nothing but WELCOME");
    }
    assert_eq!(whole, shake(&mut server(), stream, cut));
}

/// An INITIATE from somebody who knows the key of the session.
fn initiate(content: &[u8]) -> Vec<u8> {
    let start = HONEST.initiate.len() - body_bytes(&HONEST.initiate) + 9;
    let cookie = &HONEST.initiate[start..start + 96];
    let sealed = sealed(&HONEST.session, &short_nonce(b"CurveZMQINITIATE", 2), content);
    command(b"INITIATE", &[cookie, &2u64.to_be_bytes(), &sealed].concat())
}

fn known(initiate: &[u8], cut: usize) -> Result<Option<Peer>, Fault> {
    let stream = [&greeting()[..], &HONEST.hello, initiate].concat();
    let whole = shake(&mut server(), &stream, stream.len());
    assert_eq!(whole, shake(&mut server(), &stream, cut));
    whole.0
}

/// The first 144 octets inside of the honest INITIATE.
fn vouched(initiate: &mut [u8]) -> Vec<u8> {
    let start = initiate.len() - body_bytes(initiate) + 9 + 96 + 8;
    let mut content = vec![0; initiate.len() - start - 16];
    let nonce = short_nonce(b"CurveZMQINITIATE", 2);
    dryoc::classic::crypto_box::crypto_box_open_easy_afternm(&mut content, &initiate[start..], &nonce, &HONEST.session)
        .expect("the honest INITIATE opens");
    content.truncate(32 + 16 + 80);
    content
}

/// Octets of a long frame without its head.
fn body_bytes(frame: &[u8]) -> usize {
    frame.len() - if frame[0] & 2 == 0 { 2 } else { 9 }
}

fn messages(mut octets: &[u8], cut: usize) {
    let (mut stream, mut count) = (Vec::new(), 2);
    while let Some((&size, rest)) = octets.split_first() {
        let (content, rest) = rest.split_at(usize::from(size).min(rest.len()));
        count += 1;
        stream.extend(message(b'C', count, content));
        octets = rest;
    }
    let whole = read(server_reader(), &stream, stream.len());
    let pieces = read(server_reader(), &stream, cut);
    if whole.0.is_ok() || pieces.0.is_ok() {
        assert_eq!(whole, pieces);
    }
}

/// Only a beginning of what was said is heard, whatever was changed.
fn changed(octets: &[u8], cut: usize) {
    let contents: [&[u8]; 4] = [b"\x01first", b"\0second", b"\x02\x04PONG", b"\0third"];
    let frames: Vec<_> = contents.iter().zip(3..).map(|(content, count)| message(b'C', count, content)).collect();
    let mut stream = frames.concat();
    for change in octets.as_chunks::<3>().0 {
        let place = usize::from(u16::from_be_bytes([change[0], change[1]])) % stream.len();
        stream[place] ^= change[2];
    }
    let (_, honest) = read(server_reader(), &frames.concat(), cut);
    let (_, heard) = read(server_reader(), &stream, cut);
    assert!(honest.messages.starts_with(&heard.messages) && honest.commands.starts_with(&heard.commands));
}
