//! ZRE as a member of a mesh reads it: beacons, and messages of a command frame and content. No octets may make it
//! panic, and what it accepts means the same once it has been encoded again.
//!
//! ```text
//! input:  reader (1)  { length (2)  octets (length) } *       a length past the end takes what is left
//! ```
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use protocol::Frames;
use protocol::zre::{Beacon, Message, NodeId};

fuzz_target!(|input: &[u8]| {
    let Some((reader, rest)) = input.split_first() else { return };
    match reader % 3 {
        0 => beacon(rest),
        1 => message(&frames(rest)),
        _ => identity(rest),
    }
});

fn beacon(octets: &[u8]) {
    if let Ok(beacon) = Beacon::decode(octets) {
        assert_eq!(&beacon.encode()[..], octets);
    }
}

fn message(frames: &Frames) {
    let Ok(said) = Message::decode(frames.clone()) else { return };
    let again = said.clone().encode();
    assert_eq!(again[1..], frames[1..], "content is passed on as it is");
    assert_eq!(Message::decode(again), Ok(said));
}

fn identity(octets: &[u8]) {
    if let Some(node) = NodeId::from_identity(octets) {
        assert_eq!(&node.to_identity()[..], octets);
        assert_eq!(node.to_string().parse(), Ok(node));
    }
}

fn frames(mut rest: &[u8]) -> Frames {
    let mut frames = Frames::new();
    while let Some((length, after)) = rest.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes(*length));
        let (frame, after) = after.split_at(after.len().min(length));
        frames.push(Bytes::copy_from_slice(frame));
        rest = after;
    }
    frames
}
