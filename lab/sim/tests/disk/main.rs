//! The simulated disk, seen from outside: what it promises, what it does to those who trust it too early, and a small
//! journal that lives on it.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod common;
mod durability;
mod faults;
mod history;
mod journal;
mod names;
mod recovery;
