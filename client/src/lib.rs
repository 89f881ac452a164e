//! The client SDK: Lazy Pirate and asynchronous Majordomo clients.
//!
//! - [`pirate`] one request at a time, a new socket for each retry; [`multiplex`] many at once. Both are pure machines;
//!   [`number`], [`patience`], [`event`] belong to them
//! - [`reply`], [`error`] what a caller gets

pub mod error;
pub mod event;
pub mod multiplex;
pub mod number;
pub mod patience;
pub mod pirate;
pub mod reply;

pub use error::{Error, Misuse};
pub use event::Event;
pub use patience::{Patience, Silence};
pub use protocol::mdp::Dialect;
pub use protocol::{Frames, ServiceName};
pub use reply::{Progress, Reply};
