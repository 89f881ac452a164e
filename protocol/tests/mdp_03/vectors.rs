//! Every vector of the RFC, encoded and decoded.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use protocol::mdp::v03::client::Request;
use protocol::mdp::v03::worker::{self, Farewell};
use protocol::mdp::v03::{
    Drain, FromClient, FromPeer, FromWorker, Idempotency, JobNumber, Offer, Options, Outcome, Ready, Rejected, Status,
    Terms, ToClient, ToWorker, decode,
};
use protocol::{Frames, PeerFault, Priority, RequestId, ServiceName};

use super::Message;
use super::document::{vector, vectors};

const ID: RequestId =
    RequestId([0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff]);
const JOB: JobNumber = JobNumber(7);
const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn name(text: &str) -> ServiceName {
    text.parse().unwrap()
}

fn hi() -> Frames {
    Frames::from(["hi"])
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn client(command: FromClient) -> Message {
    Message::Broker(FromPeer::Client(command))
}

fn worker(command: FromWorker) -> Message {
    Message::Broker(FromPeer::Worker(command))
}

fn failed(status: Status, parts: u32, options: Options) -> Outcome {
    Outcome { parts, status, options }
}

/// What each well-formed vector says.
fn meanings() -> Vec<(&'static str, Message)> {
    let terms = Terms {
        deadline: Some(millis(2500)),
        priority: Priority::MAX,
        idempotency: Idempotency::Once,
        passed_on: Options::build().trace(TRACEPARENT, None).with(0xb0, [0xbe, 0xef]).finish().unwrap(),
    };
    let hints = Options::build().reason("late").retry_after(millis(1000)).endpoints(["tcp://a:1", "tcp://b"]);
    let drain = |grace, service, options| Drain { grace: millis(grace), service, options };
    let ready = Ready {
        credit: 64,
        interval: millis(2500),
        options: Options::build().name("w1").version("1.0").finish().unwrap(),
        offers: vec![
            Offer { service: name("echo"), options: Options::build().description("repeats").finish_offer().unwrap() },
            Offer { service: name("add"), options: Options::build().schema("{}").finish_offer().unwrap() },
        ],
    };
    let request = worker::Request {
        job: JOB,
        attempt: 1,
        remaining: Some(millis(2500)),
        id: Some(ID),
        service: name("echo"),
        options: Options::build().with(0x82, "a=1").finish().unwrap(),
        body: hi(),
    };
    let old = worker::Request { attempt: 2, remaining: None, id: None, options: Options::none(), ..request.clone() };
    let plain = Request { id: ID, service: name("echo"), terms: Terms::default(), body: hi() };
    let body = Frames::from(["hi", ""]);
    let one_part = Outcome { parts: 1, ..Outcome::OK };
    let no = Options::build().reason("no").finish().unwrap();
    let unknown = Options::build().reason("unknown command").finish().unwrap();
    vec![
        ("client-request", client(FromClient::Request(plain.clone()))),
        ("client-request-with-options", client(FromClient::Request(Request { terms, body, ..plain }))),
        ("client-partial", Message::Client(ToClient::Partial { id: ID, part: 0, body: hi() })),
        ("client-final", Message::Client(ToClient::Final { id: ID, outcome: one_part.clone(), body: hi() })),
        (
            "client-final-draining",
            Message::Client(ToClient::Final {
                id: ID,
                outcome: failed(Status::DRAINING, 0, hints.finish().unwrap()),
                body: Frames::new(),
            }),
        ),
        ("client-cancel", client(FromClient::Cancel(ID))),
        ("client-drain", Message::Client(ToClient::Drain(drain(30_000, None, Options::none())))),
        ("client-heartbeat", Message::Client(ToClient::Heartbeat)),
        ("worker-ready", worker(FromWorker::Ready(ready))),
        ("worker-request", Message::Worker(ToWorker::Request(request))),
        ("worker-request-of-an-old-client", Message::Worker(ToWorker::Request(old))),
        ("worker-partial", worker(FromWorker::Partial { job: JOB, part: 0, body: hi() })),
        ("worker-final", worker(FromWorker::Final { job: JOB, outcome: one_part, body: hi() })),
        (
            "worker-final-failed",
            worker(FromWorker::Final { job: JOB, outcome: failed(Status::WORKER_FAILED, 0, no), body: Frames::new() }),
        ),
        ("worker-cancel", Message::Worker(ToWorker::Cancel(JOB))),
        ("worker-credit", worker(FromWorker::Credit(0))),
        ("worker-drain", worker(FromWorker::Drain(drain(5000, Some(name("echo")), Options::none())))),
        ("worker-heartbeat", worker(FromWorker::Heartbeat(millis(2500)))),
        (
            "worker-disconnect",
            Message::Worker(ToWorker::Disconnect(Farewell { status: Status::BAD_REQUEST, options: unknown })),
        ),
    ]
}

#[test]
fn every_command_is_the_documented_octets() {
    for (name, message) in meanings() {
        assert_eq!(message.clone().encode(), vector(name), "{name}");
        assert_eq!(message.reader().decode(vector(name)), Ok(message), "{name}");
    }
}

#[test]
fn commands_of_both_sides_have_the_same_octets_in_either_direction() {
    assert_eq!(FromClient::Heartbeat.encode(), vector("client-heartbeat"));
    assert_eq!(decode(vector("client-heartbeat")), Ok(FromPeer::Client(FromClient::Heartbeat)));
    assert_eq!(ToWorker::decode(vector("worker-heartbeat")), Ok(ToWorker::Heartbeat(millis(2500))));
    let drain = Drain { grace: millis(5000), service: Some(name("echo")), options: Options::none() };
    assert_eq!(ToWorker::decode(vector("worker-drain")), Ok(ToWorker::Drain(drain.clone())));
    assert_eq!(ToWorker::Drain(drain).encode(), vector("worker-drain"));
    let unknown = Options::build().reason("unknown command").finish().unwrap();
    let farewell = Farewell { status: Status::BAD_REQUEST, options: unknown };
    assert_eq!(FromWorker::Disconnect(farewell.clone()).encode(), vector("worker-disconnect"));
    assert_eq!(decode(vector("worker-disconnect")), Ok(FromPeer::Worker(FromWorker::Disconnect(farewell))));
}

/// What is wrong with each malformed vector, and whether its client is told.
fn faults() -> Vec<(&'static str, Option<RequestId>, &'static str)> {
    vec![
        ("bad-critical-option", Some(ID), "unknown critical option 0x7f"),
        ("bad-option-order", Some(ID), "option 0x01 is out of order"),
        ("bad-option-cut", Some(ID), "options end within an option"),
        ("bad-zero-id", None, "request id of zeros"),
        ("bad-no-body", Some(ID), "frame missing: body"),
        ("bad-credit", None, "credit of 65537 (allowed: 0 to 65536)"),
        ("bad-status", None, "status of 99 (allowed: 200 to 599)"),
    ]
}

#[test]
fn every_malformed_vector_is_refused_by_its_rule() {
    for (name, request, words) in faults() {
        let Err(Rejected { request: told, fault }) = decode(vector(name)) else { panic!("{name} was accepted") };
        assert_eq!((told, fault.to_string().as_str()), (request, words), "{name}");
    }
}

#[test]
fn every_vector_of_the_document_is_tested() {
    let meanings = meanings().into_iter().map(|(name, _)| name);
    let tested: BTreeSet<_> = meanings.chain(faults().into_iter().map(|(name, ..)| name)).collect();
    assert_eq!(vectors().into_keys().collect::<BTreeSet<_>>(), tested);
}

#[test]
fn a_request_of_one_frame_is_two_frames_and_its_names_are_slices_of_the_first() {
    let message = vector("client-request-with-options");
    let head = message[0].as_ptr_range();
    let within = |slice: &[u8]| head.contains(&slice.as_ptr());
    let Ok(FromPeer::Client(FromClient::Request(request))) = decode(message.clone()) else { panic!("a request") };
    assert!(within(request.service.as_bytes()) && within(request.terms.passed_on.as_bytes()));
    assert_eq!(request.terms.passed_on.traceparent(), Some(TRACEPARENT));
    assert_eq!(request.body[0].as_ptr(), message[1].as_ptr());
    assert_eq!(vector("client-request").len(), 2);
}

#[test]
fn other_dialects_are_not_taken_for_this_one() {
    for (message, spoken) in [
        (vector("client-cancel"), true),
        (vector("worker-cancel"), true),
        (Frames::from([&b"MDPC02"[..], b"\x01", b"echo", b"hi"]), false),
        (Frames::from([&b""[..], b"MDPC03\x08"]), false),
        (Frames::new(), false),
    ] {
        assert_eq!(protocol::mdp::v03::is_spoken_in(&message), spoken, "{message:?}");
        assert!(spoken || decode(message).unwrap_err().fault == PeerFault::Header);
    }
    // A broker of before finds no header that it knows, and drops it.
    let request = Frames::from([Bytes::from_static(b"MDPC03\x08")]);
    assert_eq!(protocol::mdp::decode(request), Err(PeerFault::Header));
}
