//! The `bench` program as its users call it: JSON lines, the document's section, and what it says when it cannot.

#![allow(clippy::unwrap_used, reason = "a helper that fails has to fail its test")]

use std::process::{Command, Output};

#[test]
fn a_run_prints_json_lines_and_writes_its_section() {
    let folder = tempfile::tempdir().unwrap();
    let document = folder.path().join("PERFORMANCE.md");
    let write = document.to_str().unwrap();
    let load = ["--rounds", "2", "--seconds", "0.2", "--sizes", "64", "--patterns", "2x3", "--workers", "4"];
    let output = bench(&[&["rpc", "--offline", "--peers", "libzmq", "--json", "--write", write], &load[..]].concat());
    if std::env::var_os("MAJORDOMO_TEST_OFFLINE").is_some() && !output.status.success() {
        return eprintln!("left out: {}", text(&output.stderr));
    }
    assert!(output.status.success(), "{output:?}");

    let lines: Vec<serde_json::Value> =
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let result = &lines.iter().find(|line| line.get("result").is_some()).unwrap()["result"];
    assert_eq!(result["peer"], "libzmq");
    assert_eq!(result["pattern"], "2x3");
    let rounds = result["rounds"].as_array().unwrap();
    assert_eq!(rounds.len(), 2);
    assert!(rounds.iter().all(|round| round["requests_per_second"].as_f64().unwrap() > 0.0 && round["lost"] == 0));
    let goals: Vec<_> = lines.iter().filter_map(|line| line.get("goal")).collect();
    assert!(
        !goals.is_empty() && goals.iter().all(|goal| goal["reached"].is_null()),
        "without our broker none is judged"
    );

    let document = std::fs::read_to_string(document).unwrap();
    assert!(document.contains("## rpc") && document.contains("| libzmq"), "{document}");
}

#[test]
fn wrong_usage_is_one_line_with_what_is_allowed_and_exit_2() {
    for (arguments, allowed) in [
        (["rpc", "--patterns", "50"], "CLIENTSxOUTSTANDING"),
        (["rpc", "--sizes", "15"], "16 to 1048576"),
        (["rpc", "--seconds", "0"], "0.1 to 600"),
        (["rpc", "--rounds", "0"], "1..=99"),
        (["rpc", "--peers", "redis"], "gearmand"),
        (["native", "--credit", "0"], "1..=65536"),
        (["mixed", "--load-percent", "96"], "0.1 to 95"),
        (["footprint", "--connections", "0"], "1..=20000"),
        (["mesh", "--sizes", "251"], "2..=250"),
        (["mesh", "--simulated", "1000"], "NODES:BEACONS"),
    ] {
        let output = bench(&arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(text(&output.stderr).contains(allowed), "{arguments:?}: {}", text(&output.stderr));
    }
}

#[test]
fn a_broker_that_is_not_built_is_named_with_the_way_to_build_it() {
    let output = bench(&["rpc", "--peers", "majordomo", "--broker", "/nowhere/majordomo"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("cargo build"), "{}", text(&output.stderr));
}

#[test]
fn offline_with_no_peer_at_all_is_an_error_not_an_empty_table() {
    let output = bench(&["rpc", "--offline", "--peers", "majordomo", "--broker", "/nowhere/majordomo"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
}

fn bench(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bench")).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
