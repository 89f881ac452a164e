//! How peers prove who they are, and how their bytes are protected afterwards.
//!
//! NULL proves nothing and protects nothing. This is the place where PLAIN and CURVE join: a mechanism has a name in
//! the greeting; it owns the commands between greeting and READY ([`crate::handshake`] asks it for them); and one that
//! encrypts stands between the codec and the queues: whole encoded messages leave the queue in [`crate::connection`]'s
//! writer before they touch the socket, and the decoder's input passes it first.

/// A security mechanism, with what it needs to know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mechanism {
    /// No authentication and no encryption.
    #[default]
    Null,
}

impl Mechanism {
    /// The name in the greeting, NUL-padded.
    pub(crate) fn greeting_name(self) -> [u8; 20] {
        match self {
            Self::Null => *b"NULL\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
        }
    }

    /// Whether peers that speak ZMTP 2.0, which knows no mechanisms, may come in.
    pub(crate) fn accepts_version_2(self) -> bool {
        match self {
            Self::Null => true,
        }
    }
}
