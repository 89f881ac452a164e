//! One fuzz target: search from its corpus, replay one input, or minimise the corpus. Speaks libFuzzer's command line.

use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};

use crate::process;

/// A target with its folders, all of which exist.
pub(super) struct Campaign {
    name: String,
    binary: PathBuf,
    kept: PathBuf,
    finds: PathBuf,
    artifacts: PathBuf,
    log: PathBuf,
}

/// What a search that found no crash did.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Summary {
    name: String,
    executions: u64,
    coverage: u64,
}

impl Campaign {
    /// # Errors
    /// When a folder cannot be made.
    pub(super) fn new(name: &str, folder: &Path, binaries: &Path) -> anyhow::Result<Self> {
        let campaign = Self {
            name: name.to_owned(),
            binary: binaries.join(name),
            kept: folder.join("corpus").join(name),
            finds: binaries.join("finds").join(name),
            artifacts: folder.join("artifacts").join(name),
            log: binaries.join(format!("{name}.log")),
        };
        for folder in [&campaign.kept, &campaign.finds, &campaign.artifacts] {
            fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        }
        Ok(campaign)
    }

    /// Searches for `time`, from the kept corpus and earlier finds.
    ///
    /// # Errors
    /// When an input crashes, hangs or eats memory; the error says how to replay it.
    pub(super) fn search(&self, time: Duration) -> anyhow::Result<Summary> {
        let mut command = self.command();
        command.arg(format!("-max_total_time={}", time.as_secs().max(1)));
        command.args(["-print_final_stats=1", "-timeout=10"]).arg(&self.finds).arg(&self.kept);
        // A backtrace would push the panic's message out of what a failure shows; a replay has room for one.
        command.env("RUST_BACKTRACE", "0");
        let log = File::create(&self.log).with_context(|| format!("writing {}", self.log.display()))?;
        let status = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).status();
        let status = status.with_context(|| format!("starting {}", self.binary.display()))?;
        let log = String::from_utf8_lossy(&fs::read(&self.log)?).into_owned();
        if !status.success() {
            bail!("{}", self.failure(&log));
        }
        summary(&self.name, &log).with_context(|| format!("{}: its log has no figures:\n{log}", self.name))
    }

    /// Runs one input with its output on ours.
    ///
    /// # Errors
    /// When the input still fails.
    pub(super) fn replay(&self, input: &Path) -> anyhow::Result<()> {
        process::run(self.command().arg(input))
    }

    /// Replaces the kept corpus with the fewest and smallest inputs that reach as much as it and all finds together.
    ///
    /// # Errors
    /// When a file cannot be moved, or an input fails.
    pub(super) fn minimise(&self) -> anyhow::Result<()> {
        let fresh = self.finds.with_extension("fresh");
        if fresh.exists() {
            fs::remove_dir_all(&fresh)?;
        }
        fs::create_dir_all(&fresh)?;
        process::run(self.command().arg("-set_cover_merge=1").arg(&fresh).arg(&self.kept).arg(&self.finds))?;
        for folder in [&self.kept, &self.finds] {
            fs::remove_dir_all(folder)?;
            fs::create_dir_all(folder)?;
        }
        let (mut files, mut bytes) = (0, 0);
        for (size, path) in by_size(&fresh)? {
            if files == KEPT_FILES_MAX || bytes + size > KEPT_BYTES_MAX {
                break;
            }
            let name = path.file_name().context("an entry of a folder has a name")?;
            fs::copy(&path, self.kept.join(name))?;
            (files, bytes) = (files + 1, bytes + size);
        }
        println!("{}: {files} inputs, {bytes} bytes kept", self.name);
        Ok(())
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(["-rss_limit_mb=1024", "-verbosity=1"]);
        command.arg(format!("-artifact_prefix={}/", self.artifacts.display()));
        command
    }

    /// The end of the log, and the command that runs the input again.
    fn failure(&self, log: &str) -> String {
        let lines: Vec<&str> = log.lines().collect();
        let tail = lines.get(lines.len().saturating_sub(FAILURE_LINES)..).unwrap_or_default().join("\n");
        let artifact = log.lines().find_map(|line| line.split_once("Test unit written to ")).map(|(_, path)| path);
        let replay = match artifact {
            Some(path) => format!("replay it with: cargo xtask fuzz {} --replay {}", self.name, path.trim()),
            None => "it left no input to replay".to_owned(),
        };
        format!("{tail}\n{}: crashed; {replay}", self.name)
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, executions, coverage } = self;
        write!(formatter, "{name}: {executions} executions, {coverage} edges covered, no crash")
    }
}

/// The files of a folder, smallest first.
fn by_size(folder: &Path) -> anyhow::Result<Vec<(u64, PathBuf)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        files.push((entry.metadata()?.len(), entry.path()));
    }
    files.sort();
    Ok(files)
}

/// Reads libFuzzer's log; `None` when it did not get as far as its figures.
fn summary(name: &str, log: &str) -> Option<Summary> {
    let executions = log.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"))?;
    let coverage = log.lines().rev().find_map(|line| line.split_once(" cov: "))?.1.split_whitespace().next()?;
    let (executions, coverage) = (executions.trim().parse().ok()?, coverage.parse().ok()?);
    Some(Summary { name: name.to_owned(), executions, coverage })
}

/// The kept corpus is cloned by everybody: small inputs reach nearly all, and the rest is found again in a second.
pub(super) const KEPT_FILES_MAX: usize = 199;
/// See [`KEPT_FILES_MAX`].
pub(super) const KEPT_BYTES_MAX: u64 = 300 * 1024;
const FAILURE_LINES: usize = 30;

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "#2\tINITED cov: 8 ft: 8 corp: 1/1b exec/s: 0 rss: 27Mb\n\
                       #145\tDONE   cov: 19 ft: 30 corp: 2/13b lim: 4096 exec/s: 13 rss: 27Mb\n\
                       Done 145 runs in 11 second(s)\n\
                       stat::number_of_executed_units: 145\n";

    /// A campaign whose target is a shell script.
    fn campaign(folder: &Path, script: &str) -> Campaign {
        let binary = folder.join("bin/codec");
        fs::create_dir_all(folder.join("bin")).unwrap();
        fs::write(&binary, format!("#!/bin/sh\n{script}")).unwrap();
        process::run(Command::new("chmod").arg("+x").arg(&binary)).unwrap();
        Campaign::new("codec", folder, &folder.join("bin")).unwrap()
    }

    #[test]
    fn a_search_reports_executions_and_the_last_coverage() {
        let folder = tempfile::tempdir().unwrap();
        let campaign = campaign(folder.path(), &format!("cat <<'EOF'\n{LOG}EOF\n"));
        let summary = campaign.search(Duration::from_secs(1)).unwrap();
        assert_eq!(summary, Summary { name: "codec".into(), executions: 145, coverage: 19 });
        assert_eq!(summary.to_string(), "codec: 145 executions, 19 edges covered, no crash");
    }

    #[test]
    fn a_crash_fails_with_the_command_that_replays_it() {
        let folder = tempfile::tempdir().unwrap();
        let script = "echo \"artifact_prefix='x'; Test unit written to lab/fuzz/artifacts/codec/crash-1\" >&2; exit 77";
        let error = campaign(folder.path(), script).search(Duration::from_secs(1)).unwrap_err().to_string();
        let replay = "codec: crashed; replay it with: cargo xtask fuzz codec --replay lab/fuzz/artifacts/codec/crash-1";
        assert!(error.ends_with(replay), "{error}");
    }

    #[test]
    fn a_target_that_ends_without_figures_is_a_failure() {
        let folder = tempfile::tempdir().unwrap();
        assert!(campaign(folder.path(), "exit 0").search(Duration::from_secs(1)).is_err());
    }

    #[test]
    fn minimising_keeps_the_smallest_inputs_within_the_limit() {
        let folder = tempfile::tempdir().unwrap();
        let write = "i=0; while [ $i -lt 210 ]; do printf %0${i}d 0 > \"$word/$i\"; i=$((i + 1)); done";
        let script = format!("for word; do case $word in -*) ;; *) {write}; exit 0;; esac; done");
        let campaign = campaign(folder.path(), &script);
        campaign.minimise().unwrap();
        assert_eq!(fs::read_dir(&campaign.kept).unwrap().count(), KEPT_FILES_MAX);
        assert!(campaign.kept.join("1").exists() && !campaign.kept.join("209").exists());
    }

    #[test]
    fn minimising_replaces_the_kept_corpus_and_forgets_the_finds() {
        let folder = tempfile::tempdir().unwrap();
        let script = "for word; do case $word in -*) ;; *) printf b > \"$word/best\"; exit 0;; esac; done; exit 1";
        let campaign = campaign(folder.path(), script);
        fs::write(campaign.kept.join("old"), "a").unwrap();
        fs::write(campaign.finds.join("new"), "a").unwrap();
        campaign.minimise().unwrap();
        let kept: Vec<_> = fs::read_dir(&campaign.kept).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(kept, ["best"]);
        assert_eq!(fs::read_dir(&campaign.finds).unwrap().count(), 0);
    }
}
