//! What both services answer: a status, then rows.
//!
//! ```text
//! 200  row  row  …          done; without rows where nothing was found
//! 400 REASON                the request is wrong, sending it again will not help
//! 409 REASON                a document with this key exists
//! 500 REASON                the database or the way to it failed; a write may have taken place
//! ```
//!
//! A status with a reason is one frame of one line.

use bytes::Bytes;
use worker::Frames;

use crate::refusal::one_line;
use crate::store::Fault;

/// `200` and rows.
pub fn done(rows: impl IntoIterator<Item = Bytes>) -> Frames {
    let mut frames = Frames::from([Bytes::from_static(b"200")]);
    frames.extend(rows);
    frames
}

/// `400` and why.
pub fn refused(reason: impl std::fmt::Display) -> Frames {
    status(400, &reason.to_string())
}

/// `500` and why.
pub fn broken(reason: impl std::fmt::Display) -> Frames {
    status(500, &reason.to_string())
}

/// The status that a store's fault means.
pub fn fault(fault: &Fault) -> Frames {
    match fault {
        Fault::Refused(reason) => refused(reason),
        Fault::Duplicate(reason) => status(409, reason),
        Fault::Broken(reason) => broken(reason),
    }
}

fn status(code: u16, reason: &str) -> Frames {
    Frames::from([format!("{code} {}", one_line(reason))])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_one_frame_of_one_line() {
        assert_eq!(done([]), Frames::from(["200"]));
        assert_eq!(done([Bytes::from_static(b"{}")]), Frames::from(["200", "{}"]));
        assert_eq!(fault(&Fault::Duplicate("a\nb".into())), Frames::from(["409 a\\nb"]));
        assert_eq!(fault(&Fault::Broken("gone".into())), Frames::from(["500 gone"]));
        assert_eq!(refused("no"), Frames::from(["400 no"]));
    }
}
