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
//! The wire itself is without input and output and can be driven by hand: [`Handshake`] and [`Decoder`].

mod budget;
mod command;
mod connection;
mod dealer;
mod decoder;
mod endpoint;
mod event;
mod fault;
mod frame;
mod greeting;
mod half_open;
mod handshake;
mod inlet;
mod intake;
mod link;
mod listener;
mod liveness;
mod mechanism;
mod negotiate;
mod options;
mod outbox;
mod outlet;
mod reader;
mod reception;
mod router;
mod socket_type;
mod stats;
mod stream;
mod writer;

pub use dealer::Dealer;
pub use decoder::{Decoder, Sink};
pub use endpoint::{Endpoint, EndpointError};
pub use event::Event;
pub use fault::{Fault, FaultKind};
pub use handshake::{Handshake, Local, Peer};
pub use mechanism::Mechanism;
pub use options::{Backoff, Heartbeat, Limits, Options};
pub use outlet::{Unsent, UnsentReason};
pub use router::{BindError, Router};
pub use socket_type::SocketType;
pub use stats::Stats;
