//! What a sweep found, as a table for people and as JSON.

use std::fmt::Write;

use serde_json::json;
use sim::fault::KINDS;
use sim::sweep::Report;

/// The table.
pub(crate) fn table(report: &Report, seconds: f64, threads: usize) -> String {
    let mut text = String::new();
    let mut line = |line: std::fmt::Arguments<'_>| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{line}");
    };
    let seeds = report.seeds.max(1);
    line(format_args!("seeds      {}", report.seeds));
    line(format_args!("events     {} ({} a seed)", report.events, report.events / seeds));
    line(format_args!("requests   {} ({} a seed)", report.requests, report.requests / seeds));
    let (virtual_hours, rate) = (report.time / 3_600_000_000_000, rate(report, seconds));
    line(format_args!("time       {seconds:.1} s for {virtual_hours} h of virtual time"));
    line(format_args!("speed      {rate} events/s, {} a thread", rate / threads.max(1) as u64));
    line(format_args!("faults     {} that took effect", report.faults.iter().sum::<u64>()));
    for (kind, count) in KINDS.iter().zip(report.faults) {
        line(format_args!("  {kind:<22}{count:>10}"));
    }
    line(format_args!(
        "disks      {} faults that took effect",
        report.disks.iter().map(|(_, count)| count).sum::<u64>()
    ));
    for (kind, count) in report.disks.iter() {
        line(format_args!("  {:<22}{count:>10}", format!("{kind:?}")));
    }
    let (reached, all) = report.coverage.reached();
    line(format_args!("coverage   {reached} of {all} points, {} changes of state", report.coverage.changes().len()));
    for point in report.coverage.never() {
        line(format_args!("  never    {point}"));
    }
    line(format_args!("failed     {}", report.failed));
    for (seed, violation) in &report.failures {
        line(format_args!("  seed {seed}: {}: {}", violation.oracle, violation.what));
        line(format_args!("    cargo xtask sim replay {seed}"));
    }
    text
}

/// The same as one JSON object.
pub(crate) fn json(report: &Report, seconds: f64, threads: usize) -> serde_json::Value {
    let faults: serde_json::Map<_, _> =
        KINDS.iter().zip(report.faults).map(|(kind, count)| ((*kind).to_owned(), count.into())).collect();
    let disks: serde_json::Map<_, _> =
        report.disks.iter().map(|(kind, count)| (format!("{kind:?}"), count.into())).collect();
    let failures = report
        .failures
        .iter()
        .map(|(seed, violation)| json!({ "seed": seed, "oracle": violation.oracle, "what": violation.what }));
    let (reached, points) = report.coverage.reached();
    json!({
        "seeds": report.seeds,
        "events": report.events,
        "requests": report.requests,
        "seconds": seconds,
        "threads": threads,
        "events_per_second": rate(report, seconds),
        "faults": faults,
        "disk_faults": disks,
        "coverage": { "reached": reached, "points": points, "never": report.coverage.never() },
        "failed": report.failed,
        "failures": failures.collect::<Vec<_>>(),
    })
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate for people, never negative")]
fn rate(report: &Report, seconds: f64) -> u64 {
    (report.events as f64 / seconds.max(1e-9)) as u64
}
