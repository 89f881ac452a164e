//! Where a session connects to: home, which it was told, and the endpoints a broker may send it to.
//!
//! A broker that leaves may say where to go instead (MDP-0.3, ENDPOINTS). That is a hint by somebody who may lie, so
//! only endpoints that the configuration names are ever tried (MDP-0.3, "Security considerations").

/// A place to connect to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// The broker that the worker was given.
    Home,
    /// One of [`Config::alternatives`](crate::Config::alternatives), by its place in the list.
    Alternative(usize),
}

/// The places to try, in turn.
#[derive(Debug)]
pub(crate) struct Route {
    places: Vec<Place>,
    at: usize,
}

impl Route {
    /// Home, and nothing else until a broker says more.
    pub(crate) fn new() -> Self {
        Self { places: vec![Place::Home], at: 0 }
    }

    pub(crate) fn place(&self) -> Place {
        self.places.get(self.at).copied().unwrap_or(Place::Home)
    }

    /// Whether there is another place to try when this one does not answer.
    pub(crate) fn has_choice(&self) -> bool {
        self.places.len() > 1
    }

    /// This one does not answer: the next.
    pub(crate) fn turn(&mut self) {
        self.at = (self.at + 1) % self.places.len().max(1);
    }

    /// A broker names others. Those that are allowed are tried in its order, and home after them; whether there is one.
    pub(crate) fn redirect<'text>(&mut self, alternatives: &[String], named: impl Iterator<Item = &'text str>) -> bool {
        let mut places = Vec::new();
        for endpoint in named {
            let known = alternatives.iter().position(|alternative| alternative == endpoint).map(Place::Alternative);
            places.extend(known.filter(|place| !places.contains(place)));
        }
        if places.is_empty() {
            return false;
        }
        places.push(Place::Home);
        *self = Self { places, at: 0 };
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alternatives() -> [String; 2] {
        ["tcp://a:1", "tcp://b:2"].map(str::to_owned)
    }

    #[test]
    fn only_endpoints_that_the_configuration_names_are_tried_in_the_brokers_order_and_home_last() {
        let mut route = Route::new();
        assert!(route.redirect(&alternatives(), ["tcp://evil:1", "tcp://b:2", "tcp://a:1", "tcp://b:2"].into_iter()));
        let mut tried = Vec::new();
        for _ in 0..4 {
            tried.push(route.place());
            route.turn();
        }
        assert_eq!(tried, [Place::Alternative(1), Place::Alternative(0), Place::Home, Place::Alternative(1)]);
    }

    #[test]
    fn a_hint_to_strangers_changes_nothing() {
        let mut route = Route::new();
        assert!(!route.redirect(&alternatives(), ["tcp://evil:1"].into_iter()));
        assert_eq!((route.place(), route.has_choice()), (Place::Home, false));
    }
}
