//! Runs the pure machines under tokio. With the drivers of `zmtp`, the only code that knows about tasks and sockets.
//!
//! - [`clock`] time as the machines count it
//! - [`mod@drive`] one loop for every machine: receive or wake, handle, drain
//! - [`heap`] memory that is kept between two batches
//! - [`link`] the socket of a machine with one broker; [`refusal`] why it does not get a connection
//! - [`local`] connections without sockets, within one process
//! - [`key_file`] and [`secret_file`] keys and passwords on disk, readable by their owner only
//! - [`trace`] what a task does its work for, and the spans that stand for it
//! - [`udp`] datagrams to everybody on a network
//! - [`shutdown`] SIGINT and SIGTERM as a future
//! - [`vigil`] staying awake for a moment, while that pays
//! - [`way`] a machine's connection to its broker, by a link or within the process

pub mod clock;
pub mod drive;
pub mod heap;
pub mod key_file;
pub mod link;
pub mod local;
pub mod refusal;
pub mod secret_file;
pub mod shutdown;
pub mod trace;
pub mod udp;
pub mod vigil;
pub mod way;

pub use clock::Clock;
pub use drive::{Port, drive, drive_awake};
pub use refusal::Refusal;
pub use shutdown::Shutdown;
pub use vigil::Vigil;
pub use zmtp;
