//! ZRE, the ZeroMQ Realtime Exchange protocol (RFC 36): how nodes of one network find each other and talk in groups.
//!
//! ```text
//!   beacon   UDP, to everybody: who I am and which port I listen on                      beacon.rs
//!   message  ZMTP, DEALER to ROUTER, one frame and for WHISPER and SHOUT the content     message.rs
//! ```
//!
//! The version octet of messages is 2 and stays 2: RFC 43 wants 3, but Zyre sends and requires 2, over CURVE too.

mod beacon;
mod fault;
mod identity;
mod message;
mod wire;

#[cfg(test)]
mod tests;

pub use beacon::{BEACON_BYTES_MAX, Beacon, KEY_BYTES};
pub use fault::PeerFault;
pub use identity::{GroupName, NodeId};
pub use message::{Command, Hello, Message};

/// The UDP port that IANA has given ZRE.
pub const PORT: u16 = 5670;
