//! Datagrams: each one on its own. It may be lost, doubled, late, and overtake another.
//!
//! This is only the weather: who sent what to whom stays with the caller, who schedules the arrivals that come out.

use crate::queue::Nanos;
use crate::rng::Rng;

/// How datagrams fare.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weather {
    /// How many of a thousand are lost.
    pub loss_permille: u32,
    /// How many of a thousand arrive twice.
    pub duplicate_permille: u32,
    /// How many of a thousand are held up by `delay`, so that later ones overtake them.
    pub reorder_permille: u32,
    /// What each of them takes at least.
    pub latency: Nanos,
    /// What each of them takes in addition, at most.
    pub jitter: Nanos,
    /// What the held-up ones take in addition.
    pub delay: Nanos,
}

/// When one datagram arrives: not at all, once, or twice. A partition is the caller's: it does not ask.
pub fn arrivals(weather: &Weather, rng: &mut Rng, now: Nanos) -> [Option<Nanos>; 2] {
    let first = (!rng.permille(weather.loss_permille)).then(|| arrival(weather, rng, now));
    let second = rng.permille(weather.duplicate_permille).then(|| arrival(weather, rng, now));
    [first, second]
}

fn arrival(weather: &Weather, rng: &mut Rng, now: Nanos) -> Nanos {
    let held_up = if rng.permille(weather.reorder_permille) { weather.delay } else { 0 };
    now + weather.latency + rng.below(weather.jitter + 1) + held_up
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALM: Weather = Weather {
        loss_permille: 0,
        duplicate_permille: 0,
        reorder_permille: 0,
        latency: 1000,
        jitter: 0,
        delay: 50_000,
    };

    fn thousand(weather: Weather) -> Vec<[Option<Nanos>; 2]> {
        let mut rng = Rng::new(5);
        (0..1000).map(|at| arrivals(&weather, &mut rng, at * 100)).collect()
    }

    #[test]
    fn in_calm_weather_each_arrives_once_in_order() {
        let expected: Vec<_> = (0..1000).map(|at| [Some(at * 100 + 1000), None]).collect();
        assert_eq!(thousand(CALM), expected);
    }

    #[test]
    fn as_many_are_lost_and_doubled_as_asked() {
        let all = thousand(Weather { loss_permille: 200, duplicate_permille: 100, ..CALM });
        let lost = all.iter().filter(|[first, _]| first.is_none()).count();
        let doubled = all.iter().filter(|[_, second]| second.is_some()).count();
        assert!((150..250).contains(&lost), "{lost}");
        assert!((60..140).contains(&doubled), "{doubled}");
    }

    #[test]
    fn everything_lost_is_everything_lost() {
        assert!(thousand(Weather { loss_permille: 1000, ..CALM }).iter().all(|arrivals| *arrivals == [None, None]));
    }

    #[test]
    fn held_up_datagrams_are_overtaken_and_jitter_stays_within_its_bound() {
        let all = thousand(Weather { reorder_permille: 100, jitter: 50, ..CALM });
        let times: Vec<_> = all.iter().filter_map(|[first, _]| *first).collect();
        assert!(times.windows(2).any(|pair| pair[1] < pair[0]));
        for (sent, arrived) in times.iter().enumerate() {
            let took = arrived - sent as u64 * 100;
            assert!((1000..=1050).contains(&took) || (51_000..=51_050).contains(&took), "{took}");
        }
    }
}
