//! Gossip as a hub hears it. No octets may make it panic, and what it accepts means the same once it has been encoded
//! again; the machine that hears them keeps within its bounds.
//!
//! ```text
//! input:  { place (1)  length (2)  octets (length) } *       a message from a client or a hub in each
//! ```
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use mesh::gossip::{Gossip, Input, Place};
use protocol::zgossip::Message;
use protocol::{Frames, Instant, Machine, PeerId};

fuzz_target!(|input: &[u8]| {
    let mut gossip = Gossip::new("us".into(), "tcp://127.0.0.1:1".into(), 1);
    let mut rest = input;
    while let Some((&[place, high, low], after)) = rest.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes([high, low]));
        let (octets, after) = after.split_at(after.len().min(length));
        rest = after;
        let frames = Frames::from([Bytes::copy_from_slice(octets)]);
        if let Ok(message) = Message::decode(&frames) {
            assert_eq!(Message::decode(&message.encode()), Ok(message));
        }
        let from = if place == 0 { Place::Hub(0) } else { Place::Client(PeerId(place.into())) };
        gossip.handle(Instant::ZERO, Input::Heard { from, frames });
        while gossip.poll().is_some() {}
    }
});
