//! The session as a stream: whatever goes in at one side comes out at the other, however it is cut, and nothing else
//! does.

use bytes::BufMut;
use proptest::collection::vec;
use proptest::prelude::*;
use protocol::Frames;

use super::*;
use crate::security::curve::message::OVERHEAD_BYTES;
use crate::wire::decoder::{Decoder, SMALL_FRAME_BYTES, Sink};
use crate::wire::large::LARGE_STEP_BYTES;
use crate::wire::outbox::{Cursor, Outbox};

const MESSAGE_BYTES_MAX: usize = 1 << 20;

/// Keeps everything.
#[derive(Debug, Default)]
struct Kept {
    messages: Vec<Frames>,
    commands: Vec<Vec<u8>>,
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
        false
    }
}

/// The reading side of a connection, as the driver runs it.
struct Ear {
    inbound: Inbound,
    decoder: Decoder,
    rest: Vec<u8>,
    kept: Kept,
}

impl Ear {
    fn new(inbound: Inbound) -> Self {
        let decoder = Decoder::new(MESSAGE_BYTES_MAX, 100, true);
        Self { inbound, decoder, rest: Vec::new(), kept: Kept::default() }
    }

    fn hear(&mut self, mut octets: &[u8]) -> Result<(), Fault> {
        while !octets.is_empty() {
            if let Some(mut room) = self.inbound.large_room() {
                let step = room.chunk_mut().len().min(octets.len());
                room.put_slice(&octets[..step]);
                octets = &octets[step..];
                self.inbound.finish_large(&mut self.decoder, &mut self.kept)?;
                continue;
            }
            self.rest.extend_from_slice(octets);
            octets = &[];
            let opened = self.inbound.open(&mut self.rest)?;
            assert_eq!(self.decoder.decode(&self.rest[..opened.plain], &mut self.kept)?, opened.plain);
            self.rest.drain(..opened.consumed);
        }
        Ok(())
    }
}

/// An outbox with these messages.
fn outbox(messages: &[Frames]) -> Outbox {
    let mut outbox = Outbox::default();
    messages.iter().for_each(|message| outbox.push(message));
    outbox
}

/// All of an outbox, sealed.
fn sealed(outbound: &mut Outbound, outbox: &Outbox) -> Vec<u8> {
    let (mut cursor, mut all) = (Cursor::default(), Vec::new());
    loop {
        cursor = outbound.seal(outbox, cursor);
        if outbound.is_written() {
            return all;
        }
        all.extend_from_slice(outbound.unwritten());
        outbound.advance(outbound.unwritten().len());
    }
}

fn of_client() -> (Outbound, Ear) {
    let (client, server) = sessions();
    (client.split(MESSAGE_BYTES_MAX).1, Ear::new(server.split(MESSAGE_BYTES_MAX).0))
}

fn frame(size: usize) -> Bytes {
    (0..251).cycle().take(size).collect()
}

fn frames() -> impl Strategy<Value = Frames> {
    let size =
        prop_oneof![0..300usize, Just(255), Just(256), SMALL_FRAME_BYTES - 40..SMALL_FRAME_BYTES + 40, 0..90_000usize];
    vec(size, 1..4).prop_map(|sizes| sizes.into_iter().map(frame).collect::<Vec<_>>().into_iter().collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_message_arrives_however_the_stream_is_cut(messages in vec(frames(), 1..8), cut in 1..5000usize) {
        let (mut outbound, mut ear) = of_client();
        let stream = sealed(&mut outbound, &outbox(&messages));
        for piece in stream.chunks(cut) {
            ear.hear(piece).unwrap();
            prop_assert!(ear.rest.len() <= SMALL_FRAME_BYTES + OVERHEAD_BYTES + 9);
        }
        prop_assert_eq!(ear.kept.messages, messages);
        prop_assert!(ear.rest.is_empty());
    }

    #[test]
    fn what_was_not_taken_whole_is_said_again_elsewhere(messages in vec(frames(), 1..8), part in 0..100usize) {
        let (mut outbound, mut ear) = of_client();
        let outbox = outbox(&messages);
        let total = sealed(&mut of_client().0, &outbox).len();
        let mut left = total * part / 100;
        let mut cursor = Cursor::default();
        loop {
            let next = outbound.seal(&outbox, cursor);
            let step = outbound.unwritten().len().min(left);
            ear.hear(&outbound.unwritten()[..step]).unwrap();
            outbound.advance(step);
            left -= step;
            if !outbound.is_written() || outbound.unwritten().is_empty() && left == 0 {
                cursor = outbound.written_to(&outbox, cursor);
                break;
            }
            cursor = next;
        }
        let (mut again, mut next_ear) = of_client();
        next_ear.hear(&sealed(&mut again, &outbox.unsent(&cursor))).unwrap();
        let heard = [ear.kept.messages, next_ear.kept.messages].concat();
        prop_assert_eq!(heard, messages);
    }
}

#[test]
fn commands_travel_as_messages() {
    let (mut outbound, mut ear) = of_client();
    let mut commands = Vec::new();
    crate::wire::command::put_pong(&mut commands, b"abc");
    crate::wire::command::put_pong(&mut commands, b"");
    outbound.seal_commands(&commands).unwrap();
    assert_eq!(outbound.unwritten()[0], 0, "a message frame, as libzmq sends it");
    ear.hear(outbound.unwritten()).unwrap();
    assert_eq!(ear.kept.commands, [b"\x04PONGabc".to_vec(), b"\x04PONG".to_vec()]);
}

#[test]
fn a_message_that_is_changed_repeated_reordered_or_cut_is_refused() {
    let (mut outbound, _) = of_client();
    let first = sealed(&mut outbound, &outbox(&[Frames::from(["first"])]));
    let second = sealed(&mut outbound, &outbox(&[Frames::from(["second"])]));
    let fault_of = |stream: &[u8]| of_client().1.hear(stream).unwrap_err();
    assert_eq!(fault_of(&[&first[..], &first].concat()), Fault::Nonce, "repeated");
    assert_eq!(fault_of(&[&second[..], &first].concat()), Fault::Nonce, "reordered");
    for place in 2..first.len() {
        let mut flipped = first.clone();
        flipped[place] ^= 1 << (place % 8);
        let fault = fault_of(&flipped);
        assert!(matches!(fault, Fault::Command("MESSAGE") | Fault::Nonce | Fault::Forged("MESSAGE")), "octet {place}");
    }
    for size in 0..first.len() - 2 {
        let cut = [&[0, u8::try_from(size).unwrap()], &first[2..2 + size]].concat();
        assert!(of_client().1.hear(&cut).is_err(), "cut to {size}");
    }
}

#[test]
fn a_message_of_the_other_side_or_of_another_connection_is_refused() {
    let (mut outbound, mut ear) = of_client();
    let mine = sealed(&mut outbound, &outbox(&[Frames::from(["mine"])]));
    let (client, _) = sessions();
    let mut reflected = Ear::new(client.split(MESSAGE_BYTES_MAX).0);
    assert_eq!(reflected.hear(&mine), Err(Fault::Forged("MESSAGE")), "sent back to where it came from");
    let plain = b"\0\x02hi";
    assert_eq!(ear.hear(plain), Err(Fault::Command("MESSAGE")), "in the clear");
}

#[test]
fn a_claim_above_the_limit_is_refused_and_one_below_buys_no_memory() {
    let over = MESSAGE_BYTES_MAX + OVERHEAD_BYTES + 1;
    let claim = |size: usize| [&[2][..], &(size as u64).to_be_bytes()].concat();
    let fault = of_client().1.hear(&claim(over)).unwrap_err();
    assert_eq!(fault, Fault::MessageBytes { claimed: MESSAGE_BYTES_MAX as u64 + 1, allowed: MESSAGE_BYTES_MAX });
    assert!(matches!(of_client().1.hear(&claim(usize::MAX)).unwrap_err(), Fault::MessageBytes { .. }));
    let (_, mut ear) = of_client();
    ear.hear(&claim(over - 1)).unwrap();
    assert!(ear.inbound.held_bytes() <= LARGE_STEP_BYTES);
}

#[test]
fn the_largest_message_arrives_and_frames_together_may_not_be_larger() {
    let (mut outbound, mut ear) = of_client();
    let largest = Frames::from([frame(MESSAGE_BYTES_MAX)]);
    ear.hear(&sealed(&mut outbound, &outbox(std::slice::from_ref(&largest)))).unwrap();
    assert_eq!(ear.kept.messages, [largest]);
    let over = Frames::from([Bytes::from_static(b"1"), frame(MESSAGE_BYTES_MAX)]);
    let fault = ear.hear(&sealed(&mut outbound, &outbox(&[over]))).unwrap_err();
    assert!(matches!(fault, Fault::MessageBytes { .. }), "{fault}");
}
