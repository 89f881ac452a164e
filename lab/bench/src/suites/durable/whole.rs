//! What a log costs as a whole: how long it takes to be read again, and the memory of what is open in it.

use std::path::Path;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::{CREDIT, DRAIN_MAX, ONE};
use crate::measure::{Placement, anonymous_bytes};
use crate::peers::keepers::{Keeper, Shelf};
use crate::plan::{BODY_BYTES_MIN, Plan};
use crate::results::MIB;

/// A log as a whole.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Whole {
    /// Octets of records that counted when it was read again.
    pub(super) live_bytes: f64,
    /// From the start of a process to its word that it is ready, less that of one without such a log.
    pub(super) recovery_s: f64,
    /// Open requests.
    pub(super) open: u32,
    /// What they take of the memory of a process that has just read them.
    pub(super) open_bytes: f64,
}

impl Whole {
    pub(super) fn measure(shelf: &Shelf, open: u32, placement: Placement) -> anyhow::Result<Self> {
        let empty = tempfile::tempdir_in(&shelf.folder)?;
        let path = empty.path().join("log");
        begin(shelf, &path, placement)?;
        let (begun, nothing) = begin(shelf, &path, placement)?;

        let full = tempfile::tempdir_in(&shelf.folder)?;
        let path = full.path().join("log");
        let live_bytes = fill(shelf, &path, placement, LARGE_BYTES, |log| log >= LIVE_BYTES)?;
        let (recovered, _) = begin(shelf, &path, placement)?;
        drop(full);

        let many = tempfile::tempdir_in(&shelf.folder)?;
        let path = many.path().join("log");
        // A record of a small body takes so much of a log.
        let enough = f64::from(open) * SMALL_RECORD_BYTES;
        fill(shelf, &path, placement, BODY_BYTES_MIN, |log| log >= enough)?;
        let (_, something) = begin(shelf, &path, placement)?;
        let open = u32::try_from(shelf.inspect(&path)?.open).unwrap_or(u32::MAX);
        let recovery_s = (recovered.as_secs_f64() - begun.as_secs_f64()).max(0.0);
        let open_bytes = something.saturating_sub(nothing) as f64;
        Ok(Self { live_bytes, recovery_s, open, open_bytes })
    }
}

/// Starts a process on a log: how long that took, and what it has in memory then.
fn begin(shelf: &Shelf, path: &Path, placement: Placement) -> anyhow::Result<(Duration, u64)> {
    let started = Instant::now();
    let running = placement.start_server(|| shelf.aboard(path, None))?;
    let took = started.elapsed();
    std::thread::sleep(SETTLE);
    Ok((took, anonymous_bytes(running.pid())?))
}

/// Submits until the log holds enough, and kills the process; how much of it counts.
fn fill(
    shelf: &Shelf,
    path: &Path,
    placement: Placement,
    body_bytes: usize,
    is_enough: impl Fn(f64) -> bool,
) -> anyhow::Result<f64> {
    for _ in 0..TURNS_MAX {
        let running = placement.start_server(|| shelf.aboard(path, None))?;
        let (warm_up, duration) = (Duration::ZERO, Duration::from_secs(2));
        let plan =
            Plan { pattern: ONE, workers: 0, credit: CREDIT, body_bytes, warm_up, duration, drain_max: DRAIN_MAX };
        running.load(Keeper::Aboard, &plan)?;
        running.kill();
        let live = shelf.inspect(path)?.live_bytes;
        if is_enough(live) {
            return Ok(live);
        }
    }
    anyhow::bail!("the log is not full enough after {TURNS_MAX} turns")
}

const LIVE_BYTES: f64 = 512.0 * MIB;
const LARGE_BYTES: usize = 1024;
const SMALL_RECORD_BYTES: f64 = 112.0;
const TURNS_MAX: usize = 20;
/// Time for the registration: a measurement, not a synchronisation.
const SETTLE: Duration = Duration::from_millis(500);
