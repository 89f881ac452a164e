//! The worker SDK: serve a Majordomo service in ten lines.
//!
//! - [`session`] the worker's side of the protocol, a pure machine; [`config`], [`job`], [`event`] belong to it
//! - [`status`] how a failed job is answered

pub mod config;
pub mod event;
pub mod job;
pub mod session;
pub mod status;

pub use config::{Config, Misuse};
pub use event::{Cause, Event};
pub use job::JobId;
pub use protocol::mdp::Dialect;
pub use protocol::{Frames, ServiceName};
pub use session::Session;
