//! The same seed is the same run: on every run, in every build, on every machine.

#![allow(clippy::unwrap_used, reason = "a failing expectation is a failing test")]

use sim::plan::Plan;
use sim::trace::Trace;
use sim::workload::plan;
use sim::world::run;

/// Hashes of whole runs, written down. They change whenever the simulator or a machine does something else than before:
/// then they are to be replaced, and nothing else. What may not happen is that they differ from one machine to another.
const GOLDEN: [(u64, u64); 5] = [
    (1, 0xe050_aa0c_8fef_1020),
    (2, 0xf29a_fb11_92ae_717d),
    (3, 0x3175_c2e4_bde3_5cbf),
    (7, 0xd727_04aa_312b_4bcd),
    (42, 0x8fe8_459c_552a_a3ed),
];

#[test]
fn a_seed_has_the_same_hash_on_every_machine() {
    let text = |hashes: [(u64, u64); 5]| hashes.map(|(seed, hash)| format!("{seed} {hash:016x}"));
    let hashes = GOLDEN.map(|(seed, _)| (seed, run(&plan(seed), Trace::default()).hash));
    assert_eq!(text(hashes), text(GOLDEN));
}

#[test]
fn a_seed_has_the_same_hash_and_the_same_story_twice() {
    for seed in 100..110 {
        let (first, second) = (run(&plan(seed), Trace::kept()), run(&plan(seed), Trace::kept()));
        assert_eq!(first.hash, second.hash);
        assert_eq!(first.trace.lines(), second.trace.lines());
        assert!(first.events > 0 && !first.trace.lines().is_empty());
    }
}

#[test]
fn watching_changes_nothing() {
    for seed in 110..115 {
        assert_eq!(run(&plan(seed), Trace::kept()).hash, run(&plan(seed), Trace::default()).hash);
    }
}

#[test]
fn a_plan_read_from_its_text_runs_as_the_one_it_was_written_from() {
    let original = plan(9);
    let read = Plan::from_text(&original.to_text()).unwrap();
    assert_eq!(run(&original, Trace::default()).hash, run(&read, Trace::default()).hash);
}

#[test]
fn different_seeds_are_different_runs() {
    assert_ne!(run(&plan(1), Trace::default()).hash, run(&plan(2), Trace::default()).hash);
}
