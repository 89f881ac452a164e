//! What comes as Debian packages, installed where we may: as root or by a sudo that asks nothing.
//!
//! Servers are installed without being started: the tests start their own, on free ports.

use std::path::Path;
use std::process::Command;

use super::find_program;
use crate::process;

/// A program or a header that tests need, and who ships it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    /// A program's name, or the full path of a file.
    name: &'static str,
    package: &'static str,
    /// Who needs it.
    purpose: &'static str,
}

impl Part {
    /// The line that says what one can do.
    pub(super) fn absent(&self) -> String {
        let Self { name, package, purpose } = self;
        format!("{name}: not found, and {purpose} need it; install the package {package} (Debian's name)")
    }

    fn is_there(&self) -> bool {
        if self.name.starts_with('/') { Path::new(self.name).exists() } else { find_program(self.name).is_some() }
    }
}

/// Installs what is missing; returns a line for each part that still is.
pub(super) fn install() -> Vec<String> {
    let missing = missing();
    if !missing.is_empty() {
        let packages: Vec<_> = missing.iter().map(|part| part.package).collect();
        match privileged() {
            _ if find_program("apt-get").is_none() => println!("no apt-get: {} not installed", packages.join(" ")),
            None => println!("neither root nor sudo: {} not installed", packages.join(" ")),
            Some(mut command) => {
                println!("installing {}", packages.join(" "));
                let result = process::run(command.args(["sh", "-c", INSTALL, "install"]).args(&packages));
                result.unwrap_or_else(|error| println!("{error:#}"));
            }
        }
    }
    self::missing().iter().map(Part::absent).collect()
}

/// What is not there.
pub(super) fn missing() -> Vec<Part> {
    PARTS.iter().filter(|part| !part.is_there()).copied().collect()
}

/// The front of a command that runs as root, when there is a way.
fn privileged() -> Option<Command> {
    let user = process::output(Command::new("id").arg("-u")).unwrap_or_default();
    if user.trim() == "0" {
        return Some(Command::new("env"));
    }
    let mut sudo = Command::new("sudo");
    sudo.arg("--non-interactive");
    process::output(Command::new("sudo").args(["--non-interactive", "true"])).is_ok().then_some(sudo)
}

const PARTS: &[Part] = &[
    Part { name: "python3", package: "python3-venv", purpose: "the foreign peers" },
    Part { name: "redis-server", package: "redis-server", purpose: "the cache's tests" },
    Part { name: "gearmand", package: "gearman-job-server", purpose: "the benchmark's peers" },
    Part { name: "/usr/include/zmq.h", package: "libzmq3-dev", purpose: "the benchmark's peers" },
    Part { name: "g++", package: "g++", purpose: "the fuzz targets" },
];

/// Debian asks /usr/sbin/policy-rc.d before it starts a service: 101 means no.
const INSTALL: &str = r#"set -e
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
    trap 'rm -f $policy' EXIT
    printf '#!/bin/sh\nexit 101\n' > $policy
    chmod +x $policy
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update --quiet --quiet
apt-get install --quiet --quiet --yes --no-install-recommends "$@""#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_a_program_on_path_or_a_file() {
        let part = |name| Part { name, package: "", purpose: "" };
        assert!(part("sh").is_there() && part("/bin/sh").is_there());
        assert!(!part("no-such-program-here").is_there() && !part("/no/such/file").is_there());
    }

    #[test]
    fn a_missing_part_is_named_with_its_package_and_who_needs_it() {
        let part = Part { name: "a", package: "b", purpose: "the c" };
        assert_eq!(part.absent(), "a: not found, and the c need it; install the package b (Debian's name)");
    }
}
