//! How a disk behaves: its size, how long things take, and how often they go wrong.

use std::time::Duration;

/// The settings of one disk.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Octets that reach the disk together or not at all, unless [`tears_sectors`](Self::tears_sectors).
    pub sector_bytes: usize,
    /// Octets of all files together; past it an operation that needs room gets [`Error::NoSpace`](super::Error).
    pub capacity_bytes: usize,
    /// Versions of sectors that may wait for a flush; past it the system writes some back by itself.
    pub dirty_max: usize,
    /// Whether a power cut may also leave the front of one version of a sector with the rest of another.
    pub tears_sectors: bool,
    /// How long operations take.
    pub latency: Latency,
    /// How often operations go wrong.
    pub rates: Rates,
}

/// How long operations take, each between once and twice its number.
#[derive(Clone, Copy, Debug)]
pub struct Latency {
    /// A read.
    pub read: Duration,
    /// A write into the page cache.
    pub write: Duration,
    /// A flush.
    pub flush: Duration,
    /// What [`Rates::spike`] adds.
    pub spike: Duration,
}

/// How many of a thousand operations go wrong. All zero is a disk that never fails while it has power.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// Reads that fail.
    pub read_error: u32,
    /// Writes that fail, after any part of them was written.
    pub write_error: u32,
    /// Writes that stop early without a failure.
    pub short_write: u32,
    /// Flushes that fail, and drop some of what they were to flush.
    pub flush_error: u32,
    /// Operations needing room that find none, because somebody else took it for the moment.
    pub no_space: u32,
    /// Operations that take longer by [`Latency::spike`].
    pub spike: u32,
    /// Operations during which one bit of a file turns on the disk.
    pub rot: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            sector_bytes: 512,
            capacity_bytes: 64 << 20,
            dirty_max: 1 << 16,
            tears_sectors: false,
            latency: Latency::default(),
            rates: Rates::default(),
        }
    }
}

impl Default for Latency {
    /// A solid-state disk of the middle class.
    fn default() -> Self {
        Self {
            read: Duration::from_micros(50),
            write: Duration::from_micros(2),
            flush: Duration::from_micros(300),
            spike: Duration::from_millis(250),
        }
    }
}
