//! What one request costs in the machine alone: no sockets, no clock. Run in release: it prints nanoseconds a request.
//!
//! `machine_cost [01 | kept | repeatable] [REQUESTS] [WORKERS] [CREDIT]`: clients and workers of MDP 0.1; of 0.3, with
//! answers that are kept as usual; or of 0.3, with requests that say that they may run again. As much as usual is 64
//! workers that take one request at a time, so that most of the thousand requests under way wait in the queue; with 4
//! workers and a credit of 256 none does. The difference of two runs of `valgrind --tool=callgrind`, one with 20,000
//! requests more than the other, tells the instructions of one, with the few hundred that the clients and workers of
//! this program need.
#![allow(clippy::print_stdout, clippy::indexing_slicing, reason = "a program for people, on frames it has made")]

use std::collections::VecDeque;
use std::sync::Arc;

use broker::{Broker, Config, Frames, Input, Output, PeerId, Rights};
use bytes::{Bytes, BytesMut};
use protocol::{Instant, Machine};

const WORKERS: u64 = 64;
const CREDIT: u64 = 1;
const OUTSTANDING: u64 = 1000;
const REQUESTS: u64 = 3_000_000;
const BODY: [u8; 64] = [b'x'; 64];
const NOW: Instant = Instant::from_millis(1000);

/// How clients and workers speak.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Speech {
    Old,
    Native { repeatable: bool },
}

/// One client with many requests under way.
struct Client {
    speech: Speech,
    asked: u64,
}

fn main() {
    let speech = match std::env::args().nth(1).as_deref() {
        Some("kept") => Speech::Native { repeatable: false },
        Some("repeatable") => Speech::Native { repeatable: true },
        _ => Speech::Old,
    };
    let number = |place, usual| {
        std::env::args().nth(place).map_or(usual, |number| number.parse().expect("requests, workers and their credit"))
    };
    let (count, workers, credit) = (number(2, REQUESTS), number(3, WORKERS), number(4, CREDIT));
    let mut broker = Broker::new(Config::default());
    let rights = Arc::new(Rights::everything());
    for peer in 0..=workers {
        let rights = Arc::clone(&rights);
        broker.handle(NOW, Input::Connected { peer: PeerId(peer), identity: Bytes::new(), rights });
    }
    let client = Client { speech, asked: 0 };
    let mut world = World { broker, client, wire: Wire::default(), answered: 0, inputs: VecDeque::new() };
    for peer in 1..=workers {
        world.say(peer, ready(speech, credit));
    }
    for _ in 0..OUTSTANDING {
        let request = world.client.request(&mut world.wire);
        world.say(0, request);
    }
    let start = std::time::Instant::now();
    while world.answered < count {
        let (peer, frames) = world.inputs.pop_front().expect("every request is answered by another");
        world.say(peer, frames);
    }
    println!("{} ns a request", start.elapsed().as_nanos() / u128::from(count));
}

/// The broker, and what is on its way to it.
struct World {
    broker: Broker,
    client: Client,
    wire: Wire,
    answered: u64,
    inputs: VecDeque<(u64, Frames)>,
}

impl World {
    /// Hands a message over, and has what follows answered.
    fn say(&mut self, peer: u64, frames: Frames) {
        self.broker.handle(NOW, Input::Message { peer: PeerId(peer), frames });
        while let Some(output) = self.broker.poll() {
            match output {
                Output::Send { peer: PeerId(0), .. } => {
                    self.answered += 1;
                    self.inputs.push_back((0, self.client.request(&mut self.wire)));
                }
                Output::Send { peer: PeerId(peer), frames } => {
                    self.inputs.extend(reply(self.client.speech, &frames, &mut self.wire).map(|reply| (peer, reply)));
                }
                _ => {}
            }
        }
    }
}

fn ready(speech: Speech, credit: u64) -> Frames {
    match speech {
        Speech::Old => Frames::from([&b""[..], b"MDPW01", b"\x01", b"echo"]),
        // A heartbeat each minute.
        Speech::Native { .. } => {
            let credit = u32::try_from(credit).expect("a credit is 65,536 at most");
            let head = [b"MDPW03\x01", &credit.to_be_bytes()[..], b"\0\0\xea\x60"].concat();
            Frames::from([Bytes::from(head), Bytes::from_static(b"\x04echo")])
        }
    }
}

impl Client {
    fn request(&mut self, wire: &mut Wire) -> Frames {
        self.asked += 1;
        match self.speech {
            Speech::Old => wire.carry(&[b"", b"MDPC01", b"echo", &BODY]),
            Speech::Native { repeatable } => {
                let id = u128::from(self.asked.wrapping_mul(0x9e37_79b9_7f4a_7c15)) | 1 << 100;
                let mut head = *b"MDPC03\x02................\x04echo\x43\0\x01\x01";
                head[7..23].copy_from_slice(&id.to_be_bytes());
                wire.carry(&[&head[..if repeatable { 32 } else { 28 }], &BODY])
            }
        }
    }
}

/// `"" MDPW01 02 address "" body` becomes `"" MDPW01 03 address "" body`; of 0.3 the job comes back with 200.
fn reply(speech: Speech, request: &Frames, wire: &mut Wire) -> Option<Frames> {
    if speech == Speech::Old {
        return Some(wire.carry(&[b"", b"MDPW01", b"\x03", &request[3], b"", &request[5]]));
    }
    let job = request[0].strip_prefix(b"MDPW03\x02")?.get(..8)?;
    let mut head = *b"MDPW03\x04........\0\0\0\0\0\xc8";
    head[7..15].copy_from_slice(job);
    Some(wire.carry(&[&head, &request[1]]))
}

/// What the decoder of a connection does: neighbours share a piece of memory.
#[derive(Default)]
struct Wire(BytesMut);

impl Wire {
    fn carry(&mut self, frames: &[&[u8]]) -> Frames {
        let bytes: usize = frames.iter().map(|frame| frame.len()).sum();
        if self.0.capacity() < bytes {
            self.0 = BytesMut::with_capacity(2048);
        }
        let carry = |frame: &&[u8]| {
            self.0.extend_from_slice(frame);
            if frame.is_empty() { Bytes::new() } else { self.0.split().freeze() }
        };
        frames.iter().map(carry).collect()
    }
}
