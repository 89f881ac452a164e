//! The real binary as processes of a test, and a raw ZMTP peer that can misbehave in ways no library allows.
#![allow(dead_code, unreachable_pub, reason = "each test file uses the part that it needs")]

pub mod keys;
pub mod node;
pub mod raw;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A `majordomo` process; killed when dropped.
pub struct Majordomo {
    child: Child,
    /// Where it listens, if it is a server.
    pub endpoint: String,
}

impl Majordomo {
    /// Starts a broker on a free port and waits until it is ready.
    pub fn broker(arguments: &[&str]) -> Self {
        let port_free = ["broker", "--bind", "tcp://127.0.0.1:0"];
        Self::server(&[&port_free, arguments].concat())
    }

    /// Starts a broker and waits until it is ready.
    pub fn broker_with(arguments: &[&str]) -> Self {
        Self::server(&[&["broker"], arguments].concat())
    }

    /// Starts a broker at an endpoint that was used before.
    pub fn broker_at(endpoint: &str) -> Self {
        Self::server(&["broker", "--bind", endpoint])
    }

    /// Starts a server and waits until it is ready.
    pub fn server(arguments: &[&str]) -> Self {
        let mut child = command(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let endpoint = line.trim().strip_prefix("ready ").unwrap_or_else(|| panic!("not ready: {line:?}")).to_owned();
        Self { child, endpoint }
    }

    /// Starts a worker (`echo --service x`, …) of the broker at `endpoint`.
    pub fn worker(endpoint: &str, arguments: &[&str]) -> Self {
        let (kind, rest) = arguments.split_first().unwrap();
        let child = command(&[&["worker", kind, "--broker", endpoint], rest].concat()).spawn().unwrap();
        Self { child, endpoint: endpoint.to_owned() }
    }

    /// Starts an echo worker and waits until the broker knows it.
    pub fn echo(endpoint: &str) -> Self {
        let worker = Self::worker(endpoint, &["echo"]);
        wait_for_workers(endpoint, "echo", 1);
        worker
    }

    /// Starts a Titanic at the broker at `endpoint`.
    pub fn titanic(endpoint: &str, arguments: &[&str]) -> Self {
        let child = command(&[&["titanic", "--broker", endpoint], arguments].concat()).spawn().unwrap();
        Self { child, endpoint: endpoint.to_owned() }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// kill -9.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
    }

    /// Waits for its end and gives the exit status.
    pub fn wait(mut self, patience: Duration) -> Option<i32> {
        let end = Instant::now() + patience;
        while Instant::now() < end {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("still runs after {patience:?}");
    }

    /// Resident memory, in MiB.
    pub fn rss_mib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
    }
}

impl Drop for Majordomo {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_majordomo"));
    command.args(arguments).stdin(Stdio::null()).env("MAJORDOMO_LOG", "error");
    command
}

/// Runs the binary to its end.
pub fn run(arguments: &[&str]) -> Output {
    command(arguments).output().unwrap()
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Calls a service and gives the reply's lines.
pub fn call(endpoint: &str, arguments: &[&str]) -> Vec<String> {
    let output = run(&[&["call", "--broker", endpoint], arguments].concat());
    assert!(output.status.success(), "call {arguments:?}: {}", stderr(&output));
    stdout(&output).lines().map(str::to_owned).collect()
}

/// What a server tells Prometheus.
pub fn metrics(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    page
}

/// Waits until a service has that many workers, asking the broker itself.
pub fn wait_for_workers(endpoint: &str, service: &str, workers: u64) {
    wait_until(&format!("{workers} workers of {service}"), || {
        let output = run(&["services", "--broker", endpoint, "--json"]);
        stdout(&output).lines().any(|line| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            line["service"] == service && line["workers"].as_u64() >= Some(workers)
        })
    });
}

/// Asks again and again until the answer is yes; a minute is for ever.
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < end, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The Python with the foreign peers. Without these modules a test fails, unless the run was told to be offline.
pub fn python(modules: &str) -> Option<Command> {
    let python = std::env::var("MAJORDOMO_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let import = format!("import {modules}");
    if Command::new(&python).args(["-c", &import]).output().is_ok_and(|output| output.status.success()) {
        return Some(Command::new(python));
    }
    assert!(
        std::env::var("MAJORDOMO_TEST_OFFLINE").is_ok_and(|value| value == "1"),
        "{python} cannot {import}: cargo xtask test installs them (MAJORDOMO_TEST_OFFLINE=1 leaves them out)"
    );
    eprintln!("not run: no Python that can {import}");
    None
}
