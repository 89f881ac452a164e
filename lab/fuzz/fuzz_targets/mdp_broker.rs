//! MDP as its three readers decode it: a broker, a client and a worker. No message may make them panic, and what one of
//! them accepts must encode to the very frames that it was decoded from: nothing is lost, nothing is made up.
//!
//! ```text
//! input:  reader (1)  { length (1)  octets (length) } *       a length past the end takes what is left
//! ```
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use protocol::mdp::client::{decode_reply, encode_reply};
use protocol::mdp::worker::ToWorker;
use protocol::mdp::{self, Dialect, FromPeer};
use protocol::mmi::Query;
use protocol::{Frames, ServiceName};

fuzz_target!(|input: &[u8]| {
    let Some((reader, rest)) = input.split_first() else { return };
    let message = frames(rest);
    let dialect = DIALECTS[usize::from(reader / 3) % DIALECTS.len()];
    match reader % 3 {
        0 => broker(message),
        1 => client(dialect, message),
        _ => worker(dialect, message),
    }
});

fn broker(message: Frames) {
    match mdp::decode(message.clone()) {
        Err(_) => {}
        Ok(FromPeer::Client(request)) => {
            // What it asks of the broker itself is read from the same bytes.
            let _ = Query::parse(&request.service, &request.body);
            assert_eq!(request.encode(), message);
        }
        Ok(FromPeer::Worker(dialect, command)) => assert_eq!(command.encode(dialect), message),
    }
}

fn client(dialect: Dialect, message: Frames) {
    let Ok(reply) = decode_reply(dialect, message.clone()) else { return };
    // The one dialect that leaves the service out does not write it either.
    let service = reply.service.unwrap_or_else(|| "unsaid".parse::<ServiceName>().expect("a valid name"));
    assert_eq!(encode_reply(dialect, reply.envelope, &service, reply.part, reply.body), message);
}

fn worker(dialect: Dialect, message: Frames) {
    let Ok(command) = ToWorker::decode(dialect, message.clone()) else { return };
    assert_eq!(command.encode(dialect), message);
}

fn frames(mut rest: &[u8]) -> Frames {
    let mut frames = Frames::new();
    while let Some((length, after)) = rest.split_first() {
        let (frame, after) = after.split_at(after.len().min(usize::from(*length)));
        frames.push(Bytes::copy_from_slice(frame));
        rest = after;
    }
    frames
}

const DIALECTS: [Dialect; 4] = [Dialect::V01, Dialect::V02, Dialect::V02Delimited, Dialect::V02Majortomo];
