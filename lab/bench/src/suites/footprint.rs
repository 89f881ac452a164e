//! What our broker costs when nothing happens: resident memory when idle, and for each idle connection.

use std::time::Duration;

use super::Common;
use crate::load::Idle;
use crate::measure::{raise_open_files, resident_bytes};
use crate::peers::Peer;
use crate::report::Report;
use crate::report::table::Table;
use crate::results::{Goal, MIB};
use crate::wire::mdp::Mdp;

/// How many connections to hold.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Idle client connections to hold at once
    #[arg(long, default_value_t = CONNECTIONS, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub connections: u32,
}

impl Default for Args {
    fn default() -> Self {
        Self { connections: CONNECTIONS }
    }
}

/// Starts our broker, holds idle connections to it, and lets each of them ask once.
///
/// # Errors
/// The broker is not built, too few files may be open, or the broker closes an idle connection.
pub fn run(args: &Args, common: &Common) -> anyhow::Result<Report> {
    raise_open_files(u64::from(args.connections) + FILES_BESIDES)?;
    let installed = Peer::Majordomo.find(common.broker.as_deref())?;
    let server = common.placement.start_server(|| installed.start())?;
    let resident = || resident_bytes(server.pid()).map(|bytes| bytes as f64);

    std::thread::sleep(SETTLE);
    let idle = resident()?;
    let mut crowd = Idle::open(&Mdp, server.addresses(), args.connections as usize)?;
    crowd.rest(SETTLE)?;
    let connected = resident()?;
    crowd.ask_once()?;
    crowd.rest(SETTLE)?;
    let asked = resident()?;

    let each = |bytes: f64| (bytes - idle) / f64::from(args.connections);
    Ok(report(args.connections, &installed.version(), idle, each(connected), each(asked)))
}

fn report(connections: u32, version: &str, idle: f64, connected_each: f64, asked_each: f64) -> Report {
    let mut table = Table::new(&["broker", "resident memory"], 1);
    table.add(vec!["idle, no connection".into(), format!("{:.1} MiB", idle / MIB)]);
    table.add(vec!["each connection, after its handshake".into(), format!("{:.2} KiB", connected_each / KIB)]);
    table.add(vec!["each connection, after one request and its reply".into(), format!("{:.2} KiB", asked_each / KIB)]);
    let worst_each = connected_each.max(asked_each);
    let goals = vec![
        Goal::judged(
            format!("at most {:.0} MiB resident when idle", IDLE_BYTES_MAX / MIB),
            format!("{:.1} MiB", idle / MIB),
            idle <= IDLE_BYTES_MAX,
        ),
        Goal::judged(
            format!("at most {:.0} KiB an idle connection", CONNECTION_BYTES_MAX / KIB),
            format!("{:.2} KiB with {connections} connections", worst_each / KIB),
            worst_each <= CONNECTION_BYTES_MAX,
        ),
    ];
    let figures = serde_json::json!({
        "connections": connections,
        "idle_bytes": idle,
        "connected_bytes_each": connected_each,
        "asked_bytes_each": asked_each,
    });
    Report {
        suite: "footprint",
        summary: format!("Our broker with {connections} idle connections."),
        notes: vec![version.to_owned()],
        tables: vec![("Resident memory".into(), table)],
        goals,
        errors: Vec::new(),
        records: vec![figures],
    }
}

/// What the project promises to hold.
const CONNECTIONS: u32 = 10_000;
const KIB: f64 = 1024.0;
const IDLE_BYTES_MAX: f64 = 20.0 * MIB;
const CONNECTION_BYTES_MAX: f64 = 16.0 * KIB;
/// Standard streams, libraries, the poller, and some to spare.
const FILES_BESIDES: u64 = 200;
/// Time for allocators and timers to come to rest before memory is read: a measurement, not a synchronisation.
const SETTLE: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_goals_are_judged_by_the_larger_figure() {
        let verdicts = |idle, connected, asked| -> Vec<&str> {
            report(10, "v", idle * MIB, connected * KIB, asked * KIB).goals.iter().map(Goal::verdict).collect()
        };
        assert_eq!(verdicts(19.0, 3.0, 15.0), ["reached", "reached"]);
        assert_eq!(verdicts(21.0, 17.0, 3.0), ["not reached", "not reached"]);
    }
}
