//! Makes a failing plan smaller: fewer faults, fewer nodes, a shorter run, plainer behaviour, for as long as the same
//! oracle still finds something.
//!
//! It is deterministic: the same plan shrinks to the same plan. What it tries is a list of smaller plans; the first one
//! that still fails is taken, and the list is made anew.

use crate::plan::{ClientKind, DiskFailures, Plan, Weather};
use crate::trace::Trace;
use crate::world;

/// The smallest plan found that `oracle` still objects to, after at most `runs` runs.
pub fn shrink(plan: &Plan, oracle: &str, runs: usize) -> Plan {
    let mut smallest = plan.clone();
    let mut left = runs;
    loop {
        let smaller = candidates(&smallest).into_iter().take(left).enumerate().find(|(_, plan)| fails(plan, oracle));
        let Some((tried, plan)) = smaller else { return smallest };
        left -= tried + 1;
        smallest = plan;
    }
}

fn fails(plan: &Plan, oracle: &str) -> bool {
    world::run(plan, Trace::default()).violations.first().is_some_and(|found| found.oracle == oracle)
}

/// Smaller plans, the boldest steps first.
fn candidates(plan: &Plan) -> Vec<Plan> {
    let mut list = Vec::new();
    without_chunks(plan, |plan| &mut plan.faults, &mut list);
    if plan.brokers.len() > 1 {
        list.extend(plan.brokers.iter().map(|broker| without_broker(plan, broker.id)));
    }
    without_chunks(plan, |plan| &mut plan.hostiles, &mut list);
    without_chunks(plan, |plan| &mut plan.operators, &mut list);
    without_chunks(plan, |plan| &mut plan.mesh_nodes, &mut list);
    without_chunks(plan, |plan| &mut plan.depositors, &mut list);
    without_chunks(plan, |plan| &mut plan.titanics, &mut list);
    without_chunks(plan, |plan| &mut plan.clients, &mut list);
    without_chunks(plan, |plan| &mut plan.workers, &mut list);
    for part in [2, 4, 10] {
        let storm_ms = plan.storm_ms - plan.storm_ms / part;
        list.push(Plan { storm_ms, ..plan.clone() });
    }
    list.extend(PLAINER.iter().map(|make| {
        let mut plainer = plan.clone();
        make(&mut plainer);
        plainer
    }));
    list.retain(|smaller| smaller != plan && smaller.storm_ms >= STORM_MS_MIN);
    list
}

/// The plan without halves, quarters, and so on down to single items of one of its lists.
fn without_chunks<T: Clone>(plan: &Plan, items: impl Fn(&mut Plan) -> &mut Vec<T>, list: &mut Vec<Plan>) {
    let mut whole = plan.clone();
    let count = items(&mut whole).len();
    let mut size = count;
    while size > 0 {
        for start in (0..count).step_by(size) {
            let mut smaller = plan.clone();
            let end = (start + size).min(count);
            items(&mut smaller).drain(start..end);
            list.push(smaller);
        }
        size /= 2;
    }
}

fn without_broker(plan: &Plan, id: u32) -> Plan {
    let mut smaller = plan.clone();
    smaller.brokers.retain(|broker| broker.id != id);
    smaller.workers.retain(|worker| worker.broker != id);
    smaller.clients.retain(|client| client.broker != id);
    smaller.hostiles.retain(|hostile| hostile.broker != id);
    smaller.operators.retain(|operator| operator.broker != id);
    smaller.titanics.retain(|titanic| titanic.broker != id);
    smaller.depositors.retain(|depositor| depositor.broker != id);
    smaller
}

/// Ways to make the behaviour of those who are left plainer.
const PLAINER: [fn(&mut Plan); 20] = [
    |plan| plan.weather = Weather::default(),
    |plan| plan.titanics.iter_mut().for_each(|titanic| titanic.disk = DiskFailures::default()),
    |plan| plan.depositors.iter_mut().for_each(|depositor| depositor.lives /= 2),
    |plan| {
        for depositor in &mut plan.depositors {
            (depositor.again_permille, depositor.early_permille, depositor.keep_permille) = (0, 0, 0);
        }
    },
    |plan| plan.operators.iter_mut().for_each(|operator| operator.changes /= 2),
    |plan| plan.clients.iter_mut().for_each(|client| client.identity = None),
    |plan| {
        for client in &mut plan.clients {
            if let ClientKind::Native(native) = &mut client.kind {
                (native.double_permille, native.borrow_permille, native.reconnect_permille) = (0, 0, 0);
            }
        }
    },
    |plan| {
        for native in plan.workers.iter_mut().filter_map(|worker| worker.native.as_mut()) {
            (native.credit_ms, native.drain_ms, native.error_permille) = (0, 0, 0);
        }
    },
    |plan| plan.clients.iter_mut().for_each(|client| client.requests /= 2),
    |plan| plan.clients.iter_mut().for_each(|client| client.forget_permille = 0),
    |plan| plan.clients.iter_mut().for_each(|client| client.management_permille = 0),
    |plan| plan.clients.iter_mut().for_each(|client| client.padding = 0),
    |plan| plan.workers.iter_mut().for_each(|worker| worker.hang_permille = 0),
    |plan| plan.workers.iter_mut().for_each(|worker| worker.deadly_permille = 0),
    |plan| plan.workers.iter_mut().for_each(|worker| worker.parts_max = 1),
    |plan| plan.workers.iter_mut().for_each(|worker| worker.leave_ms = 0),
    |plan| plan.hostiles.iter_mut().for_each(|hostile| hostile.messages /= 2),
    |plan| plan.network.jitter_us = 0,
    |plan| plan.network.nanos_per_byte = 0,
    |plan| {
        plan.brokers.iter_mut().for_each(|broker| broker.clock_ppm = 0);
        plan.workers.iter_mut().for_each(|worker| worker.clock_ppm = 0);
        plan.clients.iter_mut().for_each(|client| client.clock_ppm = 0);
    },
];

/// Shorter than this nothing has begun yet.
const STORM_MS_MIN: u64 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    /// A service that has more workers than a broker knows services: one of them is never let in, and never answers.
    fn failing() -> Plan {
        let mut plan = crate::workload::plan(1);
        for broker in &mut plan.brokers {
            broker.services_max = 0;
        }
        plan
    }

    #[test]
    fn a_failing_plan_becomes_smaller_and_still_fails() {
        let plan = failing();
        assert!(fails(&plan, "recovery"));
        let small = shrink(&plan, "recovery", 400);
        assert!(fails(&small, "recovery"));
        assert_eq!((small.faults.len(), small.hostiles.len(), small.brokers.len()), (0, 0, 1));
        assert_eq!((small.workers.len(), small.clients.len()), (1, 1));
        assert!(small.storm_ms < plan.storm_ms / 2);
    }

    #[test]
    fn the_same_plan_shrinks_to_the_same_plan() {
        assert_eq!(shrink(&failing(), "recovery", 60), shrink(&failing(), "recovery", 60));
    }

    #[test]
    fn a_plan_that_does_not_fail_stays_as_it_is() {
        let plan = crate::workload::plan(2);
        assert_eq!(shrink(&plan, "recovery", 20), plan);
    }
}
