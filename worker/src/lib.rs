//! The worker SDK: serve a Majordomo service in ten lines.
//!
#![cfg_attr(feature = "tokio", doc = "```no_run")]
#![cfg_attr(not(feature = "tokio"), doc = "```ignore")]
//! use worker::{Frames, Request, Worker};
//!
//! #[tokio::main(flavor = "current_thread")]
//! async fn main() -> Result<(), worker::Error> {
//!     Worker::new("tcp://127.0.0.1:5555", "echo")
//!         .serve(|request: Request| async move { Ok::<Frames, std::io::Error>(request.body) })
//!         .await
//! }
//! ```
//!
//! - [`session`] the worker's side of the protocol, a pure machine; [`config`], [`job`], [`event`] belong to it
//! - [`Speech`] MDP 0.3 or an older dialect; [`Failure`] and [`status`] how a failed job is answered
//! - with the feature `tokio`, on by default: [`Worker`] drives a session; [`handler`] says what may serve, [`json()`]
//!   makes a handler of typed JSON, [`Reply`] may be a stream, [`Cancellation`] says that nobody waits any more

#[cfg(feature = "tokio")]
mod cancel;
pub mod config;
pub mod event;
mod failure;
#[cfg(feature = "tokio")]
pub mod handler;
pub mod job;
#[cfg(feature = "tokio")]
mod json;
#[cfg(feature = "tokio")]
mod port;
#[cfg(feature = "tokio")]
mod request;
mod route;
#[cfg(feature = "tokio")]
mod run;
#[cfg(feature = "tokio")]
mod serve;
#[cfg(feature = "tokio")]
mod service;
pub mod session;
mod speech;
pub mod status;

#[cfg(feature = "tokio")]
pub use cancel::Cancellation;
pub use config::{Config, Misuse};
pub use event::{Cause, Event};
pub use failure::Failure;
#[cfg(feature = "tokio")]
pub use handler::Handler;
pub use job::{Assignment, JobId};
#[cfg(feature = "tokio")]
pub use json::{Json, Typed, json};
pub use protocol::mdp::Dialect;
pub use protocol::mdp::v03::{Offer, Options};
pub use protocol::{Frames, RequestId, ServiceName};
#[cfg(feature = "tokio")]
pub use request::{Parts, Reply, Request};
#[cfg(feature = "tokio")]
pub use runtime::{self, Shutdown, key_file, zmtp::Login, zmtp::PublicKey, zmtp::curve::KeyPair};
#[cfg(feature = "tokio")]
pub use serve::{Error, Worker};
#[cfg(feature = "tokio")]
pub use service::Service;
pub use session::Session;
pub use speech::Speech;
