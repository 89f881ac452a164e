//! MDP 0.3: many requests in flight and workers with credit, beside nats-server and beside a forwarder on our own
//! engine that does nothing else; and a hundred thousand requests of one client at once, beside the same in MDP 0.1.

use super::{Common, rpc};
use crate::peers::{Installed, Peer};
use crate::plan::Pattern;
use crate::report::Report;
use crate::results::{Cell, Goal};

/// What to load, how, and for how long.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Rounds of every load; the median counts
    #[arg(long, default_value_t = ROUNDS, value_parser = clap::value_parser!(u32).range(1..=99))]
    pub rounds: u32,

    /// Time of one load, seconds, after a quarter of it to warm up
    #[arg(long, default_value_t = SECONDS, value_parser = rpc::seconds)]
    pub seconds: f64,

    /// Lengths of a body, bytes
    #[arg(long, value_delimiter = ',', default_values_t = BODIES, value_parser = rpc::body_bytes)]
    pub sizes: Vec<usize>,

    /// CLIENTSxOUTSTANDING: connections, and requests that each keeps in flight
    #[arg(long, value_delimiter = ',', default_values_t = PATTERNS.map(|(pattern, _)| pattern))]
    pub patterns: Vec<Pattern>,

    /// The servers to compare
    #[arg(long, value_delimiter = ',', default_value = "majordomo-0.3,nats,forward,majordomo-0.3-kept")]
    pub peers: Vec<Peer>,

    /// Worker connections
    #[arg(long, default_value_t = WORKERS, value_parser = clap::value_parser!(u16).range(1..=4000))]
    pub workers: u16,

    /// Requests that a worker takes at once; the others know no such limit
    #[arg(long, default_value_t = CREDIT, value_parser = clap::value_parser!(u32).range(1..=65536))]
    pub credit: u32,

    /// Leave the hundred thousand requests of one client out
    #[arg(long)]
    pub without_flood: bool,
}

impl Default for Args {
    fn default() -> Self {
        Self {
            rounds: ROUNDS,
            seconds: SECONDS,
            sizes: BODIES.to_vec(),
            patterns: PATTERNS.map(|(pattern, _)| pattern).to_vec(),
            peers: vec![Peer::Native, Peer::Nats, Peer::Forward, Peer::Keeping],
            workers: WORKERS,
            credit: CREDIT,
            without_flood: false,
        }
    }
}

/// Runs every load.
///
/// # Errors
/// A peer is not installed, or the machine cannot be set up. What goes wrong within a load is in the report.
pub fn run(args: &Args, common: &Common) -> anyhow::Result<Report> {
    let installed = common.find(&args.peers)?;
    anyhow::ensure!(!installed.is_empty(), "none of the peers is installed");
    let loads = loads(args);
    let mut cells = rpc::compare_all(&loads, &installed, common.placement, Installed::start);
    let plain = cells.len();
    if args.peers.contains(&Peer::Native) && !args.without_flood {
        let both = common.find(&[Peer::Native, Peer::Majordomo])?;
        let flood =
            rpc::Args { sizes: vec![FLOOD_BYTES], patterns: vec![FLOOD], credit: FLOOD_CREDIT, ..loads.clone() };
        cells.extend(rpc::compare_all(&flood, &both, common.placement, Installed::start));
    }
    let mut report = rpc::report(&loads, common, &installed, &cells)?;
    report.suite = "native";
    report.summary = format!("MDP 0.3 with {} workers that take {} requests at once.", args.workers, args.credit);
    report.notes.push(
        "majordomo-0.3: clients say that answers need not be kept (IDEMPOTENCY 1), as no other server keeps them; \
         with -kept they say nothing, and each answer is kept for two minutes, up to a bound of memory"
            .into(),
    );
    report.notes.push(format!("{FLOOD}: each worker takes {FLOOD_CREDIT} at once, and one at a time in MDP 0.1"));
    report.tables = rpc::tables_of(&cells, Peer::Native);
    let (cells, flood) = cells.split_at(plain);
    report.goals = goals(cells, flood);
    Ok(report)
}

fn loads(args: &Args) -> rpc::Args {
    rpc::Args {
        rounds: args.rounds,
        seconds: args.seconds,
        sizes: args.sizes.clone(),
        patterns: args.patterns.clone(),
        peers: args.peers.clone(),
        workers: args.workers,
        credit: args.credit,
    }
}

/// Every goal of this suite, judged where the cells suffice.
fn goals(cells: &[Cell], flood: &[Cell]) -> Vec<Goal> {
    let beat_nats = |bytes| {
        PATTERNS.map(move |(pattern, least)| {
            let goal = format!("{bytes} B, {pattern}: at least {least} x nats-server's requests a second");
            judge(cells, Peer::Nats, (bytes, pattern), goal, least)
        })
    };
    let cost_little = PATTERNS.map(|(pattern, _)| {
        let goal = format!("64 B, {pattern}: at most 25 % below a bare forwarder on our own engine");
        judge(cells, Peer::Forward, (64, pattern), goal, FORWARD_RATIO_MIN)
    });
    let goal = format!("{FLOOD}: none lost or wrong, and at least {FLOOD_RATIO_MIN} x the same through MDP 0.1");
    let stand_the_flood = judge(flood, Peer::Majordomo, (FLOOD_BYTES, FLOOD), goal, FLOOD_RATIO_MIN);
    BODIES.into_iter().flat_map(beat_nats).chain(cost_little).chain([stand_the_flood]).collect()
}

/// Whether our requests a second are at least `least` times those of `peer` under the same load.
fn judge(cells: &[Cell], peer: Peer, (body_bytes, pattern): (usize, Pattern), goal: String, least: f64) -> Goal {
    let find = |peer| {
        let same = |cell: &&Cell| cell.peer == peer && cell.body_bytes == body_bytes && cell.pattern == pattern;
        cells.iter().find(same).filter(|cell| cell.errors() == 0)
    };
    let (Some(ours), Some(theirs)) = (find(Peer::Native), find(peer)) else { return Goal::open(goal) };
    let ratio = ours.ratio(theirs, |sample| sample.requests_per_second);
    let [our_rate, their_rate] = [ours, theirs].map(|cell| cell.median(|sample| sample.requests_per_second) / 1e3);
    Goal::judged(goal, format!("{ratio:.2} x ({our_rate:.1}k/s, {their_rate:.1}k/s)"), ratio >= least)
}

const ROUNDS: u32 = 3;
const SECONDS: f64 = 2.0;
const WORKERS: u16 = 4;
/// All that any of the loads has outstanding: NATS hands everything out at once, too.
const CREDIT: u32 = 256;
const BODIES: [usize; 2] = [64, 1024];
/// Each with what our broker must reach beside nats-server.
const PATTERNS: [(Pattern, f64); 3] = [
    (Pattern { clients: 1, outstanding: 1000 }, 1.5),
    (Pattern { clients: 50, outstanding: 20 }, 1.2),
    (Pattern { clients: 200, outstanding: 5 }, 1.2),
];
const FORWARD_RATIO_MIN: f64 = 0.75;
const FLOOD: Pattern = Pattern { clients: 1, outstanding: 100_000 };
const FLOOD_BYTES: usize = 64;
const FLOOD_CREDIT: u32 = 64;
const FLOOD_RATIO_MIN: f64 = 2.0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::Sample;

    fn cell(peer: Peer, pattern: Pattern, requests_per_second: f64) -> Cell {
        let mut cell = Cell::new(peer, pattern, 64);
        cell.add(Ok(Sample { requests_per_second, ..Sample::default() }));
        cell
    }

    fn verdicts(cells: &[Cell], flood: &[Cell]) -> Vec<&'static str> {
        goals(cells, flood).iter().map(Goal::verdict).collect()
    }

    #[test]
    fn goals_without_figures_are_open() {
        assert_eq!(verdicts(&[], &[]), ["not measured"; 10]);
    }

    #[test]
    fn each_load_is_judged_beside_nats_and_beside_the_forwarder() {
        let pattern = Pattern { clients: 50, outstanding: 20 };
        let at = |ours| {
            let cells = [(Peer::Native, ours), (Peer::Nats, 100.0), (Peer::Forward, 160.0)]
                .map(|(peer, rate)| cell(peer, pattern, rate));
            let verdicts = verdicts(&cells, &[]);
            [verdicts[1], verdicts[7]]
        };
        assert_eq!(at(120.0), ["reached", "reached"]);
        assert_eq!(at(119.0), ["not reached", "not reached"]);
    }

    #[test]
    fn a_flood_that_lost_a_request_is_not_judged() {
        let mut ours = cell(Peer::Native, FLOOD, 300.0);
        let theirs = cell(Peer::Majordomo, FLOOD, 100.0);
        assert_eq!(verdicts(&[], &[ours.clone(), theirs.clone()])[9], "reached");
        ours.add(Ok(Sample { lost: 1, ..Sample::default() }));
        assert_eq!(verdicts(&[], &[ours, theirs])[9], "not measured");
    }
}
