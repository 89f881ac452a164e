//! How results are shown: text tables for a terminal, Markdown for docs/PERFORMANCE.md, JSON lines for programs.
//!
//! Nothing is measured or judged here.

pub mod document;
pub mod table;

use serde::Serialize;

use crate::measure::Machine;
use crate::results::Goal;
use table::Table;

/// What a suite has to say, in any form.
#[derive(Debug, Default)]
pub struct Report {
    /// Name of the suite: of its section in the document, and of its JSON lines.
    pub suite: &'static str,
    /// One sentence that says what was done.
    pub summary: String,
    /// Circumstances that a reader needs: versions, placement, times.
    pub notes: Vec<String>,
    /// A heading and its table.
    pub tables: Vec<(String, Table)>,
    /// What was to be reached.
    pub goals: Vec<Goal>,
    /// What went wrong; a report with any of these must not be believed.
    pub errors: Vec<String>,
    /// Every figure, one JSON object each.
    pub records: Vec<serde_json::Value>,
}

impl Report {
    /// For a terminal.
    pub fn to_text(&self) -> String {
        let mut text = format!("\n{}\n", self.summary);
        for note in &self.notes {
            text += &format!("  {note}\n");
        }
        for (heading, table) in &self.tables {
            text += &format!("\n{heading}\n{}", table.to_text());
        }
        text += &self.goals_to_text();
        for error in &self.errors {
            text += &format!("ERROR  {error}\n");
        }
        text
    }

    /// For the document: the section of this suite, without its markers.
    pub fn to_markdown(&self, machine: &Machine) -> String {
        let mut text = format!("{}\n\n", self.summary);
        text += &format!("- {}\n", describe(machine));
        for note in &self.notes {
            text += &format!("- {note}\n");
        }
        for (heading, table) in &self.tables {
            text += &format!("\n### {heading}\n\n{}", table.to_markdown());
        }
        if !self.goals.is_empty() {
            text += &format!("\n### Must reach\n\n{}", self.goal_table().to_markdown());
        }
        for error in &self.errors {
            text += &format!("\n**Error:** {error}\n");
        }
        text
    }

    /// For programs: the machine, every record and every goal, one object a line.
    ///
    /// # Errors
    /// A figure that JSON cannot hold.
    pub fn to_json_lines(&self, machine: &Machine) -> anyhow::Result<String> {
        let mut text = line(self.suite, "machine", machine)?;
        for record in &self.records {
            text += &line(self.suite, "result", record)?;
        }
        for goal in &self.goals {
            text += &line(self.suite, "goal", goal)?;
        }
        for error in &self.errors {
            text += &line(self.suite, "error", error)?;
        }
        Ok(text)
    }

    fn goals_to_text(&self) -> String {
        if self.goals.is_empty() {
            return String::new();
        }
        format!("\nMust reach\n{}", self.goal_table().to_text())
    }

    fn goal_table(&self) -> Table {
        let mut table = Table::new(&["verdict", "goal", "measured"], 3);
        for goal in &self.goals {
            table.add(vec![goal.verdict().into(), goal.goal.clone(), goal.measured.clone().unwrap_or("-".into())]);
        }
        table
    }
}

/// The machine and the date in one line.
fn describe(machine: &Machine) -> String {
    let Machine { processor, cores, memory_bytes, kernel, date } = machine;
    format!("{date} · {processor} · {cores} cores · {} GiB · Linux {kernel}", memory_bytes >> 30)
}

fn line(suite: &str, key: &str, value: &impl Serialize) -> anyhow::Result<String> {
    Ok(format!("{}\n", serde_json::json!({ "suite": suite, key: serde_json::to_value(value)? })))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let mut table = Table::new(&["peer", "requests/s"], 1);
        table.add(vec!["nats".into(), "99".into()]);
        Report {
            suite: "rpc",
            summary: "What was done.".into(),
            notes: vec!["pinned".into()],
            tables: vec![("64 B".into(), table)],
            goals: vec![
                Goal::judged("at least 1.3".into(), "1.5".into(), true),
                Goal::judged("at most 2".into(), "3".into(), false),
                Goal::open("16 KiB".into()),
            ],
            errors: vec!["one lost".into()],
            records: vec![serde_json::json!({"peer": "nats"})],
        }
    }

    fn machine() -> Machine {
        let date = "2026-01-02T03:04:05Z".into();
        Machine { processor: "P".into(), cores: 2, memory_bytes: 3 << 30, kernel: "6.1".into(), date }
    }

    #[test]
    fn every_verdict_and_every_error_is_shown_in_both_texts() {
        for text in [report().to_text(), report().to_markdown(&machine())] {
            for part in ["What was done.", "pinned", "64 B", "reached", "not reached", "not measured", "one lost"] {
                assert!(text.contains(part), "{part} is missing from\n{text}");
            }
        }
    }

    #[test]
    fn markdown_names_machine_and_date() {
        let text = report().to_markdown(&machine());
        assert!(text.contains("2026-01-02T03:04:05Z · P · 2 cores · 3 GiB · Linux 6.1"), "{text}");
    }

    #[test]
    fn json_is_one_object_a_line_with_its_suite() {
        let text = report().to_json_lines(&machine()).unwrap();
        let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 6);
        assert!(lines.iter().all(|line| line["suite"] == "rpc"));
        assert_eq!(lines[1]["result"]["peer"], "nats");
        assert_eq!(lines[2]["goal"]["reached"], true);
    }
}
