//! What comes as Debian packages, installed where we may: as root or by a sudo that asks nothing.
//!
//! Servers are installed without being started: the tests start their own, on free ports.

use std::path::Path;
use std::process::Command;

use super::find_program;
use crate::process;

/// What tests need, and who ships it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    found: Found,
    package: &'static str,
    /// Who needs it.
    purpose: &'static str,
}

/// How one sees that it is there.
#[derive(Debug, Clone, Copy)]
enum Found {
    /// A program on PATH.
    Program(&'static str),
    /// A file at this path.
    File(&'static str),
    /// A module that the machine's Python can import: Debian splits its standard library.
    PythonModule(&'static str),
}

impl Part {
    /// The line that says what one can do.
    pub(super) fn absent(&self) -> String {
        let Self { found, package, purpose } = self;
        let (Found::Program(name) | Found::File(name) | Found::PythonModule(name)) = found;
        format!("{name}: not found, and {purpose} need it; install the package {package} (Debian's name)")
    }

    fn is_there(&self) -> bool {
        match self.found {
            Found::Program(name) => find_program(name).is_some(),
            Found::File(path) => Path::new(path).exists(),
            Found::PythonModule(name) => {
                process::output(Command::new("python3").args(["-c", &format!("import {name}")])).is_ok()
            }
        }
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
    Part { found: Found::PythonModule("ensurepip"), package: "python3-venv", purpose: "the foreign peers" },
    Part { found: Found::Program("redis-server"), package: "redis-server", purpose: "the cache's tests" },
    Part { found: Found::Program("gearmand"), package: "gearman-job-server", purpose: "the benchmark's peers" },
    Part { found: Found::Program("beanstalkd"), package: "beanstalkd", purpose: "the benchmark's peers" },
    Part { found: Found::File("/usr/include/zmq.h"), package: "libzmq3-dev", purpose: "the benchmark's peers" },
    Part { found: Found::File("/usr/include/czmq.h"), package: "libczmq-dev", purpose: "the tests of gossip" },
    Part { found: Found::Program("g++"), package: "g++", purpose: "the fuzz targets" },
    Part { found: Found::Program("ip"), package: "iproute2", purpose: "the tests of the mesh" },
    Part { found: Found::Program("nft"), package: "nftables", purpose: "the tests of the mesh" },
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
    fn a_part_is_a_program_or_a_file_or_a_module() {
        let there = |found| Part { found, package: "", purpose: "" }.is_there();
        assert!(there(Found::Program("sh")));
        assert!(!there(Found::Program("no-such-program-here")));
        assert!(there(Found::File("/bin/sh")));
        assert!(!there(Found::File("/no/such/file")));
        assert!(!there(Found::PythonModule("no_such_module_here")));
    }

    #[test]
    fn a_missing_part_is_named_with_its_package_and_who_needs_it() {
        let part = Part { found: Found::Program("a"), package: "b", purpose: "the c" };
        assert_eq!(part.absent(), "a: not found, and the c need it; install the package b (Debian's name)");
    }
}
