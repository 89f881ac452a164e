//! The decoder alone: captured octets, limits, and any cutting of any stream.

use proptest::collection::vec;
use proptest::prelude::*;

use bytes::BufMut;

use super::*;
use crate::wire::frame;
use crate::wire::large::LARGE_STEP_BYTES;
use crate::wire::outbox::{Cursor, Outbox};

const FRAMES_MAX: usize = 8;
const MESSAGE_BYTES_MAX: usize = 1 << 20;

/// Keeps what comes, and is full after `room` messages.
struct Kept {
    messages: Vec<Frames>,
    commands: Vec<Vec<u8>>,
    room: usize,
}

impl Sink for Kept {
    fn message(&mut self, frames: Frames) {
        self.messages.push(frames);
    }

    fn command(&mut self, body: &[u8]) -> Result<(), Fault> {
        self.commands.push(body.to_vec());
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.messages.len() >= self.room
    }
}

fn kept() -> Kept {
    Kept { messages: Vec::new(), commands: Vec::new(), room: usize::MAX }
}

fn decoder() -> Decoder {
    Decoder::new(MESSAGE_BYTES_MAX, FRAMES_MAX, true)
}

fn fault_of(input: &[u8]) -> Fault {
    decoder().decode(input, &mut kept()).expect_err("the input should be a fault")
}

fn encode(messages: &[Frames]) -> Vec<u8> {
    let mut outbox = Outbox::default();
    messages.iter().for_each(|message| outbox.push(message));
    let mut slices = vec![std::io::IoSlice::new(&[]); 10_000];
    let count = outbox.slices(&Cursor::default(), &mut slices);
    slices[..count].iter().flat_map(|slice| slice.to_vec()).collect()
}

/// Decodes a stream that arrives in pieces of the given sizes, the last one repeated.
fn decode_in_pieces(stream: &[u8], sizes: &[usize]) -> Result<Kept, Fault> {
    let (mut decoder, mut kept, mut waiting, mut at) = (decoder(), kept(), Vec::new(), 0);
    let mut sizes = sizes.iter().copied().chain(std::iter::repeat(*sizes.last().unwrap_or(&1000)));
    while at < stream.len() {
        let end = stream.len().min(at + sizes.next().unwrap().max(1));
        waiting.extend_from_slice(&stream[at..end]);
        let done = decoder.decode(&waiting, &mut kept)?;
        waiting.drain(..done);
        at = end;
    }
    assert!(waiting.is_empty(), "whole messages leave nothing over");
    Ok(kept)
}

#[test]
fn an_mdp_request_decodes_from_the_captured_octets() {
    let mut kept = kept();
    let input = b"\x01\x00\x01\x06MDPC01\x01\x04echo\x00\x02hi";
    assert_eq!(decoder().decode(input, &mut kept), Ok(input.len()));
    assert_eq!(kept.messages, [Frames::from(["", "MDPC01", "echo", "hi"])]);
    assert_eq!(encode(&kept.messages), input);
}

#[test]
fn commands_go_their_own_way_between_messages_and_between_frames() {
    let mut kept = kept();
    let input = b"\x00\x01a\x04\x05\x04PONG\x00\x01b";
    assert_eq!(decoder().decode(input, &mut kept), Ok(input.len()));
    assert_eq!(kept.messages, [Frames::from(["a"]), Frames::from(["b"])]);
    assert_eq!(kept.commands, [b"\x04PONG"]);
    let inside = b"\x01\x01c\x04\x05\x04PONG\x00\x01d";
    assert_eq!(decoder().decode(inside, &mut kept), Ok(inside.len()));
    assert_eq!(kept.messages.last(), Some(&Frames::from(["c", "d"])));
    assert_eq!(kept.commands.len(), 2);
}

#[test]
fn a_version_2_peer_has_no_commands() {
    let mut decoder = Decoder::new(MESSAGE_BYTES_MAX, FRAMES_MAX, false);
    assert_eq!(decoder.decode(b"\x04\x05\x04PONG", &mut kept()), Err(Fault::Flags(4)));
}

#[test]
fn a_claim_of_any_size_costs_no_memory() {
    for claimed in [64u64 << 30, 1 << 60, 1 << 63, u64::MAX] {
        let head = [&[2][..], &claimed.to_be_bytes()].concat();
        assert_eq!(fault_of(&head), Fault::MessageBytes { claimed, allowed: MESSAGE_BYTES_MAX });
    }
    let mut decoder = Decoder::new(usize::MAX >> 1, FRAMES_MAX, true);
    let head = [&[2][..], &(1u64 << 60).to_be_bytes()].concat();
    assert_eq!(decoder.decode(&head, &mut kept()), Ok(9));
    assert!(decoder.held_bytes() <= LARGE_STEP_BYTES, "even a limit that allows it buys no memory for a claim");
}

#[test]
fn a_large_frame_grows_with_what_arrives_and_can_be_filled_directly() {
    let (mut decoder, mut kept) = (decoder(), kept());
    let size: usize = 500_000;
    let head = [&[2][..], &(size as u64).to_be_bytes()].concat();
    decoder.decode(&head, &mut kept).unwrap();
    let mut filled = 0;
    while let Some(mut room) = decoder.large_room() {
        let step = room.chunk_mut().len().min(10_000);
        assert!(step > 0, "there is always room for more");
        room.put_slice(&vec![7; step]);
        filled += step;
        assert!(decoder.held_bytes() <= 2 * filled + LARGE_STEP_BYTES);
        decoder.decode(&[], &mut kept).unwrap();
    }
    assert_eq!((filled, kept.messages.len()), (size, 1));
    assert_eq!(kept.messages[0][0], vec![7; size]);
    assert_eq!(decoder.held_bytes(), 0);
}

#[test]
fn frames_max_is_met_and_not_passed() {
    let frames: Frames = (0..FRAMES_MAX).map(|_| Bytes::new()).collect();
    let input = encode(std::slice::from_ref(&frames));
    let mut kept = kept();
    decoder().decode(&input, &mut kept).unwrap();
    assert_eq!(kept.messages, [frames]);
    assert_eq!(fault_of(&[1, 0].repeat(FRAMES_MAX + 1)), Fault::FrameCount(FRAMES_MAX));
}

#[test]
fn message_bytes_max_counts_all_frames_and_starts_anew_with_each_message() {
    let half = Bytes::from(vec![1; MESSAGE_BYTES_MAX / 2]);
    let whole = Frames::from([half.clone(), half.clone()]);
    let kept = decode_in_pieces(&encode(&[whole.clone(), whole.clone()]), &[100_000]).unwrap();
    assert_eq!(kept.messages, [whole.clone(), whole.clone()]);
    let mut over = whole;
    over.push(Bytes::from_static(b"x"));
    let fault = decode_in_pieces(&encode(&[over]), &[100_000]).err().unwrap();
    assert_eq!(fault, Fault::MessageBytes { claimed: MESSAGE_BYTES_MAX as u64 + 1, allowed: MESSAGE_BYTES_MAX });
}

#[test]
fn command_bytes_max_is_met_and_not_passed() {
    let mut input = Vec::new();
    frame::put_command_head(&mut input, COMMAND_BYTES_MAX);
    assert_eq!(decoder().decode(&input, &mut kept()), Ok(0));
    input.clear();
    frame::put_command_head(&mut input, COMMAND_BYTES_MAX + 1);
    assert_eq!(fault_of(&input), Fault::CommandBytes(COMMAND_BYTES_MAX as u64 + 1));
}

#[test]
fn a_kept_octet_pins_no_more_than_a_chunk() {
    let message = Frames::from([Bytes::from(vec![1; 50])]);
    let input = encode(&vec![message; 1000]);
    let mut kept = kept();
    decoder().decode(&input, &mut kept).unwrap();
    let neighbours = kept.messages.iter().filter(|message| {
        let (first, this) = (kept.messages[0][0].as_ptr().addr(), message[0].as_ptr().addr());
        this.abs_diff(first) < CHUNK_BYTES
    });
    assert!(neighbours.count() <= CHUNK_BYTES / 50);
    let input_range = input.as_ptr_range();
    assert!(kept.messages.iter().all(|message| !input_range.contains(&message[0].as_ptr())));
}

#[test]
fn a_full_sink_stops_between_two_messages() {
    let messages = ["a", "b", "c"].map(|body| Frames::from([body]));
    let input = encode(&messages);
    let mut kept = Kept { room: 2, ..kept() };
    let mut decoder = decoder();
    assert_eq!(decoder.decode(&input, &mut kept), Ok(6));
    kept.room = 3;
    assert_eq!(decoder.decode(&input[6..], &mut kept), Ok(3));
    assert_eq!(kept.messages, messages);
}

fn any_frame() -> impl Strategy<Value = Bytes> {
    prop_oneof![
        4 => vec(any::<u8>(), 0..40),
        2 => vec(any::<u8>(), 250..260),
        1 => vec(any::<u8>(), SMALL_FRAME_BYTES - 2..SMALL_FRAME_BYTES + 3),
        1 => vec(any::<u8>(), 60_000..80_000),
    ]
    .prop_map(Bytes::from)
}

fn any_messages() -> impl Strategy<Value = Vec<Frames>> {
    vec(vec(any_frame(), 1..=FRAMES_MAX).prop_map(Frames::from), 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn messages_survive_the_wire_however_they_are_cut(
        messages in any_messages(),
        sizes in vec(1usize..20_000, 1..20),
    ) {
        let kept = decode_in_pieces(&encode(&messages), &sizes).unwrap();
        prop_assert_eq!(kept.messages, messages);
    }

    #[test]
    fn any_octets_give_the_same_result_however_they_are_cut(
        octets in vec(prop_oneof![3 => 0u8..10, 1 => any::<u8>()], 0..300),
        size in 1usize..20,
    ) {
        let (mut whole, mut pieces) = (kept(), kept());
        let at_once = decoder().decode(&octets, &mut whole).map(|_| ());
        let (mut decoder, mut waiting, mut outcome) = (decoder(), Vec::new(), Ok(()));
        for piece in octets.chunks(size) {
            waiting.extend_from_slice(piece);
            match decoder.decode(&waiting, &mut pieces) {
                Ok(done) => drop(waiting.drain(..done)),
                Err(fault) => {
                    outcome = Err(fault);
                    break;
                }
            }
        }
        prop_assert_eq!(at_once, outcome);
        prop_assert_eq!(whole.messages, pieces.messages);
        prop_assert_eq!(whole.commands, pieces.commands);
    }
}
