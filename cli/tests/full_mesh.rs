//! A full mesh whose members stand in a file, as processes; Python peers speak as the Go program zmqnet does.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::io::{BufRead, BufReader, Lines};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::{Duration, Instant};

use common::{command, python, stderr, stdout};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use protocol::zmqnet::{Kind, Message, Request, join};
use protocol::{Frames, PeerId};
use runtime::zmtp::{Event, Options, Router};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Three members on free ports of loopback, in a file of zmqnet's kind.
struct Mesh {
    folder: TempDir,
    ports: [u16; 3],
}

const NAMES: [&str; 3] = ["alpha", "bravo", "charlie"];

impl Mesh {
    fn new() -> Self {
        // Kept until all are known, so that no two are the same.
        let kept = NAMES.map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
        let ports = kept.map(|listener| listener.local_addr().unwrap().port());
        let replica = |(number, (name, port)): (usize, (&str, u16))| {
            let address = format!("localhost:{port}");
            let pid = 1000 + number;
            json!({
                "pid": pid, "name": name, "address": address, "host": "apollo", "ipaddr": "192.0.2.1", "port": port
            })
        };
        let replicas: Vec<Value> = NAMES.into_iter().zip(ports).enumerate().map(replica).collect();
        let folder = tempfile::tempdir().unwrap();
        let file = json!({ "info": { "num_replicas": 3 }, "replicas": replicas });
        std::fs::write(folder.path().join("peers.json"), file.to_string()).unwrap();
        Self { folder, ports }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("peers.json")
    }

    fn command(&self, words: &[&str]) -> Command {
        let (first, rest) = words.split_first().unwrap();
        command(&[&["--json", "mesh", first, "--peers", self.file().to_str().unwrap()], rest].concat())
    }

    fn serve(&self, name: &str) -> Member {
        Member::start(self.command(&["serve", "--name", name]))
    }

    fn send(&self, name: &str, messages: &[&str]) -> Output {
        self.command(&[&["send", "--name", name], messages].concat()).output().unwrap()
    }
}

/// A member; killed when dropped.
struct Member {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Member {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready = lines.next().unwrap().unwrap();
        assert!(ready.starts_with("ready"), "{ready}");
        Self { child, lines }
    }

    fn line(&mut self) -> String {
        self.lines.next().unwrap().unwrap()
    }

    /// The next event of this kind.
    fn hears(&mut self, event: &str) -> Value {
        loop {
            let heard: Value = serde_json::from_str(&self.line()).unwrap();
            if heard["event"] == event {
                return heard;
            }
        }
    }

    fn has_up(&mut self, names: [&str; 2]) {
        let mut up = [self.hears("UP"), self.hears("UP")].map(|event| event["name"].as_str().unwrap().to_owned());
        up.sort_unstable();
        assert_eq!(up, names);
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn receipt(output: &Output) -> Value {
    serde_json::from_str(stdout(output).lines().last().unwrap_or_default()).unwrap_or_else(|_| panic!("{output:?}"))
}

fn sorted(names: &Value) -> Vec<&str> {
    let mut names: Vec<&str> = names.as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    names.sort_unstable();
    names
}

#[test]
fn what_one_is_told_all_have_and_one_that_is_down_is_named_promptly_and_comes_back() {
    let mesh = Mesh::new();
    let [mut alpha, mut bravo, mut charlie] = NAMES.map(|name| mesh.serve(name));
    bravo.has_up(["alpha", "charlie"]);
    let sent = mesh.send("bravo", &["first", "grüße"]);
    assert!(sent.status.success(), "{}", stderr(&sent));
    assert_eq!(stdout(&sent).lines().count(), 2, "a line a message");
    assert_eq!(sorted(&receipt(&sent)["acknowledged"]), NAMES);
    for member in [&mut alpha, &mut bravo, &mut charlie] {
        for body in ["first", "grüße"] {
            let heard = member.hears("MESSAGE");
            assert_eq!((&heard["name"], &heard["body"]), (&json!("bravo"), &json!(body)));
        }
    }

    charlie.signal(Signal::SIGKILL);
    let before = Instant::now();
    let sent = mesh.send("bravo", &["second"]);
    assert!(before.elapsed() < Duration::from_secs(5), "half a second, and the patience that a busy machine needs");
    assert_eq!(sent.status.code(), Some(1));
    assert!(stderr(&sent).contains("not acknowledged by charlie"), "{}", stderr(&sent));
    assert_eq!(
        (receipt(&sent)["missing"].clone(), sorted(&receipt(&sent)["acknowledged"]).len()),
        (json!(["charlie"]), 2)
    );
    assert_eq!(alpha.hears("MESSAGE")["body"], "second");
    assert_eq!(bravo.hears("MISSING")["names"], json!(["charlie"]));

    let mut charlie = mesh.serve("charlie");
    assert_eq!(bravo.hears("UP")["name"], "charlie");
    assert!(mesh.send("bravo", &["third"]).status.success());
    assert_eq!(charlie.hears("MESSAGE")["body"], "third");
}

#[test]
fn a_member_that_hangs_is_named_and_a_client_of_one_that_is_down_is_told_its_name() {
    let mesh = Mesh::new();
    let [alpha, mut bravo] = ["alpha", "bravo"].map(|name| mesh.serve(name));
    assert_eq!(bravo.hears("UP")["name"], "alpha");
    alpha.signal(Signal::SIGSTOP);
    let sent = mesh.send("bravo", &["hi"]);
    assert_eq!(sent.status.code(), Some(1));
    assert_eq!(sorted(&receipt(&sent)["missing"]), ["alpha", "charlie"]);
    let before = Instant::now();
    let sent = mesh.send("charlie", &["hi"]);
    assert!(before.elapsed() < Duration::from_secs(5));
    let text = stderr(&sent);
    assert!(text.contains("charlie at tcp://localhost:") && text.contains("no connection"), "{text}");
    assert_eq!((sent.status.code(), stdout(&sent).as_str()), (Some(1), ""));
    bravo.signal(Signal::SIGTERM);
    assert_eq!(bravo.child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_member_whose_lines_nobody_reads_acknowledges_no_more_than_it_can_keep_and_ends_all_the_same() {
    let mesh = Mesh::new();
    let [_alpha, mut bravo, mut charlie] = NAMES.map(|name| mesh.serve(name));
    bravo.has_up(["alpha", "charlie"]);
    let load = ["bench", "--name", "bravo", "--messages", "2000", "--outstanding", "100", "--size", "4KiB"];
    let mut bench = mesh.command(&load).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    // Bravo is read, and hears of those who are not.
    while !bravo.hears("MISSING")["names"].as_array().unwrap().contains(&json!("charlie")) {}
    bench.kill().unwrap();
    bench.wait().unwrap();
    charlie.signal(Signal::SIGTERM);
    assert_eq!(charlie.child.wait().unwrap().code(), Some(0));
}

#[test]
fn names_from_the_network_are_escaped_and_one_that_is_empty_is_missing_all_the_same() {
    let mesh = Mesh::new();
    let endpoint = format!("tcp://127.0.0.1:{}", mesh.ports[1]);
    let (ready, is_ready) = std::sync::mpsc::channel();
    let member = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut router = Router::bind(&[endpoint.parse().unwrap()], Options::default()).await.unwrap();
            ready.send(()).unwrap();
            let hostile = vec![String::new(), "x\n\u{1b}[2J".to_owned()];
            for missing in [vec![String::new()], hostile, Vec::new()] {
                let (peer, frames) = request(&mut router).await;
                let envelope = Request::split(frames).unwrap().envelope;
                let (kind, text) = (Kind::Error, "no\u{1b}[2J".to_owned());
                let acknowledged = missing.first().map(|_| "y\u{7}".to_owned()).into_iter().collect();
                let answer = Message { kind, text, acknowledged, missing, ..Message::default() };
                router.try_send(peer, join(envelope, &answer)).unwrap();
            }
            router.close().await;
        });
    });
    is_ready.recv().unwrap();
    let send = || {
        let words = ["mesh", "send", "--name", "bravo", "--timeout", "20s", "hi", "--peers"];
        command(&[&words[..], &[mesh.file().to_str().unwrap()]].concat()).output().unwrap()
    };
    for (told, failure) in [
        ("acknowledged by y\\u{7}\n", "not acknowledged by \"\""),
        ("acknowledged by y\\u{7}\n", "not acknowledged by \"\", x\\n\\u{1b}[2J"),
        ("", "bravo refused: no\\u{1b}[2J"),
    ] {
        let sent = send();
        assert_eq!((stdout(&sent).as_str(), sent.status.code()), (told, Some(1)), "{sent:?}");
        assert!(stderr(&sent).trim_end().ends_with(failure), "{}", stderr(&sent));
    }
    member.join().unwrap();
}

#[test]
fn a_client_waits_for_a_member_that_is_still_to_come_as_long_as_it_was_told() {
    let mesh = Mesh::new();
    let mut early = mesh.command(&["send", "--name", "bravo", "--timeout", "20s", "--retries", "1", "hi"]);
    let early = early.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Longer than a member waits for another one.
    std::thread::sleep(Duration::from_millis(800));
    let _bravo = mesh.serve("bravo");
    let sent = early.wait_with_output().unwrap();
    assert_eq!(receipt(&sent)["acknowledged"], json!(["bravo"]));
}

/// The next message that comes, and from whom.
async fn request(router: &mut Router) -> (PeerId, Frames) {
    let mut events = Vec::new();
    loop {
        router.recv(&mut events).await;
        for event in events.drain(..) {
            if let Event::Message { peer, frames } = event {
                return (peer, frames);
            }
        }
    }
}

#[test]
fn a_client_of_zmqnet_is_served_and_a_member_of_it_is_a_member() {
    let Some(python) = python("zmq") else { return };
    let script = format!("{}/tests/peers/zmqnet.py", env!("CARGO_MANIFEST_DIR"));
    let peer = |words: &[&str]| {
        let mut command = Command::new(python.get_program());
        command.arg(&script).args(words);
        command
    };
    let mesh = Mesh::new();
    let endpoint = |number: usize| format!("tcp://127.0.0.1:{}", mesh.ports[number]);
    let [mut alpha, mut bravo] = ["alpha", "bravo"].map(|name| mesh.serve(name));
    let mut charlie = Member::start(peer(&["serve", &endpoint(2)]));
    bravo.has_up(["alpha", "charlie"]);
    let sent = mesh.send("bravo", &["ours"]);
    assert_eq!(sorted(&receipt(&sent)["acknowledged"]), NAMES);
    assert_eq!(charlie.line(), "1 bravo ours");
    // Ours that come from one client are told apart by what zmqnet does not send: the same text is another message.
    let said = peer(&["send", &endpoint(1), "theirs", "theirs"]).output().unwrap();
    let answers = stdout(&said);
    assert_eq!(answers.lines().count(), 2, "{said:?}");
    assert!(answers.lines().all(|line| line.starts_with("0 bravo acknowledged by bravo, ")), "{answers}");
    for body in ["ours", "theirs", "theirs"] {
        assert_eq!(alpha.hears("MESSAGE")["body"], body);
    }
    // Where nobody says who has it, it is the one that answers.
    let alone = peer(&["send", &endpoint(2), "to charlie"]).output().unwrap();
    assert_eq!(stdout(&alone), "1 charlie ack\n");
    assert_eq!(receipt(&mesh.send("charlie", &["to charlie"]))["acknowledged"], json!(["charlie"]));
}

#[test]
fn bench_counts_what_all_have_and_appends_a_line_to_a_file() {
    let mesh = Mesh::new();
    let [_alpha, mut bravo, charlie] = NAMES.map(|name| mesh.serve(name));
    bravo.has_up(["alpha", "charlie"]);
    let results = mesh.folder.path().join("results.json");
    let bench = |more: &[&str]| {
        let words = ["bench", "--name", "bravo", "--results", results.to_str().unwrap(), "--clients", "2"];
        mesh.command(&[&words[..], more].concat()).output().unwrap()
    };
    let done = bench(&["--messages", "50", "--outstanding", "3", "--size", "1KiB"]);
    assert!(done.status.success(), "{}", stderr(&done));
    let result = receipt(&done);
    assert_eq!((&result["requests"], &result["failed"], &result["name"]), (&json!(50), &json!(0), &json!("bravo")));
    assert!(result["requests_per_second"].as_f64().unwrap() > 0.0 && result["p99_us"].as_u64().unwrap() > 0);
    drop(charlie);
    let failed = bench(&["--messages", "1"]);
    assert_eq!((failed.status.code(), &receipt(&failed)["failures"]["missing"]), (Some(1), &json!(1)));
    assert!(stderr(&failed).contains("not acknowledged by charlie"), "{}", stderr(&failed));
    let lines = std::fs::read_to_string(&results).unwrap();
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((lines.len(), &lines[0]["requests"], &lines[1]["failed"]), (2, &json!(50), &json!(1)));
}

#[test]
fn the_file_is_found_by_the_environment_and_what_is_wrong_with_it_is_bad_usage() {
    let mesh = Mesh::new();
    let _bravo = mesh.serve("bravo");
    let words = ["--json", "mesh", "send", "--name", "bravo", "hi"];
    let by_environment = command(&words).env("PEERS_PATH", mesh.file()).output().unwrap();
    assert_eq!(receipt(&by_environment)["acknowledged"], json!(["bravo"]));
    let here = command(&words).current_dir(mesh.folder.path()).output().unwrap();
    assert_eq!(receipt(&here)["acknowledged"], json!(["bravo"]));
    let nowhere = command(&words).current_dir("/").output().unwrap();
    let bad = |output: &Output, part: &str| {
        let text = stderr(output);
        assert_eq!((output.status.code(), text.lines().count(), text.contains(part)), (Some(2), 1, true), "{text}");
    };
    bad(&nowhere, "PEERS_PATH");
    bad(&mesh.send("delta", &["hi"]), "there are: alpha, bravo, charlie");
    let file = mesh.folder.path().join("bad.json");
    // Of this machine, which others reach from elsewhere.
    let own_host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let here = json!({ "name": "bravo", "hostname": own_host.trim(), "ip_address": "10.0.0.1", "port": 1 });
    let here = json!({ "replicas": [here] }).to_string();
    for (content, part) in [
        (&*here, "--bind tcp://*:1: a bind beyond loopback"),
        ("{", "bad.json: not JSON"),
        ("{\"replicas\": [{\"name\": \"bravo\"}]}", "replicas[0] (bravo): port: missing"),
        ("{\"replicas\": [{\"name\": \"bravo\", \"address\": \"10.0.0.1:1\"}]}", "--insecure"),
    ] {
        std::fs::write(&file, content).unwrap();
        bad(&command(&["mesh", "serve", "--name", "bravo", "--peers", file.to_str().unwrap()]).output().unwrap(), part);
    }
    bad(
        &command(&["mesh", "send", "--name", "b", "--peers", "/nonexistent.json", "x"]).output().unwrap(),
        "/nonexistent",
    );
}
