//! The wire itself over a simulated byte stream: two peers with the product's own handshake, codec and outbox, and a
//! network that cuts the stream anywhere, delays it, breaks it and turns its bits.
//!
//! ```text
//!   plan (from the seed) ──► run: a connection, and the next one when it broke
//!                              connection: peer ◄── pipe ── peer
//!                                               ── pipe ──►         oracle after each of them
//! ```
//!
//! [`plan`] what is to happen, [`pipe`] one direction of the network, [`party`] what a peer is (mechanism, version),
//! [`peer`] how it reads and writes, [`connection`] drives two of them, [`oracle`] says what must have come of it.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod connection;
mod oracle;
mod party;
mod peer;
mod pipe;
mod plan;
mod second;
mod suite;
mod wire;
