//! Keys, passwords and the flags that take them: who may read them, what cannot be used, and that none is ever logged.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::fs::Permissions;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use common::keys::{Folder, MAY_ECHO, assert_refused, assert_unusable};
use common::{Majordomo, command, run, stderr, stdout};

#[test]
fn keys_are_made_for_their_owner_alone_and_never_lost_by_accident() {
    let folder = Folder::new(&[]);
    let mode = |name: &str| std::fs::metadata(folder.path(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("broker.key"), mode("broker.pub")), (0o600, 0o600));
    let before = folder.public("broker");
    let again = ["keygen", "--out", &folder.path(""), "--name", "broker"];
    assert_refused(&run(&again), &["broker.key", "--force"]);
    assert_eq!(folder.public("broker"), before);
    let output = run(&[&again[..], &["--force", "--json"]].concat());
    let made: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(made["public"], folder.public("broker"));
    assert_ne!(folder.public("broker"), before);
    assert_unusable(&["keygen", "--name", "../x"], &["--name", "../x", "without /"]);
}

#[test]
fn a_key_or_an_allow_file_that_cannot_be_used_is_one_line_with_file_and_line() {
    let folder = Folder::new(&[]);
    let (secret, allow) = (folder.path("broker.key"), folder.path("allow.toml"));
    let broker = ["broker", "--bind", "tcp://127.0.0.1:0", "--curve-secret", &secret, "--allow", &allow];
    let write = |text: &str| std::fs::write(&allow, text).unwrap();
    write("[[peer]]\nkey = 'short'\n");
    assert_unusable(&broker, &[&allow, "line 2", "40 characters", "5"]);
    write(&format!("[[peer]]\nkey = '{}'\ncalls = ['echo']\n", folder.public("worker")));
    assert_unusable(&broker, &[&allow, "line 3", "calls", "call"]);
    write(&format!("[[peer]]\nkey = '{}'\ncall = ['mmi.services']\n", folder.public("worker")));
    assert_unusable(&broker, &[&allow, "line 3", "mmi."]);
    write("");
    std::fs::set_permissions(&secret, Permissions::from_mode(0o644)).unwrap();
    assert_unusable(&broker, &["--curve-secret", &secret, "0644", "chmod 600"]);
    std::fs::set_permissions(&secret, Permissions::from_mode(0o600)).unwrap();
    std::fs::write(&secret, "# no key\nshort\n").unwrap();
    assert_unusable(&broker, &[&secret, "line 2", "40 characters"]);
    assert_unusable(&["broker", "--curve-secret", "/nonexistent/x.key"], &["/nonexistent/x.key"]);
}

#[test]
fn flags_that_protect_nobody_together_are_refused() {
    let folder = Folder::new(&[]);
    let (key, secret) = (folder.public("broker"), folder.path("broker.key"));
    let call = ["call", "--broker", "tcp://127.0.0.1:1", "echo"];
    let with = |more: &[&str], parts: &[&str]| assert_unusable(&[&call[..], more].concat(), parts);
    with(&["--curve-server-key", &key], &["--curve-secret"]);
    with(&["--curve-secret", &secret], &["--curve-server-key"]);
    with(&["--curve-server-key", "short"], &["--curve-server-key", "40 characters"]);
    with(&["--curve-server-key", "file:/nonexistent"], &["--curve-server-key", "/nonexistent"]);
    with(&["--plain", "alice"], &["--plain", "NAME:FILE"]);
    with(&["--domain", ""], &["--domain", "1 to 255"]);
    let plain = format!("alice:{secret}");
    with(&["--curve-server-key", &key, "--curve-secret", &secret, "--plain", &plain], &["two mechanisms"]);
    let open = ["broker", "--bind", "tcp://0.0.0.0:0", "--plain", &plain];
    assert_unusable(&open, &["tcp://0.0.0.0:0", "passwords", "--insecure"]);
    let keys_only = ["broker", "--bind", "tcp://127.0.0.1:0", "--allow", &folder.path("allow.toml")];
    assert_unusable(&keys_only, &["--allow", "--curve-secret"]);
}

#[test]
fn a_bind_beyond_loopback_is_allowed_with_curve() {
    let folder = Folder::new(&[]);
    let (secret, allow) = (folder.path("broker.key"), folder.path("allow.toml"));
    let flags = ["broker", "--bind", "tcp://0.0.0.0:0", "--curve-secret", &secret, "--allow", &allow];
    let mut child = command(&flags).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(line.starts_with("ready tcp://0.0.0.0:"), "{line:?}");
}

#[test]
fn settings_of_security_come_from_file_and_environment_too() {
    let folder = Folder::new(&[]);
    std::fs::write(
        folder.path("majordomo.toml"),
        format!("[broker]\ncurve-secret = \"{}\"\n", folder.path("broker.key")),
    )
    .unwrap();
    let broker = Majordomo::broker(&["--config", &folder.path("majordomo.toml")]);
    let output = command(&["call", "--broker", &broker.endpoint, "mmi.service", "echo"])
        .env("MAJORDOMO_CURVE_SERVER_KEY", folder.public("broker"))
        .env("MAJORDOMO_CURVE_SECRET", folder.path("worker.key"))
        .output()
        .unwrap();
    assert_eq!(stdout(&output), "404\n", "{}", stderr(&output));
    let strange = ["call", "--broker", &broker.endpoint, "mmi.service", "echo"];
    let output = command(&strange)
        .env("MAJORDOMO_CURVE_SERVER_KEY", folder.public("broker"))
        .env("MAJORDOMO_CURVE_SECRET", folder.path("worker.key"))
        .env("MAJORDOMO_DOMAIN", "test")
        .output()
        .unwrap();
    assert_refused(&output, &["domain", "test"]);
}

#[test]
fn no_secret_is_logged_however_much_is() {
    let folder = Folder::new(&["alice", "mallory"]);
    folder.allow(&[("alice", MAY_ECHO)]);
    let (secret, allow) = (folder.path("broker.key"), folder.path("allow.toml"));
    let log = std::fs::File::create(folder.path("log")).unwrap();
    let flags = ["-vv", "broker", "--bind", "tcp://127.0.0.1:0", "--curve-secret", &secret, "--allow", &allow];
    let mut command = command(&flags);
    let mut child =
        command.env("MAJORDOMO_LOG", "trace").stdout(Stdio::piped()).stderr(log.try_clone().unwrap()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let endpoint = line.trim().strip_prefix("ready ").unwrap().to_owned();
    for name in ["alice", "mallory"] {
        let flags = folder.flags(name);
        let line = ["call", "--broker", &endpoint, "--timeout", "200ms", "--retries", "1", "echo", "x"];
        let line = line.into_iter().chain(flags.iter().map(String::as_str)).collect::<Vec<_>>();
        let mut command = common::command(&line);
        command.env("MAJORDOMO_LOG", "trace").stdout(Stdio::null()).stderr(log.try_clone().unwrap()).status().unwrap();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let log = std::fs::read_to_string(folder.path("log")).unwrap();
    assert!(log.contains("refused"), "{log}");
    for name in ["broker", "alice", "mallory"] {
        let text = std::fs::read_to_string(folder.path(&format!("{name}.key"))).unwrap();
        let secret = text.lines().find(|line| !line.starts_with('#')).unwrap();
        assert!(!log.contains(secret), "the secret key of {name} is in the log");
    }
}
