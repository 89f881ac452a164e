//! The service worker `MM` and the database worker.

#![cfg_attr(test, allow(clippy::needless_pass_by_value, reason = "a test reads better with its values in the call"))]

pub mod cache;
pub mod document;
pub mod limits;
pub mod query;
pub mod refusal;
pub mod store;
#[cfg(test)]
mod testing;

pub use worker::Frames;
