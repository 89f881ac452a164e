//! Scale: worlds far larger than those of the sweep, to see what grows how.
//!
//! The machines are the product's own again. What is around them is leaner than in [`crate::world`]: no oracle, no
//! drawn fault and no history, so that ten thousand clients run in seconds and a scan over all nodes would be the
//! machines' own. One axis is varied at a time from [`BASE`]; [`LARGEST`] has everything at once.
//!
//! Brokers do not know each other yet. Each service lives on one broker, its workers and clients connect there, and
//! messages between brokers are counted in [`meter::Traffic::mesh`], which stays 0 until there is a mesh.
//!
//! - `world`, `network`, `node` a world under way; [`scenario`] what is done to it and what is measured
//! - [`crowd`] one broker alone, with full queues
//! - [`metric`] the figures and how each may grow; [`fit`] how it grew
//! - [`report`] tables; [`plot`] curves

pub mod crowd;
pub mod fit;
pub mod meter;
pub mod metric;
mod network;
mod node;
pub mod plot;
pub mod report;
pub mod scenario;
mod world;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How large a world is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// Clients; each asks one service.
    pub clients: usize,
    /// Services; each has [`WORKERS_PER_SERVICE`] workers and lives on one broker.
    pub services: usize,
    /// Brokers.
    pub brokers: usize,
}

/// What is varied, the rest staying as in [`BASE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Axis {
    /// The number of clients.
    Clients,
    /// The number of services, and of workers with them.
    Services,
    /// The number of brokers.
    Brokers,
}

/// Workers that offer the same service.
pub const WORKERS_PER_SERVICE: usize = 2;
/// Where all axes cross.
pub const BASE: Size = Size { clients: 1000, services: 100, brokers: 10 };
/// Everything at once.
pub const LARGEST: Size = Size { clients: 10_000, services: 1000, brokers: 100 };
/// All of that on one broker: what a single machine has to bear.
pub const CROWDED: Size = Size { brokers: 1, ..LARGEST };

impl Size {
    /// Workers of all services.
    pub fn workers(self) -> usize {
        self.services * WORKERS_PER_SERVICE
    }
}

impl fmt::Display for Size {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}x{}x{}", self.clients, self.services, self.brokers)
    }
}

impl FromStr for Size {
    type Err = String;

    /// Reads `CLIENTSxSERVICESxBROKERS`, each 1 or more, with at least as many services as brokers.
    fn from_str(text: &str) -> Result<Self, String> {
        let numbers: Result<Vec<usize>, _> = text.split('x').map(str::parse).collect();
        match numbers.as_deref() {
            Ok(&[clients, services, brokers]) if clients > 0 && brokers > 0 && services >= brokers => {
                Ok(Self { clients, services, brokers })
            }
            _ => Err(format!("{text:?} is not CLIENTSxSERVICESxBROKERS with a service or more for each broker")),
        }
    }
}

impl Axis {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Clients, Self::Services, Self::Brokers];

    /// Its name in tables and plots.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Clients => "clients",
            Self::Services => "services",
            Self::Brokers => "brokers",
        }
    }

    /// How much of it a world has.
    pub fn of(self, size: Size) -> usize {
        match self {
            Self::Clients => size.clients,
            Self::Services => size.services,
            Self::Brokers => size.brokers,
        }
    }

    /// The worlds along this axis, the smallest first.
    pub fn steps(self) -> Vec<Size> {
        let with = |value: &usize| match self {
            Self::Clients => Size { clients: *value, ..BASE },
            Self::Services => Size { services: *value, ..BASE },
            Self::Brokers => Size { brokers: *value, ..BASE },
        };
        let values: &[usize] = match self {
            Self::Clients => &[100, 300, 1000, 3000, 10_000],
            Self::Services => &[10, 30, 100, 300, 1000],
            Self::Brokers => &[1, 3, 10, 30, 100],
        };
        values.iter().map(with).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_read_as_it_is_written_and_needs_a_service_a_broker() {
        assert_eq!(LARGEST.to_string().parse(), Ok(LARGEST));
        for bad in ["", "1x2", "0x1x1", "1x1x0", "5x2x3", "1x1x1x1", "ax1x1"] {
            assert!(bad.parse::<Size>().is_err(), "{bad}");
        }
    }

    #[test]
    fn every_axis_passes_through_the_base_and_reaches_its_end() {
        for axis in Axis::ALL {
            let steps = axis.steps();
            assert!(steps.contains(&BASE) && steps.iter().all(|size| size.services >= size.brokers));
            assert_eq!(steps.last().map(|size| axis.of(*size)), Some(axis.of(LARGEST)));
        }
    }
}
