//! What was found, as tables and goals.

use super::{Args, Dying, Findings, Joining, Losing, Resting, Simulated};
use crate::measure::quantile;
use crate::report::Report;
use crate::report::table::Table;
use crate::results::{Goal, MIB};
use crate::suites::Common;

pub(super) fn report(args: &Args, common: &Common, version: &str, findings: &Findings) -> Report {
    Report {
        suite: "mesh",
        summary: "Nodes of a mesh, each a process (`majordomo mesh watch`) in a network namespace of its own, on one \
                  bridge."
            .into(),
        notes: vec![
            format!("{} rounds of joining, each with new processes; {}", args.rounds, common.placement.description()),
            "all nodes share the processors of one machine; a node's time counts from the start of the last process, \
             its loading included, to the line that tells of the last of the others"
                .into(),
            "traffic is what nodes put on the wire, Ethernet and IP headers included; a bridge delivers a broadcast to \
             each of them"
                .into(),
            version.to_owned(),
        ],
        tables: vec![
            ("Joining".into(), joining(&findings.joining)),
            ("At rest".into(), resting(&findings.resting, &findings.simulated)),
            ("kill -9".into(), dying(&findings.dying)),
            ("Packets lost in INPUT of every node".into(), losing(&findings.losing)),
        ],
        goals: goals(findings),
        errors: errors(findings),
        records: serde_json::to_value(findings).into_iter().collect(),
    }
}

fn joining(findings: &[Joining]) -> Table {
    let mut table = Table::new(&["nodes", "p50 ms", "p99 ms", "slowest ms"], 0);
    for joining in findings {
        let figures = [0.5, 0.99, 1.0].map(|part| format!("{:.0}", quantile(&joining.took_ms, part)));
        table.add([joining.nodes.to_string()].into_iter().chain(figures).collect());
    }
    table
}

fn resting(findings: &[Resting], simulated: &[Simulated]) -> Table {
    let headings = ["nodes", "packets/s", "octets/s", "packets/s a node", "CPU % a node", "busiest %", "MiB a node"];
    let mut table = Table::new(&headings, 0);
    for resting in findings {
        let nodes = resting.nodes as f64;
        table.add(vec![
            resting.nodes.to_string(),
            format!("{:.0}", resting.packets),
            format!("{:.0}", resting.octets),
            format!("{:.2}", resting.packets / nodes),
            format!("{:.2}", resting.processor_percent.iter().sum::<f64>() / nodes),
            format!("{:.2}", quantile(&resting.processor_percent, 1.0)),
            format!("{:.1}", resting.resident_bytes / MIB),
        ]);
    }
    for row in simulated {
        let nodes = f64::from(row.nodes);
        let a_node = row.beacons + row.commands;
        table.add(vec![
            format!("{} simulated", row.nodes),
            format!("{:.0}", a_node * nodes),
            // As the others: Ethernet, IP and UDP around each of them.
            format!("{:.0}", (row.octets + a_node * HEADER_OCTETS) * nodes),
            format!("{a_node:.2}"),
        ]);
    }
    table
}

fn dying(dying: &Dying) -> Table {
    let mut table = Table::new(&["nodes", "killed", "p50 ms", "p99 ms", "slowest ms", "not seen", "false EXIT"], 0);
    let figures = [0.5, 0.99, 1.0].map(|part| format!("{:.0}", quantile(&dying.took_ms, part)));
    let counts = [dying.missed, dying.false_exits].map(|count| count.to_string());
    let head = [dying.nodes, dying.kills].map(|count| count.to_string());
    table.add(head.into_iter().chain(figures).chain(counts).collect());
    table
}

fn losing(losing: &Losing) -> Table {
    let mut table = Table::new(&["nodes", "lost %", "whole after ms", "seconds", "EXIT", "EVASIVE"], 0);
    table.add(vec![
        losing.nodes.to_string(),
        losing.percent.to_string(),
        losing.joined_ms.map_or_else(String::new, |joined| format!("{joined:.0}")),
        format!("{:.0}", losing.seconds),
        losing.exits.to_string(),
        losing.evasive.to_string(),
    ]);
    table
}

fn goals(findings: &Findings) -> Vec<Goal> {
    let Findings { joining, resting, dying, losing, .. } = findings;
    let joined = format!("{JOIN_NODES} nodes whole within {JOIN_MS_MAX:.0} ms of the last start (p99)");
    let joined = match joining.iter().find(|joining| joining.nodes == JOIN_NODES) {
        Some(found) => {
            let p99 = quantile(&found.took_ms, 0.99);
            Goal::judged(joined, format!("{p99:.0} ms over {} rounds", found.rounds), p99 <= JOIN_MS_MAX)
        }
        None => Goal::open(joined),
    };
    let died = format!("a killed node gone everywhere within {DEATH_MS_MAX:.0} ms");
    let slowest = quantile(&dying.took_ms, 1.0);
    let died = Goal::judged(
        died,
        format!("{slowest:.0} ms, {} kills, {} nodes", dying.kills, dying.nodes),
        dying.missed == 0 && slowest <= DEATH_MS_MAX,
    );
    let lost = format!("no EXIT in {LOSS_SECONDS:.0} s with {LOSS_PERCENT} % of all packets lost");
    let is_asked = losing.seconds >= LOSS_SECONDS && losing.percent >= LOSS_PERCENT;
    let measured = format!("{} in {:.0} s at {} %", losing.exits, losing.seconds, losing.percent);
    let lost = if is_asked { Goal::judged(lost, measured, losing.exits == 0) } else { Goal::open(lost) };
    let cheap = format!("{MANY_NODES} nodes at under {PROCESSOR_PERCENT_MAX:.0} % of a core each");
    let find = |nodes| resting.iter().find(|resting| resting.nodes == nodes);
    let cheap = match find(MANY_NODES) {
        Some(found) => {
            let busiest = quantile(&found.processor_percent, 1.0);
            Goal::judged(cheap, format!("{busiest:.2} % of the busiest"), busiest < PROCESSOR_PERCENT_MAX)
        }
        None => Goal::open(cheap),
    };
    vec![joined, died, lost, cheap, growth(resting)]
}

/// Traffic as n and not as n squared: a node of the largest mesh sends no more than one of the smallest.
fn growth(resting: &[Resting]) -> Goal {
    let goal = format!("a node of the largest mesh sends at most {GROWTH_MAX} x what one of the smallest does");
    let a_node = |resting: &Resting| resting.packets / resting.nodes as f64;
    let smallest = resting.iter().min_by_key(|resting| resting.nodes);
    let largest = resting.iter().max_by_key(|resting| resting.nodes);
    match (smallest, largest) {
        (Some(smallest), Some(largest)) if smallest.nodes < largest.nodes => {
            let (few, many) = (a_node(smallest), a_node(largest));
            let measured = format!("{many:.2} of {}, {few:.2} of {} packets/s", largest.nodes, smallest.nodes);
            Goal::judged(goal, measured, many <= few * GROWTH_MAX)
        }
        _ => Goal::open(goal),
    }
}

/// A mesh at rest in which somebody was taken for gone was none.
fn errors(findings: &Findings) -> Vec<String> {
    let restless = findings.resting.iter().filter(|resting| resting.exits > 0);
    let restless = restless.map(|resting| format!("{} EXIT at rest, {} nodes", resting.exits, resting.nodes));
    let falsely = Some(findings.dying.false_exits).filter(|count| *count > 0);
    restless.chain(falsely.map(|count| format!("{count} EXIT of nodes that were not killed"))).collect()
}

const JOIN_NODES: usize = 50;
const JOIN_MS_MAX: f64 = 1000.0;
const DEATH_MS_MAX: f64 = 3000.0;
const LOSS_SECONDS: f64 = 300.0;
const LOSS_PERCENT: u8 = 10;
const MANY_NODES: usize = 200;
const PROCESSOR_PERCENT_MAX: f64 = 1.0;
const GROWTH_MAX: f64 = 1.5;
/// Ethernet 14, IP 20, UDP 8.
const HEADER_OCTETS: f64 = 42.0;

#[cfg(test)]
mod tests {
    use super::*;

    fn findings() -> Findings {
        let joining = |nodes, took_ms: &[f64]| Joining { nodes, rounds: 1, took_ms: took_ms.to_vec() };
        let resting = |nodes: usize, packets, percent| Resting {
            nodes,
            packets,
            processor_percent: vec![percent; nodes],
            ..Resting::default()
        };
        Findings {
            joining: vec![joining(10, &[9000.0]), joining(50, &[400.0, 900.0])],
            resting: vec![resting(10, 10.0, 0.1), resting(200, 200.0, 0.9)],
            dying: Dying { nodes: 50, kills: 1, took_ms: vec![2900.0], ..Dying::default() },
            losing: Losing { nodes: 50, percent: 10, seconds: 300.0, ..Losing::default() },
            simulated: vec!["1000:1.00:0.00:22.0".parse().unwrap()],
        }
    }

    fn verdicts(findings: &Findings) -> Vec<&'static str> {
        goals(findings).iter().map(Goal::verdict).collect()
    }

    #[test]
    fn each_goal_is_judged_by_its_own_figure() {
        assert_eq!(verdicts(&findings()), ["reached"; 5]);
        let spoil: [fn(&mut Findings); 5] = [
            |findings| findings.joining[1].took_ms.push(1001.0),
            |findings| findings.dying.took_ms.push(3001.0),
            |findings| findings.losing.exits = 1,
            |findings| findings.resting[1].processor_percent[7] = 1.0,
            |findings| findings.resting[1].packets = 2000.0,
        ];
        for (at, spoil) in spoil.into_iter().enumerate() {
            let mut findings = findings();
            spoil(&mut findings);
            let expected: Vec<_> = (0..5).map(|goal| if goal == at { "not reached" } else { "reached" }).collect();
            assert_eq!(verdicts(&findings), expected);
        }
        let unseen = Findings { dying: Dying { missed: 1, ..findings().dying }, ..findings() };
        assert_eq!(verdicts(&unseen)[1], "not reached");
    }

    #[test]
    fn what_was_cut_short_is_not_judged() {
        let mut short = findings();
        (short.losing.seconds, short.joining, short.resting) = (5.0, Vec::new(), Vec::new());
        assert_eq!(verdicts(&short), ["not measured", "reached", "not measured", "not measured", "not measured"]);
    }

    #[test]
    fn an_exit_where_nobody_has_left_is_an_error() {
        assert_eq!(errors(&findings()), [""; 0]);
        let mut wrong = findings();
        (wrong.resting[0].exits, wrong.dying.false_exits) = (1, 2);
        assert_eq!(errors(&wrong).len(), 2);
    }

    #[test]
    fn a_simulated_row_stands_below_the_others_with_the_same_headers_on_its_packets() {
        let text = resting(&findings().resting, &findings().simulated).to_text();
        let last = text.lines().last().unwrap();
        assert_eq!(last.split_whitespace().collect::<Vec<_>>(), ["1000", "simulated", "1000", "64000", "1.00"]);
    }
}
