//! What Titanic must reach beside its neighbours, and whether it does.

use super::disk::Disk;
use super::whole::Whole;
use super::{BODIES, MANY, ONE};
use crate::peers::keepers::Keeper;
use crate::plan::Pattern;
use crate::results::{Cell, Goal, MIB, Named};

/// Every goal of this suite, judged where the figures suffice.
pub(super) fn of(cells: &[Cell<Keeper>], memory: &[Cell<Keeper>], disk: &Disk, whole: Option<&Whole>) -> Vec<Goal> {
    let mut goals = Vec::new();
    for bytes in BODIES {
        for pattern in [MANY, ONE] {
            for ours in [Keeper::Aboard, Keeper::Apart] {
                goals.push(beat(cells, (ours, Keeper::JetStream), (bytes, pattern), JETSTREAM_RATIO_MIN));
                goals.push(beat(cells, (ours, Keeper::Redis), (bytes, pattern), REDIS_RATIO_MIN));
            }
        }
    }
    goals.extend(BODIES.map(|bytes| answer_soon(cells, disk, bytes)));
    goals.extend([recover(whole), remember(whole)]);
    goals.extend([Keeper::AboardMemory, Keeper::ApartMemory].map(|ours| keep_up(memory, ours)));
    goals
}

fn beat(
    cells: &[Cell<Keeper>],
    (ours, theirs): (Keeper, Keeper),
    (bytes, pattern): (usize, Pattern),
    least: f64,
) -> Goal {
    let goal = format!("{bytes} B, {pattern}, {}: at least {least} x {}", ours.name(), theirs.name());
    let find = |keeper| find(cells, keeper, bytes, pattern);
    let (Some(ours), Some(theirs)) = (find(ours), find(theirs)) else { return Goal::open(goal) };
    let ratio = ours.ratio(theirs, |sample| sample.requests_per_second);
    let [our_rate, their_rate] = [ours, theirs].map(|cell| cell.median(|sample| sample.requests_per_second) / 1e3);
    Goal::judged(goal, format!("{ratio:.2} x ({our_rate:.1}k/s, {their_rate:.1}k/s)"), ratio >= least)
}

fn answer_soon(cells: &[Cell<Keeper>], disk: &Disk, bytes: usize) -> Goal {
    let goal = format!("{bytes} B, one submitter: p50 at most {ALONE_RATIO_MAX} x (a raw flush and a round trip)");
    let ours = find(cells, Keeper::Aboard, bytes, Pattern::ALONE);
    let (Some(ours), Some(least_us)) = (ours, disk.least_us(bytes)) else { return Goal::open(goal) };
    let p50_us = ours.median(|sample| sample.p50_us);
    let ratio = p50_us / least_us;
    Goal::judged(goal, format!("{ratio:.2} x ({p50_us:.0} µs, {least_us:.0} µs)"), ratio <= ALONE_RATIO_MAX)
}

fn recover(whole: Option<&Whole>) -> Goal {
    let goal = format!("recovery at most {RECOVERY_S_MAX} s a GiB of live log");
    let Some(whole) = whole else { return Goal::open(goal) };
    let seconds = whole.recovery_s / (whole.live_bytes / MIB / 1024.0);
    Goal::judged(goal, format!("{seconds:.2} s"), seconds <= RECOVERY_S_MAX)
}

fn remember(whole: Option<&Whole>) -> Goal {
    let goal = format!("a million open requests in less than {OPEN_MB_MAX} MB");
    let Some(whole) = whole else { return Goal::open(goal) };
    let megabytes = whole.open_bytes / f64::from(whole.open);
    Goal::judged(goal, format!("{megabytes:.0} MB, by {}", whole.open), megabytes < OPEN_MB_MAX)
}

fn keep_up(memory: &[Cell<Keeper>], ours: Keeper) -> Goal {
    let goal = format!("{}: at most 20 % below the broker's echo", ours.name());
    let find = |keeper| memory.iter().find(|cell| cell.peer == keeper && cell.errors() == 0);
    let (Some(ours), Some(echo)) = (find(ours), find(Keeper::Echo)) else { return Goal::open(goal) };
    let ratio = ours.ratio(echo, |sample| sample.requests_per_second);
    let [our_rate, echo_rate] = [ours, echo].map(|cell| cell.median(|sample| sample.requests_per_second) / 1e3);
    Goal::judged(goal, format!("{ratio:.2} x ({our_rate:.1}k/s, {echo_rate:.1}k/s)"), ratio >= ECHO_RATIO_MIN)
}

/// A cell without errors.
fn find(cells: &[Cell<Keeper>], keeper: Keeper, bytes: usize, pattern: Pattern) -> Option<&Cell<Keeper>> {
    let same = |cell: &&Cell<Keeper>| cell.peer == keeper && cell.body_bytes == bytes && cell.pattern == pattern;
    cells.iter().find(same).filter(|cell| cell.errors() == 0)
}

const JETSTREAM_RATIO_MIN: f64 = 10.0;
const REDIS_RATIO_MIN: f64 = 1.0;
const ALONE_RATIO_MAX: f64 = 1.3;
const RECOVERY_S_MAX: f64 = 1.0;
const OPEN_MB_MAX: f64 = 150.0;
const ECHO_RATIO_MIN: f64 = 0.8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::Sample;

    fn cell(keeper: Keeper, pattern: Pattern, figure: f64) -> Cell<Keeper> {
        let mut cell = Cell::new(keeper, pattern, 128);
        cell.add(Ok(Sample { requests_per_second: figure, p50_us: figure, ..Sample::default() }));
        cell
    }

    fn verdicts(
        cells: &[Cell<Keeper>],
        memory: &[Cell<Keeper>],
        disk: &Disk,
        whole: Option<&Whole>,
    ) -> Vec<&'static str> {
        of(cells, memory, disk, whole).iter().map(Goal::verdict).collect()
    }

    #[test]
    fn goals_without_figures_are_open() {
        assert_eq!(verdicts(&[], &[], &Disk::default(), None), ["not measured"; 22]);
    }

    #[test]
    fn rates_are_judged_beside_jetstream_and_redis() {
        let at = |ours| {
            let cells = [(Keeper::Aboard, ours), (Keeper::JetStream, 10.0), (Keeper::Redis, 101.0)]
                .map(|(keeper, rate)| cell(keeper, MANY, rate));
            verdicts(&cells, &[], &Disk::default(), None)[..2].to_vec()
        };
        assert_eq!(at(100.0), ["reached", "not reached"]);
        assert_eq!(at(101.0), ["reached", "reached"]);
        assert_eq!(at(99.0), ["not reached", "not reached"]);
    }

    #[test]
    fn one_submitter_is_judged_by_the_disk_and_the_broker_together() {
        let disk = Disk::of(128, 100.0, 60.0);
        let at = |ours| verdicts(&[cell(Keeper::Aboard, Pattern::ALONE, ours)], &[], &disk, None)[16];
        assert_eq!([at(208.0), at(209.0)], ["reached", "not reached"]);
    }

    #[test]
    fn a_whole_log_is_judged_a_gib_and_a_million() {
        let at = |recovery_s, open_bytes| {
            let whole = Whole { live_bytes: 512.0 * MIB, recovery_s, open: 500_000, open_bytes };
            verdicts(&[], &[], &Disk::default(), Some(&whole))[18..20].to_vec()
        };
        assert_eq!(at(0.5, 74e6), ["reached", "reached"]);
        assert_eq!(at(0.51, 76e6), ["not reached", "not reached"]);
    }

    #[test]
    fn memory_is_judged_beside_the_echo() {
        let at = |ours| {
            let cells =
                [(Keeper::AboardMemory, ours), (Keeper::Echo, 100.0)].map(|(keeper, rate)| cell(keeper, ONE, rate));
            verdicts(&[], &cells, &Disk::default(), None)[20]
        };
        assert_eq!([at(80.0), at(79.0)], ["reached", "not reached"]);
    }
}
