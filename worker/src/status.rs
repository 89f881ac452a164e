//! A job that failed is still answered: one frame of three digits and a reason that a person can read.
//!
//! MDP has no error reply, so this is a convention between workers and clients, the one that RFC 9 uses: `400` blames
//! the request, `500` the worker. A reason is one line and short, whatever was in the error it came from.

use protocol::Frames;

/// The request makes no sense; sending it again will not help.
pub fn bad_request(reason: impl std::fmt::Display) -> Frames {
    status(400, &reason.to_string())
}

/// The worker failed; the request may be fine.
pub fn failed(reason: impl std::fmt::Display) -> Frames {
    status(500, &reason.to_string())
}

fn status(code: u16, reason: &str) -> Frames {
    let line = reason.chars().map(|character| if character.is_control() { ' ' } else { character });
    let line: String = line.take(REASON_CHARACTERS_MAX).collect();
    Frames::from([format!("{code} {line}")])
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
