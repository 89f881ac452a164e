//! Every foreign dependency in the root Cargo.toml stands below a comment that says why we don't write it ourselves.
//!
//! One comment may cover the lines right below it: a group ends at an empty line or the next comment.

use crate::tree::Tree;
use crate::violation::Violation;

/// Every dependency without a reason.
pub(crate) fn check(tree: &Tree) -> Vec<Violation> {
    let Some(manifest) = tree.at("Cargo.toml") else {
        return vec![Violation::new("Cargo.toml", "is missing", "a manifest at the root")];
    };
    let mut violations = Vec::new();
    let mut inside = false;
    let mut reasoned = false;
    for (at, line) in manifest.text.lines().enumerate() {
        let line = line.trim();
        if line.starts_with('[') {
            inside = line == "[workspace.dependencies]";
            reasoned = false;
        } else if line.is_empty() {
            reasoned = false;
        } else if line.starts_with('#') {
            reasoned = true;
        } else if inside && !reasoned && line.contains('=') && !line.contains("path = ") {
            let name = line.split('=').next().unwrap_or_default().trim();
            let fault = format!("{name} has no reason");
            violations.push(Violation::new(format!("Cargo.toml:{}", at + 1), fault, "a comment above that says why"));
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(manifest: &str) -> Vec<String> {
        check(&Tree::drawn(&[("Cargo.toml", manifest)])).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_comment_covers_the_lines_right_below_it() {
        let manifest =
            "[workspace.dependencies]\nours = { path = \"ours\" }\n\n# Why.\nbytes = \"1\"\nsmallvec = \"1\"\n";
        assert_eq!(lines(manifest), Vec::<String>::new());
    }

    #[test]
    fn a_dependency_after_an_empty_line_needs_a_reason_of_its_own() {
        let manifest = "[workspace.dependencies]\n# Why.\nbytes = \"1\"\n\nsmallvec = \"1\"\n";
        assert_eq!(lines(manifest), ["Cargo.toml:5: smallvec has no reason; allowed: a comment above that says why"]);
    }

    #[test]
    fn other_tables_need_no_reasons_and_a_missing_manifest_is_found() {
        assert_eq!(lines("[profile.dev]\ndebug = true\n"), Vec::<String>::new());
        assert_eq!(check(&Tree::default()).len(), 1);
    }
}
