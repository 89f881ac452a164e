//! Once faults have ended and all timeouts have passed, a request to a service that has a worker is answered: no worker
//! is lost, stuck, or registered where nobody sees it.

use super::{Outcome, Subject};
use crate::marker::is_status;

/// A request ended.
pub(super) fn check(subject: Subject, number: u64, outcome: Outcome<'_>) -> Result<(), String> {
    let Subject::Probe(service) = subject else { return Ok(()) };
    match outcome {
        Outcome::Reply(body) if !is_status(body) => Ok(()),
        Outcome::Reply(body) => Err(format!("probe {number} of service {service} was refused: {body:?}")),
        Outcome::Status(status) => Err(format!("probe {number} of service {service} ended with {status}")),
        Outcome::Silence => Err(format!("probe {number} of service {service} got no answer")),
        // The client's own limit: nothing was asked.
        Outcome::Full => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_probe_must_be_answered() {
        assert!(check(Subject::Service(0), 0, Outcome::Silence).is_ok());
        assert!(check(Subject::Probe(0), 0, Outcome::Silence).is_err());
        assert!(check(Subject::Probe(0), 0, Outcome::Reply(&["503 none"].into())).is_err());
        assert!(check(Subject::Probe(0), 0, Outcome::Reply(&["answer", "of two"].into())).is_ok());
    }
}
