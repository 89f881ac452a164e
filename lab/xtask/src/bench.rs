//! `cargo xtask bench`: builds what is measured and what measures, then lets lab/bench do its work.

use std::process::Command;

use anyhow::Context;
use cargo_metadata::Metadata;

use crate::process;
use crate::tools::Tools;

/// The command line of `cargo xtask bench`.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Arguments {
    /// For the benchmark itself; `cargo xtask bench --help` lists them. Without any, everything is measured and written
    /// into docs/PERFORMANCE.md
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Measures in release mode.
///
/// # Errors
/// When something does not build, or a measurement fails.
pub(crate) fn run(metadata: &Metadata, arguments: &Arguments) -> anyhow::Result<()> {
    let tools = Tools::installed(metadata);
    if let Err(error) = tools.complaint(false) {
        println!("{error:#}; measuring without");
    }
    let cargo = |words: &[&str]| {
        let mut command = process::cargo(words);
        command.current_dir(&metadata.workspace_root).envs(tools.environment());
        command
    };
    process::run(&mut cargo(&["build", "--release", "--package", "majordomo"]))?;
    let mut measure = cargo(&["run", "--release", "--package", "bench", "--"]);
    measure.args(&arguments.arguments);
    if arguments.arguments.is_empty() {
        measure.args(["--write", "docs/PERFORMANCE.md"]);
    }
    if is_whole_mesh(&arguments.arguments) {
        measure.args(["--simulated", &simulated_mesh(cargo(SIMULATED))?]);
    }
    process::run(&mut measure)
}

/// Whether the mesh is to be measured and nobody has said what the simulator finds.
fn is_whole_mesh(arguments: &[String]) -> bool {
    let is_asked_otherwise = |word: &String| word.starts_with("--simulated") || word == "--help" || word == "-h";
    arguments.iter().any(|word| word == "mesh") && !arguments.iter().any(is_asked_otherwise)
}

/// Lets the simulator run a mesh that no one machine has room for, and gives its row as the benchmark wants it.
fn simulated_mesh(mut test: Command) -> anyhow::Result<String> {
    test.env("MAJORDOMO_TEST_MESH_NODES", SIMULATED_NODES);
    let output = test.output().with_context(|| format!("{test:?}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    anyhow::ensure!(output.status.success(), "{test:?}\n{text}{}", String::from_utf8_lossy(&output.stderr));
    row_of(&text, SIMULATED_NODES).with_context(|| format!("no row of {SIMULATED_NODES} nodes in\n{text}"))
}

/// The numbers of the row that begins with `nodes`, joined by colons.
fn row_of(text: &str, nodes: &str) -> Option<String> {
    let words = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    words.into_iter().find(|words| words.len() == 4 && words.first() == Some(&nodes)).map(|words| words.join(":"))
}

/// Shows that the benchmark works: one short round of each suite in debug builds, whose figures mean nothing. `cargo`
/// gives commands that run in the right place; without `peers` only our own broker is measured.
///
/// # Errors
/// As [`run`].
pub(crate) fn smoke(cargo: impl Fn(&[&str]) -> Command, peers: bool) -> anyhow::Result<()> {
    process::run(&mut cargo(&["build", "--package", "majordomo", "--package", "bench"]))?;
    for (suite, ours) in SMOKE {
        let alone: &[&str] = if peers { &[] } else { ours };
        process::run(cargo(&["run", "--package", "bench", "--"]).args(suite.split(' ')).args(alone))?;
    }
    Ok(())
}

/// The test that prints what nodes send to be seen.
const SIMULATED: &[&str] = &[
    "test",
    "--release",
    "--package",
    "sim",
    "--test",
    "mesh",
    "--",
    "--nocapture",
    "what_a_node_sends_to_be_seen_does_not_grow_with_the_mesh",
];
const SIMULATED_NODES: &str = "1000";

/// Suites, cut short, and which of their peers are our own.
const SMOKE: [(&str, &[&str]); 4] = [
    ("rpc --rounds 1 --seconds 1 --sizes 64 --patterns 1x1,50x20", &["--peers", "majordomo"]),
    (
        "native --rounds 1 --seconds 0.5 --sizes 64 --patterns 50x20 --without-flood",
        &["--peers", "majordomo-0.3,forward"],
    ),
    ("mixed --rounds 1 --seconds 1 --long-percent 5", &["--peers", "majordomo-0.3"]),
    (
        "durable --rounds 1 --seconds 0.3 --sizes 128 --patterns 1x1,64x1 --without-whole",
        &["--keepers", "aboard,apart"],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_row_of_a_simulated_mesh_is_found_among_what_a_test_prints() {
        let text =
            "running 1 test\nnodes  beacons/s\n   10  1.00  0.00  22.0\n 1000  1.01  0.00  22.2\ntest a ... ok\n";
        assert_eq!(row_of(text, "1000").as_deref(), Some("1000:1.01:0.00:22.2"));
        assert_eq!(row_of(text, "100"), None);
    }

    #[test]
    fn the_simulator_is_asked_unless_somebody_has_answered_or_wants_help() {
        let asked = |words: &[&str]| is_whole_mesh(&words.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert!(asked(&["mesh"]) && asked(&["mesh", "--rounds", "1"]));
        assert!(!asked(&["rpc"]) && !asked(&["mesh", "--simulated", "1:1:1:1"]) && !asked(&["mesh", "--help"]));
    }
}
