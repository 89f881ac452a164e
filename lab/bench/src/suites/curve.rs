//! CURVE: request and reply through our broker beside libzmq with libsodium, handshakes, and an allowed client in the
//! middle of a flood of handshakes that come to nothing.

use std::time::Duration;

use anyhow::Context;

use super::{Common, rpc};
use crate::load::{Flood, Handshakes, shake_hands};
use crate::measure::{Gauge, median, resident_bytes_peak};
use crate::peers::{Installed, Peer};
use crate::plan::{Pattern, Plan};
use crate::report::Report;
use crate::report::table::Table;
use crate::results::{Cell, Goal, Sample};

/// What to load, how, and for how long.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Rounds of every load; the median counts
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=99))]
    pub rounds: u32,

    /// Time of one load, seconds, after a quarter of it to warm up
    #[arg(long, default_value_t = 2.0, value_parser = rpc::seconds)]
    pub seconds: f64,

    /// Lengths of a body, bytes
    #[arg(long, value_delimiter = ',', default_value = "64,1024,16384", value_parser = rpc::body_bytes)]
    pub sizes: Vec<usize>,

    /// CLIENTSxOUTSTANDING: connections, and requests that each keeps in flight
    #[arg(long, value_delimiter = ',', default_value = "1x1,50x20")]
    pub patterns: Vec<Pattern>,

    /// Worker connections
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=4000))]
    pub workers: u16,
}

/// Runs every part.
///
/// # Errors
/// A server is not installed or refuses handshakes, or the machine cannot be set up.
pub fn run(args: &Args, common: &Common) -> anyhow::Result<Report> {
    let installed = common.find(&[Peer::Majordomo, Peer::Libzmq])?;
    let loads = rpc::Args {
        rounds: args.rounds,
        seconds: args.seconds,
        sizes: args.sizes.clone(),
        patterns: args.patterns.clone(),
        peers: vec![Peer::Majordomo, Peer::Libzmq],
        workers: args.workers,
        credit: 1,
    };
    let cells = rpc::compare_all(&loads, &installed, common.placement, Installed::start_with_curve);
    let time = Duration::from_secs_f64(args.seconds);
    let mut handshakes = Vec::new();
    for round in 0..args.rounds as usize {
        for turn in 0..installed.len() {
            let peer = installed.get((turn + round) % installed.len()).context("a peer")?;
            handshakes.push((peer.peer, handshake_rate(peer, common, time)?));
        }
    }
    let ours = installed.iter().find(|peer| peer.peer == Peer::Majordomo).context("majordomo is not built")?;
    let quiet = alone(ours, common, time, false)?;
    let flooded = alone(ours, common, time, true)?;
    let mut report = rpc::report(&loads, common, &installed, &cells)?;
    report.suite = "curve";
    report.summary =
        format!("CURVE: request and reply with {} workers, handshakes, and a flood of them.", args.workers);
    report.goals = cells.chunk_by(rpc::same_load).map(beat_libzmq).collect();
    report.goals.push(handshake_goal(&handshakes));
    report.goals.push(flood_goal(&flooded.0));
    report.tables.push(("Handshakes".into(), handshake_table(&handshakes)));
    report.tables.push(("An allowed client, one request outstanding, 64 B".into(), flood_table(&quiet, &flooded)));
    report.records.extend(handshakes.iter().map(|(peer, found)| {
        let per_core = per_core(found);
        serde_json::json!({ "peer": peer, "handshakes": found.count, "handshakes_per_second_per_core": per_core })
    }));
    report.records.push(serde_json::json!({ "flooded": flooded.0, "flood_connections_per_second": flooded.1 }));
    Ok(report)
}

fn handshake_rate(peer: &Installed, common: &Common, time: Duration) -> anyhow::Result<Handshakes> {
    let server = common.placement.start_server(|| peer.start_with_curve())?;
    let curve = server.addresses().curve.context("a server without CURVE")?;
    shake_hands(server.addresses().clients, &curve, time, &Gauge::new(server.pid()))
}

/// One client and one worker, with or without the flood; the flood's connections a second.
fn alone(ours: &Installed, common: &Common, time: Duration, flooded: bool) -> anyhow::Result<(Sample, f64)> {
    let server = common.placement.start_server(|| ours.start_with_curve())?;
    let addresses = server.addresses();
    let curve = addresses.curve.context("a server without CURVE")?;
    let plan = Plan {
        pattern: Pattern::ALONE,
        workers: 1,
        credit: 1,
        body_bytes: 64,
        warm_up: time / 4,
        duration: time,
        drain_max: Duration::from_secs(10),
    };
    // Client and worker are let in first: the flood is to disturb those who are in.
    let flood = flooded.then_some((addresses.clients, curve, common.placement));
    let (outcome, tried) = ours.load_beside(&server, &plan, || {
        flood.map(|(address, curve, placement)| Flood::start(address, curve, placement)).transpose()
    })?;
    let sample = Sample::of(&outcome, resident_bytes_peak(server.pid())?);
    let spent = (plan.warm_up + plan.duration).as_secs_f64();
    Ok((sample, tried.map_or(0.0, |flood| flood.tried() as f64 / spent)))
}

fn beat_libzmq(cells: &[Cell]) -> Goal {
    let load = cells.first().map(|cell| format!("{} B, {}", cell.body_bytes, cell.pattern)).unwrap_or_default();
    let goal = format!("{load}: at least {RATIO_MIN} x libzmq's requests a second");
    let find = |peer| cells.iter().find(|cell| cell.peer == peer && cell.errors() == 0);
    let (Some(ours), Some(theirs)) = (find(Peer::Majordomo), find(Peer::Libzmq)) else { return Goal::open(goal) };
    let ratio = ours.ratio(theirs, |sample| sample.requests_per_second);
    let [our_rate, their_rate] = [ours, theirs].map(|cell| cell.median(|sample| sample.requests_per_second) / 1e3);
    Goal::judged(goal, format!("{ratio:.2} x ({our_rate:.1}k/s, {their_rate:.1}k/s)"), ratio >= RATIO_MIN)
}

fn per_core(handshakes: &Handshakes) -> f64 {
    f64::from(handshakes.count) / handshakes.server.as_secs_f64()
}

fn medians(handshakes: &[(Peer, Handshakes)], peer: Peer, figure: impl Fn(&Handshakes) -> f64) -> f64 {
    let of_peer = handshakes.iter().filter(|(found, _)| *found == peer);
    median(&of_peer.map(|(_, handshakes)| figure(handshakes)).collect::<Vec<_>>())
}

fn handshake_goal(handshakes: &[(Peer, Handshakes)]) -> Goal {
    let rate = medians(handshakes, Peer::Majordomo, per_core);
    let goal = format!("at least {HANDSHAKES_MIN} handshakes a second a core");
    Goal::judged(goal, format!("{rate:.0}"), rate >= HANDSHAKES_MIN)
}

fn handshake_table(handshakes: &[(Peer, Handshakes)]) -> Table {
    let mut table = Table::new(&["server", "handshakes/s a core", "server CPU µs each", "one after the other /s"], 1);
    for peer in [Peer::Majordomo, Peer::Libzmq] {
        let rate = medians(handshakes, peer, per_core);
        let alone = medians(handshakes, peer, |found| f64::from(found.count) / found.elapsed.as_secs_f64());
        if !rate.is_nan() {
            table.add(vec![
                peer.name().into(),
                format!("{rate:.0}"),
                format!("{:.0}", 1e6 / rate),
                format!("{alone:.0}"),
            ]);
        }
    }
    table
}

fn flood_goal(flooded: &Sample) -> Goal {
    let goal = format!("p99 of an allowed client under {P99_MS_MAX} ms in the flood");
    Goal::judged(goal, format!("{:.1} ms", flooded.p99_us / 1e3), flooded.p99_us < P99_MS_MAX * 1e3)
}

fn flood_table(quiet: &(Sample, f64), flooded: &(Sample, f64)) -> Table {
    let headings = ["", "bogus connections/s", "requests/s", "p50 µs", "p99 µs", "p99.9 µs", "peak MiB", "lost"];
    let mut table = Table::new(&headings, 1);
    for (name, (sample, tried)) in [("alone", quiet), ("in the flood", flooded)] {
        table.add(vec![
            name.into(),
            format!("{tried:.0}"),
            format!("{:.0}", sample.requests_per_second),
            format!("{:.0}", sample.p50_us),
            format!("{:.0}", sample.p99_us),
            format!("{:.0}", sample.p999_us),
            format!("{:.1}", sample.resident_mib_peak),
            sample.lost.to_string(),
        ]);
    }
    table
}

const RATIO_MIN: f64 = 1.2;
const HANDSHAKES_MIN: f64 = 2000.0;
const P99_MS_MAX: f64 = 50.0;

#[cfg(test)]
mod tests {
    use super::*;

    fn handshakes(count: u32, server_ms: u64) -> Handshakes {
        Handshakes { count, elapsed: Duration::from_secs(1), server: Duration::from_millis(server_ms) }
    }

    #[test]
    fn handshakes_are_judged_by_the_processor_time_of_our_server() {
        let verdict =
            |count| handshake_goal(&[(Peer::Majordomo, handshakes(count, 500)), (Peer::Libzmq, handshakes(1, 1))]);
        assert_eq!([verdict(1000).verdict(), verdict(999).verdict()], ["reached", "not reached"]);
    }

    #[test]
    fn the_flood_is_judged_by_p99() {
        let verdict = |p99_us| flood_goal(&Sample { p99_us, ..Sample::default() });
        assert_eq!([verdict(49_999.0).verdict(), verdict(50_000.0).verdict()], ["reached", "not reached"]);
    }

    #[test]
    fn throughput_is_judged_by_the_ratio_to_libzmq() {
        let cell = |peer, rate| {
            let mut cell = Cell::new(peer, Pattern::ALONE, 64);
            cell.add(Ok(Sample { requests_per_second: rate, ..Sample::default() }));
            cell
        };
        let verdict = |ours| beat_libzmq(&[cell(Peer::Majordomo, ours), cell(Peer::Libzmq, 100.0)]);
        assert_eq!([verdict(120.0).verdict(), verdict(119.0).verdict()], ["reached", "not reached"]);
        assert_eq!(beat_libzmq(&[cell(Peer::Majordomo, 1.0)]).verdict(), "not measured");
    }
}
