//! A node of the mesh as a process of a test: it prints an object for each event, and is told what to say by lines.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// The process; killed when dropped.
pub struct Node {
    child: Child,
    input: Option<ChildStdin>,
    events: Receiver<Value>,
    /// What has been heard and not been waited for yet, in order.
    unread: Vec<Value>,
}

/// A minute is for ever.
const PATIENCE: Duration = Duration::from_secs(60);

impl Node {
    pub fn start(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (sender, events) = channel();
        let output = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let event = serde_json::from_str(&line).unwrap_or_else(|_| panic!("no JSON: {line}"));
                if sender.send(event).is_err() {
                    return;
                }
            }
        });
        Self { input: child.stdin.take(), child, events, unread: Vec::new() }
    }

    /// Says a line.
    pub fn say(&mut self, line: &str) {
        let input = self.input.as_mut().unwrap();
        input.write_all(format!("{line}\n").as_bytes()).and_then(|()| input.flush()).unwrap();
    }

    /// Waits for an event with these fields, and gives it.
    pub fn hears(&mut self, fields: &[(&str, &str)]) -> Value {
        let end = Instant::now() + PATIENCE;
        let wanted = |event: &Value| fields.iter().all(|(field, value)| event[*field] == *value);
        loop {
            if let Some(place) = self.unread.iter().position(wanted) {
                return self.unread.remove(place);
            }
            match self.events.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(event) => self.unread.push(event),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    panic!("waited in vain for {fields:?}, and heard {:#?}", self.unread)
                }
            }
        }
    }

    /// Waits for an object of which this is true, and gives it; those before it are gone.
    pub fn sees(&mut self, is_it: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + PATIENCE;
        loop {
            let seen = self.events.recv_timeout(end.saturating_duration_since(Instant::now()));
            let seen = seen.expect("it is seen within a minute");
            if is_it(&seen) {
                return seen;
            }
        }
    }

    /// What was not waited for and what is heard for so long, of these events.
    pub fn listen(&mut self, duration: Duration, kinds: &[&str]) -> Vec<Value> {
        let end = Instant::now() + duration;
        while let Ok(event) = self.events.recv_timeout(end.saturating_duration_since(Instant::now())) {
            self.unread.push(event);
        }
        self.unread.extract_if(.., |event| kinds.iter().any(|kind| event["event"] == *kind)).collect()
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
    }

    /// Asks it to end, and gives its exit status.
    pub fn end(mut self) -> Option<i32> {
        self.signal(Signal::SIGTERM);
        self.child.wait().unwrap().code()
    }

    /// kill -9.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
