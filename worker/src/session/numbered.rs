//! Things under numbers that mostly grow, out of which any can be taken.
//!
//! ```text
//!   [ 7 a ][ 8 - ][ 9 b ][ 12 c ]       8 was taken: its place goes stale and is swept later
//! ```
//!
//! Whoever comes has a greater number than those before, and most leave in the order in which they came: in at the back
//! and out at the front costs no search. Other orders cost one, and no more than that as long as they are exceptions.

use std::collections::VecDeque;

/// A table in the order of its numbers. The first and the last place are never stale.
#[derive(Debug)]
pub(super) struct Numbered<T> {
    places: VecDeque<(u64, Option<T>)>,
    stale: usize,
}

impl<T> Default for Numbered<T> {
    fn default() -> Self {
        Self { places: VecDeque::new(), stale: 0 }
    }
}

impl<T> Numbered<T> {
    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.places.len() - self.stale
    }

    /// Adds a thing under a number; one that was there under it gives way.
    pub(super) fn insert(&mut self, number: u64, thing: T) {
        if self.places.back().is_none_or(|(last, _)| *last < number) {
            return self.places.push_back((number, Some(thing)));
        }
        match self.find(number) {
            Ok(index) => {
                let Some((_, place)) = self.places.get_mut(index) else { return };
                self.stale -= usize::from(place.is_none());
                *place = Some(thing);
            }
            Err(index) => self.places.insert(index, (number, Some(thing))),
        }
    }

    pub(super) fn get(&self, number: u64) -> Option<&T> {
        // Most who ask for what is not there ask for what is yet to come.
        if self.places.back()?.0 < number {
            return None;
        }
        self.places.get(self.find(number).ok()?)?.1.as_ref()
    }

    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut T> {
        let index = self.find(number).ok()?;
        self.places.get_mut(index)?.1.as_mut()
    }

    /// Takes the one with this number out.
    pub(super) fn remove(&mut self, number: u64) -> Option<T> {
        if self.places.front()?.0 == number {
            let (_, thing) = self.places.pop_front()?;
            self.trim();
            return thing;
        }
        let index = self.find(number).ok()?;
        let thing = self.places.get_mut(index)?.1.take()?;
        self.stale += 1;
        self.trim();
        if self.stale > STALE_MIN && self.stale * 2 > self.places.len() {
            self.places.retain(|(_, thing)| thing.is_some());
            self.stale = 0;
        }
        Some(thing)
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// All of them, in the order of their numbers.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (u64, &mut T)> {
        self.places.iter_mut().filter_map(|(number, thing)| Some((*number, thing.as_mut()?)))
    }

    fn find(&self, number: u64) -> Result<usize, usize> {
        self.places.binary_search_by_key(&number, |(number, _)| *number)
    }

    /// Takes stale places from both ends.
    fn trim(&mut self) {
        while self.places.front().is_some_and(|(_, thing)| thing.is_none()) {
            self.places.pop_front();
            self.stale -= 1;
        }
        while self.places.back().is_some_and(|(_, thing)| thing.is_none()) {
            self.places.pop_back();
            self.stale -= 1;
        }
    }
}

/// So many stale places are not worth a sweep.
const STALE_MIN: usize = 16;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Any history of a table, beside a map that does the same slowly.
    #[test]
    fn whatever_comes_and_goes_it_is_found_by_its_number_and_stale_places_stay_few() {
        let mut random = 7_u64;
        let mut draw = |below: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % below
        };
        let (mut table, mut map) = (Numbered::default(), BTreeMap::new());
        let mut next = 1000;
        for round in 0..100_000_u64 {
            // It grows to some hundreds, and shrinks again.
            let (low, comes) = (next - draw(800), if round / 1000 % 2 == 0 { 5 } else { 3 });
            match draw(8) {
                0 => {
                    table.insert(low, round);
                    map.insert(low, round);
                }
                kind if kind < comes => {
                    next += 1 + draw(2);
                    table.insert(next, round);
                    map.insert(next, round);
                }
                kind => {
                    let number = if kind == 7 { low } else { map.keys().next().copied().unwrap_or(low) };
                    assert_eq!((table.get(number), table.get(next + 1)), (map.get(&number), None));
                    assert_eq!(table.get_mut(low), map.get_mut(&low));
                    assert_eq!(table.remove(number), map.remove(&number));
                }
            }
            assert_eq!((table.len(), table.is_empty()), (map.len(), map.is_empty()));
            assert!(table.places.len() <= 2 * table.len() + STALE_MIN + 1, "{} places", table.places.len());
        }
        assert!(table.len() > 100);
        assert!(table.iter_mut().map(|(number, thing)| (number, *thing)).eq(map));
        table.clear();
        assert!(table.is_empty());
    }
}
