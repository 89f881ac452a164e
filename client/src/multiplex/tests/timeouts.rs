//! The six modes of timeouts, each with time as numbers.

use protocol::mdp::v03::{FromClient, ToClient};

use super::native::{asked, cancel, id, request, said};
use super::*;
use crate::patience::OnTimeout;

/// A request in each mode, with the defaults else, and another one that is under way beside it.
fn begun(on_timeout: OnTimeout) -> World {
    let mut world = World::speaking(|_| ());
    let slow = Patience { timeout: Duration::from_secs(100), ..Patience::default() };
    world.submit_with(1, slow, Terms::default());
    world.submit_with(7, Patience { on_timeout, ..Patience::default() }, Terms::default());
    world
}

impl World {
    /// Lets time pass beside a broker that says, whenever it is asked, that it is there. What else was said.
    fn pass_alive(&mut self, millis: u64) -> Vec<Output> {
        let mut outputs = Vec::new();
        let mut passed = 0;
        while passed < millis {
            let step = (millis - passed).min(500);
            outputs.extend(self.pass(step));
            self.say(ToClient::Heartbeat);
            passed += step;
        }
        outputs
    }
}

fn silence(attempts: u32, millis: u64) -> Output {
    let elapsed = Duration::from_millis(millis);
    let silence = Silence { attempts, elapsed, connected: true, refused: false, mute: false };
    Output::Done(Number(7), Err(Failure::Silence(silence)))
}

#[test]
fn abort_ends_the_request_at_its_first_timeout_and_cancels_it() {
    let mut world = begun(OnTimeout::Abort);
    assert_eq!(world.pass_alive(2499), []);
    let outputs = world.pass(1);
    assert_eq!(said(&outputs[..1]), [cancel(7, 1)]);
    assert_eq!(outputs[1..], [silence(1, 2500)]);
}

#[test]
fn retry_sends_the_same_request_again_and_others_go_on() {
    let mut world = begun(OnTimeout::Retry);
    assert_eq!(said(&world.pass_alive(2500)), [request(7, 1)]);
    assert_eq!(said(&world.submit(8)), [request(8, 1)]);
    world.end(id(8, 1), 0, "b");
    assert_eq!(said(&world.pass_alive(2500)), [request(7, 1)]);
    let outputs = world.pass_alive(2500);
    assert_eq!(said(&outputs[..1]), [cancel(7, 1)]);
    assert_eq!(outputs[1..], [silence(3, 7500)]);
}

#[test]
fn a_stream_that_pauses_is_retried_and_goes_on_where_it_was() {
    let mut world = begun(OnTimeout::Retry);
    world.partial(id(7, 1), 0, "a");
    assert_eq!(said(&world.pass_alive(2500)), [request(7, 1)]);
    assert_eq!(world.partial(id(7, 1), 1, "b"), [Output::Part(Number(7), ["b"].into())]);
    assert_eq!(world.end(id(7, 1), 2, "c"), [done(7, "c")]);
}

#[test]
fn retry_blocked_begins_no_other_request_until_the_one_that_timed_out_has_ended() {
    let mut world = begun(OnTimeout::RetryBlocked);
    assert_eq!(said(&world.submit(8)), [request(8, 1)], "nothing has timed out yet");
    world.end(id(8, 1), 0, "b");
    assert_eq!(said(&world.pass_alive(2500)), [request(7, 1)]);
    assert_eq!(world.submit(9), []);
    assert_eq!(world.end(id(1, 1), 0, "under way before"), [done(1, "under way before")]);
    let outputs = world.end(id(7, 1), 0, "at last");
    assert_eq!(outputs[0], done(7, "at last"));
    assert_eq!(said(&outputs[1..]), [request(9, 1)]);
}

#[test]
fn a_blocking_request_that_is_given_up_or_forgotten_lets_the_others_go() {
    for forgets in [false, true] {
        let mut world = begun(OnTimeout::RetryBlocked);
        world.pass_alive(2500);
        world.submit(9);
        let outputs = if forgets { world.input(Input::Forget(Number(7))) } else { world.pass_alive(5000) };
        let last = outputs.last().cloned().unwrap();
        assert_eq!(said(&[last]), [request(9, 1)]);
    }
}

#[test]
fn waiting_max_holds_for_requests_that_another_one_blocks() {
    let mut world = begun(OnTimeout::RetryBlocked);
    world.multiplex.config.waiting_max = 2;
    world.pass_alive(2500);
    assert_eq!([world.submit(9), world.submit(10)], [vec![], vec![]]);
    assert_eq!(world.submit(11), [Output::Done(Number(11), Err(Failure::Full { max: 1026 }))]);
}

#[test]
fn resend_cancels_the_request_and_asks_anew_under_another_id() {
    let mut world = begun(OnTimeout::Resend);
    world.partial(id(7, 1), 0, "void");
    let outputs = world.pass_alive(2500);
    assert_eq!(outputs[1], Output::Restarted(Number(7)));
    assert_eq!(said(&[outputs[0].clone(), outputs[2].clone()]), [cancel(7, 1), request(7, 2)]);
    assert_eq!(said(&world.submit(8)), [request(8, 1)]);
    world.end(id(8, 1), 0, "b");
    assert_eq!(world.end(id(7, 1), 1, "of the first run"), []);
    assert_eq!(said(&world.pass_alive(2500)), [cancel(7, 2), request(7, 3)]);
    assert_eq!(world.end(id(7, 3), 0, "answer"), [done(7, "answer")]);
}

#[test]
fn resend_blocked_asks_anew_and_begins_no_other_request() {
    let mut world = begun(OnTimeout::ResendBlocked);
    assert_eq!(said(&world.pass_alive(2500)), [cancel(7, 1), request(7, 2)]);
    assert_eq!(world.submit(9), []);
    let outputs = world.end(id(7, 2), 0, "at last");
    assert_eq!(said(&outputs[1..]), [request(9, 1)]);
}

#[test]
fn backoff_doubles_the_timeout_of_each_attempt_up_to_its_ceiling() {
    let mut world = World::speaking(|_| ());
    let on_timeout = OnTimeout::Backoff { ceiling: Duration::from_secs(8) };
    world.submit_with(7, Patience { retries: 4, on_timeout, ..Patience::default() }, Terms::default());
    let again = |world: &mut World, millis: u64| {
        assert_eq!(world.pass_alive(millis - 1), []);
        said(&world.pass(1))
    };
    assert_eq!(again(&mut world, 2500), [request(7, 1)]);
    assert_eq!(again(&mut world, 5000), [request(7, 1)]);
    assert_eq!(again(&mut world, 8000), [request(7, 1)]);
    assert_eq!(world.pass_alive(7999), []);
    assert_eq!(world.pass(1).last(), Some(&silence(4, 23_500)));
}

#[test]
fn in_02_every_mode_but_abort_and_backoff_makes_another_run() {
    for (on_timeout, attempts) in [(OnTimeout::Abort, 0), (OnTimeout::Retry, 2), (OnTimeout::ResendBlocked, 2)] {
        let mut world = World::connected(|_| ());
        world.submit_with(7, Patience { on_timeout, ..Patience::default() }, Terms::default());
        let envelopes: Vec<_> = sent(&world.pass(7500)).into_iter().map(|(_, envelope)| envelope).collect();
        let expected: Vec<_> = (2..2 + attempts).map(|attempt| Number(7).envelope(attempt)).collect();
        assert_eq!(envelopes, expected, "{on_timeout:?}");
    }
}

#[test]
fn a_deadline_ends_a_request_in_every_dialect() {
    let mut world = World::connected(|_| ());
    let deadline = Some(Duration::from_millis(3000));
    world.submit_with(7, Patience::default(), Terms { deadline, ..Terms::default() });
    let outputs = world.pass(3000);
    assert_eq!(outputs.last(), Some(&silence(2, 3000)));
}

#[test]
fn a_request_says_how_long_its_patience_has_left_when_it_is_told_to() {
    let mut world = World::speaking(|_| ());
    let terms = |millis| Terms { deadline: Some(Duration::from_millis(millis)), ..Terms::default() };
    let patience = Patience::default();
    let first = terms(u64::try_from(patience.total().as_millis()).unwrap());
    assert_eq!(said(&world.submit_with(7, patience, first.clone())), [asked(7, 1, first)]);
    let again: Vec<FromClient> = said(&world.pass_alive(5000));
    assert_eq!(again, [asked(7, 1, terms(5000)), asked(7, 1, terms(2500))]);
}
