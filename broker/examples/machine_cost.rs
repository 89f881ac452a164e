//! What one request costs in the machine alone: no sockets, no clock. Run in release: it prints nanoseconds a request.
#![allow(clippy::print_stdout, clippy::indexing_slicing, reason = "a program for people, on frames it has made")]

use std::collections::VecDeque;
use std::sync::Arc;

use broker::{Broker, Config, Frames, Input, Output, PeerId, Rights};
use bytes::Bytes;
use protocol::{Instant, Machine};

const WORKERS: u64 = 64;
const OUTSTANDING: u64 = 1000;
const REQUESTS: u64 = 3_000_000;

fn main() {
    let mut broker = Broker::new(Config::default());
    let now = Instant::from_millis(1000);
    let rights = Arc::new(Rights::everything());
    for peer in 0..=WORKERS {
        broker
            .handle(now, Input::Connected { peer: PeerId(peer), identity: Bytes::new(), rights: Arc::clone(&rights) });
    }
    for peer in 1..=WORKERS {
        say(&mut broker, now, peer, Frames::from([&b""[..], b"MDPW01", b"\x01", b"echo"]));
    }
    let body = Bytes::from(vec![b'x'; 64]);
    for _ in 0..OUTSTANDING {
        say(&mut broker, now, 0, request(&body));
    }
    let start = std::time::Instant::now();
    let mut answered = 0;
    let mut inputs = VecDeque::new();
    while answered < REQUESTS {
        while let Some(output) = broker.poll() {
            match output {
                Output::Send { peer: PeerId(0), .. } => {
                    answered += 1;
                    inputs.push_back((0, request(&body)));
                }
                Output::Send { peer: PeerId(peer), frames } => inputs.push_back((peer, reply(&frames))),
                _ => {}
            }
        }
        while let Some((peer, frames)) = inputs.pop_front() {
            say(&mut broker, now, peer, frames);
        }
    }
    println!("{} ns a request", start.elapsed().as_nanos() / u128::from(REQUESTS));
}

fn say(broker: &mut Broker, now: Instant, peer: u64, frames: Frames) {
    broker.handle(now, Input::Message { peer: PeerId(peer), frames });
}

fn request(body: &Bytes) -> Frames {
    let head = [&b""[..], b"MDPC01", b"echo"].map(Bytes::from_static);
    head.into_iter().chain([body.clone()]).collect()
}

/// `"" MDPW01 02 address "" body` becomes `"" MDPW01 03 address "" body`.
fn reply(request: &Frames) -> Frames {
    let command = [Bytes::from_static(b"\x03")];
    request[..2].iter().cloned().chain(command).chain(request[3..].iter().cloned()).collect()
}
