//! Titanic: requests that survive crashes (RFC 9).
//!
//! - [`log`] where they are kept: one preallocated, memory-mapped, circular file with an index in memory
//! - [`store`] the services on it, and the calls of the real services, as one machine
//! - [`desk`] the store with a worker's session and a client: all but sockets, disk and clock
//! - with the feature `tokio`, on by default: `server`, which drives it at a broker
//!
//! Without the features `file` and `tokio`, which are on by default, the crate is pure: the log runs over
//! any [`log::Region`].

pub mod desk;
pub mod log;
#[cfg(feature = "tokio")]
pub mod server;
pub mod store;
