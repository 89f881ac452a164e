//! Answers kept near, and the rules that keep them true.

pub mod grant;

pub use grant::{Grant, Tenure};
