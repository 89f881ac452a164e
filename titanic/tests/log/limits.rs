//! What does not fit is refused, and what is there stays; a disk that fails ends it.

use std::cell::Cell;
use std::io;
use std::rc::Rc;

use titanic::log::{Kind, Log, Memory, OpenError, Refused, Region, Settings, State, Stopped};

use crate::common::{SECRET, body, id, new, reopened, request, settings, state};

/// Appends, and flushes until there is room, if there is going to be any.
fn patiently(log: &mut Log<Memory>, kind: Kind, number: u8, payload: &[u8]) -> Result<(), Refused> {
    let mut refused = Ok(());
    for _ in 0..50 {
        match log.append(kind, id(number), payload) {
            Ok(_) => return Ok(()),
            Err(Refused::Full) => refused = Err(Refused::Full),
            Err(other) => return Err(other),
        }
        log.flush().unwrap();
    }
    refused
}

/// Fills a log with requests of one size, and says how many it took.
fn fill(log: &mut Log<Memory>, payload: &[u8]) -> u8 {
    for number in 0..=255u8 {
        if let Err(refused) = patiently(log, Kind::Request, number, payload) {
            assert_eq!(refused, Refused::Full);
            return number;
        }
        log.flush().unwrap();
    }
    panic!("the log took everything");
}

#[test]
fn a_full_log_refuses_and_nothing_in_it_is_touched() {
    let mut log = new(8);
    let taken = fill(&mut log, &[7; 400]);
    assert!(taken > 10, "{taken}");
    for _ in 0..100 {
        assert_eq!(log.append(Kind::Request, id(255), &[7; 400]), Err(Refused::Full));
        log.flush().unwrap();
    }
    let (log, report) = reopened(log.close().unwrap(), 8);
    assert!((0..taken).all(|number| body(&log, number) == [7; 400]));
    assert_eq!((log.count(State::Open), report.is_damaged()), (u64::from(taken), false));
    assert!(log.region().len() <= settings(8).capacity_bytes);
}

#[test]
fn a_full_log_can_be_answered_and_closed_and_then_takes_requests_again() {
    let mut log = new(8);
    let taken = fill(&mut log, &[7; 400]);
    patiently(&mut log, Kind::Answer, 0, &[8; 400]).unwrap();
    for number in 0..taken / 2 {
        patiently(&mut log, Kind::Closed, number, b"").unwrap();
    }
    patiently(&mut log, Kind::Request, 255, &[9; 400]).unwrap();
    assert!((taken / 2..taken).all(|number| body(&log, number) == [7; 400]));
    assert_eq!(body(&log, 255), [9; 400]);
}

#[test]
fn a_full_log_goes_on_as_long_as_as_much_is_closed_as_is_submitted() {
    for chunks in [8, 9, 16, 40] {
        let mut log = new(chunks);
        let taken = fill(&mut log, &[7; 400]);
        let (mut oldest, mut newest) = (0, taken);
        for _ in 0..1000 {
            patiently(&mut log, Kind::Closed, oldest, b"").unwrap();
            patiently(&mut log, Kind::Request, newest, &[newest; 400]).unwrap();
            log.flush().unwrap();
            (oldest, newest) = (oldest.wrapping_add(1), newest.wrapping_add(1));
        }
        assert_eq!(log.count(State::Open), u64::from(taken));
        assert!(log.region().len() <= settings(chunks).capacity_bytes);
    }
}

#[test]
fn a_full_log_at_rest_does_not_copy_for_ever() {
    let mut log = new(8);
    fill(&mut log, &[7; 400]);
    let mut flushes = 0;
    while log.needs_write() {
        log.flush().unwrap();
        flushes += 1;
        assert!(flushes < 100, "it copies in a circle");
    }
}

#[test]
fn a_payload_that_never_fits_is_told_so_and_the_largest_one_fits() {
    let mut log = new(32);
    let max = log.payload_bytes_max();
    let refused = log.append(Kind::Request, id(1), &vec![1; max + 1]).unwrap_err();
    assert_eq!(refused, Refused::TooLarge { bytes: max + 1, max });
    request(&mut log, 1, &vec![1; max]);
    assert_eq!(log.append(Kind::Request, id(2), b"more"), Err(Refused::Full));
    log.flush().unwrap();
    let (log, _) = reopened(log.close().unwrap(), 32);
    assert_eq!(body(&log, 1), vec![1; max]);
}

#[test]
fn the_limit_of_a_payload_holds_in_a_log_that_could_take_more() {
    let capacity = Settings { capacity_bytes: 1 << 40, ..Settings::default() };
    let mut log = Log::create(Memory::new(), SECRET, &Settings { initial_bytes: 0, ..capacity }, &mut |_| {}).unwrap();
    assert_eq!(log.payload_bytes_max(), titanic::log::record::PAYLOAD_BYTES_MAX);
    request(&mut log, 1, b"a");
    let file_bytes = log.usage().file_bytes;
    assert!(file_bytes <= 8 * (16 << 20) + 8192, "a first request needs no file of {file_bytes} octets");
}

#[test]
fn a_log_grows_when_it_must_and_shrinks_when_it_may() {
    let mut log = new(64);
    let small = log.region().len();
    for number in 0..80 {
        request(&mut log, number, &[number; 1000]);
        log.flush().unwrap();
    }
    let grown = log.region().len();
    assert!(grown > 4 * small, "{small} to {grown}");
    for number in 0..80 {
        log.append(Kind::Closed, id(number), b"").unwrap();
    }
    log.flush().unwrap();
    log.flush().unwrap();
    for number in 100..110 {
        patiently(&mut log, Kind::Request, number, &[number; 100]).unwrap();
    }
    for _ in 0..40 {
        patiently(&mut log, Kind::Request, 200, b"and others come and go").unwrap();
        log.append(Kind::Closed, id(200), b"").unwrap();
        log.flush().unwrap();
    }
    assert!(log.region().len() < grown / 2, "{grown} to {}", log.region().len());
    let (log, report) = reopened(log.close().unwrap(), 64);
    assert_eq!((log.count(State::Open), report.is_damaged()), (10, false));
    assert!((100..110).all(|number| body(&log, number) == vec![number; 100]));
}

#[test]
fn a_capacity_below_eight_chunks_is_refused_and_a_smaller_one_than_before_is_kept_from_then_on() {
    let error = Log::create(Memory::new(), SECRET, &settings(7), &mut |_| {}).unwrap_err();
    assert!(matches!(error, OpenError::Capacity { least: 33_792, .. }), "{error}");
    let mut log = new(64);
    for number in 0..60 {
        request(&mut log, number, &[number; 1000]);
        log.flush().unwrap();
    }
    let (mut log, _) = reopened(log.close().unwrap(), 10);
    assert_eq!(log.append(Kind::Request, id(99), b"more"), Err(Refused::Full));
    assert!((0..60).all(|number| body(&log, number) == vec![number; 1000]));
    for number in 0..60 {
        patiently(&mut log, Kind::Closed, number, b"").unwrap();
    }
    let (mut log, _) = reopened(log.close().unwrap(), 10);
    for number in 0..50 {
        patiently(&mut log, Kind::Request, number, b"more").unwrap();
        log.append(Kind::Closed, id(number), b"").unwrap();
        log.flush().unwrap();
    }
    assert!(log.region().len() <= settings(10).capacity_bytes, "{}", log.region().len());
}

/// A region that fails from some operation on.
#[derive(Debug)]
struct Failing {
    memory: Memory,
    /// How many writes, flushes and resizes still go well.
    left: u32,
    with: io::ErrorKind,
}

impl Failing {
    fn count(&mut self) -> io::Result<()> {
        let Some(left) = self.left.checked_sub(1) else { return Err(self.with.into()) };
        self.left = left;
        Ok(())
    }
}

impl Region for Failing {
    fn len(&self) -> u64 {
        self.memory.len()
    }

    fn read(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        self.memory.read(offset, into)
    }

    fn write(&mut self, offset: u64, octets: &[u8]) -> io::Result<()> {
        let done = self.count();
        // A write that fails may have done a part.
        let part = if done.is_ok() { octets } else { &octets[..octets.len() / 3] };
        self.memory.write(offset, part)?;
        done
    }

    fn resize(&mut self, len: u64, progress: &mut dyn FnMut(u64)) -> io::Result<()> {
        if len > self.memory.len() {
            self.count()?;
        }
        self.memory.resize(len, progress)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.count()
    }
}

/// Appends until it fails. Returns the acknowledged, how it ended, and what is on the disk.
fn until_it_fails(left: u32, with: io::ErrorKind) -> (Vec<u8>, Option<Refused>, Memory) {
    let region = Failing { memory: new(32).close().unwrap(), left, with };
    let Ok((mut log, _)) = Log::open(region, &settings(32), &mut |_| {}) else {
        return (Vec::new(), None, new(32).close().unwrap());
    };
    let mut acknowledged = Vec::new();
    for number in 0..200 {
        let ended = match log.append(Kind::Request, id(number), &[number; 300]) {
            Ok(lsn) => {
                let flushed = log.flush();
                assert_eq!(log.is_durable(lsn), flushed.is_ok());
                flushed.err().map(Refused::Stopped)
            }
            Err(refused) => Some(refused),
        };
        if ended.is_some() {
            return (acknowledged, ended, log.region().memory.clone());
        }
        acknowledged.push(number);
    }
    (acknowledged, None, log.region().memory.clone())
}

#[test]
fn a_failed_write_or_flush_stops_the_log_for_good_and_loses_nothing_acknowledged() {
    for left in 0..60 {
        let (acknowledged, ended, memory) = until_it_fails(left, io::ErrorKind::Other);
        if let Some(ended) = ended {
            assert_eq!(ended, Refused::Stopped(Stopped(io::ErrorKind::Other)));
        }
        let (log, _) = reopened(memory, 32);
        for number in acknowledged {
            assert_eq!(body(&log, number), [number; 300], "{number} after {left}");
        }
    }
}

#[test]
fn a_disk_without_room_for_growing_is_a_full_log_and_no_failure() {
    let mut region = Failing { memory: new(32).close().unwrap(), left: 8, with: io::ErrorKind::StorageFull };
    region.left = 3;
    let (mut log, _) = Log::open(region, &settings(32), &mut |_| {}).unwrap();
    assert_eq!(log.append(Kind::Request, id(1), b"a"), Err(Refused::Full));
    assert_eq!(log.stopped(), None);
}

/// A region that can grow or cannot.
struct Tight {
    memory: Memory,
    is_full: Rc<Cell<bool>>,
}

impl Region for Tight {
    fn len(&self) -> u64 {
        self.memory.len()
    }

    fn read(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        self.memory.read(offset, into)
    }

    fn write(&mut self, offset: u64, octets: &[u8]) -> io::Result<()> {
        self.memory.write(offset, octets)
    }

    fn resize(&mut self, len: u64, progress: &mut dyn FnMut(u64)) -> io::Result<()> {
        if len > self.memory.len() && self.is_full.get() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.memory.resize(len, progress)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_disk_that_was_full_for_a_while_refuses_nothing_for_good() {
    let is_full = Rc::new(Cell::new(false));
    let tight = Tight { memory: new(32).close().unwrap(), is_full: Rc::clone(&is_full) };
    let (mut log, _) = Log::open(tight, &settings(32), &mut |_| {}).unwrap();
    let max = log.payload_bytes_max();
    is_full.set(true);
    // There is no room now, which is not to say that there never will be.
    for number in 0..10 {
        assert_eq!(log.append(Kind::Request, id(number), &[number; 300]), Err(Refused::Full));
    }
    assert_eq!(log.payload_bytes_max(), max);
    is_full.set(false);
    let taken = (0..200).find(|_| log.append(Kind::Request, id(1), &[1; 300]).is_ok());
    assert!(taken.is_some(), "it grows again");
    for number in 2..50 {
        log.append(Kind::Request, id(number), &[number; 300]).unwrap();
        log.flush().unwrap();
    }
}

#[test]
fn a_log_that_stopped_says_so_and_nothing_becomes_durable_any_more() {
    let mut log = new(16);
    let lsn = request(&mut log, 1, b"a");
    let job = log.write_out().unwrap().unwrap();
    let stopped = log.on_flush_failed(&io::Error::from(io::ErrorKind::Other));
    log.on_flushed(job);
    assert!(!log.is_durable(lsn) && !log.needs_write());
    assert_eq!(log.append(Kind::Closed, id(1), b""), Err(Refused::Stopped(stopped)));
    assert_eq!((log.write_out(), log.flush(), log.stopped()), (Err(stopped), Err(stopped), Some(stopped)));
    assert_eq!(state(&log, 1), Some(State::Open));
    assert_eq!(log.close(), Err(stopped));
}
