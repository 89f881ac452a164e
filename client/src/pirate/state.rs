//! Where a pirate stands, for whoever watches it: simulators and tests count what they have visited.

use super::{Pirate, Socket};

/// Where a pirate stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// No request, no socket.
    NoSocket,
    /// No request; a lost connection is about to be replaced.
    Pausing,
    /// No request; a socket without connection.
    Opening,
    /// No request; connected.
    Connected,
    /// A request waits for the pause after a loss.
    PausingWithCall,
    /// A request waits for a connection.
    OpeningWithCall,
    /// A request is sent.
    Waiting,
}

impl Pirate {
    /// Where it stands now.
    pub fn state(&self) -> State {
        match (&self.socket, self.call.is_some()) {
            (Socket::None, _) => State::NoSocket,
            (Socket::Pausing { .. }, false) => State::Pausing,
            (Socket::Opening, false) => State::Opening,
            (Socket::Connected, false) => State::Connected,
            (Socket::Pausing { .. }, true) => State::PausingWithCall,
            (Socket::Opening, true) => State::OpeningWithCall,
            (Socket::Connected, true) => State::Waiting,
        }
    }
}
