//! What a socket tells its owner.

use bytes::Bytes;
use protocol::{Frames, PeerId};

/// Something that happened on a socket with many peers.
#[derive(Debug)]
pub enum Event {
    /// A peer has finished its handshake. `identity` is what it announced, empty if nothing.
    Connected {
        /// The connection's number; never given twice by one socket.
        peer: PeerId,
        /// The ROUTER routing identity that the peer chose, or empty.
        identity: Bytes,
    },
    /// A whole message.
    Message {
        /// Who sent it.
        peer: PeerId,
        /// Its frames, without any routing frame.
        frames: Frames,
    },
    /// The connection is gone; nothing more comes from this number.
    Disconnected {
        /// Who left.
        peer: PeerId,
    },
}

impl Event {
    /// Whose event it is.
    pub fn peer(&self) -> PeerId {
        match self {
            Self::Connected { peer, .. } | Self::Message { peer, .. } | Self::Disconnected { peer } => *peer,
        }
    }
}
