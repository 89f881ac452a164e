//! Titanic's log with damaged octets: bits turned, sectors zeroed or swapped, records of the last lap put back, the end
//! cut off.
//!
//! What a damage may take is known exactly: the records of which it changed an octet. So three things must hold of
//! each:
//! 1. It is found, if it changed anything that counts: as a hole, a bad checkpoint, a bad head, or a cut file.
//! 2. Nothing else is lost: the ids are in the states that the untouched records add up to.
//! 3. Every body is the one that was written for its id.
//!
//! The logs have been closed in order, have gone around several times, and hold records over the end of a chunk.

use std::collections::BTreeMap;

use titanic::log::{Geometry, Header, Id, Kind, Log, LogId, Lsn, Memory, OpenError, Part, Settings, State};

use crate::rng::Rng;

/// How far the damages have come.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Damages that were made.
    pub made: u64,
    /// Those that changed something that counts.
    pub hits: u64,
    /// Records that they took.
    pub lost: u64,
    /// The first damages that were not taken as they should be, and why.
    pub objections: Vec<(u64, String)>,
}

/// Makes so many damages, from this number on, until one is objected to.
pub fn run(from: u64, count: u64, mut progress: impl FnMut(u64)) -> Report {
    let samples: Vec<Sample> = (0..SAMPLES).map(Sample::new).collect();
    let mut report = Report::default();
    for number in from..from + count {
        let mut rng = Rng::new(number).fork(3);
        let Some(sample) = rng.pick(&samples) else { break };
        report.made += 1;
        match sample.damaged(&mut rng) {
            Ok(None) => {}
            Ok(Some(lost)) => {
                report.hits += 1;
                report.lost += lost;
            }
            Err(what) => {
                report.objections.push((number, what));
                break;
            }
        }
        if report.made.is_multiple_of(1000) {
            progress(report.made);
        }
    }
    report
}

/// A log in order, and what there is to know about it.
struct Sample {
    settings: Settings,
    octets: Vec<u8>,
    /// The same log an hour ago: some of its records lie where others are now.
    before: Vec<u8>,
    /// Every part, with its place in the file.
    parts: Vec<(usize, Header)>,
    /// Where the two heads of each chunk that counts are, and the numbers of its records.
    heads: Vec<[usize; 2]>,
    chunks: Vec<(Lsn, Lsn)>,
}

impl Sample {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed).fork(4);
        let geometry = Geometry::new(512, rng.one_of([4096, 8192])).expect("these sizes are within their ranges");
        let slots = u32::try_from(rng.between(10, 20)).unwrap_or(10);
        let (capacity_bytes, initial_bytes) = (geometry.file_bytes(slots), geometry.file_bytes(10));
        let settings = Settings { capacity_bytes, initial_bytes, geometry: Some(geometry) };
        let mut log = Log::create(Memory::new(), LogId([0x5a; 16]), &settings, &mut |_| {})
            .expect("memory has room for a small log");
        let half = rng.between(100, 300);
        fill(&mut log, &mut rng, half);
        let before = log.region().octets().to_vec();
        fill(&mut log, &mut rng, half);
        let region = log.close().expect("memory does not fail");
        let (parts, chunks) = titanic::log::parts(&region).expect("the log is in order");
        let place = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX);
        let last = u64::from(geometry.chunk_bytes() - geometry.page_bytes());
        Self {
            settings,
            octets: region.octets().to_vec(),
            before,
            parts: parts.into_iter().map(|Part { offset, header }| (place(offset), header)).collect(),
            heads: chunks.iter().map(|chunk| [place(chunk.offset), place(chunk.offset + last)]).collect(),
            chunks: chunks.iter().map(|chunk| (chunk.from, chunk.to)).collect(),
        }
    }

    /// Damages it. `None` when nothing that counts was hit, else how many parts were.
    fn damaged(&self, rng: &mut Rng) -> Result<Option<u64>, String> {
        let mut octets = self.octets.clone();
        if rng.chance(3) {
            octets.truncate(rng.index(octets.len()));
            return match Log::open(Memory::of(octets), &self.settings, &mut |_| {}) {
                Err(OpenError::Cut { .. } | OpenError::NotALog | OpenError::Checkpoints) => Ok(Some(0)),
                other => Err(format!("a log that was cut: {:?}", other.map(|(_, report)| report))),
            };
        }
        for _ in 0..rng.one_of([1, 1, 1, 2, 5]) {
            self.hit(&mut octets, rng);
        }
        let hits = Hits::new(self, &octets);
        let opened = Log::open(Memory::of(octets), &self.settings, &mut |_| {});
        if hits.checkpoints == 2 && !(hits.is_stale && opened.is_ok()) {
            return match opened {
                Err(OpenError::NotALog | OpenError::Checkpoints | OpenError::Version { .. }) => Ok(Some(0)),
                other => Err(format!("both checkpoints are damaged: {:?}", other.map(|(_, report)| report))),
            };
        }
        let (log, report) = opened.map_err(|error| format!("it does not open: {error}"))?;
        if hits.is_stale {
            // Like a last checkpoint that was never written: how far the log was durable is known less well.
            return self.compare(&log, &hits).map(|()| None);
        }
        if report.bad_checkpoints != hits.checkpoints {
            return Err(format!("{} checkpoints are damaged: {report:?}", hits.checkpoints));
        }
        // Of a chunk without any head nobody knows that the heads were two.
        if u64::from(report.bad_heads) != hits.bad_heads {
            return Err(format!("{} chunks have one bad head: {report:?}", hits.bad_heads));
        }
        // How far it was durable is said by the newer checkpoint alone.
        let is_known = hits.checkpoints == 0;
        if is_known && report.lost_bytes == 0 && hits.parts > 0 {
            return Err(format!("{} parts are damaged, and nothing is lost: {report:?}", hits.parts));
        }
        if (is_known && report.torn_bytes > 0) || (hits.parts == 0 && report.lost_bytes > 0) {
            return Err(format!("it was durable, or not hit: {report:?}"));
        }
        self.compare(&log, &hits)?;
        Ok((hits.parts + hits.bad_heads + u64::from(hits.checkpoints) > 0).then_some(hits.parts))
    }

    fn hit(&self, octets: &mut [u8], rng: &mut Rng) {
        let sectors = octets.len() / SECTOR;
        let (from, to) = (rng.index(sectors) * SECTOR, rng.index(sectors) * SECTOR);
        match rng.below(100) {
            0..40 => {
                // Often where something is: a file has more room than records.
                let part = rng.pick(&self.parts).map_or(0, |(place, header)| place + rng.index(stored(header)));
                let anywhere = rng.index(octets.len());
                let octet = rng.one_of([part, part, anywhere]);
                octets.get_mut(octet).into_iter().for_each(|octet| *octet ^= 1 << rng.below(8));
            }
            40..55 => octets.get_mut(from..from + SECTOR).into_iter().for_each(|sector| sector.fill(0)),
            55..75 => (0..SECTOR).for_each(|place| octets.swap(from + place, to + place)),
            75..90 => {
                let (now, then) = (octets.get_mut(to..to + SECTOR), self.before.get(to..to + SECTOR));
                now.into_iter().zip(then).for_each(|(now, then)| now.copy_from_slice(then));
            }
            _ => {
                let noise = [(); SECTOR].map(|()| rng.below(256).to_le_bytes()[0]);
                octets.get_mut(from..from + SECTOR).into_iter().for_each(|sector| sector.copy_from_slice(&noise));
            }
        }
    }

    fn compare(&self, log: &Log<Memory>, hits: &Hits) -> Result<(), String> {
        let mut expected = hits.expected.clone();
        let mut found: BTreeMap<Id, Expected> = log
            .entries()
            .into_iter()
            .map(|(id, entry)| {
                let lsn = |location: Option<titanic::log::Location>| location.map(titanic::log::Location::lsn);
                (id, Expected { state: entry.state(), request: lsn(entry.request()), latest: lsn(entry.latest()) })
            })
            .collect();
        if hits.checkpoints > 0 || hits.is_stale {
            // An older checkpoint begins with an older chunk: what is in there counts again if what ended it was hit.
            let begin = self.chunks.first().map_or(Lsn(0), |(from, _)| *from);
            let is_old = |seen: &Expected| [seen.request, seen.latest].into_iter().flatten().any(|lsn| lsn < begin);
            let old: Vec<Id> = found.iter().filter(|(_, seen)| is_old(seen)).map(|(id, _)| *id).collect();
            old.iter().for_each(|id| [found.remove(id), expected.remove(id)].into_iter().for_each(drop));
        }
        if found != expected {
            let wrong = found.iter().find(|(id, seen)| expected.get(id) != Some(seen));
            let missing = expected.iter().find(|(id, seen)| found.get(id) != Some(seen));
            return Err(format!("found {wrong:?}, expected {missing:?}"));
        }
        for (id, entry) in log.entries() {
            for location in [entry.request(), entry.latest()].into_iter().flatten() {
                let body = log.read(&id, location).map_err(|error| error.to_string())?;
                if !is_body_of(&id, &body) {
                    return Err(format!("{id} has the body of another"));
                }
            }
        }
        Ok(())
    }
}

/// What an id must be like, said by the places of its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Expected {
    state: State,
    request: Option<Lsn>,
    latest: Option<Lsn>,
}

/// What a damage has changed.
struct Hits {
    checkpoints: u32,
    /// A checkpoint of the same log an hour ago lies where one should be.
    is_stale: bool,
    bad_heads: u64,
    parts: u64,
    expected: BTreeMap<Id, Expected>,
}

impl Hits {
    fn new(sample: &Sample, octets: &[u8]) -> Self {
        let is_hit =
            |place: usize, length: usize| octets.get(place..place + length) != sample.octets.get(place..place + length);
        let pages = |octets: &[u8]| [0, SECTOR].map(|at| octets.get(at..at + CHECKPOINT_BYTES).map(<[u8]>::to_vec));
        let ([a, b], good, old) = (pages(octets), pages(&sample.octets), pages(&sample.before));
        // Each may lie in the place of the other.
        let checkpoints = match (good.contains(&a), good.contains(&b)) {
            (true, true) => u32::from(a == b),
            (false, false) => 2,
            _ => 1,
        };
        let is_stale = [&a, &b].into_iter().any(|page| old.contains(page) && !good.contains(page));
        let heads: Vec<u64> = sample
            .heads
            .iter()
            .map(|places| places.iter().map(|place| u64::from(is_hit(*place, HEAD_BYTES))).sum())
            .collect();
        let without: Vec<(Lsn, Lsn)> =
            sample.chunks.iter().zip(&heads).filter(|(_, hits)| **hits == 2).map(|(chunk, _)| *chunk).collect();
        let gone = |header: &Header| without.iter().any(|(from, to)| (*from..*to).contains(&header.lsn));
        let hit = |(place, header): &&(usize, Header)| is_hit(*place, stored(header)) || gone(header);
        let parts = sample.parts.iter().filter(hit).count() as u64;
        let untouched = sample.parts.iter().filter(|part| !hit(part)).map(|(_, header)| header);
        let bad_heads = heads.iter().filter(|hits| **hits == 1).count() as u64;
        Self { checkpoints, is_stale, bad_heads, parts, expected: replayed(untouched) }
    }
}

/// The rules of the log, said another time.
fn replayed<'parts>(parts: impl Iterator<Item = &'parts Header>) -> BTreeMap<Id, Expected> {
    let mut ids: BTreeMap<Id, Expected> = BTreeMap::new();
    let mut left: Option<(Lsn, u32)> = None;
    for part in parts {
        let begun = left.take().filter(|(start, rest)| *start == part.start && *rest == part.length + part.rest);
        if part.lsn != part.start && begun.is_none() {
            continue;
        }
        if part.rest > 0 {
            left = Some((part.start, part.rest));
            continue;
        }
        let before = ids.get(&part.id).copied();
        let over = before.is_some_and(|seen| matches!(seen.state, State::Answered | State::Closed));
        let (request, latest) = (before.and_then(|seen| seen.request), Some(part.start));
        let after = match part.kind {
            Kind::Commit => continue,
            Kind::Request if before.is_some() && !over => before.map(|seen| Expected { request: latest, ..seen }),
            Kind::Request => Some(Expected { state: State::Open, request: latest, latest: None }),
            Kind::Attempt | Kind::Dead if over => before,
            Kind::Attempt => Some(Expected { state: State::Attempted, request, latest }),
            Kind::Dead => Some(Expected { state: State::Dead, request, latest }),
            Kind::Answer if before.is_some_and(|seen| seen.state == State::Closed) => before,
            Kind::Answer => Some(Expected { state: State::Answered, request: None, latest }),
            // Whether an empty closing was written is told by its length; over the end of a chunk it is never empty.
            Kind::Closed if part.length == 0 => None,
            Kind::Closed => Some(Expected { state: State::Closed, request: None, latest }),
        };
        match after {
            Some(after) => ids.insert(part.id, after),
            None => ids.remove(&part.id),
        };
    }
    ids.retain(|_, seen| seen.request.is_some() || matches!(seen.state, State::Answered | State::Closed));
    ids
}

/// A body says whose it is, over and over.
fn body_of(id: &Id, length: usize) -> Vec<u8> {
    id.0.iter().copied().cycle().take(length).collect()
}

fn is_body_of(id: &Id, body: &[u8]) -> bool {
    body == body_of(id, body.len())
}

/// Uses a log for a while.
fn fill(log: &mut Log<Memory>, rng: &mut Rng, count: u64) {
    for _ in 0..count {
        let entries = log.entries();
        let known = rng.pick(&entries).filter(|_| entries.len() >= IDS_MAX || rng.chance(70)).copied();
        let (id, kind) = match known {
            None => (Id(u128::from(rng.bits()).to_be_bytes()), Kind::Request),
            Some((id, entry)) => match entry.state() {
                State::Open | State::Attempted | State::Dead => {
                    (id, rng.one_of([Kind::Attempt, Kind::Dead, Kind::Answer, Kind::Closed]))
                }
                State::Answered => (id, Kind::Closed),
                State::Closed => (id, Kind::Request),
            },
        };
        let (short, long) = (rng.between(1, 300), rng.between(300, 6000));
        let length = rng.one_of([0, 0, short, short, long]);
        let body = body_of(&id, usize::try_from(length).unwrap_or(0));
        // A full log has refused: that is as good a log as any.
        log.append(kind, id, &body).ok();
        if rng.chance(60) {
            log.flush().expect("memory does not fail");
        }
    }
}

fn stored(header: &Header) -> usize {
    HEADER_BYTES + usize::try_from(header.length.next_multiple_of(8)).unwrap_or(0)
}

const SAMPLES: u64 = 20;
const SECTOR: usize = 512;
const IDS_MAX: usize = 40;
const HEADER_BYTES: usize = titanic::log::record::HEADER_BYTES as usize;
const CHECKPOINT_BYTES: usize = titanic::log::checkpoint::CHECKPOINT_BYTES;
const HEAD_BYTES: usize = titanic::log::chunk::HEAD_BYTES;
