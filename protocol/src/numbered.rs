//! Things in the order of their numbers, out of which any can be taken.
//!
//! ```text
//!   [ 7 a ][ 8 - ][ 9 b ][ 12 c ]       8 was taken: its place goes stale and is swept later
//! ```
//!
//! Numbers grow from front to back, as whoever comes is mostly given the next one. So the usual way, in at the back and
//! out at the front, costs no search, and taking one out of the middle moves no other: a client that cancels all it has
//! asked for costs as much as one that waits for it. Putting one into the middle moves all behind it, and is for
//! exceptions.

use std::collections::VecDeque;

/// A queue in which every place has a number. The first and the last place are never stale.
#[derive(Debug)]
pub struct Numbered<T> {
    places: VecDeque<(u64, Option<T>)>,
    stale: usize,
}

impl<T> Default for Numbered<T> {
    fn default() -> Self {
        Self { places: VecDeque::new(), stale: 0 }
    }
}

impl<T> Numbered<T> {
    /// Whether nothing is in it.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// How many things are in it.
    #[inline]
    pub fn len(&self) -> usize {
        self.places.len() - self.stale
    }

    /// Adds at the back; the number is greater than all others.
    #[inline]
    pub fn push_back(&mut self, number: u64, thing: T) {
        self.places.push_back((number, Some(thing)));
    }

    /// Adds in front; the number is less than all others.
    pub fn push_front(&mut self, number: u64, thing: T) {
        self.places.push_front((number, Some(thing)));
    }

    /// The first, with its number.
    #[inline]
    pub fn front(&self) -> Option<(u64, &T)> {
        let (number, thing) = self.places.front()?;
        Some((*number, thing.as_ref()?))
    }

    /// The last, with its number.
    pub fn back(&self) -> Option<(u64, &T)> {
        let (number, thing) = self.places.back()?;
        Some((*number, thing.as_ref()?))
    }

    /// Takes the first one out.
    #[inline]
    pub fn pop_front(&mut self) -> Option<T> {
        let (_, thing) = self.places.pop_front()?;
        self.trim();
        thing
    }

    /// Takes the last one out.
    pub fn pop_back(&mut self) -> Option<T> {
        let (_, thing) = self.places.pop_back()?;
        self.trim();
        thing
    }

    /// The one with this number.
    pub fn get(&self, number: u64) -> Option<&T> {
        // Most who ask for what is not there ask for what is yet to come.
        if self.places.back()?.0 < number {
            return None;
        }
        self.places.get(self.find(number).ok()?)?.1.as_ref()
    }

    /// The one with this number.
    pub fn get_mut(&mut self, number: u64) -> Option<&mut T> {
        let index = self.find(number).ok()?;
        self.places.get_mut(index)?.1.as_mut()
    }

    /// Takes the one with this number out.
    pub fn take(&mut self, number: u64) -> Option<T> {
        if self.places.front()?.0 == number {
            return self.pop_front();
        }
        let index = self.find(number).ok()?;
        let thing = self.places.get_mut(index)?.1.take()?;
        self.stale += 1;
        self.trim();
        if self.stale > STALE_MIN && self.stale * 2 > self.places.len() {
            self.sweep();
        }
        Some(thing)
    }

    /// Puts one in under a number, which it may have had before; another that is there under it gives way.
    pub fn insert(&mut self, number: u64, thing: T) {
        if self.places.back().is_none_or(|(last, _)| *last < number) {
            return self.push_back(number, thing);
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

    /// Takes all that `is_meant` says, wherever they stand.
    pub fn extract(&mut self, mut is_meant: impl FnMut(&T) -> bool) -> Vec<T> {
        let extracted =
            self.places.iter_mut().filter_map(|(_, thing)| thing.take_if(|thing| is_meant(thing))).collect();
        self.sweep();
        extracted
    }

    /// All of them, first to last.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &T> {
        self.places.iter().filter_map(|(_, thing)| thing.as_ref())
    }

    /// All of them with their numbers, first to last, to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (u64, &mut T)> {
        self.places.iter_mut().filter_map(|(number, thing)| Some((*number, thing.as_mut()?)))
    }

    /// Makes it as good as new, with the memory that it has, unless that is much.
    pub fn reset(&mut self) {
        self.places.clear();
        self.places.shrink_to(CAPACITY_KEPT);
        self.stale = 0;
    }

    /// How many places there are, stale ones included; for tests of what bounds them.
    pub fn places(&self) -> usize {
        self.places.len()
    }

    fn find(&self, number: u64) -> Result<usize, usize> {
        self.places.binary_search_by_key(&number, |(number, _)| *number)
    }

    /// Takes stale places from both ends.
    fn trim(&mut self) {
        if self.stale == 0 {
            return;
        }
        while self.places.front().is_some_and(|(_, thing)| thing.is_none()) {
            self.places.pop_front();
            self.stale -= 1;
        }
        while self.places.back().is_some_and(|(_, thing)| thing.is_none()) {
            self.places.pop_back();
            self.stale -= 1;
        }
    }

    fn sweep(&mut self) {
        self.places.retain(|(_, thing)| thing.is_some());
        self.stale = 0;
    }
}

/// So many stale places are not worth a sweep.
const STALE_MIN: usize = 16;

/// Things whose room an empty queue keeps.
const CAPACITY_KEPT: usize = 4;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Numbers below a bound, the same on every run.
    fn draws() -> impl FnMut(u64) -> u64 {
        let mut random = 7_u64;
        move |below| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % below
        }
    }

    /// Any history of a queue, beside a map that does the same slowly.
    #[test]
    fn whatever_is_taken_the_rest_stays_in_order_and_stale_places_stay_few() {
        let mut draw = draws();
        let (mut queue, mut map) = (Numbered::default(), BTreeMap::new());
        let (mut low, mut high) = (1_000_000, 1_000_000);
        for _ in 0..100_000 {
            // It grows to a few hundred, and shrinks again.
            match draw(8) {
                0..=2 => {
                    high += 1;
                    queue.push_back(high, high);
                    map.insert(high, high);
                }
                3 if draw(4) == 0 => {
                    low -= 1;
                    queue.push_front(low, low);
                    map.insert(low, low);
                }
                4 => assert_eq!(queue.pop_front(), map.pop_first().map(|(_, thing)| thing)),
                5 if draw(4) == 0 => assert_eq!(queue.pop_back(), map.pop_last().map(|(_, thing)| thing)),
                _ => {
                    let number = low + draw(high - low + 2);
                    assert_eq!((queue.get(number), queue.front().map(|(number, _)| number)), {
                        (map.get(&number), map.first_key_value().map(|(number, _)| *number))
                    });
                    let taken = queue.take(number);
                    assert_eq!(taken, map.remove(&number));
                    if let Some(thing) = taken.filter(|_| draw(2) == 0) {
                        queue.insert(number, thing);
                        map.insert(number, thing);
                    }
                }
            }
            assert_eq!((queue.len(), queue.is_empty()), (map.len(), map.is_empty()));
            assert!(queue.places() <= 2 * queue.len() + STALE_MIN, "{} places for {}", queue.places(), queue.len());
        }
        assert!(queue.iter().eq(map.values()));
        let even: Vec<_> = map.extract_if(.., |_, thing| *thing % 2 == 0).map(|(_, thing)| thing).collect();
        assert_eq!(queue.extract(|thing| thing % 2 == 0), even);
        assert!(queue.iter().eq(map.values()) && queue.places() == map.len());
    }

    /// Any history of a table, beside a map that does the same slowly.
    #[test]
    fn whatever_comes_and_goes_it_is_found_by_its_number_and_stale_places_stay_few() {
        let mut draw = draws();
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
                    assert_eq!(table.take(number), map.remove(&number));
                }
            }
            assert_eq!((table.len(), table.is_empty()), (map.len(), map.is_empty()));
            assert!(table.places.len() <= 2 * table.len() + STALE_MIN + 1, "{} places", table.places.len());
        }
        assert!(table.len() > 100);
        assert!(table.iter_mut().map(|(number, thing)| (number, *thing)).eq(map));
        table.reset();
        assert!(table.is_empty());
    }
}
