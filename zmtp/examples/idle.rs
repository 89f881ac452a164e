//! What an idle connection costs the router in memory: connects many peers from a second process, lets each say
//! something and hear it back, waits until the buffers are given back, and prints what is left.
//!
//! `cargo run --release -p zmtp --example idle -- [connections]`; raise `ulimit -n` above their number first.
#![allow(clippy::print_stdout, reason = "its whole purpose")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use zmtp::{Event, Options, Router};

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn main() -> Outcome {
    let mut arguments = std::env::args().skip(1);
    match (arguments.next(), arguments.next()) {
        (Some(port), Some(count)) => hold(port.parse()?, count.parse()?),
        (count, _) => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(measure(count.map_or(Ok(10_000), |count| count.parse())?))
        }
    }
}

async fn measure(count: usize) -> Outcome {
    let mut router = Router::bind(&["tcp://127.0.0.1:0".parse()?], Options::default()).await?;
    let port = router.endpoints().first().and_then(zmtp::Endpoint::port).ok_or("bound to TCP")?;
    let before = resident_kib()?;
    let mut child = Command::new(std::env::current_exe()?);
    child.args([port.to_string(), count.to_string()]).stdin(Stdio::piped());
    let mut child = child.spawn()?;
    let (mut events, mut answered) = (Vec::new(), 0);
    while answered < count {
        router.recv(&mut events).await;
        for event in events.drain(..) {
            if let Event::Message { peer, frames } = event {
                router.try_send(peer, frames)?;
                answered += 1;
            }
        }
    }
    let busy = resident_kib()?;
    // Buffers go after two to four seconds; heartbeats are answered by nobody here, so no longer than they allow.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let idle = resident_kib()?;
    let each = |kib: u64| (kib - before) as f64 / count as f64;
    println!("router alone: {before} KiB; {} connections", router.stats().connections);
    println!("after traffic: {busy} KiB, {:.1} KiB each; idle: {idle} KiB, {:.1} KiB each", each(busy), each(idle));
    child.kill()?;
    child.wait()?;
    Ok(())
}

/// The other process: connects, exchanges one message a connection, and holds them.
fn hold(port: u16, count: usize) -> Outcome {
    let mut greeting = [&[0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 3, 0][..], b"NULL"].concat();
    greeting.resize(64, 0);
    greeting.extend_from_slice(b"\x04\x1c\x05READY\x0bSocket-Type\0\0\0\x06DEALER\0\x05hello");
    let mut held = Vec::new();
    for _ in 0..count {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.write_all(&greeting)?;
        let mut answer = [0; 64 + 43 + 7];
        stream.read_exact(&mut answer)?;
        held.push(stream);
    }
    std::io::stdin().read_exact(&mut [0])?;
    Ok(())
}

fn resident_kib() -> Result<u64, Box<dyn std::error::Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
