//! Once faults have ended, every request ends: with an answer, an error, or the end of its caller's patience.

use std::collections::BTreeMap;

use super::{Request, State};

/// The first request that has not ended.
pub(super) fn check(requests: &BTreeMap<u32, Vec<Request>>) -> Result<(), String> {
    for (client, requests) in requests {
        if let Some(number) = requests.iter().position(|request| request.state == State::Open) {
            return Err(format!("request {number} of client {client} never ends"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{Oracles, Outcome, Subject};

    #[test]
    fn a_request_that_never_ends_is_found() {
        let mut oracles = Oracles::default();
        oracles.submitted(1, Subject::Service(0));
        oracles.submitted(1, Subject::Service(0));
        oracles.done(0, 1, 0, Outcome::Full);
        oracles.all_must_have_ended(9);
        assert_eq!(oracles.violations()[0].what, "request 1 of client 1 never ends");
    }
}
