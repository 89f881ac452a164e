//! The figures of a world, and how each may grow along each axis.

use super::crowd::Crowd;
use super::scenario::Measured;

/// A figure of something that was measured.
#[derive(Clone, Copy, Debug)]
pub struct Metric<T> {
    /// What it is.
    pub name: &'static str,
    /// In what, or empty.
    pub unit: &'static str,
    /// Its value. Where a world did not become well again it is infinite.
    pub value: fn(&T) -> f64,
    /// The greatest exponent allowed on each axis.
    pub bounds: &'static [f64],
    /// Whether it is read from an instrument: it differs from run to run, and is nothing without one.
    pub is_read: bool,
}

const fn counted(
    name: &'static str,
    unit: &'static str,
    value: fn(&Measured) -> f64,
    bounds: &'static [f64; 3],
) -> Metric<Measured> {
    Metric { name, unit, value, bounds, is_read: false }
}

const fn read<T>(name: &'static str, value: fn(&T) -> f64, bounds: &'static [f64]) -> Metric<T> {
    Metric { name, unit: "ns", value, bounds, is_read: true }
}

/// What is shown of a world; bounds by clients, services and brokers.
///
/// A connection costs memory, and so does a machine: memory is linear at most. What one message costs a machine may
/// grow by what maps and caches cost, and that is far from a scan over everything. An inbox empties while it fills, so
/// that it begins to grow late, and then steeply, up to a few messages a connection.
pub const METRICS: [Metric<Measured>; 15] = [
    counted("messages a request", "", |m| m.messages_per_request, &[0.02, 0.02, 0.02]),
    counted("heartbeats, idle", "1/s", |m| m.heartbeats_per_second, &[0.02, 1.02, 0.02]),
    counted("events, loaded", "1/s", |m| m.events_per_second, &[1.02, 1.02, 0.02]),
    counted("connections of a broker", "", |m| m.fullest.peers as f64, &[1.02, 1.02, 0.02]),
    counted("wake-ups of a broker", "", |m| m.fullest.alarms as f64, &[0.05, 1.05, 0.05]),
    counted("queued at once", "", |m| m.fullest.queued as f64, &[1.4, 0.1, 0.1]),
    counted("inbox at once", "", |m| m.fullest.inbox as f64, &[2.0, 1.1, 0.1]),
    Metric {
        name: "memory of the world",
        unit: "MiB",
        value: |m| m.resident_bytes as f64 / 1_048_576.0,
        bounds: &[1.1, 1.1, 0.2],
        is_read: true,
    },
    read("broker, a request", |m: &Measured| m.broker_nanos, CACHED),
    read("worker, a request", |m: &Measured| m.worker_nanos, CACHED),
    read("client, a request", |m: &Measured| m.client_nanos, CACHED),
    counted("well after cold start", "ms", |m| m.cold_ms.unwrap_or(f64::INFINITY), &[1.1, 1.1, 0.1]),
    counted("well after restart", "ms", |m| m.restart_ms.unwrap_or(f64::INFINITY), &[0.3, 0.3, 0.3]),
    counted("well after partition", "ms", |m| m.heal_ms.unwrap_or(f64::INFINITY), &[0.2, 0.2, 0.2]),
    counted("well after deaths", "ms", |m| m.deaths_ms.unwrap_or(f64::INFINITY), &[0.2, 0.2, 0.2]),
];

/// What is shown of a crowd; the bound is by those who wait.
pub const CROWD: [Metric<Crowd>; 5] = [
    read("answered at once", |c: &Crowd| c.served_nanos, STEADY),
    read("refused at a full queue", |c: &Crowd| c.refused_nanos, STEADY),
    read("making another give way", |c: &Crowd| c.evicting_nanos, STEADY),
    read("refused at a full broker", |c: &Crowd| c.broker_full_nanos, STEADY),
    read("expired", |c: &Crowd| c.expired_nanos, STEADY),
];

/// In a large world a machine is not in the processor's caches when its turn comes, nor are the maps it looks into:
/// that is ten times the work, and on a busy computer more. A scan over everything is a hundred times, and more.
const CACHED: &[f64] = &[0.75, 0.75, 0.75];
/// Nothing is looked through, and it is one machine that stays in the caches.
const STEADY: &[f64] = &[0.5];
