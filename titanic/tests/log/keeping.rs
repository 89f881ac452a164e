//! What was appended is there: at once, after a flush, after another opening, after many turns around the ring.

use titanic::log::{Damage, Kind, LogId, Lsn, OpenError, Region, State, inspect};

use crate::common::{body, id, new, reopened, request, state};

#[test]
fn a_record_can_be_read_before_it_is_written_out_and_is_durable_after_its_flush() {
    let mut log = new(16);
    let lsn = request(&mut log, 1, b"coffee");
    assert_eq!(body(&log, 1), b"coffee");
    assert!(!log.is_durable(lsn) && log.needs_write());
    let job = log.write_out().unwrap().unwrap();
    assert_eq!(body(&log, 1), b"coffee");
    assert!(!log.is_durable(lsn));
    log.on_flushed(job);
    assert!(log.is_durable(lsn));
    // The file has grown, which a checkpoint says when it is durable.
    log.flush().unwrap();
    assert!(!log.needs_write());
    assert_eq!(log.write_out(), Ok(None));
}

#[test]
fn what_is_appended_during_a_flush_waits_for_the_next_one() {
    let mut log = new(16);
    let first = request(&mut log, 1, b"a");
    let job = log.write_out().unwrap().unwrap();
    let second = request(&mut log, 2, b"b");
    let next = log.write_out().unwrap().unwrap();
    log.on_flushed(job);
    assert!(log.is_durable(first) && !log.is_durable(second));
    log.on_flushed(next);
    assert!(log.is_durable(second));
}

#[test]
fn a_later_flush_stands_for_all_before_it() {
    let mut log = new(16);
    let first = request(&mut log, 1, b"a");
    let _overtaken = log.write_out().unwrap().unwrap();
    request(&mut log, 2, b"b");
    let job = log.write_out().unwrap().unwrap();
    log.on_flushed(job);
    assert!(log.is_durable(first));
}

#[test]
fn every_state_is_found_again() {
    let mut log = new(16);
    for number in 1..=6 {
        request(&mut log, number, &[number; 10]);
    }
    log.append(Kind::Attempt, id(2), b"1").unwrap();
    log.append(Kind::Dead, id(3), b"too often").unwrap();
    log.append(Kind::Answer, id(4), b"here").unwrap();
    log.append(Kind::Closed, id(5), b"until tomorrow").unwrap();
    log.append(Kind::Closed, id(6), b"").unwrap();
    log.flush().unwrap();
    // Not closed: like a process that was killed.
    let (log, report) = reopened(log.region().clone(), 16);
    let states = (1..=6).map(|number| state(&log, number)).collect::<Vec<_>>();
    let expected = [State::Open, State::Attempted, State::Dead, State::Answered, State::Closed].map(Some);
    assert_eq!(states, [&expected[..], &[None]].concat());
    assert_eq!((body(&log, 1), body(&log, 3), body(&log, 4)), (vec![1; 10], vec![3; 10], b"here".to_vec()));
    assert_eq!((report.records, report.is_damaged()), (11, false));
    assert_eq!((log.count(State::Open), log.entries().len()), (1, 5));
}

#[test]
fn what_was_not_written_out_is_not_there_and_nobody_was_told_it_was() {
    let mut log = new(16);
    request(&mut log, 1, b"safe");
    log.flush().unwrap();
    let lsn = request(&mut log, 2, b"lost");
    assert!(!log.is_durable(lsn));
    let (log, report) = reopened(log.region().clone(), 16);
    assert_eq!((state(&log, 1), state(&log, 2)), (Some(State::Open), None));
    assert!(!report.is_damaged());
}

#[test]
fn a_record_goes_over_as_many_chunks_as_it_needs() {
    let mut log = new(64);
    let long: Vec<u8> = (0..20_000u32).flat_map(u32::to_le_bytes).collect();
    request(&mut log, 1, b"before");
    request(&mut log, 2, &long);
    request(&mut log, 3, b"behind");
    assert_eq!(body(&log, 2), long);
    log.flush().unwrap();
    assert_eq!(body(&log, 2), long);
    let (log, report) = reopened(log.close().unwrap(), 64);
    assert_eq!((body(&log, 1), body(&log, 2), body(&log, 3)), (b"before".to_vec(), long, b"behind".to_vec()));
    assert!(!report.is_damaged());
}

#[test]
fn a_request_that_stays_open_does_not_pin_the_tail() {
    let mut log = new(64);
    request(&mut log, 1, b"patient");
    log.append(Kind::Attempt, id(1), b"once").unwrap();
    for turn in 0..2000u32 {
        let number = u8::try_from(2 + turn % 200).unwrap();
        request(&mut log, number, &turn.to_le_bytes().repeat(30));
        log.append(Kind::Closed, id(number), b"").unwrap();
        log.flush().unwrap();
    }
    assert_eq!(state(&log, 1), Some(State::Attempted));
    assert_eq!(body(&log, 1), b"patient");
    assert!(log.region().len() < 16 * 4096, "{} octets for one request", log.region().len());
    let (log, report) = reopened(log.close().unwrap(), 64);
    assert_eq!((body(&log, 1), log.entries().len()), (b"patient".to_vec(), 1));
    assert_eq!(log.read(&id(1), log.find(&id(1)).unwrap().latest().unwrap()).unwrap(), &b"once"[..]);
    assert!(!report.is_damaged());
}

#[test]
fn a_closed_id_is_remembered_until_it_is_forgotten() {
    let mut log = new(16);
    request(&mut log, 1, b"a");
    log.append(Kind::Closed, id(1), b"until").unwrap();
    assert_eq!(state(&log, 1), Some(State::Closed));
    log.forget(&id(1));
    assert_eq!(state(&log, 1), None);
    request(&mut log, 1, b"again");
    log.forget(&id(1));
    assert_eq!(state(&log, 1), Some(State::Open));
    let (log, _) = reopened(log.close().unwrap(), 16);
    assert_eq!(body(&log, 1), b"again");
}

#[test]
fn damage_since_the_last_closing_is_told_from_what_was_only_torn() {
    let mut log = new(16);
    for number in 1..=3 {
        request(&mut log, number, &[number; 40]);
        log.flush().unwrap();
    }
    let torn = {
        // The last batch did not reach the disk, and nothing says that it should have.
        let mut region = log.region().clone();
        let end = region.octets().windows(40).rposition(|octets| octets == [3; 40]).unwrap();
        region.octets_mut()[end - 56..end].fill(0);
        reopened(region, 16)
    };
    assert_eq!((state(&torn.0, 2), state(&torn.0, 3)), (Some(State::Open), None));
    assert_eq!((torn.1.lost_bytes, torn.1.torn_bytes > 0), (0, true), "{:?}", torn.1);
    let mut region = log.close().unwrap();
    let first = region.octets().windows(40).position(|octets| octets == [1; 40]).unwrap();
    region.octets_mut()[first + 7] ^= 1;
    let (log, report) = reopened(region, 16);
    assert_eq!((state(&log, 1), state(&log, 2), state(&log, 3)), (None, Some(State::Open), Some(State::Open)));
    assert_eq!(report.holes.len(), 1);
    assert_eq!((report.holes[0].damage, report.torn_bytes), (Damage::Lost, 0));
}

#[test]
fn a_log_that_was_opened_a_hundred_times_for_nothing_is_no_longer() {
    let mut log = new(16);
    request(&mut log, 1, b"a");
    let mut region = log.close().unwrap();
    let len = region.len();
    for _ in 0..100 {
        let (log, report) = reopened(region, 16);
        assert!(!report.is_damaged());
        region = log.close().unwrap();
    }
    let (log, _) = reopened(region, 16);
    assert_eq!((body(&log, 1), log.region().len()), (b"a".to_vec(), len));
}

#[test]
fn an_opening_that_appends_and_dies_each_time_never_fills_the_log() {
    let mut region = new(12).close().unwrap();
    for turn in 0..200u8 {
        let (mut log, _) = reopened(region, 12);
        request(&mut log, turn, b"a");
        log.append(Kind::Closed, id(turn), b"").unwrap();
        log.flush().unwrap();
        log.flush().unwrap();
        region = log.region().clone();
    }
    assert!(region.len() <= 12 * 4096, "{}", region.len());
}

#[test]
fn a_summary_tells_what_a_log_holds_and_changes_nothing() {
    let mut log = new(16);
    for number in 1..=3 {
        request(&mut log, number, b"a");
    }
    log.append(Kind::Answer, id(3), b"b").unwrap();
    let end = log.head_lsn();
    let region = log.close().unwrap();
    let summary = inspect(region.clone(), &mut |_| {}).unwrap();
    assert_eq!(summary.states[..4], [(State::Open, 2), (State::Attempted, 0), (State::Dead, 0), (State::Answered, 1)]);
    assert!(summary.end > end && !summary.report.is_damaged());
    let (mut view, _) = titanic::log::Log::view(region.clone(), &mut |_| {}).unwrap();
    assert_eq!(body(&view, 1), b"a");
    view.append(Kind::Request, id(9), b"").unwrap_err();
    assert_eq!(view.region(), &region);
}

#[test]
fn what_is_no_log_says_what_it_is() {
    let sample = new(16).close().unwrap();
    let opened = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut region = sample.clone();
        change(region.octets_mut());
        let before = region.octets().to_vec();
        let error = inspect(region.clone(), &mut |_| {}).unwrap_err();
        let shown = titanic::log::Log::open(region, &crate::common::settings(16), &mut |_| {}).unwrap_err().to_string();
        assert_eq!((shown.lines().count(), shown), (1, error.to_string()));
        drop(before);
        error
    };
    assert!(matches!(opened(&|octets| octets.clear()), OpenError::NotALog));
    assert!(matches!(opened(&|octets| octets.fill(b'x')), OpenError::NotALog));
    let version = |octets: &mut Vec<u8>| [8, 520].into_iter().for_each(|at| octets[at] = 2);
    assert!(matches!(opened(&version), OpenError::Version { found: 2 }));
    let both = |octets: &mut Vec<u8>| [40, 552].into_iter().for_each(|at| octets[at] ^= 2);
    assert!(matches!(opened(&both), OpenError::Checkpoints));
    let cut = |octets: &mut Vec<u8>| octets.truncate(5000);
    assert!(matches!(opened(&cut), OpenError::Cut { found: 5000, expected: 9216 }));
}

#[test]
fn octets_that_look_like_a_record_of_another_log_are_none() {
    let mut stranger = titanic::log::Log::create(
        titanic::log::Memory::new(),
        LogId([1; 16]),
        &crate::common::settings(16),
        &mut |_| {},
    )
    .unwrap();
    request(&mut stranger, 7, b"forged");
    stranger.flush().unwrap();
    let mut log = new(16);
    request(&mut log, 1, b"mine");
    log.flush().unwrap();
    let mut region = log.region().clone();
    region.octets_mut()[1024 + 512..].copy_from_slice(&stranger.region().octets()[1024 + 512..]);
    let (log, _) = reopened(region, 16);
    assert_eq!((state(&log, 1), state(&log, 7)), (None, None));
    assert_eq!(log.durable(), Lsn(4096 + 512));
}
