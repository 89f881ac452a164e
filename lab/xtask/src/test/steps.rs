//! The steps of `cargo xtask test` as a list: a name, and what to run.

use std::process::Command;
use std::time::Duration;

use anyhow::bail;
use cargo_metadata::Metadata;

use crate::tools::{Tools, find_program};
use crate::{bench, fuzz, layers, process, tidy};

/// One step.
pub(super) struct Step {
    /// What one types to run it alone.
    pub(super) name: &'static str,
    pub(super) run: fn(&Context<'_>) -> anyhow::Result<()>,
}

/// What a step may look at.
pub(super) struct Context<'run> {
    pub(super) metadata: &'run Metadata,
    pub(super) tools: &'run Tools,
    pub(super) offline: bool,
}

impl Context<'_> {
    fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = process::cargo(arguments);
        command.current_dir(&self.metadata.workspace_root).envs(self.tools.environment());
        if self.offline {
            command.env("MAJORDOMO_TEST_OFFLINE", "1").env("CARGO_NET_OFFLINE", "true");
        }
        command
    }
}

/// All steps, cheap ones first.
const STEPS: &[Step] = &[
    Step { name: "format", run: |run| process::run(&mut run.cargo(&["fmt", "--all", "--check"])) },
    Step { name: "layers", run: |run| layers::run(run.metadata) },
    Step { name: "tidy", run: |run| tidy::run(run.metadata) },
    Step { name: "clippy", run: clippy },
    Step { name: "pure", run: pure },
    Step { name: "test", run: test },
    Step { name: "sim", run: sim },
    Step { name: "docs", run: docs },
    Step { name: "compose", run: compose },
    Step { name: "fuzz", run: fuzz },
    Step { name: "bench", run: |run| bench::smoke(|words| run.cargo(words), !run.offline) },
];

/// The steps with these names in the list's order; all of them when none is named.
pub(super) fn chosen(names: &[String]) -> anyhow::Result<Vec<&'static Step>> {
    if let Some(stranger) = names.iter().find(|name| !STEPS.iter().any(|step| step.name == name.as_str())) {
        let known: Vec<_> = STEPS.iter().map(|step| step.name).collect();
        bail!("{stranger}: no such step; there are {}", known.join(", "));
    }
    let asked = |step: &&Step| names.is_empty() || names.iter().any(|name| name == step.name);
    Ok(STEPS.iter().filter(asked).collect())
}

fn clippy(run: &Context<'_>) -> anyhow::Result<()> {
    let words = ["clippy", "--workspace", "--all-targets", "--features", OPTIONAL, "--", "--deny", "warnings"];
    process::run(&mut run.cargo(&words))
}

fn test(run: &Context<'_>) -> anyhow::Result<()> {
    process::run(&mut run.cargo(&["test", "--workspace", "--features", OPTIONAL, "--no-fail-fast"]))
}

/// What a product can be built with and by default is not.
const OPTIONAL: &str = "majordomo/otel";

/// The machines build without the crate that knows tokio.
fn pure(run: &Context<'_>) -> anyhow::Result<()> {
    let mut arguments = vec!["check", "--no-default-features"];
    for name in layers::machines(run.metadata) {
        arguments.extend(["--package", name]);
    }
    process::run(&mut run.cargo(&arguments))
}

/// Ten thousand seeds, and every seeded bug until it is found: seconds each on two processors, once they are built.
fn sim(run: &Context<'_>) -> anyhow::Result<()> {
    let words = ["run", "--release", "--quiet", "--package", "sim"];
    process::run(run.cargo(&words).args(["--", "sweep", "--seeds", "10000"]))?;
    process::run(run.cargo(&words).args(["--features", "mutants", "--", "mutants"]))
}

fn docs(run: &Context<'_>) -> anyhow::Result<()> {
    process::run(run.cargo(&["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "--deny warnings"))
}

/// Validates the compose file where docker-compose is installed; it needs no engine for that.
fn compose(run: &Context<'_>) -> anyhow::Result<()> {
    let Some(program) = find_program("docker-compose") else {
        println!("docker-compose is not installed: docker-compose.yml was not validated");
        return Ok(());
    };
    let mut command = Command::new(program);
    process::run(command.args(["config", "--quiet"]).current_dir(&run.metadata.workspace_root))
}

fn fuzz(run: &Context<'_>) -> anyhow::Result<()> {
    let time = Duration::from_secs(30);
    fuzz::run(run.metadata, &fuzz::Arguments { time, replay: None, targets: Vec::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_steps_run_unless_some_are_named() {
        assert_eq!(chosen(&[]).unwrap().len(), STEPS.len());
        let names: Vec<_> = chosen(&["docs".into(), "tidy".into()]).unwrap().iter().map(|step| step.name).collect();
        assert_eq!(names, ["tidy", "docs"]);
    }

    #[test]
    fn a_stranger_is_named_with_what_there_is() {
        let error = chosen(&["tests".into()]).err().unwrap().to_string();
        assert!(error.starts_with("tests: no such step; there are format, layers"), "{error}");
    }
}
