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
    let is_alive = outcome.requests > 0 || plan.mesh_nodes.len() > 1;
    assert!(is_alive, "a plan in which nothing is asked shows nothing");
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

/// Oracle `bounds`: a worker that waited for several services was counted in the line of each when requests came back
/// from a lost one, and the queues took more than the broker's limit.
#[test]
fn a_worker_that_waits_for_several_services_is_not_counted_for_each() {
    holds(include_str!("one_worker_of_several_services.json"));
}

/// Oracle `recovery`: with the table of services full, names that nobody serves kept a worker out as long as somebody
/// asked for them.
#[test]
fn a_name_that_is_only_asked_for_does_not_keep_a_worker_out() {
    holds(include_str!("names_that_are_only_asked_for.json"));
}

/// Oracle `deposits`: while the disk had no room for a longer log, a request that would fit was told that it never
/// will, and the log asked for no more room until its process ended.
#[test]
fn a_disk_that_was_full_for_a_moment_refuses_no_request_for_good() {
    holds(include_str!("a_disk_that_was_full_for_a_moment.json"));
}

/// Oracle `endings`: a log that stopped while a request was taken, and not while one was written, left its Titanic
/// standing, which told everybody 500 and never ended.
#[test]
fn a_log_that_stopped_in_passing_ends_its_titanic() {
    holds(include_str!("a_log_that_stopped_in_passing.json"));
}

/// Oracle `mesh`: what a member said last before a connection broke was lost, and nobody missed it as long as it said
/// no more.
#[test]
fn the_last_word_before_a_connection_broke_is_missed() {
    holds(include_str!("the_last_word_was_lost.json"));
}

/// Oracle `mesh`: services that changed after a broker's HELLO had left, and before that of another had come, stayed
/// what they were for that one.
#[test]
fn services_that_changed_between_two_hellos_are_told() {
    holds(include_str!("services_that_changed_before_hello.json"));
}

/// Oracle `mesh`: each of two members took the other's HELLO for a restart and said its own again, thousands of times a
/// second, and for ever.
#[test]
fn hello_is_not_answered_by_hello_without_an_end() {
    holds(include_str!("hello_answered_by_hello.json"));
}

/// Oracle `mesh`: a HELLO that was lost with its connection was not said again on the next one. Where that happened to
/// both of two members, each told the other to be silent and gone, for most of a minute.
#[test]
fn a_hello_that_was_lost_with_its_connection_is_said_again() {
    holds(include_str!("a_hello_lost_with_its_connection.json"));
}
