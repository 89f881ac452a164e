//! How a request ended, in three digits (MDP 0.3, "Status").

use std::fmt;

use crate::fault::PeerFault;

/// Three digits, 200 to 599. One that is not named here means what its hundred means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Status(u16);

impl Status {
    /// Done.
    pub const OK: Self = Self(200);
    /// The request makes no sense, to the broker or to the worker.
    pub const BAD_REQUEST: Self = Self(400);
    /// This peer may not.
    pub const FORBIDDEN: Self = Self(403);
    /// Nobody offers this service.
    pub const NO_SERVICE: Self = Self(404);
    /// The deadline has passed.
    pub const DEADLINE: Self = Self(408);
    /// The same id is in use for another request, or its answer cannot be given again.
    pub const DUPLICATE: Self = Self(409);
    /// The queue is full, or this peer asks too much.
    pub const TOO_MANY: Self = Self(429);
    /// The client did not want it any more.
    pub const CANCELLED: Self = Self(499);
    /// The worker failed.
    pub const WORKER_FAILED: Self = Self(500);
    /// Workers were lost over it, as often as is allowed.
    pub const ATTEMPTS_EXHAUSTED: Self = Self(502);
    /// This broker, or this service, is draining.
    pub const DRAINING: Self = Self(503);

    /// The status of these digits.
    ///
    /// # Errors
    /// [`PeerFault::Value`] when they are not 200 to 599.
    pub fn new(code: u16) -> Result<Self, PeerFault> {
        if (200..600).contains(&code) {
            return Ok(Self(code));
        }
        Err(PeerFault::Value { what: "status", value: u64::from(code), allowed: "200 to 599" })
    }

    /// The three digits.
    pub const fn code(self) -> u16 {
        self.0
    }

    /// Whether the body is the answer that was asked for.
    pub const fn is_success(self) -> bool {
        self.0 < 300
    }

    /// Whether a worker that says this has not begun the request, which may come again.
    pub const fn is_not_taken(self) -> bool {
        matches!(self, Self::TOO_MANY | Self::DRAINING)
    }

    /// What it means, for people. An unknown status has the words of its hundred.
    pub const fn words(self) -> &'static str {
        match self.0 {
            200..=299 => "done",
            403 => "not allowed",
            404 => "no such service",
            408 => "deadline passed",
            409 => "duplicate",
            429 => "too many requests",
            499 => "cancelled",
            502 => "attempts exhausted",
            503 => "draining",
            500..=599 => "worker failed",
            _ => "bad request",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.0, self.words())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_three_digits_from_200_to_599() {
        for code in [200, 299, 404, 599] {
            assert_eq!(Status::new(code).map(Status::code), Ok(code));
        }
        for code in [0, 199, 600, u16::MAX] {
            assert!(matches!(Status::new(code), Err(PeerFault::Value { what: "status", .. })), "{code}");
        }
    }

    #[test]
    fn an_unknown_status_means_what_its_hundred_means() {
        let words = |code| Status::new(code).unwrap().to_string();
        assert_eq!(words(204), "204 done");
        assert_eq!(words(418), "418 bad request");
        assert_eq!(words(507), "507 worker failed");
        assert!(Status::new(204).unwrap().is_success() && !Status::new(300).unwrap().is_success());
    }
}
