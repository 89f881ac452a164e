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
    /// The request id of a 0.3 client is all zeros, which stands for "none".
    #[error("request id of zeros")]
    RequestId,
    /// A number is outside of its range.
    #[error("{what} of {value} (allowed: {allowed})")]
    Value {
        /// Which number.
        what: &'static str,
        /// As it came.
        value: u64,
        /// The range, in words.
        allowed: &'static str,
    },
    /// What may stand once stands twice.
    #[error("{0} is named twice")]
    Repeated(&'static str),
    /// The options of a 0.3 message break a rule of theirs.
    #[error("{0}")]
    Option(#[from] OptionFault),
}

/// A rule of the options of MDP 0.3 that a peer broke.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, thiserror::Error)]
pub enum OptionFault {
    /// More octets than the options of this command may have.
    #[error("options of {bytes} bytes (allowed: {allowed})")]
    Bytes {
        /// As they came.
        bytes: usize,
        /// At most.
        allowed: usize,
    },
    /// More options than a list may have.
    #[error("more than {} options", limits::OPTIONS_MAX)]
    Count,
    /// The list ends within an option.
    #[error("options end within an option")]
    Cut,
    /// This option does not come after one with a smaller number: out of order, or there twice.
    #[error("option {0:#04x} is out of order")]
    Order(u8),
    /// An option that must be understood is not one that we know.
    #[error("unknown critical option {0:#04x}")]
    Critical(u8),
    /// The value of this option is too short, too long, or not what it should be.
    #[error("malformed value of option {0}")]
    Value(&'static str),
}
