//! A request has at most one visible end: whatever is sent twice, executed twice or answered late, its caller hears one
//! answer or one error, and nothing more.

use super::{Request, State};

/// Something is heard of a request now.
pub(super) fn check(request: &Request, number: u64) -> Result<(), String> {
    match request.state {
        State::Open => Ok(()),
        State::Ended => Err(format!("request {number} had ended already")),
        State::Forgotten => Err(format!("request {number} was given up")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Oracles, Outcome, Subject};

    #[test]
    fn a_second_end_is_found_and_so_is_one_after_giving_up() {
        let mut oracles = Oracles::default();
        for client in [1, 2] {
            oracles.submitted(client, Subject::Service(0));
        }
        oracles.done(0, 1, 0, Outcome::Silence);
        assert!(oracles.violations().is_empty());
        oracles.done(1, 1, 0, Outcome::Silence);
        oracles.forgotten(2, 0);
        oracles.done(2, 2, 0, Outcome::Silence);
        let found: Vec<_> = oracles.violations().iter().map(|found| (found.oracle, found.at)).collect();
        assert_eq!(found, [("single_reply", 1), ("single_reply", 2)]);
        assert_eq!(oracles.open(), 0);
    }
}
