//! Keys and allow files of a test, made by the real command, and peers on libzmq with libsodium.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Output, Stdio};

use tempfile::TempDir;

use super::{Majordomo, run, stderr, wait_until};

/// A folder of keys, made by the real command, and an allow file.
pub struct Folder(TempDir);

impl Folder {
    /// Keys of a broker, a worker, and these others. The worker may offer and ask all.
    pub fn new(others: &[&str]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        for name in ["broker", "worker"].iter().chain(others) {
            let output = run(&["keygen", "--out", &folder.path(""), "--name", name]);
            assert!(output.status.success(), "{}", stderr(&output));
        }
        folder.allow(&[]);
        folder
    }

    pub fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    pub fn public(&self, name: &str) -> String {
        let text = std::fs::read_to_string(self.path(&format!("{name}.pub"))).unwrap();
        text.lines().find(|line| !line.starts_with('#')).unwrap().to_owned()
    }

    /// Writes the allow file: the worker, and each of `peers` with what it may.
    pub fn allow(&self, peers: &[(&str, &str)]) {
        let worker = ("worker", "offer = [\"*\"]\ncall = [\"*\"]");
        let tables: String = [&[worker], peers].concat().iter().map(|(name, rights)| self.peer(name, rights)).collect();
        // A new file takes the old one's place, so that the broker never reads half of one.
        std::fs::write(self.path("allow.new"), tables).unwrap();
        std::fs::rename(self.path("allow.new"), self.path("allow.toml")).unwrap();
    }

    pub fn peer(&self, name: &str, rights: &str) -> String {
        format!("[[peer]]\nkey = '{}'\nname = \"{name}\"\n{rights}\n", self.public(name))
    }

    pub fn broker(&self, more: &[&str]) -> Majordomo {
        let (secret, allow) = (self.path("broker.key"), self.path("allow.toml"));
        Majordomo::broker(&[&["--curve-secret", &secret, "--allow", &allow], more].concat())
    }

    /// The flags of a command that connects as `name`.
    pub fn flags(&self, name: &str) -> Vec<String> {
        let (server, secret) = (format!("file:{}", self.path("broker.pub")), self.path(&format!("{name}.key")));
        ["--curve-server-key", &server, "--curve-secret", &secret].map(str::to_owned).to_vec()
    }

    pub fn call(&self, name: &str, broker: &Majordomo, arguments: &[&str]) -> Output {
        call(broker, &self.flags(name).iter().map(String::as_str).chain(arguments.iter().copied()).collect::<Vec<_>>())
    }

    /// An echo worker under the worker's key, once it is registered.
    pub fn echo(&self, broker: &Majordomo) -> Majordomo {
        let flags = self.flags("worker");
        let flags: Vec<_> = flags.iter().map(String::as_str).collect();
        let worker = Majordomo::worker(&broker.endpoint, &[&["echo"], &flags[..]].concat());
        wait_until("the echo worker", || self.call("worker", broker, &["mmi.service", "echo"]).stdout == b"200\n");
        worker
    }

    pub fn pyzmq(&self, name: &str, broker: &Majordomo, role: &str, service: &str) -> Option<Pyzmq> {
        let (server, keys) = (self.path("broker.pub"), self.path(&format!("{name}.key")));
        Pyzmq::start(broker, &[role, service, "--server", &server, "--keys", &keys])
    }
}

pub fn call(broker: &Majordomo, arguments: &[&str]) -> Output {
    run(&[&["call", "--broker", &broker.endpoint, "--timeout", "2s"], arguments].concat())
}

/// Exit status 1 with one line that has all the parts.
pub fn assert_refused(output: &Output, parts: &[&str]) {
    let text = stderr(output);
    assert_eq!((output.status.code(), text.lines().count()), (Some(1), 1), "{text}");
    assert!(parts.iter().all(|part| text.contains(part)), "{parts:?}: {text}");
}

/// Exit status 2 with one line that has all the parts.
pub fn assert_unusable(arguments: &[&str], parts: &[&str]) {
    let output = run(arguments);
    let text = stderr(&output);
    assert_eq!((output.status.code(), text.lines().count()), (Some(2), 1), "{arguments:?}: {text}");
    assert!(parts.iter().all(|part| text.contains(part)), "{parts:?}: {text}");
}

/// A peer on libzmq, asked a line at a time; killed when dropped.
pub struct Pyzmq {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Pyzmq {
    pub fn start(broker: &Majordomo, arguments: &[&str]) -> Option<Self> {
        let mut command = super::python("zmq")?;
        command.arg(format!("{}/tests/peers/secure.py", env!("CARGO_MANIFEST_DIR"))).arg(&broker.endpoint);
        let mut child = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Some(Self { child, input, output: BufReader::new(output) })
    }

    pub fn ask(&mut self, body: &str) -> String {
        writeln!(self.input, "{body}").unwrap();
        self.line()
    }

    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}

impl Drop for Pyzmq {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a client of the echo worker needs.
pub const MAY_ECHO: &str = "call = [\"echo\"]";
