//! The numbers of a request: the client's own, and the broker's for each attempt.
//!
//! The client's is [`RequestId`](crate::RequestId): 16 octets, the same in every retry, known to client, broker and
//! worker. The broker's is [`JobNumber`]: what an answer is returned under.

use std::fmt;

/// One attempt at one request, as the broker numbers it towards workers. Never given twice while the broker runs, so
/// that the answer of a worker that was given up is never taken for the answer of its successor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobNumber(pub u64);

impl fmt::Display for JobNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "job {}", self.0)
    }
}
