//! A dotted path into a document: `address.city`, `lines.0.price`.

use std::cmp::Ordering;

use crate::limits::PATH_NAMES_MAX;
use crate::refusal::Refusal;

/// The names of a path, outermost first; at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path(Vec<String>);

impl Path {
    /// Reads a dotted path. `what` names the frame in a refusal.
    ///
    /// # Errors
    /// An empty name, a name that starts with `$` (positional operators are not supported), a zero byte, or more than
    /// [`PATH_NAMES_MAX`] names.
    pub fn parse(text: &str, what: &str) -> Result<Self, Refusal> {
        let names: Vec<String> = text.split('.').take(PATH_NAMES_MAX + 1).map(str::to_owned).collect();
        let wrong = match &names {
            names if names.len() > PATH_NAMES_MAX => "has more than 64 names",
            names if names.iter().any(String::is_empty) => "has an empty name",
            names if names.iter().any(|name| name.starts_with('$')) => "has a name that starts with $",
            _ if text.contains('\0') => "has a zero byte",
            _ => return Ok(Self(names)),
        };
        Err(Refusal::new(format!(
            "{what}: the path \"{text}\" {wrong}; a path is names joined by dots, like lines.0.price"
        )))
    }

    /// The names, outermost first.
    pub fn names(&self) -> &[String] {
        &self.0
    }

    /// The first name.
    pub fn head(&self) -> &str {
        self.0.first().map_or("", String::as_str)
    }

    /// Whether this path leads to `other` or to something that holds it.
    pub fn holds(&self, other: &Self) -> bool {
        other.0.starts_with(&self.0)
    }
}

impl PartialOrd for Path {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Path {
    /// Name by name, indexes by number and before other names: the order in which changes are made and fields are
    /// added.
    fn cmp(&self, other: &Self) -> Ordering {
        let unequal = (self.0.iter().zip(&other.0)).map(|(left, right)| compare_names(left, right)).find(|o| o.is_ne());
        unequal.unwrap_or_else(|| self.0.len().cmp(&other.0.len()))
    }
}

fn compare_names(left: &str, right: &str) -> Ordering {
    match (index(left), index(right)) {
        (Some(left), Some(right)) => left.cmp(&right),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => left.cmp(right),
    }
}

/// The place in an array that a name means, if it means one: digits without a leading zero.
pub fn index(name: &str) -> Option<usize> {
    let canonical = name == "0" || !name.starts_with('0');
    let digits = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
    if canonical && digits { name.parse().ok() } else { None }
}

impl std::fmt::Display for Path {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0.join("."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Path {
        Path::parse(text, "query").unwrap()
    }

    #[test]
    fn names_are_what_dots_separate() {
        assert_eq!(path("a.b.0").names(), ["a", "b", "0"]);
        for wrong in ["", ".", "a.", ".a", "a..b", "$a", "a.$", "a.$[].b", "a\0"] {
            assert!(Path::parse(wrong, "query").is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn number_of_names_is_met_exactly() {
        assert!(Path::parse(&["a"; PATH_NAMES_MAX].join("."), "query").is_ok());
        assert!(Path::parse(&["a"; PATH_NAMES_MAX + 1].join("."), "query").is_err());
    }

    #[test]
    fn indexes_sort_by_number_and_names_by_bytes() {
        let mut paths = [path("a.10"), path("a.9"), path("a"), path("a.1b"), path("B")];
        paths.sort();
        assert_eq!(paths, [path("B"), path("a"), path("a.9"), path("a.10"), path("a.1b")]);
    }

    #[test]
    fn an_index_is_digits_without_a_leading_zero() {
        assert_eq!(
            [index("0"), index("12"), index("01"), index("+1"), index("a"), index("")],
            [Some(0), Some(12), None, None, None, None]
        );
    }

    #[test]
    fn a_path_holds_itself_and_what_is_below_it() {
        assert!(path("a").holds(&path("a")) && path("a").holds(&path("a.b")));
        assert!(!path("a.b").holds(&path("a")) && !path("a").holds(&path("ab")));
    }
}
