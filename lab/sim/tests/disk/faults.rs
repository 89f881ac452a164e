//! Errors, spikes and rot.

use std::collections::BTreeSet;
use std::time::Duration;

use protocol::Instant;
use sim::disk::{Config, Error, FaultKind, Latency, Rates};

use crate::common::{Bench, MAIN, SECTOR, sector};

fn failing(rates: Rates) -> (Bench, sim::disk::Handle) {
    let mut bench = Bench::new(1);
    let file = bench.file("log");
    bench.write(file, 0, &sector(b'a').repeat(4));
    bench.flush(file);
    bench.disk.set_rates(rates);
    (bench, file)
}

#[test]
fn after_a_failed_flush_a_second_one_answers_well_and_proves_nothing() {
    let (mut bench, file) = failing(Rates { flush_error: 1000, ..Rates::default() });
    bench.write(file, 0, &sector(b'b').repeat(4));
    let (mut lost, mut seen) = (0, BTreeSet::new());
    for future in 0..100 {
        let mut bench = bench.fork(future);
        assert_eq!(bench.run(|disk, now| disk.flush(now, file)), Err(Error::Io));
        bench.disk.set_rates(Rates::default());
        bench.flush(file);
        seen.extend(bench.read(file));
        let octets = bench.survivors("log");
        assert!(octets.iter().all(|octet| b"ab".contains(octet)));
        lost += usize::from(octets.contains(&b'a'));
        assert_eq!(octets.contains(&b'a'), bench.disk.counts().of(FaultKind::DroppedSector) > 0);
        assert_eq!(bench.disk.counts().of(FaultKind::LostSector), 0, "nothing was dirty any more");
    }
    assert!(lost > 50, "{lost}");
    assert_eq!(seen, BTreeSet::from([b'a', b'b']), "readers may see the new octets, or the old ones again");
}

#[test]
fn what_is_written_again_after_a_failed_flush_is_flushed_by_the_next() {
    let (mut bench, file) = failing(Rates { flush_error: 1000, ..Rates::default() });
    bench.write(file, 0, &sector(b'b').repeat(4));
    assert_eq!(bench.run(|disk, now| disk.flush(now, file)), Err(Error::Io));
    bench.disk.set_rates(Rates::default());
    bench.write(file, 0, &sector(b'b').repeat(4));
    bench.flush(file);
    assert!((0..50).all(|future| bench.fork(future).survivors("log") == sector(b'b').repeat(4)));
}

#[test]
fn a_failed_flush_does_not_touch_what_was_written_after_it_began() {
    let (mut bench, file) = failing(Rates { flush_error: 1000, ..Rates::default() });
    bench.write(file, 0, &sector(b'b'));
    let failed = bench.disk.flush(bench.now, file);
    assert_eq!(failed.result, Err(Error::Io));
    bench.write(file, 0, &sector(b'c'));
    bench.disk.set_rates(Rates::default());
    bench.now = failed.at;
    assert_eq!(bench.read(file)[..SECTOR], sector(b'c'));
    bench.flush(file);
    assert!((0..50).all(|future| bench.fork(future).survivors("log")[..SECTOR] == sector(b'c')));
}

#[test]
fn a_failed_write_may_have_happened_in_part() {
    let (bench, file) = failing(Rates { write_error: 1000, ..Rates::default() });
    let mut fronts = BTreeSet::new();
    for future in 0..100 {
        let mut bench = bench.fork(future);
        assert_eq!(bench.run(|disk, now| disk.write(now, file, 0, &sector(b'b').repeat(4))), Err(Error::Io));
        let octets = bench.read(file);
        let front = octets.iter().take_while(|&&octet| octet == b'b').count();
        assert!(octets[front..].iter().all(|&octet| octet == b'a'));
        fronts.insert(front);
    }
    assert!(fronts.len() > 50);
}

#[test]
fn a_short_write_says_how_far_it_came() {
    let (mut bench, file) = failing(Rates { short_write: 1000, ..Rates::default() });
    let written = bench.run(|disk, now| disk.write(now, file, 0, &sector(b'b'))).unwrap();
    assert!(written > 0 && written < SECTOR);
    let octets = bench.read(file);
    assert!(octets[..written].iter().all(|&octet| octet == b'b') && octets[written] == b'a');
}

#[test]
fn reads_fail_by_chance_and_beyond_the_end_always() {
    let (mut bench, file) = failing(Rates { read_error: 500, ..Rates::default() });
    let mut octets = sector(0);
    let results: BTreeSet<bool> =
        (0..100).map(|_| bench.run(|disk, now| disk.read(now, file, 0, &mut octets)).is_ok()).collect();
    assert_eq!(results.len(), 2);
    bench.disk.set_rates(Rates::default());
    let beyond = bench.run(|disk, now| disk.read(now, file, 4 * SECTOR - 1, &mut octets));
    assert_eq!(beyond, Err(Error::OutOfRange));
    let beyond = bench.run(|disk, now| disk.read(now, file, usize::MAX, &mut octets));
    assert_eq!(beyond, Err(Error::OutOfRange));
}

#[test]
fn room_may_be_gone_for_a_moment() {
    let (mut bench, file) = failing(Rates { no_space: 1000, ..Rates::default() });
    assert_eq!(bench.run(|disk, now| disk.write(now, file, 4 * SECTOR, b"x")), Err(Error::NoSpace));
    assert_eq!(bench.run(|disk, now| disk.preallocate(now, file, 5 * SECTOR)), Err(Error::NoSpace));
    bench.write(file, 0, b"what has its place needs none");
}

#[test]
fn rot_turns_one_bit_that_readers_see() {
    let (mut bench, file) = failing(Rates { rot: 1000, ..Rates::default() });
    let octets = bench.read(file);
    let wrong: u32 = octets.iter().map(|octet| (octet ^ b'a').count_ones()).sum();
    assert_eq!((wrong, bench.disk.counts().of(FaultKind::BitRot)), (1, 1));
}

#[test]
fn rot_below_what_waits_to_be_flushed_heals_with_the_flush() {
    let (mut bench, file) = failing(Rates::default());
    bench.write(file, 0, &sector(b'b').repeat(4));
    bench.disk.rot();
    assert_eq!(bench.read(file), sector(b'b').repeat(4));
    bench.flush(file);
    assert_eq!(bench.survivors("log"), sector(b'b').repeat(4));
}

#[test]
fn answers_take_as_long_as_they_are_told_to() {
    let millis = Duration::from_millis;
    let latency = Latency { read: millis(1), write: millis(10), flush: millis(100), spike: millis(10_000) };
    let mut bench = Bench::with(2, Config { latency, ..Config::default() });
    let file = bench.disk.create(MAIN, "log").unwrap();
    for _ in 0..100 {
        let took = bench.disk.write(Instant::ZERO, file, 0, b"x").at.since(Instant::ZERO);
        assert!((millis(10)..millis(20)).contains(&took), "{took:?}");
        let took = bench.disk.flush(Instant::ZERO, file).at.since(Instant::ZERO);
        assert!((millis(100)..millis(200)).contains(&took), "{took:?}");
    }
    bench.disk.set_rates(Rates { spike: 500, ..Rates::default() });
    let slow = |_| bench.disk.read(Instant::ZERO, file, 0, &mut [0]).at > Instant::from_millis(10_000);
    let slow = (0..100).map(slow).filter(|&slow| slow).count();
    assert!((20..80).contains(&slow), "{slow}");
    assert_eq!(bench.disk.counts().of(FaultKind::LatencySpike), slow as u64);
}

#[test]
fn a_disk_without_rates_never_fails() {
    let (mut bench, file) = failing(Rates::default());
    for round in 0..1000 {
        bench.write(file, round % 3 * 100, &sector(b'z'));
        bench.flush(file);
        bench.read(file);
    }
    assert_eq!(bench.disk.counts().iter().count(), 0);
}
