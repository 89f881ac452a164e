//! Logs to standard error and metrics over HTTP. Standard output belongs to results.

use std::io::IsTerminal;
use std::net::SocketAddr;

use anyhow::Context;
use metrics_exporter_prometheus::PrometheusBuilder;
use tracing_subscriber::EnvFilter;

/// Starts logging. `MAJORDOMO_LOG` takes a filter of the `tracing` kind and wins over `-v` and `-q`.
pub(crate) fn log_to_stderr(level: &str) {
    let filter = EnvFilter::try_from_env("MAJORDOMO_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let in_colour = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(in_colour).init();
}

/// Serves Prometheus metrics at `http://address/metrics`. Must be called inside the runtime.
pub(crate) fn serve_metrics(address: SocketAddr) -> anyhow::Result<()> {
    PrometheusBuilder::new()
        .with_http_listener(address)
        .install()
        .with_context(|| format!("cannot serve metrics at {address}"))
}
