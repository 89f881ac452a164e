//! The running hash of a run: what happened, in which order, to the last byte.
//!
//! The algorithm is fixed here and uses whole 64-bit numbers only, so that the same run has the same hash on every
//! machine: multiply and rotate a word at a time, in the manner of FNV-1a. It is not meant to resist anybody.

/// A hash under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventHash(u64);

impl Default for EventHash {
    fn default() -> Self {
        Self(0xCBF2_9CE4_8422_2325)
    }
}

impl EventHash {
    /// Takes a number in.
    pub fn number(&mut self, number: u64) {
        self.0 = (self.0 ^ number).wrapping_mul(PRIME).rotate_left(29);
    }

    /// Takes bytes in, with their length, so that neighbours cannot be cut differently.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            for (to, from) in word.iter_mut().zip(chunk) {
                *to = *from;
            }
            self.number(u64::from_le_bytes(word));
        }
    }

    /// The value so far.
    pub fn value(self) -> u64 {
        let mixed = (self.0 ^ (self.0 >> 32)).wrapping_mul(PRIME);
        mixed ^ (mixed >> 29)
    }
}

/// Odd and without pattern: the golden ratio in 64 bits.
const PRIME: u64 = 0x9E37_79B9_7F4A_7C15;

#[cfg(test)]
mod tests {
    use super::*;

    fn of(parts: &[&[u8]]) -> u64 {
        let mut hash = EventHash::default();
        parts.iter().for_each(|part| hash.bytes(part));
        hash.value()
    }

    #[test]
    fn order_length_and_cuts_matter() {
        assert_ne!(of(&[b"a", b"b"]), of(&[b"b", b"a"]));
        assert_ne!(of(&[b"ab", b"c"]), of(&[b"a", b"bc"]));
        assert_ne!(of(&[b""]), of(&[b"\0"]));
    }

    #[test]
    fn the_value_is_the_same_on_every_machine() {
        assert_eq!(of(&[b"majordomo", b"simulator"]), GOLDEN);
    }

    /// Computed apart from this code.
    const GOLDEN: u64 = 0x8B91_124B_2C51_286D;
}
