//! `unsafe` stands in one file, each time below a comment that says why it is safe.
//!
//! The compiler forbids it in every other crate; in that file's own crate it is only denied, so the sources are read.

use super::rules::{UNSAFE_CRATE, UNSAFE_FILE};
use crate::rust_source::{code_of, in_name};
use crate::tree::{File, Tree};
use crate::violation::Violation;

/// Every `unsafe` out of its place or without its argument.
pub(crate) fn check(tree: &Tree) -> Vec<Violation> {
    let folder = format!("{UNSAFE_CRATE}/");
    tree.with_extension("rs").filter(|file| file.path.starts_with(&folder)).flat_map(check_file).collect()
}

fn check_file(file: &File) -> Vec<Violation> {
    let code = code_of(&file.text);
    let lines: Vec<&str> = file.text.lines().collect();
    let mut violations = Vec::new();
    for (at, line) in code.lines().enumerate() {
        let place = || format!("{}:{}", file.path, at + 1);
        let lifted = has_word(line, "unsafe_code");
        if file.path != UNSAFE_FILE && (lifted || has_word(line, "unsafe")) {
            violations.push(Violation::new(place(), "has `unsafe`", format!("it in {UNSAFE_FILE}, and nowhere else")));
        } else if has_word(line, "unsafe") && !is_argued(lines.get(..at).unwrap_or_default()) {
            violations.push(Violation::new(place(), "has `unsafe` without an argument", "a comment `// SAFETY: ...`"));
        }
    }
    violations
}

/// Whether the comment that ends these lines has an argument in it.
fn is_argued(before: &[&str]) -> bool {
    let comment = before.iter().rev().map(|line| line.trim_start()).take_while(|line| line.starts_with("//"));
    comment.into_iter().any(|line| line.starts_with("// SAFETY: "))
}

fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line.get(..at).and_then(|before| before.chars().next_back());
        let after = line.get(at + word.len()..).and_then(|after| after.chars().next());
        !before.is_some_and(in_name) && !after.is_some_and(in_name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &str, text: &str) -> Vec<String> {
        check(&Tree::drawn(&[(path, text)])).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_one_file_may_use_it_below_its_argument() {
        let argued = "#![allow(unsafe_code)]\n// SAFETY: nobody else\n// has it.\nlet a = unsafe { b() };";
        assert_eq!(lines(UNSAFE_FILE, argued), Vec::<String>::new());
        let found = lines(UNSAFE_FILE, "// SAFETY: of something else\n\nunsafe { b() }");
        assert_eq!(
            found,
            [format!("{UNSAFE_FILE}:3: has `unsafe` without an argument; allowed: a comment `// SAFETY: ...`")]
        );
    }

    #[test]
    fn no_other_file_of_the_crate_may_use_it_or_lift_the_lint() {
        let allowed = format!("allowed: it in {UNSAFE_FILE}, and nowhere else");
        for text in ["// SAFETY: I promise.\nunsafe { b() }", "\n#![allow(unsafe_code)]", "\nunsafe fn f() {}"] {
            for path in ["titanic/src/log/file.rs", "titanic/tests/log/main.rs", "titanic/src/log/mmap/mod.rs"] {
                assert_eq!(lines(path, text), [format!("{path}:2: has `unsafe`; {allowed}")]);
            }
        }
    }

    #[test]
    fn words_in_comments_and_names_do_not_count_and_other_crates_are_the_compilers() {
        let text = "// unsafe\nlet unsafety = \"unsafe\"; let is_unsafe = 1;";
        assert_eq!(lines("titanic/src/lib.rs", text), Vec::<String>::new());
        assert_eq!(lines("zmtp/src/lib.rs", "unsafe {}"), Vec::<String>::new());
    }
}
