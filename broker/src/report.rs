//! What the broker tells of itself on request: MMI's services, workers, stats and info, as JSON lines.
//!
//! The fields are a contract, written down at the head of `protocol::mmi`. An answer is bounded, and says how much it
//! leaves off: with 20,000 services nobody is stalled by somebody who looks.

use protocol::mdp::Dialect;
use protocol::mmi::{REPORT_BYTES_MAX, code};
use protocol::rights::ServicePatterns;
use protocol::{Frames, Instant, PeerId, ServiceName};
use serde_json::{Value, json};

use crate::broker::Broker;
use crate::roster::Worker;
use crate::service::Service;
use crate::speech::Speech;
use crate::statistics::Statistics;

/// Lines that are being written, up to what an answer holds.
#[derive(Debug, Default)]
struct Lines {
    text: String,
    left_off: usize,
}

impl Lines {
    /// Adds a line, if there is room and nothing was left off before it.
    fn add(&mut self, line: impl FnOnce() -> Value) {
        if self.left_off > 0 {
            self.left_off += 1;
            return;
        }
        let line = line().to_string();
        if self.text.len() + line.len() + LAST_LINE_BYTES > REPORT_BYTES_MAX {
            self.left_off = 1;
            return;
        }
        self.text.push_str(&line);
        self.text.push('\n');
    }

    fn finish(mut self) -> Frames {
        if self.left_off > 0 {
            self.text.push_str(&json!({ "more": self.left_off }).to_string());
            self.text.push('\n');
        }
        Frames::from([bytes::Bytes::from_static(code::OK), self.text.into()])
    }
}

impl Broker {
    pub(crate) fn services_report(&self, asked: &ServicePatterns) -> Frames {
        let mut lines = Lines::default();
        for service in self.services.iter().filter(|service| asked.covers(&service.name)) {
            lines.add(|| {
                json!({
                    "service": text(&service.name),
                    "workers": service.workers,
                    "waiting": service.line.idle(),
                    "queued": service.queue.len(),
                    "in_flight": service.statistics.in_flight,
                    "draining": service.draining.is_some(),
                })
            });
        }
        lines.finish()
    }

    pub(crate) fn workers_report(&self, now: Instant, asked: &ServicePatterns) -> Frames {
        let mut lines = Lines::default();
        for (peer, worker) in self.roster.iter() {
            let services: Vec<_> = worker.services.iter().filter_map(|id| self.services.get(*id)).collect();
            let is_meant = |service: &&Service| asked.covers(&service.name);
            // One that leaves offers nothing any more, and is told of whenever everything is asked for.
            if services.iter().any(is_meant) || services.is_empty() && asked.is_everything() {
                lines.add(|| worker_line(now, peer, worker, &services));
            }
        }
        lines.finish()
    }

    pub(crate) fn stats_report(&mut self, now: Instant, asked: &ServicePatterns) -> Frames {
        let mut lines = Lines::default();
        self.services.for_each_known(|name, statistics, queue| {
            if asked.covers(name) {
                let queued = queue.map_or(0, |queue| queue.len());
                let oldest = queue.and_then(|queue| queue.oldest());
                lines.add(|| stats_line(now, name, statistics, queued, oldest));
            }
        });
        lines.finish()
    }

    pub(crate) fn info_report(&self, now: Instant) -> Frames {
        let mut lines = Lines::default();
        lines.add(|| {
            json!({
                "name": self.config.name,
                "version": env!("CARGO_PKG_VERSION"),
                "dialects": ["0.1", "0.2", "0.3"],
                "uptime_ms": millis(now, self.since),
                "connections": self.peers.len(),
                "workers": self.roster.len(),
                "services": self.services.len(),
                "queued": self.queued.requests,
                "in_flight": self.services.in_flight(),
                "requests": self.counters.requests,
                "replies": self.counters.replies,
                "failed": self.counters.failed,
                "requeued": self.counters.requeued,
                "faults": self.counters.faults,
                "draining": self.is_draining(),
            })
        });
        lines.finish()
    }
}

fn worker_line(now: Instant, peer: PeerId, worker: &Worker, services: &[&Service]) -> Value {
    json!({
        "worker": peer.0,
        "name": worker.label.name,
        "version": worker.label.version,
        "services": services.iter().map(|service| text(&service.name)).collect::<Vec<_>>(),
        "dialect": dialect(worker.speech),
        "credit": worker.credit,
        "in_flight": worker.jobs.len(),
        "heard_ms": millis(now, worker.heard),
        "draining": worker.leaves_by.is_some(),
    })
}

fn stats_line(
    now: Instant,
    name: &ServiceName,
    statistics: &mut Statistics,
    queued: usize,
    oldest: Option<Instant>,
) -> Value {
    let last_error = statistics
        .last_error
        .as_ref()
        .map(|error| json!({ "status": error.status.code(), "reason": error.reason, "age_ms": millis(now, error.at) }));
    let percentiles = statistics.latency.as_mut().and_then(|latency| latency.percentiles(now));
    let [p50, p99, p999] = percentiles.map_or([None; 3], |found| found.map(Some));
    json!({
        "service": text(name),
        "requests": statistics.requests,
        "replies": statistics.replies,
        "errors": statistics.errors,
        "last_error": last_error,
        "in_flight": statistics.in_flight,
        "queued": queued,
        "oldest_ms": oldest.map(|oldest| millis(now, oldest)),
        "p50_us": p50,
        "p99_us": p99,
        "p999_us": p999,
    })
}

const fn dialect(speech: Speech) -> &'static str {
    match speech {
        Speech::Old(Dialect::V01) => "0.1",
        Speech::Old(Dialect::V02 | Dialect::V02Delimited | Dialect::V02Majortomo) => "0.2",
        Speech::Native => "0.3",
    }
}

fn text(name: &ServiceName) -> String {
    String::from_utf8_lossy(name.as_bytes()).into_owned()
}

fn millis(now: Instant, then: Instant) -> u64 {
    u64::try_from((now - then).as_millis()).unwrap_or(u64::MAX)
}

/// Room for the line that says how much was left off.
const LAST_LINE_BYTES: usize = 64;
