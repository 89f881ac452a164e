//! Runs the pure machines under tokio. With the drivers of `zmtp`, the only code that knows about tasks and sockets.
//!
//! - [`clock`] time as the machines count it
//! - [`mod@drive`] one loop for every machine: receive or wake, handle, drain
//! - [`link`] the socket of a machine with one broker; [`refusal`] why it does not get a connection
//! - [`key_file`] and [`secret_file`] keys and passwords on disk, readable by their owner only
//! - [`shutdown`] SIGINT and SIGTERM as a future

pub mod clock;
pub mod drive;
pub mod key_file;
pub mod link;
pub mod refusal;
pub mod secret_file;
pub mod shutdown;

pub use clock::Clock;
pub use drive::{Port, drive};
pub use refusal::Refusal;
pub use shutdown::Shutdown;
pub use zmtp;
