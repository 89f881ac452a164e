//! Where things stand in a table, by hashes of their names.
//!
//! ```text
//!   slots   [ - ][ tag 7 | place 4 ][ tag 7 | place 1 ][ - ][ tag 12 | place 2 ] ...
//!                  └ where the search for this tag begins; it ends at the first free slot
//! ```
//!
//! The table of the broker's known requests has a hundred thousand names, and hardly one of those that are looked for
//! is among them: a name that is not there costs one look at eight octets and not at the name of another. Nothing is
//! left behind when a name goes. Names have to be hashed under a secret ([`crate::keyed`]), or whoever chooses them
//! could make the searches long.

use std::num::NonZeroU32;

/// Places by hashes. What a name is, and whether a place has it, is for the owner of the table to say.
#[derive(Debug, Default)]
pub(crate) struct Index {
    slots: Vec<Option<Slot>>,
    len: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Slot {
    tag: u32,
    place: NonZeroU32,
}

impl Index {
    /// The place with this hash that is the one.
    pub(crate) fn find(&self, hash: u64, is_it: impl Fn(NonZeroU32) -> bool) -> Option<NonZeroU32> {
        let tag = tag(hash);
        let mut at = self.home(tag);
        while let Some(slot) = self.slot(at) {
            if slot.tag == tag && is_it(slot.place) {
                return Some(slot.place);
            }
            at = self.after(at);
        }
        None
    }

    /// Adds a place that is not there.
    pub(crate) fn insert(&mut self, hash: u64, place: NonZeroU32) {
        if self.slots.len() <= self.len * 2 {
            self.grow();
        }
        self.put(Slot { tag: tag(hash), place });
        self.len += 1;
    }

    /// Takes a place out that was added with this hash.
    pub(crate) fn remove(&mut self, hash: u64, place: NonZeroU32) {
        let wanted = Slot { tag: tag(hash), place };
        let mut free = self.home(wanted.tag);
        loop {
            match self.slot(free) {
                None => return,
                Some(slot) if slot == wanted => break,
                Some(_) => free = self.after(free),
            }
        }
        // Whoever stands behind it and would be looked for from here or before moves up.
        let mut at = self.after(free);
        while let Some(slot) = self.slot(at) {
            if self.distance(self.home(slot.tag), at) >= self.distance(free, at) {
                self.set(free, Some(slot));
                free = at;
            }
            at = self.after(at);
        }
        self.set(free, None);
        self.len -= 1;
    }

    /// How many places there are.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    fn put(&mut self, slot: Slot) {
        let mut at = self.home(slot.tag);
        while self.slot(at).is_some() {
            at = self.after(at);
        }
        self.set(at, Some(slot));
    }

    /// At most half of the slots are taken, so that a search is short and ends.
    fn grow(&mut self) {
        let slots = vec![None; SLOTS_MIN.max(self.slots.len() * 2)];
        let before = std::mem::replace(&mut self.slots, slots);
        before.into_iter().flatten().for_each(|slot| self.put(slot));
    }

    fn slot(&self, at: usize) -> Option<Slot> {
        self.slots.get(at).copied().flatten()
    }

    fn set(&mut self, at: usize, slot: Option<Slot>) {
        if let Some(place) = self.slots.get_mut(at) {
            *place = slot;
        }
    }

    fn home(&self, tag: u32) -> usize {
        tag as usize & self.mask()
    }

    fn after(&self, at: usize) -> usize {
        (at + 1) & self.mask()
    }

    /// How far it is from a slot to another that follows.
    fn distance(&self, from: usize, to: usize) -> usize {
        to.wrapping_sub(from) & self.mask()
    }

    /// Slots are a power of two.
    fn mask(&self) -> usize {
        self.slots.len().wrapping_sub(1)
    }
}

/// The upper half of a hash.
const fn tag(hash: u64) -> u32 {
    (hash >> 32) as u32
}

const SLOTS_MIN: usize = 16;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Any history, beside a map. Hashes are few, so that many share a slot, a tag, or the end of the slots.
    #[test]
    fn what_was_added_and_not_taken_out_is_found_and_nothing_else() {
        let mut random = fastrand::Rng::with_seed(7);
        let mut draw = |below: u64| random.u64(..below);
        for spread in [1, 3, 20, 1000] {
            let (mut index, mut map) = (Index::default(), BTreeMap::new());
            let mut next = 0;
            for _ in 0..20_000 {
                if draw(100) < if map.len() < 60 { 55 } else { 45 } {
                    next += 1;
                    let place = NonZeroU32::new(next).unwrap();
                    // Around the last slot of any number of them.
                    let hash = u64::from(u32::MAX - 3).wrapping_add(draw(spread)) << 32;
                    index.insert(hash, place);
                    map.insert(place, hash);
                } else if let Some((&place, &hash)) = map.range(NonZeroU32::new(next / 2 + 1).unwrap()..).next() {
                    index.remove(hash, place);
                    index.remove(hash, place);
                    map.remove(&place);
                    assert_eq!(index.find(hash, |found| found == place), None);
                }
                assert_eq!(index.len(), map.len());
            }
            assert!(map.iter().all(|(place, hash)| index.find(*hash, |found| found == *place) == Some(*place)));
            let slots = index.slots.iter().flatten().count();
            assert_eq!(slots, map.len());
        }
    }

    #[test]
    fn an_empty_index_has_nothing_and_no_memory() {
        let mut index = Index::default();
        assert_eq!(index.find(7, |_| true), None);
        index.remove(7, NonZeroU32::MIN);
        assert_eq!(index.slots.capacity(), 0);
    }
}
