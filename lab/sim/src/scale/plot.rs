//! Curves as SVG, written by hand: two logarithmic axes, a line a figure. A straight line is a power law.

use std::fmt::Write;

/// A plot.
#[derive(Clone, Debug)]
pub struct Plot<'text> {
    /// What it shows.
    pub title: &'text str,
    /// What runs to the right, with its unit.
    pub x: &'text str,
    /// What runs up, with its unit.
    pub y: &'text str,
    /// The lines. Points that are not above zero are left out: they have no logarithm.
    pub lines: Vec<Line<'text>>,
}

/// A line.
#[derive(Clone, Debug)]
pub struct Line<'text> {
    /// What it is.
    pub name: &'text str,
    /// Its points, from left to right.
    pub points: Vec<(f64, f64)>,
}

/// Where the values of an axis lie: whole decades.
#[derive(Clone, Copy, Debug)]
struct Scale {
    low: i32,
    high: i32,
    start: f64,
    end: f64,
}

impl Scale {
    fn of(values: impl Iterator<Item = f64>, start: f64, end: f64) -> Self {
        let logs = values.map(f64::log10);
        let (low, high) = logs.fold((f64::MAX, f64::MIN), |(low, high), log| (low.min(log), high.max(log)));
        let (low, high) = if low > high { (0.0, 1.0) } else { (low, high) };
        let (low, high) = (decade(low.floor()), decade(high.ceil()));
        Self { low, high: high.max(low + 1), start, end }
    }

    fn place(self, value: f64) -> f64 {
        let part = (value.log10() - f64::from(self.low)) / f64::from(self.high - self.low);
        self.start + part * (self.end - self.start)
    }

    fn decades(self) -> impl Iterator<Item = f64> {
        (self.low..=self.high).map(|power| 10_f64.powi(power))
    }
}

#[allow(clippy::cast_possible_truncation, reason = "decades of what fits into memory; the cast saturates")]
fn decade(log: f64) -> i32 {
    log as i32
}

impl Plot<'_> {
    /// The picture. The same figures give the same octets.
    pub fn svg(&self) -> String {
        let shown = |line: &Line<'_>| {
            let points = line.points.iter().copied().filter(|(x, y)| *x > 0.0 && *y > 0.0 && y.is_finite());
            points.collect::<Vec<_>>()
        };
        let lines: Vec<_> = self.lines.iter().map(|line| (line.name, shown(line))).collect();
        let all = || lines.iter().flat_map(|(_, points)| points.iter());
        let x = Scale::of(all().map(|point| point.0), LEFT, RIGHT);
        let y = Scale::of(all().map(|point| point.1), BOTTOM, TOP);
        let mut svg = head(self);
        // Writing to a string cannot fail.
        for value in x.decades() {
            let at = x.place(value);
            let _ = writeln!(svg, "<path class=\"grid\" d=\"M{at:.1} {TOP:.0}V{BOTTOM:.0}\"/>");
            let (down, label) = (BOTTOM + 18.0, tick(value));
            let _ = writeln!(svg, "<text x=\"{at:.1}\" y=\"{down:.1}\" text-anchor=\"middle\">{label}</text>");
        }
        for value in y.decades() {
            let at = y.place(value);
            let _ = writeln!(svg, "<path class=\"grid\" d=\"M{LEFT:.0} {at:.1}H{RIGHT:.0}\"/>");
            let (left, down, label) = (LEFT - 8.0, at + 4.0, tick(value));
            let _ = writeln!(svg, "<text x=\"{left:.1}\" y=\"{down:.1}\" text-anchor=\"end\">{label}</text>");
        }
        for (place, (name, points)) in lines.iter().enumerate() {
            let colour = COLOURS.get(place % COLOURS.len()).copied().unwrap_or("#000");
            let places: Vec<(f64, f64)> = points.iter().map(|(a, b)| (x.place(*a), y.place(*b))).collect();
            let path: Vec<String> = places.iter().map(|(a, b)| format!("{a:.1},{b:.1}")).collect();
            let _ = writeln!(svg, "<polyline points=\"{}\" stroke=\"{colour}\"/>", path.join(" "));
            for (a, b) in &places {
                let _ = writeln!(svg, "<circle cx=\"{a:.1}\" cy=\"{b:.1}\" r=\"3\" fill=\"{colour}\"/>");
            }
            let down = TOP + 14.0 + 20.0 * place as f64;
            let (from, text) = (RIGHT + 14.0, RIGHT + 40.0);
            let _ = writeln!(svg, "<path d=\"M{from:.1} {:.1}h20\" stroke=\"{colour}\"/>", down - 4.0);
            let _ = writeln!(svg, "<text x=\"{text:.1}\" y=\"{down:.1}\">{name}</text>");
        }
        svg.push_str("</svg>\n");
        svg
    }
}

fn head(plot: &Plot<'_>) -> String {
    let Plot { title, x, y, .. } = plot;
    let (middle, half) = (f64::midpoint(LEFT, RIGHT), f64::midpoint(TOP, BOTTOM));
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" \
         height=\"{HEIGHT}\">\n\
         <style>text{{font:13px sans-serif;fill:#222}}path,polyline{{fill:none;stroke-width:2}}\
         .grid{{stroke:#ddd;stroke-width:1}}</style>\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#fff\"/>\n\
         <text x=\"{LEFT:.0}\" y=\"24\" font-weight=\"bold\">{title}</text>\n\
         <text x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{x}</text>\n\
         <text transform=\"translate(18 {half:.1}) rotate(-90)\" text-anchor=\"middle\">{y}</text>\n",
        BOTTOM + 42.0
    )
}

/// A power of ten as people write it.
fn tick(value: f64) -> String {
    match value {
        value if value >= 1e6 => format!("{:.0}M", value / 1e6),
        value if value >= 1e3 => format!("{:.0}k", value / 1e3),
        value if value >= 1.0 => format!("{value:.0}"),
        value => format!("{value}"),
    }
}

const WIDTH: u32 = 760;
const HEIGHT: u32 = 380;
const LEFT: f64 = 78.0;
const RIGHT: f64 = 530.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 325.0;
/// Told apart by those who see few colours, too.
const COLOURS: [&str; 6] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_power_law_is_a_straight_line_between_decades() {
        let line = Line { name: "square", points: vec![(1.0, 1.0), (10.0, 100.0), (100.0, 10_000.0)] };
        let svg = Plot { title: "t", x: "n", y: "ms", lines: vec![line] }.svg();
        assert!(svg.contains("points=\"78.0,325.0 304.0,182.5 530.0,40.0\""), "{svg}");
        assert!(svg.contains(">10k<") && svg.contains(">square<") && svg.contains(">ms<"), "{svg}");
    }

    #[test]
    fn what_has_no_logarithm_is_left_out() {
        let line = Line { name: "odd", points: vec![(1.0, 0.0), (10.0, f64::INFINITY), (100.0, 5.0)] };
        let svg = Plot { title: "t", x: "n", y: "y", lines: vec![line] }.svg();
        assert_eq!(svg.matches("<circle").count(), 1);
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }
}
