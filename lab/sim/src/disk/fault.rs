//! What went wrong on a disk: what an operation answers, and how often each kind of fault took effect.

use std::collections::BTreeMap;

use super::Process;

/// Why an operation failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// EIO. Of a write any part may have happened; of a flush, too, and what did not is dropped.
    #[error("input/output error")]
    Io,
    /// ENOSPC.
    #[error("no space left on the disk")]
    NoSpace,
    /// The name is not there.
    #[error("no such file")]
    NotFound,
    /// The name is taken.
    #[error("the file exists")]
    Exists,
    /// Somebody else holds the lock.
    #[error("locked by process {}", holder.0)]
    Locked {
        /// Who.
        holder: Process,
    },
    /// The file was closed, or its process or the whole machine has gone down since.
    #[error("the file is not open")]
    Closed,
    /// Beyond the end of the file.
    #[error("beyond the end of the file")]
    OutOfRange,
}

/// The kinds of faults, for counting. One is counted when it took effect, not when it was drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultKind {
    /// A read answered EIO.
    ReadError,
    /// A write answered EIO.
    WriteError,
    /// A write stopped early.
    ShortWrite,
    /// A flush answered EIO.
    FlushError,
    /// A failed flush forgot a sector that it had not written: a later flush will not write it either.
    DroppedSector,
    /// An operation found no room.
    NoSpace,
    /// An operation took very long.
    LatencySpike,
    /// A bit turned on the disk.
    BitRot,
    /// A process died.
    ProcessCrash,
    /// A process died in the middle of a write: only the front of it is there.
    CutWrite,
    /// The machine lost its power.
    PowerCut,
    /// A power cut lost a sector that was not flushed.
    LostSector,
    /// A power cut left an older version of a sector than the last one.
    StaleSector,
    /// A power cut left the front of one version of a sector with the rest of another.
    TornSector,
    /// A power cut left a part of a write of several sectors.
    TornWrite,
    /// A power cut left a write and lost an earlier one.
    ReorderedWrite,
    /// A power cut undid a change of a file's length.
    LostLength,
    /// A power cut undid the creation, renaming or removal of a file.
    LostName,
}

/// How often each kind took effect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts(BTreeMap<FaultKind, u64>);

impl Counts {
    /// Counts one.
    pub(super) fn add(&mut self, kind: FaultKind) {
        *self.0.entry(kind).or_default() += 1;
    }

    /// How often `kind` took effect.
    pub fn of(&self, kind: FaultKind) -> u64 {
        self.0.get(&kind).copied().unwrap_or(0)
    }

    /// The kinds that took effect, in the order of their declaration.
    pub fn iter(&self) -> impl Iterator<Item = (FaultKind, u64)> {
        self.0.iter().map(|(&kind, &count)| (kind, count))
    }

    /// What was counted since `before`, which are earlier counts of the same disk.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let more = self.0.iter().map(|(kind, count)| (*kind, count.saturating_sub(before.of(*kind))));
        Self(more.filter(|(_, count)| *count > 0).collect())
    }

    /// Adds the counts of another disk.
    pub fn merge(&mut self, other: &Self) {
        for (kind, count) in other.iter() {
            *self.0.entry(kind).or_default() += count;
        }
    }
}
