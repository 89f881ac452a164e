//! How a request ends that has no answer: a value for each thing that a caller may react to.

use std::time::Duration;

use protocol::Frames;
use protocol::mdp::v03::{Outcome, Status};

use crate::patience::Silence;

/// Why a request ended without an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Nobody answered.
    Silence(Silence),
    /// The broker, or a worker, said why there is no answer.
    Status {
        /// What it said.
        failed: Failed,
        /// How many attempts were made.
        attempts: u32,
        /// Since the first of them.
        elapsed: Duration,
    },
    /// Parts of the answer are missing, and it may not be asked for again.
    Broken,
    /// It is to run once at most, and the broker does not speak MDP 0.3, the only dialect in which that can be said.
    NotNative,
    /// Another request under way has the id that this one is to have.
    IdInUse,
    /// As many requests are under way and wait as may.
    Full {
        /// The limit.
        max: usize,
    },
}

/// What a FINAL says that is no success (docs/rfc/MDP-0.3.md, section 5.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// Three digits.
    pub status: Status,
    /// Why, in the words of whoever said it; empty when nothing was said. It comes from a peer: show it, run nothing.
    pub reason: String,
    /// When it makes sense to ask again.
    pub retry_after: Option<Duration>,
    /// Where to ask instead, best first: a hint.
    pub endpoints: Vec<String>,
    /// What came with it; mostly nothing.
    pub body: Frames,
}

impl Failed {
    pub(crate) fn new(outcome: &Outcome, body: Frames) -> Self {
        let options = &outcome.options;
        Self {
            status: outcome.status,
            reason: options.reason().unwrap_or_default().to_owned(),
            retry_after: options.retry_after(),
            endpoints: options.endpoints().map(str::to_owned).collect(),
            body,
        }
    }
}
