//! `cargo xtask tidy`: what every file owes its reader, checked by one small file a promise.

mod citations;
mod licences;
mod links;
mod paths;
mod reasons;
mod sources;

use cargo_metadata::Metadata;

use crate::tree::Tree;
use crate::violation::conclude;

/// Checks every promise and prints a line a violation.
///
/// # Errors
/// When a promise is broken, or the files cannot be read.
pub(crate) fn run(metadata: &Metadata) -> anyhow::Result<()> {
    let root = metadata.workspace_root.as_std_path();
    let tree = Tree::load(root)?;
    let mut violations = sources::check(&tree);
    violations.extend(licences::check(&licences::packages(metadata)));
    violations.extend(reasons::check(&tree));
    violations.extend(links::check(&tree, root));
    violations.extend(citations::check(&tree));
    violations.extend(paths::check(&tree));
    conclude("tidy", violations)
}
