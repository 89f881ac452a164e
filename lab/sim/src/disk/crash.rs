//! What befalls a disk: a process that dies, a power cut, a bit that turns.

use std::collections::BTreeMap;

use protocol::Instant;

use super::file::Version;
use super::{Disk, FaultKind, File, Process, UnfinishedWrite};
use crate::rng::Rng;

impl Disk {
    /// A process dies: its files are closed and its locks gone. The page cache stays, with all it wrote; only of a
    /// write that it was in the middle of there may be no more than the front.
    pub fn crash_process(&mut self, now: Instant, process: Process) {
        self.settle(now);
        self.counts.add(FaultKind::ProcessCrash);
        let (cut, others) = self.writes.drain(..).partition(|write| write.process == process);
        self.writes = others;
        // The last write first: each finds the file as it left it.
        let mut cut: Vec<UnfinishedWrite> = cut;
        while let Some(write) = cut.pop() {
            self.cut_write(&write);
        }
        self.open.retain(|_, open| open.process != process);
        self.locks.retain(|_, holder| self.open.contains_key(holder));
        self.collect();
    }

    fn cut_write(&mut self, write: &UnfinishedWrite) {
        let kept = self.rng.index(write.count + 1);
        let Some(file) = self.files.get_mut(&write.file).filter(|_| kept < write.count) else { return };
        self.counts.add(FaultKind::CutWrite);
        let ended_at = write.offset + write.before.len();
        let cut_at = write.offset + kept;
        if let Some(before) = write.before.get(kept..) {
            file.write(cut_at, before);
        }
        if file.len() == write.offset + write.count && ended_at < file.len() {
            file.resize(cut_at.max(ended_at));
        }
    }

    /// The machine loses its power: every process dies, the page cache is gone. Each sector that was not flushed is on
    /// the disk, or is not, in any of its versions.
    pub fn cut_power(&mut self, now: Instant) {
        self.settle(now);
        self.counts.add(FaultKind::PowerCut);
        let kept = self.rng.index(self.names.pending() + 1);
        for _ in 0..self.names.cut_power(kept) {
            self.counts.add(FaultKind::LostName);
        }
        // Mostly nothing, mostly everything, and the mixtures between: each finds other bugs.
        let percent = self.rng.one_of([0, 10, 50, 90, 100]);
        let mut fate = Fate { rng: &mut self.rng, percent, tears: self.config.tears_sectors, faults: Vec::new() };
        for file in self.files.values_mut() {
            fate.meet(file);
        }
        for kind in fate.faults {
            self.counts.add(kind);
        }
        self.open.clear();
        self.locks.clear();
        self.flushes.clear();
        self.writes.clear();
        self.collect();
    }

    /// One bit of one file turns on the disk. A reader sees it unless the octet waits to be flushed.
    pub fn rot(&mut self) {
        let files: Vec<_> = self.files.values_mut().filter(|file| file.durable_len() > 0).collect();
        let place = self.rng.index(files.len());
        let Some(file) = files.into_iter().nth(place) else { return };
        let octet = self.rng.index(file.durable_len());
        let bit = u32::try_from(self.rng.below(8)).unwrap_or(0);
        if file.rot(octet, bit) {
            self.counts.add(FaultKind::BitRot);
        }
    }
}

/// What a power cut does to each file.
struct Fate<'a> {
    rng: &'a mut Rng,
    /// How many of a hundred sectors have reached the disk in some version.
    percent: u64,
    tears: bool,
    faults: Vec<FaultKind>,
}

/// Whether some sectors of a change have reached the disk, and whether some have not.
#[derive(Default)]
struct Reach {
    kept: bool,
    lost: bool,
}

impl Fate<'_> {
    fn meet(&mut self, file: &mut File) {
        let (mut lengths, dirty) = file.cut_power();
        let count = if self.rng.chance(self.percent) { 1 + self.rng.index(lengths.len()) } else { 0 };
        if count < lengths.len() {
            self.faults.push(FaultKind::LostLength);
        }
        lengths.truncate(count);
        let mut reached: BTreeMap<u64, Reach> = BTreeMap::new();
        let mut sectors = Vec::new();
        for (sector, versions) in dirty {
            let chosen = self.rng.chance(self.percent).then(|| self.rng.index(versions.len()));
            for (place, version) in versions.iter().enumerate() {
                let reach = reached.entry(version.sequence).or_default();
                let kept = chosen.is_some_and(|chosen| place <= chosen);
                reach.kept |= kept;
                reach.lost |= !kept;
            }
            match chosen {
                None => self.faults.push(FaultKind::LostSector),
                Some(chosen) => {
                    if chosen + 1 < versions.len() {
                        self.faults.push(FaultKind::StaleSector);
                    }
                    sectors.push((sector, self.octets(file, sector, &versions, chosen)));
                }
            }
        }
        file.revive(&lengths, &sectors);
        self.name_damage(&reached);
    }

    /// The chosen version, torn by chance: its front with the rest of what was there before.
    fn octets(&mut self, file: &File, sector: usize, versions: &[Version], chosen: usize) -> Vec<u8> {
        let of = |place: usize| versions.get(place).map(|version| version.octets.clone()).unwrap_or_default();
        let mut octets = of(chosen);
        if self.tears && self.rng.chance(20) {
            let before = chosen.checked_sub(1).map_or_else(|| file.durable_sector(sector), of);
            let torn_at = self.rng.index(octets.len());
            let torn = octets.iter_mut().zip(before.iter().chain(std::iter::repeat(&0))).skip(torn_at);
            torn.for_each(|(octet, before)| *octet = *before);
            self.faults.push(FaultKind::TornSector);
        }
        octets
    }

    fn name_damage(&mut self, reached: &BTreeMap<u64, Reach>) {
        let torn = reached.values().filter(|reach| reach.kept && reach.lost).count();
        self.faults.extend(std::iter::repeat_n(FaultKind::TornWrite, torn));
        let first_lost = reached.iter().find(|(_, reach)| reach.lost && !reach.kept);
        let last_kept = reached.iter().rfind(|(_, reach)| reach.kept);
        if let (Some((lost, _)), Some((kept, _))) = (first_lost, last_kept)
            && lost < kept
        {
            self.faults.push(FaultKind::ReorderedWrite);
        }
    }
}
