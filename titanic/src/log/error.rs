//! What can go wrong, named by blame: the caller asked for too much, the octets are not what was written, the world
//! failed.

use std::io;

use super::layout::{Lsn, VERSION};

/// Why a log cannot be opened. Nothing in the file was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Neither checkpoint begins like one.
    #[error("this is not a Titanic log")]
    NotALog,
    /// Made by another program than this one.
    #[error("this is a log of version {found}; this program reads version {VERSION}")]
    Version {
        /// The version that it says.
        found: u32,
    },
    /// Both checkpoints are damaged.
    #[error("both checkpoints of the log are damaged; nothing can be trusted to tell where it begins")]
    Checkpoints,
    /// The file is shorter than its log.
    #[error("the log was cut: {found} of {expected} octets are there")]
    Cut {
        /// Octets of the file.
        found: u64,
        /// Octets that it must have.
        expected: u64,
    },
    /// Another process has it.
    #[error("the log is held by {}", holder_text(*holder))]
    Held {
        /// Its process id, where the system tells.
        holder: Option<u32>,
    },
    /// There is no room on the disk for what was asked for.
    #[error("the disk has no room for a log of {wanted} octets")]
    NoRoom {
        /// Octets that the file should have had.
        wanted: u64,
    },
    /// The capacity is too small for eight chunks.
    #[error("a capacity of {capacity} octets is too small: this log needs at least {least}")]
    Capacity {
        /// What was asked for.
        capacity: u64,
        /// What it takes.
        least: u64,
    },
    /// The disk failed.
    #[error("the log cannot be read or written: {0}")]
    Io(#[from] io::Error),
}

fn holder_text(holder: Option<u32>) -> String {
    holder.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}

/// Why a record was not appended. Nothing of it is in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is no room now; there will be when others are closed, or when what is closed has been cleared away.
    #[error("the log is full")]
    Full,
    /// There will never be room.
    #[error("{bytes} octets are more than this log takes at once, which is {max}")]
    TooLarge {
        /// Octets of the payload.
        bytes: usize,
        /// The most that there may be.
        max: usize,
    },
    /// A write or a flush failed before.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// A write or a flush failed, and this log takes nothing any more: what has reached the disk is known only to who opens
/// it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the log has stopped: the disk failed ({0})")]
pub struct Stopped(pub io::ErrorKind);

/// Why a record cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// What is there is not what was written.
    #[error("the record at {} is damaged", lsn.0)]
    Damaged {
        /// Where.
        lsn: Lsn,
    },
    /// The disk failed.
    #[error("the record at {} cannot be read: {error}", lsn.0)]
    Io {
        /// Where.
        lsn: Lsn,
        /// How.
        error: io::Error,
    },
}
