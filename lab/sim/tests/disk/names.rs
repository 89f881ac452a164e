//! Names, lengths, room and locks.

use std::collections::BTreeSet;

use sim::disk::{Config, Error, FaultKind, Process};

use crate::common::{Bench, MAIN, SECTOR, sector};

#[test]
fn a_name_is_safe_only_when_the_directory_was_flushed() {
    let mut bench = Bench::new(1);
    let file = bench.disk.create(MAIN, "log").unwrap();
    bench.write(file, 0, b"x");
    bench.flush(file);
    let mut found = BTreeSet::new();
    for future in 0..50 {
        let mut bench = bench.fork(future);
        bench.disk.cut_power(bench.now);
        found.insert(bench.disk.open(MAIN, "log").is_ok());
    }
    assert_eq!(found.len(), 2);
    bench.run(|disk, now| disk.flush_directory(now)).unwrap();
    assert!((0..50).all(|future| bench.fork(future).survivors("log") == b"x"));
}

#[test]
fn changes_of_names_survive_in_their_order() {
    let mut bench = Bench::new(2);
    let old = bench.file("log");
    bench.write(old, 0, b"old");
    bench.flush(old);
    let new = bench.disk.create(MAIN, "new").unwrap();
    bench.write(new, 0, b"new");
    bench.flush(new);
    bench.disk.rename("new", "log").unwrap();
    bench.disk.remove("log").unwrap();
    assert_eq!(bench.read(old), b"old", "an open file outlives its name");
    let mut seen = BTreeSet::new();
    for future in 0..200 {
        let mut bench = bench.fork(future);
        bench.disk.cut_power(bench.now);
        let mut content = |name| bench.disk.open(MAIN, name).ok().map(|file| bench.clone().read(file));
        seen.insert((content("log"), content("new")));
    }
    let (old, new) = (Some(b"old".to_vec()), Some(b"new".to_vec()));
    let all = [(old.clone(), None), (old, new.clone()), (new, None), (None, None)];
    assert_eq!(seen, BTreeSet::from(all));
}

#[test]
fn a_length_is_safe_only_when_the_file_was_flushed() {
    let mut bench = Bench::new(3);
    let file = bench.file("log");
    bench.write(file, 0, &sector(b'a').repeat(3));
    bench.flush(file);
    bench.run(|disk, now| disk.resize(now, file, 100)).unwrap();
    bench.run(|disk, now| disk.resize(now, file, 2 * SECTOR)).unwrap();
    let cut = [vec![b'a'; 100], vec![0; 2 * SECTOR - 100]].concat();
    assert_eq!(bench.read(file), cut, "what a file grows by is zero, whatever was there");
    let lengths: BTreeSet<usize> = (0..200).map(|future| bench.fork(future).survivors("log").len()).collect();
    assert_eq!(lengths, BTreeSet::from([100, 2 * SECTOR, 3 * SECTOR]));
    bench.flush(file);
    assert!((0..50).all(|future| bench.fork(future).survivors("log") == cut));
}

#[test]
fn a_full_disk_refuses_what_needs_room_and_nothing_else() {
    let mut bench = Bench::with(4, Config { capacity_bytes: 8 * SECTOR, ..Config::default() });
    let file = bench.file("log");
    bench.run(|disk, now| disk.preallocate(now, file, 6 * SECTOR)).unwrap();
    assert_eq!(bench.read(file), vec![0; 6 * SECTOR]);
    let other = bench.file("other");
    let long = sector(b'x').repeat(3);
    assert_eq!(bench.run(|disk, now| disk.write(now, other, 0, &long)), Ok(2 * SECTOR), "as much as fits");
    assert_eq!(bench.run(|disk, now| disk.write(now, other, 2 * SECTOR, b"x")), Err(Error::NoSpace));
    assert_eq!(bench.run(|disk, now| disk.preallocate(now, other, 3 * SECTOR)), Err(Error::NoSpace));
    assert_eq!(bench.run(|disk, now| disk.resize(now, other, usize::MAX)), Err(Error::NoSpace));
    assert_eq!(bench.run(|disk, now| disk.write(now, other, usize::MAX, b"x")), Err(Error::NoSpace));
    assert_eq!(bench.disk.len(other), Ok(2 * SECTOR), "a refusal changes nothing");
    assert_eq!(bench.disk.counts().of(FaultKind::NoSpace), 5);
    bench.write(file, 0, &sector(b'y').repeat(6));
    bench.run(|disk, now| disk.resize(now, file, SECTOR)).unwrap();
    bench.write(other, 2 * SECTOR, &sector(b'x'));
}

#[test]
fn a_hole_takes_room_when_it_is_written() {
    let mut bench = Bench::with(5, Config { capacity_bytes: 4 * SECTOR, ..Config::default() });
    let (file, other) = (bench.file("log"), bench.file("other"));
    bench.run(|disk, now| disk.resize(now, file, 4 * SECTOR)).unwrap();
    bench.write(other, 0, &sector(b'x').repeat(4));
    assert_eq!(bench.run(|disk, now| disk.write(now, file, 0, b"x")), Err(Error::NoSpace));
    bench.disk.close(other);
    bench.disk.remove("other").unwrap();
    assert_eq!(bench.run(|disk, now| disk.write(now, file, 0, b"x")), Err(Error::NoSpace), "the name may come back");
    bench.run(|disk, now| disk.flush_directory(now)).unwrap();
    bench.disk.settle(bench.now);
    bench.write(file, 0, b"x");
}

#[test]
fn a_lock_names_its_holder_and_goes_with_it() {
    let mut bench = Bench::new(6);
    let file = bench.file("log");
    let other = bench.disk.open(Process(2), "log").unwrap();
    assert_eq!((bench.disk.lock(file), bench.disk.lock(file)), (Ok(()), Ok(())));
    assert_eq!(bench.disk.lock(other), Err(Error::Locked { holder: MAIN }));
    bench.disk.crash_process(bench.now, MAIN);
    assert_eq!(bench.disk.lock(other), Ok(()));
    let file = bench.disk.open(MAIN, "log").unwrap();
    assert_eq!(bench.disk.lock(file), Err(Error::Locked { holder: Process(2) }));
    bench.disk.close(other);
    assert_eq!(bench.disk.lock(file), Ok(()));
}

#[test]
fn a_handle_ends_with_its_process_and_with_the_power() {
    let mut bench = Bench::new(7);
    let file = bench.file("log");
    let other = bench.disk.open(Process(2), "log").unwrap();
    bench.disk.crash_process(bench.now, MAIN);
    assert_eq!(bench.run(|disk, now| disk.write(now, file, 0, b"x")), Err(Error::Closed));
    bench.write(other, 0, b"x");
    bench.disk.cut_power(bench.now);
    assert_eq!(bench.run(|disk, now| disk.flush(now, other)), Err(Error::Closed));
    assert_eq!(bench.disk.lock(other), Err(Error::Closed));
    assert_eq!(bench.disk.create(MAIN, "log"), Err(Error::Exists));
    assert_eq!(bench.disk.open(MAIN, "nothing"), Err(Error::NotFound));
    assert_eq!(bench.disk.rename("nothing", "log"), Err(Error::NotFound));
    assert_eq!(bench.disk.remove("nothing"), Err(Error::NotFound));
}
