//! Logs to standard error, metrics over HTTP, and spans to a collector. Standard output belongs to results.

#[cfg(feature = "otel")]
mod otlp;

use std::io::IsTerminal;
use std::net::SocketAddr;

use anyhow::Context;
use metrics_exporter_prometheus::PrometheusBuilder;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use crate::usage::Problem;

/// What has to be told before the process ends.
pub(crate) struct Telemetry {
    #[cfg(feature = "otel")]
    spans: Option<otlp::Spans>,
}

impl Telemetry {
    /// Hands over what is left.
    pub(crate) fn finish(self) {
        #[cfg(feature = "otel")]
        if let Some(spans) = self.spans {
            spans.finish();
        }
    }
}

/// Starts logging, and exporting spans when a collector is named. `MAJORDOMO_LOG` takes a filter of the `tracing` kind
/// and wins over `-v` and `-q`.
///
/// # Errors
/// When the collector's address cannot be used, or this build knows no collectors.
pub(crate) fn start(level: &str, collector: Option<&str>) -> Result<Telemetry, Problem> {
    let filter = EnvFilter::try_from_env("MAJORDOMO_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let in_colour = std::io::stderr().is_terminal();
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(in_colour).with_filter(filter);
    let subscriber = tracing_subscriber::registry().with(lines);
    #[cfg(feature = "otel")]
    {
        let spans = collector.map(otlp::Spans::to).transpose()?;
        subscriber.with(spans.as_ref().map(otlp::Spans::layer)).init();
        Ok(Telemetry { spans })
    }
    #[cfg(not(feature = "otel"))]
    {
        if let Some(url) = collector {
            let how = "this majordomo was built without it; build it with `--features otel`";
            return Err(Problem::new(format!("--otlp {url}: {how}")));
        }
        subscriber.init();
        Ok(Telemetry {})
    }
}

/// Serves Prometheus metrics at `http://address/metrics`. Must be called inside the runtime.
pub(crate) fn serve_metrics(address: SocketAddr) -> anyhow::Result<()> {
    PrometheusBuilder::new()
        .with_http_listener(address)
        .install()
        .with_context(|| format!("cannot serve metrics at {address}"))
}
