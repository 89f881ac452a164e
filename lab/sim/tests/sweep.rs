//! A sweep finds nothing, injects every kind of fault, and visits nearly everything; however many threads share it.

use sim::fault::KINDS;
use sim::plan::{Plan, PlannedFault};
use sim::sweep::sweep;
use sim::trace::Trace;
use sim::{fault::Fault, workload, world};

#[test]
fn five_hundred_seeds_hold() {
    let report = sweep(0, 500, 2, |_| {});
    assert_eq!(report.failures, []);
    assert_eq!(report.seeds, 500);
    for (kind, count) in KINDS.iter().zip(report.faults) {
        assert!(count > 0, "no {kind} took effect");
    }
    let (reached, all) = report.coverage.reached();
    assert!(reached * 10 > all * 9, "{reached} of {all}: {:?}", report.coverage.never());
}

#[test]
fn threads_change_nothing_but_the_time() {
    let (one, three) = (sweep(40, 30, 1, |_| {}), sweep(40, 30, 3, |_| {}));
    assert_eq!((one.events, one.requests, one.faults), (three.events, three.requests, three.faults));
    assert_eq!(one.coverage, three.coverage);
}

#[test]
fn a_fault_whose_node_is_not_there_does_nothing_and_is_not_counted() {
    let fair = Plan { faults: Vec::new(), ..workload::plan(3) };
    let mut plan = fair.clone();
    plan.faults.push(PlannedFault { at_ms: 500, for_ms: 100, fault: Fault::Crash { node: 999 } });
    let (with, without) = (world::run(&plan, Trace::default()), world::run(&fair, Trace::default()));
    assert_eq!(with.faults, [0; KINDS.len()]);
    assert_eq!((with.events, with.hash), (without.events, without.hash));
}
