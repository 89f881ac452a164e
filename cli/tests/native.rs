//! MDP 0.3 octet by octet, with real processes: what a client that repeats itself is told.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod common;

use common::raw::Raw;
use common::{Majordomo, call, wait_until};

const ID: [u8; 16] = *b"0123456789abcdef";

fn request(service: &[u8], body: &[u8]) -> Vec<u8> {
    let head = [b"MDPC03\x02", &ID[..], &[u8::try_from(service.len()).unwrap()], service].concat();
    common::raw::message(&[&head, body])
}

fn cancel() -> Vec<u8> {
    common::raw::message(&[&[b"MDPC03\x05", &ID[..]].concat()])
}

/// The status of a FINAL without parts, and its first frame.
fn last(raw: &mut Raw) -> (u16, Vec<u8>) {
    let frames = raw.receive();
    let head = &frames[0];
    assert_eq!((&head[..7], &head[7..23], &head[23..27]), (&b"MDPC03\x04"[..], &ID[..], &[0; 4][..]));
    (u16::from_be_bytes([head[27], head[28]]), frames.get(1).cloned().unwrap_or_default())
}

/// A broker whose only worker has answered the request of `anna`, and has left.
fn answered(flags: &[&str]) -> Majordomo {
    let broker = Majordomo::broker(flags);
    let worker = Majordomo::echo(&broker.endpoint);
    let mut anna = Raw::dealer_as(&broker.endpoint, b"anna");
    anna.write(&request(b"echo", b"hello"));
    assert_eq!(last(&mut anna), (200, b"hello".to_vec()));
    drop(worker);
    wait_until("no worker", || call(&broker.endpoint, &["mmi.service", "echo"]) == ["404"]);
    broker
}

#[test]
fn a_repeated_request_is_answered_from_what_is_kept_when_its_worker_is_gone() {
    let broker = answered(&[]);
    let mut anna = Raw::dealer_as(&broker.endpoint, b"anna");
    anna.write(&request(b"echo", b"hello"));
    assert_eq!(last(&mut anna), (200, b"hello".to_vec()));
    anna.write(&request(b"echo", b"another"));
    assert_eq!(last(&mut anna).0, 409);
}

#[test]
fn a_broker_that_is_to_keep_nothing_takes_a_repeated_request_for_a_new_one() {
    for flags in [["--kept-answers-max", "0"], ["--kept-bytes-max", "0"], ["--kept-window", "1ms"]] {
        let broker = answered(&flags);
        let mut anna = Raw::dealer_as(&broker.endpoint, b"anna");
        // It waits for a worker, so there is something to cancel.
        anna.write(&request(b"echo", b"hello"));
        anna.write(&cancel());
        assert_eq!(last(&mut anna).0, 499, "{flags:?}");
    }
}
