//! What a member of a mesh did wrong, as the codecs of this module find it.

use crate::limits;

/// A rule of ZRE that a peer broke. It costs the message, and is counted.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, thiserror::Error)]
pub enum PeerFault {
    /// A beacon of neither 22 octets in version 1 nor 54 in version 3, or one that does not begin with `ZRE`.
    #[error("not a beacon")]
    Beacon,
    /// A message without a frame, or one that does not begin with AA A1.
    #[error("not a message of ZRE (expected AA A1)")]
    Signature,
    /// The version octet is not 2.
    #[error("version {0} of ZRE (allowed: 2)")]
    Version(u8),
    /// No command has this number.
    #[error("unknown command {0}")]
    Command(u8),
    /// The frame ends within a field.
    #[error("the frame ends within {0}")]
    Cut(&'static str),
    /// Octets follow where the command ends, or frames.
    #[error("more than the command {0} has")]
    Trailing(&'static str),
    /// A text is not UTF-8.
    #[error("{0} is not UTF-8")]
    Text(&'static str),
    /// A list or a dictionary is longer than allowed.
    #[error("{count} {what} (allowed: {allowed})")]
    Count {
        /// Of what there are too many.
        what: &'static str,
        /// As it came.
        count: u32,
        /// At most.
        allowed: u32,
    },
    /// The first frame is larger than a command may be.
    #[error("a command of {0} bytes (allowed: {max})", max = limits::ZRE_COMMAND_BYTES_MAX)]
    Bytes(usize),
}
