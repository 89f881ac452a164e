//! The pure part of Majordomo: what every other crate agrees on.
//!
//! Nothing here reads a clock, a socket, a file, the environment or a random source, and nothing is `unsafe`: bytes and
//! time come in as arguments, values go out. That is what lets the simulator run the very code that the product runs.
//!
//! - [`machine`] the one shape that every component has
//! - [`time`], [`timers`], [`backoff`] time as numbers, wake-ups for many things at once, delays that grow
//! - [`frames`], [`limits`], [`identity`], [`fault`] messages, their bounds, the names of things, and blame
//! - [`numbered`] things in the order of their numbers, which mostly come and go in that order
//! - [`rights`] what a peer may do
//! - [`mutants`] seeded bugs, off in every product
//! - [`zre`] the beacons and messages of a mesh (RFC 36)
//! - [`zgossip`] what hubs tell where beacons do not reach, as czmq says it
//! - [`zmqnet`] the messages of a full mesh whose members stand in a file
//! - [`mdp`], [`mmi`] the Majordomo protocol (RFC 7, RFC 18, and our own 0.3) and its management interface (RFC 8)

pub mod backoff;
pub mod fault;
pub mod frames;
pub mod identity;
pub mod limits;
pub mod machine;
pub mod mdp;
pub mod mmi;
pub mod mutants;
pub mod numbered;
pub mod rights;
pub mod time;
pub mod timers;
pub mod trace;
pub mod zgossip;
pub mod zmqnet;
pub mod zre;

pub use backoff::Backoff;
pub use fault::PeerFault;
pub use frames::Frames;
pub use identity::{PeerId, Priority, RequestId, ServiceName};
pub use machine::Machine;
pub use rights::{PeerLimits, Rights};
pub use time::Instant;
