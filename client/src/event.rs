//! What a client tells whoever watches it. Data, not log lines.

use std::time::Duration;

use protocol::PeerFault;

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
    /// A reply that nobody waits for any more: late, or to a request that was sent twice and is answered already.
    Duplicate,
    /// A reply from another service than was asked; dropped.
    WrongService,
    /// The broker broke a rule; its message was dropped.
    Fault(PeerFault),
}
