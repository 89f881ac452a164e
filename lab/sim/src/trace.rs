//! The readable story of a run: a line an event, with the time and who it happened to.

use crate::queue::Nanos;

/// Lines of a run; nothing is kept, or made, unless it was asked for.
#[derive(Debug, Default)]
pub struct Trace {
    lines: Option<Vec<String>>,
}

impl Trace {
    /// A trace that keeps its lines.
    pub fn kept() -> Self {
        Self { lines: Some(Vec::new()) }
    }

    /// The lines, oldest first.
    pub fn lines(&self) -> &[String] {
        self.lines.as_deref().unwrap_or_default()
    }

    /// Adds a line. `what` is only called when lines are kept.
    pub(crate) fn line(&mut self, now: Nanos, who: &str, what: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.lines {
            let (millis, rest) = (now / 1_000_000, now % 1_000_000);
            lines.push(format!("{millis:>8}.{:03} ms  {who:<14} {}", rest / 1000, what()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_time_who_and_what() {
        let mut trace = Trace::kept();
        trace.line(1_234_567_890, "worker 3", || "crashes".to_owned());
        assert_eq!(trace.lines(), ["    1234.567 ms  worker 3       crashes"]);
    }

    #[test]
    fn without_interest_no_line_is_made() {
        let mut trace = Trace::default();
        trace.line(0, "", || unreachable!("nobody asked"));
        assert!(trace.lines().is_empty());
    }
}
