//! Whatever can be said survives encode and decode; whatever is thrown at a reader does not make it panic.

use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use protocol::mdp::v03::client::Request;
use protocol::mdp::v03::worker::{self, Farewell};
use protocol::mdp::v03::{
    Drain, FromClient, FromPeer, FromWorker, Idempotency, JobNumber, Offer, Options, Outcome, Ready, Status, Terms,
    ToClient, ToWorker,
};
use protocol::{Frames, Priority, RequestId, ServiceName};

use super::{Message, READERS};

fn any_frame() -> impl Strategy<Value = Bytes> {
    prop::collection::vec(any::<u8>(), 0..40).prop_map(Bytes::from)
}

fn any_body(least: usize) -> impl Strategy<Value = Frames> {
    prop::collection::vec(any_frame(), least..6).prop_map(Frames::from)
}

fn any_service() -> impl Strategy<Value = ServiceName> {
    prop::collection::vec(any::<u8>(), 1..=255).prop_map(|bytes| ServiceName::new(bytes).unwrap())
}

fn any_id() -> impl Strategy<Value = RequestId> {
    any::<[u8; 16]>().prop_filter("zeros", |id| *id != [0; 16]).prop_map(RequestId)
}

fn any_millis() -> impl Strategy<Value = Duration> {
    (0..u32::MAX).prop_map(|millis| Duration::from_millis(u64::from(millis)))
}

/// Options that go from end to end, known and unknown.
fn any_passed_on() -> impl Strategy<Value = Options> {
    prop::collection::btree_map(0x80..0xc0u8, prop::collection::vec(any::<u8>(), 0..30), 0..6).prop_map(|list| {
        list.into_iter().fold(Options::build(), |list, (kind, value)| list.with(kind, value)).finish().unwrap()
    })
}

fn any_options() -> impl Strategy<Value = Options> {
    let unknown = prop::collection::btree_map(0x10..0x40u8, prop::collection::vec(any::<u8>(), 0..30), 0..6);
    (unknown, ".{0,200}", prop::option::of(any_millis()), prop::option::of("[a-z:/]{1,9}")).prop_map(
        |(unknown, reason, retry_after, endpoint)| {
            let list = unknown.into_iter().fold(Options::build(), |list, (kind, value)| list.with(kind, value));
            let list = retry_after.into_iter().fold(list.reason(&reason), |list, wait| list.retry_after(wait));
            endpoint.iter().fold(list, |list, endpoint| list.endpoints([endpoint.as_str()])).finish().unwrap()
        },
    )
}

fn any_terms() -> impl Strategy<Value = Terms> {
    let idempotency = prop_oneof![Just(Idempotency::Kept), Just(Idempotency::Repeatable), Just(Idempotency::Once)];
    let priority = (0..10u8).prop_map(|level| Priority::new(level).unwrap());
    (prop::option::of(any_millis()), priority, idempotency, any_passed_on())
        .prop_map(|(deadline, priority, idempotency, passed_on)| Terms { deadline, priority, idempotency, passed_on })
}

fn any_end() -> impl Strategy<Value = (Outcome, Frames)> {
    (200..600u16, any::<u32>(), any_options(), any_body(0)).prop_map(|(code, parts, options, mut body)| {
        let status = Status::new(code).unwrap();
        if status.is_success() && body.is_empty() {
            body.push("");
        }
        (Outcome { parts, status, options }, body)
    })
}

fn any_drain() -> impl Strategy<Value = Drain> {
    (any_millis(), prop::option::of(any_service()), any_options()).prop_map(|(grace, service, options)| Drain {
        grace,
        service,
        options,
    })
}

fn any_farewell() -> impl Strategy<Value = Farewell> {
    (200..600u16, any_options()).prop_map(|(code, options)| Farewell { status: Status::new(code).unwrap(), options })
}

fn any_interval() -> impl Strategy<Value = Duration> {
    (1..=60_000u64).prop_map(Duration::from_millis)
}

fn any_from_client() -> impl Strategy<Value = FromClient> {
    prop_oneof![
        (any_id(), any_service(), any_terms(), any_body(1))
            .prop_map(|(id, service, terms, body)| FromClient::Request(Request { id, service, terms, body })),
        any_id().prop_map(FromClient::Cancel),
        Just(FromClient::Heartbeat),
    ]
}

fn any_to_client() -> impl Strategy<Value = ToClient> {
    prop_oneof![
        (any_id(), any::<u32>(), any_body(1)).prop_map(|(id, part, body)| ToClient::Partial { id, part, body }),
        (any_id(), any_end()).prop_map(|(id, (outcome, body))| ToClient::Final { id, outcome, body }),
        any_drain().prop_map(ToClient::Drain),
        Just(ToClient::Heartbeat),
    ]
}

fn any_ready() -> impl Strategy<Value = Ready> {
    let offers = prop::collection::btree_map(any_service(), any_options(), 1..5);
    (0..=65_536u32, any_interval(), any_options(), offers).prop_map(|(credit, interval, options, offers)| {
        let offers = offers.into_iter().map(|(service, options)| Offer { service, options }).collect();
        Ready { credit, interval, options, offers }
    })
}

fn any_from_worker() -> impl Strategy<Value = FromWorker> {
    let job = || any::<u64>().prop_map(JobNumber);
    prop_oneof![
        any_ready().prop_map(FromWorker::Ready),
        (job(), any::<u32>(), any_body(1)).prop_map(|(job, part, body)| FromWorker::Partial { job, part, body }),
        (job(), any_end()).prop_map(|(job, (outcome, body))| FromWorker::Final { job, outcome, body }),
        (0..=65_536u32).prop_map(FromWorker::Credit),
        any_drain().prop_map(FromWorker::Drain),
        any_interval().prop_map(FromWorker::Heartbeat),
        any_farewell().prop_map(FromWorker::Disconnect),
    ]
}

fn any_job() -> impl Strategy<Value = worker::Request> {
    let numbers = (any::<u64>().prop_map(JobNumber), 1..=255u8, prop::option::of(any_millis()));
    (numbers, prop::option::of(any_id()), any_service(), any_passed_on(), any_body(1)).prop_map(
        |((job, attempt, remaining), id, service, options, body)| worker::Request {
            job,
            attempt,
            remaining,
            id,
            service,
            options,
            body,
        },
    )
}

fn any_to_worker() -> impl Strategy<Value = ToWorker> {
    prop_oneof![
        any_job().prop_map(ToWorker::Request),
        any::<u64>().prop_map(|job| ToWorker::Cancel(JobNumber(job))),
        any_drain().prop_map(ToWorker::Drain),
        any_interval().prop_map(ToWorker::Heartbeat),
        any_farewell().prop_map(ToWorker::Disconnect),
    ]
}

fn any_message() -> impl Strategy<Value = Message> {
    prop_oneof![
        any_from_client().prop_map(|command| Message::Broker(FromPeer::Client(command))),
        any_from_worker().prop_map(|command| Message::Broker(FromPeer::Worker(command))),
        any_to_client().prop_map(Message::Client),
        any_to_worker().prop_map(Message::Worker),
    ]
}

proptest! {
    #[test]
    fn every_command_survives_encode_and_decode(message in any_message()) {
        prop_assert_eq!(message.reader().decode(message.clone().encode()), Ok(message));
    }

    #[test]
    fn what_is_passed_on_reaches_the_worker_octet_for_octet(terms in any_terms()) {
        let request = Request { id: RequestId([1; 16]), service: "echo".parse().unwrap(), terms, body: ["hi"].into() };
        let Ok(Message::Broker(FromPeer::Client(FromClient::Request(read)))) =
            super::Reader::Broker.decode(FromClient::Request(request.clone()).encode()) else { panic!("a request") };
        let head = FromClient::Request(request.clone()).encode()[0].clone();
        prop_assert!(head.ends_with(read.terms.passed_on.as_bytes()));
        prop_assert_eq!(read.terms.passed_on.passed_on(), request.terms.passed_on);
    }

    #[test]
    fn no_frames_whatever_panic_a_decoder_and_what_is_accepted_means_itself(
        header in prop_oneof![Just(&b"MDPC03"[..]), Just(&b"MDPW03"[..]), Just(&b"MDPC0"[..])],
        command in 0..11u8, rest in prop::collection::vec(any::<u8>(), 0..60), body in any_body(0)
    ) {
        let mut message = body;
        message.push_front([header, &[command], &rest].concat());
        for reader in READERS {
            if let Ok(meaning) = reader.decode(message.clone()) {
                prop_assert_eq!(reader.decode(meaning.clone().encode()), Ok(meaning));
            }
        }
    }
}
