//! Spans of client, broker and worker over real sockets: one trace, however many of our programs it goes through.
//!
//! The subscriber is the process's, so these tests have a file of their own, and tell each other's spans by service.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests fail by panicking")]

use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use broker::Server;
use client::{Client, LazyPirate};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Subscriber, level_filters::LevelFilter};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};
use worker::{Failure, Frames, Request, Shutdown, Worker};

const PATIENCE: Duration = Duration::from_secs(60);
const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// A span that has closed, with its fields.
#[derive(Clone, Debug, Default)]
struct Fields(BTreeMap<&'static str, String>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
}

impl Fields {
    fn get(&self, field: &str) -> &str {
        self.0.get(field).map_or("", |value| value.trim_matches('"'))
    }
}

/// Keeps what has closed.
struct Witness;

static CLOSED: Mutex<Vec<(&'static str, Fields)>> = Mutex::new(Vec::new());

impl<S: Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>> Layer<S> for Witness {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        context.span(id).unwrap().extensions_mut().insert(fields);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let span = context.span(id).unwrap();
        let mut extensions = span.extensions_mut();
        values.record(extensions.get_mut::<Fields>().unwrap());
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let span = context.span(&id).unwrap();
        let fields = span.extensions().get::<Fields>().unwrap().clone();
        CLOSED.lock().unwrap().push((span.name(), fields));
    }
}

/// A broker whose spans, like all others, are witnessed.
async fn broker() -> String {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        let subscriber = tracing_subscriber::registry().with(LevelFilter::DEBUG).with(Witness);
        tracing::subscriber::set_global_default(subscriber).unwrap();
    });
    let endpoint = "tcp://127.0.0.1:0".parse().unwrap();
    let server = Server::bind(&[endpoint], broker::Config::default(), Default::default()).await.unwrap();
    let endpoint = server.endpoints()[0].to_string();
    let (trigger, shutdown) = Shutdown::new();
    tokio::spawn(async move {
        server.run(shutdown).await;
        drop(trigger);
    });
    endpoint
}

fn client(endpoint: &str) -> Client {
    Client::builder(endpoint).timeout(PATIENCE).connect().unwrap()
}

/// The span of this name and service, once it has closed.
async fn closed(name: &str, service: &str) -> Fields {
    let find = || {
        let closed = CLOSED.lock().unwrap();
        let mut found = closed.iter().filter(|(found, fields)| *found == name && fields.get("service") == service);
        let first = found.next().map(|(_, fields)| fields.clone());
        assert!(found.next().is_none(), "two spans {name} of {service}");
        first
    };
    let wait = async {
        loop {
            match find() {
                Some(fields) => return fields,
                None => tokio::task::yield_now().await,
            }
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("no span {name} of {service}"))
}

async fn echo(request: Request) -> Result<Frames, Failure> {
    Ok(request.body)
}

#[tokio::test]
async fn client_broker_and_worker_are_spans_of_one_trace_and_know_their_parent() {
    let endpoint = broker().await;
    tokio::spawn(Worker::new(&endpoint, "echo").serve(echo));
    client(&endpoint).request("echo", ["x"]).await.unwrap();
    let (request, middle) = (closed("request", "echo").await, closed("broker", "echo").await);
    let handle = closed("handle", "echo").await;
    assert_eq!((request.get("trace_id").len(), request.get("span_id").len(), request.get("parent_id")), (32, 16, ""));
    for child in [&middle, &handle] {
        assert_eq!(child.get("trace_id"), request.get("trace_id"));
        assert_eq!(child.get("parent_id"), request.get("span_id"));
    }
    for span in [&request, &middle, &handle] {
        assert_eq!((span.get("status"), span.get("id").len()), ("200", 32), "{span:?}");
        assert_eq!(span.get("id"), request.get("id"));
    }
    assert_eq!((request.get("attempt"), handle.get("attempt"), middle.get("attempts")), ("1", "1", "1"));
}

#[tokio::test]
async fn what_a_handler_asks_in_turn_is_a_part_of_the_same_trace() {
    let endpoint = broker().await;
    tokio::spawn(Worker::new(&endpoint, "inner").serve(echo));
    let inner = client(&endpoint);
    let outer = move |request: Request| {
        let inner = inner.clone();
        async move { Ok::<Frames, client::Error>(inner.request("inner", request.body).await?.body) }
    };
    tokio::spawn(Worker::new(&endpoint, "outer").serve(outer));
    LazyPirate::new(&endpoint).timeout(PATIENCE).request("outer", ["x"]).await.unwrap();
    let (outer, between) = (closed("handle", "outer").await, closed("request", "inner").await);
    let inner = closed("handle", "inner").await;
    assert_eq!(closed("request", "outer").await.get("span_id"), outer.get("parent_id"));
    assert_eq!((between.get("parent_id"), inner.get("parent_id")), (outer.get("span_id"), between.get("span_id")));
    assert_eq!((between.get("trace_id"), inner.get("trace_id")), (outer.get("trace_id"), outer.get("trace_id")));
}

#[tokio::test]
async fn a_trace_that_is_said_goes_on_and_one_that_cannot_be_read_begins_anew() {
    let endpoint = broker().await;
    let fail =
        |request: Request| async move { Err::<Frames, _>(Failure::new(418, request.tracestate().unwrap_or("-"))) };
    for (service, traceparent) in [("known", TRACEPARENT), ("anew", "00-nonsense")] {
        tokio::spawn(Worker::new(&endpoint, service).serve(fail));
        let error = client(&endpoint).ask(service).trace(traceparent, Some("a=1")).request(["x"]).await.unwrap_err();
        assert_eq!(error.status().map(|status| status.code()), Some(418));
        let (request, handle) = (closed("request", service).await, closed("handle", service).await);
        assert_eq!((request.get("status"), handle.get("status")), ("418", "418"));
        assert_eq!(handle.get("trace_id"), request.get("trace_id"));
        let is_known = service == "known";
        assert_eq!(request.get("trace_id") == "4bf92f3577b34da6a3ce929d0e0e4736", is_known);
        assert_eq!(request.get("parent_id"), if is_known { "00f067aa0ba902b7" } else { "" });
        assert!(error.to_string().contains(if is_known { "a=1" } else { ": -" }), "{error}");
    }
}

#[tokio::test]
async fn a_request_that_is_dropped_is_cancelled_in_all_three_spans() {
    let endpoint = broker().await;
    let (begun, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let endless = move |_: Request| {
        let begun = begun.clone();
        async move {
            begun.send(()).unwrap();
            std::future::pending::<Result<Frames, Failure>>().await
        }
    };
    tokio::spawn(Worker::new(&endpoint, "endless").serve(endless));
    let client = client(&endpoint);
    tokio::select! {
        reply = client.request("endless", ["x"]) => panic!("{reply:?}"),
        _ = heard.recv() => {}
    }
    for name in ["request", "broker", "handle"] {
        assert_eq!(closed(name, "endless").await.get("status"), "499", "{name}");
    }
}
