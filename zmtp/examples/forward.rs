//! How many messages a second a router forwards, and what one costs: a one-threaded echo router against any number of
//! raw clients, which run in threads of their own and know just enough ZMTP not to be what is measured.
//!
//! `cargo run --release -p zmtp --example forward -- [clients] [outstanding each] [octets] [seconds] [threads]`
//!
//! Processor time is the router's threads alone, as the kernel counts it.
#![allow(clippy::print_stdout, reason = "its whole purpose")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use zmtp::{Event, Options, Router};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let numbers: Vec<usize> = std::env::args().skip(1).map(|text| text.parse()).collect::<Result<_, _>>()?;
    let number = |place: usize, default: usize| numbers.get(place).copied().unwrap_or(default);
    let (clients, outstanding, octets) = (number(0, 1), number(1, 1000), number(2, 64));
    let (seconds, threads) = (number(3, 3), number(4, 1));

    let (announce, endpoint) = std::sync::mpsc::channel();
    std::thread::Builder::new().name("router".into()).spawn(move || serve(threads, announce))?;
    let port = endpoint.recv()?;
    let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut crowd = Vec::new();
    for _ in 0..clients {
        let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
        crowd.push(std::thread::spawn(move || ask(port, outstanding, octets, &stop, &answered)));
    }
    std::thread::sleep(Duration::from_millis(500));
    let (start, before, busy) = (Instant::now(), answered.load(Relaxed), router_time()?);
    std::thread::sleep(Duration::from_secs(seconds as u64));
    let (messages, busy) = (answered.load(Relaxed) - before, router_time()? - busy);
    let elapsed = start.elapsed().as_secs_f64();
    stop.store(true, Relaxed);
    let each = busy.as_secs_f64() * 1e6 / messages as f64;
    println!(
        "{clients} x {outstanding}, {octets} octets: {:.0} messages/s, {each:.2} us of processor each, {:.0} % busy",
        messages as f64 / elapsed,
        100.0 * busy.as_secs_f64() / elapsed,
    );
    Ok(())
}

/// The router, on one thread or on a few.
fn serve(threads: usize, announce: std::sync::mpsc::Sender<u16>) {
    let runtime = match threads {
        1 => tokio::runtime::Builder::new_current_thread().enable_all().build(),
        _ => {
            let mut builder = tokio::runtime::Builder::new_multi_thread();
            builder.worker_threads(threads).thread_name("router").enable_all().build()
        }
    };
    let served = async move {
        let any = "tcp://127.0.0.1:0".parse().expect("a valid endpoint");
        let mut router = Router::bind(&[any], Options::default()).await.expect("a free port");
        let port = router.endpoints().first().and_then(zmtp::Endpoint::port).expect("bound to TCP");
        announce.send(port).expect("main waits for it");
        let mut events = Vec::new();
        loop {
            router.recv(&mut events).await;
            for event in events.drain(..) {
                if let Event::Message { peer, frames } = event {
                    let _ = router.try_send(peer, frames);
                }
            }
        }
    };
    runtime.expect("a runtime").block_on(async { tokio::spawn(served).await.expect("the echo never ends") });
}

/// Keeps `outstanding` messages on the way and counts what comes back.
fn ask(port: u16, outstanding: usize, octets: usize, stop: &AtomicBool, answered: &AtomicU64) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the router listens");
    let _ = stream.set_nodelay(true);
    let mut greeting = [&[0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 3, 0][..], b"NULL"].concat();
    greeting.resize(64, 0);
    greeting.extend_from_slice(b"\x04\x1c\x05READY\x0bSocket-Type\0\0\0\x06DEALER");
    stream.write_all(&greeting).expect("greeted");
    let mut theirs = [0; 64 + 43];
    stream.read_exact(&mut theirs).expect("greeted back");

    let mut message = match u8::try_from(octets) {
        Ok(short) => vec![0, short],
        Err(_) => [&[2][..], &(octets as u64).to_be_bytes()].concat(),
    };
    message.resize(message.len() + octets, b'x');
    stream.write_all(&message.repeat(outstanding)).expect("asked");
    let (mut buffer, mut part) = (vec![0; 256 << 10], 0);
    while !stop.load(Relaxed) {
        let Ok(received) = stream.read(&mut buffer) else { return };
        part += received;
        let whole = part / message.len();
        part %= message.len();
        answered.fetch_add(whole as u64, Relaxed);
        if stream.write_all(&message.repeat(whole)).is_err() {
            return;
        }
    }
}

/// Processor time of all threads named `router`, in user and in kernel mode.
fn router_time() -> std::io::Result<Duration> {
    let mut ticks = 0;
    for task in std::fs::read_dir("/proc/self/task")? {
        let stat = std::fs::read_to_string(task?.path().join("stat"))?;
        let Some((name, fields)) = stat.split_once(") ") else { continue };
        if name.contains("(router") {
            ticks += fields.split(' ').skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum::<u64>();
        }
    }
    // The kernel counts in hundredths of a second on every machine that we know.
    Ok(Duration::from_millis(ticks * 10))
}
