//! The Majordomo protocol: MDP 0.1 (RFC 7) and 0.2 (RFC 18), both sides of every command.
//!
//! ```text
//!   client ──request──►┌────────┐──request──►worker
//!          ◄──reply────│ broker │◄──reply────
//!                      └────────┘
//!   mod client: what travels on the left      mod worker: what travels on the right
//! ```
//!
//! A broker does not know who speaks before it has read the message: [`decode`] finds dialect and side by the header.
//! The number of a command means different things per side and per dialect, so the header always comes first.
//! Frame lists never count the routing frame that a ROUTER socket adds.
//!
//! MDP 0.3 is the native dialect and a codec of its own, [`v03`]: it says more than the types of the old ones can hold.

pub mod client;
mod cursor;
mod dialect;
pub mod v03;
pub mod worker;

pub use client::Request;
pub use dialect::Dialect;

use crate::fault::PeerFault;
use crate::frames::Frames;
use crate::limits::{ENVELOPE_FRAMES_MAX, IDENTITY_BYTES_MAX};
use cursor::Cursor;

/// A message that a broker received, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromPeer {
    /// A client asks for a service.
    Client(Request),
    /// A worker speaks.
    Worker(Dialect, worker::FromWorker),
}

/// Decodes a message that arrived at a broker, whoever sent it in whichever dialect.
///
/// # Errors
/// The [`PeerFault`] that names the broken rule; the message is then to be dropped.
pub fn decode(message: Frames) -> Result<FromPeer, PeerFault> {
    if let Some(side) = message.first().and_then(|frame| dialect::pure(frame)) {
        return match side {
            dialect::Side::Client => client::decode_pure(message.skip(1)).map(FromPeer::Client),
            dialect::Side::Worker => decode_worker(Dialect::V02, message.skip(1)),
        };
    }
    let (envelope, rest) = split_envelope(message)?;
    match rest.first().map(AsRef::as_ref) {
        Some(dialect::CLIENT_01) => client::decode_01(envelope, rest.skip(1)).map(FromPeer::Client),
        Some(dialect::CLIENT_02) => client::decode_delimited(envelope, rest.skip(1)).map(FromPeer::Client),
        Some(dialect::WORKER_01 | dialect::WORKER_02) if !envelope.is_empty() => Err(PeerFault::Envelope),
        Some(dialect::WORKER_01) => decode_worker(Dialect::V01, rest.skip(1)),
        Some(dialect::WORKER_02) => decode_worker(Dialect::V02Delimited, rest.skip(1)),
        _ => Err(PeerFault::Header),
    }
}

fn decode_worker(dialect: Dialect, rest: Frames) -> Result<FromPeer, PeerFault> {
    worker::decode_from_worker(dialect, rest).map(|command| FromPeer::Worker(dialect, command))
}

/// The envelope is all that stands before the first empty frame: nothing from a DEALER or a plain REQ, a request number
/// from a REQ with REQ_CORRELATE, addresses from a chain of proxies. It goes back unchanged with each reply.
fn split_envelope(message: Frames) -> Result<(Frames, Frames), PeerFault> {
    let delimiter = message.iter().take(ENVELOPE_FRAMES_MAX + 1).position(bytes::Bytes::is_empty);
    match delimiter {
        Some(0) => Ok((Frames::new(), message.skip(1))),
        Some(position) => {
            let mut cursor = Cursor::new(message);
            let envelope = cursor.take_many(position);
            cursor.take("delimiter")?;
            if envelope.iter().any(|frame| frame.len() > IDENTITY_BYTES_MAX) {
                return Err(PeerFault::Envelope);
            }
            Ok((envelope, cursor.rest()))
        }
        None if message.len() > ENVELOPE_FRAMES_MAX => Err(PeerFault::Envelope),
        None => Err(PeerFault::Header),
    }
}

#[cfg(test)]
mod tests;
