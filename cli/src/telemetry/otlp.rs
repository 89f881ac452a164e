//! Spans to an OpenTelemetry collector, by OTLP over HTTP.
//!
//! Our spans say themselves where in a trace they are (`trace_id`, `span_id`, `parent_id`), because that place travels
//! in the messages. So they are handed on as they are, under the ids that the other processes know, and none is made
//! up here.
//!
//! ```text
//!   span of tracing ─► Exporting (a layer): fields ─► on close: SpanData ─► batches, on a thread ─► collector
//! ```

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue, Value};
use opentelemetry_otlp::WithExportConfig;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{BatchSpanProcessor, SpanData, SpanEvents, SpanExporter, SpanLinks, SpanProcessor};
use tracing::Subscriber;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use crate::usage::Problem;

/// Spans on their way.
#[derive(Clone)]
pub(super) struct Spans(Arc<BatchSpanProcessor>);

impl Spans {
    /// To the collector at this address: `http://host:port`, where OTLP's own path is added.
    ///
    /// # Errors
    /// When it is no such address.
    pub(super) fn to(url: &str) -> Result<Self, Problem> {
        let problem = |why: &str| {
            Problem::new(format!("--otlp {url}: {why}; allowed is a URL like http://127.0.0.1:4318, without TLS"))
        };
        if !url.starts_with("http://") || url.len() == "http://".len() {
            return Err(problem("not an address of a collector"));
        }
        let endpoint = format!("{}/v1/traces", url.trim_end_matches('/'));
        let exporter = opentelemetry_otlp::SpanExporter::builder().with_http().with_endpoint(endpoint);
        let exporter = exporter.with_timeout(TIMEOUT).build().map_err(|error| problem(&error.to_string()))?;
        let exporter = Told { inner: exporter, url: url.to_owned(), fails: AtomicBool::new(false) };
        let mut processor = BatchSpanProcessor::builder(exporter).build();
        // OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES say more, and win.
        let resource = Resource::builder().with_service_name(service_name()).build();
        processor.set_resource(&resource);
        Ok(Self(Arc::new(processor)))
    }

    /// What listens to the spans of requests, and to nothing else.
    pub(super) fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let targets = ["client", "worker", "broker::request"].map(|target| (target, LevelFilter::DEBUG));
        Exporting { spans: self.clone() }.with_filter(Targets::new().with_targets(targets))
    }

    /// Hands over what is left, for a few seconds at most.
    pub(super) fn finish(&self) {
        // A collector that is not there was told of already.
        let _ = self.0.shutdown_with_timeout(TIMEOUT);
    }
}

fn service_name() -> Value {
    std::env::var("OTEL_SERVICE_NAME").ok().filter(|name| !name.is_empty()).map_or("majordomo".into(), Value::from)
}

/// Collects the fields of each span, and hands it on when it closes.
struct Exporting {
    spans: Spans,
}

/// What is known of an open span.
struct Open {
    begun: SystemTime,
    fields: Fields,
}

impl<S> Layer<S> for Exporting
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        span.extensions_mut().insert(Open { begun: SystemTime::now(), fields });
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(open) = span.extensions_mut().get_mut::<Open>() {
            values.record(&mut open.fields);
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        let open = span.extensions_mut().remove::<Open>();
        if let Some(data) = open.and_then(|open| open.close(span.name(), SystemTime::now())) {
            self.spans.0.on_end(data);
        }
    }
}

/// The fields of a span: those that say where and how it is, and the others.
#[derive(Default)]
struct Fields {
    trace: Option<TraceId>,
    span: Option<SpanId>,
    parent: Option<SpanId>,
    kind: Option<SpanKind>,
    status: Option<u64>,
    error: Option<String>,
    took: Option<Duration>,
    attributes: Vec<KeyValue>,
}

impl Fields {
    fn text(&mut self, field: &Field, text: String) {
        match field.name() {
            "trace_id" => self.trace = TraceId::from_hex(&text).ok(),
            "span_id" => self.span = SpanId::from_hex(&text).ok(),
            "parent_id" => self.parent = SpanId::from_hex(&text).ok(),
            "error" => self.error = Some(text),
            "otel.kind" => {
                self.kind = match text.as_str() {
                    "client" => Some(SpanKind::Client),
                    "server" => Some(SpanKind::Server),
                    _ => None,
                }
            }
            name => self.put(name, text.into()),
        }
    }

    /// A field that is said again takes the place of what it said before.
    fn put(&mut self, name: &'static str, value: Value) {
        let name = format!("majordomo.{name}");
        match self.attributes.iter_mut().find(|attribute| attribute.key.as_str() == name) {
            Some(attribute) => attribute.value = value,
            None => self.attributes.push(KeyValue::new(name, value)),
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field, format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value.to_owned());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        match field.name() {
            "took_us" => self.took = Some(Duration::from_micros(value)),
            "status" => self.status = Some(value),
            _ => {}
        }
        self.put(field.name(), i64::try_from(value).unwrap_or(i64::MAX).into());
    }
}

impl Open {
    /// The span as OpenTelemetry knows it; none for one that is no part of a trace.
    fn close(self, name: &'static str, ended: SystemTime) -> Option<SpanData> {
        let Self { begun, fields } = self;
        let flags = TraceFlags::SAMPLED;
        let span_context = SpanContext::new(fields.trace?, fields.span?, flags, false, TraceState::default());
        // The broker writes its span down when all is over, and says how long that took.
        let start_time = fields.took.and_then(|took| ended.checked_sub(took)).unwrap_or(begun);
        let status = match (fields.error, fields.status) {
            (Some(error), _) => Status::error(error),
            (None, Some(200)) => Status::Ok,
            (None, Some(code)) => Status::error(format!("status {code}")),
            (None, None) => Status::Unset,
        };
        Some(SpanData {
            span_context,
            parent_span_id: fields.parent.unwrap_or(SpanId::INVALID),
            // Whether it is remote is known for a worker and a broker only: their parent came in a message.
            parent_span_is_remote: fields.kind != Some(SpanKind::Client),
            span_kind: fields.kind.unwrap_or(SpanKind::Internal),
            name: name.into(),
            start_time,
            end_time: ended,
            attributes: fields.attributes,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status,
            instrumentation_scope: InstrumentationScope::builder("majordomo").build(),
        })
    }
}

/// Says once that the collector does not take anything, and once that it does again.
struct Told<E> {
    inner: E,
    url: String,
    fails: AtomicBool,
}

impl<E> fmt::Debug for Told<E> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Told({})", self.url)
    }
}

impl<E: SpanExporter> SpanExporter for Told<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let outcome = self.inner.export(batch).await;
        let failed = self.fails.swap(outcome.is_err(), Ordering::Relaxed);
        match &outcome {
            Err(error) if !failed => tracing::warn!("no spans reach {}, they are dropped: {error}", self.url),
            Ok(()) if failed => tracing::info!("spans reach {} again", self.url),
            _ => {}
        }
        outcome
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

/// What a collector may take for a batch, and for the last one when the process ends.
const TIMEOUT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_is_none_is_told_with_what_is_allowed() {
        for url in ["", "127.0.0.1:4318", "https://collector:4318", "http://"] {
            let problem = Spans::to(url).err().expect(url).to_string();
            assert!(problem.contains("http://127.0.0.1:4318"), "{problem}");
        }
    }

    #[test]
    fn a_span_that_is_no_part_of_a_trace_is_not_told() {
        let open = Open { begun: SystemTime::now(), fields: Fields::default() };
        assert_eq!(open.close("broker", SystemTime::now()), None);
    }

    #[test]
    fn the_span_of_the_broker_is_as_long_as_the_request_was_there() {
        let took = Duration::from_millis(70);
        let (trace, span) = (Some(TraceId::from(7)), Some(SpanId::from(9)));
        let fields = Fields { trace, span, took: Some(took), status: Some(502), ..Fields::default() };
        let ended = SystemTime::now();
        let data = Open { begun: ended, fields }.close("broker", ended).unwrap();
        assert_eq!(data.start_time, ended - took);
        assert_eq!(data.status, Status::error("status 502"));
    }
}
