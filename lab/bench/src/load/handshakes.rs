//! CURVE handshakes, one after the other or as a flood of those that come to nothing.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use super::tunnel::Curve;
use crate::measure::{Gauge, Placement};

/// What so many whole handshakes took.
#[derive(Debug, Clone, Copy)]
pub struct Handshakes {
    /// Handshakes, from the connection to READY, each on a connection of its own.
    pub count: u32,
    /// The time that they took.
    pub elapsed: Duration,
    /// The server's processor time for them, connections included.
    pub server: Duration,
}

/// Shakes hands with the server at `address` for `time`, one connection at a time.
///
/// # Errors
/// The server cannot be reached, or refuses.
pub fn shake_hands(address: SocketAddr, curve: &Curve, time: Duration, gauge: &Gauge) -> anyhow::Result<Handshakes> {
    shake(address, curve)?;
    let (before, start, mut count) = (gauge.read()?, Instant::now(), 0);
    while start.elapsed() < time {
        shake(address, curve)?;
        count += 1;
    }
    let (elapsed, after) = (start.elapsed(), gauge.read()?);
    Ok(Handshakes { count, elapsed, server: after.server.saturating_sub(before.server) })
}

fn shake(address: SocketAddr, curve: &Curve) -> anyhow::Result<()> {
    let (mut socket, mut handshake) = (connect(address)?, curve.handshake()?);
    let (mut held, mut part) = (Vec::new(), [0; 1024]);
    loop {
        socket.write_all(&handshake.take_output())?;
        let received = socket.read(&mut part)?;
        if received == 0 {
            bail!("the server closed in the handshake");
        }
        held.extend_from_slice(part.get(..received).unwrap_or_default());
        let mut consumed = 0;
        let done = handshake.feed(&held, &mut consumed)?;
        held.drain(..consumed);
        if done.is_some() {
            return Ok(());
        }
    }
}

/// A thread that keeps a server busy with handshakes that come to nothing; dropping it ends it.
///
/// By turns it stops after the greeting, stops after a HELLO that the server has to answer, and sends a HELLO that
/// nobody's keys have made. Those that stop are kept open, a thousand at a time.
#[derive(Debug)]
pub struct Flood {
    ended: Arc<AtomicBool>,
    tried: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Flood {
    /// Begins.
    ///
    /// # Errors
    /// The system gives no random octets, or no thread.
    pub fn start(address: SocketAddr, curve: Curve, placement: Placement) -> anyhow::Result<Self> {
        let (ended, tried) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (is_over, count) = (Arc::clone(&ended), Arc::clone(&tried));
        let run = move || {
            let mut held = VecDeque::new();
            while !is_over.load(Ordering::Relaxed) {
                let number = count.fetch_add(1, Ordering::Relaxed);
                // A server that is full, or has hung up already, is what a flood is for.
                let Ok(socket) = half_open(address, &curve, number) else { continue };
                held.push_back(socket);
                if held.len() > HELD_MAX {
                    held.pop_front();
                }
            }
        };
        // Not on the core of the client whose latency is measured.
        let thread = placement.start_server(|| Ok(std::thread::Builder::new().spawn(run)?))?;
        Ok(Self { ended, tried, thread: Some(thread) })
    }

    /// Connections so far.
    pub fn tried(&self) -> u64 {
        self.tried.load(Ordering::Relaxed)
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic in there has been printed already.
            let _ = thread.join();
        }
    }
}

fn half_open(address: SocketAddr, curve: &Curve, number: u64) -> anyhow::Result<TcpStream> {
    let mut socket = connect(address)?;
    let mut handshake = curve.handshake()?;
    socket.write_all(&handshake.take_output())?;
    if number.is_multiple_of(3) {
        return Ok(socket);
    }
    // HELLO follows what the server's greeting brings about.
    let (mut greeting, mut consumed) = ([0; GREETING_BYTES], 0);
    socket.read_exact(&mut greeting)?;
    handshake.feed(&greeting, &mut consumed)?;
    let mut said = handshake.take_output();
    if number % 3 == 1 {
        // The last octet belongs to the box.
        *said.last_mut().context("nothing was said")? ^= 1;
    }
    socket.write_all(&said)?;
    Ok(socket)
}

fn connect(address: SocketAddr) -> anyhow::Result<TcpStream> {
    let socket = TcpStream::connect_timeout(&address, PATIENCE).context("cannot connect")?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    Ok(socket)
}

const GREETING_BYTES: usize = 64;
/// More than a server should keep half-open.
const HELD_MAX: usize = 1000;
const PATIENCE: Duration = Duration::from_secs(5);
