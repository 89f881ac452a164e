//! The world in a seed: brokers, workers and clients in one deterministic process.
//!
//! The machines are the product's own; everything around them (time, network, processes, chance) is simulated. The same
//! seed gives the same run on every machine.

pub mod disk;
pub mod rng;
