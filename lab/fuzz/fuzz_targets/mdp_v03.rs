//! MDP 0.3 as its three readers decode it. No message may make them panic; what one of them accepts means the same once
//! it has been encoded again; and what a broker hands on from end to end is octet for octet what it was given.
//!
//! ```text
//! input:  reader (1)  { length (1)  octets (length) } *       a length past the end takes what is left
//! ```
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use protocol::Frames;
use protocol::mdp::v03::{self, FromClient, FromPeer, FromWorker, Options, ToClient, ToWorker};

fuzz_target!(|input: &[u8]| {
    let Some((reader, rest)) = input.split_first() else { return };
    let message = frames(rest);
    match reader % 3 {
        0 => broker(&message),
        1 => client(&message),
        _ => worker(&message),
    }
});

fn broker(message: &Frames) {
    let Ok(said) = v03::decode(message.clone()) else { return };
    let again = match said.clone() {
        FromPeer::Client(command) => command.encode(),
        FromPeer::Worker(command) => command.encode(),
    };
    assert_eq!(v03::decode(again), Ok(said.clone()));
    match said {
        FromPeer::Client(FromClient::Request(request)) => {
            read(&request.terms.passed_on);
            assert!(message[0].ends_with(request.terms.passed_on.as_bytes()));
            assert_eq!(request.body[..], message[1..]);
        }
        FromPeer::Worker(FromWorker::Final { outcome, .. }) => read(&outcome.options),
        FromPeer::Worker(FromWorker::Ready(ready)) => ready.offers.iter().for_each(|offer| read(&offer.options)),
        _ => {}
    }
}

fn client(message: &Frames) {
    let Ok(said) = ToClient::decode(message.clone()) else { return };
    assert_eq!(ToClient::decode(said.clone().encode()), Ok(said.clone()));
    if let ToClient::Final { outcome, .. } = said {
        read(&outcome.options);
    }
}

fn worker(message: &Frames) {
    let Ok(said) = ToWorker::decode(message.clone()) else { return };
    assert_eq!(ToWorker::decode(said.clone().encode()), Ok(said.clone()));
    if let ToWorker::Request(request) = said {
        read(&request.options);
    }
}

/// What can be read out of a list that was accepted, and what can be made of it.
fn read(options: &Options) {
    let texts = [options.reason(), options.name(), options.version(), options.description(), options.schema()];
    assert!(texts.iter().flatten().all(|text| !text.is_empty()));
    assert!([options.traceparent(), options.tracestate()].iter().flatten().all(|text| text.len() <= 512));
    let _ = options.retry_after();
    assert!(options.endpoints().map(str::len).sum::<usize>() <= 1024);
    assert!(options.as_bytes().ends_with(options.passed_on().as_bytes()));
    let without = options.without(0x06);
    assert!(without.endpoints().next().is_none() && without.passed_on() == options.passed_on());
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
