//! What survives, and what may not.

use std::collections::BTreeSet;

use sim::disk::{Config, FaultKind, Process};

use crate::common::{Bench, MAIN, SECTOR, sector};

/// Four sectors that were flushed as `a`, then overwritten in one write as `b`.
fn overwritten() -> (Bench, sim::disk::Handle) {
    let mut bench = Bench::new(1);
    let file = bench.file("log");
    bench.write(file, 0, &sector(b'a').repeat(4));
    bench.flush(file);
    bench.write(file, 0, &sector(b'b').repeat(4));
    (bench, file)
}

#[test]
fn what_is_written_is_seen_at_once_by_everybody() {
    let (mut bench, file) = overwritten();
    let other = bench.disk.open(Process(2), "log").unwrap();
    assert_eq!(bench.read(file), sector(b'b').repeat(4));
    assert_eq!(bench.read(other), sector(b'b').repeat(4));
}

#[test]
fn a_flush_that_answered_makes_everything_survive_a_power_cut() {
    let (mut bench, file) = overwritten();
    bench.write(file, 700, b"across two sectors".repeat(30).as_slice());
    bench.flush(file);
    let whole = bench.read(file);
    for future in 0..200 {
        assert_eq!(bench.fork(future).survivors("log"), whole);
    }
}

#[test]
fn without_a_flush_every_subset_of_the_sectors_may_survive() {
    let (bench, _) = overwritten();
    let mut subsets = BTreeSet::new();
    for future in 0..1000 {
        let octets = bench.fork(future).survivors("log");
        let sectors: Vec<u8> = octets
            .chunks(SECTOR)
            .map(|sector| {
                assert!(sector.iter().all(|&octet| octet == sector[0]), "a sector is whole");
                sector[0]
            })
            .collect();
        subsets.insert(sectors);
    }
    assert_eq!(subsets.len(), 16);
}

#[test]
fn a_sector_may_come_back_in_any_version_since_its_last_flush() {
    let mut bench = Bench::new(2);
    let file = bench.file("log");
    for octet in b'a'..=b'e' {
        bench.write(file, 0, &sector(octet));
        if octet == b'b' {
            bench.flush(file);
        }
    }
    let seen: BTreeSet<u8> = (0..300).map(|future| bench.fork(future).survivors("log")[0]).collect();
    assert_eq!(seen, BTreeSet::from([b'b', b'c', b'd', b'e']));
}

#[test]
fn a_later_write_may_survive_an_earlier_one() {
    let (mut bench, file) = overwritten();
    bench.flush(file);
    bench.write(file, 0, &sector(b'1'));
    bench.write(file, SECTOR, &sector(b'2'));
    let mut reordered = 0;
    for future in 0..200 {
        let mut bench = bench.fork(future);
        let octets = bench.survivors("log");
        if octets[0] == b'b' && octets[SECTOR] == b'2' {
            reordered += 1;
            assert_eq!(bench.disk.counts().of(FaultKind::ReorderedWrite), 1);
        }
    }
    assert!(reordered > 0);
}

#[test]
fn a_flush_under_way_promises_nothing_and_covers_only_what_was_written_before() {
    let (mut bench, file) = overwritten();
    let done = bench.disk.flush(bench.now, file);
    let mut lost = 0;
    for future in 0..100 {
        lost += usize::from(bench.fork(future).survivors("log").contains(&b'a'));
    }
    assert!(lost > 0, "the power went before the answer");
    bench.write(file, 0, &sector(b'c'));
    bench.now = done.at;
    let mut first = BTreeSet::new();
    for future in 0..100 {
        let octets = bench.fork(future).survivors("log");
        assert!(octets[SECTOR..].iter().all(|&octet| octet == b'b'), "flushed");
        first.insert(octets[0]);
    }
    assert_eq!(first, BTreeSet::from([b'b', b'c']), "the write came after the flush had begun");
}

#[test]
fn a_flush_of_a_range_leaves_the_rest_to_chance() {
    let (mut bench, file) = overwritten();
    bench.run(|disk, now| disk.flush_range(now, file, SECTOR..SECTOR + 1)).unwrap();
    let mut others = BTreeSet::new();
    for future in 0..100 {
        let octets = bench.fork(future).survivors("log");
        assert_eq!(octets[SECTOR..2 * SECTOR], sector(b'b'));
        others.insert((octets[0], octets[3 * SECTOR]));
    }
    assert_eq!(others.len(), 4);
}

#[test]
fn sectors_tear_inside_only_where_the_disk_is_told_to() {
    let mut bench = Bench::with(3, Config { tears_sectors: true, ..Config::default() });
    let file = bench.file("log");
    bench.write(file, 0, &sector(b'a'));
    bench.flush(file);
    bench.write(file, 0, &sector(b'b'));
    let mut torn = 0;
    for future in 0..500 {
        let mut bench = bench.fork(future);
        let octets = bench.survivors("log");
        let front = octets.iter().take_while(|&&octet| octet == b'b').count();
        assert!(octets[front..].iter().all(|&octet| octet == b'a'), "a front and a rest");
        torn += usize::from(front > 0 && front < SECTOR);
        assert!(bench.disk.counts().of(FaultKind::TornSector) > 0 || front == 0 || front == SECTOR);
    }
    assert!(torn > 10, "{torn}");
}

#[test]
fn the_death_of_a_process_loses_nothing_that_was_written() {
    let (mut bench, _) = overwritten();
    bench.disk.crash_process(bench.now, MAIN);
    let file = bench.disk.open(MAIN, "log").unwrap();
    assert_eq!(bench.read(file), sector(b'b').repeat(4));
}

#[test]
fn a_process_that_dies_in_a_write_leaves_the_front_of_it() {
    let (mut bench, file) = overwritten();
    let _ = bench.disk.write(bench.now, file, 1000, &sector(b'c').repeat(3));
    let mut lengths = BTreeSet::new();
    for future in 0..100 {
        let mut bench = bench.fork(future);
        bench.disk.crash_process(bench.now, MAIN);
        let file = bench.disk.open(MAIN, "log").unwrap();
        let octets = bench.read(file);
        let front = octets[1000..].iter().take_while(|&&octet| octet == b'c').count();
        assert!(octets[..1000].iter().all(|&octet| octet == b'b'));
        assert!(octets[1000 + front..].iter().all(|&octet| octet == b'b'), "then what was there");
        assert_eq!(octets.len(), (4 * SECTOR).max(1000 + front), "and no longer than that");
        assert_eq!(bench.disk.counts().of(FaultKind::CutWrite), u64::from(front < 3 * SECTOR));
        lengths.insert(front);
    }
    assert!(lengths.len() > 50);
}

#[test]
fn the_system_writes_back_by_itself_when_much_is_dirty() {
    let mut bench = Bench::with(4, Config { dirty_max: 32, ..Config::default() });
    let file = bench.file("log");
    for _ in 0..1000 {
        bench.write(file, 0, &sector(b'x').repeat(8));
    }
    let mut bench = bench.fork(0);
    bench.disk.cut_power(bench.now);
    assert!(bench.disk.counts().of(FaultKind::LostSector) + bench.disk.counts().of(FaultKind::StaleSector) <= 40);
}
