//! Relative links in Markdown lead somewhere. Addresses on the web and anchors within a file are not followed.

use std::path::Path;

use crate::tree::{File, Tree};
use crate::violation::Violation;

/// Every relative link whose target does not exist below `root`.
pub(crate) fn check(tree: &Tree, root: &Path) -> Vec<Violation> {
    tree.with_extension("md").flat_map(|file| broken(file, root)).collect()
}

fn broken(file: &File, root: &Path) -> Vec<Violation> {
    let folder = root.join(&file.path).parent().map(Path::to_path_buf).unwrap_or_default();
    let mut violations = Vec::new();
    for (line, target) in links(&file.text) {
        let target = target.split('#').next().unwrap_or_default();
        if !target.is_empty() && !is_web(target) && !folder.join(target).exists() {
            let fault = format!("links to {target}, which does not exist");
            violations.push(Violation::new(format!("{}:{line}", file.path), fault, "files below the project's root"));
        }
    }
    violations
}

/// Targets of `[text](target)` outside code blocks, with their lines.
fn links(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut fenced = false;
    for (at, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        for piece in line.split("](").skip(1) {
            if let Some((target, _)) = piece.split_once(')') {
                found.push((at + 1, target.split_whitespace().next().unwrap_or_default()));
            }
        }
    }
    found
}

fn is_web(target: &str) -> bool {
    target.contains("://") || target.starts_with("mailto:")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("docs")).unwrap();
        std::fs::write(root.path().join("docs/there.md"), "").unwrap();
        let tree = Tree::drawn(&[("docs/a.md", text)]);
        check(&tree, root.path()).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_link_to_a_file_or_folder_from_where_the_document_lies_is_fine() {
        assert_eq!(lines("[a](there.md) and [b](there.md#part \"title\"), [c](../docs)"), Vec::<String>::new());
    }

    #[test]
    fn a_link_to_nothing_is_found_with_its_line() {
        let allowed = "allowed: files below the project's root";
        assert_eq!(
            lines("one\n[a](docs/there.md)"),
            [format!("docs/a.md:2: links to docs/there.md, which does not exist; {allowed}")]
        );
    }

    #[test]
    fn web_addresses_anchors_and_code_blocks_are_not_followed() {
        assert_eq!(
            lines("[a](https://a.b/c) [b](#here) [c](mailto:a@b)\n```\n[d](nowhere)\n```\n"),
            Vec::<String>::new()
        );
    }
}
