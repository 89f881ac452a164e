//! How something grew: the exponent of a power law, fitted by least squares to the logarithms.

/// The exponent `e` of the best `y = c * x^e`; 0 where there are not two different points above zero to fit.
pub fn exponent(points: &[(f64, f64)]) -> f64 {
    let logs: Vec<(f64, f64)> =
        points.iter().filter(|(x, y)| *x > 0.0 && *y > 0.0).map(|(x, y)| (x.ln(), y.ln())).collect();
    let count = logs.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| logs.iter().map(of).sum::<f64>() / count.max(1.0);
    let (mean_x, mean_y) = (mean(|point| point.0), mean(|point| point.1));
    let spread: f64 = logs.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    let slope: f64 = logs.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    if spread > f64::EPSILON { slope / spread } else { 0.0 }
}

/// A word for an exponent. Over the two decades of an axis n log n looks like a power of some 1.1 to 1.35.
pub fn word(exponent: f64) -> &'static str {
    match exponent {
        e if e < -0.15 => "falls",
        e if e <= 0.15 => "constant",
        e if e < 0.9 => "less than linear",
        e if e <= 1.07 => "linear",
        e if e <= 1.4 => "n log n",
        e if e < 1.8 => "more than n log n",
        e if e <= 2.2 => "quadratic",
        _ => "more than quadratic",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word_of(law: impl Fn(f64) -> f64) -> &'static str {
        let points: Vec<_> = [100.0, 300.0, 1000.0, 3000.0, 10_000.0].map(|x| (x, law(x))).into();
        word(exponent(&points))
    }

    #[test]
    fn each_law_is_told_by_its_name() {
        assert_eq!(word_of(|_| 7.0), "constant");
        assert_eq!(word_of(|x| 3.0 * x), "linear");
        assert_eq!(word_of(|x| x * x.ln()), "n log n");
        assert_eq!(word_of(|x| x * x / 5.0), "quadratic");
        assert_eq!(word_of(f64::sqrt), "less than linear");
        assert_eq!(word_of(|x| 1.0 / x), "falls");
    }

    #[test]
    fn a_scan_hidden_under_a_constant_shows_where_it_begins_to_dominate() {
        assert_eq!(word_of(|x| 1000.0 + 3.0 * x), "less than linear");
    }

    #[test]
    fn nothing_to_fit_is_no_growth() {
        assert_eq!((exponent(&[]), exponent(&[(1.0, 2.0)]), exponent(&[(1.0, 0.0), (2.0, 0.0)])), (0.0, 0.0, 0.0));
    }
}
