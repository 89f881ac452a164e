//! The message decoder of the socket engine. Whatever arrives, and however the network cuts it: no panic, the same
//! messages, commands and fault as when it arrives at once, and never more memory than a small multiple of what has
//! arrived.
//!
//! ```text
//! input:  cut (1)  octets           pieces of `cut` octets, large frames being filled directly
//! ```
#![no_main]

use bytes::BufMut;
use libfuzzer_sys::fuzz_target;
use protocol::Frames;
use zmtp::{Decoder, Fault, Sink};

const MESSAGE_BYTES_MAX: usize = 1 << 30;
const FRAMES_MAX: usize = 64;
/// What the decoder may set aside at once for a large frame of which little has come.
const STEP_BYTES: usize = 64 << 10;

#[derive(Default, PartialEq, Debug)]
struct Kept {
    messages: Vec<Frames>,
    commands: Vec<Vec<u8>>,
}

impl Sink for Kept {
    fn message(&mut self, frames: Frames) {
        assert!(!frames.is_empty() && frames.len() <= FRAMES_MAX);
        self.messages.push(frames);
    }

    fn command(&mut self, body: &[u8]) -> Result<(), Fault> {
        self.commands.push(body.to_vec());
        Ok(())
    }

    fn is_full(&self) -> bool {
        false
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((&cut, octets)) = input.split_first() else { return };
    let (mut whole, mut pieces) = (Kept::default(), Kept::default());
    let at_once = decoder().decode(octets, &mut whole).map(|_| ());
    let in_pieces = decode_in_pieces(octets, usize::from(cut).max(1), &mut pieces);
    assert_eq!(at_once, in_pieces);
    assert_eq!(whole, pieces);
});

fn decoder() -> Decoder {
    Decoder::new(MESSAGE_BYTES_MAX, FRAMES_MAX, true)
}

fn decode_in_pieces(octets: &[u8], cut: usize, kept: &mut Kept) -> Result<(), Fault> {
    let (mut decoder, mut waiting) = (decoder(), Vec::new());
    for mut piece in octets.chunks(cut) {
        if let Some(mut room) = decoder.large_room() {
            assert!(waiting.is_empty() && room.remaining_mut() > 0);
            let (direct, rest) = piece.split_at(piece.len().min(room.remaining_mut()));
            room.put_slice(direct);
            decoder.decode(&[], kept)?;
            piece = rest;
        }
        waiting.extend_from_slice(piece);
        let done = decoder.decode(&waiting, kept)?;
        waiting.drain(..done);
        // A frame's handle weighs 32 octets, its head on the wire two; and a list that has just grown has room for as
        // many handles again.
        assert!(decoder.held_bytes() <= 33 * octets.len() + STEP_BYTES, "{} held", decoder.held_bytes());
    }
    Ok(())
}
