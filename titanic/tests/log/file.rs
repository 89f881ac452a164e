//! The log in a file: made whole or not at all, held by one, and each way in which a file is no log told in one line.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use titanic::log::{self, Log, MappedFile, OpenError, Recovery, Region, State};

use crate::common::{SECRET, body, request, settings, state};

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn log(&self) -> PathBuf {
        self.0.path().join("titanic.log")
    }
}

fn open(path: &Path) -> Result<(Log<MappedFile>, Recovery), OpenError> {
    log::open(path, SECRET, &settings(32), &mut |_| {})
}

#[test]
fn a_new_log_has_all_its_blocks_and_tells_how_far_it_is() {
    let folder = Folder::new();
    let settings = log::Settings { initial_bytes: 8 << 20, ..log::Settings::default() };
    let mut heard = Vec::new();
    let (log, _) = log::open(&folder.log(), SECRET, &settings, &mut |progress| heard.push(progress)).unwrap();
    let metadata = fs::metadata(folder.log()).unwrap();
    assert!(metadata.blocks() * 512 >= metadata.len(), "{} of {}", metadata.blocks() * 512, metadata.len());
    assert_eq!(heard.last().map(|last| last.done), heard.last().map(|last| last.total));
    assert!(heard.is_sorted_by_key(|progress| progress.done) && heard.len() > 1);
    assert_eq!(log.region().len(), metadata.len());
    assert_eq!(fs::read_dir(folder.0.path()).unwrap().count(), 1, "nothing else is left behind");
}

#[test]
fn what_was_flushed_is_there_when_the_file_is_opened_again() {
    let folder = Folder::new();
    let (mut log, _) = open(&folder.log()).unwrap();
    let long = vec![9; 9000];
    request(&mut log, 1, b"coffee");
    request(&mut log, 2, &long);
    log.flush().unwrap();
    assert_eq!((body(&log, 1), body(&log, 2)), (b"coffee".to_vec(), long.clone()));
    drop(log);
    let (log, report) = open(&folder.log()).unwrap();
    assert_eq!((body(&log, 1), body(&log, 2)), (b"coffee".to_vec(), long));
    assert!(!report.is_damaged());
}

#[test]
fn a_flush_may_be_done_by_another_thread_while_more_is_appended() {
    let folder = Folder::new();
    let (mut log, _) = open(&folder.log()).unwrap();
    let flusher = log.region().flusher();
    let (jobs, to_do) = std::sync::mpsc::channel();
    let (done, acknowledged) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        for job in to_do {
            flusher.flush().unwrap();
            done.send(job).unwrap();
        }
    });
    let mut last = None;
    for number in 0..100 {
        last = Some(request(&mut log, number, &[number; 20]));
        jobs.send(log.write_out().unwrap().unwrap()).unwrap();
        acknowledged.try_iter().for_each(|job| log.on_flushed(job));
    }
    drop(jobs);
    acknowledged.iter().for_each(|job| log.on_flushed(job));
    thread.join().unwrap();
    assert!(log.is_durable(last.unwrap()));
    assert_eq!(log.count(State::Open), 100);
}

#[test]
fn a_second_opener_is_told_who_holds_the_log() {
    let folder = Folder::new();
    let (mut log, _) = open(&folder.log()).unwrap();
    request(&mut log, 1, b"coffee");
    log.flush().unwrap();
    let error = open(&folder.log()).unwrap_err();
    let us = std::process::id();
    assert!(matches!(error, OpenError::Held { holder } if holder == Some(us)), "{error}");
    assert_eq!(error.to_string(), format!("the log is held by process {us}"));
    let (view, _, holder) = log::open_read_only(&folder.log(), &mut |_| {}).unwrap();
    assert_eq!((body(&view, 1), holder), (b"coffee".to_vec(), Some(us)));
    drop(log);
    open(&folder.log()).unwrap();
}

#[test]
fn another_process_that_holds_the_log_is_named_by_its_number() {
    let folder = Folder::new();
    drop(open(&folder.log()).unwrap());
    let Ok(mut child) = Command::new("flock")
        .arg("-x")
        .arg(folder.log())
        .args(["-c", "echo held; read never"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
    else {
        return;
    };
    let mut word = [0; 5];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut word).unwrap();
    let error = open(&folder.log()).unwrap_err();
    assert!(matches!(error, OpenError::Held { holder } if holder == Some(child.id())), "{error}");
    drop(child.stdin.take());
    child.wait().unwrap();
    open(&folder.log()).unwrap();
}

/// Each kind of file that is no log of ours: one line that says so, and not an octet changed.
#[test]
fn files_that_cannot_be_opened_are_left_as_they_are() {
    let folder = Folder::new();
    drop(open(&folder.log()).unwrap().0.close().unwrap());
    let good = fs::read(folder.log()).unwrap();
    let mut newer = good.clone();
    [8, 520].into_iter().for_each(|at| newer[at] = 9);
    let cases = [
        (Vec::new(), "this is not a Titanic log"),
        (b"hello, world\n".repeat(1000), "this is not a Titanic log"),
        (newer, "this is a log of version 9; this program reads version 1"),
        (good[..good.len() / 2].to_vec(), "the log was cut: 4608 of 9216 octets are there"),
    ];
    for (octets, told) in cases {
        fs::write(folder.log(), &octets).unwrap();
        assert_eq!(open(&folder.log()).unwrap_err().to_string(), told);
        assert_eq!(fs::read(folder.log()).unwrap(), octets, "{told}");
    }
    fs::remove_file(folder.log()).unwrap();
    fs::create_dir(folder.log()).unwrap();
    assert!(matches!(open(&folder.log()).unwrap_err(), OpenError::Io(_)));
}

#[test]
fn a_log_that_was_cut_is_refused_and_made_whole_again_gives_what_was_left() {
    let folder = Folder::new();
    let (mut log, _) = open(&folder.log()).unwrap();
    for number in 0..20 {
        request(&mut log, number, &[number; 400]);
    }
    log.close().unwrap();
    let file = File::options().write(true).open(folder.log()).unwrap();
    let len = file.metadata().unwrap().len();
    file.set_len(len / 4).unwrap();
    assert!(matches!(open(&folder.log()).unwrap_err(), OpenError::Cut { .. }));
    // What is left is not lost with what is gone: zeros at the end make it a log with holes.
    file.set_len(len).unwrap();
    let (log, report) = open(&folder.log()).unwrap();
    let (first, last) = (state(&log, 0), state(&log, 19));
    assert!(report.lost_bytes > 0, "{report:?}");
    assert_eq!((first, last), (Some(State::Open), None));
}

#[test]
fn a_crash_while_a_log_is_made_leaves_none_and_the_next_try_succeeds() {
    let folder = Folder::new();
    let unfinished = folder.0.path().join("titanic.log.new");
    fs::write(&unfinished, b"half of a log").unwrap();
    let (log, _) = open(&folder.log()).unwrap();
    assert!(!unfinished.exists() && log.entries().is_empty());
}

#[test]
fn a_checkpoint_that_is_damaged_is_reported_and_its_sibling_serves() {
    let folder = Folder::new();
    let (mut log, _) = open(&folder.log()).unwrap();
    request(&mut log, 1, b"coffee");
    log.close().unwrap();
    let good = fs::read(folder.log()).unwrap();
    for place in [20, 532] {
        fs::write(folder.log(), &good).unwrap();
        let file = File::options().write(true).open(folder.log()).unwrap();
        file.write_all_at(b"?", place).unwrap();
        let (log, report) = open(&folder.log()).unwrap();
        assert_eq!((body(&log, 1), report.bad_checkpoints, report.lost_bytes), (b"coffee".to_vec(), 1, 0));
    }
}
