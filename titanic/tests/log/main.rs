//! The log from outside: what it keeps, what it refuses, what it finds again.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test")]

mod common;
mod file;
mod history;
mod keeping;
mod limits;
