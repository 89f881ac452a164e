//! The mesh of those who have keys: found by whom it should be, and by nobody else.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::process::Output;
use std::time::Duration;

use common::keys::{Folder, assert_refused, assert_unusable};
use common::node::Node;
use common::{Majordomo, command, run, stderr, stdout};

fn here(port: &str) -> [&str; 4] {
    ["--interface", "lo", "--beacon-port", port]
}

fn broker(folder: &Folder, port: &str) -> Majordomo {
    folder.broker(&[&["--mesh", "--name", "orders"], &here(port)[..]].concat())
}

fn watch(port: &str, more: &[&str]) -> Node {
    Node::start(command(&[&["--json", "mesh", "watch"], &here(port)[..], more].concat()))
}

/// A command with the flags of somebody who has a key.
fn run_as(folder: &Folder, name: &str, port: &str, command: &str, words: &[&str]) -> Output {
    let flags = folder.flags(name);
    let flags: Vec<_> = flags.iter().map(String::as_str).collect();
    run(&[&[command, "--broker", "mesh:"], &flags[..], &here(port), words].concat())
}

#[test]
fn who_is_allowed_finds_the_broker_and_no_key_or_another_finds_nobody() {
    let port = "25695";
    let folder = Folder::new(&["friend", "stranger"]);
    folder.allow(&[("friend", "call = [\"*\"]")]);
    let _broker = broker(&folder, port);
    let flags = folder.flags("worker");
    let flags: Vec<_> = flags.iter().map(String::as_str).collect();
    let words = [&["worker", "echo", "--broker", "mesh:orders"], &flags[..], &here(port)].concat();
    let mut worker = command(&words).spawn().unwrap();
    let answered = run_as(&folder, "friend", port, "call", &["echo", "sealed"]);
    assert_eq!(stdout(&answered), "sealed\n", "{}", stderr(&answered));

    let short = ["--timeout", "700ms", "--retries", "1", "echo", "hi"];
    let nobody = ["no broker was found by mesh:"];
    assert_refused(&run_as(&folder, "stranger", port, "call", &short), &nobody);
    assert_refused(&run(&[&["call", "--broker", "mesh:"], &here(port)[..], &short].concat()), &nobody);
    let listed = run(&[&["services", "--mesh", "--json"], &here(port)[..]].concat());
    assert_eq!((stdout(&listed).as_str(), listed.status.code()), ("", Some(0)));
    worker.kill().unwrap();
    worker.wait().unwrap();
}

#[test]
fn a_member_with_a_key_sees_those_with_keys_and_one_without_sees_those_without() {
    let port = "25696";
    let folder = Folder::new(&["alice", "bob", "eve"]);
    let key = |name: &str| folder.path(&format!("{name}.key"));
    let chat = |name: &str, more: &[&str]| {
        let words = ["--json", "mesh", "chat", "--name", name, "--group", "CHAT"];
        Node::start(command(&[&words[..], &here(port), more].concat()))
    };
    let both: String = ["alice", "bob"].map(|name| folder.peer(name, "")).concat();
    std::fs::write(folder.path("both.toml"), both).unwrap();
    let (alices, bobs, eves, allow) = (key("alice"), key("bob"), key("eve"), folder.path("both.toml"));
    let mut alice = chat("alice", &["--curve-secret", &alices, "--allow", &allow]);
    let mut bob = chat("bob", &["--curve-secret", &bobs, "--allow", &allow]);
    let mut eve = watch(port, &["--curve-secret", &eves]);
    let mut plain = watch(port, &[]);
    let mut other_plain = chat("plain", &[]);
    alice.hears(&[("event", "JOIN"), ("name", "bob")]);
    bob.hears(&[("event", "JOIN"), ("name", "alice")]);
    alice.say("between us");
    bob.hears(&[("event", "SHOUT"), ("name", "alice"), ("body", "between us")]);
    plain.hears(&[("event", "ENTER"), ("name", "plain")]);
    let all = ["ENTER", "SHOUT"];
    assert_eq!(plain.listen(Duration::from_secs(2), &all), [0; 0], "keys are not seen");
    assert_eq!(other_plain.listen(Duration::ZERO, &["SHOUT"]), [0; 0]);
    assert_eq!(eve.listen(Duration::ZERO, &all), [0; 0], "it has a key that nobody accepts");
    assert_eq!(alice.listen(Duration::ZERO, &["ENTER"]).len(), 1, "bob alone");
}

#[test]
fn keys_that_are_none_are_bad_usage() {
    assert_unusable(&["mesh", "watch", "--curve-secret", "/nowhere/me.key"], &["--curve-secret", "/nowhere/me.key"]);
    assert_eq!(run(&["mesh", "watch", "--allow", "allow.toml"]).status.code(), Some(2));
}
