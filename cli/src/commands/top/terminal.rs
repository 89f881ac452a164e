//! What every live picture in a terminal needs: keys, moments to look at, and a terminal at all.

use std::io::IsTerminal;
use std::time::Duration;

use ratatui::Frame;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::layout::{Constraint, Layout};
use ratatui::style::Modifier;
use ratatui::text::Line;
use ratatui::widgets::{Paragraph, Row, Table, TableState};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use crate::usage::Problem;

/// What a key does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::commands) enum Reaction {
    Redraw,
    Quit,
}

/// Whether a key is one that ends every picture.
pub(in crate::commands) fn ends(key: KeyCode, modifiers: KeyModifiers) -> bool {
    let is_interrupt = key == KeyCode::Char('c') && modifiers.contains(KeyModifiers::CONTROL);
    is_interrupt || matches!(key, KeyCode::Char('q') | KeyCode::Esc)
}

/// Moves through a table, where the key is one for that.
pub(in crate::commands) fn scroll(table: &mut TableState, key: KeyCode) {
    match key {
        KeyCode::Down => table.select_next(),
        KeyCode::Up => table.select_previous(),
        KeyCode::Home => table.select_first(),
        KeyCode::End => table.select_last(),
        _ => {}
    }
}

/// What is on every picture: a heading, a table whose columns have names and widths, a line below.
pub(in crate::commands) fn draw<const COLUMNS: usize>(
    frame: &mut Frame<'_>,
    heading: Vec<Line<'_>>,
    (columns, rows, place): ([(&str, Constraint); COLUMNS], Vec<Row<'_>>, &mut TableState),
    footer: Line<'_>,
) {
    let [head, body, foot] =
        Layout::vertical([Constraint::Length(2), Constraint::Min(1), Constraint::Length(1)]).areas(frame.area());
    frame.render_widget(Paragraph::new(heading), head);
    let names = Row::new(columns.map(|(name, _)| name)).style(Modifier::BOLD);
    let table = Table::new(rows, columns.map(|(_, width)| width)).header(names);
    frame.render_stateful_widget(table.row_highlight_style(Modifier::REVERSED), body, place);
    frame.render_widget(footer, foot);
}

/// There has to be a terminal to draw in.
///
/// # Errors
/// Standard output is none; the text names what can be done.
pub(in crate::commands) fn needs_terminal(command: &str) -> Result<(), Problem> {
    if std::io::stdout().is_terminal() {
        return Ok(());
    }
    let text = "standard output is no terminal (--json prints a line an interval, --count ends after some)";
    Err(Problem::new(format!("{command}: {text}")))
}

/// The moments to look at.
pub(in crate::commands) fn beat(every: Duration) -> tokio::time::Interval {
    let mut beat = interval(every);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    beat
}

/// Key presses, read by a thread of their own, which ends with the process: a terminal cannot be waited for otherwise
/// on every platform.
pub(in crate::commands) fn keys() -> mpsc::Receiver<KeyEvent> {
    let (sender, receiver) = mpsc::channel(KEYS_WAITING_MAX);
    std::thread::spawn(move || {
        while let Ok(event) = event::read() {
            let key = match event {
                Event::Key(key) if key.kind == KeyEventKind::Press => key,
                // A changed size redraws as any unknown key does.
                Event::Resize(..) => KeyEvent::from(event::KeyCode::Null),
                _ => continue,
            };
            if sender.blocking_send(key).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Keys that wait to be read; more wait in the terminal.
const KEYS_WAITING_MAX: usize = 16;
