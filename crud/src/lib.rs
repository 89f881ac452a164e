//! The two workers that keep documents: `MM` for purchase orders, and the database worker behind it.
//!
//! ```text
//! client --> broker --> mm::Handler --> broker --> database::Handler --> cache::Coherent --> store (MongoDB, SQLite)
//!                                                                              \--> cache (Redis, this process)
//! ```
//!
//! - [`mm`], [`database`] the handlers of the two services; [`request`], [`reply`] their frames
//! - [`query`] the language of queries and updates, one for every store; [`document`] what it speaks of
//! - [`store`] where documents live; [`cache`] answers kept near, without ever being stale
//! - [`limits`] every limit; [`refusal`] what a wrong request is told

#![cfg_attr(test, allow(clippy::needless_pass_by_value, reason = "a test reads better with its values in the call"))]

pub mod cache;
pub mod database;
pub mod document;
pub mod limits;
pub mod mm;
pub mod query;
pub mod refusal;
pub mod reply;
pub mod request;
pub mod store;
#[cfg(test)]
mod testing;

pub use worker::Frames;
