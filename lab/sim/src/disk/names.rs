//! The directory: which name means which file, now and after a power cut. As in a journaling file system the changes
//! reach the disk in order; which of them a power cut finds there is chance until the directory is flushed.

use std::collections::BTreeMap;

/// A file, whatever it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FileId(pub(super) u64);

/// The names.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    visible: BTreeMap<String, FileId>,
    durable: BTreeMap<String, FileId>,
    /// Changes that are not durable, oldest first.
    pending: Vec<Change>,
    /// Changes that were made durable, ever.
    settled: usize,
}

/// One change of the directory.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Create(String, FileId),
    /// Replaces the second name if it exists.
    Rename(String, String),
    Remove(String),
}

impl Names {
    pub(super) fn find(&self, name: &str) -> Option<FileId> {
        self.visible.get(name).copied()
    }

    pub(super) fn change(&mut self, change: Change) {
        apply(&mut self.visible, &change);
        self.pending.push(change);
    }

    /// Changes so far, ever.
    pub(super) fn count(&self) -> usize {
        self.settled + self.pending.len()
    }

    /// Makes the first `upto` changes durable.
    pub(super) fn harden(&mut self, upto: usize) {
        let count = upto.saturating_sub(self.settled).min(self.pending.len());
        for change in self.pending.drain(..count) {
            apply(&mut self.durable, &change);
        }
        self.settled += count;
    }

    /// A power cut that found `kept` of the pending changes on the disk; returns how many it lost.
    pub(super) fn cut_power(&mut self, kept: usize) -> usize {
        self.harden(self.settled + kept);
        let lost = self.pending.len();
        self.pending.clear();
        self.visible.clone_from(&self.durable);
        lost
    }

    pub(super) fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Whether any name means this file, now or after any power cut.
    pub(super) fn mean(&self, file: FileId) -> bool {
        let created = |change: &Change| matches!(change, Change::Create(_, id) if *id == file);
        let named = self.visible.values().chain(self.durable.values()).any(|&id| id == file);
        named || self.pending.iter().any(created)
    }
}

fn apply(names: &mut BTreeMap<String, FileId>, change: &Change) {
    match change {
        Change::Create(name, file) => {
            names.insert(name.clone(), *file);
        }
        Change::Rename(from, to) => {
            if let Some(file) = names.remove(from) {
                names.insert(to.clone(), file);
            }
        }
        Change::Remove(name) => {
            names.remove(name);
        }
    }
}
