//! Hashes of what clients choose, under a secret: who does not know it cannot choose values that collide, and so cannot
//! make a table slow. They are for tables and for recognising, and prove nothing.

use std::hash::{BuildHasher, Hasher};

use protocol::{Frames, ServiceName};

/// The secret. The same one gives the same hashes, in every run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    start: u64,
    factor: u64,
}

/// Folds words of 64 bits, each with one multiplication.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fold {
    state: u64,
    factor: u64,
}

impl Key {
    /// A key of any number; only one that nobody else knows keeps others from finding collisions.
    pub(crate) fn new(secret: u64) -> Self {
        let start = mix(secret ^ DIGITS[0], DIGITS[1]);
        // An odd factor loses nothing of a word.
        Self { start, factor: mix(start, DIGITS[2]) | 1 }
    }

    /// What stands for a service and a body, to recognise them by. Lengths count, so that frames cut otherwise differ.
    pub(crate) fn digest(&self, service: &ServiceName, body: &Frames) -> u64 {
        let mut fold = self.build_hasher();
        fold.write(service.as_bytes());
        for frame in body {
            fold.write(frame);
        }
        fold.finish()
    }
}

impl BuildHasher for Key {
    type Hasher = Fold;

    fn build_hasher(&self) -> Fold {
        Fold { state: self.start, factor: self.factor }
    }
}

impl Hasher for Fold {
    fn write(&mut self, octets: &[u8]) {
        self.write_usize(octets.len());
        let (pairs, rest) = octets.as_chunks::<16>();
        for pair in pairs {
            let (low, high) = words(*pair);
            self.state = mix(self.state ^ low, self.factor ^ high);
        }
        if !rest.is_empty() {
            let mut last = [0; 16];
            last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
            let (low, high) = words(last);
            self.state = mix(self.state ^ low, self.factor ^ high);
        }
    }

    fn write_u64(&mut self, word: u64) {
        self.state = mix(self.state ^ word, self.factor);
    }

    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }

    fn finish(&self) -> u64 {
        mix(self.state, self.factor.rotate_left(32))
    }
}

fn words(pair: [u8; 16]) -> (u64, u64) {
    let whole = u128::from_le_bytes(pair);
    halves(whole)
}

/// Multiplies, and folds the upper half of the product into the lower.
fn mix(left: u64, right: u64) -> u64 {
    let (low, high) = halves(u128::from(left) * u128::from(right));
    low ^ high
}

#[expect(clippy::cast_possible_truncation, reason = "both halves are taken")]
const fn halves(whole: u128) -> (u64, u64) {
    (whole as u64, (whole >> 64) as u64)
}

/// Digits of the fraction of pi: nobody has chosen them.
const DIGITS: [u64; 3] = [0x243f_6a88_85a3_08d3, 0x1319_8a2e_0370_7344, 0xa409_3822_299f_31d0];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_octet_length_and_cut_of_a_request_counts() {
        let key = Key::new(7);
        let service: ServiceName = "echo".parse().unwrap();
        let mut digests = BTreeSet::new();
        let mut count = 0;
        let mut add = |service: &ServiceName, body: Frames| {
            digests.insert(key.digest(service, &body));
            count += 1;
        };
        for length in 0..70 {
            add(&service, Frames::from([vec![0_u8; length]]));
            for position in 0..length {
                let mut octets = vec![0_u8; length];
                octets[position] = 1;
                add(&service, Frames::from([octets]));
            }
        }
        add(&service, Frames::from(["ab", "c"]));
        add(&service, Frames::from(["a", "bc"]));
        add(&service, Frames::from(["abc"]));
        add(&"ech".parse().unwrap(), Frames::from(["oabc"]));
        assert_eq!(digests.len(), count);
    }

    #[test]
    fn values_that_collide_under_one_key_do_not_under_another() {
        let count = |key: Key| {
            let hash = |number: u64| key.hash_one(number) & 0xffff;
            let wanted = hash(0);
            (1..1_000_000).filter(|number| hash(*number) == wanted).collect::<Vec<_>>()
        };
        let colliding = count(Key::new(1));
        assert!(!colliding.is_empty());
        let other = Key::new(2);
        let still =
            colliding.iter().filter(|number| other.hash_one(**number) & 0xffff == other.hash_one(0_u64) & 0xffff);
        assert!(still.count() <= 2, "no more than by chance");
    }
}
