//! The programs that tests and benchmarks run beside us: where they are, or why they are not there.
//!
//! What is there already is used as it is: a second run costs nothing. [`python`] and [`debian`] install the rest.

mod debian;
mod python;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::bail;
use cargo_metadata::Metadata;

/// What was found, and what could not be had.
#[derive(Debug, Default)]
pub(crate) struct Tools {
    /// The folder of the Python environment; its programs are in `bin`.
    python: Option<PathBuf>,
    redis_server: Option<PathBuf>,
    /// A line each: what is missing, why, and what one can do.
    missing: Vec<String>,
}

impl Tools {
    /// Looks for everything and installs what is missing.
    pub(crate) fn installed(metadata: &Metadata) -> Self {
        let mut missing = debian::install();
        let python = keep(python::install(&requirements(metadata), &environment_folder(metadata)), &mut missing);
        Self { python, redis_server: find_program("redis-server"), missing }
    }

    /// Looks for everything and installs nothing.
    pub(crate) fn present(metadata: &Metadata) -> Self {
        let mut missing = debian::missing().iter().map(debian::Part::absent).collect();
        let python = keep(python::present(&requirements(metadata), &environment_folder(metadata)), &mut missing);
        Self { python, redis_server: find_program("redis-server"), missing }
    }

    /// Prints what is missing: a failure, unless the tests are told to do without.
    pub(crate) fn complaint(&self, offline: bool) -> anyhow::Result<()> {
        for line in &self.missing {
            println!("{line}");
        }
        if !offline && !self.missing.is_empty() {
            bail!("{} of the tests' tools missing; `--offline` runs the tests that need none", self.missing.len());
        }
        Ok(())
    }

    /// The variables by which tests find the tools.
    pub(crate) fn environment(&self) -> Vec<(&'static str, OsString)> {
        let mut variables = Vec::new();
        let mut folders: Vec<PathBuf> = search_folders();
        if let Some(python) = &self.python {
            let bin = python.join("bin");
            variables.push(("MAJORDOMO_TEST_PYTHON", bin.join("python").into_os_string()));
            variables.push(("MAJORDOMO_TEST_MONGO_SERVER", bin.join("secantusd-py").into_os_string()));
            // Last, so that the environment's own `python3` never hides the machine's.
            folders.push(bin);
        }
        if let Some(redis_server) = &self.redis_server {
            variables.push(("MAJORDOMO_TEST_REDIS_SERVER", redis_server.clone().into_os_string()));
        }
        variables.extend(std::env::join_paths(folders).ok().map(|path| ("PATH", path)));
        variables
    }
}

/// The program of this name on PATH, or where Debian keeps servers.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    search_folders().into_iter().map(|folder| folder.join(name)).find(|path| path.is_file())
}

fn search_folders() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).chain(["/usr/local/sbin", "/usr/sbin"].map(PathBuf::from)).collect()
}

fn keep(result: anyhow::Result<PathBuf>, missing: &mut Vec<String>) -> Option<PathBuf> {
    result.map_err(|error| missing.push(format!("{error:#}"))).ok()
}

fn requirements(metadata: &Metadata) -> PathBuf {
    metadata.workspace_root.as_std_path().join("lab/xtask/test-tools.txt")
}

fn environment_folder(metadata: &Metadata) -> PathBuf {
    Path::new(&metadata.target_directory).join("test-tools").join("python")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_tool_fails_the_run_unless_it_is_offline() {
        let tools = Tools { missing: vec!["redis-server: not there".into()], ..Tools::default() };
        assert!(tools.complaint(false).is_err());
        assert!(tools.complaint(true).is_ok());
        assert!(Tools::default().complaint(false).is_ok());
    }

    #[test]
    fn tests_find_the_tools_by_variables_and_the_environment_comes_last_on_path() {
        let tools = Tools { python: Some("/v".into()), redis_server: Some("/r".into()), missing: Vec::new() };
        let variables = tools.environment();
        let value = |name| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.clone()).unwrap();
        assert_eq!(value("MAJORDOMO_TEST_PYTHON"), "/v/bin/python");
        assert_eq!(value("MAJORDOMO_TEST_MONGO_SERVER"), "/v/bin/secantusd-py");
        assert_eq!(value("MAJORDOMO_TEST_REDIS_SERVER"), "/r");
        assert_eq!(std::env::split_paths(&value("PATH")).last().unwrap(), Path::new("/v/bin"));
    }

    #[test]
    fn a_program_is_found_on_path_and_a_stranger_is_not() {
        assert!(find_program("sh").is_some());
        assert_eq!(find_program("no-such-program-here"), None);
    }
}
