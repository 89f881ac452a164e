//! Whoever waits for a reply of the asynchronous [`Client`](crate::Client): for the whole of it, or part by part.

use protocol::{Frames, ServiceName};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use crate::error::Error;
use crate::reply::{Collected, Progress, Reply};
use crate::span::Span;

/// The owner task's end of a request under way.
pub(crate) struct Caller {
    pub(crate) service: ServiceName,
    pub(crate) ear: Ear,
    pub(crate) span: Span,
    /// Its place among the requests that may be under way; given back when the caller goes.
    pub(crate) _permit: OwnedSemaphorePermit,
}

/// How the caller listens.
pub(crate) enum Ear {
    Whole { collected: Collected, done: oneshot::Sender<Result<Reply, Error>> },
    Parts { parts: mpsc::Sender<Progress>, done: oneshot::Sender<Result<(), Error>> },
}

/// Parts of one reply that may wait for their caller.
pub(crate) const PARTS_WAITING_MAX: usize = 1024;

impl Caller {
    /// Hands a part over.
    ///
    /// # Errors
    /// When the caller cannot take it: it has gone, is too slow, or collects no more. [`end`](Self::end) it with this.
    pub(crate) fn part(&mut self, part: Frames) -> Result<(), Error> {
        match &mut self.ear {
            Ear::Whole { collected, .. } => collected.push(part),
            Ear::Parts { parts, .. } => hand_over(parts, Progress::Part(part)),
        }
    }

    /// Says that the parts so far are void; errors as [`part`](Self::part).
    pub(crate) fn restart(&mut self) -> Result<(), Error> {
        match &mut self.ear {
            Ear::Whole { collected, .. } => {
                collected.restart();
                Ok(())
            }
            Ear::Parts { parts, .. } => hand_over(parts, Progress::Restarted),
        }
    }

    /// The request is over. A caller that has gone hears nothing, and that is no error.
    pub(crate) fn end(self, outcome: Result<(), Error>) {
        match self.ear {
            Ear::Whole { collected, done } => drop(done.send(outcome.map(|()| collected.finish()))),
            Ear::Parts { done, .. } => drop(done.send(outcome)),
        }
    }
}

fn hand_over(parts: &mpsc::Sender<Progress>, progress: Progress) -> Result<(), Error> {
    parts.try_send(progress).map_err(|error| match error {
        mpsc::error::TrySendError::Full(_) => Error::Lagging { max: PARTS_WAITING_MAX },
        mpsc::error::TrySendError::Closed(_) => Error::Closed,
    })
}
