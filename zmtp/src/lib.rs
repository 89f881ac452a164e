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

mod security;
#[cfg(feature = "tokio")]
mod socket;
mod wire;

pub use security::authority::{
    Admission, Applicant, Authority, Credentials, Decision, Gate, Principal, Proof, Refusal, same_secret,
};
#[cfg(feature = "curve")]
pub use security::curve;
pub use security::mechanism::Mechanism;
pub use security::plain::{LOGIN_BYTES_MAX, Login, LoginError};
pub use security::public_key::{KEY_BYTES, KEY_CHARACTERS, KeyError, PublicKey};
pub use wire::command::{Command, put_ping, put_pong};
pub use wire::decoder::{Decoder, Sink};
pub use wire::fault::{Fault, FaultKind};
pub use wire::handshake::{Handshake, Local, Peer};
pub use wire::metadata::DOMAIN_BYTES_MAX;
pub use wire::outbox::{Cursor, Outbox};
pub use wire::socket_type::SocketType;

#[cfg(feature = "tokio")]
pub use socket::dealer::Dealer;
#[cfg(feature = "tokio")]
pub use socket::endpoint::{Endpoint, EndpointError};
#[cfg(feature = "tokio")]
pub use socket::event::Event;
#[cfg(feature = "tokio")]
pub use socket::options::{Backoff, Heartbeat, Limits, Moves, Options};
#[cfg(feature = "tokio")]
pub use socket::outlet::{Unsent, UnsentReason};
#[cfg(feature = "tokio")]
pub use socket::router::{BindError, Router};
#[cfg(feature = "tokio")]
pub use socket::stats::Stats;
