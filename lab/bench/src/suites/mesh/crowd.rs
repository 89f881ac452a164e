//! Nodes of one mesh, a process each, and what they have told.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use fixtures::Network;

/// The nodes. All are killed when it is dropped.
#[derive(Debug)]
pub(super) struct Crowd {
    nodes: Vec<Node>,
    /// Just before the last of them was started.
    last_start: Instant,
    told: Receiver<Told>,
    /// On which machine a node runs, by its id.
    machines: BTreeMap<String, usize>,
    false_exits: usize,
}

#[derive(Debug)]
struct Node {
    process: Child,
    is_alive: bool,
    /// Whom it sees.
    present: BTreeMap<String, Instant>,
}

/// A line of a node that matters.
#[derive(Debug)]
struct Told {
    by: usize,
    at: Instant,
    what: What,
}

#[derive(Debug, PartialEq, Eq)]
enum What {
    Enter {
        id: String,
        machine: usize,
    },
    Exit {
        id: String,
    },
    Evasive,
    /// It prints no more.
    End,
}

/// What was told while nothing should have been.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Heard {
    pub(super) exits: usize,
    pub(super) evasive: usize,
}

/// How a death was seen.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// By each of the others that saw it.
    pub(super) took: Vec<Duration>,
    /// How many did not.
    pub(super) missed: usize,
}

impl Crowd {
    /// Starts nodes on machines 1 to `count`, as fast as it goes.
    pub(super) fn start(network: &Network, program: &Path, count: usize) -> anyhow::Result<Self> {
        let mut watch = Command::new(program);
        watch.args(["--json", "mesh", "watch"]).env("MAJORDOMO_LOG", "error");
        let (tell, told) = channel();
        let mut crowd = Self {
            nodes: Vec::with_capacity(count),
            last_start: Instant::now(),
            told,
            machines: BTreeMap::new(),
            false_exits: 0,
        };
        for by in 0..count {
            let mut command = network.on(by + 1, &watch);
            crowd.last_start = Instant::now();
            let mut process = command.stdout(Stdio::piped()).spawn().with_context(|| format!("{command:?}"))?;
            let output = process.stdout.take().context("its output was asked for")?;
            crowd.nodes.push(Node { process, is_alive: true, present: BTreeMap::new() });
            let tell = tell.clone();
            thread::spawn(move || follow(by, BufReader::new(output), &tell));
        }
        Ok(crowd)
    }

    /// Nodes that are alive.
    pub(super) fn len(&self) -> usize {
        self.nodes.iter().filter(|node| node.is_alive).count()
    }

    pub(super) fn pids(&self) -> Vec<u32> {
        self.nodes.iter().filter(|node| node.is_alive).map(|node| node.process.id()).collect()
    }

    /// EXIT of nodes that are alive, so far.
    pub(super) fn false_exits(&self) -> usize {
        self.false_exits
    }

    /// Waits until everybody sees everybody; how long after the last start each node came so far.
    pub(super) fn until_whole(&mut self, patience: Duration) -> anyhow::Result<Vec<Duration>> {
        let others = self.len() - 1;
        let mut whole: Vec<Option<Instant>> = self.nodes.iter().map(|_| None).collect();
        let end = self.last_start + patience;
        while whole.iter().any(Option::is_none) {
            let Some(told) = self.next(end) else {
                let least = self.nodes.iter().map(|node| node.present.len()).min().unwrap_or_default();
                bail!("not whole after {patience:?}: somebody sees {least} of {others} others");
            };
            self.note(&told);
            if let Some(node) = self.nodes.get(told.by)
                && let Some(place) = whole.get_mut(told.by)
                && node.present.len() == others
            {
                place.get_or_insert(told.at);
            }
        }
        Ok(whole.into_iter().flatten().map(|at| at.saturating_duration_since(self.last_start)).collect())
    }

    /// Takes in what is told for so long.
    pub(super) fn listen(&mut self, time: Duration) -> Heard {
        let (end, mut heard) = (Instant::now() + time, Heard::default());
        while let Some(told) = self.next(end) {
            self.note(&told);
            heard.exits += usize::from(matches!(told.what, What::Exit { .. }));
            heard.evasive += usize::from(told.what == What::Evasive);
        }
        heard
    }

    /// kill -9 of some node; waits until the others have seen it, or the time is over.
    pub(super) fn kill_one(&mut self, patience: Duration) -> anyhow::Result<Seen> {
        let alive: Vec<usize> =
            self.nodes.iter().enumerate().filter(|(_, node)| node.is_alive).map(|(at, _)| at).collect();
        let victim = fastrand::choice(&alive).copied().context("nobody is left")?;
        let node = self.nodes.get_mut(victim).context("it is one of them")?;
        node.is_alive = false;
        let killed = Instant::now();
        node.process.kill()?;
        node.process.wait()?;
        let (mut seen, observers) = (Seen::default(), alive.len() - 1);
        while seen.took.len() < observers
            && let Some(told) = self.next(killed + patience)
        {
            if let What::Exit { id } = &told.what
                && self.machines.get(id) == Some(&victim)
            {
                seen.took.push(told.at.saturating_duration_since(killed));
            }
            self.note(&told);
        }
        seen.missed = observers - seen.took.len();
        Ok(seen)
    }

    fn next(&self, end: Instant) -> Option<Told> {
        self.told.recv_timeout(end.saturating_duration_since(Instant::now())).ok()
    }

    fn note(&mut self, told: &Told) {
        let Some(node) = self.nodes.get_mut(told.by) else { return };
        match &told.what {
            What::Enter { id, machine } => {
                node.present.insert(id.clone(), told.at);
                self.machines.insert(id.clone(), *machine);
            }
            What::Exit { id } => {
                node.present.remove(id);
                let machine = self.machines.get(id).and_then(|machine| self.nodes.get(*machine));
                self.false_exits += usize::from(machine.is_none_or(|node| node.is_alive));
            }
            What::Evasive | What::End => {}
        }
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        for node in &mut self.nodes {
            // It may have ended already.
            let _ = node.process.kill();
        }
        for node in &mut self.nodes {
            let _ = node.process.wait();
        }
    }
}

/// Reads what a node prints, to its end.
fn follow(by: usize, output: impl BufRead, tell: &Sender<Told>) {
    for line in output.lines().map_while(Result::ok) {
        let at = Instant::now();
        if let Some(what) = understood(&line)
            && tell.send(Told { by, at, what }).is_err()
        {
            return;
        }
    }
    // Nobody may be left who listens.
    let _ = tell.send(Told { by, at: Instant::now(), what: What::End });
}

fn understood(line: &str) -> Option<What> {
    let event: serde_json::Value = serde_json::from_str(line).ok()?;
    let text = |field: &str| event.get(field)?.as_str().map(str::to_owned);
    match text("event")?.as_str() {
        "ENTER" => Some(What::Enter { id: text("uuid")?, machine: machine(&text("endpoint")?)? }),
        "EXIT" => Some(What::Exit { id: text("uuid")? }),
        "EVASIVE" => Some(What::Evasive),
        _ => None,
    }
}

/// Counted from 0: the last part of the address less one.
fn machine(endpoint: &str) -> Option<usize> {
    let (_, last) = endpoint.rsplit_once(':')?.0.rsplit_once('.')?;
    last.parse::<usize>().ok()?.checked_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_watch_prints_is_understood() {
        let enter = r#"{"event":"ENTER","uuid":"AB","name":"n","endpoint":"tcp://10.77.0.7:49152","headers":{}}"#;
        assert_eq!(understood(enter), Some(What::Enter { id: "AB".into(), machine: 6 }));
        assert_eq!(understood(r#"{"event":"EXIT","uuid":"AB","name":"n"}"#), Some(What::Exit { id: "AB".into() }));
        assert_eq!(understood(r#"{"event":"EVASIVE","uuid":"AB","name":"n"}"#), Some(What::Evasive));
        for other in [r#"{"event":"JOIN","uuid":"AB"}"#, "no JSON", "{}", r#"{"event":"ENTER","uuid":"AB"}"#] {
            assert_eq!(understood(other), None);
        }
    }
}
