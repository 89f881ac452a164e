//! The messages of a full mesh, as a member reads them. No octets may make it panic, and what it accepts means the same
//! once it has been encoded again; and the machine that is told them answers each at most once.
//!
//! ```text
//! input:  { length (2)  octets (length) } *       a message in each; a length past the end takes what is left
//! ```
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use mesh::fixed::node::{Input, Output};
use mesh::fixed::{Config, Node};
use protocol::zmqnet::Message;
use protocol::{Frames, Instant, Machine, PeerId};

fuzz_target!(|input: &[u8]| {
    let mut node = Node::new(Config::new("us".into(), vec!["other".into()], 1));
    let mut rest = input;
    let (mut asked, mut answered) = (0, 0);
    while let Some((length, after)) = rest.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes(*length));
        let (octets, after) = after.split_at(after.len().min(length));
        rest = after;
        if let Ok(message) = Message::decode(octets) {
            assert_eq!(Message::decode(&message.encode()), Ok(message));
        }
        let frames = Frames::from([Bytes::new(), Bytes::copy_from_slice(octets)]);
        node.handle(Instant::ZERO, Input::Request { peer: PeerId(1), frames });
        asked += 1;
        answered += std::iter::from_fn(|| node.poll()).filter(|output| matches!(output, Output::Answer { .. })).count();
    }
    assert!(answered <= asked);
});
