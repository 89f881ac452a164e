//! What a peer did wrong on the wire. A fault costs its sender its connection; it is counted by kind, never logged a
//! line a packet.

use std::fmt;

/// A rule of ZMTP, or a limit of ours, that a peer broke.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The first bytes are not a ZMTP greeting.
    #[error("not a ZMTP greeting")]
    Signature,
    /// ZMTP 1.0, or 2.0 where a security mechanism is required.
    #[error("ZMTP {0}.0 is not spoken here")]
    Version(u8),
    /// The peer's security mechanism is not ours.
    #[error("security mechanism is \"{0}\"")]
    Mechanism(String),
    /// A flag bit that the protocol reserves, or MORE on a command.
    #[error("frame flags {0:#04x} are not allowed")]
    Flags(u8),
    /// A message, or one frame of it, claims or has more bytes than allowed.
    #[error("message of {claimed} bytes (allowed: up to {allowed})")]
    MessageBytes {
        /// Bytes of the message as far as its frames have been announced.
        claimed: u64,
        /// The limit.
        allowed: usize,
    },
    /// A message of too many frames.
    #[error("message of more than {0} frames")]
    FrameCount(usize),
    /// A command longer than any command may be.
    #[error("command of {0} bytes")]
    CommandBytes(u64),
    /// A command that does not parse.
    #[error("malformed {0} command")]
    Command(&'static str),
    /// Something other than what the handshake expects next.
    #[error("{0} in the handshake")]
    Unexpected(&'static str),
    /// The metadata of READY does not parse.
    #[error("malformed metadata")]
    Metadata,
    /// An identity that starts with a zero byte or is longer than 255 bytes.
    #[error("identity is not allowed (1 to 255 bytes, the first not zero)")]
    Identity,
    /// A socket type that ours cannot talk to.
    #[error("socket type \"{0}\" cannot talk to this one")]
    SocketType(String),
    /// The peer refused us with an ERROR command.
    #[error("refused by the peer: {0}")]
    Refused(String),
    /// The gate kept the peer out, with this status of ZAP (300, 400, 500).
    #[error("not let in: {0}")]
    Denied(u16),
    /// The peer belongs to another domain than we do.
    #[error("domain is {}, here it is {}", or_none(theirs), or_none(ours))]
    Domain {
        /// What the peer announced, empty for nothing.
        theirs: String,
        /// Ours, empty for none.
        ours: String,
    },
    /// The identity belongs to a peer with another key, or another user.
    #[error("identity belongs to another key")]
    IdentityTaken,
    /// A command that was not made with the keys agreed on, or was changed on its way.
    #[error("{0} was not made with the right keys")]
    Forged(&'static str),
    /// A short nonce that is not larger than the one before: something was repeated, or came out of order.
    #[error("command out of order or repeated")]
    Nonce,
    /// The peer closed without a word in the middle of the handshake, as servers do with clients that have the wrong
    /// server key.
    #[error("closed by the peer in the handshake")]
    HandshakeClosed,
    /// The handshake took too long.
    #[error("handshake not finished in time")]
    HandshakeTimeout,
    /// Nothing came within the heartbeat's timeout, or the peer's own time to live.
    #[error("silent for too long")]
    Silent,
    /// The memory for messages being received is used up and this peer holds more than its share.
    #[error("holds more than its share of the receive memory")]
    Memory,
}

/// The kinds of [`Fault`], for counting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FaultKind {
    /// See [`Fault::Signature`].
    Signature,
    /// See [`Fault::Version`].
    Version,
    /// See [`Fault::Mechanism`].
    Mechanism,
    /// See [`Fault::Flags`].
    Flags,
    /// See [`Fault::MessageBytes`].
    MessageBytes,
    /// See [`Fault::FrameCount`].
    FrameCount,
    /// See [`Fault::CommandBytes`].
    CommandBytes,
    /// See [`Fault::Command`].
    Command,
    /// See [`Fault::Unexpected`].
    Unexpected,
    /// See [`Fault::Metadata`].
    Metadata,
    /// See [`Fault::Identity`].
    Identity,
    /// See [`Fault::SocketType`].
    SocketType,
    /// See [`Fault::Refused`].
    Refused,
    /// See [`Fault::Denied`].
    Denied,
    /// See [`Fault::Domain`].
    Domain,
    /// See [`Fault::IdentityTaken`].
    IdentityTaken,
    /// See [`Fault::Forged`].
    Forged,
    /// See [`Fault::Nonce`].
    Nonce,
    /// See [`Fault::HandshakeClosed`].
    HandshakeClosed,
    /// See [`Fault::HandshakeTimeout`].
    HandshakeTimeout,
    /// See [`Fault::Silent`].
    Silent,
    /// See [`Fault::Memory`].
    Memory,
}

impl Fault {
    /// Whether the next attempt to connect would meet it again, unless somebody changes something.
    pub fn is_lasting(&self) -> bool {
        use Fault::{Domain, Forged, Identity, Mechanism, Refused, SocketType};
        matches!(self, Refused(_) | Domain { .. } | Forged(_) | Identity | Mechanism(_) | SocketType(_))
    }

    /// Whether a peer that is at fault in its handshake may have been told so with ERROR.
    #[cfg(feature = "tokio")]
    pub(crate) fn is_told(&self) -> bool {
        use Fault::{Denied, Domain, Identity, IdentityTaken, Metadata, SocketType};
        matches!(self, Denied(400..) | Domain { .. } | Identity | IdentityTaken | Metadata | SocketType(_))
    }

    /// What to count it as.
    pub fn kind(&self) -> FaultKind {
        match self {
            Self::Signature => FaultKind::Signature,
            Self::Version(_) => FaultKind::Version,
            Self::Mechanism(_) => FaultKind::Mechanism,
            Self::Flags(_) => FaultKind::Flags,
            Self::MessageBytes { .. } => FaultKind::MessageBytes,
            Self::FrameCount(_) => FaultKind::FrameCount,
            Self::CommandBytes(_) => FaultKind::CommandBytes,
            Self::Command(_) => FaultKind::Command,
            Self::Unexpected(_) => FaultKind::Unexpected,
            Self::Metadata => FaultKind::Metadata,
            Self::Identity => FaultKind::Identity,
            Self::SocketType(_) => FaultKind::SocketType,
            Self::Refused(_) => FaultKind::Refused,
            Self::Denied(_) => FaultKind::Denied,
            Self::Domain { .. } => FaultKind::Domain,
            Self::IdentityTaken => FaultKind::IdentityTaken,
            Self::Forged(_) => FaultKind::Forged,
            Self::Nonce => FaultKind::Nonce,
            Self::HandshakeClosed => FaultKind::HandshakeClosed,
            Self::HandshakeTimeout => FaultKind::HandshakeTimeout,
            Self::Silent => FaultKind::Silent,
            Self::Memory => FaultKind::Memory,
        }
    }
}

impl FaultKind {
    /// Every kind, in the order of declaration.
    pub const ALL: [Self; 22] = [
        Self::Signature,
        Self::Version,
        Self::Mechanism,
        Self::Flags,
        Self::MessageBytes,
        Self::FrameCount,
        Self::CommandBytes,
        Self::Command,
        Self::Unexpected,
        Self::Metadata,
        Self::Identity,
        Self::SocketType,
        Self::Refused,
        Self::Denied,
        Self::Domain,
        Self::IdentityTaken,
        Self::Forged,
        Self::Nonce,
        Self::HandshakeClosed,
        Self::HandshakeTimeout,
        Self::Silent,
        Self::Memory,
    ];

    /// The kind as a label of a counter.
    pub fn name(self) -> &'static str {
        match self {
            Self::Signature => "signature",
            Self::Version => "version",
            Self::Mechanism => "mechanism",
            Self::Flags => "flags",
            Self::MessageBytes => "message_bytes",
            Self::FrameCount => "frame_count",
            Self::CommandBytes => "command_bytes",
            Self::Command => "command",
            Self::Unexpected => "unexpected",
            Self::Metadata => "metadata",
            Self::Identity => "identity",
            Self::SocketType => "socket_type",
            Self::Refused => "refused",
            Self::Denied => "denied",
            Self::Domain => "domain",
            Self::IdentityTaken => "identity_taken",
            Self::Forged => "forged",
            Self::Nonce => "nonce",
            Self::HandshakeClosed => "handshake_closed",
            Self::HandshakeTimeout => "handshake_timeout",
            Self::Silent => "silent",
            Self::Memory => "memory",
        }
    }
}

/// A peer reads the name of a domain without quotes, which it would have to escape.
fn or_none(name: &str) -> &str {
    if name.is_empty() { "none" } else { name }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
