//! A Python environment of our own below the target folder, with exactly the packages that test-tools.txt pins.
//!
//! A copy of the list inside the environment says what was installed: the same list again means nothing to do.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use super::find_program;
use crate::process;

/// Makes the environment and fills it, unless it is there; returns its folder.
///
/// # Errors
/// When there is no Python, or a package cannot be had.
pub(super) fn install(requirements: &Path, folder: &Path) -> anyhow::Result<PathBuf> {
    if let Ok(folder) = present(requirements, folder) {
        return Ok(folder);
    }
    println!("installing the Python packages of {} into {}", requirements.display(), folder.display());
    let python = find_program("python3").context("python3: not found; install Python 3.9 or later")?;
    process::run(Command::new(python).args(["-m", "venv", "--clear"]).arg(folder))
        .context("python3 cannot make an environment; on Debian install python3-venv")?;
    let mut pip = Command::new(folder.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"]).arg(requirements);
    process::run(&mut pip).context("the Python packages of the tests cannot be installed")?;
    fs::copy(requirements, stamp(folder)).with_context(|| format!("writing into {}", folder.display()))?;
    Ok(folder.to_path_buf())
}

/// The environment's folder, when it holds what the list says.
///
/// # Errors
/// When it is missing, or was made from another list.
pub(super) fn present(requirements: &Path, folder: &Path) -> anyhow::Result<PathBuf> {
    let asked = fs::read(requirements).with_context(|| format!("reading {}", requirements.display()))?;
    let there = fs::read(stamp(folder)).unwrap_or_default();
    if there != asked {
        bail!("Python packages: {} does not hold those of {}", folder.display(), requirements.display());
    }
    Ok(folder.to_path_buf())
}

fn stamp(folder: &Path) -> PathBuf {
    folder.join("installed.txt")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_environment_counts_only_with_the_same_list() {
        let folder = tempfile::tempdir().unwrap();
        let requirements = folder.path().join("list.txt");
        let environment = folder.path().join("python");
        fs::create_dir(&environment).unwrap();
        fs::write(&requirements, "a==1\n").unwrap();
        assert!(present(&requirements, &environment).is_err());
        fs::write(stamp(&environment), "a==1\n").unwrap();
        assert_eq!(present(&requirements, &environment).unwrap(), environment);
        fs::write(&requirements, "a==2\n").unwrap();
        assert!(present(&requirements, &environment).is_err());
    }
}
