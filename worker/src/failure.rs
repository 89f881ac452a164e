//! A job that failed is still answered: with a status, a reason that a person can read, and perhaps a body.
//!
//! MDP 0.3 has a place for it. In 0.1 and 0.2, which have no error reply, it is a body: one frame of three digits and
//! the reason, the convention that RFC 9 uses, and then the frames of the body.

use std::time::Duration;

use protocol::Frames;
use protocol::limits::REASON_BYTES_MAX;
use protocol::mdp::v03::{Options, Status};

use crate::job::exceeds_limits;
use crate::status;

/// Why a job failed, as its client is told: what a handler returns as an error.
///
/// Anything that can be displayed becomes a failure with status 500, so a handler's own errors need no more than `?`.
/// One that wants another status makes it here.
///
/// ```
/// # use worker::Failure;
/// fn read(text: &str) -> Result<u32, Failure> {
///     if text.is_empty() {
///         return Err(Failure::new(400, "nothing was ordered"));
///     }
///     Ok(text.parse()?)
/// }
/// assert_eq!(read("").unwrap_err().status(), 400);
/// assert_eq!(read("x").unwrap_err().status(), 500);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    status: Status,
    reason: String,
    retry_after: Option<Duration>,
    body: Frames,
}

impl Failure {
    /// A failure with this status, 300 to 599: 400 blames the request, 500 the worker; others have the meaning that
    /// docs/rfc/MDP-0.3.md gives them. What is not an error's status counts as 500. 429 and 503 say that the request
    /// was not begun: nothing is kept of it, and it runs when it comes again under its id.
    pub fn new(status: u16, reason: impl Into<String>) -> Self {
        let status = Status::new(status).ok().filter(|status| !status.is_success()).unwrap_or(Status::WORKER_FAILED);
        Self { status, reason: reason.into(), retry_after: None, body: Frames::new() }
    }

    /// The worker failed; the request may be fine.
    pub(crate) fn of(error: impl std::fmt::Display) -> Self {
        Self::new(Status::WORKER_FAILED.code(), error.to_string())
    }

    /// When it makes sense to ask again.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// More than a reason can say, for programs. A body that is larger than a message may be is left out.
    #[must_use]
    pub fn body(mut self, body: impl Into<Frames>) -> Self {
        self.body = body.into();
        if exceeds_limits(&self.body) {
            self.body = Frames::new();
        }
        self
    }

    /// Three digits.
    pub fn status(&self) -> u16 {
        self.status.code()
    }

    /// Why, in words.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    pub(crate) fn with_status(status: Status, reason: impl Into<String>) -> Self {
        Self { status, reason: reason.into(), retry_after: None, body: Frames::new() }
    }

    /// What a FINAL of 0.3 says.
    pub(crate) fn into_native(self) -> (Status, Options, Frames) {
        let mut options = Options::build().reason(&status::one_line(&self.reason, REASON_BYTES_MAX));
        if let Some(wait) = self.retry_after {
            options = options.retry_after(wait);
        }
        // A reason is cut to its limit and a wait has none, so the list is valid; without it the status still says it.
        (self.status, options.finish().unwrap_or_default(), self.body)
    }

    /// What a reply of 0.1 and 0.2 says.
    pub(crate) fn into_body(self) -> Frames {
        let mut body = status::line(self.status.code(), &self.reason);
        body.extend(self.body);
        body
    }
}

/// It is no error and cannot be displayed itself: that is what lets every other error become one by `?`.
impl<E: std::fmt::Display> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::of(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_that_is_no_error_counts_as_500() {
        let status = |code| Failure::new(code, "x").status();
        assert_eq!([0, 199, 200, 299, 300, 404, 599, 600].map(status), [500, 500, 500, 500, 300, 404, 599, 500]);
    }

    #[test]
    fn an_old_dialect_is_told_by_a_body_that_begins_with_the_status() {
        let failure = Failure::new(404, "no\nsuch order").body(["{}"]);
        assert_eq!(failure.into_body(), Frames::from(["404 no such order", "{}"]));
    }

    #[test]
    fn a_reason_of_any_length_and_any_characters_is_one_short_line_of_03() {
        let (status, options, body) = Failure::of("é\n".repeat(1000)).retry_after(Duration::from_secs(1)).into_native();
        let reason = options.reason().unwrap();
        assert!(reason.len() <= REASON_BYTES_MAX && reason.starts_with("é é "), "{reason}");
        assert_eq!(
            (status, options.retry_after(), body.len()),
            (Status::WORKER_FAILED, Some(Duration::from_secs(1)), 0)
        );
        assert!(Failure::of("").into_native().1.is_empty());
    }
}
