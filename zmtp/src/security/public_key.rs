//! The public key of a CURVE peer (RFC 25), and Z85 (RFC 32), the form in which people see keys.

use std::fmt;
use std::str::FromStr;

/// Octets of a key.
pub const KEY_BYTES: usize = 32;
/// Characters of a key in Z85.
pub const KEY_CHARACTERS: usize = 40;

/// A public key: who a peer is. It may be shown to anybody.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; KEY_BYTES]);

/// Text that is not a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Too short or too long.
    #[error("a key has {KEY_CHARACTERS} characters of Z85, not {0}")]
    Length(usize),
    /// A character that Z85 does not have, or five of them that stand for more than 32 bits; its place, from zero.
    #[error("not Z85 at character {0}")]
    Character(usize),
}

impl PublicKey {
    /// The key's octets.
    pub fn as_bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }
}

impl From<[u8; KEY_BYTES]> for PublicKey {
    fn from(octets: [u8; KEY_BYTES]) -> Self {
        Self(octets)
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let mut octets = [0; KEY_BYTES];
        decode(text, &mut octets)?;
        Ok(Self(octets))
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::with_capacity(KEY_CHARACTERS);
        encode(&self.0, &mut text);
        formatter.write_str(&text)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "PublicKey({self})")
    }
}

/// Adds the Z85 form of `octets` to `text`. The caller reserves room where it must not be copied about.
pub(crate) fn encode(octets: &[u8; KEY_BYTES], text: &mut String) {
    for group in octets.as_chunks::<4>().0 {
        let mut value = u32::from_be_bytes(*group);
        let mut characters = ['0'; 5];
        for character in characters.iter_mut().rev() {
            let digit = usize::try_from(value % 85).unwrap_or_default();
            *character = char::from(ALPHABET.get(digit).copied().expect("85 digits"));
            value /= 85;
        }
        text.extend(characters);
    }
}

/// Reads the Z85 form of a key.
pub(crate) fn decode(text: &str, octets: &mut [u8; KEY_BYTES]) -> Result<(), KeyError> {
    let characters = text.chars().count();
    if characters != KEY_CHARACTERS {
        return Err(KeyError::Length(characters));
    }
    if let Some(place) = text.chars().position(|character| !character.is_ascii()) {
        return Err(KeyError::Character(place));
    }
    let groups = text.as_bytes().as_chunks::<5>().0.iter().enumerate();
    for ((place, group), octets) in groups.zip(octets.as_chunks_mut::<4>().0) {
        let mut value = 0u32;
        for (offset, character) in group.iter().enumerate() {
            let digit = ALPHABET.iter().position(|candidate| candidate == character);
            let digit = digit.and_then(|digit| u32::try_from(digit).ok());
            let longer = digit.and_then(|digit| value.checked_mul(85)?.checked_add(digit));
            value = longer.ok_or(KeyError::Character(place * 5 + offset))?;
        }
        *octets = value.to_be_bytes();
    }
    Ok(())
}

const ALPHABET: &[u8; 85] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";

#[cfg(test)]
mod tests {
    use super::*;

    /// The client's key of libzmq's manual.
    const TEXT: &str = "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID";
    const OCTETS: [u8; 32] = [
        0xbb, 0x88, 0x47, 0x1d, 0x65, 0xe2, 0x65, 0x9b, 0x30, 0xc5, 0x5a, 0x53, 0x21, 0xce, 0xbb, 0x5a, 0xab, 0x2b,
        0x70, 0xa3, 0x98, 0x64, 0x5c, 0x26, 0xdc, 0xa2, 0xb2, 0xfc, 0xb4, 0x3f, 0xc5, 0x18,
    ];

    #[test]
    fn a_key_reads_and_shows_as_in_libzmqs_manual() {
        let key: PublicKey = TEXT.parse().unwrap();
        assert_eq!(key.as_bytes(), &OCTETS);
        assert_eq!(key.to_string(), TEXT);
        assert_eq!(format!("{key:?}"), format!("PublicKey({TEXT})"));
    }

    #[test]
    fn text_that_is_no_key_is_told_where() {
        assert_eq!("".parse::<PublicKey>(), Err(KeyError::Length(0)));
        assert_eq!(TEXT[1..].parse::<PublicKey>(), Err(KeyError::Length(39)));
        assert_eq!(format!("{TEXT}0").parse::<PublicKey>(), Err(KeyError::Length(41)));
        assert_eq!(TEXT.replace('$', "\"").parse::<PublicKey>(), Err(KeyError::Character(4)));
        assert_eq!(TEXT.replace('$', "ä").parse::<PublicKey>(), Err(KeyError::Character(4)));
        assert_eq!("#".repeat(40).parse::<PublicKey>(), Err(KeyError::Character(4)), "more than 32 bits");
    }
}
