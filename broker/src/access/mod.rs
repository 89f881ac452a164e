//! Who may come in, and with which rights: the allow file, the table made of it, and what happens when it changes.
//!
//! ```text
//!   allow file, password files ──► Sources ──► Peers ──► AllowTable ──► Authority: asked by each handshake
//!        SIGHUP, or a change  ───────┘                       └────────► Server: rights of each connection
//! ```
//!
//! The socket asks whether a peer may come in; what it may do then is the machine's to decide, by [`protocol::Rights`].

mod error;
mod file;
mod peers;
mod refusals;
mod sources;
mod table;

pub use error::{Error, Reason};
pub use file::{FILE_BYTES_MAX, NAME_BYTES_MAX, PATTERNS_MAX, PEERS_MAX, PasswordReader, parse};
pub use peers::Peers;
pub use sources::Sources;
pub use table::AllowTable;
pub(crate) use table::Following;

#[cfg(test)]
mod tests;
