//! How a call ends without an answer, and what a store tells.

use client::multiplex::Failure;
use protocol::Frames;
use titanic::log::{Id, Region, State};
use titanic::store::{self, Store};

/// What the store is told of a call without an answer, and its place in the coverage table.
pub(super) fn failed(failure: Failure) -> (store::Outcome, usize) {
    let other =
        |status, reason: &str| store::Outcome::Failed { status, reason: reason.to_owned(), body: Frames::new() };
    match failure {
        Failure::Silence(silence) => (store::Outcome::Silent { reason: format!("{silence:?}") }, SILENT),
        Failure::Status { failed, .. } => {
            let (status, reason, body) = (failed.status.code(), failed.reason, failed.body);
            (store::Outcome::Failed { status, reason, body }, FAILED)
        }
        Failure::Full { .. } => (other(429, "full"), FAILED),
        Failure::Broken | Failure::NotNative | Failure::IdInUse => (other(500, "broken"), FAILED),
    }
}

/// The name in the coverage table, for what can happen here: no octet is damaged, and no answer becomes too old.
pub(super) fn name(event: &store::Event) -> Option<&'static str> {
    match event {
        store::Event::Died { .. } => Some("titanic: died"),
        store::Event::AnswerRefused { .. } => Some("titanic: answer refused"),
        store::Event::Down(_) => Some("titanic: service down"),
        store::Event::Up(_) => Some("titanic: service up"),
        store::Event::Stopped(_) => Some("titanic: stopped"),
        store::Event::Damaged { .. } | store::Event::Expired { .. } => None,
    }
}

/// An answer that is shown is on the disk: after a crash there might be another one.
pub(super) fn check_safe<R: Region>(
    store: Option<&Store<R>>,
    answer_of: Option<Id>,
    told: &Frames,
) -> Result<(), String> {
    let is_shown = told.first().is_some_and(|status| status.as_ref() == b"200");
    let (Some(log), Some(id), true) = (store.map(Store::log), answer_of, is_shown) else { return Ok(()) };
    // It may be closed by now, in the same round.
    let entry = log.find(&id).filter(|entry| entry.state() == State::Answered);
    let is_safe = entry.and_then(|entry| entry.latest()).is_none_or(|at| log.is_durable(at.lsn()));
    if is_safe { Ok(()) } else { Err(format!("the answer to {id} is shown, and is not safe")) }
}

// Places in the inputs of the coverage table.
pub(super) const FAILED: usize = 8;
pub(super) const SILENT: usize = 9;
