//! The command line is a contract: exit statuses, one-line errors, JSON for scripts.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::io::Write;
use std::process::Stdio;

use common::{Majordomo, call, command, run, stderr, stdout};

/// Runs and expects exit status 2 with one line that has all the parts.
fn assert_usage(arguments: &[&str], parts: &[&str]) {
    let output = run(arguments);
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {text}");
    assert_eq!(text.lines().count(), 1, "{arguments:?}: {text}");
    assert!(parts.iter().all(|part| text.contains(part)), "{arguments:?}: {text}");
}

#[test]
fn each_bad_flag_is_one_line_with_key_value_and_what_is_allowed() {
    assert_usage(&["broker", "--no-worker", "maybe"], &["--no-worker", "maybe", "queue, refuse"]);
    assert_usage(&["broker", "--queue-wait", "soon"], &["--queue-wait", "soon"]);
    assert_usage(&["broker", "--attempts", "0"], &["--attempts", "0", "1..="]);
    assert_usage(&["broker", "--bind", "udp://x"], &["--bind", "udp://x", "tcp://"]);
    assert_usage(&["broker", "--nonesuch"], &["--nonesuch"]);
    assert_usage(&["broker", "--sync", "os"], &["--sync", "--titanic FILE", "--memory"]);
    assert_usage(
        &["call", "--broker", "tcp://127.0.0.1:1", "--timeout", "0s", "echo"],
        &["--timeout", "more than zero"],
    );
    assert_usage(&["call", "echo"], &["--broker"]);
    assert_usage(&["worker", "db", "--broker", "tcp://127.0.0.1:1", "--store", "oracle:x"], &["oracle:x", "sqlite:"]);
    assert_usage(&["nonesuch"], &["nonesuch"]);
}

#[test]
fn a_bind_beyond_loopback_is_refused_unless_it_is_said_to_be_insecure() {
    assert_usage(&["broker", "--bind", "tcp://0.0.0.0:0"], &["--bind", "tcp://0.0.0.0:0", "--insecure"]);
}

#[test]
fn an_environment_variable_stands_for_a_flag() {
    let output = command(&["broker"]).env("MAJORDOMO_NO_WORKER", "maybe").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("maybe"), "{}", stderr(&output));
}

#[test]
fn a_broker_that_is_not_there_is_named_with_how_often_and_how_long() {
    let output = run(&["call", "--broker", "tcp://127.0.0.1:1", "--timeout", "100ms", "--retries", "2", "echo", "x"]);
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    assert_eq!(text.lines().count(), 1, "{text}");
    for part in ["tcp://127.0.0.1:1", "2 attempts", "0.2 s", "never reached"] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn a_service_that_nobody_offers_fails_after_the_last_retry() {
    let broker = Majordomo::broker(&[]);
    let line = ["call", "--broker", &broker.endpoint, "--timeout", "100ms", "--retries", "2", "nobody", "x"];
    let output = run(&line);
    assert_eq!((output.status.code(), stdout(&output)), (Some(1), String::new()));
    let text = stderr(&output);
    assert_eq!(text.lines().count(), 1, "{text}");
    for part in ["service nobody", &broker.endpoint, "2 attempts", "0.2 s"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    // The broker knows the client's deadline and says 408 when it is over: which is also when the client gives up.
    let who_was_first = ["the broker was reached", "408 deadline passed"];
    assert!(who_was_first.iter().any(|first| text.contains(first)), "{text}");
}

#[test]
fn an_address_in_use_is_a_failure_that_names_it() {
    let broker = Majordomo::broker(&[]);
    let output = run(&["broker", "--bind", &broker.endpoint]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains(&broker.endpoint), "{}", stderr(&output));
}

#[test]
fn call_prints_a_frame_a_line_and_json_on_demand() {
    let broker = Majordomo::broker(&[]);
    let _worker = Majordomo::echo(&broker.endpoint);
    assert_eq!(call(&broker.endpoint, &["echo", "one", "two"]), ["one", "two"]);
    let json = call(&broker.endpoint, &["--json", "echo", "one", "two"]);
    let json: serde_json::Value = serde_json::from_str(&json[0]).unwrap();
    assert_eq!(json, serde_json::json!({ "service": "echo", "frames": ["one", "two"] }));
}

#[test]
fn a_body_comes_from_standard_input_or_a_file_or_is_one_empty_frame() {
    let broker = Majordomo::broker(&[]);
    let _worker = Majordomo::echo(&broker.endpoint);
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"from a file").unwrap();
    let at = format!("@{}", file.path().display());
    let mut child = command(&["call", "--broker", &broker.endpoint, "echo", "-", &at])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"from standard input").unwrap();
    assert_eq!(stdout(&child.wait_with_output().unwrap()), "from standard input\nfrom a file\n");
    assert_eq!(call(&broker.endpoint, &["echo"]), [""]);
    let output = run(&["call", "--broker", &broker.endpoint, "echo", "@/nonexistent"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("/nonexistent"), "{}", stderr(&output));
}

#[test]
fn services_are_a_table_for_people_and_json_lines_for_scripts() {
    let broker = Majordomo::broker(&[]);
    let _worker = Majordomo::echo(&broker.endpoint);
    let table = stdout(&run(&["services", "--broker", &broker.endpoint]));
    assert!(table.contains("SERVICE") && table.contains("echo"), "{table}");
    let lines = stdout(&run(&["services", "--broker", &broker.endpoint, "--json"]));
    let line: serde_json::Value = serde_json::from_str(lines.trim()).unwrap();
    assert_eq!(line, serde_json::json!({ "service": "echo", "workers": 1, "waiting": 1, "queued": 0 }));
}

#[test]
fn any_program_is_a_worker() {
    let broker = Majordomo::broker(&[]);
    let shout = ["exec", "--service", "shout", "--", "tr", "a-z", "A-Z"];
    let fail = ["exec", "--service", "fail", "--", "sh", "-c", "echo no such order >&2; exit 3"];
    let absent = ["exec", "--service", "absent", "--", "/nonexistent/program"];
    let _workers = [&shout[..], &fail, &absent].map(|line| Majordomo::worker(&broker.endpoint, line));
    for service in ["shout", "fail", "absent"] {
        common::wait_for_workers(&broker.endpoint, service, 1);
    }
    assert_eq!(call(&broker.endpoint, &["shout", "hello"]), ["HELLO"]);
    for (service, reason) in
        [("fail", "sh ended with exit status: 3: no such order"), ("absent", "/nonexistent/program")]
    {
        let output = run(&["call", "--broker", &broker.endpoint, service, "x"]);
        let told = stderr(&output);
        assert_eq!((output.status.code(), told.lines().count()), (Some(1), 1), "{told}");
        assert!(told.contains(": 500 worker failed: ") && told.contains(reason), "{told}");
    }
}

#[test]
fn ipc_and_several_binds_reach_the_same_broker() {
    let folder = tempfile::tempdir().unwrap();
    let path = format!("ipc://{}", folder.path().join("broker.sock").display());
    let broker = Majordomo::broker(&["--bind", &path]);
    let _worker = Majordomo::echo(&path);
    assert_eq!(call(&broker.endpoint, &["echo", "through tcp"]), ["through tcp"]);
}

#[test]
fn a_config_file_sets_the_policies_of_services() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"[broker.service.now]\nno-worker = \"refuse\"\n").unwrap();
    let broker = Majordomo::broker(&["--config", file.path().to_str().unwrap()]);
    let output = run(&["call", "--broker", &broker.endpoint, "now", "x"]);
    let (told, endpoint) = (stderr(&output), &broker.endpoint);
    assert_eq!((output.status.code(), told.lines().count()), (Some(1), 1), "{told}");
    let why = format!("service now at {endpoint}: 404 no such service: ");
    assert!(told.contains(&why) && told.contains("(1 attempt in "), "{told}");
}

#[test]
fn metrics_are_served_for_prometheus() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let broker = Majordomo::broker(&["--metrics", &port.to_string()]);
    let _worker = Majordomo::echo(&broker.endpoint);
    call(&broker.endpoint, &["echo", "x"]);
    common::wait_until("the request to be counted", || {
        let page = common::metrics(port);
        page.contains("majordomo_replies_total{broker=\"app\"} 1")
            && page.contains("majordomo_workers{broker=\"app\"} 1")
    });
}

#[test]
fn completions_and_manual_come_from_the_same_definitions() {
    for shell in ["bash", "zsh", "fish"] {
        let script = stdout(&run(&["completions", shell]));
        assert!(script.contains("majordomo") && script.contains("db-broker"), "{shell}");
    }
    let manual = stdout(&run(&["man"]));
    assert!(manual.starts_with(".ie") || manual.contains(".TH majordomo"), "{manual}");
    assert!(manual.contains("busy\\-timeout") && manual.contains("majordomo worker db"));
}

#[test]
fn help_shows_every_command_and_ends_well() {
    let output = run(&["--help"]);
    assert_eq!(output.status.code(), Some(0));
    for name in ["demo", "broker", "worker", "call", "services", "completions", "man"] {
        assert!(stdout(&output).contains(name), "{name}");
    }
}
