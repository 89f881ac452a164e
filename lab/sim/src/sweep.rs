//! Many seeds, spread over threads: what they had in common, and those that failed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;

use crate::coverage::Coverage;
use crate::disk::Counts;
use crate::fault::KINDS;
use crate::oracle::Violation;
use crate::trace::Trace;
use crate::{workload, world};

/// What a sweep came to.
#[derive(Debug, Default)]
pub struct Report {
    /// Seeds that were run.
    pub seeds: u64,
    /// Events of all runs.
    pub events: u64,
    /// Requests that ended.
    pub requests: u64,
    /// Virtual time of all runs, in nanoseconds.
    pub time: u128,
    /// Faults that took effect, in the order of [`KINDS`].
    pub faults: [u64; KINDS.len()],
    /// What went wrong on disks.
    pub disks: Counts,
    /// Where the machines have been.
    pub coverage: Coverage,
    /// The seeds that failed, in order, with the first thing that was wrong; no more than [`FAILURES_MAX`].
    pub failures: Vec<(u64, Violation)>,
    /// How many failed.
    pub failed: u64,
}

/// Failures that are kept.
pub const FAILURES_MAX: usize = 1000;

/// Runs `count` seeds from `first` on, in `threads` threads. `progress` hears of each finished seed.
pub fn sweep(first: u64, count: u64, threads: usize, mut progress: impl FnMut(&Report)) -> Report {
    let next = AtomicU64::new(0);
    let (sender, receiver) = mpsc::sync_channel::<(u64, world::Outcome)>(64);
    let mut report = Report::default();
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            let (next, sender) = (&next, sender.clone());
            scope.spawn(move || {
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    if place >= count {
                        return;
                    }
                    let seed = first.wrapping_add(place);
                    let outcome = world::run(&workload::plan(seed), Trace::default());
                    if sender.send((seed, outcome)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        for (seed, outcome) in receiver {
            report.add(seed, &outcome);
            progress(&report);
        }
    });
    // Threads finish out of order; the report does not show it.
    report.failures.sort_by_key(|(seed, _)| *seed);
    report
}

impl Report {
    fn add(&mut self, seed: u64, outcome: &world::Outcome) {
        self.seeds += 1;
        self.events += outcome.events;
        self.requests += outcome.requests;
        self.time += u128::from(outcome.time);
        for (mine, theirs) in self.faults.iter_mut().zip(outcome.faults) {
            *mine += theirs;
        }
        self.disks.merge(&outcome.disks);
        self.coverage.add(&outcome.coverage);
        if let Some(violation) = outcome.violations.first() {
            self.failed += 1;
            if self.failures.len() < FAILURES_MAX {
                self.failures.push((seed, violation.clone()));
            }
        }
    }
}
