//! Reads the sources of pure crates for names from std that touch the outside world or iterate in random order.
//!
//! `use` trees are spelled out first, so that `use std::{fs, time::Duration}` is seen as `std::fs`. Tests may do what
//! they like.

use super::rules::{IMPURE_PATHS, PURE_SOURCES};
use crate::rust_source::{code_of, in_name, is_test_file, test_lines};
use crate::tree::{File, Tree};
use crate::violation::Violation;

/// Every impure name in the pure folders.
pub(crate) fn check(tree: &Tree) -> Vec<Violation> {
    let pure = tree.with_extension("rs").filter(|file| !is_test_file(&file.path));
    pure.filter(|file| PURE_SOURCES.iter().any(|folder| file.path.starts_with(&format!("{folder}/"))))
        .flat_map(impure)
        .collect()
}

fn impure(file: &File) -> Vec<Violation> {
    let code = code_of(&file.text);
    let tests = test_lines(&code);
    let shipped: String =
        code.lines().zip(&tests).flat_map(|(line, test)| if *test { ["", "\n"] } else { [line, "\n"] }).collect();
    let mut violations = Vec::new();
    for (line, path) in paths(&shipped) {
        for (forbidden, instead) in IMPURE_PATHS {
            if path == *forbidden || path.starts_with(&format!("{forbidden}::")) {
                let place = format!("{}:{line}", file.path);
                violations.push(Violation::new(place, format!("names {forbidden}"), *instead));
            }
        }
    }
    violations
}

/// Every path that begins with `std::`, with braces spelled out, and its line.
fn paths(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("std::") {
        let before = code.get(..at).unwrap_or_default();
        if before.chars().next_back().is_some_and(in_name) {
            continue;
        }
        let line = before.matches('\n').count() + 1;
        let tree = code.get(at..).unwrap_or_default();
        found.extend(spelled_out(tree).into_iter().map(|path| (line, path)));
    }
    found
}

/// The paths of one `use` tree (or one plain path), read up to where it ends; `as` and what follows it is dropped.
fn spelled_out(tree: &str) -> Vec<String> {
    let mut paths = Vec::new();
    let mut prefixes: Vec<String> = Vec::new();
    let mut path = String::new();
    let mut renamed = false;
    for letter in tree.chars() {
        match letter {
            '{' => prefixes.push(path.clone()),
            ',' | '}' if !prefixes.is_empty() => {
                paths.push(std::mem::take(&mut path));
                renamed = false;
                if letter == '}' {
                    prefixes.pop();
                } else {
                    path = prefixes.last().cloned().unwrap_or_default();
                }
            }
            _ if letter.is_whitespace() => renamed = !path.is_empty() && !path.ends_with("::"),
            _ if renamed && !prefixes.is_empty() => {}
            _ if !renamed && (in_name(letter) || letter == ':' || letter == '*') => path.push(letter),
            _ => break,
        }
        if letter == '}' && prefixes.is_empty() {
            break;
        }
    }
    paths.push(path);
    paths.retain(|path| !path.is_empty() && !path.ends_with("::"));
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &str, text: &str) -> Vec<String> {
        check(&Tree::drawn(&[(path, text)])).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_use_tree_is_spelled_out() {
        let tree = "std::{fs as files, time::{Duration, Instant},\n    io,\n}; x, y";
        assert_eq!(spelled_out(tree), ["std::fs", "std::time::Duration", "std::time::Instant", "std::io"]);
        assert_eq!(spelled_out("std::env::args().b()"), ["std::env::args"]);
        assert_eq!(spelled_out("std::net as n, b"), ["std::net"]);
    }

    #[test]
    fn each_forbidden_name_is_found_however_it_is_written() {
        for (forbidden, _) in IMPURE_PATHS {
            let (parent, name) = forbidden.rsplit_once("::").unwrap();
            for text in [
                format!("use {forbidden};"),
                format!("use {parent}::{{Other, {name}}};"),
                format!("fn f() {{ {forbidden}::now(); }}"),
            ] {
                let lines = lines("protocol/src/a.rs", &text);
                assert_eq!(lines.len(), 1, "{text}: {lines:?}");
                assert!(lines[0].starts_with("protocol/src/a.rs:1: names "), "{lines:?}");
            }
        }
    }

    #[test]
    fn durations_own_instants_and_other_collections_are_pure() {
        let text = "use std::time::Duration;\nuse crate::Instant;\n\
                    use std::collections::BTreeMap;\nuse rustc_hash::FxHashMap;";
        assert_eq!(lines("protocol/src/a.rs", text), Vec::<String>::new());
    }

    #[test]
    fn tests_comments_and_other_crates_are_not_read() {
        let text = "// std::fs\n#[cfg(test)]\nmod tests { use std::fs; }";
        assert_eq!(lines("protocol/src/a.rs", text), Vec::<String>::new());
        assert_eq!(lines("runtime/src/a.rs", "use std::fs;"), Vec::<String>::new());
        assert_eq!(lines("protocol/tests/a.rs", "use std::fs;"), Vec::<String>::new());
    }
}
