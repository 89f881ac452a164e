//! What a check found: one line a violation, which says where, what is wrong, and what is allowed instead.
//!
//! Checks return violations as data; only [`conclude`] prints, so that every rule can be tested without reading text.

use std::fmt;

use anyhow::bail;

/// One broken rule at one place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Violation {
    /// A crate, or a file with its line: `zmtp`, `broker/src/lib.rs:12`.
    pub(crate) place: String,
    /// What stands there.
    pub(crate) fault: String,
    /// What may stand there instead.
    pub(crate) allowed: String,
}

impl Violation {
    pub(crate) fn new(place: impl Into<String>, fault: impl Into<String>, allowed: impl Into<String>) -> Self {
        Self { place: place.into(), fault: fault.into(), allowed: allowed.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}; allowed: {}", self.place, self.fault, self.allowed)
    }
}

/// Prints what `check` found, in order of place, and fails when it found anything.
///
/// # Errors
/// When there is at least one violation.
pub(crate) fn conclude(check: &str, mut violations: Vec<Violation>) -> anyhow::Result<()> {
    violations.sort();
    violations.dedup();
    for violation in &violations {
        println!("{violation}");
    }
    if violations.is_empty() {
        println!("{check}: nothing to complain about");
        return Ok(());
    }
    bail!("{check}: {} violation{}", violations.len(), if violations.len() == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_violation_is_one_line_that_names_place_fault_and_what_is_allowed() {
        let violation = Violation::new("zmtp", "imports broker", "protocol");
        assert_eq!(violation.to_string(), "zmtp: imports broker; allowed: protocol");
    }

    #[test]
    fn a_check_without_violations_passes_and_one_with_any_fails() {
        assert!(conclude("layers", Vec::new()).is_ok());
        assert!(conclude("layers", vec![Violation::new("a", "b", "c")]).is_err());
    }
}
