//! A disk in a seed: files behind a page cache, flushes that take time, and everything that a disk does to those who
//! trust it too early.
//!
//! What it promises to a program is what Linux promises, and nothing more:
//! - What was written is seen by every reader at once, and survives the death of the process.
//! - It survives a power cut only when a flush that was begun after the write has answered without an error. Of the
//!   rest each sector of 512 octets survives or not, by itself, in any version that it had since its last flush.
//! - After a failed flush the sectors that it did not write count as clean: a second flush succeeds and proves nothing.
//! - A name is safe when the directory was flushed, a length when the file was.
//!
//! Operations take effect at once and say when their answer arrives; a flush takes effect when it is over, so that a
//! power cut may come in between. Time is handed in and must not run backwards. All chance is drawn from the one
//! generator that the disk is given.
//!
//! Harsher than real disks: a power cut may bring back octets from before an unflushed cut of a file that has grown
//! again. Kinder: nothing reads slowly because of what else is going on, and no drive lies about a flush.
//!
//! `file` is the model of one file, `names` the directory, `operations` what a program does, `crash` what befalls it,
//! `fault` the kinds of faults and their counts.

mod config;
mod crash;
mod fault;
mod file;
mod names;
mod operations;

use std::collections::BTreeMap;

use protocol::Instant;

pub use config::{Config, Latency, Rates};
pub use fault::{Counts, Error, FaultKind};

use crate::rng::Rng;
use file::File;
use names::{Change, FileId, Names};

/// A process of the machine that has the disk: who holds a lock, and whose files are closed when it dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Process(pub u32);

/// An open file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Handle(u64);

/// An answer, and when it arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Done<T> {
    /// When the program has it.
    pub at: Instant,
    /// What it says.
    pub result: Result<T, Error>,
}

/// One disk with its page cache.
#[derive(Clone, Debug)]
pub struct Disk {
    config: Config,
    rng: Rng,
    counts: Counts,
    names: Names,
    files: BTreeMap<FileId, File>,
    open: BTreeMap<Handle, Open>,
    locks: BTreeMap<FileId, Handle>,
    flushes: Vec<Flush>,
    writes: Vec<UnfinishedWrite>,
    /// Files and handles, ever.
    made: u64,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    file: FileId,
    process: Process,
}

/// A flush that is under way.
#[derive(Clone, Debug)]
struct Flush {
    at: Instant,
    what: Flushed,
    fails: bool,
}

#[derive(Clone, Debug)]
enum Flushed {
    /// These sectors, as they were at change `upto`.
    Sectors { file: FileId, sectors: std::ops::Range<usize>, upto: u64 },
    /// The first `upto` changes of the directory.
    Names { upto: usize },
}

/// A write of which the program has not got the answer yet: its death may cut it.
#[derive(Clone, Debug)]
struct UnfinishedWrite {
    at: Instant,
    process: Process,
    file: FileId,
    offset: usize,
    count: usize,
    /// What was there, up to the end of the file as it was.
    before: Vec<u8>,
}

impl Disk {
    /// An empty disk.
    pub fn new(config: Config, rng: Rng) -> Self {
        Self {
            config,
            rng,
            counts: Counts::default(),
            names: Names::default(),
            files: BTreeMap::new(),
            open: BTreeMap::new(),
            locks: BTreeMap::new(),
            flushes: Vec::new(),
            writes: Vec::new(),
            made: 0,
        }
    }

    /// The same disk with another future, for trying many crashes at one point.
    #[must_use]
    pub fn fork(&self, purpose: u64) -> Self {
        Self { rng: self.rng.fork(purpose), ..self.clone() }
    }

    /// Sets how often things go wrong from now on.
    pub fn set_rates(&mut self, rates: Rates) {
        self.config.rates = rates;
    }

    /// Sets the room for all files together from now on.
    pub fn set_capacity(&mut self, bytes: usize) {
        self.config.capacity_bytes = bytes;
    }

    /// What went wrong so far.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Opens a file.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn open(&mut self, process: Process, name: &str) -> Result<Handle, Error> {
        let file = self.names.find(name).ok_or(Error::NotFound)?;
        Ok(self.handle(process, file))
    }

    /// Creates an empty file and opens it. Its name is safe after [`flush_directory`](Self::flush_directory).
    ///
    /// # Errors
    /// `Exists`.
    pub fn create(&mut self, process: Process, name: &str) -> Result<Handle, Error> {
        if self.names.find(name).is_some() {
            return Err(Error::Exists);
        }
        self.made += 1;
        let file = FileId(self.made);
        self.files.insert(file, File::new(self.config.sector_bytes));
        self.names.change(Change::Create(name.to_owned(), file));
        Ok(self.handle(process, file))
    }

    /// Gives a file another name; a file that had it loses it.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn rename(&mut self, from: &str, to: &str) -> Result<(), Error> {
        self.names.find(from).ok_or(Error::NotFound)?;
        self.names.change(Change::Rename(from.to_owned(), to.to_owned()));
        self.collect();
        Ok(())
    }

    /// Removes a name; the file lives on while it is open.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn remove(&mut self, name: &str) -> Result<(), Error> {
        self.names.find(name).ok_or(Error::NotFound)?;
        self.names.change(Change::Remove(name.to_owned()));
        self.collect();
        Ok(())
    }

    /// Closes a file and lets go of its lock.
    pub fn close(&mut self, handle: Handle) {
        self.open.remove(&handle);
        self.locks.retain(|_, holder| *holder != handle);
        self.collect();
    }

    /// Takes the exclusive lock of a file; it lasts until the handle is closed or the process dies.
    ///
    /// # Errors
    /// `Locked` with the holder, which may be another handle of the same process; `Closed`.
    pub fn lock(&mut self, handle: Handle) -> Result<(), Error> {
        let file = self.opened(handle)?.file;
        let holder = *self.locks.entry(file).or_insert(handle);
        let of = self.open.get(&holder).map(|open| open.process);
        match of {
            Some(process) if holder != handle => Err(Error::Locked { holder: process }),
            _ => Ok(()),
        }
    }

    fn handle(&mut self, process: Process, file: FileId) -> Handle {
        self.made += 1;
        let handle = Handle(self.made);
        self.open.insert(handle, Open { file, process });
        handle
    }

    fn opened(&self, handle: Handle) -> Result<Open, Error> {
        self.open.get(&handle).copied().ok_or(Error::Closed)
    }

    /// Forgets files that nobody can reach any more.
    fn collect(&mut self) {
        let (names, open) = (&self.names, &self.open);
        self.files.retain(|&id, _| names.mean(id) || open.values().any(|open| open.file == id));
    }
}
