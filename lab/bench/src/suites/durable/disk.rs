//! What one durable message cannot do without: a flush of the disk, and a round trip through the broker.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Instant;

use serde::Serialize;

use super::{Args, plan};
use crate::measure::{Placement, median};
use crate::peers::keepers::{Keeper, Shelf, start};
use crate::plan::Pattern;
use crate::report::table::Table;
use crate::results::Sample;

/// By length of a body.
#[derive(Debug, Default, Serialize)]
pub(super) struct Disk {
    rows: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    body_bytes: usize,
    /// Half of the writes and flushes took no longer.
    flush_us: f64,
    /// Half of the replies took no longer.
    round_trip_us: f64,
}

impl Disk {
    #[cfg(test)]
    pub(super) fn of(body_bytes: usize, flush_us: f64, round_trip_us: f64) -> Self {
        Self { rows: vec![Row { body_bytes, flush_us, round_trip_us }] }
    }

    pub(super) fn measure(
        &mut self,
        shelf: &Shelf,
        args: &Args,
        body_bytes: usize,
        placement: Placement,
    ) -> anyhow::Result<()> {
        let (mut flushes, mut trips) = (Vec::new(), Vec::new());
        for _ in 0..args.rounds {
            flushes.push(flush_us(&shelf.folder)?);
            let running = start(placement, shelf, Keeper::Echo)?;
            let outcome = running.load(Keeper::Echo, &plan(args, Pattern::ALONE, body_bytes, 1))?;
            trips.push(Sample::of(&outcome, 0).p50_us);
        }
        self.rows.push(Row { body_bytes, flush_us: median(&flushes), round_trip_us: median(&trips) });
        Ok(())
    }

    /// What an acknowledgement takes at least, if that was measured.
    pub(super) fn least_us(&self, body_bytes: usize) -> Option<f64> {
        let row = self.rows.iter().find(|row| row.body_bytes == body_bytes)?;
        Some(row.flush_us + row.round_trip_us)
    }

    pub(super) fn table(&self) -> Table {
        let mut table = Table::new(&["body", "write of a page and flush, p50 µs", "round trip, p50 µs"], 1);
        for row in &self.rows {
            table.add(vec![
                format!("{} B", row.body_bytes),
                format!("{:.0}", row.flush_us),
                format!("{:.0}", row.round_trip_us),
            ]);
        }
        table
    }
}

/// Writes page after page into a file whose blocks have been written before, and flushes each.
fn flush_us(folder: &Path) -> anyhow::Result<f64> {
    let files = tempfile::tempdir_in(folder)?;
    let file = OpenOptions::new().write(true).create_new(true).open(files.path().join("raw"))?;
    let page = [b'.'; PAGE_BYTES];
    for place in 0..FLUSHES {
        file.write_all_at(&[0; PAGE_BYTES], place * PAGE_BYTES as u64)?;
    }
    file.sync_all()?;
    let mut times = Vec::new();
    for place in 0..FLUSHES {
        let begun = Instant::now();
        file.write_all_at(&page, place * PAGE_BYTES as u64)?;
        file.sync_data()?;
        times.push(begun.elapsed().as_secs_f64() * 1e6);
    }
    Ok(median(&times))
}

const PAGE_BYTES: usize = 4096;
const FLUSHES: u64 = 2000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flush_takes_some_time_and_both_parts_add_up() {
        assert!(flush_us(&std::env::temp_dir()).unwrap() > 0.0);
        let disk = Disk::of(128, 100.0, 60.0);
        assert!((disk.least_us(128).unwrap() - 160.0).abs() < 1e-9);
        assert_eq!(disk.least_us(64), None);
        assert!(disk.table().to_text().contains("128 B"));
    }
}
