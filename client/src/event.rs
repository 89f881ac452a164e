//! What a client tells whoever watches it. Data, not log lines.

use std::time::Duration;

use protocol::mdp::Dialect;
use protocol::{PeerFault, ServiceName};

use crate::number::Number;

/// Something worth knowing happened in a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// There is a connection; so many requests were sent on it again.
    Connected {
        /// Requests that were under way already.
        resent: usize,
    },
    /// The connection is lost; a new one is tried after `retry_in`.
    Lost {
        /// Requests under way.
        outstanding: usize,
        /// The delay.
        retry_in: Duration,
    },
    /// A request is tried once more, because an attempt was silent for too long or could not be answered.
    Retried {
        /// Which.
        number: Number,
        /// The attempt that begins, from 2.
        attempt: u8,
    },
    /// A reply that nobody waits for any more: late, or to a request that was sent twice and is answered already.
    Duplicate,
    /// A reply from another service than was asked; dropped.
    WrongService,
    /// The broker broke a rule; its message was dropped.
    Fault(PeerFault),
    /// The broker answers in MDP 0.3.
    Native,
    /// The broker has not answered MDP 0.3: from now on, and until this connection is lost, an older dialect is spoken.
    FellBack(Dialect),
    /// The broker has not answered MDP 0.3, and nothing else is allowed: this connection is given up.
    Mute,
    /// The broker has said nothing for so long that the connection is given up.
    Silent,
    /// Parts of an answer are missing.
    Hole,
    /// The broker, or one of its services, is about to leave.
    Draining {
        /// How long it stays at most.
        grace: Duration,
        /// The one service that this is about.
        service: Option<ServiceName>,
    },
    /// The broker leaves, and what is asked from now on goes to this endpoint.
    Moved(String),
}
