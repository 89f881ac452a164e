//! What a socket tells its owner.

use std::sync::Arc;

use bytes::Bytes;
use protocol::{Frames, PeerId};

use crate::security::authority::Principal;
use crate::wire::fault::Fault;

/// Something that happened on a socket with many peers.
#[derive(Debug)]
pub enum Event {
    /// A peer has finished its handshake. `identity` is what it announced, empty if nothing.
    Connected {
        /// The connection's number; never given twice by one socket.
        peer: PeerId,
        /// The ROUTER routing identity that the peer chose, or empty.
        identity: Bytes,
        /// Who the peer proved to be, and what the authority said about it; `None` where nobody asked. A CURVE client
        /// finds the server's key here.
        principal: Option<Arc<Principal>>,
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
    /// An attempt to connect came as far as the peer and was refused there, or we refused the peer. Only a connecting
    /// socket says this, and the same reason only once until there is another, or a connection. It goes on trying.
    Refused {
        /// The attempt's number.
        peer: PeerId,
        /// The reason.
        fault: Fault,
    },
}

impl Event {
    /// Whose event it is.
    pub fn peer(&self) -> PeerId {
        match self {
            Self::Connected { peer, .. }
            | Self::Message { peer, .. }
            | Self::Disconnected { peer }
            | Self::Refused { peer, .. } => *peer,
        }
    }
}
