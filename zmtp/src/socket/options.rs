//! How a socket behaves: every duration and every bound, with its default.

use std::time::Duration;

use bytes::Bytes;
use protocol::limits::{FRAMES_PER_MESSAGE_MAX, MESSAGE_BYTES_MAX};

use crate::security::authority::Authority;
use crate::security::mechanism::Mechanism;
use crate::socket::endpoint::Endpoint;

/// Settings of one socket.
#[derive(Clone, Debug)]
pub struct Options {
    /// The routing identity that we announce: empty for none, else 1 to 255 bytes of which the first is not zero. Peers
    /// refuse anything else, as we do.
    pub identity: Bytes,
    /// Bounds of memory and of counts.
    pub limits: Limits,
    /// Probing of silent connections; `None` sends no PING. A PING of the peer is answered either way.
    pub heartbeat: Option<Heartbeat>,
    /// After this silence the kernel probes a TCP connection, which finds dead peers that are too old for PING; whole
    /// seconds.
    pub keepalive: Duration,
    /// How long a connection may take from its first byte to READY.
    pub handshake_timeout: Duration,
    /// How long queued messages may take to leave when a connection or the socket is closed.
    pub linger: Duration,
    /// Delays between attempts of a connecting socket.
    pub reconnect: Backoff,
    /// How peers prove who they are.
    pub mechanism: Mechanism,
    /// Where this socket belongs, such as `dev`, `test` or `prod`; empty for nowhere, and up to 255 bytes. Sockets of
    /// different domains do not talk, nor does one that has a domain with one that has none.
    pub domain: String,
    /// Who decides about the peers of a socket that asks them who they are: the server of PLAIN or CURVE, and over NULL
    /// the one that listens. Without it, NULL and CURVE let everybody in, and PLAIN nobody.
    pub authority: Option<Authority>,
    /// Where a connecting socket finds its peer when that moves.
    pub moves: Option<Moves>,
}

/// Where a peer is now that was at an endpoint once, as somebody else finds out. A connection that lives is kept; the
/// next one is made to where the peer is by then.
#[derive(Clone, Debug)]
pub struct Moves {
    /// Where it was; sockets that connect elsewhere take no notice.
    pub from: Endpoint,
    /// Where it is.
    pub now: tokio::sync::watch::Receiver<Endpoint>,
}

/// PING and PONG (ZMTP 3.1). A peer that dies without a word is noticed after `interval + timeout` at the latest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// How often a connection that is silent in one direction is probed.
    pub interval: Duration,
    /// How long after a PING the peer may stay silent.
    pub timeout: Duration,
    /// How long the peer should wait for a sign of us before it closes; zero announces none. Sent in tenths of a
    /// second.
    pub ttl: Duration,
}

/// Delays that double from `first` up to `max`, each with a random half taken off so that peers do not return in step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The first delay.
    pub first: Duration,
    /// The longest delay, and the one after a refusal.
    pub max: Duration,
}

/// Bounds. All are compared before memory is allocated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of all frames of one message, in both directions.
    pub message_bytes_max: usize,
    /// Frames of one message, in both directions.
    pub frames_max: usize,
    /// Messages that wait for one peer before `try_send` says Full.
    pub queue_messages_max: usize,
    /// Bytes that wait for one peer before `try_send` says Full. The message that meets this bound may pass it, so that
    /// a large one finds room behind a small one.
    pub queue_bytes_max: usize,
    /// Bytes that wait for all peers together; past it a peer that holds more than an equal share is Full.
    pub outbound_bytes_max: usize,
    /// Bytes of messages that are being received or wait for the owner, of all peers together; past it a peer that
    /// holds more than an equal share is closed.
    pub inbound_bytes_max: usize,
    /// Messages of one peer that wait for the owner; then its connection is not read any more.
    pub batch_messages_max: usize,
    /// Memory of one peer's messages that wait for the owner, one message more at most.
    pub batch_bytes_max: usize,
    /// Connections, half-open ones included; more are closed at once.
    pub connections_max: usize,
    /// Connections in their handshake; past it the oldest of the busiest address is closed.
    pub half_open_max: usize,
    /// Connections of one address in their handshake; past it the oldest of them is closed.
    pub half_open_per_address_max: usize,
    /// Identities of which is remembered whose they are, where peers prove who they are.
    pub identities_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            identity: Bytes::new(),
            limits: Limits::default(),
            heartbeat: Some(Heartbeat::default()),
            keepalive: Duration::from_secs(30),
            handshake_timeout: Duration::from_secs(10),
            linger: Duration::from_secs(1),
            reconnect: Backoff::default(),
            mechanism: Mechanism::Null,
            domain: String::new(),
            authority: None,
            moves: None,
        }
    }
}

impl Default for Heartbeat {
    fn default() -> Self {
        let second = Duration::from_secs(1);
        Self { interval: 5 * second, timeout: 5 * second, ttl: 20 * second }
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self { first: Duration::from_millis(50), max: Duration::from_secs(5) }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_bytes_max: MESSAGE_BYTES_MAX,
            frames_max: FRAMES_PER_MESSAGE_MAX,
            queue_messages_max: 65_536,
            queue_bytes_max: 16 << 20,
            outbound_bytes_max: 128 << 20,
            inbound_bytes_max: 128 << 20,
            batch_messages_max: 1024,
            batch_bytes_max: 512 << 10,
            connections_max: 65_536,
            half_open_max: 4096,
            half_open_per_address_max: 1024,
            identities_max: 65_536,
        }
    }
}

impl Backoff {
    /// The delay before attempt number `failures + 1`. `random` is in 0..1.
    pub(crate) fn delay(&self, failures: u32, random: f64) -> Duration {
        let doubled = self.first.saturating_mul(2u32.saturating_pow(failures.min(20)));
        let full = doubled.min(self.max);
        full.mul_f64(1.0 - random / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_longest_and_jitter_takes_at_most_half_off() {
        let backoff = Backoff { first: Duration::from_millis(50), max: Duration::from_millis(400) };
        let delays: Vec<_> = (0..6).map(|failures| backoff.delay(failures, 0.0).as_millis()).collect();
        assert_eq!(delays, [50, 100, 200, 400, 400, 400]);
        assert_eq!(backoff.delay(1, 0.999_999).as_millis(), 50);
        assert_eq!(backoff.delay(u32::MAX, 0.0), backoff.max);
    }
}
