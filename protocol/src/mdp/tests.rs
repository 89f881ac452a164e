//! Golden bytes of RFC 7 and 18 as captured from the field, every malformed form, and round trips of every command.

use bytes::Bytes;
use proptest::prelude::*;

use super::client::{Part, Reply, decode_reply, encode_reply};
use super::worker::{FromWorker, ToWorker};
use super::*;
use crate::identity::ServiceName;
use crate::limits;

fn name(text: &str) -> ServiceName {
    text.parse().unwrap()
}

fn frames(list: &[&[u8]]) -> Frames {
    list.iter().map(|frame| Bytes::copy_from_slice(frame)).collect()
}

fn worker(dialect: Dialect, command: FromWorker) -> FromPeer {
    FromPeer::Worker(dialect, command)
}

#[test]
fn rfc7_client_request_has_no_command_frame() {
    let wire = frames(&[b"", b"MDPC01", b"echo", b"hi"]);
    let request = Request::new(Dialect::V01, Frames::new(), name("echo"), Frames::from(["hi"]));
    assert_eq!(request.encode(), wire);
    assert_eq!(decode(wire), Ok(FromPeer::Client(request)));
}

#[test]
fn rfc7_client_reply_repeats_header_and_service() {
    let wire = encode_reply(Dialect::V01, Frames::new(), &name("echo"), Part::Final, Frames::from(["hi"]));
    assert_eq!(wire, frames(&[b"", b"MDPC01", b"echo", b"hi"]));
}

#[test]
fn rfc7_worker_commands_are_the_documented_octets() {
    let address = Bytes::from_static(b"a1");
    let body = Frames::from(["x", "y"]);
    let reply = FromWorker::Reply { address: address.clone(), part: Part::Final, body: body.clone() };
    let ready = FromWorker::Ready { service: name("echo"), credit: 1 };
    for (command, wire) in [
        (ready, frames(&[b"", b"MDPW01", b"\x01", b"echo"])),
        (reply, frames(&[b"", b"MDPW01", b"\x03", b"a1", b"", b"x", b"y"])),
        (FromWorker::Heartbeat, frames(&[b"", b"MDPW01", b"\x04"])),
        (FromWorker::Disconnect, frames(&[b"", b"MDPW01", b"\x05"])),
    ] {
        assert_eq!(command.clone().encode(Dialect::V01), wire);
        assert_eq!(decode(wire), Ok(worker(Dialect::V01, command)));
    }
    for (command, wire) in [
        (ToWorker::Request { address, body }, frames(&[b"", b"MDPW01", b"\x02", b"a1", b"", b"x", b"y"])),
        (ToWorker::Heartbeat, frames(&[b"", b"MDPW01", b"\x04"])),
        (ToWorker::Disconnect, frames(&[b"", b"MDPW01", b"\x05"])),
    ] {
        assert_eq!(command.clone().encode(Dialect::V01), wire);
        assert_eq!(ToWorker::decode(Dialect::V01, wire), Ok(command));
    }
}

#[test]
fn rfc18_client_commands_are_the_documented_octets() {
    let request = Request::new(Dialect::V02, Frames::new(), name("echo"), Frames::from(["hi"]));
    assert_eq!(request.encode(), frames(&[b"MDPC02", b"\x01", b"echo", b"hi"]));
    assert_eq!(decode(request.encode()), Ok(FromPeer::Client(request)));
    for (part, octet) in [(Part::Partial, b"\x02"), (Part::Final, b"\x03")] {
        let wire = encode_reply(Dialect::V02, Frames::new(), &name("echo"), part, Frames::from(["hi"]));
        assert_eq!(wire, frames(&[b"MDPC02", octet, b"echo", b"hi"]));
    }
}

#[test]
fn rfc18_worker_commands_are_the_documented_octets() {
    let reply = |part| FromWorker::Reply { address: Bytes::from_static(b"a1"), part, body: Frames::from(["x"]) };
    for (command, wire) in [
        (FromWorker::Ready { service: name("echo"), credit: 1 }, frames(&[b"MDPW02", b"\x01", b"echo"])),
        (reply(Part::Partial), frames(&[b"MDPW02", b"\x03", b"a1", b"", b"x"])),
        (reply(Part::Final), frames(&[b"MDPW02", b"\x04", b"a1", b"", b"x"])),
        (FromWorker::Heartbeat, frames(&[b"MDPW02", b"\x05"])),
        (FromWorker::Disconnect, frames(&[b"MDPW02", b"\x06"])),
    ] {
        assert_eq!(command.clone().encode(Dialect::V02), wire);
        assert_eq!(decode(wire), Ok(worker(Dialect::V02, command)));
    }
}

#[test]
fn a_02_peer_behind_an_empty_frame_is_known_as_such() {
    let wire = frames(&[b"", b"MDPW02", b"\x01", b"echo"]);
    let ready = FromWorker::Ready { service: name("echo"), credit: 1 };
    assert_eq!(decode(wire), Ok(worker(Dialect::V02Delimited, ready)));
    let wire = frames(&[b"", b"MDPC02", b"\x01", b"echo", b"hi"]);
    assert!(matches!(decode(wire), Ok(FromPeer::Client(Request { dialect: Dialect::V02Delimited, .. }))));
}

#[test]
fn a_majortomo_client_is_known_by_its_request_and_answered_without_service() {
    let wire = frames(&[b"", b"MDPC02", b"\x02", b"echo", b"hi"]);
    let Ok(FromPeer::Client(request)) = decode(wire.clone()) else { panic!("not a client request") };
    assert_eq!(request.dialect, Dialect::V02Majortomo);
    assert_eq!(request.encode(), wire);
    let reply = encode_reply(request.dialect, Frames::new(), &request.service, Part::Final, Frames::from(["hi"]));
    assert_eq!(reply, frames(&[b"", b"MDPC02", b"\x04", b"hi"]));
    assert_eq!(decode(frames(&[b"MDPC02", b"\x02", b"echo", b"hi"])), Err(PeerFault::Command));
}

#[test]
fn the_envelope_of_req_correlate_comes_back_with_the_reply() {
    let Ok(FromPeer::Client(request)) = decode(frames(&[b"\x00\x00\x00\x07", b"", b"MDPC01", b"echo", b"hi"])) else {
        panic!("not a client request")
    };
    assert_eq!(request.envelope, frames(&[b"\x00\x00\x00\x07"]));
    let reply = encode_reply(Dialect::V01, request.envelope, &request.service, Part::Final, request.body);
    assert_eq!(reply, frames(&[b"\x00\x00\x00\x07", b"", b"MDPC01", b"echo", b"hi"]));
}

#[test]
fn envelope_frames_max_is_met_and_not_passed() {
    let with = |count: usize| {
        let mut message: Frames = std::iter::repeat_n(Bytes::from_static(b"e"), count).collect();
        message.extend(frames(&[b"", b"MDPC01", b"echo", b"hi"]));
        decode(message)
    };
    assert!(with(limits::ENVELOPE_FRAMES_MAX).is_ok());
    assert_eq!(with(limits::ENVELOPE_FRAMES_MAX + 1), Err(PeerFault::Envelope));
}

#[test]
fn a_frame_of_an_envelope_is_as_long_as_an_identity_at_most() {
    let with = |octets: usize| decode(frames(&[&vec![b'e'; octets], b"", b"MDPC01", b"echo", b"hi"]));
    assert!(with(limits::IDENTITY_BYTES_MAX).is_ok());
    assert_eq!(with(limits::IDENTITY_BYTES_MAX + 1), Err(PeerFault::Envelope));
}

#[test]
fn each_malformed_message_is_a_fault_that_names_the_rule() {
    let long = vec![b'x'; limits::SERVICE_NAME_BYTES_MAX + 1];
    for (wire, fault) in [
        (frames(&[]), PeerFault::Header),
        (frames(&[b""]), PeerFault::Header),
        (frames(&[b"hello"]), PeerFault::Header),
        (frames(&[b"MDPC01", b"echo", b"hi"]), PeerFault::Header),
        (frames(&[b"", b"MDPC09", b"echo", b"hi"]), PeerFault::Header),
        (frames(&[b"", b"MDPC01"]), PeerFault::Missing("service name")),
        (frames(&[b"", b"MDPC01", b"echo"]), PeerFault::Missing("body")),
        (frames(&[b"", b"MDPC01", b"", b"hi"]), PeerFault::ServiceName(0)),
        (frames(&[b"", b"MDPC01", &long, b"hi"]), PeerFault::ServiceName(256)),
        (frames(&[b"MDPC02"]), PeerFault::Missing("command")),
        (frames(&[b"MDPC02", b"\x03", b"echo", b"hi"]), PeerFault::Command),
        (frames(&[b"MDPC02", b"\x01\x01", b"echo", b"hi"]), PeerFault::Command),
        (frames(&[b"", b"MDPC02", b"\x03", b"echo", b"hi"]), PeerFault::Command),
        (frames(&[b"", b"MDPW01"]), PeerFault::Missing("command")),
        (frames(&[b"", b"MDPW01", b""]), PeerFault::Command),
        (frames(&[b"", b"MDPW01", b"\x02", b"a", b"", b"x"]), PeerFault::Command),
        (frames(&[b"", b"MDPW01", b"\x06"]), PeerFault::Command),
        (frames(&[b"", b"MDPW01", b"\x01"]), PeerFault::Missing("service name")),
        (frames(&[b"", b"MDPW01", b"\x01", b"echo", b"more"]), PeerFault::Trailing("READY")),
        (frames(&[b"", b"MDPW01", b"\x04", b"more"]), PeerFault::Trailing("HEARTBEAT")),
        (frames(&[b"", b"MDPW01", b"\x05", b"more"]), PeerFault::Trailing("DISCONNECT")),
        (frames(&[b"", b"MDPW01", b"\x03"]), PeerFault::Missing("client address")),
        (frames(&[b"", b"MDPW01", b"\x03", b"a"]), PeerFault::Missing("empty frame after the client address")),
        (frames(&[b"", b"MDPW01", b"\x03", b"a", b"b", b"x"]), PeerFault::Address),
        (frames(&[b"", b"MDPW01", b"\x03", b"", b"", b"x"]), PeerFault::Address),
        (frames(&[b"", b"MDPW01", b"\x03", b"a", b""]), PeerFault::Missing("body")),
        (frames(&[b"e", b"", b"MDPW01", b"\x04"]), PeerFault::Envelope),
    ] {
        assert_eq!(decode(wire.clone()), Err(fault), "{wire:?}");
    }
}

fn any_dialect() -> impl Strategy<Value = Dialect> {
    prop_oneof![Just(Dialect::V01), Just(Dialect::V02), Just(Dialect::V02Delimited), Just(Dialect::V02Majortomo)]
}

fn any_frame(least: usize) -> impl Strategy<Value = Bytes> {
    prop::collection::vec(any::<u8>(), least..40).prop_map(Bytes::from)
}

fn any_body() -> impl Strategy<Value = Frames> {
    prop::collection::vec(any_frame(0), 1..8).prop_map(Frames::from)
}

fn any_service() -> impl Strategy<Value = ServiceName> {
    prop::collection::vec(any::<u8>(), 1..=255).prop_map(|bytes| ServiceName::new(bytes).unwrap())
}

/// An envelope whose first frame is not itself a 0.2 header, which no client sends.
fn any_envelope() -> impl Strategy<Value = Frames> {
    prop::collection::vec(any_frame(1), 0..4)
        .prop_map(Frames::from)
        .prop_filter("header as envelope", |frames| frames.first().is_none_or(|first| dialect::pure(first).is_none()))
}

fn any_part(dialect: Dialect) -> impl Strategy<Value = Part> {
    prop_oneof![Just(if dialect.streams() { Part::Partial } else { Part::Final }), Just(Part::Final)]
}

proptest! {
    #[test]
    fn every_request_survives_encode_and_decode(
        dialect in any_dialect(), envelope in any_envelope(), service in any_service(), body in any_body()
    ) {
        let envelope = if dialect.is_delimited() { envelope } else { Frames::new() };
        let request = Request::new(dialect, envelope, service, body);
        prop_assert_eq!(decode(request.encode()), Ok(FromPeer::Client(request)));
    }

    #[test]
    fn every_reply_survives_encode_and_decode(
        (dialect, part) in any_dialect().prop_flat_map(|dialect| (Just(dialect), any_part(dialect))),
        envelope in any_envelope(), service in any_service(), body in any_body()
    ) {
        let envelope = if dialect.is_delimited() { envelope } else { Frames::new() };
        let wire = encode_reply(dialect, envelope.clone(), &service, part, body.clone());
        let service = (dialect != Dialect::V02Majortomo).then_some(service);
        prop_assert_eq!(decode_reply(dialect, wire), Ok(Reply { envelope, service, part, body }));
    }

    #[test]
    fn every_worker_command_survives_encode_and_decode(
        (dialect, part) in prop_oneof![Just(Dialect::V01), Just(Dialect::V02), Just(Dialect::V02Delimited)]
            .prop_flat_map(|dialect| (Just(dialect), any_part(dialect))),
        kind in 0..4u8, service in any_service(), address in any_frame(1), body in any_body()
    ) {
        let command = match kind {
            0 => FromWorker::Ready { service, credit: 1 },
            1 => FromWorker::Reply { address, part, body },
            2 => FromWorker::Heartbeat,
            _ => FromWorker::Disconnect,
        };
        prop_assert_eq!(decode(command.clone().encode(dialect)), Ok(FromPeer::Worker(dialect, command)));
    }

    #[test]
    fn every_command_to_a_worker_survives_encode_and_decode(
        dialect in prop_oneof![Just(Dialect::V01), Just(Dialect::V02), Just(Dialect::V02Delimited)],
        kind in 0..3u8, address in any_frame(1), body in any_body()
    ) {
        let command = match kind {
            0 => ToWorker::Request { address, body },
            1 => ToWorker::Heartbeat,
            _ => ToWorker::Disconnect,
        };
        prop_assert_eq!(ToWorker::decode(dialect, command.clone().encode(dialect)), Ok(command));
    }

    #[test]
    fn no_frames_whatever_panic_a_decoder(
        starts in prop::collection::vec(prop_oneof![
            any_frame(0), Just(Bytes::new()), Just(Bytes::from_static(b"MDPC01")), Just(Bytes::from_static(b"MDPW01")),
            Just(Bytes::from_static(b"MDPC02")), Just(Bytes::from_static(b"MDPW02")),
            (0..8u8).prop_map(|octet| Bytes::from(vec![octet]))
        ], 0..12)
    ) {
        let message = Frames::from(starts);
        let _ = decode(message.clone());
        for dialect in [Dialect::V01, Dialect::V02, Dialect::V02Delimited, Dialect::V02Majortomo] {
            let _ = ToWorker::decode(dialect, message.clone());
            let _ = decode_reply(dialect, message.clone());
        }
    }
}
