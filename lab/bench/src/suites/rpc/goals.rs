//! What the broker must reach beside its neighbours, and whether it does.

use crate::peers::Peer;
use crate::plan::Pattern;
use crate::results::{Cell, Goal};

/// Every goal of this suite, judged by `cells` where they suffice.
pub(super) fn of(cells: &[Cell]) -> Vec<Goal> {
    let throughput = BODIES.iter().flat_map(|&bytes| BUSY_PATTERNS.map(|pattern| beat_gearmand(cells, bytes, pattern)));
    throughput.chain(BODIES.iter().map(|&bytes| answer_as_fast_as_nats(cells, bytes))).collect()
}

fn beat_gearmand(cells: &[Cell], body_bytes: usize, pattern: Pattern) -> Goal {
    let goal = format!("{body_bytes} B, {pattern}: at least {GEARMAND_RATIO_MIN} x gearmand's requests a second");
    let Some((ours, theirs)) = pair(cells, Peer::Gearmand, body_bytes, pattern) else { return Goal::open(goal) };
    let ratio = ours.ratio(theirs, |sample| sample.requests_per_second);
    let [our_rate, their_rate] = [ours, theirs].map(|cell| cell.median(|sample| sample.requests_per_second) / 1e3);
    let measured = format!("{ratio:.2} x ({our_rate:.1}k/s, {their_rate:.1}k/s)");
    Goal::judged(goal, measured, ratio >= GEARMAND_RATIO_MIN)
}

fn answer_as_fast_as_nats(cells: &[Cell], body_bytes: usize) -> Goal {
    let goal = format!("{body_bytes} B, one outstanding: p50 not above nats-server's");
    let Some((ours, theirs)) = pair(cells, Peer::Nats, body_bytes, Pattern::ALONE) else { return Goal::open(goal) };
    let ratio = ours.ratio(theirs, |sample| sample.p50_us);
    let [our_p50, their_p50] = [ours, theirs].map(|cell| cell.median(|sample| sample.p50_us));
    Goal::judged(goal, format!("{ratio:.2} x ({our_p50:.0} µs, {their_p50:.0} µs)"), ratio <= 1.0)
}

/// Our cell and that of `peer` under the same load; none when either is missing or has an error.
fn pair(cells: &[Cell], peer: Peer, body_bytes: usize, pattern: Pattern) -> Option<(&Cell, &Cell)> {
    let find = |peer| {
        let same = |cell: &&Cell| cell.peer == peer && cell.body_bytes == body_bytes && cell.pattern == pattern;
        cells.iter().find(same).filter(|cell| cell.errors() == 0)
    };
    Some((find(Peer::Majordomo)?, find(peer)?))
}

const BODIES: [usize; 2] = [64, 1024];
const BUSY_PATTERNS: [Pattern; 3] = [
    Pattern { clients: 1, outstanding: 1000 },
    Pattern { clients: 50, outstanding: 20 },
    Pattern { clients: 200, outstanding: 5 },
];
const GEARMAND_RATIO_MIN: f64 = 1.3;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::Sample;

    fn cell(peer: Peer, pattern: &str, figure: f64) -> Cell {
        let mut cell = Cell::new(peer, pattern.parse().unwrap(), 64);
        cell.add(Ok(Sample { requests_per_second: figure, p50_us: figure, ..Sample::default() }));
        cell
    }

    fn verdicts(cells: &[Cell]) -> Vec<&'static str> {
        of(cells).iter().map(Goal::verdict).collect()
    }

    #[test]
    fn goals_without_figures_are_open() {
        assert_eq!(verdicts(&[]), ["not measured"; 8]);
    }

    #[test]
    fn throughput_is_judged_by_the_ratio_to_gearmand() {
        let at = |ours| verdicts(&[cell(Peer::Majordomo, "1x1000", ours), cell(Peer::Gearmand, "1x1000", 100.0)])[0];
        assert_eq!([at(130.0), at(129.0)], ["reached", "not reached"]);
    }

    #[test]
    fn latency_is_judged_by_the_ratio_to_nats() {
        let at = |ours| verdicts(&[cell(Peer::Majordomo, "1x1", ours), cell(Peer::Nats, "1x1", 100.0)])[6];
        assert_eq!([at(100.0), at(101.0)], ["reached", "not reached"]);
    }

    #[test]
    fn a_load_with_errors_decides_nothing() {
        let mut ours = cell(Peer::Majordomo, "1x1000", 500.0);
        ours.add(Ok(Sample { lost: 1, ..Sample::default() }));
        assert_eq!(verdicts(&[ours, cell(Peer::Gearmand, "1x1000", 100.0)])[0], "not measured");
    }
}
