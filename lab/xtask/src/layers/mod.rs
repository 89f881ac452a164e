//! `cargo xtask layers`: holds the crates to the table "Who may import whom".
//!
//! [`rules`] is the table, [`graph`] what cargo says, [`imports`] compares the two, [`mutants`] keeps seeded bugs out
//! of the product, [`purity`] reads the sources of crates that may not touch the outside world, [`unsafety`] keeps
//! `unsafe` in its one file. This file only strings them together.

mod graph;
mod imports;
mod mutants;
mod purity;
mod rules;
mod unsafety;

use cargo_metadata::Metadata;

use crate::tree::Tree;
use crate::violation::conclude;

/// Checks every rule and prints a line a violation.
///
/// # Errors
/// When a rule is broken, or cargo cannot be asked.
pub(crate) fn run(metadata: &Metadata) -> anyhow::Result<()> {
    let graph = graph::Graph::load(metadata)?;
    let tree = Tree::load(metadata.workspace_root.as_std_path())?;
    let mut violations = imports::check(&graph);
    violations.extend(mutants::check(&graph));
    violations.extend(purity::check(&tree));
    violations.extend(unsafety::check(&tree));
    conclude("layers", violations)
}

/// The crates of this workspace that must build with default features off.
pub(crate) fn machines(metadata: &Metadata) -> Vec<&'static str> {
    let pure = rules::RULES.iter().filter(|rule| rule.purity != rules::Purity::Never).map(|rule| rule.name);
    pure.filter(|name| metadata.workspace_packages().iter().any(|package| package.name.as_str() == *name)).collect()
}
