//! The mesh on machines of its own: how fast nodes find each other, how fast a death is seen, whether loss is taken for
//! a death, and what it costs to be there.
//!
//! A node is `majordomo mesh watch`, one process each, in a network namespace of its own on a bridge ([`Network`]).
//! What it prints is what counts, read as it comes.

mod crowd;
mod tables;

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use fixtures::Network;
use serde::Serialize;

use super::{Common, rpc};
use crate::measure::{processor_time, raise_open_files, resident_bytes};
use crate::peers::Peer;
use crate::report::Report;
use crowd::Crowd;

/// How many nodes, how often, how long.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Sizes of the mesh for joining and resting
    #[arg(long, value_delimiter = ',', default_values_t = SIZES, value_parser = nodes())]
    pub sizes: Vec<u8>,

    /// Rounds of joining, each with new processes
    #[arg(long, default_value_t = ROUNDS, value_parser = clap::value_parser!(u32).range(1..=99))]
    pub rounds: u32,

    /// How long a mesh rests while traffic and processor time are read, seconds
    #[arg(long, default_value_t = REST_SECONDS, value_parser = rpc::seconds)]
    pub rest_seconds: f64,

    /// Nodes of the mesh in which nodes are killed and packets are lost
    #[arg(long, default_value_t = NODES, value_parser = nodes())]
    pub nodes: u8,

    /// Nodes to kill, one after another
    #[arg(long, default_value_t = KILLS, value_parser = clap::value_parser!(u8).range(1..=100))]
    pub kills: u8,

    /// Packets of a hundred that each node loses of those that reach it
    #[arg(long, default_value_t = LOSS_PERCENT, value_parser = clap::value_parser!(u8).range(1..=90))]
    pub loss_percent: u8,

    /// How long nobody may be taken for dead meanwhile, seconds
    #[arg(long, default_value_t = LOSS_SECONDS, value_parser = rpc::seconds)]
    pub loss_seconds: f64,

    /// A row of a simulated mesh: NODES:BEACONS:COMMANDS:OCTETS, of one node a second (`cargo xtask bench mesh` asks
    /// the simulator itself)
    #[arg(long, value_name = "ROW", value_delimiter = ',')]
    pub simulated: Vec<Simulated>,
}

/// What one node of a simulated mesh sends a second.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Simulated {
    nodes: u32,
    beacons: f64,
    commands: f64,
    octets: f64,
}

/// How long after the last start each node had seen all others, milliseconds.
#[derive(Debug, Clone, Default, Serialize)]
struct Joining {
    nodes: usize,
    rounds: u32,
    took_ms: Vec<f64>,
}

/// What a mesh of one size costs while nothing happens.
#[derive(Debug, Clone, Default, Serialize)]
struct Resting {
    nodes: usize,
    seconds: f64,
    /// Put on the wire by all, a second.
    packets: f64,
    octets: f64,
    /// Of one core, of each node, percent.
    processor_percent: Vec<f64>,
    /// Of each node, the mean.
    resident_bytes: f64,
    /// Nodes that somebody took for gone.
    exits: usize,
}

/// How long after its end each of the others saw that a node was gone, milliseconds.
#[derive(Debug, Clone, Default, Serialize)]
struct Dying {
    nodes: usize,
    kills: usize,
    took_ms: Vec<f64>,
    /// Deaths that one node or another never saw, and nodes that were taken for dead without being it.
    missed: usize,
    false_exits: usize,
}

/// What a mesh makes of packets that get lost.
#[derive(Debug, Clone, Default, Serialize)]
struct Losing {
    nodes: usize,
    percent: u8,
    seconds: f64,
    joined_ms: Option<f64>,
    exits: usize,
    evasive: usize,
}

/// Everything that was measured.
#[derive(Debug, Clone, Default, Serialize)]
struct Findings {
    joining: Vec<Joining>,
    resting: Vec<Resting>,
    dying: Dying,
    losing: Losing,
    simulated: Vec<Simulated>,
}

/// Makes the network and takes one measurement after another.
///
/// # Errors
/// No right to make network namespaces, our binary is not built, or a mesh does not come together at all.
pub fn run(args: &Args, common: &Common) -> anyhow::Result<Report> {
    let installed = Peer::Majordomo.find(common.broker.as_deref())?;
    let most = args.sizes.iter().chain([&args.nodes]).copied().max().map_or(0, usize::from);
    raise_open_files(FILES_A_NODE * most as u64 + FILES_BESIDES)?;
    let mut findings = Findings { simulated: args.simulated.clone(), ..Findings::default() };
    for size in args.sizes.iter().copied().map(usize::from) {
        // A bridge copies a broadcast to each of its ports, used or not.
        let network = network(size)?;
        let place = Place { network: &network, program: installed.program(), common };
        let mut joining = Joining { nodes: size, rounds: args.rounds, took_ms: Vec::new() };
        let mut crowd = place.joined(size, &mut joining.took_ms)?;
        for _ in 1..args.rounds {
            drop(crowd);
            crowd = place.joined(size, &mut joining.took_ms)?;
        }
        findings.joining.push(joining);
        findings.resting.push(place.rest(&mut crowd, Duration::from_secs_f64(args.rest_seconds))?);
    }
    let nodes = usize::from(args.nodes);
    let network = network(nodes)?;
    let place = Place { network: &network, program: installed.program(), common };
    let mut crowd = place.joined(nodes, &mut Vec::new())?;
    findings.dying = kill(&mut crowd, usize::from(args.kills))?;
    drop(crowd);
    findings.losing = place.lose(nodes, args.loss_percent, Duration::from_secs_f64(args.loss_seconds))?;
    Ok(tables::report(args, common, &installed.version(), &findings))
}

fn network(machines: usize) -> anyhow::Result<Network> {
    Network::new(machines).context("network namespaces need root (CAP_SYS_ADMIN and CAP_NET_ADMIN)")
}

/// Where nodes run, and what a node is.
#[derive(Debug)]
struct Place<'a> {
    network: &'a Network,
    program: &'a Path,
    common: &'a Common,
}

impl Place<'_> {
    fn start(&self, count: usize) -> anyhow::Result<Crowd> {
        self.common.placement.start_server(|| Crowd::start(self.network, self.program, count))
    }

    /// A mesh that is whole; how long each node took is added.
    fn joined(&self, count: usize, took_ms: &mut Vec<f64>) -> anyhow::Result<Crowd> {
        let mut crowd = self.start(count)?;
        let took = crowd.until_whole(JOIN_MAX).with_context(|| format!("a mesh of {count} nodes"))?;
        took_ms.extend(took.iter().map(|took| took.as_secs_f64() * 1e3));
        Ok(crowd)
    }

    fn rest(&self, crowd: &mut Crowd, time: Duration) -> anyhow::Result<Resting> {
        crowd.listen(SETTLE);
        let pids = crowd.pids();
        let spent = || pids.iter().map(|pid| processor_time(&pid.to_string())).collect::<anyhow::Result<Vec<_>>>();
        let (sent, before, begin) = (self.network.sent(), spent()?, std::time::Instant::now());
        let heard = crowd.listen(time);
        let (after, sent_after, seconds) = (spent()?, self.network.sent(), begin.elapsed().as_secs_f64());
        let percent = before.iter().zip(&after).map(|(before, after)| (*after - *before).as_secs_f64() / seconds * 1e2);
        let resident = pids.iter().map(|pid| resident_bytes(*pid)).sum::<anyhow::Result<u64>>()?;
        Ok(Resting {
            nodes: crowd.len(),
            seconds,
            packets: (sent_after.packets - sent.packets) as f64 / seconds,
            octets: (sent_after.octets - sent.octets) as f64 / seconds,
            processor_percent: percent.collect(),
            resident_bytes: resident as f64 / pids.len() as f64,
            exits: heard.exits,
        })
    }

    fn lose(&self, count: usize, percent: u8, time: Duration) -> anyhow::Result<Losing> {
        (1..=count).for_each(|machine| self.network.lose(machine, percent.into()));
        let mut crowd = self.start(count)?;
        let took = crowd.until_whole(JOIN_MAX).context("a mesh that loses packets")?;
        let slowest = took.iter().max().map(|took| took.as_secs_f64() * 1e3);
        let heard = crowd.listen(time);
        Ok(Losing {
            nodes: count,
            percent,
            seconds: time.as_secs_f64(),
            joined_ms: slowest,
            exits: heard.exits,
            evasive: heard.evasive,
        })
    }
}

/// kill -9, at moments that have nothing to do with beacons.
fn kill(crowd: &mut Crowd, kills: usize) -> anyhow::Result<Dying> {
    anyhow::ensure!(
        kills < crowd.len(),
        "{kills} of {} nodes cannot be killed with others left to see it",
        crowd.len()
    );
    let mut dying = Dying { nodes: crowd.len(), kills, ..Dying::default() };
    for _ in 0..kills {
        crowd.listen(Duration::from_millis(fastrand::u64(500..1500)));
        let seen = crowd.kill_one(DEATH_MAX)?;
        dying.took_ms.extend(seen.took.iter().map(|took| took.as_secs_f64() * 1e3));
        dying.missed += seen.missed;
    }
    dying.false_exits = crowd.false_exits();
    Ok(dying)
}

impl std::str::FromStr for Simulated {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let usage = || format!("`{text}`: a row is NODES:BEACONS:COMMANDS:OCTETS, for example 1000:1.00:0.00:22.0");
        let number = |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0);
        let numbers: Vec<&str> = text.split(':').collect();
        let [nodes, rest @ ..] = &numbers[..] else { return Err(usage()) };
        let rest: Option<Vec<f64>> = rest.iter().map(|text| number(text)).collect();
        match (nodes.parse(), rest.as_deref()) {
            (Ok(nodes), Some(&[beacons, commands, octets])) => Ok(Self { nodes, beacons, commands, octets }),
            _ => Err(usage()),
        }
    }
}

fn nodes() -> clap::builder::RangedI64ValueParser<u8> {
    clap::value_parser!(u8).range(2..=250)
}

const SIZES: [u8; 3] = [10, 50, 200];
const ROUNDS: u32 = 5;
const REST_SECONDS: f64 = 30.0;
const NODES: u8 = 50;
const KILLS: u8 = 10;
const LOSS_PERCENT: u8 = 10;
const LOSS_SECONDS: f64 = 300.0;
/// Two of a pipe, and a thread's.
const FILES_A_NODE: u64 = 8;
const FILES_BESIDES: u64 = 200;
/// A mesh that is not whole by then does not come together.
const JOIN_MAX: Duration = Duration::from_secs(60);
/// Whoever has not seen a death by then does not see it.
const DEATH_MAX: Duration = Duration::from_secs(10);
/// The first beacons of a node come faster; caches and allocators come to rest.
const SETTLE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_simulated_row_is_four_numbers() {
        let row: Simulated = "1000:1.00:0.00:22.0".parse().unwrap();
        assert_eq!(row, Simulated { nodes: 1000, beacons: 1.0, commands: 0.0, octets: 22.0 });
        for text in ["", "1000", "1000:1:2", "x:1:2:3", "1:2:3:4:5", "1:-1:0:0", "1:NaN:0:0"] {
            assert!(text.parse::<Simulated>().unwrap_err().contains("NODES:BEACONS"), "{text}");
        }
    }
}
