//! Tables of what was measured, for people and as JSON, and whether every figure kept within its bounds.

use std::fmt::Write;

use serde_json::{Value, json};

use super::crowd::Crowd;
use super::metric::{CROWD, METRICS, Metric};
use super::scenario::Measured;
use super::{Axis, CROWDED, LARGEST, Size, fit};

/// Everything that was measured; in whatever order.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Worlds.
    pub worlds: Vec<Measured>,
    /// Crowds.
    pub crowds: Vec<Crowd>,
}

/// How one figure grew along one axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Growth {
    /// The figure.
    pub name: &'static str,
    /// Along what.
    pub axis: &'static str,
    /// The fitted exponent.
    pub exponent: f64,
    /// The greatest that is allowed.
    pub bound: f64,
    /// Whether every value is a number: a world that never became well again has none.
    pub is_finite: bool,
}

impl Growth {
    /// Whether it grew no more than it may.
    pub fn is_within(&self) -> bool {
        self.is_finite && self.exponent <= self.bound
    }
}

/// How a figure grew over some points of an axis.
pub fn growth<T>(metric: &Metric<T>, axis: (&'static str, usize), points: &[(f64, &T)]) -> Growth {
    let values: Vec<(f64, f64)> = points.iter().map(|(x, what)| (*x, (metric.value)(what))).collect();
    Growth {
        name: metric.name,
        axis: axis.0,
        exponent: fit::exponent(&values),
        bound: metric.bounds.get(axis.1).copied().unwrap_or(0.0),
        is_finite: values.iter().all(|(_, y)| y.is_finite()),
    }
}

impl Report {
    /// The worlds along an axis, with their place on it.
    pub fn along(&self, axis: Axis) -> Vec<(f64, &Measured)> {
        let find = |size: &Size| self.worlds.iter().find(|world| world.size == *size);
        let points = axis.steps();
        points.iter().filter_map(|size| Some((axis.of(*size) as f64, find(size)?))).collect()
    }

    fn crowded(&self) -> Vec<(f64, &Crowd)> {
        self.crowds.iter().map(|crowd| (crowd.waiting as f64, crowd)).collect()
    }

    /// How everything grew.
    pub fn growths(&self) -> Vec<Growth> {
        let mut growths = Vec::new();
        for (place, axis) in Axis::ALL.into_iter().enumerate() {
            let points = self.along(axis);
            growths.extend(METRICS.iter().map(|metric| growth(metric, (axis.name(), place), &points)));
        }
        let points = self.crowded();
        growths.extend(CROWD.iter().map(|metric| growth(metric, ("waiting", 0), &points)));
        growths
    }

    /// A table an axis, one for the largest worlds, one for the crowds.
    pub fn table(&self) -> String {
        let mut text = String::new();
        for (place, axis) in Axis::ALL.into_iter().enumerate() {
            text.push_str(&table(&METRICS, (axis.name(), place), &self.along(axis)));
            text.push('\n');
        }
        text.push_str(&self.largest());
        text.push('\n');
        text.push_str(&table(&CROWD, ("waiting", 0), &self.crowded()));
        let over: Vec<_> = self.growths().into_iter().filter(|growth| !growth.is_within()).collect();
        for growth in &over {
            let Growth { name, axis, exponent, bound, .. } = growth;
            // Writing to a string cannot fail.
            let _ = writeln!(text, "too much: {name} by {axis}: exponent {exponent:.2}, allowed {bound:.2}");
        }
        if over.is_empty() {
            text.push_str("\nall within their bounds\n");
        }
        text
    }

    /// The worlds that have everything at once, side by side.
    fn largest(&self) -> String {
        let worlds: Vec<_> = self.worlds.iter().filter(|world| [LARGEST, CROWDED].contains(&world.size)).collect();
        let mut text = format!("{:<28}", "clients x services x brokers");
        for world in &worlds {
            let _ = write!(text, "{:>16}", world.size.to_string());
        }
        text.push('\n');
        for metric in &METRICS {
            text.push_str(&label(metric.name, metric.unit));
            for world in &worlds {
                let _ = write!(text, "{:>16}", number((metric.value)(world)));
            }
            text.push('\n');
        }
        text
    }

    /// The same as one JSON object.
    pub fn json(&self) -> Value {
        let growths = self.growths();
        let growths = growths.iter().map(|growth| {
            let Growth { name, axis, exponent, bound, .. } = growth;
            let (word, within) = (fit::word(*exponent), growth.is_within());
            json!({
                "name": name, "axis": axis, "exponent": exponent, "growth": word, "bound": bound, "within": within
            })
        });
        json!({ "worlds": self.worlds, "crowds": self.crowds, "growths": growths.collect::<Vec<_>>() })
    }
}

fn table<T>(metrics: &[Metric<T>], axis: (&'static str, usize), points: &[(f64, &T)]) -> String {
    let mut text = format!("{:<28}", axis.0);
    for (x, _) in points {
        let _ = write!(text, "{x:>9}");
    }
    text.push_str("   exponent\n");
    for metric in metrics {
        text.push_str(&label(metric.name, metric.unit));
        for (_, what) in points {
            let _ = write!(text, "{:>9}", number((metric.value)(what)));
        }
        let growth = growth(metric, axis, points);
        let _ = writeln!(text, "{:>11.2} {}", growth.exponent, fit::word(growth.exponent));
    }
    text
}

fn label(name: &str, unit: &str) -> String {
    let text = if unit.is_empty() { name.to_owned() } else { format!("{name}, {unit}") };
    format!("{text:<28}")
}

/// Three digits that matter.
pub(super) fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
