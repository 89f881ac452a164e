//! Who may come in and who may not, with real processes and libzmq with libsodium (pyzmq): allowed and refused peers,
//! and rights that change under them.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use common::keys::{Folder, MAY_ECHO, Pyzmq, assert_refused, call};
use common::{Majordomo, stderr, stdout, wait_until};
use nix::sys::signal::Signal;

#[test]
fn an_allowed_client_is_served_and_may_do_no_more_than_its_file_says() {
    let folder = Folder::new(&["alice"]);
    folder.allow(&[("alice", MAY_ECHO)]);
    let broker = folder.broker(&["--error-replies", "status"]);
    let _echo = folder.echo(&broker);
    let output = folder.call("alice", &broker, &["echo", "hello"]);
    assert_eq!(stdout(&output), "hello\n", "{}", stderr(&output));
    let output = folder.call("alice", &broker, &["other", "hello"]);
    assert_refused(&output, &["service other at ", "403 not allowed"]);
    let Some(mut alice) = folder.pyzmq("alice", &broker, "call", "echo") else { return };
    assert_eq!(alice.ask("from libzmq"), "from libzmq");
}

#[test]
fn each_refused_client_is_told_why_at_once_and_what_to_do() {
    let folder = Folder::new(&["alice", "mallory"]);
    folder.allow(&[("alice", MAY_ECHO)]);
    let broker = folder.broker(&["--domain", "prod"]);
    let by = format!("refused by {}", broker.endpoint);
    let prod = ["--domain", "prod", "echo", "x"];
    assert_refused(&folder.call("mallory", &broker, &prod), &[&by, "400", "public key", "allow file"]);
    assert_refused(
        &folder.call("alice", &broker, &["--domain", "test", "echo", "x"]),
        &[&by, "domain", "prod", "test"],
    );
    assert_refused(&folder.call("alice", &broker, &["echo", "x"]), &[&by, "domain", "prod", "none"]);
    assert_refused(&call(&broker, &prod), &[&by, "CURVE", "public key"]);
    let (wrong, secret) = (format!("file:{}", folder.path("alice.pub")), folder.path("alice.key"));
    let flags = ["--curve-server-key", &wrong, "--curve-secret", &secret];
    assert_refused(&call(&broker, &[&flags[..], &prod].concat()), &[&by, "closed", "public key"]);
    let open = Majordomo::broker(&[]);
    assert_refused(&folder.call("alice", &open, &["echo", "x"]), &["refused by", "NULL", "security"]);
}

#[test]
fn libzmq_clients_with_an_unknown_key_or_another_domain_do_not_come_in() {
    let folder = Folder::new(&["alice", "mallory"]);
    folder.allow(&[("alice", MAY_ECHO)]);
    let broker = folder.broker(&[]);
    let Some(mut mallory) = folder.pyzmq("mallory", &broker, "call", "echo") else { return };
    assert_eq!(mallory.line(), "refused 400");
    let (server, keys) = (folder.path("broker.pub"), folder.path("alice.key"));
    let strange = ["call", "echo", "--server", &server, "--keys", &keys, "--domain", "test"];
    let line = Pyzmq::start(&broker, &strange).unwrap().line();
    assert!(line.starts_with("refused") || line == "cut off", "{line}");
    let wrong = ["call", "echo", "--server", &keys.replace(".key", ".pub"), "--keys", &keys];
    let line = Pyzmq::start(&broker, &wrong).unwrap().line();
    assert!(line.starts_with("refused") || line == "cut off", "{line}");
}

#[test]
fn a_withdrawn_right_cuts_its_peer_off_and_the_others_go_on() {
    let folder = Folder::new(&["alice", "bob"]);
    folder.allow(&[("alice", MAY_ECHO), ("bob", MAY_ECHO)]);
    let broker = folder.broker(&[]);
    let _echo = folder.echo(&broker);
    let Some(mut alice) = folder.pyzmq("alice", &broker, "call", "echo") else { return };
    let mut bob = folder.pyzmq("bob", &broker, "call", "echo").unwrap();
    assert_eq!([alice.ask("a"), bob.ask("b")], ["a", "b"]);
    folder.allow(&[("bob", MAY_ECHO)]);
    broker.signal(Signal::SIGHUP);
    assert_eq!(alice.line(), "cut off");
    assert_eq!(bob.ask("still here"), "still here");
    assert_refused(&folder.call("alice", &broker, &["echo", "x"]), &["400"]);
}

#[test]
fn a_broken_allow_file_leaves_the_old_one_in_force() {
    let folder = Folder::new(&["alice"]);
    folder.allow(&[("alice", MAY_ECHO)]);
    let broker = folder.broker(&[]);
    let _echo = folder.echo(&broker);
    std::fs::write(folder.path("allow.toml"), "[[peer]]\nkey = 'short'\n").unwrap();
    broker.signal(Signal::SIGHUP);
    // Longer than the broker takes to look at its files: whatever it makes of them, it has made by then.
    let end = Instant::now() + Duration::from_millis(1500);
    while Instant::now() < end {
        assert_eq!(folder.call("alice", &broker, &["echo", "x"]).stdout, b"x\n");
    }
    folder.allow(&[]);
    wait_until("the next good file", || folder.call("alice", &broker, &["echo", "x"]).status.code() == Some(1));
}

#[test]
fn a_change_of_the_allow_file_is_noticed_without_a_signal() {
    let folder = Folder::new(&["alice"]);
    let broker = folder.broker(&[]);
    let _echo = folder.echo(&broker);
    assert_refused(&folder.call("alice", &broker, &["echo", "x"]), &["400"]);
    folder.allow(&[("alice", MAY_ECHO)]);
    wait_until("alice to be let in", || folder.call("alice", &broker, &["echo", "x"]).stdout == b"x\n");
}

#[test]
fn a_worker_that_offers_what_it_may_not_is_dismissed() {
    let folder = Folder::new(&["alice"]);
    folder.allow(&[("alice", "offer = [\"mine.*\"]")]);
    let broker = folder.broker(&["--heartbeat", "200ms"]);
    let Some(mut worker) = folder.pyzmq("alice", &broker, "offer", "yours") else { return };
    assert_eq!(worker.line(), "dismissed");
    let mut worker = folder.pyzmq("alice", &broker, "offer", "mine.one").unwrap();
    assert_eq!(worker.line(), "kept");
}

#[test]
fn a_client_beyond_its_rate_is_answered_429() {
    let folder = Folder::new(&["alice"]);
    folder.allow(&[("alice", "call = [\"echo\"]\nrequests-per-second = 2")]);
    let broker = folder.broker(&["--error-replies", "status"]);
    let _echo = folder.echo(&broker);
    let Some(mut alice) = folder.pyzmq("alice", &broker, "call", "echo") else { return };
    let answers: Vec<_> = (0..5).map(|number| alice.ask(&number.to_string())).collect();
    assert_eq!(answers[0], "0");
    assert!(answers.iter().any(|answer| answer.starts_with("429")), "{answers:?}");
}

#[test]
fn the_brokers_own_limits_hold_for_whoever_has_none_in_the_file() {
    let folder = Folder::new(&["alice"]);
    folder.allow(&[("alice", MAY_ECHO)]);
    let broker = folder.broker(&["--error-replies", "status", "--peer-connections-max", "2"]);
    let Some(mut alice) = folder.pyzmq("alice", &broker, "call", "echo") else { return };
    let _echo = folder.echo(&broker);
    let mut second = folder.pyzmq("alice", &broker, "call", "echo").unwrap();
    assert_eq!([alice.ask("first"), second.ask("second")], ["first", "second"]);
    let mut third = folder.pyzmq("alice", &broker, "call", "echo").unwrap();
    let answer = third.ask("third");
    assert!(answer.starts_with("429") || answer == "cut off", "{answer}");
    assert_eq!([alice.ask("still"), second.ask("here")], ["still", "here"]);
}

#[test]
fn plain_lets_in_who_knows_the_password() {
    let folder = Folder::new(&[]);
    for (name, password) in [("right", "hush hush"), ("wrong", "hush")] {
        std::fs::write(folder.path(name), format!("{password}\n")).unwrap();
        std::fs::set_permissions(folder.path(name), Permissions::from_mode(0o600)).unwrap();
    }
    let (right, wrong) = (format!("alice:{}", folder.path("right")), format!("alice:{}", folder.path("wrong")));
    let broker = Majordomo::broker(&["--plain", &right]);
    let output = call(&broker, &["--plain", &right, "mmi.service", "echo"]);
    assert_eq!(stdout(&output), "404\n", "{}", stderr(&output));
    assert_refused(&call(&broker, &["--plain", &wrong, "echo", "x"]), &["400", "password"]);
    let Some(mut alice) = Pyzmq::start(&broker, &["call", "mmi.service", "--plain", &right]) else { return };
    assert_eq!(alice.ask("echo"), "404");
    // Its libzmq does not read the status that RFC 24's ERROR has.
    let mut alice = Pyzmq::start(&broker, &["call", "mmi.service", "--plain", &wrong]).unwrap();
    assert_eq!(alice.line(), "refused");
}
