//! Services that workers offer in the mesh themselves: called with no broker at all, as its users have it.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::process::{Output, Stdio};
use std::time::Duration;

use common::keys::{Folder, assert_refused, assert_unusable};
use common::raw::Raw;
use common::{Majordomo, command, run, stderr, stdout, wait_until};
use fixtures::Network;
use nix::sys::signal::Signal;

/// Flags of a mesh on loopback that no other test is in.
fn here(port: &str) -> [&str; 4] {
    ["--interface", "lo", "--beacon-port", port]
}

fn direct(port: &str, more: &[&str]) -> Majordomo {
    Majordomo::server(&[&["worker", "echo", "--mesh"], &here(port)[..], more].concat())
}

fn call(port: &str, arguments: &[&str]) -> Output {
    run(&[&["call", "--broker", "mesh:"], &here(port)[..], arguments].concat())
}

fn offers(port: &str) -> Vec<serde_json::Value> {
    let listed = run(&[&["services", "--mesh", "--json"], &here(port)[..]].concat());
    stdout(&listed).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_worker_in_the_mesh_is_called_with_no_broker_and_listed_as_direct_until_it_leaves() {
    let port = "25690";
    let worker = direct(port, &["--name", "parrot"]);
    assert_eq!(stdout(&call(port, &["echo", "hi"])), "hi\n");
    let offer = &offers(port)[0];
    assert_eq!(
        (&offer["service"], &offer["broker"], &offer["direct"]),
        (&"echo".into(), &"parrot".into(), &true.into())
    );
    assert_eq!(offer["endpoint"], worker.endpoint);
    let named = run(&[&["call", "--broker", "mesh:parrot"], &here(port)[..], &["echo", "by name"]].concat());
    assert_eq!(stdout(&named), "by name\n");
    worker.signal(Signal::SIGTERM);
    assert_eq!(worker.wait(Duration::from_secs(20)), Some(0));
    assert_eq!(offers(port).len(), 0);
}

#[test]
fn it_is_no_broker_for_other_workers_nor_for_calls_of_other_services() {
    let port = "25691";
    let _worker = direct(port, &[]);
    assert_eq!(stdout(&call(port, &["echo", "hi"])), "hi\n");
    let other = call(port, &["--timeout", "300ms", "--retries", "1", "other", "hi"]);
    assert_refused(&other, &["no broker was found by mesh:"]);
    let services = ["services", "--broker", "mesh:", "--timeout", "300ms", "--retries", "1"];
    assert_refused(&run(&[&services[..], &here(port)].concat()), &["no broker was found by mesh:"]);
    // Once there is a broker, a worker that looks for one goes there.
    let broker = ["broker", "--bind", "tcp://127.0.0.1:0", "--mesh", "--name", "orders"];
    let broker = Majordomo::server(&[&broker[..], &here(port)].concat());
    let mut working =
        command(&[&["worker", "echo", "--service", "other", "--broker", "mesh:"], &here(port)[..]].concat());
    let mut working = working.spawn().unwrap();
    wait_until("the worker at the broker", || {
        offers(port).iter().any(|offer| offer["service"] == "other" && offer["endpoint"] == broker.endpoint)
    });
    assert_eq!(stdout(&call(port, &["other", "there"])), "there\n");
    working.kill().unwrap();
    working.wait().unwrap();
}

#[test]
fn whoever_reaches_it_calls_its_service_and_does_nothing_else() {
    let port = "25694";
    let worker = direct(port, &[]);
    // A foreign worker of its service would be given the requests of others.
    for service in ["echo", "other"] {
        let mut thief = Raw::dealer(&worker.endpoint);
        thief.send(&[b"", b"MDPW01", b"\x01", service.as_bytes()]);
        assert_eq!(thief.receive(), [&b""[..], b"MDPW01", b"\x05"], "{service}");
    }
    let at = ["--broker", &worker.endpoint];
    assert_refused(&run(&[&["drain"], &at[..], &["--all"]].concat()), &["mmi.drain", "403"]);
    assert_refused(&run(&[&["drain"], &at[..], &["echo"]].concat()), &["mmi.drain", "403"]);
    assert_refused(&run(&[&["call"], &at[..], &["mmi.filter", "echo"]].concat()), &["403"]);
    assert_refused(&run(&[&["call"], &at[..], &["other", "hi"]].concat()), &["403"]);
    assert_eq!(stdout(&run(&[&["call"], &at[..], &["mmi.service", "echo"]].concat())), "200\n");
    assert_eq!(stdout(&call(port, &["echo", "hi"])), "hi\n");
    let offered: Vec<_> = offers(port).into_iter().map(|offer| offer["service"].clone()).collect();
    assert_eq!(offered, ["echo"]);
}

#[test]
fn a_key_that_nobody_was_asked_about_may_call_it_and_no_more() {
    let folder = Folder::new(&["somebody"]);
    let worker = direct("25688", &["--curve-secret", &folder.path("broker.key")]);
    let flags = folder.flags("somebody");
    let flags: Vec<_> = flags.iter().map(String::as_str).collect();
    let run_as =
        |command: &str, words: &[&str]| run(&[&[command, "--broker", &worker.endpoint], &flags[..], words].concat());
    assert_eq!(stdout(&run_as("call", &["echo", "sealed"])), "sealed\n");
    assert_refused(&run_as("drain", &["--all"]), &["mmi.drain", "403"]);
    assert_refused(&run_as("call", &["other", "hi"]), &["403"]);
}

#[test]
fn no_request_is_lost_when_either_of_two_workers_is_killed_under_load() {
    let port = "25692";
    let (first, second) = (direct(port, &[]), direct(port, &[]));
    let is_served_by = |count: usize| offers(port).len() == count;
    wait_until("both", || is_served_by(2));
    let load = ["bench", "--broker", "mesh:", "--service", "echo", "--json", "--verify", "--workers", "0"];
    let shape = ["--clients", "2", "--outstanding", "4", "--duration", "12s", "--timeout", "2s", "--retries", "5"];
    let mut load = command(&[&load[..], &shape, &here(port)].concat());
    let load = load.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // One of the two has the load: whichever it is, it is killed, and the other one is there.
    std::thread::sleep(Duration::from_secs(1));
    first.kill();
    let third = direct(port, &[]);
    wait_until("the dead one to be gone", || {
        let offers = offers(port);
        offers.len() == 2 && offers.iter().any(|offer| offer["endpoint"] == third.endpoint)
    });
    second.kill();
    let ended = load.wait_with_output().unwrap();
    let summary: serde_json::Value = serde_json::from_str(stdout(&ended).trim()).unwrap();
    assert_eq!((&summary["failed"], ended.status.code()), (&0.into(), Some(0)), "{summary} {}", stderr(&ended));
    assert!(summary["requests"].as_u64().unwrap() > 100, "{summary}");
}

#[test]
fn over_curve_callers_need_a_key_that_is_allowed_and_the_worker_itself_needs_none_in_the_file() {
    let port = "25693";
    let folder = Folder::new(&["friend", "stranger"]);
    let mine = folder.peer("friend", "call = [\"echo\"]");
    std::fs::write(folder.path("mine.toml"), mine).unwrap();
    let (secret, allow) = (folder.path("broker.key"), folder.path("mine.toml"));
    let worker = direct(port, &["--curve-secret", &secret, "--allow", &allow]);
    let call_as = |name: &str| {
        let flags = folder.flags(name);
        let flags: Vec<_> = flags.iter().map(String::as_str).collect();
        call(port, &[&flags[..], &["--timeout", "2s", "--retries", "1", "echo", "sealed"]].concat())
    };
    let answered = call_as("friend");
    assert_eq!(stdout(&answered), "sealed\n", "{}", stderr(&answered));
    assert_refused(&call_as("stranger"), &["no broker was found by mesh:"]);
    let flags = folder.flags("stranger");
    let flags: Vec<_> = flags.iter().map(String::as_str).collect();
    let knocking = [&["call", "--broker", &worker.endpoint], &flags[..], &["--timeout", "2s", "echo", "hi"]].concat();
    assert_refused(&run(&knocking), &["refused by"]);
}

#[test]
fn other_machines_reach_it_where_it_binds_for_them() {
    let Some(network) = Network::new(2) else { return };
    let bind = ["--bind", "tcp://0.0.0.0:0", "--insecure"];
    let mut worker = network.on(1, &command(&[&["worker", "echo", "--mesh"], &bind[..]].concat()));
    let mut worker = worker.stdout(Stdio::null()).spawn().unwrap();
    let answered = network.on(2, &command(&["call", "--broker", "mesh:", "echo", "over there"])).output().unwrap();
    assert_eq!(stdout(&answered), "over there\n", "{}", stderr(&answered));
    worker.kill().unwrap();
    worker.wait().unwrap();
}

#[test]
fn flags_that_do_not_go_together_are_bad_usage() {
    assert_unusable(&["worker", "echo", "--mesh", "--bind", "tcp://0.0.0.0:0"], &["--bind", "--insecure"]);
    assert_unusable(&["worker", "echo", "--mesh", "--plain", "me:/nowhere"], &["--plain", "--curve-secret"]);
    for words in [
        &["worker", "echo", "--mesh", "--broker", "tcp://127.0.0.1:1"][..],
        &["worker", "echo", "--broker", "tcp://127.0.0.1:1", "--bind", "tcp://127.0.0.1:0"],
        &["worker", "echo"],
    ] {
        assert_eq!(run(words).status.code(), Some(2), "{words:?}");
    }
}
