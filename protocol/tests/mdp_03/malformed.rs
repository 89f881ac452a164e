//! Everything that can be wrong with a message has a rule, and the fault names it.

use bytes::Bytes;
use protocol::fault::OptionFault;
use protocol::mdp::v03::{FromPeer, FromWorker, ToClient, ToWorker, decode};
use protocol::{Frames, PeerFault};

use super::document::{vector, vectors};
use super::{READERS, fault};

const ID: &[u8; 16] = b"0123456789abcdef";

/// A message from a head in pieces, and a body.
fn message(head: &[&[u8]], body: &[&str]) -> Frames {
    let head = Bytes::from(head.concat());
    std::iter::once(head).chain(body.iter().map(|frame| Bytes::copy_from_slice(frame.as_bytes()))).collect()
}

fn request(options: &[u8]) -> Frames {
    message(&[b"MDPC03\x02", ID, b"\x04echo", options], &["hi"])
}

fn option_fault(options: &[u8]) -> OptionFault {
    match fault(request(options)) {
        PeerFault::Option(fault) => fault,
        other => panic!("{other:?} is no fault of options"),
    }
}

#[test]
fn each_malformed_client_message_is_a_fault_that_names_the_rule() {
    let long = [b"\x01".as_slice(), &[b'x'; 20]].concat();
    for (wire, expected) in [
        (Frames::new(), PeerFault::Header),
        (message(&[b""], &[]), PeerFault::Header),
        (message(&[b"MDPC0"], &[]), PeerFault::Header),
        (message(&[b"MDPC03"], &[]), PeerFault::Missing("command")),
        (message(&[b"MDPC03\x02", &ID[..15]], &[]), PeerFault::Missing("request id")),
        (message(&[b"MDPC03\x02", &[0; 16]], &[]), PeerFault::RequestId),
        (message(&[b"MDPC03\x02", ID], &["hi"]), PeerFault::Missing("length of the service name")),
        (message(&[b"MDPC03\x02", ID, b"\x05echo"], &["hi"]), PeerFault::Missing("service name")),
        (message(&[b"MDPC03\x02", ID, b"\x00"], &["hi"]), PeerFault::ServiceName(0)),
        (message(&[b"MDPC03\x02", ID, b"\x04echo"], &[]), PeerFault::Missing("body")),
        (message(&[b"MDPC03\x05", ID, b"x"], &[]), PeerFault::Trailing("CANCEL")),
        (message(&[b"MDPC03\x05", ID], &["x"]), PeerFault::Trailing("CANCEL")),
        (message(&[b"MDPC03\x08", &long], &[]), PeerFault::Trailing("HEARTBEAT")),
        (message(&[b"MDPC03\x08"], &[""]), PeerFault::Trailing("HEARTBEAT")),
        (message(&[b"MDPC03\x00"], &[]), PeerFault::Command),
        (message(&[b"MDPC03\xff"], &[]), PeerFault::Command),
    ] {
        assert_eq!(fault(wire.clone()), expected, "{wire:?}");
    }
}

#[test]
fn each_malformed_worker_message_is_a_fault_that_names_the_rule() {
    let job = &[0, 0, 0, 0, 0, 0, 0, 7][..];
    let value = |what, value, allowed| PeerFault::Value { what, value, allowed };
    for (wire, expected) in [
        (message(&[b"MDPW03"], &[]), PeerFault::Missing("command")),
        (message(&[b"MDPW03\x03", &job[..7]], &["x"]), PeerFault::Missing("job number")),
        (message(&[b"MDPW03\x03", job, b"\0\0\0"], &["x"]), PeerFault::Missing("number of the part")),
        (message(&[b"MDPW03\x03", job, b"\0\0\0\0"], &[]), PeerFault::Missing("body")),
        (message(&[b"MDPW03\x03", job, b"\0\0\0\0!"], &["x"]), PeerFault::Trailing("the head of PARTIAL")),
        (message(&[b"MDPW03\x04", job, b"\0\0\0\0"], &["x"]), PeerFault::Missing("status")),
        (message(&[b"MDPW03\x04", job, b"\0\0\0\0\0\xc8"], &[]), PeerFault::Missing("body")),
        (message(&[b"MDPW03\x06\0\0"], &[]), PeerFault::Missing("credit")),
        (message(&[b"MDPW03\x06\xff\xff\xff\xff"], &[]), value("credit", u64::from(u32::MAX), "0 to 65536")),
        (message(&[b"MDPW03\x08\0\0\0\0"], &[]), value("heartbeat interval in ms", 0, "1 to 60000")),
        (message(&[b"MDPW03\x08\0\0\xea\x61"], &[]), value("heartbeat interval in ms", 60_001, "1 to 60000")),
        (message(&[b"MDPW03\x07\0\0\0\0\0"], &["x"]), PeerFault::Trailing("DRAIN")),
        (message(&[b"MDPW03\x09\0\xc8"], &["x"]), PeerFault::Trailing("DISCONNECT")),
        (message(&[b"MDPW03\x0a"], &[]), PeerFault::Command),
    ] {
        assert_eq!(fault(wire.clone()), expected, "{wire:?}");
    }
}

#[test]
fn each_malformed_ready_is_a_fault_that_names_the_rule() {
    let ready =
        |credit: u32, offers: &[&str]| message(&[b"MDPW03\x01", &credit.to_be_bytes(), &2500u32.to_be_bytes()], offers);
    let value = |what, value, allowed| PeerFault::Value { what, value, allowed };
    assert!(decode(ready(0, &["\x04echo"])).is_ok());
    assert_eq!(fault(ready(1, &[])), value("number of services", 0, "1 to 64"));
    assert_eq!(fault(ready(65_537, &["\x04echo"])), value("credit", 65_537, "0 to 65536"));
    assert_eq!(fault(ready(1, &["\x04echo", "\x04echo"])), PeerFault::Repeated("a service in READY"));
    assert_eq!(fault(ready(1, &[""])), PeerFault::Missing("length of the service name"));
    assert_eq!(fault(ready(1, &["\x00"])), PeerFault::ServiceName(0));
    assert_eq!(fault(ready(1, &["\x04echo!"])), PeerFault::Option(OptionFault::Cut));
}

#[test]
fn a_command_that_is_not_its_senders_own_is_refused() {
    for name in ["client-partial", "client-final", "client-drain", "worker-request", "worker-cancel"] {
        assert_eq!(fault(vector(name)), PeerFault::Command, "{name}");
    }
    for name in ["client-request", "client-cancel"] {
        assert_eq!(ToClient::decode(vector(name)), Err(PeerFault::Command), "{name}");
    }
    for name in ["worker-ready", "worker-partial", "worker-final", "worker-credit"] {
        assert_eq!(ToWorker::decode(vector(name)), Err(PeerFault::Command), "{name}");
    }
    assert_eq!(ToClient::decode(vector("worker-heartbeat")), Err(PeerFault::Header));
    assert_eq!(ToWorker::decode(vector("client-heartbeat")), Err(PeerFault::Header));
}

#[test]
fn a_malformed_request_is_told_to_its_client_if_the_id_could_be_read() {
    let about = |message| decode(message).unwrap_err().request.map(|id| id.0);
    assert_eq!(about(request(b"\x01\0\x01!")), Some(*ID));
    assert_eq!(about(message(&[b"MDPC03\x02", ID], &[])), Some(*ID));
    assert_eq!(about(message(&[b"MDPC03\x02", &ID[1..]], &[])), None);
    assert_eq!(about(vector("bad-credit")), None);
}

#[test]
fn an_option_is_known_ignored_or_refused_by_its_kind() {
    assert!(decode(request(b"\x3f\0\x01x")).is_ok(), "unknown, not critical");
    assert!(decode(request(b"\xbf\0\x01x")).is_ok(), "unknown, passed on");
    assert_eq!(option_fault(b"\x44\0\0"), OptionFault::Critical(0x44));
    assert_eq!(option_fault(b"\xc1\0\0"), OptionFault::Critical(0xc1));
}

#[test]
fn an_option_stands_once_and_in_its_place() {
    assert_eq!(option_fault(b"\x02\0\x01\x05\x02\0\x01\x05"), OptionFault::Order(2));
    assert_eq!(option_fault(b"\x3e\0\0\x3d\0\0"), OptionFault::Order(0x3d));
    assert_eq!(option_fault(b"\x3e\0"), OptionFault::Cut);
    assert_eq!(option_fault(b"\x3e\xff\xffxx"), OptionFault::Cut);
}

#[test]
fn a_known_option_has_a_value_of_its_form() {
    for (options, name) in [
        (&b"\x01\0\x03abc"[..], "DEADLINE"),
        (b"\x02\0\x01\x0a", "PRIORITY"),
        (b"\x02\0\0", "PRIORITY"),
        (b"\x43\0\x01\x03", "IDEMPOTENCY"),
        (b"\x43\0\x02\0\0", "IDEMPOTENCY"),
        (b"\x04\0\0", "REASON"),
        (b"\x04\0\x01\xff", "REASON"),
        (b"\x05\0\x05abcde", "RETRY-AFTER"),
        (b"\x06\0\0", "ENDPOINTS"),
        (b"\x08\0\x01\x80", "NAME"),
        (b"\x09\0\0", "VERSION"),
        (b"\x0a\0\0", "DESCRIPTION"),
        (b"\x0b\0\0", "SCHEMA"),
    ] {
        assert_eq!(option_fault(options), OptionFault::Value(name));
    }
}

#[test]
fn a_trace_that_cannot_be_read_is_no_fault_and_no_trace() {
    let options = b"\x81\0\x02\xff\xff\x82\0\0";
    let wire = message(&[b"MDPW03\x02", &[0; 7], b"\x07\x01\0\0\0\0", ID, b"\x04echo", options], &["hi"]);
    let Ok(ToWorker::Request(request)) = ToWorker::decode(wire) else { panic!("a request") };
    assert_eq!(request.options.as_bytes(), options);
    assert_eq!((request.options.traceparent(), request.options.tracestate()), (None, None));
}

#[test]
fn attempt_zero_is_refused() {
    let wire = message(&[b"MDPW03\x02", &[0; 7], b"\x07\x00\0\0\0\0", ID, b"\x04echo"], &["hi"]);
    let expected = PeerFault::Value { what: "attempt", value: 0, allowed: "1 to 255" };
    assert_eq!(ToWorker::decode(wire), Err(expected));
}

#[test]
fn endpoints_of_a_worker_can_be_taken_out_and_the_rest_stays() {
    let Ok(ToClient::Final { outcome, .. }) = ToClient::decode(vector("client-final-draining")) else { panic!() };
    assert_eq!(outcome.options.endpoints().collect::<Vec<_>>(), ["tcp://a:1", "tcp://b"]);
    let rest = outcome.options.without(0x06);
    assert_eq!((rest.reason(), rest.endpoints().count()), (Some("late"), 0));
    assert_eq!(rest.retry_after(), outcome.options.retry_after());
    assert_eq!(rest.without(0x06), rest);
}

#[test]
fn every_truncated_vector_is_refused_or_says_something_else_that_is_whole() {
    for (name, message) in vectors() {
        for (at, frame) in message.iter().enumerate() {
            for length in 0..frame.len() {
                let mut frames = message.to_vec();
                frames[at].truncate(length);
                stays_itself(name, &message, &frames.into());
            }
        }
        for count in 0..message.len() {
            stays_itself(name, &message, &message.iter().take(count).cloned().collect());
        }
    }
}

#[test]
fn every_flipped_bit_is_refused_or_says_something_else_that_is_whole() {
    for (name, message) in vectors() {
        for (at, frame) in message.iter().enumerate() {
            for bit in 0..8 * frame.len() {
                let mut octets = frame.to_vec();
                octets[bit / 8] ^= 1 << (bit % 8);
                let mut frames = message.to_vec();
                frames[at] = octets.into();
                stays_itself(name, &message, &frames.into());
            }
        }
    }
}

/// Whatever a reader takes a changed message for, it is not the original unless only an ignored option changed, and it
/// encodes to a message that means the same.
fn stays_itself(name: &str, original: &Frames, changed: &Frames) {
    for reader in READERS {
        let Ok(meaning) = reader.decode(changed.clone()) else { continue };
        assert_ne!(reader.decode(original.clone()).as_ref(), Ok(&meaning), "{name}: {changed:?}");
        assert_eq!(reader.decode(meaning.clone().encode()), Ok(meaning), "{name}: {changed:?}");
    }
}

#[test]
fn a_worker_of_another_version_is_not_understood() {
    assert_eq!(fault(message(&[b"MDPW04\x08\0\0\x09\xc4"], &[])), PeerFault::Header);
    let heartbeat = decode(message(&[b"MDPW03\x08\0\0\x09\xc4"], &[]));
    assert!(matches!(heartbeat, Ok(FromPeer::Worker(FromWorker::Heartbeat(_)))));
}
