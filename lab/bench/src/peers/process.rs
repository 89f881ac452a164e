//! A server process of ours: started, waited for, and ended by its own id.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::load::Curve;

/// Where a server listens.
#[derive(Debug, Clone, Copy)]
pub struct Addresses {
    /// For clients.
    pub clients: SocketAddr,
    /// For workers.
    pub workers: SocketAddr,
    /// How it is talked to, when it wants CURVE.
    pub curve: Option<Curve>,
}

impl Addresses {
    /// One address for both.
    pub fn shared(address: SocketAddr) -> Self {
        Self { clients: address, workers: address, curve: None }
    }

    /// For clients, and how.
    pub(crate) fn of_clients(&self) -> (SocketAddr, Option<&Curve>) {
        (self.clients, self.curve.as_ref())
    }

    /// For workers, and how.
    pub(crate) fn of_workers(&self) -> (SocketAddr, Option<&Curve>) {
        (self.workers, self.curve.as_ref())
    }
}

/// How a line of a server's output is read: the addresses that it announces, if it does.
type FindAddresses = fn(&str) -> Option<Addresses>;

/// A server that accepts connections; dropping it ends it.
#[derive(Debug)]
pub struct Server {
    child: Child,
    addresses: Addresses,
    last_words: LastWords,
    /// Configuration and such, which must live as long as the process.
    _files: Option<TempDir>,
}

impl Server {
    /// Where it listens.
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// Has it talked to over CURVE.
    #[must_use]
    pub fn with_curve(mut self, curve: Option<Curve>) -> Self {
        self.addresses.curve = curve;
        self
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The last lines that it printed, for an error message.
    pub fn last_words(&self) -> String {
        self.last_words.text()
    }

    /// Starts `command` and waits until `find_addresses` finds them in a line of its output or of its errors; `files`
    /// live as long as the process.
    ///
    /// # Errors
    /// It cannot be started, ends, or says nothing for half a minute.
    pub fn start_announcing(
        command: &mut Command,
        files: Option<TempDir>,
        find_addresses: FindAddresses,
    ) -> anyhow::Result<Self> {
        let (child, last_words, announced) = spawn(command, find_addresses)?;
        let unset = Addresses::shared(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)));
        let mut server = Self { child, addresses: unset, last_words, _files: files };
        match announced.recv_timeout(START_MAX) {
            Ok(addresses) => server.addresses = addresses,
            Err(RecvTimeoutError::Timeout) => {
                bail!("{command:?} did not say where it listens in {START_MAX:?}\n{}", server.last_words())
            }
            Err(RecvTimeoutError::Disconnected) => {
                bail!("{command:?} ended before it listened\n{}", server.last_words())
            }
        }
        Ok(server)
    }

    /// Starts `command`, which was told to listen at `address` and says nothing about it, and waits until it accepts.
    pub(super) fn start_silent(
        command: &mut Command,
        files: Option<TempDir>,
        address: SocketAddr,
    ) -> anyhow::Result<Self> {
        let (child, last_words, _) = spawn(command, |_| None)?;
        let mut server = Self { child, addresses: Addresses::shared(address), last_words, _files: files };
        let end = Instant::now() + START_MAX;
        while TcpStream::connect(address).is_err() {
            if let Some(status) = server.child.try_wait()? {
                bail!("{command:?} ended before it listened ({status})\n{}", server.last_words());
            }
            if Instant::now() > end {
                bail!("{command:?} does not listen at {address} after {START_MAX:?}\n{}", server.last_words());
            }
            thread::sleep(POLL_INTERVAL);
        }
        Ok(server)
    }

    /// Starts `command`, which listens nowhere and says nothing.
    pub(super) fn start_mute(command: &mut Command, files: Option<TempDir>) -> anyhow::Result<Self> {
        let (child, last_words, _) = spawn(command, |_| None)?;
        let nowhere = Addresses::shared(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)));
        Ok(Self { child, addresses: nowhere, last_words, _files: files })
    }

    /// Ends it at once.
    pub(super) fn kill(mut self) {
        // Errors mean that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn ended_within(&mut self, time: Duration) -> bool {
        let end = Instant::now() + time;
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() > end {
                return false;
            }
            thread::sleep(POLL_INTERVAL);
        }
        true
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Errors here mean that it has ended already, which is what is wanted.
        if let Ok(pid) = i32::try_from(self.child.id()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        if !self.ended_within(STOP_MAX) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// A port of the loopback that was free a moment ago, for servers that cannot be told "any".
pub(super) fn free_address() -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port on the loopback")?;
    Ok(listener.local_addr()?)
}

fn spawn(
    command: &mut Command,
    find_addresses: FindAddresses,
) -> anyhow::Result<(Child, LastWords, Receiver<Addresses>)> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {command:?}"))?;
    let (sender, receiver) = channel();
    let last_words = LastWords::default();
    if let Some(output) = child.stdout.take() {
        last_words.follow(output, sender.clone(), find_addresses);
    }
    if let Some(errors) = child.stderr.take() {
        last_words.follow(errors, sender, find_addresses);
    }
    Ok((child, last_words, receiver))
}

/// The end of what a process has printed.
#[derive(Debug, Clone, Default)]
struct LastWords(Arc<Mutex<VecDeque<String>>>);

impl LastWords {
    /// Reads `stream` to its end in a thread, so that the process never blocks on a full pipe.
    fn follow(&self, stream: impl Read + Send + 'static, announce: Sender<Addresses>, find_addresses: FindAddresses) {
        let lines = Arc::clone(&self.0);
        thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                if let Some(addresses) = find_addresses(&line) {
                    // Nobody waits for a second announcement.
                    let _ = announce.send(addresses);
                }
                let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
                lines.push_back(line);
                if lines.len() > LINES_MAX {
                    lines.pop_front();
                }
            }
        });
    }

    fn text(&self) -> String {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().map(|line| format!("    {line}\n")).collect()
    }
}

const START_MAX: Duration = Duration::from_secs(30);
const STOP_MAX: Duration = Duration::from_secs(5);
const POLL_INTERVAL: Duration = Duration::from_millis(10);
const LINES_MAX: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    fn after_ready(line: &str) -> Option<Addresses> {
        line.strip_prefix("ready ")?.parse().ok().map(Addresses::shared)
    }

    #[test]
    fn the_announced_address_is_found_and_the_process_ends_with_its_server() {
        let script = "echo hello >&2; echo ready 127.0.0.1:99; exec sleep 1000";
        let server = Server::start_announcing(&mut shell(script), None, after_ready).unwrap();
        assert_eq!(server.addresses().workers, "127.0.0.1:99".parse().unwrap());
        let path = format!("/proc/{}", server.pid());
        assert!(std::path::Path::new(&path).exists());
        drop(server);
        assert!(!std::path::Path::new(&path).exists());
    }

    #[test]
    fn a_process_that_ends_at_once_is_an_error_with_its_last_words() {
        let error = Server::start_announcing(&mut shell("echo no luck >&2"), None, after_ready).unwrap_err();
        assert!(error.to_string().contains("ended before it listened"), "{error}");
        let address = free_address().unwrap();
        assert!(Server::start_silent(&mut shell("exit 3"), None, address).is_err());
    }

    #[test]
    fn a_process_that_ignores_the_request_to_end_is_killed() {
        let script = "trap '' TERM; echo ready 127.0.0.1:99; while :; do sleep 1; done";
        let server = Server::start_announcing(&mut shell(script), None, after_ready).unwrap();
        let path = format!("/proc/{}", server.pid());
        drop(server);
        assert!(!std::path::Path::new(&path).exists());
    }
}
