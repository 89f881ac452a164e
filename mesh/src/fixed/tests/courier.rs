//! The courier: tries, timeouts, and answers by their numbers.

use protocol::zmqnet::{Message, Request, join};
use protocol::{Frames, Instant, Machine};

use super::super::courier::{Courier, Failure, Input, Output, Patience};
use super::{ack, millis, single};

/// A courier to two members, and the present.
struct Bench {
    courier: Courier,
    now: Instant,
}

/// Two tries of a second, and half a second for a connection.
fn bench() -> Bench {
    Bench { courier: Courier::new(Patience::default(), 2), now: Instant::from_millis(1000) }
}

impl Bench {
    fn handle(&mut self, input: Input) -> Vec<Output> {
        self.courier.handle(self.now, input);
        self.drain()
    }

    fn drain(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.courier.poll()).collect()
    }

    fn send(&mut self, errand: u64, member: usize) -> Vec<Output> {
        self.handle(Input::Send { errand, member, message: single("hi", 7).encode() })
    }

    fn link(&mut self, member: usize, up: bool) -> Vec<Output> {
        self.handle(Input::Linked { member, up })
    }

    fn wait(&mut self, count: u64) -> Vec<Output> {
        let end = self.now + millis(count);
        let mut outputs = Vec::new();
        while let Some(due) = self.courier.deadline().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.courier.tick(self.now);
            outputs.extend(self.drain());
        }
        self.now = end;
        outputs
    }
}

fn envelope(errand: u64) -> Frames {
    Frames::from([errand.to_be_bytes().to_vec(), Vec::new()])
}

fn sent(errand: u64, member: usize) -> Output {
    Output::Send { member, frames: join(envelope(errand), &single("hi", 7)) }
}

fn failed(errand: u64, member: usize, failure: Failure) -> Output {
    Output::Done { errand, member, outcome: Err(failure) }
}

fn answer(bench: &mut Bench, errand: u64, member: usize, message: &Message) -> Vec<Output> {
    bench.handle(Input::Heard { member, frames: join(envelope(errand), message) })
}

#[test]
fn a_message_waits_for_a_connection_and_its_answer_is_known_by_its_envelope() {
    let mut bench = bench();
    assert_eq!(bench.send(1, 0), []);
    assert_eq!(bench.link(0, true), [sent(1, 0)]);
    assert_eq!(bench.send(2, 0), [sent(2, 0)]);
    for errand in [2, 1] {
        let done = Output::Done { errand, member: 0, outcome: Ok(ack()) };
        assert_eq!(answer(&mut bench, errand, 0, &ack()), [done], "in any order");
    }
    assert_eq!((bench.wait(60_000), bench.courier.under_way()), (vec![], 0));
}

#[test]
fn a_member_that_is_not_there_is_known_after_half_a_second_and_not_before() {
    let mut bench = bench();
    bench.send(1, 1);
    assert_eq!(bench.wait(499), []);
    assert_eq!(bench.wait(1), [failed(1, 1, Failure::Absent)]);
}

#[test]
fn a_silent_member_is_tried_again_over_a_new_connection_and_then_given_up() {
    let mut bench = bench();
    bench.link(0, true);
    bench.send(1, 0);
    assert_eq!(bench.wait(999), []);
    assert_eq!(bench.wait(1), [Output::Reopen { member: 0 }]);
    assert_eq!(bench.link(0, true), [sent(1, 0)]);
    assert_eq!(bench.wait(999), []);
    assert_eq!(bench.wait(1), [failed(1, 0, Failure::Silent), Output::Reopen { member: 0 }]);
}

#[test]
fn all_that_a_hanging_member_was_sent_ends_together_and_after_its_own_tries() {
    let mut bench = bench();
    bench.link(0, true);
    (1..=100).for_each(|errand| assert_eq!(bench.send(errand, 0), [sent(errand, 0)]));
    assert_eq!(bench.wait(1000), [Output::Reopen { member: 0 }], "one connection for all of them");
    assert_eq!(bench.link(0, true).len(), 100);
    let mut ended: Vec<Output> = (1..=100).map(|errand| failed(errand, 0, Failure::Silent)).collect();
    ended.push(Output::Reopen { member: 0 });
    assert_eq!(bench.wait(1000), ended);
    assert_eq!((bench.wait(60_000), bench.courier.under_way()), (vec![], 0));
}

#[test]
fn what_was_just_said_over_a_connection_that_is_replaced_is_said_again_and_loses_no_try() {
    let mut bench = bench();
    bench.link(0, true);
    bench.send(1, 0);
    bench.wait(900);
    bench.send(2, 0);
    assert_eq!(bench.wait(100), [Output::Reopen { member: 0 }]);
    assert_eq!(bench.link(0, true), [sent(1, 0), sent(2, 0)]);
    assert_eq!(bench.wait(1000), [failed(1, 0, Failure::Silent), Output::Reopen { member: 0 }]);
    assert_eq!(bench.link(0, true), [sent(2, 0)]);
    assert_eq!(bench.wait(1000), [failed(2, 0, Failure::Silent), Output::Reopen { member: 0 }]);
}

#[test]
fn a_connection_over_which_something_was_heard_since_is_kept_and_only_what_is_not_answered_loses_a_try() {
    let mut bench = bench();
    bench.link(0, true);
    bench.send(1, 0);
    bench.wait(400);
    bench.send(2, 0);
    bench.wait(100);
    answer(&mut bench, 2, 0, &ack());
    bench.send(3, 0);
    assert_eq!(bench.wait(500), [sent(1, 0)], "again, over the same connection");
    assert_eq!(bench.wait(400), []);
    answer(&mut bench, 3, 0, &ack());
    assert_eq!(bench.wait(600), [failed(1, 0, Failure::Silent)]);
}

#[test]
fn with_one_try_a_silent_connection_is_replaced_all_the_same() {
    let mut bench = Bench { courier: Courier::new(Patience { tries: 1, ..Patience::default() }, 1), ..bench() };
    bench.link(0, true);
    bench.send(1, 0);
    assert_eq!(bench.wait(1000), [failed(1, 0, Failure::Silent), Output::Reopen { member: 0 }]);
    assert_eq!(bench.send(2, 0), []);
    assert_eq!(bench.link(0, true), [sent(2, 0)]);
}

#[test]
fn a_client_waits_for_a_connection_as_long_as_for_an_answer_and_a_member_no_longer_than_half_a_second() {
    for (patience, absent) in [
        (Patience::of_client(millis(30_000), 2), 30_000),
        (Patience::of(millis(30_000), 2), 500),
        (Patience::of(millis(200), 2), 200),
    ] {
        let mut bench = Bench { courier: Courier::new(patience, 1), ..bench() };
        bench.send(1, 0);
        assert_eq!(bench.wait(absent - 1), []);
        assert_eq!(bench.wait(1), [failed(1, 0, Failure::Absent)]);
    }
}

#[test]
fn a_lost_connection_is_a_lost_try_so_that_a_member_that_breaks_each_is_given_up() {
    let mut bench = bench();
    bench.link(0, true);
    bench.send(1, 0);
    assert_eq!(bench.link(0, false), []);
    assert_eq!(bench.link(0, true), [sent(1, 0)]);
    assert_eq!(bench.link(0, false), [failed(1, 0, Failure::Silent)]);
}

#[test]
fn an_answer_of_another_member_a_late_one_and_what_is_none_are_counted() {
    let mut bench = bench();
    bench.link(0, true);
    bench.link(1, true);
    bench.send(1, 0);
    assert_eq!(answer(&mut bench, 1, 1, &ack()), []);
    assert_eq!(answer(&mut bench, 9, 0, &ack()), []);
    for frames in [Frames::new(), Frames::from(["x", "", "y"]), Frames::from(["x"])] {
        assert_eq!(bench.handle(Input::Heard { member: 0, frames }), []);
    }
    assert_eq!((bench.courier.faults(), bench.courier.under_way()), (5, 1));
}

#[test]
fn errands_max_is_met_and_not_passed() {
    let patience = Patience { errands_max: 2, ..Patience::default() };
    let mut bench = Bench { courier: Courier::new(patience, 1), now: Instant::ZERO };
    assert_eq!((bench.send(1, 0), bench.send(2, 0)), (vec![], vec![]));
    assert_eq!(bench.send(3, 0), [failed(3, 0, Failure::Full)]);
}

#[test]
fn the_end_is_the_end_of_what_is_under_way() {
    let mut bench = bench();
    bench.send(1, 0);
    assert_eq!(bench.handle(Input::Shutdown), [failed(1, 0, Failure::Ended), Output::Finished]);
    assert_eq!((bench.send(2, 0), bench.courier.deadline()), (vec![], None));
}

#[test]
fn a_split_envelope_is_the_errands_number() {
    let frames = join(envelope(0x0102), &ack());
    assert_eq!(Request::split(frames).unwrap().envelope[0], &[0, 0, 0, 0, 0, 0, 1, 2][..]);
}
