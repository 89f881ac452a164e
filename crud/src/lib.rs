//! The service worker `MM` and the database worker.

#![cfg_attr(test, allow(clippy::needless_pass_by_value, reason = "a test reads better with its values in the call"))]

pub mod document;
pub mod limits;
pub mod query;
pub mod refusal;
#[cfg(test)]
mod testing;

pub use worker::Frames;
