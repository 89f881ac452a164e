//! The Majordomo broker: routes requests for named services to the workers that offer them.
//!
//! ```text
//!   clients                      Broker (pure machine)                     workers
//!            request ──► service queue ──► waiting workers, ──► request
//!            ◄── reply                     least recently used      reply ──►
//! ```
//!
//! - [`Broker`] the machine; it holds every decision and can be driven by tokio or by a simulator
//! - [`Config`] what an operator may choose
//! - [`Event`], [`Counters`] what it tells about itself
//! - `Server` (feature `tokio`) the machine on real sockets
//! - `access` (feature `tokio`) who may come in, and with which rights
//!
//! It speaks MDP 0.1, 0.2 in all its forms, and 0.3 on one socket, and answers each peer in its own (RFC 7, 8, 18;
//! docs/rfc/MDP-0.3.md).

#[cfg(feature = "tokio")]
pub mod access;
mod account;
mod admission;
mod answers;
mod broker;
mod cancel;
mod client_side;
mod clients;
mod config;
mod dispatch;
mod drain;
mod duplicates;
mod event;
mod heaviest;
mod index;
mod job;
mod kept;
mod keyed;
mod known;
mod lane;
#[cfg(feature = "tokio")]
mod lines;
mod management;
mod native;
mod queue;
mod report;
mod request;
mod roster;
mod row;
#[cfg(feature = "tokio")]
mod server;
mod service;
mod speech;
mod statistics;
mod waiting;
mod worker_side;

pub use broker::{Broker, Input, Output};
pub use config::{Config, ErrorReplies, Limits, NoWorker, Policy};
pub use event::{Counters, Departure, Ended, Event, RequestEnd};
pub use job::JobId;
pub use protocol::{Frames, PeerId, PeerLimits, Rights, ServiceName};
#[cfg(feature = "tokio")]
pub use server::{Server, Status};

#[cfg(test)]
mod tests;
