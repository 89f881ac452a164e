//! ZMTP 3.1 sockets built for servers (RFC 37): a [`Router`] that listens and a [`Dealer`] that connects, over tcp and
//! ipc.
//!
//! What they promise:
//! - Nothing waits for one peer: each has a queue of its own, bounded in messages and in bytes, and `try_send` says at
//!   once when it is full.
//! - Nothing that a peer sends grows memory without bound: every length is compared with a limit before a byte is
//!   allocated, and a peer that floods is read only as fast as the owner takes.
//! - Batches stay batches: one read is one batch of events, and all that waits for a peer leaves in one write.
//! - A broken peer costs its own connection and a counter, nothing else.
//!
//! ```no_run
//! # async fn serve() -> Result<(), Box<dyn std::error::Error>> {
//! use zmtp::{Event, Options, Router};
//!
//! let mut router = Router::bind(&["tcp://127.0.0.1:5555".parse()?], Options::default()).await?;
//! let mut events = Vec::new();
//! loop {
//!     router.recv(&mut events).await;
//!     for event in events.drain(..) {
//!         if let Event::Message { peer, frames } = event {
//!             // An echo. A client that is gone or does not read gets nothing.
//!             let _ = router.try_send(peer, frames);
//!         }
//!     }
//! }
//! # }
//! ```
//!
//! The wire itself is without input and output and can be driven by hand: [`Handshake`], [`Decoder`], [`Command`] and
//! [`Outbox`]. It is all that is left without the feature `tokio`, which is on by default.

// The wire.
mod authority;
mod command;
#[cfg(feature = "curve")]
pub mod curve;
mod decoder;
mod exchange;
mod fault;
mod frame;
mod greeting;
mod handshake;
mod large;
mod mechanism;
mod metadata;
mod outbox;
mod plain;
mod public_key;
mod socket_type;

// The sockets.
#[cfg(feature = "tokio")]
mod budget;
#[cfg(feature = "tokio")]
mod connection;
#[cfg(feature = "tokio")]
mod dealer;
#[cfg(feature = "tokio")]
mod door;
#[cfg(feature = "tokio")]
mod endpoint;
#[cfg(feature = "tokio")]
mod event;
#[cfg(feature = "tokio")]
mod half_open;
#[cfg(feature = "tokio")]
mod held;
#[cfg(feature = "tokio")]
mod identities;
#[cfg(feature = "tokio")]
mod incoming;
#[cfg(feature = "tokio")]
mod inlet;
#[cfg(feature = "tokio")]
mod intake;
#[cfg(feature = "tokio")]
mod link;
#[cfg(feature = "tokio")]
mod listener;
#[cfg(feature = "tokio")]
mod liveness;
#[cfg(feature = "tokio")]
mod negotiate;
#[cfg(feature = "tokio")]
mod options;
#[cfg(feature = "tokio")]
mod outlet;
#[cfg(feature = "tokio")]
mod reader;
#[cfg(feature = "tokio")]
mod reception;
#[cfg(feature = "tokio")]
mod router;
#[cfg(feature = "tokio")]
mod sealing;
#[cfg(feature = "tokio")]
mod stats;
#[cfg(feature = "tokio")]
mod stream;
#[cfg(feature = "tokio")]
mod writer;

pub use authority::{
    Admission, Applicant, Authority, Credentials, Decision, Gate, Principal, Proof, Refusal, same_secret,
};
pub use command::{Command, put_ping, put_pong};
pub use decoder::{Decoder, Sink};
pub use fault::{Fault, FaultKind};
pub use handshake::{Handshake, Local, Peer};
pub use mechanism::Mechanism;
pub use metadata::DOMAIN_BYTES_MAX;
pub use outbox::{Cursor, Outbox};
pub use plain::{LOGIN_BYTES_MAX, Login, LoginError};
pub use public_key::{KEY_BYTES, KEY_CHARACTERS, KeyError, PublicKey};
pub use socket_type::SocketType;

#[cfg(feature = "tokio")]
pub use dealer::Dealer;
#[cfg(feature = "tokio")]
pub use endpoint::{Endpoint, EndpointError};
#[cfg(feature = "tokio")]
pub use event::Event;
#[cfg(feature = "tokio")]
pub use options::{Backoff, Heartbeat, Limits, Options};
#[cfg(feature = "tokio")]
pub use outlet::{Unsent, UnsentReason};
#[cfg(feature = "tokio")]
pub use router::{BindError, Router};
#[cfg(feature = "tokio")]
pub use stats::Stats;
