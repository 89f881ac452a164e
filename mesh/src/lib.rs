//! Brokerless mode: nodes of one network that find each other, know of each other's death, and talk in groups.
//!
//! ```text
//!   beacon (UDP, once a second) ──► peer table ──► HELLO over ZMTP, both ways ──► Enter, Join, … Exit
//!                                                                  └─ headers ──► registry: ServiceUp, ServiceDown
//! ```
//!
//! It is ZRE (RFC 36): every Zyre and pyre program is a member already.
//!
//! - [`Node`] the machine; it holds every decision and can be driven by tokio or by a simulator
//! - [`Config`] what an operator may choose; [`marking`] how nodes of ours know each other before they talk
//! - [`Event`], [`Counters`] what it tells; [`announcement`] how a broker says what it serves
//! - [`gossip`] where nodes listen, told by hubs as czmq has them
//! - [`fixed`] a full mesh whose members stand in a file, and not one of ZRE
//! - `Mesh` (feature `tokio`) the machine on real sockets; `find` a broker in it, which sockets follow when it moves

pub mod announcement;
mod config;
#[cfg(feature = "tokio")]
mod driver;
mod event;
pub mod fixed;
pub mod gossip;
#[cfg(feature = "tokio")]
mod lines;
pub mod marking;
mod node;
mod registry;

pub use config::{Address, Config, Key, Limits, Misuse, Patience};
#[cfg(feature = "tokio")]
pub use driver::{
    Error, Events, Found, HOST_HEADER, Mesh, Offer, Settings, Trust, Wanted, addresses, find, host, offers, reachable,
};
pub use event::{Counters, Departure, Event};
pub use node::{Input, Node, Output};
pub use protocol::zre::{GroupName, NodeId};
pub use protocol::{Frames, PeerId};
#[cfg(feature = "tokio")]
pub use runtime::udp::{Interface, Interfaces, Spread};

#[cfg(test)]
mod tests;
