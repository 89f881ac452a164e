//! Each limit of MDP 0.3 is met, and not passed.

use std::time::Duration;

use bytes::Bytes;
use protocol::fault::OptionFault;
use protocol::mdp::v03::options::kind;
use protocol::mdp::v03::{Options, ToWorker, decode, worker};
use protocol::{Frames, PeerFault, limits};

use super::document::vector;
use super::fault;

/// A REQUEST with these options.
fn request(options: &[u8]) -> Frames {
    let head = [b"MDPC03\x020123456789abcdef\x04echo", options].concat();
    Frames::from([Bytes::from(head), Bytes::from_static(b"hi")])
}

fn option(kind: u8, length: usize) -> Vec<u8> {
    let size = u16::try_from(length).unwrap().to_be_bytes();
    [&[kind], &size[..], &vec![b'x'; length]].concat()
}

/// A READY whose services are these frames.
fn ready(offers: Vec<Vec<u8>>) -> Frames {
    let head = Bytes::from_static(b"MDPW03\x01\0\0\0\x01\0\0\x09\xc4");
    std::iter::once(head).chain(offers.into_iter().map(Bytes::from)).collect()
}

fn offer(number: usize, options: &[u8]) -> Vec<u8> {
    [b"\x05", format!("{number:05}").as_bytes(), options].concat()
}

#[test]
fn options_max_is_met_and_not_passed() {
    let list = |count: u8| (0x10..0x10 + count).flat_map(|kind| option(kind, 1)).collect::<Vec<u8>>();
    assert!(decode(request(&list(32))).is_ok());
    assert_eq!(fault(request(&list(33))), PeerFault::Option(OptionFault::Count));
}

#[test]
fn options_bytes_max_is_met_and_not_passed() {
    let of = |length: usize| request(&option(0x30, length - kind::HEAD_BYTES));
    assert!(decode(of(limits::OPTIONS_BYTES_MAX)).is_ok());
    let expected = OptionFault::Bytes { bytes: 2049, allowed: 2048 };
    assert_eq!(fault(of(limits::OPTIONS_BYTES_MAX + 1)), PeerFault::Option(expected));
}

#[test]
fn ten_thousand_options_are_refused_before_they_are_counted() {
    let expected = OptionFault::Bytes { bytes: 30_000, allowed: 2048 };
    assert_eq!(fault(request(&option(0x30, 0).repeat(10_000))), PeerFault::Option(expected));
}

#[test]
fn texts_are_as_long_as_allowed_and_not_longer() {
    for (kind, bytes_max) in [
        (kind::REASON, limits::REASON_BYTES_MAX),
        (kind::ENDPOINTS, limits::ENDPOINTS_BYTES_MAX),
        (kind::NAME, limits::LABEL_BYTES_MAX),
        (kind::VERSION, limits::LABEL_BYTES_MAX),
        (kind::DESCRIPTION, limits::DESCRIPTION_BYTES_MAX),
    ] {
        assert!(decode(request(&option(kind, bytes_max))).is_ok(), "{kind:#x}");
        let fault = fault(request(&option(kind, bytes_max + 1)));
        assert!(matches!(fault, PeerFault::Option(OptionFault::Value(_))), "{kind:#x}: {fault}");
    }
}

#[test]
fn traces_longer_than_w3c_has_them_are_not_read() {
    let read = |kind, length| {
        let options = Options::build().with(kind, "x".repeat(length)).finish().unwrap();
        options.traceparent().or(options.tracestate()).map(str::len)
    };
    for (kind, bytes_max) in
        [(kind::TRACEPARENT, limits::TRACEPARENT_BYTES_MAX), (kind::TRACESTATE, limits::TRACESTATE_BYTES_MAX)]
    {
        assert_eq!(read(kind, bytes_max), Some(bytes_max));
        assert_eq!(read(kind, bytes_max + 1), None);
    }
}

#[test]
fn credit_max_is_met_and_not_passed() {
    let credit = |credit: u32| Frames::from([[b"MDPW03\x06", &credit.to_be_bytes()[..]].concat()]);
    assert!(decode(credit(limits::CREDIT_MAX)).is_ok());
    assert!(matches!(fault(credit(limits::CREDIT_MAX + 1)), PeerFault::Value { what: "credit", value: 65_537, .. }));
}

#[test]
fn heartbeat_interval_max_is_met_and_not_passed() {
    let longest = u32::try_from(limits::HEARTBEAT_INTERVAL_MAX.as_millis()).unwrap();
    let heartbeat = |millis: u32| Frames::from([[b"MDPW03\x08", &millis.to_be_bytes()[..]].concat()]);
    assert!(decode(heartbeat(longest)).is_ok() && decode(heartbeat(1)).is_ok());
    assert!(matches!(fault(heartbeat(longest + 1)), PeerFault::Value { value: 60_001, .. }));
}

#[test]
fn services_per_worker_max_is_met_and_not_passed() {
    let of = |count| ready((0..count).map(|number| offer(number, b"")).collect());
    assert!(decode(of(limits::SERVICES_PER_WORKER_MAX)).is_ok());
    let expected = PeerFault::Value { what: "number of services", value: 65, allowed: "1 to 64" };
    assert_eq!(fault(of(limits::SERVICES_PER_WORKER_MAX + 1)), expected);
}

#[test]
fn offer_options_bytes_max_is_met_and_not_passed() {
    let of = |length: usize| ready(vec![offer(1, &option(kind::SCHEMA, length - kind::HEAD_BYTES))]);
    assert!(decode(of(limits::OFFER_OPTIONS_BYTES_MAX)).is_ok());
    let expected = OptionFault::Bytes { bytes: 16_385, allowed: 16_384 };
    assert_eq!(fault(of(limits::OFFER_OPTIONS_BYTES_MAX + 1)), PeerFault::Option(expected));
}

#[test]
fn ready_bytes_max_is_met_and_not_passed() {
    // The head has 15 octets; each of five offers has 6, and a schema of 3 and more.
    let of = |bytes: usize| {
        let schema = |number| if number == 0 { bytes - 15 - 9 - 4 * 16_009 } else { 16_000 };
        ready((0..5).map(|number| offer(number, &option(kind::SCHEMA, schema(number)))).collect())
    };
    assert_eq!(of(limits::READY_BYTES_MAX).byte_count(), limits::READY_BYTES_MAX);
    assert!(decode(of(limits::READY_BYTES_MAX)).is_ok());
    let expected = PeerFault::Value { what: "READY in bytes", value: 65_537, allowed: "65536" };
    assert_eq!(fault(of(limits::READY_BYTES_MAX + 1)), expected);
}

#[test]
fn more_time_than_the_wire_can_say_is_not_taken_for_no_end() {
    let Ok(ToWorker::Request(request)) = ToWorker::decode(vector("worker-request")) else { panic!("a request") };
    let long = worker::Request { remaining: Some(Duration::MAX), ..request };
    let Ok(ToWorker::Request(read)) = ToWorker::decode(ToWorker::Request(long).encode()) else { panic!("a request") };
    assert_eq!(read.remaining, Some(Duration::from_millis(u64::from(u32::MAX) - 1)));
}

#[test]
fn a_reason_is_cut_between_characters_and_left_out_when_empty() {
    let length = |text: &str| Options::build().reason(text).finish().unwrap().reason().map(str::len);
    assert_eq!(length(&"x".repeat(600)), Some(limits::REASON_BYTES_MAX));
    assert_eq!(length(&format!("x{}", "é".repeat(300))), Some(511));
    assert_eq!(length(""), None);
}

#[test]
fn a_list_that_no_reader_would_take_cannot_be_built() {
    let long = "x".repeat(3000);
    let expected = OptionFault::Bytes { bytes: 3003, allowed: 2048 };
    assert_eq!(Options::build().schema(&long).finish(), Err(expected));
    assert!(Options::build().schema(&long).finish_offer().is_ok());
    assert_eq!(Options::build().name("").finish(), Err(OptionFault::Value("NAME")));
    let huge = Options::build().with(0x30, vec![0; 70_000]).finish();
    assert_eq!(huge, Err(OptionFault::Bytes { bytes: 70_003, allowed: 2048 }));
}
