//! The answers of the store: a frame of three digits, perhaps with words behind them, and what was asked for.

use bytes::{Bytes, BytesMut};
use protocol::Frames;

use crate::log::Id;

/// The three digits of RFC 9. There are no others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Done.
    Ok = 200,
    /// Not yet; ask again later.
    Pending = 300,
    /// The request makes no sense, or its id is not known; do not ask again.
    Invalid = 400,
    /// We failed; ask again later.
    Failed = 500,
}

impl Status {
    const fn digits(self) -> &'static [u8] {
        match self {
            Self::Ok => b"200",
            Self::Pending => b"300",
            Self::Invalid => b"400",
            Self::Failed => b"500",
        }
    }

    /// The status frame alone. The words are for people; of what a peer wrote only a line is shown.
    pub(super) fn because(self, words: impl std::fmt::Display) -> Frames {
        let line: String = words.to_string().chars().filter(|character| !character.is_control()).take(400).collect();
        Frames::from([format!("{} {line}", self as u16)])
    }

    /// The status frame, and what was asked for behind it.
    pub(super) fn with(self, mut frames: Frames) -> Frames {
        frames.push_front(Bytes::from_static(self.digits()));
        frames
    }
}

/// Makes acknowledgements. The ids of many are written into one piece of memory, which goes when the last of them has
/// left: they are made by the batch, and are let go by another thread.
#[derive(Debug, Default)]
pub(super) struct Acknowledgements {
    piece: BytesMut,
}

impl Acknowledgements {
    /// 200, and the id under which a request was taken.
    pub(super) fn make(&mut self, id: Id) -> Frames {
        let digits = id.digits();
        if self.piece.capacity() < digits.len() {
            self.piece = BytesMut::with_capacity(PIECE_BYTES);
        }
        self.piece.extend_from_slice(&digits);
        Status::Ok.with(Frames::from([self.piece.split()]))
    }
}

/// As many as a busy client waits for; whoever does not read one of them keeps the memory of no more.
const PIECE_BYTES: usize = 32 * 128;

/// 200 alone.
pub(super) fn ok() -> Frames {
    Status::Ok.with(Frames::new())
}

/// 32 hexadecimal digits, of either case; anything else is none. They never become part of a file's name.
pub fn read_id(text: &[u8]) -> Option<Id> {
    if text.len() != 32 {
        return None;
    }
    let digit = |octet: u8| char::from(octet).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut id = [0; 16];
    for (octet, pair) in id.iter_mut().zip(text.chunks_exact(2)) {
        let &[high, low] = pair else { return None };
        *octet = digit(high)? << 4 | digit(low)?;
    }
    Some(Id(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_32_hexadecimal_digits_of_either_case_and_is_written_in_lower_case() {
        let id = Id([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 0xab, 0xff]);
        assert_eq!(id.to_string(), "000102030405060708090a0b0c0dabff");
        assert_eq!(read_id(id.to_string().as_bytes()), Some(id));
        assert_eq!(read_id(id.to_string().to_uppercase().as_bytes()), Some(id));
    }

    #[test]
    fn anything_else_is_no_id() {
        let long = "0".repeat(33);
        let path = "../../../../etc/passwd0000000000";
        assert_eq!(path.len(), 32);
        for text in ["", "0", &long, path, "g0000000000000000000000000000000", "+0000000000000000000000000000000"] {
            assert_eq!(read_id(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn acknowledgements_share_pieces_of_memory_and_nothing_else() {
        let mut acknowledgements = Acknowledgements::default();
        let ids = (0..1000_u128).map(|number| Id((number << 64).to_be_bytes()));
        let made: Vec<Frames> = ids.clone().map(|id| acknowledgements.make(id)).collect();
        assert!(made.iter().eq(&ids.map(|id| Frames::from(["200".to_owned(), id.to_string()])).collect::<Vec<_>>()));
    }

    #[test]
    fn words_are_one_short_line() {
        assert_eq!(Status::Invalid.because("a\nb"), Frames::from(["400 ab"]));
        assert_eq!(Status::Failed.because("é".repeat(1000)).first().unwrap().len(), 4 + 800);
    }
}
