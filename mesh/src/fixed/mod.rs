//! A full mesh whose members stand in a file: each is connected to all, and what one is told, all are told.
//!
//! ```text
//!   peers.json ──► Roster ──► Node: a ROUTER where the file says, a DEALER to each other member
//!   client ── a message ──► one Node ──► all others ── acknowledged, or named as missing ──► client
//! ```
//!
//! Its octets are those of the Go program zmqnet, whose REQ and REP sockets can be on either side.
//!
//! - [`Roster`] the file; [`Node`] a member's machine; [`Courier`] the machine that brings a message to a member
//! - `Server`, `Client` (feature `tokio`) both on real sockets

pub mod courier;
#[cfg(feature = "tokio")]
mod driver;
pub mod node;
pub mod roster;
#[cfg(test)]
mod tests;

pub use courier::{Courier, Failure, Patience};
#[cfg(feature = "tokio")]
pub use driver::{Client, Error, Events, Receipt, Server};
pub use node::{Config, Event, Node};
pub use roster::{Fault, Member, Roster};
