//! What a peer did wrong. A fault costs its sender at most its connection; it is counted, never logged a line a packet.

use crate::limits;

/// A rule of MDP that a peer broke, as found by the codecs of [`crate::mdp`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, thiserror::Error)]
pub enum PeerFault {
    /// No frame holds a header of a dialect that we speak.
    #[error("no MDP header (expected MDPC01, MDPW01, MDPC02 or MDPW02)")]
    Header,
    /// More frames than allowed before the empty delimiter frame.
    #[error("envelope of more than {} frames", limits::ENVELOPE_FRAMES_MAX)]
    Envelope,
    /// A frame that the command requires is missing.
    #[error("frame missing: {0}")]
    Missing(&'static str),
    /// Frames follow where the command ends.
    #[error("frames after the end of {0}")]
    Trailing(&'static str),
    /// The command is not one octet, or not one that this side may send.
    #[error("unknown command")]
    Command,
    /// The service name is empty or too long.
    #[error("service name of {0} bytes (allowed: 1 to {max})", max = limits::SERVICE_NAME_BYTES_MAX)]
    ServiceName(usize),
    /// The client address of a worker's reply is not one that we gave out.
    #[error("client address is not one this broker gave out")]
    Address,
}
