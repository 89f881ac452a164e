//! Spans of a call, its broker and its worker, as a collector of OpenTelemetry gets them.
#![cfg(feature = "otel")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{Majordomo, command, run, stderr, wait_for_workers, wait_until};
use nix::sys::signal::Signal;

/// What a test looks at in a span.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Span {
    name: String,
    trace: Vec<u8>,
    id: Vec<u8>,
    parent: Vec<u8>,
}

/// An HTTP server that takes spans as OTLP's protobuf.
struct Collector {
    url: String,
    spans: Arc<Mutex<Vec<Span>>>,
}

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let spans: Arc<Mutex<Vec<Span>>> = Arc::default();
        let found = spans.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let found = found.clone();
                std::thread::spawn(move || serve(&stream, &found));
            }
        });
        Self { url, spans }
    }

    fn named(&self, name: &str) -> Vec<Span> {
        self.spans.lock().unwrap().iter().filter(|span| span.name == name).cloned().collect()
    }
}

/// Answers one connection's requests until it closes.
fn serve(stream: &TcpStream, found: &Mutex<Vec<Span>>) {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    while reader.read_line(&mut line).is_ok_and(|count| count > 0) {
        assert_eq!(line.trim_end(), "POST /v1/traces HTTP/1.1");
        let mut length = 0;
        while line.trim_end() != "" {
            line.clear();
            reader.read_line(&mut line).unwrap();
            let header = line.trim_end().to_ascii_lowercase();
            length = header.strip_prefix("content-length: ").map_or(length, |value| value.parse().unwrap());
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        found.lock().unwrap().extend(spans(&body));
        let mut writer = stream;
        writer.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
        line.clear();
    }
}

/// The fields of a message of protobuf that hold octets, with their numbers. Other fields are passed over.
fn fields(mut octets: &[u8]) -> Vec<(u64, &[u8])> {
    let mut found = Vec::new();
    while !octets.is_empty() {
        let key = varint(&mut octets);
        let length = match key & 7 {
            0 => {
                varint(&mut octets);
                continue;
            }
            1 => 8,
            2 => usize::try_from(varint(&mut octets)).unwrap(),
            5 => 4,
            kind => panic!("no kind of field: {kind}"),
        };
        let (field, rest) = octets.split_at(length);
        octets = rest;
        found.push((key >> 3, field));
    }
    found
}

fn varint(octets: &mut &[u8]) -> u64 {
    let mut value = 0;
    for place in 0.. {
        let (first, rest) = octets.split_first().unwrap();
        *octets = rest;
        value |= u64::from(first & 0x7f) << (7 * place);
        if first & 0x80 == 0 {
            break;
        }
    }
    value
}

/// The spans of an ExportTraceServiceRequest: resource_spans (1), scope_spans (2), spans (2).
fn spans(request: &[u8]) -> Vec<Span> {
    let within =
        |octets, number| fields(octets).into_iter().filter(move |field| field.0 == number).map(|field| field.1);
    let scopes = within(request, 1).flat_map(|resource| within(resource, 2));
    let spans = scopes.flat_map(|scope| within(scope, 2));
    let span = |octets| {
        let field = |number| within(octets, number).next().unwrap_or_default().to_vec();
        Span { name: String::from_utf8(field(5)).unwrap(), trace: field(1), id: field(2), parent: field(4) }
    };
    spans.map(span).collect()
}

#[test]
fn the_spans_of_a_call_its_broker_and_its_worker_are_one_trace() {
    let collector = Collector::start();
    let otlp = ["--otlp", &collector.url];
    let broker = Majordomo::broker(&otlp);
    let worker = Majordomo::worker(&broker.endpoint, &[&["echo"], &otlp[..]].concat());
    wait_for_workers(&broker.endpoint, "echo", 1);
    let output = run(&[&["call", "--broker", &broker.endpoint, "echo", "hello"], &otlp[..]].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    // What is left is handed over at the end of a process.
    for server in [worker, broker] {
        server.signal(Signal::SIGTERM);
        assert_eq!(server.wait(Duration::from_secs(20)), Some(0));
    }
    let [request] = &collector.named("request")[..] else { panic!("the call is one request") };
    assert_eq!((request.trace.len(), request.id.len(), request.parent.len()), (16, 8, 0));
    for name in ["broker", "handle"] {
        wait_until(name, || collector.named(name).iter().any(|span| span.trace == request.trace));
        let found = collector.named(name).into_iter().find(|span| span.trace == request.trace).unwrap();
        assert_eq!(found.parent, request.id, "{name}");
    }
}

#[test]
fn a_collector_that_is_not_there_is_told_once_and_stops_nothing() {
    let broker = Majordomo::broker(&[]);
    let _worker = Majordomo::echo(&broker.endpoint);
    // The port of "discard", which nobody has served for decades, and which no other test can be given.
    let url = "http://127.0.0.1:9";
    let mut call = command(&["call", "--broker", &broker.endpoint, "--otlp", url, "echo", "hello"]);
    let output = call.env("MAJORDOMO_LOG", "warn").output().unwrap();
    assert!(output.status.success());
    let told = stderr(&output);
    assert_eq!(told.matches(&format!("no spans reach {url}")).count(), 1, "{told}");
}
