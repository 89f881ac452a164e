//! The screen of `majordomo mesh top`: a heading, a table of nodes, a line of keys.

use ratatui::Frame;
use ratatui::crossterm::event::{KeyCode, KeyModifiers};
use ratatui::layout::Constraint;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Row as TableRow, TableState};

use super::picture::{Row, View};
use crate::commands::top::terminal::{Reaction, draw, ends, scroll};
use crate::commands::top::view::duration;

/// What is shown, and in which order.
#[derive(Default)]
pub(super) struct Screen {
    view: View,
    order: Order,
    table: TableState,
}

/// By what nodes are sorted; the largest comes first, names from A to Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Order {
    #[default]
    Name,
    Messages,
    Youngest,
    Services,
}

impl Screen {
    pub(super) fn update(&mut self, view: View) {
        self.view = view;
    }

    pub(super) fn react(&mut self, key: KeyCode, modifiers: KeyModifiers) -> Reaction {
        if ends(key, modifiers) {
            return Reaction::Quit;
        }
        match key {
            KeyCode::Char('n') => self.order = Order::Name,
            KeyCode::Char('m') => self.order = Order::Messages,
            KeyCode::Char('u') => self.order = Order::Youngest,
            KeyCode::Char('s') => self.order = Order::Services,
            other => scroll(&mut self.table, other),
        }
        Reaction::Redraw
    }

    pub(super) fn draw(&mut self, frame: &mut Frame<'_>) {
        let rows = self.order.sorted(&self.view.nodes).into_iter().map(table_row).collect();
        let heading = self.heading();
        let keys = "order: n name, m messages, u youngest, s services · arrows scroll · q quit";
        draw(frame, heading, (COLUMNS, rows, &mut self.table), keys.into());
    }

    fn heading(&self) -> Vec<Line<'static>> {
        let View { name, mesh, nodes, groups, exits, faults, .. } = &self.view;
        let mesh = if mesh.is_empty() { "the mesh".to_owned() } else { format!("mesh {}", mesh.escape_debug()) };
        let evasive = nodes.iter().filter(|node| node.evasive).count();
        let first = format!("{mesh}, seen by {} · {} nodes · {groups} groups", name.escape_debug(), nodes.len());
        let [beacons, messages, octets] = [
            self.view.beacons_heard_per_second,
            self.view.messages_heard_per_second,
            self.view.discovery_octets_sent_per_second,
        ];
        let rates =
            format!("{beacons:.0} beacons/s · {messages:.0} messages/s · {octets:.0} octets/s of ours to be seen");
        let second = format!("{rates} · {evasive} evasive · {exits} gone · {faults} faults");
        vec![Line::styled(first, Modifier::BOLD), Line::raw(second)]
    }
}

impl Order {
    fn sorted(self, rows: &[Row]) -> Vec<&Row> {
        let mut rows: Vec<&Row> = rows.iter().collect();
        match self {
            // The picture has them in this order.
            Self::Name => {}
            Self::Messages => rows.sort_by_key(|row| std::cmp::Reverse(row.messages)),
            Self::Youngest => rows.sort_by_key(|row| row.up_ms),
            Self::Services => rows.sort_by_key(|row| std::cmp::Reverse(row.services.len())),
        }
        rows
    }
}

fn table_row(row: &Row) -> TableRow<'static> {
    // A name may hold anything, and a terminal obeys what is written to it.
    let list = |names: &[String]| names.join(" ").escape_debug().to_string();
    let cells = [
        row.name.escape_debug().to_string(),
        row.uuid.chars().take(6).collect(),
        row.endpoint.escape_debug().to_string(),
        duration(row.up_ms),
        row.messages.to_string(),
        format!("{:.0}", row.messages_per_second),
        list(&row.leads),
        list(&row.groups),
        list(&row.services),
    ];
    let colour = match row {
        Row { evasive: true, .. } => Color::Red,
        Row { leads, .. } if !leads.is_empty() => Color::Green,
        _ => Color::Reset,
    };
    TableRow::new(cells).style(Style::new().fg(colour))
}

const COLUMNS: [(&str, Constraint); 9] = [
    ("NAME", Constraint::Min(10)),
    ("UUID", Constraint::Length(6)),
    ("ENDPOINT", Constraint::Length(24)),
    ("UP", Constraint::Length(8)),
    ("MESSAGES", Constraint::Length(8)),
    ("/S", Constraint::Length(5)),
    ("LEADS", Constraint::Length(12)),
    ("GROUPS", Constraint::Fill(1)),
    ("SERVICES", Constraint::Fill(1)),
];

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::*;

    fn row(name: &str, messages: u64, up_ms: u64) -> Row {
        Row { name: name.into(), messages, up_ms, groups: vec!["CHAT".into()], ..Row::default() }
    }

    fn screen() -> Screen {
        let mut screen = Screen::default();
        let nodes = vec![row("a\u{1b}[2J", 1, 61_000), row("b", 9, 90_000)];
        screen.update(View { mesh: "prod".into(), name: "me".into(), exits: 3, nodes, ..View::default() });
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
    fn a_node_is_a_line_and_what_it_calls_itself_is_escaped() {
        let text = text(&mut screen());
        assert!(text.contains("mesh prod, seen by me · 2 nodes") && text.contains("3 gone"), "{text}");
        assert!(text.contains("a\\u{1b}[2J") && text.contains("1m 1s") && text.contains("CHAT"), "{text}");
    }

    #[test]
    fn keys_choose_the_order_and_q_ends() {
        let mut screen = screen();
        let is_b_first = |screen: &mut Screen| {
            let text = text(screen);
            text.find("\nb ").unwrap() < text.find("\na").unwrap()
        };
        assert!(!is_b_first(&mut screen));
        assert_eq!(screen.react(KeyCode::Char('m'), KeyModifiers::NONE), Reaction::Redraw);
        assert!(is_b_first(&mut screen), "more messages come first");
        screen.react(KeyCode::Char('u'), KeyModifiers::NONE);
        assert!(!is_b_first(&mut screen), "the youngest comes first");
        assert_eq!(screen.react(KeyCode::Char('q'), KeyModifiers::NONE), Reaction::Quit);
    }
}
