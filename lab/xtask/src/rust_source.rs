//! Just enough of Rust's grammar for the checks: which text is code, and which lines are tests.
//!
//! It is not a parser. It knows comments, literals and braces, so that a word in a comment or a string never counts.

/// `text` with every comment and literal blanked out: same lines, same columns in characters.
pub(crate) fn code_of(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    let mut previous = ' ';
    while let Some(first) = rest.chars().next() {
        let blank = blank_len(rest, previous);
        let taken = if blank == 0 { first.len_utf8() } else { blank };
        let (piece, after) = rest.split_at(taken);
        if blank == 0 {
            code.push(first);
        } else {
            code.extend(piece.chars().map(|letter| if letter == '\n' { '\n' } else { ' ' }));
        }
        previous = piece.chars().last().unwrap_or(' ');
        rest = after;
    }
    code
}

/// For each line of `code`, whether it belongs to an item under `#[cfg(test)]`.
pub(crate) fn test_lines(code: &str) -> Vec<bool> {
    let mut marks = Vec::new();
    let mut depth: Option<usize> = None;
    for line in code.lines() {
        if depth.is_none() && line.trim_start().starts_with("#[cfg(test)]") {
            depth = Some(0);
        }
        marks.push(depth.is_some());
        depth = depth.and_then(|depth| depth_after(line, depth));
    }
    marks
}

/// Whether the whole file is tests: it lies under `tests/`, or is the `tests.rs` of a module.
pub(crate) fn is_test_file(path: &str) -> bool {
    path.split('/').any(|part| part == "tests" || part == "tests.rs")
}

/// Whether `letter` can be part of a name.
pub(crate) fn in_name(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// Brace depth after a line of an item, or `None` once the item has ended: at its last brace, or a `;` outside braces.
fn depth_after(line: &str, before: usize) -> Option<usize> {
    let mut depth = before;
    for letter in line.chars() {
        match letter {
            '{' => depth += 1,
            '}' if depth <= 1 => return None,
            '}' => depth -= 1,
            ';' if depth == 0 => return None,
            _ => {}
        }
    }
    Some(depth)
}

/// Bytes of the comment or literal that `rest` begins with, 0 when it begins with code.
fn blank_len(rest: &str, previous: char) -> usize {
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return block_comment_len(rest);
    }
    if let Some(hashes) = raw_string_hashes(rest, previous) {
        let opening = rest.find('"').map_or(rest.len(), |quote| quote + 1);
        let closing = format!("\"{}", "#".repeat(hashes));
        return rest
            .get(opening..)
            .and_then(|inner| inner.find(&closing))
            .map_or(rest.len(), |end| opening + end + closing.len());
    }
    if let Some(inner) = rest.strip_prefix('"') {
        return 1 + escaped_len(inner, '"');
    }
    rest.strip_prefix('\'').map_or(0, character_len)
}

/// Block comments nest.
fn block_comment_len(rest: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(here) = rest.get(at..).filter(|here| !here.is_empty()) {
        if here.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if here.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += here.chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

/// How many `#` a raw string that starts here has: `r"`, `br#"`, `cr##"`; the `r` must not end a longer name.
fn raw_string_hashes(rest: &str, previous: char) -> Option<usize> {
    if in_name(previous) {
        return None;
    }
    let after =
        ["r", "br", "cr"].iter().find_map(|prefix| rest.strip_prefix(prefix).filter(|after| !after.is_empty()))?;
    let quoted = after.trim_start_matches('#');
    quoted.starts_with('"').then(|| after.len() - quoted.len())
}

/// Bytes up to and with the closing `quote`, minding backslashes.
fn escaped_len(inner: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, letter) in inner.char_indices() {
        if letter == quote && !escaped {
            return at + 1;
        }
        escaped = letter == '\\' && !escaped;
    }
    inner.len()
}

/// Bytes of a character literal after its opening quote and with that quote; 0 when the quote begins a lifetime.
fn character_len(inner: &str) -> usize {
    let mut letters = inner.chars();
    match (letters.next(), letters.next()) {
        (Some('\\'), _) => 1 + escaped_len(inner, '\''),
        (Some(letter), Some('\'')) => 2 + letter.len_utf8(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blank_and_code_stays() {
        for (text, code) in [
            ("a // b\nc", "a     \nc"),
            ("a /* b /* c */ d */ e", "a                   e"),
            (r#"f("a \" b", c)"#, "f(        , c)"),
            ("f(r#\"a \" b\"#, c)", "f(          , c)"),
            ("f(br\"\\\", c)", "f(     , c)"),
            (r"f('\'', 'x', '{')", "f(    ,    ,    )"),
            ("fn f<'a>(x: &'a str)", "fn f<'a>(x: &'a str)"),
            ("or\"a\"", "or   "),
        ] {
            assert_eq!(code_of(text), code, "{text}");
        }
    }

    #[test]
    fn code_keeps_the_number_of_lines_and_unfinished_literals_end_with_the_file() {
        for text in ["\"a\nb", "/* a\n b", "r#\"a\nb", "'\\", "\"\\"] {
            assert_eq!(code_of(text).lines().count(), text.lines().count(), "{text}");
        }
    }

    #[test]
    fn an_item_under_cfg_test_ends_with_its_own_brace() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() { if x {} }\n}\nfn c() {}";
        assert_eq!(test_lines(text), [false, true, true, true, true, false]);
        let text = "#[cfg(test)]\nmod tests;\nfn c() {}";
        assert_eq!(test_lines(text), [true, true, false]);
    }

    #[test]
    fn test_files_are_known_by_their_path() {
        assert!(is_test_file("broker/tests/hostile.rs"));
        assert!(is_test_file("broker/src/machine/tests.rs"));
        assert!(!is_test_file("broker/src/contests.rs"));
    }
}
