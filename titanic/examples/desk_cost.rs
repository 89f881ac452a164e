//! What one submit costs in the machines alone: no sockets, no clock, no disk. Run in release: it prints nanoseconds a
//! submit, from the REQUEST that a broker sends to the FINAL that it gets.
//!
//! `desk_cost [SUBMITS] [BATCH]`. Under `valgrind --tool=callgrind` a few hundred thousand tell the instructions of
//! one.

#![allow(clippy::print_stdout, reason = "a program for people: its line is its result")]

use std::time::Duration;

use protocol::mdp::v03::{JobNumber, Options, ToClient, ToWorker, worker};
use protocol::{Frames, Instant, Machine, RequestId};
use titanic::desk::{Chance, Desk, Input, Output, Side};
use titanic::log::{Id, Log, LogId, Memory, Settings};
use titanic::store::{Config, Verb};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let argument = |place, usual| std::env::args().nth(place).map_or(Ok(usual), |text| text.parse());
    let (count, batch): (u64, u64) = (argument(1, SUBMITS)?, argument(2, BATCH)?);
    let settings = Settings { capacity_bytes: 4 << 30, initial_bytes: 1 << 30, geometry: None };
    let log = Log::create(Memory::new(), LogId([7; 16]), &settings, &mut |_| {})?;
    let mut desk = Desk::new(log, Config::default(), 1 << 40, Chance::default(), Box::new(|| Id([1; 16])));
    let now = Instant::from_millis(1000);
    for side in [Side::Worker, Side::Client] {
        desk.handle(now, Input::Connected(side));
    }
    let heartbeat = ToWorker::Heartbeat(Duration::from_secs(2)).encode();
    desk.handle(now, Input::Message(Side::Worker, heartbeat));
    desk.handle(now, Input::Message(Side::Client, ToClient::Heartbeat.encode()));
    let (mut asked, mut answered) = (0, 0);
    let begun = std::time::Instant::now();
    while answered < count {
        while asked < answered + batch {
            asked += 1;
            desk.handle(now, Input::Message(Side::Worker, submit(asked)?));
        }
        let mut due = None;
        while let Some(output) = desk.poll() {
            match output {
                Output::Send(Side::Worker, frames) => answered += u64::from(frames.len() > 1),
                Output::Flush { job, .. } => due = Some(job),
                _ => {}
            }
        }
        if let Some(job) = due {
            desk.handle(now, Input::Flushed(job));
        }
    }
    println!("{} ns a submit", begun.elapsed().as_nanos() / u128::from(count));
    Ok(())
}

fn submit(number: u64) -> Result<Frames, protocol::PeerFault> {
    let id = u128::from(number.wrapping_mul(0x9e37_79b9_7f4a_7c15)) | 1 << 100;
    let body = [&b"echo"[..], BODY].into_iter().map(bytes::Bytes::from_static).collect();
    let request = worker::Request {
        job: JobNumber(number),
        attempt: 1,
        remaining: None,
        id: Some(RequestId(id.to_be_bytes())),
        service: protocol::ServiceName::new(Verb::Request.service())?,
        options: Options::none(),
        body,
    };
    Ok(ToWorker::Request(request).encode())
}

const SUBMITS: u64 = 2_000_000;
const BATCH: u64 = 256;
const BODY: &[u8] = &[b'x'; 128];
