//! The figures of the rpc suite as tables: one a load, a row a peer.

use crate::report::table::Table;
use crate::results::{Cell, Named};

/// One table for each load, in the order in which they were run; ratios are those of `ours`.
pub(in super::super) fn of<P: Named>(cells: &[Cell<P>], ours: P) -> Vec<(String, Table)> {
    cells.chunk_by(same_load).map(|cells| table(cells, ours)).collect()
}

fn table<P: Named>(cells: &[Cell<P>], ours: P) -> (String, Table) {
    let ours = cells.iter().find(|cell| cell.peer == ours);
    let mut table = Table::new(&HEADINGS, 1);
    for cell in cells {
        table.add(row(cell, ours));
    }
    let heading = cells.first().map(|cell| format!("{}, {}", size(cell.body_bytes), load(cell))).unwrap_or_default();
    (heading, table)
}

fn row<P: Named>(cell: &Cell<P>, ours: Option<&Cell<P>>) -> Vec<String> {
    let ratio = |ours: &Cell<P>| format!("{:.2}", ours.ratio(cell, |sample| sample.requests_per_second));
    // A generator that had nothing left says so: the server's figure is then a lower bound.
    let busy = cell.median(|sample| sample.generator_busy);
    let limit = if busy > BUSY { "*" } else { "" };
    vec![
        cell.peer.name().into(),
        format!("{:.0}{limit}", cell.median(|sample| sample.requests_per_second)),
        format!("{:.0} %", 100.0 * cell.spread(|sample| sample.requests_per_second)),
        ours.filter(|ours| ours.peer != cell.peer).map_or("-".into(), ratio),
        format!("{:.0}", cell.median(|sample| sample.p50_us)),
        format!("{:.0}", cell.median(|sample| sample.p99_us)),
        format!("{:.0}", cell.median(|sample| sample.p999_us)),
        format!("{:.1}", cell.median(|sample| sample.server_us_per_request)),
        format!("{:.1}", cell.median(|sample| sample.generator_us_per_request)),
        format!("{:.0} %", 100.0 * busy),
        format!("{:.1}", cell.median(|sample| sample.resident_mib_peak)),
        cell.errors().to_string(),
    ]
}

pub(in super::super) fn same_load<P>(one: &Cell<P>, other: &Cell<P>) -> bool {
    one.pattern == other.pattern && one.body_bytes == other.body_bytes
}

fn load<P>(cell: &Cell<P>) -> String {
    let (clients, outstanding) = (cell.pattern.clients, cell.pattern.outstanding);
    let plural = if clients == 1 { "" } else { "s" };
    format!("{} ({clients} client{plural}, {outstanding} outstanding each)", cell.pattern)
}

fn size(bytes: usize) -> String {
    if bytes >= 1024 && bytes.is_multiple_of(1024) { format!("{} KiB", bytes / 1024) } else { format!("{bytes} B") }
}

const HEADINGS: [&str; 12] = [
    "server",
    "requests/s",
    "spread",
    "ours is x",
    "p50 µs",
    "p99 µs",
    "p99.9 µs",
    "server CPU µs/req",
    "generator CPU µs/req",
    "generator busy",
    "peak MiB",
    "errors",
];
/// Part of a core from which on the generator may have been the limit.
const BUSY: f64 = 0.95;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::Peer;
    use crate::plan::Pattern;
    use crate::results::Sample;

    fn cell(peer: Peer, clients: usize, rate: f64, busy: f64) -> Cell {
        let mut cell = Cell::new(peer, Pattern { clients, outstanding: 5 }, 1024);
        cell.add(Ok(Sample { requests_per_second: rate, generator_busy: busy, ..Sample::default() }));
        cell
    }

    #[test]
    fn each_load_has_a_table_with_our_ratio_to_every_peer() {
        let cells = [
            cell(Peer::Majordomo, 1, 300.0, 0.5),
            cell(Peer::Nats, 1, 200.0, 0.99),
            cell(Peer::Majordomo, 50, 100.0, 0.5),
        ];
        let tables = of(&cells, Peer::Majordomo);
        assert_eq!(tables[0].0, "1 KiB, 1x5 (1 client, 5 outstanding each)");
        assert_eq!(tables[1].0, "1 KiB, 50x5 (50 clients, 5 outstanding each)");
        let text = tables[0].1.to_text();
        assert!(text.contains("1.50") && text.contains("200*") && text.contains("300 "), "{text}");
    }
}
