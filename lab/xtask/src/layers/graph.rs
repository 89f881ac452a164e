//! The workspace's crates and what each imports, read from cargo; a plain value, so that tests can draw their own.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};
use cargo_metadata::{DependencyKind, Metadata, Package};

use super::rules::{Purity, RULES};

/// All crates of the workspace by name.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    pub(crate) crates: BTreeMap<String, Crate>,
    /// Whether the root's shared lints forbid `unsafe`.
    pub(crate) unsafe_forbidden: bool,
}

/// One crate of the workspace.
#[derive(Debug, Default)]
pub(crate) struct Crate {
    /// Its folder, relative to the root: `lab/xtask`.
    pub(crate) folder: String,
    pub(crate) imports: Vec<Import>,
    /// The `[features]` table.
    pub(crate) features: BTreeMap<String, Vec<String>>,
    /// What its Cargo.toml says about lints.
    pub(crate) lints: Lints,
    /// Every package in its normal build with default features off, itself included; empty when its rule doesn't ask.
    pub(crate) pulled: BTreeSet<String>,
}

/// Whose lints a crate has.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lints {
    /// The root's.
    Shared,
    /// A copy of the root's, in which `unsafe` is denied and not forbidden.
    SharedButUnsafe,
    /// Others, or none.
    #[default]
    Own,
}

/// One line of a `[dependencies]` table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Import {
    pub(crate) name: String,
    /// In `[dev-dependencies]`: only tests, examples and benches see it.
    pub(crate) dev: bool,
    pub(crate) optional: bool,
    /// What it switches on there.
    pub(crate) features: Vec<String>,
}

impl Graph {
    /// Asks `cargo metadata`, the manifests and, for crates that must be pure, `cargo tree`.
    ///
    /// # Errors
    /// When cargo fails or a manifest cannot be read.
    pub(crate) fn load(metadata: &Metadata) -> anyhow::Result<Self> {
        let root = metadata.workspace_root.as_std_path();
        let manifest = manifest_at(&root.join("Cargo.toml"))?;
        let mut crates = BTreeMap::new();
        for package in metadata.workspace_packages() {
            crates.insert(package.name.to_string(), Crate::load(package, root, &manifest)?);
        }
        Ok(Self { crates, unsafe_forbidden: forbids_unsafe(&manifest) })
    }
}

impl Crate {
    fn load(package: &Package, root: &Path, root_manifest: &toml::Table) -> anyhow::Result<Self> {
        let folder = package.manifest_path.parent().context("a manifest lies in a folder")?.as_std_path();
        let manifest = manifest_at(package.manifest_path.as_std_path())?;
        let asked = RULES.iter().any(|rule| rule.name == package.name.as_str() && rule.purity != Purity::Never);
        Ok(Self {
            folder: folder.strip_prefix(root).unwrap_or(folder).to_string_lossy().into_owned(),
            imports: package.dependencies.iter().map(Import::from).collect(),
            features: package.features.clone(),
            lints: lints_of(&manifest, root_manifest),
            pulled: if asked { pulled_without_default_features(&package.name, root)? } else { BTreeSet::new() },
        })
    }
}

impl From<&cargo_metadata::Dependency> for Import {
    fn from(dependency: &cargo_metadata::Dependency) -> Self {
        Self {
            name: dependency.name.clone(),
            dev: dependency.kind == DependencyKind::Development,
            optional: dependency.optional,
            features: dependency.features.clone(),
        }
    }
}

fn manifest_at(path: &Path) -> anyhow::Result<toml::Table> {
    let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    text.parse().with_context(|| format!("parsing {}", path.display()))
}

fn forbids_unsafe(root: &toml::Table) -> bool {
    let lint = root.get("workspace").and_then(|table| table.get("lints")?.get("rust")?.get("unsafe_code"));
    lint.and_then(toml::Value::as_str) == Some("forbid")
}

fn lints_of(manifest: &toml::Table, root: &toml::Table) -> Lints {
    let Some(lints) = manifest.get("lints") else { return Lints::Own };
    if lints.get("workspace").and_then(toml::Value::as_bool) == Some(true) {
        return Lints::Shared;
    }
    let mut shared = root.get("workspace").and_then(|table| table.get("lints")).cloned();
    if let Some(level) = shared.as_mut().and_then(|table| table.get_mut("rust")?.get_mut("unsafe_code")) {
        *level = "deny".into();
    }
    if shared.as_ref() == Some(lints) { Lints::SharedButUnsafe } else { Lints::Own }
}

/// `cargo tree` resolves the features of this crate alone, which the workspace's metadata cannot: there the command
/// line switches every feature on.
fn pulled_without_default_features(name: &str, root: &Path) -> anyhow::Result<BTreeSet<String>> {
    let output = Command::new("cargo")
        .args(["tree", "--package", name, "--no-default-features", "--edges", "normal", "--prefix", "none"])
        .args(["--format", "{p}"])
        .current_dir(root)
        .output()
        .context("running cargo tree")?;
    if !output.status.success() {
        bail!("cargo tree --package {name} failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_word_forbid_forbids_unsafe() {
        let table = |level: &str| format!("[workspace.lints.rust]\nunsafe_code = \"{level}\"").parse().unwrap();
        assert!(forbids_unsafe(&table("forbid")));
        assert!(!forbids_unsafe(&table("deny")));
        assert!(!forbids_unsafe(&toml::Table::new()));
    }

    #[test]
    fn a_crate_shares_lints_only_when_it_says_so() {
        let root = ROOT.parse().unwrap();
        assert_eq!(lints_of(&"[lints]\nworkspace = true".parse().unwrap(), &root), Lints::Shared);
        assert_eq!(lints_of(&"[lints.rust]\nunsafe_code = \"allow\"".parse().unwrap(), &root), Lints::Own);
        assert_eq!(lints_of(&toml::Table::new(), &root), Lints::Own);
    }

    #[test]
    fn a_copy_of_the_lints_may_differ_in_the_one_word_and_in_nothing_else() {
        let root = ROOT.parse().unwrap();
        let copy = ROOT.replace("workspace.lints", "lints");
        let of = |text: &str| lints_of(&text.parse().unwrap(), &root);
        assert_eq!(of(&copy.replace("forbid", "deny")), Lints::SharedButUnsafe);
        assert_eq!(of(&copy.replace("forbid", "allow")), Lints::Own);
        assert_eq!(of(&copy.replace("forbid", "deny").replace("warn", "allow")), Lints::Own);
        assert_eq!(of("[lints.rust]\nunsafe_code = \"deny\""), Lints::Own);
    }

    const ROOT: &str = "[workspace.lints.rust]\nunsafe_code = \"forbid\"\n[workspace.lints.clippy]\npanic = \"warn\"";
}
