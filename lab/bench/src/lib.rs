//! The benchmark as a library, so that its tests can drive the same generator against real servers.
//!
//! - [`plan`] what a load looks like: sizes, clients, outstanding requests, workers, time
//! - [`wire`] what is said to each kind of server, without sockets
//! - [`load`] the generator core: one thread that plays every client and every worker, the same for all servers
//! - [`forward`] a bare forwarder on our own engine, to compare our broker with
//! - [`peers`] how each server is started on a free port, and stopped
//! - [`measure`] processor time, memory, percentiles, medians, and the machine itself
//! - [`results`] the figures of a load, of its rounds, and the goals that they are held against
//! - [`suites`] what is measured: `rpc`, `native`, `mixed`, `curve`, `durable`, `footprint`, `mesh`; a new one is a
//!   file there and a line in `main.rs`
//! - [`report`] tables, JSON lines, and sections of docs/PERFORMANCE.md

pub mod forward;
pub mod load;
pub mod measure;
pub mod peers;
pub mod plan;
pub mod report;
pub mod results;
pub mod suites;
pub mod wire;
