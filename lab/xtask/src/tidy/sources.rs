//! The shape of a Rust file: a head that says what it is, a size one can read, and no unfinished or switched-off parts.

use crate::rust_source::{code_of, in_name, is_test_file, test_lines};
use crate::tree::{File, Tree};
use crate::violation::Violation;

/// Every badly shaped `.rs` file.
pub(crate) fn check(tree: &Tree) -> Vec<Violation> {
    tree.with_extension("rs").flat_map(check_file).collect()
}

fn check_file(file: &File) -> Vec<Violation> {
    let code = code_of(&file.text);
    let mut violations = Vec::new();
    violations.extend(head(file));
    violations.extend(length(file, &code));
    violations.extend(width(file));
    violations.extend(unfinished(file, &code));
    violations
}

fn head(file: &File) -> Option<Violation> {
    let fault = "has no head";
    (!file.text.starts_with("//!")).then(|| Violation::new(&file.path, fault, "a first line `//! what this file is`"))
}

/// Tests are not counted: a claim more should never cost a file its neighbour.
fn length(file: &File, code: &str) -> Option<Violation> {
    let lines = test_lines(code).iter().filter(|test| !**test).count();
    let fault = format!("has {lines} lines apart from its tests: the story has split");
    let long = lines > LINES_MAX && !is_test_file(&file.path);
    long.then(|| Violation::new(&file.path, fault, format!("at most {LINES_MAX}")))
}

fn width(file: &File) -> Vec<Violation> {
    let wide = file.text.lines().enumerate().map(|(at, line)| (at + 1, line.chars().count()));
    let wide = wide.filter(|(_, columns)| *columns > COLUMNS_MAX);
    let violation = |(line, columns)| {
        Violation::new(
            format!("{}:{line}", file.path),
            format!("is {columns} columns wide"),
            format!("at most {COLUMNS_MAX}"),
        )
    };
    wide.map(violation).collect()
}

fn unfinished(file: &File, code: &str) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (at, line) in code.lines().enumerate() {
        for (word, allowed) in UNFINISHED {
            if stands_in(line, word) {
                let place = format!("{}:{}", file.path, at + 1);
                violations.push(Violation::new(place, format!("has `{word}`"), *allowed));
            }
        }
    }
    violations
}

/// Whether `word` stands in `line` and is not the end of a longer name.
fn stands_in(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line.get(..at).and_then(|before| before.chars().next_back());
        !before.is_some_and(in_name)
    })
}

/// Past this a file tells two stories.
const LINES_MAX: usize = 500;
/// rustfmt keeps code within it; this catches comments and strings, which rustfmt leaves alone.
const COLUMNS_MAX: usize = 120;
const UNFINISHED: &[(&str, &str)] = &[
    ("todo!", "finished code"),
    ("unimplemented!", "finished code"),
    ("dbg!", "an event or a log line"),
    ("#[ignore", "a test that runs, or none"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &str, text: &str) -> Vec<String> {
        check(&Tree::drawn(&[(path, text)])).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_file_begins_with_its_head() {
        assert_eq!(lines("a/b.rs", "//! A file.\n"), Vec::<String>::new());
        for text in ["", "\n//! Late.", "/// Not a head.\nfn a() {}", "// Neither."] {
            assert_eq!(lines("a/b.rs", text), ["a/b.rs: has no head; allowed: a first line `//! what this file is`"]);
        }
    }

    #[test]
    fn five_hundred_lines_pass_and_one_more_does_not() {
        let text = |lines: usize| format!("//! Head.\n{}", "fn a() {}\n".repeat(lines - 1));
        assert_eq!(lines("a/b.rs", &text(LINES_MAX)), Vec::<String>::new());
        assert_eq!(lines("a/b.rs", &text(LINES_MAX + 1)).len(), 1);
        assert_eq!(lines("a/tests/b.rs", &text(LINES_MAX + 1)), Vec::<String>::new());
    }

    #[test]
    fn the_tests_module_is_not_counted() {
        let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "fn a() {}\n".repeat(600));
        assert_eq!(lines("a/b.rs", &format!("//! Head.\n{tests}")), Vec::<String>::new());
    }

    #[test]
    fn a_wide_comment_is_found_and_columns_are_characters_not_bytes() {
        let wide = |letter: &str, columns: usize| format!("//! Head.\n// {}\n", letter.repeat(columns - 3));
        assert_eq!(
            lines("a/b.rs", &wide("x", COLUMNS_MAX + 1)),
            ["a/b.rs:2: is 121 columns wide; allowed: at most 120"]
        );
        assert_eq!(lines("a/b.rs", &wide("é", COLUMNS_MAX)), Vec::<String>::new());
    }

    #[test]
    fn unfinished_and_switched_off_code_is_found_by_line() {
        for (word, _) in UNFINISHED {
            let found = lines("a/b.rs", &format!("//! Head.\nfn a() {{ {word} }}\n"));
            assert_eq!(found.len(), 1, "{word}");
            assert!(found[0].starts_with("a/b.rs:2: has `"), "{found:?}");
        }
    }

    #[test]
    fn the_same_words_in_comments_strings_and_longer_names_are_fine() {
        let text = "//! About todo!\nfn a() { f(\"dbg!\"); my_dbg!(); } // unimplemented!";
        assert_eq!(lines("a/b.rs", text), Vec::<String>::new());
    }
}
