//! No file names a folder of the machine that it happened to be written on.

use crate::tree::{File, Tree};
use crate::violation::Violation;

/// Every mention of such a folder.
pub(crate) fn check(tree: &Tree) -> Vec<Violation> {
    tree.files.iter().flat_map(check_file).collect()
}

fn check_file(file: &File) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (at, line) in file.text.lines().enumerate() {
        for path in MACHINE_PATHS {
            if mentions(line, path) {
                let place = format!("{}:{}", file.path, at + 1);
                violations.push(Violation::new(place, format!("names {path}"), "paths relative to the project's root"));
            }
        }
    }
    violations
}

/// Whether `path` stands in `line` as a whole: not within a longer path or name.
fn mentions(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        let before = line.get(..at).and_then(|before| before.chars().next_back());
        let after = line.get(at + path.len()..).and_then(|after| after.chars().next());
        !before.is_some_and(in_path) && !after.is_some_and(in_word)
    })
}

fn in_path(letter: char) -> bool {
    in_word(letter) || matches!(letter, '.' | '/' | '~' | '}' | ')')
}

fn in_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// Put together from pieces, so that this file does not accuse itself.
const MACHINE_PATHS: &[&str] =
    &[concat!("/ro", "ot"), concat!("/wo", "rk"), concat!("/ho", "me"), concat!("/tmp/tar", "get")];

#[cfg(test)]
mod tests {
    use super::*;

    fn found(line: &str) -> usize {
        check(&Tree::drawn(&[("a.md", line)])).len()
    }

    #[test]
    fn each_machine_path_is_found_alone_and_as_a_prefix() {
        for path in MACHINE_PATHS {
            for line in [(*path).to_owned(), format!("see {path}/x"), format!("\"{path}\""), format!("A={path}-x")] {
                assert_eq!(found(&line), 1, "{line}");
            }
        }
    }

    #[test]
    fn longer_names_and_relative_paths_are_fine() {
        for path in MACHINE_PATHS {
            for line in [format!("{path}er"), format!("a{path}"), format!("./a{path}"), format!("${{top}}{path}")] {
                assert_eq!(found(&line), 0, "{line}");
            }
        }
    }
}
