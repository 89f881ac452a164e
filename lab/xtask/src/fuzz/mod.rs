//! `cargo xtask fuzz`: builds lab/fuzz with coverage counters on the stable toolchain and runs its targets.
//!
//! ```text
//! lab/fuzz/corpus/<target>      kept: small, minimised, in git; every run starts from it
//! <target dir>/fuzz/finds/      what runs on this machine found since; `fuzz minimise` merges it into the kept corpus
//! lab/fuzz/artifacts/<target>/  inputs that crashed, for `--replay`; not in git
//! ```
//!
//! [`campaign`] runs one target; this file finds, builds and schedules them.

mod campaign;

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Context, bail};
use cargo_metadata::Metadata;

use crate::process;
use campaign::Campaign;

/// The command line of `cargo xtask fuzz`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How long each target runs
    #[arg(long, default_value = "30s", value_parser = humantime::parse_duration)]
    pub(crate) time: Duration,
    /// Run one input instead of searching for new ones
    #[arg(long, value_name = "FILE")]
    pub(crate) replay: Option<PathBuf>,
    /// `minimise`, or the targets to run; all of them when none is named
    #[arg(value_name = "TARGET")]
    pub(crate) targets: Vec<String>,
}

/// Builds and runs the targets, two at a time.
///
/// # Errors
/// When a target crashes or does not build, or a name is unknown.
pub(crate) fn run(metadata: &Metadata, arguments: &Arguments) -> anyhow::Result<()> {
    let folder = metadata.workspace_root.as_std_path().join("lab/fuzz");
    let minimise = arguments.targets.first().is_some_and(|word| word == MINIMISE);
    let names = chosen(&known_targets(&folder)?, arguments.targets.get(usize::from(minimise)..).unwrap_or_default())?;
    let binaries = build(&folder, &metadata.target_directory.as_std_path().join("fuzz"))?;
    let campaigns = names.iter().map(|name| Campaign::new(name, &folder, &binaries)).collect::<Result<Vec<_>, _>>()?;
    if minimise {
        return campaigns.iter().try_for_each(Campaign::minimise);
    }
    if let Some(input) = &arguments.replay {
        return campaigns.iter().try_for_each(|campaign| campaign.replay(input));
    }
    search(&campaigns, arguments.time)
}

/// Runs every campaign for `time`, as many at once as the smallest machine that we care for has cores.
fn search(campaigns: &[Campaign], time: Duration) -> anyhow::Result<()> {
    let queue = Mutex::new(campaigns.iter());
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(campaign) = queue.lock().ok().and_then(|mut queue| queue.next()) {
                    match campaign.search(time) {
                        Ok(summary) => println!("{summary}"),
                        Err(error) => failures.lock().into_iter().for_each(|mut list| list.push(format!("{error:#}"))),
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap_or_default();
    for failure in &failures {
        println!("{failure}");
    }
    if !failures.is_empty() {
        bail!("{} of {} fuzz targets failed", failures.len(), campaigns.len());
    }
    Ok(())
}

/// The names of the `[[bin]]` tables.
fn known_targets(folder: &Path) -> anyhow::Result<Vec<String>> {
    let path = folder.join("Cargo.toml");
    let text = std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let manifest: toml::Table = text.parse().with_context(|| format!("parsing {}", path.display()))?;
    let bins = manifest.get("bin").and_then(toml::Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let name = |bin: &toml::Value| bin.get("name").and_then(toml::Value::as_str).map(str::to_owned);
    Ok(bins.iter().filter_map(name).collect())
}

fn chosen(known: &[String], asked: &[String]) -> anyhow::Result<Vec<String>> {
    if let Some(stranger) = asked.iter().find(|name| !known.contains(name)) {
        bail!("{stranger}: no such fuzz target; there are {}", known.join(", "));
    }
    Ok(if asked.is_empty() { known.to_vec() } else { asked.to_vec() })
}

/// Builds all targets and returns the folder of the binaries.
fn build(folder: &Path, target_folder: &Path) -> anyhow::Result<PathBuf> {
    // Naming the machine we are on keeps the counters out of build scripts and macros, which run at build time.
    let host = host()?;
    let manifest = folder.join("Cargo.toml");
    let mut command = process::cargo(&["build", "--release", "--target", &host]);
    command.arg("--manifest-path").arg(manifest).arg("--target-dir").arg(target_folder);
    command.env("RUSTFLAGS", INSTRUMENTED).env_remove("CARGO_ENCODED_RUSTFLAGS");
    process::run(&mut command)?;
    Ok(target_folder.join(host).join("release"))
}

fn host() -> anyhow::Result<String> {
    let text = process::output(std::process::Command::new("rustc").arg("-vV"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc -vV names no host")?;
    Ok(line.to_owned())
}

const MINIMISE: &str = "minimise";
const AT_ONCE: usize = 2;
/// What libFuzzer needs from the compiler: a counter an edge, their addresses, and every comparison's operands.
const INSTRUMENTED: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
                            -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
                            -Cllvm-args=-sanitizer-coverage-pc-table \
                            -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing";

#[cfg(test)]
mod tests {
    use super::campaign::{KEPT_BYTES_MAX, KEPT_FILES_MAX};
    use super::*;

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn no_name_means_all_targets_and_a_stranger_is_named_with_what_there_is() {
        let known = names(&["a", "b"]);
        assert_eq!(chosen(&known, &[]).unwrap(), known);
        assert_eq!(chosen(&known, &names(&["b"])).unwrap(), ["b"]);
        let error = chosen(&known, &names(&["c"])).unwrap_err().to_string();
        assert_eq!(error, "c: no such fuzz target; there are a, b");
    }

    #[test]
    fn targets_are_the_binaries_of_the_manifest() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("Cargo.toml"), "[[bin]]\nname = \"one\"\n[[bin]]\nname = \"two\"\n").unwrap();
        assert_eq!(known_targets(folder.path()).unwrap(), ["one", "two"]);
    }

    #[test]
    fn every_target_of_ours_has_a_kept_corpus_within_its_limits() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
        for target in known_targets(&folder).unwrap() {
            let files: Vec<_> = std::fs::read_dir(folder.join("corpus").join(&target)).unwrap().collect();
            let bytes: u64 = files.iter().map(|file| file.as_ref().unwrap().metadata().unwrap().len()).sum();
            assert!((1..=KEPT_FILES_MAX).contains(&files.len()), "{target}: {} files", files.len());
            assert!(bytes <= KEPT_BYTES_MAX, "{target}: {bytes} bytes");
        }
    }
}
