//! What is measured. Each suite is a file with its arguments, its run and its goals, and ends in a
//! [`Report`](crate::report::Report).

pub mod curve;
pub mod durable;
pub mod footprint;
pub mod mesh;
pub mod mixed;
pub mod native;
pub mod rpc;

use std::path::PathBuf;

use crate::measure::Placement;
use crate::peers::{Installed, Peer};

/// What every suite is told.
#[derive(Debug, Clone, clap::Args)]
pub struct Common {
    /// Our broker's program; without it, the `majordomo` beside this one
    #[arg(long, value_name = "FILE", global = true)]
    pub broker: Option<PathBuf>,

    /// Which core runs what
    #[arg(long, value_enum, global = true, default_value = "generator")]
    pub placement: Placement,

    /// Leave out peers that are not installed, instead of failing
    #[arg(long, global = true)]
    pub offline: bool,

    /// Print JSON, one object a line, instead of tables
    #[arg(long, global = true)]
    pub json: bool,

    /// Write the results into this document, in place of the section that the suite wrote last
    #[arg(long, value_name = "FILE", global = true)]
    pub write: Option<PathBuf>,
}

impl Common {
    /// Finds the programs of `peers`; with `--offline` those that are there.
    ///
    /// # Errors
    /// One is not installed.
    pub fn find(&self, peers: &[Peer]) -> anyhow::Result<Vec<Installed>> {
        let found = peers.iter().map(|peer| peer.find(self.broker.as_deref()));
        if self.offline { Ok(found.flatten().collect()) } else { found.collect() }
    }
}
