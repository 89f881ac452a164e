//! Titanic's log on a disk that loses its power at every operation.
//!
//! ```text
//!   a seed ─► a life of the log: append, write out, flush ... ─► a crash ─► the next life ...
//!                at every operation of the disk:
//!                fork, cut the power ─► open what is left ─► compare with what was said ─► an image more
//! ```
//!
//! Every operation is a point at which images are made, so all those within three operations of a flush are among
//! them. In an image each sector of 512 octets that was not flushed survives, in any of its versions, or not, or is
//! torn. Some images are of a process that dies: then the page cache stays.
//!
//! What must hold of each image (`history`):
//! 1. What was acknowledged is there.
//! 2. Nothing is there that was not said; in particular no body of another request.
//! 3. What was closed, and acknowledged, stays closed.
//! 4. The log opens at all, and takes records again.
//!
//! A third of the seeds run on a disk that also fails: writes and flushes with EIO, short writes, no space.

mod history;
mod life;
pub(crate) mod region;

use std::cell::RefCell;
use std::rc::Rc;

use protocol::Instant;
use titanic::log::Log;

use crate::disk::{Config, Counts, Disk, Rates};
use crate::rng::Rng;
use history::History;
use life::Life;
use region::{DiskRegion, NAME};

/// An image of a disk, and how to make it again: `SEED:POINT:IMAGE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Image {
    /// Which run.
    pub seed: u64,
    /// Which operation of the disk in it.
    pub point: u64,
    /// Which of the images there.
    pub image: u64,
}

impl std::fmt::Display for Image {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.seed, self.point, self.image)
    }
}

impl std::str::FromStr for Image {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers: Option<Vec<u64>> = text.split(':').map(|number| number.parse().ok()).collect();
        match numbers.as_deref() {
            Some(&[seed, point, image]) => Ok(Self { seed, point, image }),
            _ => Err(format!("{text}: an image is SEED:POINT:IMAGE")),
        }
    }
}

/// What an oracle objected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Where.
    pub image: Image,
    /// What.
    pub what: String,
}

/// How far the images have come.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Images that were made and opened.
    pub images: u64,
    /// Runs, each of several lives.
    pub seeds: u64,
    /// Points at which images were made.
    pub points: u64,
    /// Ids that were acknowledged and had to be there, over all images.
    pub promises: u64,
    /// Images in which something was torn.
    pub torn: u64,
    /// What befell the disks.
    pub faults: Counts,
    /// The first objections.
    pub violations: Vec<Violation>,
}

impl Report {
    fn add(&mut self, other: Self) {
        self.images += other.images;
        self.seeds += other.seeds;
        self.points += other.points;
        self.promises += other.promises;
        self.torn += other.torn;
        self.faults.merge(&other.faults);
        self.violations.extend(other.violations);
    }
}

/// Makes at least so many images, from this seed on, until one is objected to.
pub fn run(from: u64, images: u64, mut progress: impl FnMut(&Report)) -> Report {
    let mut report = Report::default();
    let mut seed = from;
    while report.images < images && report.violations.is_empty() {
        report.add(run_seed(seed, None));
        seed += 1;
        progress(&report);
    }
    report
}

/// Makes one image again. Returns what is objected to, and what was found in it.
pub fn replay(image: Image) -> (Option<Violation>, Vec<String>) {
    let mut probe = run_probe(image.seed, Some(image));
    (probe.report.violations.pop(), std::mem::take(&mut probe.story))
}

/// One run.
pub fn run_seed(seed: u64, only: Option<Image>) -> Report {
    run_probe(seed, only).report
}

fn run_probe(seed: u64, only: Option<Image>) -> Probe {
    let rng = Rng::new(seed);
    let mut chance = rng.fork(1);
    let faulty = chance.chance(33);
    let config = Config { tears_sectors: chance.chance(70), ..Config::default() };
    let disk = Rc::new(RefCell::new(Disk::new(config, rng.fork(2))));
    let history = Rc::new(RefCell::new(History::default()));
    let settings = life::settings(&mut chance);
    let probe = Probe { seed, only, point: 0, settings, report: Report::default(), story: Vec::new() };
    let probe = Rc::new(RefCell::new(probe));
    let region = DiskRegion::new(disk, Rc::clone(&history), Rc::clone(&probe));
    if region.create() && Log::create(region.unwatched(), life::SECRET, &settings, &mut |_| {}).is_ok() {
        region.settle_names();
        let rates = Rates { write_error: 4, short_write: 20, flush_error: 10, no_space: 100, ..Rates::default() };
        region.disk().borrow_mut().set_rates(if faulty { rates } else { Rates::default() });
        for life in 0..chance.between(2, 4) {
            Life::new(region.clone(), Rc::clone(&history), settings, rng.fork(100 + life)).live();
        }
    }
    probe.borrow_mut().report.seeds = 1;
    let counts = region.disk().borrow().counts().clone();
    probe.borrow_mut().report.faults.merge(&counts);
    probe.replace(Probe { seed, only, point: 0, settings, report: Report::default(), story: Vec::new() })
}

/// Makes images and looks into them.
#[derive(Debug)]
struct Probe {
    seed: u64,
    only: Option<Image>,
    point: u64,
    settings: titanic::log::Settings,
    report: Report,
    story: Vec<String>,
}

impl Probe {
    /// The disk is at a point between two operations, or in the middle of a flush.
    fn at_point(&mut self, disk: &Disk, now: Instant, history: &History) {
        self.point += 1;
        self.report.points += 1;
        for number in 0..IMAGES_PER_POINT {
            let image = Image { seed: self.seed, point: self.point, image: number };
            if self.only.is_none_or(|only| only == image) && self.report.violations.is_empty() {
                self.make(image, disk, now, history);
            }
        }
    }

    fn object(&mut self, violation: impl FnOnce(Image) -> Violation) {
        let image = Image { seed: self.seed, point: self.point, image: IMAGES_PER_POINT };
        self.report.violations.push(violation(image));
    }

    fn make(&mut self, image: Image, disk: &Disk, now: Instant, history: &History) {
        let mut disk = disk.fork(image.point * IMAGES_PER_POINT + image.image);
        // What happens here is the crash alone.
        disk.set_rates(Rates::default());
        if image.image == 0 {
            disk.crash_process(now, region::MAIN);
        } else {
            disk.cut_power(now);
        }
        self.report.images += 1;
        let disk = Rc::new(RefCell::new(disk));
        let checked = self.open(&disk, now, history);
        self.report.faults.merge(disk.borrow().counts());
        match checked {
            Ok(promises) => self.report.promises += promises,
            Err(what) => self.report.violations.push(Violation { image, what }),
        }
    }

    /// Opens what is left. Returns how many promises it kept.
    fn open(&mut self, disk: &Rc<RefCell<Disk>>, now: Instant, history: &History) -> Result<u64, String> {
        let region = DiskRegion::quiet(Rc::clone(disk), now);
        region.open(NAME).map_err(|error| format!("the file is gone: {error}"))?;
        let (mut log, report) = Log::open(region, &self.settings, &mut |_| {}).map_err(|error| error.to_string())?;
        if self.only.is_some() {
            self.story.push(format!("{report:?}"));
            self.story.extend(log.entries().iter().map(|(id, entry)| format!("{id} {entry:?}")));
        }
        self.report.torn += u64::from(report.torn_bytes > 0);
        if report.lost_bytes > 0 {
            return Err(format!("durable octets are missing: {report:?}"));
        }
        let promises = history.check(&log)?;
        history::still_works(&mut log)?;
        Ok(promises)
    }
}

/// The first is of a dying process, the others of a power cut.
const IMAGES_PER_POINT: u64 = 5;
