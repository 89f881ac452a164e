//! What every test of the disk needs.

use protocol::Instant;
use sim::disk::{Config, Disk, Done, Error, Handle, Process};
use sim::rng::Rng;

pub(crate) const SECTOR: usize = 512;
pub(crate) const MAIN: Process = Process(1);

/// A disk with the time at which its last answer arrived.
#[derive(Clone)]
pub(crate) struct Bench {
    pub(crate) disk: Disk,
    pub(crate) now: Instant,
}

impl Bench {
    pub(crate) fn new(seed: u64) -> Self {
        Self::with(seed, Config::default())
    }

    pub(crate) fn with(seed: u64, config: Config) -> Self {
        Self { disk: Disk::new(config, Rng::new(seed)), now: Instant::ZERO }
    }

    /// The same with another future.
    pub(crate) fn fork(&self, purpose: u64) -> Self {
        Self { disk: self.disk.fork(purpose), now: self.now }
    }

    /// A file whose name is safe.
    pub(crate) fn file(&mut self, name: &str) -> Handle {
        let handle = self.disk.create(MAIN, name).unwrap();
        self.run(|disk, now| disk.flush_directory(now)).unwrap();
        handle
    }

    /// Does one thing and waits for its answer.
    pub(crate) fn run<T>(&mut self, operation: impl FnOnce(&mut Disk, Instant) -> Done<T>) -> Result<T, Error> {
        let done = operation(&mut self.disk, self.now);
        assert!(done.at >= self.now);
        self.now = done.at;
        done.result
    }

    pub(crate) fn write(&mut self, handle: Handle, offset: usize, octets: &[u8]) {
        assert_eq!(self.run(|disk, now| disk.write(now, handle, offset, octets)), Ok(octets.len()));
    }

    pub(crate) fn flush(&mut self, handle: Handle) {
        self.run(|disk, now| disk.flush(now, handle)).unwrap();
    }

    pub(crate) fn read(&mut self, handle: Handle) -> Vec<u8> {
        let mut octets = vec![0; self.disk.len(handle).unwrap()];
        self.run(|disk, now| disk.read(now, handle, 0, &mut octets)).unwrap();
        octets
    }

    /// Cuts the power and reads the file.
    pub(crate) fn survivors(&mut self, name: &str) -> Vec<u8> {
        self.disk.cut_power(self.now);
        let handle = self.disk.open(MAIN, name).unwrap();
        self.read(handle)
    }
}

/// One sector of this octet.
pub(crate) fn sector(octet: u8) -> Vec<u8> {
    vec![octet; SECTOR]
}
