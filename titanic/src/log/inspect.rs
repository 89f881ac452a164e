//! What a log holds, without touching it: for people who look at one, and for checking it.

use super::error::OpenError;
use super::index::State;
use super::layout::{Geometry, Lsn};
use super::record::Header;
use super::recover::{self, Recovery};
use super::region::Region;
use super::walk::{Step, Walk};
use super::writer::{Log, Progress, Usage};

/// What a log holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The sizes that it was made with.
    pub geometry: Geometry,
    /// What takes how much.
    pub usage: Usage,
    /// Where the last record ends.
    pub end: Lsn,
    /// How many ids are in each state, in the order of a life.
    pub states: [(State, u64); 5],
    /// Every record's checksums were compared: what is damaged. Of a log that is open elsewhere the last records may
    /// look torn, because they are being written.
    pub report: Recovery,
}

/// Reads a whole log and compares every checksum; changes nothing.
///
/// # Errors
/// When the region holds no log that can be opened, or fails.
pub fn inspect<R: Region>(region: R, progress: &mut dyn FnMut(Progress)) -> Result<Summary, OpenError> {
    let (log, report) = Log::view(region, progress)?;
    Ok(log.summary(report))
}

impl<R: Region> Log<R> {
    /// What the log holds; `report` is of its opening.
    pub fn summary(&self, report: Recovery) -> Summary {
        let states = [State::Open, State::Attempted, State::Dead, State::Answered, State::Closed];
        let states = states.map(|state| (state, self.count(state)));
        Summary { geometry: self.geometry, usage: self.usage(), end: self.head_lsn(), states, report }
    }
}

/// A record, or the part of it that lies in one chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Where in the file it begins.
    pub offset: u64,
    /// What it says.
    pub header: Header,
}

/// A chunk that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Where in the file it begins.
    pub offset: u64,
    /// The numbers of its records lie between these.
    pub from: Lsn,
    /// Where the next chunk begins.
    pub to: Lsn,
}

/// Every whole part of every record in the log, those that count no longer included, and the chunks in which they lie.
///
/// # Errors
/// When the region holds no log that can be opened, or fails.
pub fn parts<R: Region>(region: &R) -> Result<(Vec<Part>, Vec<Extent>), OpenError> {
    let survey = recover::survey(region, &mut |_| {})?;
    let (geometry, seal) = (survey.checkpoint.geometry, survey.checkpoint.id.seal());
    let mut octets = vec![0; usize::try_from(geometry.chunk_bytes()).unwrap_or(0)];
    let (mut parts, mut extents) = (Vec::new(), Vec::new());
    for chunk in &survey.chunks {
        let offset = geometry.slot_offset(chunk.slot);
        recover::read_chunk(region, offset, geometry.page_bytes(), &mut octets);
        let (from, to) = (geometry.lsn(chunk.sequence, 0), geometry.lsn(chunk.sequence + 1, 0));
        extents.push(Extent { offset, from, to });
        for step in Walk::new(&octets, geometry, chunk.sequence, chunk.epoch, seal) {
            if let Step::Part(header, _) = step {
                parts.push(Part { offset: offset + (header.lsn.0 - from.0), header });
            }
        }
    }
    Ok((parts, extents))
}
