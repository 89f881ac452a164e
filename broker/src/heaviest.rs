//! Who holds most: an order by weight that costs nothing until somebody asks for it.
//!
//! Only when there is no room does a broker ask, and then it asks for every request. The order is made at the first
//! question and kept from then on, until nobody holds anything: so neither a broker with room nor a full one looks
//! through all of them for a request.

use std::collections::BTreeSet;

/// An order by weight. Whoever weighs nothing is not in it.
#[derive(Debug)]
pub(crate) struct Heaviest<K> {
    order: Option<BTreeSet<(usize, K)>>,
}

impl<K> Default for Heaviest<K> {
    fn default() -> Self {
        Self { order: None }
    }
}

impl<K: Ord + Copy> Heaviest<K> {
    /// Tells of a weight that has changed.
    pub(crate) fn moved(&mut self, key: K, before: usize, after: usize) {
        let Some(order) = &mut self.order else { return };
        order.remove(&(before, key));
        if after > 0 {
            order.insert((after, key));
        }
        if order.is_empty() {
            self.order = None;
        }
    }

    /// Who weighs most, the greatest key where several do. `all` is read the first time only.
    pub(crate) fn find(&mut self, all: impl Iterator<Item = (usize, K)>) -> Option<K> {
        let order = self.order.get_or_insert_with(|| all.filter(|(weight, _)| *weight > 0).collect());
        order.last().map(|(_, key)| *key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_made_when_asked_for_and_kept_until_nobody_holds_anything() {
        let mut heaviest = Heaviest::default();
        heaviest.moved(1, 0, 5);
        assert_eq!(heaviest.find([(5, 1), (7, 2), (0, 3)].into_iter()), Some(2));
        let never = || std::iter::once_with(|| unreachable!("the order is known"));
        heaviest.moved(1, 5, 9);
        assert_eq!(heaviest.find(never()), Some(1));
        heaviest.moved(1, 9, 0);
        assert_eq!(heaviest.find(never()), Some(2));
        heaviest.moved(2, 7, 0);
        heaviest.moved(3, 0, 1);
        assert_eq!(heaviest.find([(1, 3)].into_iter()), Some(3), "asked anew");
    }

    #[test]
    fn among_equals_the_greatest_key_is_taken() {
        let mut heaviest = Heaviest::default();
        assert_eq!(heaviest.find([(5, 2), (5, 9), (5, 4)].into_iter()), Some(9));
    }
}
