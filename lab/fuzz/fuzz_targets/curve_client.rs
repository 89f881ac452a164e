//! The client's side of CURVE, in each of its states. Whatever comes, however it is cut: no panic, the same end, and no
//! server is believed that has not the keys.
//!
//! ```text
//! input:  state (1)  cut (1)  octets
//!   0  instead of WELCOME          3  READY with the right key and these metadata
//!   1  instead of READY            4  MESSAGEs with the right key and these contents, each behind its length (1)
//!   2  a right WELCOME box with these contents
//! ```
#![no_main]

use fuzz::{Course, HONEST, client, client_reader, command, greeting, message, read, sealed, shake, short_nonce};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let [state, cut, octets @ ..] = input else { return };
    let cut = usize::from(*cut).max(1);
    match state % 5 {
        0 => {
            let heard = hear(octets, cut);
            let honest = octets.starts_with(&HONEST.welcome);
            assert!(honest || heard.0.is_err() || heard.1.len() == 64 + HONEST.hello.len(), "INITIATE for a stranger");
        }
        1 => {
            let (outcome, _) = hear(&[&HONEST.welcome[..], octets].concat(), cut);
            assert!(!matches!(outcome, Ok(Some(_))) || octets.starts_with(&HONEST.ready));
        }
        2 => {
            let nonce = [0x53; 16];
            let sealed = sealed(&HONEST.early, &[&b"WELCOME-"[..], &nonce].concat().try_into().unwrap(), octets);
            let _ = hear(&command(b"WELCOME", &[&nonce[..], &sealed].concat()), cut).0;
        }
        3 => {
            let sealed = sealed(&HONEST.session, &short_nonce(b"CurveZMQREADY---", 1), octets);
            let ready = command(b"READY", &[&1u64.to_be_bytes()[..], &sealed].concat());
            if let (Ok(Some(peer)), _) = hear(&[&HONEST.welcome[..], &ready].concat(), cut) {
                assert!(peer.identity.len() <= 255 && peer.identity.first() != Some(&0));
            }
        }
        _ => messages(octets, cut),
    }
});

fn hear(octets: &[u8], cut: usize) -> Course {
    let stream = [&greeting()[..], octets].concat();
    let whole = shake(&mut client(), &stream, stream.len());
    assert_eq!(whole, shake(&mut client(), &stream, cut));
    whole
}

fn messages(mut octets: &[u8], cut: usize) {
    let (mut stream, mut count) = (Vec::new(), 1);
    while let Some((&size, rest)) = octets.split_first() {
        let (content, rest) = rest.split_at(usize::from(size).min(rest.len()));
        count += 1;
        stream.extend(message(b'S', count, content));
        octets = rest;
    }
    let whole = read(client_reader(), &stream, stream.len());
    let pieces = read(client_reader(), &stream, cut);
    if whole.0.is_ok() || pieces.0.is_ok() {
        assert_eq!(whole, pieces);
    }
}
