//! The client SDK: Lazy Pirate and asynchronous Majordomo clients.
//!
#![cfg_attr(feature = "tokio", doc = "```no_run")]
#![cfg_attr(not(feature = "tokio"), doc = "```ignore")]
//! use client::LazyPirate;
//!
//! #[tokio::main(flavor = "current_thread")]
//! async fn main() -> Result<(), client::Error> {
//!     let mut pirate = LazyPirate::new("tcp://127.0.0.1:5555");
//!     let reply = pirate.request("echo", ["hello"]).await?;
//!     println!("{:?}", reply.body);
//!     Ok(())
//! }
//! ```
//!
//! - [`pirate`] one request at a time, a new socket for each retry; [`multiplex`] many at once. Both are pure machines;
//!   [`number`], [`patience`], [`event`] belong to them; [`speech`] is where the versions of MDP differ
//! - [`reply`], [`error`], [`failed`] what a caller gets
//! - with the feature `tokio`, on by default: [`LazyPirate`] and [`Client`] drive them, [`services()`] asks a broker
//!   what it serves, [`Titanic`] keeps requests that survive

#[cfg(feature = "tokio")]
mod ask;
#[cfg(feature = "tokio")]
mod call;
#[cfg(feature = "tokio")]
mod caller;
#[cfg(feature = "tokio")]
mod client;
pub mod error;
pub mod event;
pub mod failed;
mod flight;
#[cfg(feature = "tokio")]
mod lazy_pirate;
pub mod multiplex;
pub mod number;
#[cfg(feature = "tokio")]
mod owner;
#[cfg(feature = "tokio")]
mod parts;
pub mod patience;
pub mod pirate;
pub mod reply;
#[cfg(feature = "tokio")]
mod services;
#[cfg(feature = "tokio")]
mod span;
pub mod speech;
mod talk;
#[cfg(feature = "tokio")]
mod titanic;

#[cfg(feature = "tokio")]
pub use ask::Ask;
#[cfg(feature = "tokio")]
pub use client::{Builder, Client};
pub use error::{Error, Misuse};
pub use event::Event;
pub use failed::Failed;
#[cfg(feature = "tokio")]
pub use lazy_pirate::LazyPirate;
#[cfg(feature = "tokio")]
pub use owner::Counts;
#[cfg(feature = "tokio")]
pub use parts::Parts;
pub use patience::{OnTimeout, Patience, Silence};
pub use protocol::Priority;
pub use protocol::mdp::Dialect;
pub use protocol::mdp::v03::{Idempotency, Status};
pub use protocol::{Frames, RequestId, ServiceName};
pub use reply::{Progress, Reply};
#[cfg(feature = "tokio")]
pub use runtime::{self, key_file, zmtp::Login, zmtp::PublicKey, zmtp::curve::KeyPair};
#[cfg(feature = "tokio")]
pub use services::{Listing, Service, services};
pub use speech::Speech;
#[cfg(feature = "tokio")]
pub use titanic::{Fetched, Titanic};
