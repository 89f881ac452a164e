//! The dialects of MDP that are met in the field, and how each one starts a message.

use bytes::Bytes;

use crate::frames::Frames;

pub(super) const CLIENT_01: &[u8] = b"MDPC01";
pub(super) const WORKER_01: &[u8] = b"MDPW01";
pub(super) const CLIENT_02: &[u8] = b"MDPC02";
pub(super) const WORKER_02: &[u8] = b"MDPW02";

/// How one peer writes MDP. It is found in the peer's own messages, and the peer is answered in the same form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dialect {
    /// RFC 7: an empty frame first; client messages carry no command; one reply a request.
    V01,
    /// RFC 18 as written: no empty frame; replies are any number of PARTIAL and one FINAL.
    V02,
    /// RFC 18 behind an empty frame, as implementations in the field send it.
    V02Delimited,
    /// The client side of PyPI's majortomo: as [`V02Delimited`](Self::V02Delimited), but REQUEST is 02, PARTIAL 03 and
    /// FINAL 04, and replies omit the service. A REQUEST of 02 behind an empty frame is sent by nobody else.
    V02Majortomo,
}

/// Which side of the broker a header belongs to.
pub(super) enum Side {
    Client,
    Worker,
}

impl Dialect {
    /// Whether a reply may come in parts.
    pub const fn streams(self) -> bool {
        !matches!(self, Self::V01)
    }

    /// Whether an empty frame comes first.
    pub const fn is_delimited(self) -> bool {
        !matches!(self, Self::V02)
    }

    pub(super) const fn client_header(self) -> &'static [u8] {
        match self {
            Self::V01 => CLIENT_01,
            Self::V02 | Self::V02Delimited | Self::V02Majortomo => CLIENT_02,
        }
    }

    pub(super) const fn worker_header(self) -> &'static [u8] {
        match self {
            Self::V01 => WORKER_01,
            Self::V02 | Self::V02Delimited | Self::V02Majortomo => WORKER_02,
        }
    }

    /// The frames that every message of this dialect begins with; `frames_after` more are going to follow.
    pub(super) fn start(self, header: &'static [u8], frames_after: usize) -> Frames {
        let mut frames = Frames::with_capacity(2 + frames_after);
        if self.is_delimited() {
            frames.push(Bytes::new());
        }
        frames.push(header);
        frames
    }
}

/// The side of a message that begins with a 0.2 header and no empty frame; `None` if this frame is not such a header.
pub(super) fn pure(first: &[u8]) -> Option<Side> {
    match first {
        CLIENT_02 => Some(Side::Client),
        WORKER_02 => Some(Side::Worker),
        _ => None,
    }
}
