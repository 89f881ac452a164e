//! The one source of chance: a seeded generator, the same numbers on every machine.
//!
//! The generator is xoshiro256++ (Blackman, Vigna 2019), its state filled by SplitMix64 (Steele, Lea, Flood 2014). It
//! is forked by purpose ([`Rng::fork`]): a node that draws once more shifts nobody else's numbers.

/// A generator. Cheap to fork, never to be shared between purposes.
#[derive(Clone, Debug)]
pub struct Rng {
    state: [u64; 4],
}

impl Rng {
    /// The generator of a seed.
    pub fn new(seed: u64) -> Self {
        let mut seed = seed;
        Self { state: [(); 4].map(|()| split_mix(&mut seed)) }
    }

    /// The generator of a purpose within this seed. It depends on how this one was made and on the purpose, not on what
    /// was drawn elsewhere; so fork before drawing.
    #[must_use]
    pub fn fork(&self, purpose: u64) -> Self {
        let [a, b, c, d] = self.state;
        let mut mixed = purpose.wrapping_mul(GOLDEN) ^ a.rotate_left(7) ^ b.rotate_left(23) ^ c.rotate_left(41) ^ d;
        Self::new(split_mix(&mut mixed))
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        let [a, b, c, d] = &mut self.state;
        let result = a.wrapping_add(*d).rotate_left(23).wrapping_add(*a);
        let shifted = *b << 17;
        *c ^= *a;
        *d ^= *b;
        *b ^= *c;
        *a ^= *d;
        *c ^= shifted;
        *d = d.rotate_left(45);
        result
    }

    /// A number below `bound`; 0 when `bound` is 0. The bias of the multiplication is below `bound` / 2^64.
    pub fn below(&mut self, bound: u64) -> u64 {
        let wide = u128::from(self.bits()) * u128::from(bound);
        u64::try_from(wide >> 64).unwrap_or(0)
    }

    /// A number from `low` to `high`, both included; `low` when they are the wrong way round.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low).saturating_add(1))
    }

    /// A position in a list of `len`; 0 when it is empty.
    pub fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).unwrap_or(0)
    }

    /// True in `percent` of a hundred cases.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// True in `count` of a thousand cases.
    pub fn permille(&mut self, count: u32) -> bool {
        count > 0 && self.below(1000) < u64::from(count)
    }

    /// One of a list.
    pub fn pick<'list, T>(&mut self, list: &'list [T]) -> Option<&'list T> {
        list.get(self.index(list.len()))
    }

    /// One of a fixed list.
    pub fn one_of<T: Copy, const N: usize>(&mut self, list: [T; N]) -> T {
        const { assert!(N > 0, "there must be something to choose from") };
        let [first, ..] = list.as_slice() else { unreachable!("N is above 0") };
        list.get(self.index(N)).copied().unwrap_or(*first)
    }
}

/// SplitMix64: one step, mixed.
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(GOLDEN);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_numbers_everywhere() {
        let mut rng = Rng { state: [1, 2, 3, 4] };
        // The reference implementation's first outputs for this state.
        assert_eq!([rng.bits(), rng.bits(), rng.bits()], [41_943_041, 58_720_359, 3_588_806_011_781_223]);
    }

    #[test]
    fn forks_of_different_purposes_differ_and_drawing_from_one_leaves_the_other_alone() {
        let rng = Rng::new(7);
        let (mut a, mut b) = (rng.fork(1), rng.fork(2));
        let first_of_b = b.clone().bits();
        for _ in 0..100 {
            a.bits();
        }
        assert_eq!(b.bits(), first_of_b);
        assert_ne!(rng.fork(1).bits(), rng.fork(2).bits());
    }

    #[test]
    fn numbers_stay_within_their_bounds_and_reach_them() {
        let mut rng = Rng::new(1);
        let mut seen = [false; 4];
        for _ in 0..200 {
            let number = rng.between(3, 6);
            assert!((3..=6).contains(&number));
            seen[usize::try_from(number - 3).unwrap()] = true;
        }
        assert_eq!(seen, [true; 4]);
        assert_eq!((rng.below(0), rng.between(9, 2), rng.index(0)), (0, 9, 0));
    }
}
