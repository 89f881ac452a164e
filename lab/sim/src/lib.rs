//! The world in a seed: brokers, workers and clients in one deterministic process.
//!
//! The machines are the product's own; everything around them (time, network, processes, chance) is simulated. The same
//! seed gives the same run on every machine.
//!
//! ```
//! let plan = sim::workload::plan(7);
//! let outcome = sim::world::run(&plan, sim::trace::Trace::default());
//! assert!(outcome.violations.is_empty(), "{:?}", outcome.violations);
//! ```
//!
//! - [`workload`] draws a [`plan`] from a seed; [`fault`] is what goes wrong in it; [`world`] runs it
//! - [`net`] connections and datagrams; the nodes are processes with a machine, a clock and a driver's hands
//! - [`oracle`] what must hold; [`coverage`] where the machines have been; [`trace`] the readable story
//! - [`disk`] disks that tear, lose, rot and fill
//! - [`crash`] Titanic's log on such a disk, crashed at every operation; [`damage`] the same log with damaged octets
//! - [`sweep`] many seeds over threads; [`shrink`] makes a failing plan smaller
//! - [`scale`] worlds far larger than those of a sweep, to see what grows how
//! - [`rng`], [`hash`], [`queue`] chance, the hash of a run, and the order of events

mod cast;
mod clock;
pub mod coverage;
pub mod crash;
pub mod damage;
pub mod disk;
mod env;
pub mod fault;
pub mod hash;
mod inflict;
mod marker;
pub mod net;
mod node;
pub mod oracle;
mod phases;
pub mod plan;
mod process;
pub mod queue;
pub mod rng;
pub mod scale;
pub mod shrink;
pub mod sweep;
pub mod trace;
pub mod workload;
pub mod world;
