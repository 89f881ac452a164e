//! What a run of steps looks like: a heading before each, and a table with times and errors at the end.

use std::fmt;
use std::time::Duration;

/// The steps that have run.
#[derive(Debug, Default)]
pub(super) struct Report {
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    name: &'static str,
    took: Duration,
    /// The error's text; `None` when the step passed.
    fault: Option<String>,
}

impl Report {
    /// Announces a step, so that a reader of a long log finds where it began.
    pub(super) fn heading(&self, name: &str) {
        println!("\n===== {}. {name} =====", self.rows.len() + 1);
    }

    /// Takes the outcome of a step and says it at once.
    pub(super) fn finished(&mut self, name: &'static str, took: Duration, result: anyhow::Result<()>) {
        let row = Row { name, took, fault: result.err().map(|error| format!("{error:#}")) };
        println!("{row}");
        self.rows.push(row);
    }

    /// Whether no step failed.
    pub(super) fn passed(&self) -> bool {
        self.rows.iter().all(|row| row.fault.is_none())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "\n===== summary =====")?;
        for row in &self.rows {
            writeln!(formatter, "{row}")?;
        }
        let failed = self.rows.iter().filter(|row| row.fault.is_some()).count();
        write!(formatter, "{} passed, {failed} failed", self.rows.len() - failed)
    }
}

impl fmt::Display for Row {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.took.as_secs_f64();
        match &self.fault {
            None => write!(formatter, "passed  {seconds:>7.1} s  {}", self.name),
            Some(fault) => write!(formatter, "FAILED  {seconds:>7.1} s  {}: {fault}", self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_counts_steps_that_passed_and_failed() {
        let mut report = Report::default();
        report.finished("one", Duration::from_millis(1500), Ok(()));
        assert!(report.passed());
        report.finished("two", Duration::ZERO, Err(anyhow::anyhow!("no such peer").context("starting it")));
        assert!(!report.passed());
        let text = report.to_string();
        let lines: Vec<_> = text.lines().rev().collect();
        assert_eq!(lines[0], "1 passed, 1 failed");
        assert_eq!(lines[1], "FAILED      0.0 s  two: starting it: no such peer");
        assert_eq!(lines[2], "passed      1.5 s  one");
    }
}
