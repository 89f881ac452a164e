//! A failure written as a body: one frame of three digits and a reason that a person can read.
//!
//! MDP 0.1 and 0.2 have no error reply, so this is a convention between workers and clients, the one that RFC 9 uses:
//! `400` blames the request, `500` the worker. A reason is one line and short, whatever was in the error it came from.
//! MDP 0.3 has error replies: a handler that returns a [`Failure`](crate::Failure) gets whichever the broker
//! understands, where a body made here is a success to 0.3.

use protocol::Frames;

/// The request makes no sense; sending it again will not help.
pub fn bad_request(reason: impl std::fmt::Display) -> Frames {
    line(400, &reason.to_string())
}

/// The worker failed; the request may be fine.
pub fn failed(reason: impl std::fmt::Display) -> Frames {
    line(500, &reason.to_string())
}

/// Three digits and a reason.
pub(crate) fn line(code: u16, reason: &str) -> Frames {
    Frames::from([format!("{code} {}", one_line(reason, REASON_CHARACTERS_MAX))])
}

/// A reason as it can be shown on a terminal, with so many characters at most.
pub(crate) fn one_line(reason: &str, characters_max: usize) -> String {
    let line = reason.chars().map(|character| if character.is_control() { ' ' } else { character });
    line.take(characters_max).collect()
}

/// Characters of a reason; what is longer is cut.
const REASON_CHARACTERS_MAX: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_one_line() {
        assert_eq!(bad_request("first\nsecond\0"), Frames::from(["400 first second "]));
    }

    #[test]
    fn reason_characters_max_is_met_and_not_passed() {
        let length = |count| failed("é".repeat(count)).first().unwrap().len();
        assert_eq!(length(500), 4 + 1000);
        assert_eq!(length(501), 4 + 1000);
    }
}
