//! What one submit costs a Titanic in a broker's process: two threads that hand messages to each other, and no broker.
//! Run in release: it prints microseconds a submit while so many are outstanding, in memory.
//!
//! `inside_cost [SUBMITS] [OUTSTANDING]`

#![allow(clippy::print_stdout, reason = "a program for people: its line is its result")]

use std::time::{Duration, Instant};

use bytes::Bytes;
use protocol::mdp::v03::{FromWorker, JobNumber, Options, ToWorker, worker};
use protocol::{Frames, PeerFault, PeerId, RequestId, ServiceName};
use runtime::Shutdown;
use runtime::local::{Event, Host};
use titanic::log::Settings;
use titanic::server::Server;
use titanic::store::{Config, Verb};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let argument = |place, usual| std::env::args().nth(place).map_or(Ok(usual), |text| text.parse());
    let (count, outstanding): (u64, u64) = (argument(1, SUBMITS)?, argument(2, OUTSTANDING)?);
    let settings = Settings { capacity_bytes: 4 << 30, ..Settings::default() };
    let titanic = Server::in_memory(&settings, Config::default())?;
    let mut host = Host::new(100_000, 1 << 30);
    let (entrance, (_trigger, shutdown)) = (host.entrance(), Shutdown::new());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::spawn(move || runtime.block_on(titanic.serve_inside(entrance, shutdown)));
    let (mut asked, mut answered, mut begun) = (0, 0, Instant::now());
    let mut events = Vec::new();
    while answered < count {
        host.recv(&mut events).await;
        for event in events.drain(..) {
            let Event::Message { peer, frames } = event else { continue };
            match FromWorker::decode(frames) {
                Ok(FromWorker::Ready(_)) => {
                    host.send(peer, ToWorker::Heartbeat(Duration::from_secs(60)).encode());
                    begun = Instant::now();
                    asked = submit(&mut host, peer, 0, outstanding)?;
                }
                Ok(FromWorker::Final { .. }) => {
                    answered += 1;
                    asked = submit(&mut host, peer, asked, asked + 1)?;
                }
                _ => {}
            }
        }
        host.flush();
    }
    println!("{:.3} us a submit", begun.elapsed().as_secs_f64() * 1e6 / count.max(1) as f64);
    Ok(())
}

/// The requests from one number to another, as a broker says them.
fn submit(host: &mut Host, peer: PeerId, from: u64, to: u64) -> Result<u64, PeerFault> {
    let service = ServiceName::new(Verb::Request.service())?;
    for number in from..to {
        let id = u128::from(number.wrapping_mul(0x9e37_79b9_7f4a_7c15)) | 1 << 100;
        let id = Some(RequestId(id.to_be_bytes()));
        let read = Bytes::from([&b"echo"[..], &[b'x'; 128]].concat());
        let body = Frames::from([read.slice(..4), read.slice(4..)]);
        let parts = (&service, &Options::none());
        host.send(peer, worker::Request::write(JobNumber(number), 1, None, id, parts, body));
    }
    Ok(to)
}

const SUBMITS: u64 = 1_000_000;
const OUTSTANDING: u64 = 256;
