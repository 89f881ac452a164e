//! The allow file, as a broker reads it. No text may make it panic; what it accepts is within the limits and the same
//! when it is read again; what it refuses is refused in one line that names a line which is there.
#![no_main]

use std::path::Path;

use broker::access::{Error, FILE_BYTES_MAX, PEERS_MAX, Peers, parse};
use libfuzzer_sys::fuzz_target;
use zeroize::Zeroizing;

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    match (read(text), read(text)) {
        (Ok(peers), Ok(again)) => {
            assert!(peers.len() <= PEERS_MAX && text.len() <= FILE_BYTES_MAX);
            assert_eq!(peers.len(), again.len());
            assert!(!format!("{peers:?}").contains(PASSWORD), "a password is never shown");
        }
        (Err(error), Err(again)) => {
            let shown = error.to_string();
            assert_eq!(shown, again.to_string());
            assert_eq!(shown.lines().count(), 1, "{shown:?}");
            let lines = text.bytes().filter(|byte| *byte == b'\n').count() + 1;
            assert!(error.line.is_some_and(|line| (1..=lines).contains(&line)), "{shown}");
        }
        _ => panic!("the same text was accepted and refused"),
    }
});

/// Every password file can be read.
fn read(text: &str) -> Result<Peers, Error> {
    parse(Path::new("allow.toml"), text, &mut |_| Ok(Zeroizing::new(PASSWORD.into())))
}

const PASSWORD: &str = "\u{1}a password that no file says\u{2}";
