//! What was asked of the broker: a call of a service, or whether it is served; and what its end means to the store.

use client::failed::Failure;
use client::reply::Collected;
use protocol::{Frames, ServiceName};

use crate::store::{CallId, Input, Outcome};

/// A question under way.
#[derive(Debug)]
pub(super) struct Asked {
    what: What,
    collected: Collected,
    /// The answer is larger than anybody collects.
    is_too_large: bool,
}

#[derive(Debug)]
enum What {
    Call(CallId),
    Look(ServiceName),
}

impl Asked {
    pub(super) fn call(call: CallId) -> Self {
        Self::new(What::Call(call))
    }

    pub(super) fn look(service: ServiceName) -> Self {
        Self::new(What::Look(service))
    }

    fn new(what: What) -> Self {
        Self { what, collected: Collected::default(), is_too_large: false }
    }

    pub(super) fn part(&mut self, part: Frames) {
        if !self.is_too_large && self.collected.push(part).is_err() {
            self.is_too_large = true;
            self.collected.restart();
        }
    }

    pub(super) fn restart(&mut self) {
        self.is_too_large = false;
        self.collected.restart();
    }

    /// What the store is told.
    pub(super) fn end(mut self, last: Result<Frames, Failure>) -> Input {
        let last = last.map(|last| self.part(last));
        let body = self.collected.finish().body;
        let last = last.map(|()| body);
        match self.what {
            What::Look(service) => Input::Looked(service, last.ok().as_ref().and_then(is_served)),
            What::Call(call) if self.is_too_large => {
                let reason = "its answer is larger than a message may be".to_owned();
                Input::Ended(call, Outcome::Failed { status: 500, reason, body: Frames::new() })
            }
            What::Call(call) => Input::Ended(call, last.map_or_else(outcome, Outcome::Answered)),
        }
    }
}

/// What `mmi.service` says (RFC 8), if it says.
fn is_served(body: &Frames) -> Option<bool> {
    match body.first().map(|status| &**status) {
        Some(b"200") => Some(true),
        Some(b"404") => Some(false),
        _ => None,
    }
}

fn outcome(failure: Failure) -> Outcome {
    let failed = |status, reason: &str| Outcome::Failed { status, reason: reason.to_owned(), body: Frames::new() };
    match failure {
        Failure::Status { failed, .. } => {
            Outcome::Failed { status: failed.status.code(), reason: failed.reason, body: failed.body }
        }
        Failure::Silence(silence) => {
            let seconds = silence.elapsed.as_secs_f64();
            let about = if silence.connected { "no answer" } else { "the broker was not reached" };
            Outcome::Silent { reason: format!("{about} in {seconds:.1} s") }
        }
        Failure::Full { max } => failed(429, &format!("{max} calls are under way")),
        Failure::Broken => failed(500, "parts of the answer were lost"),
        Failure::NotNative => failed(500, "the broker does not speak MDP 0.3"),
        Failure::IdInUse => failed(500, "the same request is being called"),
    }
}
