//! The screen of `majordomo top`: a heading, a table of services, a line of keys.

use ratatui::Frame;
use ratatui::crossterm::event::{KeyCode, KeyModifiers};
use ratatui::layout::Constraint;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Row as TableRow, TableState};

use super::terminal::{Reaction, draw, ends, scroll};
use super::view::{Row, View, duration};

/// What is shown, and in which order.
pub(super) struct Screen {
    endpoint: String,
    view: View,
    /// Why the last look failed; what is shown is older then.
    problem: Option<String>,
    order: Order,
    table: TableState,
}

/// By what services are sorted; the largest comes first, names from A to Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Order {
    #[default]
    Name,
    Rate,
    Queued,
    Slowest,
    Errors,
}

impl Screen {
    pub(super) fn new(endpoint: String) -> Self {
        Self { endpoint, view: View::default(), problem: None, order: Order::default(), table: TableState::default() }
    }

    pub(super) fn update(&mut self, view: anyhow::Result<View>) {
        match view {
            Ok(view) => (self.view, self.problem) = (view, None),
            Err(error) => self.problem = Some(format!("{error:#}")),
        }
    }

    pub(super) fn react(&mut self, key: KeyCode, modifiers: KeyModifiers) -> Reaction {
        if ends(key, modifiers) {
            return Reaction::Quit;
        }
        match key {
            KeyCode::Char('n') => self.order = Order::Name,
            KeyCode::Char('r') => self.order = Order::Rate,
            KeyCode::Char('u') => self.order = Order::Queued,
            KeyCode::Char('p') => self.order = Order::Slowest,
            KeyCode::Char('e') => self.order = Order::Errors,
            other => scroll(&mut self.table, other),
        }
        Reaction::Redraw
    }

    pub(super) fn draw(&mut self, frame: &mut Frame<'_>) {
        let rows = self.order.sorted(&self.view.services).into_iter().map(table_row).collect();
        let heading = self.heading();
        let footer = self.footer();
        draw(frame, heading, (COLUMNS, rows, &mut self.table), footer);
    }

    fn heading(&self) -> Vec<Line<'static>> {
        let View { name, version, uptime_ms, connections, workers, queued, in_flight, .. } = &self.view;
        let draining = if self.view.draining { " · DRAINING" } else { "" };
        let name = name.escape_debug();
        let first = format!("{name} {version} at {} · up {}{draining}", self.endpoint, duration(*uptime_ms));
        let rate = format!("{:.0} requests/s", self.view.requests_per_second);
        let work = format!("{in_flight} in flight · {queued} queued");
        let second = format!("{rate} · {work} · {workers} workers · {connections} connections");
        vec![Line::styled(first, Modifier::BOLD), Line::raw(second)]
    }

    fn footer(&self) -> Line<'static> {
        if let Some(problem) = &self.problem {
            return Line::styled(problem.escape_debug().to_string(), Style::new().fg(Color::Red));
        }
        let more = match self.view.more {
            0 => String::new(),
            more => format!(" · {more} services more"),
        };
        Line::raw(format!("order: n name, r rate, u queued, p p99, e errors · arrows scroll · q quit{more}"))
    }
}

impl Order {
    fn sorted(self, rows: &[Row]) -> Vec<&Row> {
        let mut rows: Vec<&Row> = rows.iter().collect();
        match self {
            // The broker tells them in this order.
            Self::Name => {}
            Self::Rate => rows.sort_by(|a, b| b.replies_per_second.total_cmp(&a.replies_per_second)),
            Self::Queued => rows.sort_by_key(|row| std::cmp::Reverse(row.queued)),
            Self::Slowest => rows.sort_by_key(|row| std::cmp::Reverse(row.p99_us)),
            Self::Errors => rows.sort_by(|a, b| b.errors_per_second.total_cmp(&a.errors_per_second)),
        }
        rows
    }
}

fn table_row(row: &Row) -> TableRow<'static> {
    let or_dash = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    let cells = [
        // A name or a reason may hold anything, and a terminal obeys what is written to it.
        row.service.escape_debug().to_string(),
        row.workers.to_string(),
        row.waiting.to_string(),
        row.in_flight.to_string(),
        row.queued.to_string(),
        or_dash(row.oldest_ms.map(duration)),
        format!("{:.0}", row.replies_per_second),
        format!("{:.0}", row.errors_per_second),
        or_dash(row.p50_us.map(latency)),
        or_dash(row.p99_us.map(latency)),
        or_dash(row.p999_us.map(latency)),
        row.last_error.escape_debug().to_string(),
    ];
    let colour = match row {
        Row { draining: true, .. } => Color::Yellow,
        Row { workers: 0, queued, .. } if *queued > 0 => Color::Red,
        _ => Color::Reset,
    };
    TableRow::new(cells).style(Style::new().fg(colour))
}

/// Microseconds with three digits that matter.
fn latency(microseconds: u64) -> String {
    match microseconds {
        0..1000 => format!("{microseconds}us"),
        1000..1_000_000 => format!("{}.{}ms", microseconds / 1000, microseconds % 1000 / 100),
        1_000_000.. => format!("{}.{}s", microseconds / 1_000_000, microseconds % 1_000_000 / 100_000),
    }
}

const COLUMNS: [(&str, Constraint); 12] = [
    ("SERVICE", Constraint::Min(12)),
    ("WORKERS", Constraint::Length(7)),
    ("WAITING", Constraint::Length(7)),
    ("IN FLIGHT", Constraint::Length(9)),
    ("QUEUED", Constraint::Length(7)),
    ("OLDEST", Constraint::Length(8)),
    ("REPLIES/S", Constraint::Length(9)),
    ("ERRORS/S", Constraint::Length(8)),
    ("P50", Constraint::Length(7)),
    ("P99", Constraint::Length(7)),
    ("P99.9", Constraint::Length(7)),
    ("LAST ERROR", Constraint::Fill(1)),
];

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::*;

    fn row(service: &str, queued: u64, p99_us: u64) -> Row {
        Row { service: service.into(), workers: 1, queued, p99_us: Some(p99_us), ..Row::default() }
    }

    fn screen() -> Screen {
        let mut screen = Screen::new("tcp://127.0.0.1:5555".into());
        let services = vec![row("a\u{1b}[2J", 1, 1500), row("b", 9, 12)];
        screen.update(Ok(View { name: "app".into(), uptime_ms: 61_000, services, more: 3, ..View::default() }));
        screen
    }

    fn text(screen: &mut Screen) -> String {
        let mut terminal = Terminal::new(TestBackend::new(140, 8)).unwrap();
        terminal.draw(|frame| screen.draw(frame)).unwrap();
        let buffer = terminal.backend().buffer().clone();
        let lines =
            buffer.content().chunks(140).map(|cells| cells.iter().map(|cell| cell.symbol()).collect::<String>());
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_service_is_a_line_and_what_a_peer_wrote_is_escaped() {
        let text = text(&mut screen());
        assert!(text.contains("up 1m 1s") && text.contains("1.5ms") && text.contains("3 services more"), "{text}");
        assert!(text.contains("a\\u{1b}[2J"), "{text}");
    }

    #[test]
    fn keys_choose_the_order() {
        let mut screen = screen();
        let order = |screen: &mut Screen| {
            let text = text(screen);
            text.find("\nb ").unwrap() < text.find("\na").unwrap()
        };
        assert!(!order(&mut screen));
        assert_eq!(screen.react(KeyCode::Char('u'), KeyModifiers::NONE), Reaction::Redraw);
        assert!(order(&mut screen), "more queued comes first");
        screen.react(KeyCode::Char('p'), KeyModifiers::NONE);
        assert!(!order(&mut screen), "slower comes first");
    }

    #[test]
    fn a_broker_that_is_away_is_told_and_what_was_seen_last_stays() {
        let mut screen = screen();
        screen.update(Err(anyhow::anyhow!("no answer")));
        let text = text(&mut screen);
        assert!(text.contains("no answer") && text.contains("1.5ms"), "{text}");
    }

    #[test]
    fn q_escape_and_control_c_quit() {
        for (key, modifiers) in [
            (KeyCode::Char('q'), KeyModifiers::NONE),
            (KeyCode::Esc, KeyModifiers::NONE),
            (KeyCode::Char('c'), KeyModifiers::CONTROL),
        ] {
            assert_eq!(screen().react(key, modifiers), Reaction::Quit);
        }
    }
}
