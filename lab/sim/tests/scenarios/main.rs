//! What the sweep has found, kept: each bug under its name, as the smallest plan that showed it.
//!
//! The plans are those that `sim sweep` writes for a failing seed. With the bug back in its machine each of them fails;
//! the oracle that objected is named beside it.

#![allow(clippy::panic, reason = "a failing expectation is a failing test")]

use sim::plan::Plan;
use sim::trace::Trace;
use sim::world::run;

/// Nobody objects any more.
fn holds(plan: &str) {
    let plan = Plan::from_text(plan).unwrap_or_else(|error| panic!("the plan cannot be read: {error}"));
    let outcome = run(&plan, Trace::default());
    assert_eq!(outcome.violations, []);
    assert!(outcome.requests > 0, "a plan in which nothing is asked shows nothing");
}

/// Oracle `belonging`: a client whose queue was full missed a PARTIAL and was sent the rest, as if it were whole.
#[test]
fn a_stream_with_a_hole_is_not_finished_as_if_it_were_whole() {
    holds(include_str!("stream_with_a_hole.json"));
}

/// Oracle `belonging`: after a retry had voided the first parts of an answer, its late rest was taken for a whole one.
#[test]
fn the_late_rest_of_a_voided_answer_is_not_taken_for_a_whole_one() {
    holds(include_str!("rest_of_a_voided_answer.json"));
}

/// Oracle `bounds`: workers that took requests and left filled the queues beyond the broker's limits.
#[test]
fn workers_that_take_requests_and_leave_do_not_fill_the_queues() {
    holds(include_str!("workers_that_take_and_leave.json"));
}

/// Oracle `recovery`: with the table of services full, names that nobody serves kept a worker out as long as somebody
/// asked for them.
#[test]
fn a_name_that_is_only_asked_for_does_not_keep_a_worker_out() {
    holds(include_str!("names_that_are_only_asked_for.json"));
}
