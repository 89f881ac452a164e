//! What a message of 64 octets costs to encode and to decode in MDP 0.1 and in 0.3, side by side. Run in release.
//!
//! Nanoseconds, the best of many rounds of a thousand messages each. A message to decode has been made the way that the
//! ZMTP decoder makes it: its frames are slices of one piece of memory.
#![allow(clippy::print_stdout, reason = "a program for people")]

use std::hint::black_box;
use std::time::Instant;

use bytes::Bytes;
use protocol::mdp::client::{Part, decode_reply, encode_reply};
use protocol::mdp::v03::{self, FromClient, FromWorker, JobNumber, Options, Outcome, Terms, ToClient, ToWorker};
use protocol::mdp::worker::{self as old, FromWorker as OldFromWorker, ToWorker as OldToWorker};
use protocol::mdp::{self, Dialect, Request};
use protocol::{Frames, RequestId, ServiceName};

const ROUNDS: usize = 200;
const MESSAGES: usize = 1000;
const ID: RequestId = RequestId(*b"0123456789abcdef");

/// What is measured: `make` is not counted, `run` is.
fn cost<T, U>(make: impl Fn() -> T, run: impl Fn(T) -> U) -> f64 {
    let round = || {
        let inputs: Vec<T> = (0..MESSAGES).map(|_| make()).collect();
        let start = Instant::now();
        let outputs: Vec<U> = inputs.into_iter().map(&run).collect();
        let nanos = start.elapsed().as_secs_f64() * 1e9;
        black_box(outputs);
        nanos / MESSAGES as f64
    };
    (0..ROUNDS).map(|_| round()).fold(f64::INFINITY, f64::min)
}

/// A message as it comes from a socket.
fn received(message: &Frames) -> Frames {
    let chunk = Bytes::from(message.concat());
    let mut frames = Frames::new();
    let mut at = 0;
    for frame in message {
        frames.push(chunk.slice(at..at + frame.len()));
        at += frame.len();
    }
    frames
}

/// One line: what it costs on both ends, and how much of it there is; ZMTP adds two octets a frame.
fn line(name: &str, message: &Frames, encode: f64, decode: f64) {
    let octets = message.byte_count() + 2 * message.len();
    println!("{name:32} {encode:8.0} {decode:8.0} {:8} {octets:8}", message.len());
}

fn main() {
    println!("{:32} {:>8} {:>8} {:>8} {:>8}", "64 octets, ns", "encode", "decode", "frames", "octets");
    old_dialect();
    println!();
    new_dialect();
}

fn service() -> ServiceName {
    "echo".parse().expect("a valid name")
}

fn body() -> Frames {
    Frames::from([Bytes::from_static(&[b'x'; 64])])
}

fn old_dialect() {
    let address = Bytes::from_static(b"\0\0\0\0\0\0\0\x07");
    let dialect = Dialect::V01;

    let request = || Request::new(dialect, Frames::new(), service(), body());
    let wire = request().encode();
    let encode = cost(request, |request| request.encode());
    line("0.1 REQUEST, client to broker", &wire, encode, cost(|| received(&wire), mdp::decode));

    let request = || OldToWorker::Request { address: address.clone(), body: body() };
    let wire = request().encode(dialect);
    let encode = cost(request, |request| request.encode(dialect));
    let decode = cost(|| received(&wire), |message| OldToWorker::decode(dialect, message));
    line("0.1 REQUEST, broker to worker", &wire, encode, decode);

    let reply = || OldFromWorker::Reply { address: address.clone(), part: Part::Final, body: body() };
    let wire = reply().encode(dialect);
    let encode = cost(reply, |reply: old::FromWorker| reply.encode(dialect));
    line("0.1 REPLY, worker to broker", &wire, encode, cost(|| received(&wire), mdp::decode));

    let name = service();
    let wire = encode_reply(dialect, Frames::new(), &name, Part::Final, body());
    let encode = cost(body, |body| encode_reply(dialect, Frames::new(), &name, Part::Final, body));
    let decode = cost(|| received(&wire), |message| decode_reply(dialect, message));
    line("0.1 REPLY, broker to client", &wire, encode, decode);
}

fn new_dialect() {
    let deadline = Some(std::time::Duration::from_millis(2500));
    for (name, terms) in [
        ("0.3 REQUEST, client to broker", Terms::default()),
        ("0.3 the same with a deadline", Terms { deadline, ..Terms::default() }),
    ] {
        let request = || {
            let (service, terms, body) = (service(), terms.clone(), body());
            FromClient::Request(v03::client::Request { id: ID, service, terms, body })
        };
        let wire = request().encode();
        line(name, &wire, cost(request, FromClient::encode), cost(|| received(&wire), v03::decode));
    }

    let job = JobNumber(7);
    let request = || {
        let (service, options, body) = (service(), Options::none(), body());
        ToWorker::Request(v03::worker::Request {
            job,
            attempt: 1,
            remaining: deadline,
            id: Some(ID),
            service,
            options,
            body,
        })
    };
    let wire = request().encode();
    line(
        "0.3 REQUEST, broker to worker",
        &wire,
        cost(request, ToWorker::encode),
        cost(|| received(&wire), ToWorker::decode),
    );

    let last = || FromWorker::Final { job, outcome: Outcome::OK, body: body() };
    let wire = last().encode();
    line("0.3 FINAL, worker to broker", &wire, cost(last, FromWorker::encode), cost(|| received(&wire), v03::decode));

    let last = || ToClient::Final { id: ID, outcome: Outcome::OK, body: body() };
    let wire = last().encode();
    line(
        "0.3 FINAL, broker to client",
        &wire,
        cost(last, ToClient::encode),
        cost(|| received(&wire), ToClient::decode),
    );
}
