//! The journal through thousands of crashes: what was acknowledged is there, in order, and nothing else ever was. Each
//! mistake that a journal can make is found.

use protocol::Instant;
use sim::disk::{Config, Counts, Disk, Error, FaultKind, Latency, Rates};
use sim::rng::Rng;

use crate::common::MAIN;
use crate::journal::{Bodies, Flaw, Journal};

/// How far a run came.
type Verdict = Result<(), String>;

/// What the world outside knows of the journal.
struct World {
    disk: Disk,
    rng: Rng,
    now: Instant,
    flaw: Flaw,
    /// All that is in the journal, or may be.
    appended: Bodies,
    /// How many of these were acknowledged.
    acknowledged: usize,
    made: u32,
}

impl World {
    fn new(seed: u64, flaw: Flaw) -> Self {
        let rng = Rng::new(seed);
        let rates = Rates {
            read_error: 20,
            write_error: 20,
            short_write: 50,
            flush_error: 50,
            no_space: 20,
            ..Rates::default()
        };
        let latency = Latency { spike: Latency::default().flush * 100, ..Latency::default() };
        let tears_sectors = seed.is_multiple_of(2);
        let config = Config { tears_sectors, latency, rates: Rates { spike: 30, ..rates }, ..Config::default() };
        let disk = Disk::new(config, rng.fork(1));
        let (appended, now) = (Bodies::new(), Instant::ZERO);
        Self { disk, rng: rng.fork(2), now, flaw, appended, acknowledged: 0, made: 0 }
    }

    /// Lives of one journal, with a crash after each.
    fn run(&mut self, lives: u64) -> Verdict {
        for _ in 0..lives {
            // Anything may fail: then it is another crash, and the next life.
            match Journal::open(&mut self.disk, &mut self.now, MAIN, self.flaw) {
                Ok((journal, bodies)) => {
                    self.compare(&bodies)?;
                    let _: Result<(), Error> = self.live(journal);
                }
                Err(Error::Io | Error::NoSpace) => {}
                Err(other) => return Err(format!("opening: {other}")),
            }
            if self.rng.chance(70) {
                self.disk.cut_power(self.now);
            } else {
                self.disk.crash_process(self.now, MAIN);
            }
        }
        Ok(())
    }

    /// Appends and commits until something fails or it has been enough.
    fn live(&mut self, mut journal: Journal) -> Result<(), Error> {
        for _ in 0..self.rng.between(0, 8) {
            for _ in 0..self.rng.between(1, 4) {
                let body = self.body();
                self.appended.push(body.clone());
                journal.append(&mut self.disk, &mut self.now, &body)?;
            }
            if self.rng.chance(10) {
                // The crash comes between writing and flushing.
                return Ok(());
            }
            journal.commit(&mut self.disk, &mut self.now)?;
            self.acknowledged = self.appended.len();
        }
        Ok(())
    }

    /// Each body is another. Lengths repeat, so that a record may end where a lost one did.
    fn body(&mut self) -> Vec<u8> {
        self.made += 1;
        let length = self.rng.one_of([4, 100, 600, 1500]);
        let mut body = self.made.to_be_bytes().repeat(length / 4);
        body.rotate_left(self.rng.index(4));
        body
    }

    /// The oracle: the bodies found are the first ones appended, in order, all acknowledged ones among them. What was
    /// found is made safe by opening, and so counts as acknowledged.
    fn compare(&mut self, found: &Bodies) -> Verdict {
        if found.len() < self.acknowledged {
            return Err(format!("{} of {} acknowledged records found", found.len(), self.acknowledged));
        }
        if !self.appended.starts_with(found) {
            return Err("a record that was never appended there".to_owned());
        }
        self.appended.truncate(found.len());
        self.acknowledged = found.len();
        Ok(())
    }
}

/// Seeds of the long test, each with twelve crashes.
const SEEDS: u64 = if cfg!(debug_assertions) { 400 } else { 5000 };

#[test]
fn a_journal_survives_thousands_of_crashes() {
    let mut counts = Counts::default();
    for seed in 0..SEEDS {
        let mut world = World::new(seed, Flaw::None);
        let verdict = world.run(12);
        assert_eq!(verdict, Ok(()), "seed {seed}");
        counts.merge(world.disk.counts());
    }
    for kind in [
        FaultKind::ReadError,
        FaultKind::WriteError,
        FaultKind::ShortWrite,
        FaultKind::FlushError,
        FaultKind::DroppedSector,
        FaultKind::NoSpace,
        FaultKind::LatencySpike,
        FaultKind::ProcessCrash,
        FaultKind::PowerCut,
        FaultKind::LostSector,
        FaultKind::StaleSector,
        FaultKind::TornSector,
        FaultKind::TornWrite,
        FaultKind::ReorderedWrite,
        FaultKind::LostLength,
        FaultKind::LostName,
    ] {
        assert!(counts.of(kind) > 0, "{kind:?} never took effect");
    }
}

#[test]
fn every_mistake_is_found() {
    for flaw in [
        Flaw::NoFlush,
        Flaw::TrustsCache,
        Flaw::LeavesTail,
        Flaw::NoChecksum,
        Flaw::NoDirectoryFlush,
        Flaw::RetriesFlush,
    ] {
        let found = (0..2000).find(|&seed| World::new(seed, flaw).run(12).is_err());
        assert!(found.is_some(), "{flaw:?} was not found");
    }
}

#[test]
fn rot_in_a_record_is_found_by_its_checksum() {
    let mut shorter = 0;
    for seed in 0..200 {
        let mut world = World::new(seed, Flaw::None);
        world.disk.set_rates(Rates::default());
        world.run(3).unwrap();
        world.disk.rot();
        if let Ok((_, bodies)) = Journal::open(&mut world.disk, &mut world.now, MAIN, Flaw::None) {
            assert!(world.appended.starts_with(&bodies), "seed {seed}: a record came back altered");
            shorter += usize::from(bodies.len() < world.acknowledged);
        }
    }
    assert!(shorter > 50, "{shorter}");
}
