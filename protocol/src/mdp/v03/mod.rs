//! MDP 0.3, the native dialect (docs/rfc/MDP-0.3.md): the codec of both sides of every command.
//!
//! ```text
//!   frame 1, the head                                              frames 2…
//!   ┌──────────────────┬─────────┬──────────────┬─────────┐  ┌──────┐
//!   │ MDPC03 or MDPW03 │ command │ fixed fields │ options │  │ body │ …
//!   └──────────────────┴─────────┴──────────────┴─────────┘  └──────┘
//! ```
//!
//! One head frame holds all that the protocol says, so a request of one body frame is two frames on the wire. A command
//! has the same number on both sides; numbers are big-endian.
//!
//! - [`client`] what travels between a client and a broker
//! - [`worker`], [`ready`] what travels between a worker and a broker, and how a worker announces itself
//! - [`notice`] what both sides share: how a request ended, and DRAIN
//! - [`terms`] what a client asks of its request beside the answer
//! - [`options`] the extensible list at the end of a head
//! - [`status`], [`id`] three digits, and the two kinds of numbers that requests have

use crate::fault::PeerFault;
use crate::frames::Frames;
use crate::identity::RequestId;

pub mod client;
mod head;
pub mod id;
pub mod notice;
pub mod options;
pub mod ready;
pub mod status;
pub mod terms;
pub mod worker;

pub use client::{FromClient, ToClient};
pub use id::JobNumber;
pub use notice::{Drain, Outcome};
pub use options::Options;
pub use ready::{Offer, Ready};
pub use status::Status;
pub use terms::{Idempotency, Terms};
pub use worker::{FromWorker, ToWorker};

/// A message that a broker received, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromPeer {
    /// A client speaks.
    Client(FromClient),
    /// A worker speaks.
    Worker(FromWorker),
}

/// A message that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{fault}")]
pub struct Rejected {
    /// The request that it is about, where that could still be read: its client is answered with
    /// [`Status::BAD_REQUEST`] and the fault as the reason. Nobody is answered otherwise.
    pub request: Option<RequestId>,
    /// The broken rule.
    pub fault: PeerFault,
}

impl From<PeerFault> for Rejected {
    fn from(fault: PeerFault) -> Self {
        Self { request: None, fault }
    }
}

/// Which side of a broker a message comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// [`FromClient`] decodes it.
    Client,
    /// [`FromWorker`] decodes it.
    Worker,
}

/// The side that a message claims to come from in MDP 0.3; `None` where the older dialects are to be asked.
#[inline]
pub fn side(message: &Frames) -> Option<Side> {
    let (header, _) = message.first()?.split_first_chunk()?;
    match header {
        CLIENT_HEADER => Some(Side::Client),
        WORKER_HEADER => Some(Side::Worker),
        _ => None,
    }
}

/// Whether this message claims to be MDP 0.3, of either side.
pub fn is_spoken_in(message: &Frames) -> bool {
    side(message).is_some()
}

/// Decodes a message that arrived at a broker, from a client or a worker of MDP 0.3.
///
/// # Errors
/// The broken rule, and the request that it is about if that could be read. The message is then to be dropped.
pub fn decode(message: Frames) -> Result<FromPeer, Rejected> {
    match side(&message) {
        Some(Side::Worker) => Ok(FromPeer::Worker(FromWorker::decode(message)?)),
        Some(Side::Client) | None => FromClient::decode(message).map(FromPeer::Client),
    }
}

/// The first six octets of all messages between a client and a broker.
pub const CLIENT_HEADER: &[u8; head::HEADER_BYTES] = b"MDPC03";
/// The first six octets of all messages between a worker and a broker.
pub const WORKER_HEADER: &[u8; head::HEADER_BYTES] = b"MDPW03";

/// The octet behind the header. A number means the same on both sides.
mod command {
    pub(super) const READY: u8 = 1;
    pub(super) const REQUEST: u8 = 2;
    pub(super) const PARTIAL: u8 = 3;
    pub(super) const FINAL: u8 = 4;
    pub(super) const CANCEL: u8 = 5;
    pub(super) const CREDIT: u8 = 6;
    pub(super) const DRAIN: u8 = 7;
    pub(super) const HEARTBEAT: u8 = 8;
    pub(super) const DISCONNECT: u8 = 9;
}
