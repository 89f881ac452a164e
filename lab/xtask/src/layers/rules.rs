//! Who may import whom: the table of docs/ARCHITECTURE.md as data. To move a wall, change a row here and there.

/// What a crate may import of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Imports {
    /// These crates and no others.
    Only(&'static [&'static str]),
    /// Every crate of ours except examples and the lab.
    Any,
}

/// When a crate must build without sockets, clocks and random numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purity {
    /// In every build, its tests too.
    Always,
    /// With default features off: what is left is the machine that the simulator runs.
    WithoutDefaultFeatures,
    /// Never asked: the crate's job is the outside world.
    Never,
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rule {
    /// The package's name in its Cargo.toml.
    pub(crate) name: &'static str,
    pub(crate) imports: Imports,
    pub(crate) purity: Purity,
}

const fn row(name: &'static str, imports: Imports, purity: Purity) -> Rule {
    Rule { name, imports, purity }
}

/// The table. A row whose crate does not exist yet waits for it; a crate without a row is a violation.
pub(crate) const RULES: &[Rule] = &[
    row("protocol", Imports::Only(&[]), Purity::Always),
    row("zmtp", Imports::Only(&["protocol"]), Purity::WithoutDefaultFeatures),
    row("runtime", Imports::Only(&["protocol", "zmtp"]), Purity::Never),
    row("broker", Imports::Only(&["protocol", "runtime"]), Purity::WithoutDefaultFeatures),
    row("worker", Imports::Only(&["protocol", "runtime"]), Purity::WithoutDefaultFeatures),
    row("client", Imports::Only(&["protocol", "runtime"]), Purity::WithoutDefaultFeatures),
    row("mesh", Imports::Only(&["protocol", "runtime"]), Purity::WithoutDefaultFeatures),
    row("titanic", Imports::Only(&["protocol", "worker", "client", "runtime"]), Purity::WithoutDefaultFeatures),
    row("crud", Imports::Only(&["worker", "client"]), Purity::Never),
    row("majordomo", Imports::Any, Purity::Never),
    row("examples", Imports::Any, Purity::Never),
    row("fixtures", Imports::Only(&["protocol"]), Purity::Never),
    row("bench", Imports::Any, Purity::Never),
    row("xtask", Imports::Only(&[]), Purity::Never),
    row("sim", Imports::Only(&["protocol", "zmtp", "broker", "worker", "client", "mesh", "titanic"]), Purity::Always),
];

/// The one crate that knows tokio for the crates above it, and the feature that may bring it into a machine's crate.
pub(crate) const DRIVER: &str = "runtime";
pub(crate) const DRIVER_FEATURE: &str = "tokio";

/// The one file that may use `unsafe`: it reads the memory map of a log.
pub(crate) const UNSAFE_FILE: &str = "titanic/src/log/mmap.rs";
/// Its crate, whose lints are the shared ones but for `unsafe_code = "deny"`, which that file may lift.
pub(crate) const UNSAFE_CRATE: &str = "titanic";

/// The feature with which the machines have seeded bugs in them, for the simulator to find.
pub(crate) const MUTANTS_FEATURE: &str = "mutants";

/// Packages that read a clock, a socket or a random source: a pure build pulls none of them.
pub(crate) const IMPURE: &[&str] = &["tokio", "mio", "socket2", "getrandom", "rand", "fastrand", "runtime"];

/// Where programs and tools live that nobody may import.
pub(crate) const NEVER_IMPORTED: &[&str] = &["examples", "lab"];

/// The crates below those folders that tests may use, as a dev-dependency, and the lab itself.
pub(crate) const FIXTURES: &[&str] = &["fixtures"];

/// Folders whose sources [`super::purity`] reads.
pub(crate) const PURE_SOURCES: &[&str] = &["protocol/src"];

/// What such a source may not name, and why. Durations are plain numbers: `std::time::Duration` stays allowed.
pub(crate) const IMPURE_PATHS: &[(&str, &str)] = &[
    ("std::time::Instant", "time handed in as protocol::Instant"),
    ("std::time::SystemTime", "time handed in as protocol::Instant"),
    ("std::net", "bytes handed in"),
    ("std::fs", "bytes handed in"),
    ("std::env", "configuration handed in"),
    ("std::process", "values returned"),
    ("std::thread", "machines that the driver calls"),
    ("std::collections::HashMap", "BTreeMap or FxHashMap: the same order on every run"),
    ("std::collections::HashSet", "BTreeSet or FxHashSet: the same order on every run"),
];
