//! A table of words, aligned for a terminal or written as Markdown.

/// Columns with a heading each, rows of as many words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    headings: Vec<String>,
    /// The first so many columns hold words and align left; numbers follow and align right.
    left_columns: usize,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table whose first `left_columns` align left.
    pub fn new(headings: &[&str], left_columns: usize) -> Self {
        Self { headings: headings.iter().map(ToString::to_string).collect(), left_columns, rows: Vec::new() }
    }

    /// Adds a row; missing words stay empty.
    pub fn add(&mut self, row: Vec<String>) {
        self.rows.push(row);
    }

    /// Columns two spaces apart, a line a row.
    pub fn to_text(&self) -> String {
        let widths = self.widths();
        let mut text = self.line(&self.headings, &widths, "  ");
        for row in &self.rows {
            text += &self.line(row, &widths, "  ");
        }
        text
    }

    /// A Markdown table, padded so that its source reads well too.
    pub fn to_markdown(&self) -> String {
        let widths: Vec<usize> = self.widths().into_iter().map(|width| width.max(3)).collect();
        let rule = widths.iter().enumerate().map(|(column, width)| match column < self.left_columns {
            true => "-".repeat(*width),
            false => format!("{}:", "-".repeat(width - 1)),
        });
        let mut text = format!("| {} |\n", self.line(&self.headings, &widths, " | ").trim_end_matches('\n'));
        text += &format!("| {} |\n", rule.collect::<Vec<_>>().join(" | "));
        for row in &self.rows {
            text += &format!("| {} |\n", self.line(row, &widths, " | ").trim_end_matches('\n'));
        }
        text
    }

    fn widths(&self) -> Vec<usize> {
        let width = |column: usize| {
            let lines = std::iter::once(&self.headings).chain(&self.rows);
            lines.filter_map(|line| line.get(column)).map(|word| word.chars().count()).max()
        };
        (0..self.headings.len()).map(|column| width(column).unwrap_or(0)).collect()
    }

    fn line(&self, words: &[String], widths: &[usize], separator: &str) -> String {
        let word = |column| words.get(column).map_or("", String::as_str);
        let cells = widths.iter().enumerate().map(|(column, width)| match column < self.left_columns {
            true => format!("{:<width$}", word(column)),
            false => format!("{:>width$}", word(column)),
        });
        format!("{}\n", cells.collect::<Vec<_>>().join(separator))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(&["peer", "p50 µs"], 1);
        table.add(vec!["gearmand".into(), "7".into()]);
        table
    }

    #[test]
    fn words_align_left_and_numbers_right() {
        assert_eq!(table().to_text(), "peer      p50 µs\ngearmand       7\n");
    }

    #[test]
    fn markdown_marks_number_columns() {
        let expected = "| peer     | p50 µs |\n| -------- | -----: |\n| gearmand |      7 |\n";
        assert_eq!(table().to_markdown(), expected);
    }

    #[test]
    fn a_short_row_is_filled_up() {
        let mut table = table();
        table.add(vec!["x".into()]);
        assert!(table.to_text().lines().all(|line| line.chars().count() == 16));
    }
}
