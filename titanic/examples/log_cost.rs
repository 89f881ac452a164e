//! What the log costs, in a file of 1 GiB: appending, opening again, and the memory of a million open requests.
//!
//! `cargo run --release -p titanic --example log_cost -- FILE`; the file is made, and removed at the end.

#![allow(clippy::print_stdout, reason = "a program for people: its lines are its result")]

use std::path::Path;
use std::time::Instant;

use titanic::log::{self, Id, Kind, Log, LogId, Memory, Settings, State};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let name = std::env::args().nth(1).unwrap_or_else(|| "log_cost.tmp".to_owned());
    let path = Path::new(&name);
    let settings = Settings { capacity_bytes: 2 << 30, initial_bytes: 1 << 30, geometry: None };
    let begun = Instant::now();
    let (mut log, _) = log::open(path, LogId([7; 16]), &settings, &mut |_| {})?;
    println!("zeroing 1 GiB: {:.2} s", begun.elapsed().as_secs_f64());

    let begun = Instant::now();
    for number in 0..REQUESTS {
        log.append(Kind::Request, Id(number.to_le_bytes()), &[1; PAYLOAD_BYTES])?;
        if number % BATCH == BATCH - 1 {
            log.flush()?;
        }
    }
    log.flush()?;
    let seconds = begun.elapsed().as_secs_f64();
    println!("{REQUESTS} requests of {PAYLOAD_BYTES} octets, a flush every {BATCH}: {seconds:.2} s");
    drop(log);

    let before = resident_bytes();
    let begun = Instant::now();
    let (log, report) = log::open(path, LogId([7; 16]), &settings, &mut |_| {})?;
    let seconds = begun.elapsed().as_secs_f64();
    let scanned = report.scanned_bytes as f64 / f64::from(1 << 30);
    println!("opening {scanned:.2} GiB: {seconds:.2} s, {:.2} s a GiB", seconds / scanned);
    println!("{} open, in {} MB", log.count(State::Open), (resident_bytes() - before) / 1_000_000);

    let begun = Instant::now();
    for number in (0..REQUESTS).step_by(3) {
        let id = Id(number.to_le_bytes());
        let location = log.find(&id).and_then(log::Entry::request).ok_or("it is open")?;
        log.read(&id, location)?;
    }
    println!("reading one of three: {:.2} µs each", begun.elapsed().as_secs_f64() * 3e6 / REQUESTS as f64);
    drop(log);
    std::fs::remove_file(path)?;

    let mut memory = Log::create(Memory::new(), LogId([7; 16]), &settings, &mut |_| {})?;
    let begun = Instant::now();
    for number in 0..REQUESTS {
        let id = Id(number.to_le_bytes());
        memory.append(Kind::Request, id, &[1; 128])?;
        memory.append(Kind::Answer, id, &[1; 128])?;
        memory.append(Kind::Closed, id, b"")?;
        if number % BATCH == BATCH - 1 {
            memory.flush()?;
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    println!("{REQUESTS} lives of 128 octets in memory: {:.2} µs each", seconds * 1e6 / REQUESTS as f64);
    Ok(())
}

/// The memory that this process has, without the pages of the file.
fn resident_bytes() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kilobytes| kilobytes.parse::<i64>().ok()).unwrap_or(0) * 1024
}

const REQUESTS: u128 = 1_000_000;
const PAYLOAD_BYTES: usize = 900;
const BATCH: u128 = 256;
