//! Random histories against a model that knows for each sector which versions a power cut may leave.

use std::collections::BTreeSet;
use std::time::Duration;

use protocol::Instant;
use sim::disk::{Config, Counts, FaultKind, Rates};
use sim::rng::Rng;

use crate::common::{Bench, SECTOR};

const SECTORS: usize = 6;

/// For each sector what it may be after a power cut, and what it is before.
struct Model {
    possible: Vec<BTreeSet<Vec<u8>>>,
    visible: Vec<u8>,
    /// Flushes under way: when they end, and what was visible when they began.
    flushes: Vec<(Instant, usize, Vec<u8>)>,
    writes: usize,
    /// Which write put a version there, to know what a flush covers.
    written: Vec<Vec<(usize, Vec<u8>)>>,
}

impl Model {
    fn new() -> Self {
        let zeros = BTreeSet::from([vec![0; SECTOR]]);
        let visible = vec![0; SECTORS * SECTOR];
        Self { possible: vec![zeros; SECTORS], visible, flushes: vec![], writes: 0, written: vec![vec![]; SECTORS] }
    }

    fn write(&mut self, offset: usize, octets: &[u8]) {
        self.writes += 1;
        self.visible[offset..offset + octets.len()].copy_from_slice(octets);
        for sector in offset / SECTOR..(offset + octets.len()).div_ceil(SECTOR) {
            let version = self.visible[sector * SECTOR..(sector + 1) * SECTOR].to_vec();
            self.possible[sector].insert(version.clone());
            self.written[sector].push((self.writes, version));
        }
    }

    /// A flush that is over leaves what was there when it began, and what was written since.
    fn settle(&mut self, now: Instant) {
        let (over, under_way) = std::mem::take(&mut self.flushes).into_iter().partition(|flush| flush.0 <= now);
        self.flushes = under_way;
        for (_, upto, visible) in over {
            for sector in 0..SECTORS {
                let since = self.written[sector].iter().filter(|(write, _)| *write > upto);
                let mut left: BTreeSet<_> = since.map(|(_, version)| version.clone()).collect();
                left.insert(visible[sector * SECTOR..(sector + 1) * SECTOR].to_vec());
                // Another flush that began later may have ruled out more.
                self.possible[sector].retain(|version| left.contains(version));
            }
        }
    }
}

/// Runs one history up to a power cut and compares what it left.
fn live_through(seed: u64) -> Counts {
    let mut bench = Bench::with(seed, Config { dirty_max: 24, ..Config::default() });
    let mut rng = Rng::new(seed).fork(1);
    let file = bench.file("log");
    bench.run(|disk, now| disk.preallocate(now, file, SECTORS * SECTOR)).unwrap();
    bench.flush(file);
    bench.disk.set_rates(Rates { spike: 50, ..Rates::default() });
    let mut model = Model::new();
    for step in 0..rng.between(1, 40) {
        match rng.below(8) {
            0 | 1 => {
                let at = bench.disk.flush(bench.now, file).at;
                model.flushes.push((at, model.writes, model.visible.clone()));
                if rng.chance(50) {
                    bench.now = at;
                }
            }
            2 => bench.now = bench.now + Duration::from_micros(rng.below(1000)),
            _ => {
                let offset = rng.index(SECTORS * SECTOR - 1);
                let count = rng.index((SECTORS * SECTOR - offset).min(3 * SECTOR)) + 1;
                let octets = vec![u8::try_from(step + 1).unwrap(); count];
                bench.write(file, offset, &octets);
                model.write(offset, &octets);
            }
        }
    }
    assert_eq!(bench.read(file), model.visible);
    model.settle(bench.now);
    let survivors = bench.survivors("log");
    for (sector, octets) in survivors.chunks(SECTOR).enumerate() {
        assert!(model.possible[sector].contains(octets), "seed {seed}: sector {sector} is {}", octets[0]);
    }
    bench.disk.counts().clone()
}

#[test]
fn a_power_cut_leaves_of_each_sector_a_version_that_no_flush_has_overtaken() {
    let mut counts = Counts::default();
    for seed in 0..3000 {
        counts.merge(&live_through(seed));
    }
    for kind in [
        FaultKind::LostSector,
        FaultKind::StaleSector,
        FaultKind::TornWrite,
        FaultKind::ReorderedWrite,
        FaultKind::LatencySpike,
    ] {
        assert!(counts.of(kind) > 100, "{kind:?}: {}", counts.of(kind));
    }
}

#[test]
fn the_same_seed_gives_the_same_history() {
    for seed in 0..50 {
        assert_eq!(live_through(seed), live_through(seed));
    }
}
