//! Each rule of the multiplexer as a claim, with time as numbers.

use std::time::Duration;

use bytes::Bytes;
use protocol::mdp::client::{Part, encode_reply};
use protocol::mdp::{self, Dialect, FromPeer};

use super::*;
use crate::failed::Failed;
use crate::patience::Silence;

mod native;
mod timeouts;

struct World {
    multiplex: Multiplex,
    now: Instant,
    events: Vec<Event>,
}

impl World {
    fn new(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::new(Dialect::V02Delimited);
        change(&mut config);
        Self { multiplex: Multiplex::new(config), now: Instant::from_millis(1000), events: Vec::new() }
    }

    fn connected(change: impl FnOnce(&mut Config)) -> Self {
        let mut world = Self::new(change);
        assert_eq!(world.outputs(), [open()]);
        world.input(Input::Connected);
        world
    }

    /// One at a time, as for a broker that does not know envelopes.
    fn without_envelope() -> Self {
        Self::connected(|config| config.correlation = Correlation::OneAtATime)
    }

    fn input(&mut self, input: Input) -> Vec<Output> {
        self.multiplex.handle(self.now, input);
        self.outputs()
    }

    /// Everything but events, which are kept apart.
    fn outputs(&mut self) -> Vec<Output> {
        let mut outputs = Vec::new();
        while let Some(output) = self.multiplex.poll() {
            match output {
                Output::Event(event) => self.events.push(event),
                output => outputs.push(output),
            }
        }
        outputs
    }

    fn pass(&mut self, millis: u64) -> Vec<Output> {
        let end = self.now + Duration::from_millis(millis);
        let mut outputs = Vec::new();
        while let Some(deadline) = self.multiplex.deadline().filter(|deadline| *deadline <= end) {
            self.now = self.now.max(deadline);
            self.multiplex.tick(self.now);
            outputs.extend(self.outputs());
        }
        self.now = end;
        outputs
    }

    fn submit(&mut self, number: u64) -> Vec<Output> {
        self.input(Input::Submit {
            number: Number(number),
            service: "echo".parse().unwrap(),
            body: [number.to_string()].into(),
            patience: Patience::default(),
            terms: Terms::default(),
            id: None,
        })
    }

    fn reply(&mut self, envelope: Frames, part: Part, body: &'static str) -> Vec<Output> {
        let dialect = self.multiplex.config.speech.old().unwrap();
        let message = encode_reply(dialect, envelope, &"echo".parse().unwrap(), part, [body].into());
        self.input(Input::Message(message))
    }

    /// A reply as the broker sends it to this attempt of this request.
    fn answer(&mut self, number: u64, attempt: u8, body: &'static str) -> Vec<Output> {
        self.reply(Number(number).envelope(attempt), Part::Final, body)
    }
}

/// The requests that were sent, as number (from the body) and envelope.
fn sent(outputs: &[Output]) -> Vec<(String, Frames)> {
    outputs
        .iter()
        .filter_map(|output| match output {
            Output::Send(frames) => Some(frames.clone()),
            _ => None,
        })
        .map(|frames| match mdp::decode(frames) {
            Ok(FromPeer::Client(request)) => (String::from_utf8(request.body[0].to_vec()).unwrap(), request.envelope),
            other => panic!("not a request: {other:?}"),
        })
        .collect()
}

/// At home, under no name.
fn open() -> Output {
    Output::Open(Dial { endpoint: None, identity: Bytes::new() })
}

fn done(number: u64, body: &'static str) -> Output {
    Output::Done(Number(number), Ok([body].into()))
}

#[test]
fn a_request_travels_with_its_number_in_the_envelope() {
    let mut world = World::connected(|_| ());
    let number = Bytes::from_static(&[1, 0, 0, 0, 0, 0, 0, 7]);
    let request: Frames = ["", "MDPC02", "\x01", "echo", "7"].into();
    assert_eq!(world.submit(7), [Output::Send(std::iter::once(number).chain(request).collect())]);
}

#[test]
fn replies_find_their_requests_in_any_order() {
    let mut world = World::connected(|_| ());
    for number in 0..3 {
        world.submit(number);
    }
    assert_eq!(world.answer(1, 1, "b"), [done(1, "b")]);
    assert_eq!(world.answer(2, 1, "c"), [done(2, "c")]);
    assert_eq!(world.answer(0, 1, "a"), [done(0, "a")]);
    assert_eq!(world.multiplex.deadline(), None);
}

#[test]
fn requests_beyond_in_flight_max_wait_in_order_and_start_when_a_slot_is_free() {
    let mut world = World::connected(|config| config.in_flight_max = 2);
    for number in 0..4 {
        world.submit(number);
    }
    assert_eq!(world.multiplex.in_flight.len(), 2);
    let outputs = world.answer(1, 1, "b");
    assert_eq!(outputs[0], done(1, "b"));
    assert_eq!(sent(&outputs), [("2".to_owned(), Number(2).envelope(1))]);
}

#[test]
fn waiting_max_is_met_and_not_passed() {
    let mut world = World::connected(|config| (config.in_flight_max, config.waiting_max) = (1, 2));
    for number in 0..3 {
        world.submit(number);
    }
    assert_eq!(world.submit(3), [Output::Done(Number(3), Err(Failure::Full { max: 3 }))]);
    world.answer(0, 1, "a");
    assert_eq!(world.submit(4), []);
}

#[test]
fn a_retry_has_the_same_number_the_next_attempt_and_the_same_connection() {
    let mut world = World::connected(|_| ());
    world.submit(7);
    assert_eq!(world.pass(2499), []);
    let outputs = world.pass(1);
    assert_eq!(sent(&outputs), [("7".to_owned(), Number(7).envelope(2))]);
    assert_eq!(outputs.len(), 1);
}

#[test]
fn a_request_that_nobody_answers_ends_after_its_attempts() {
    let mut world = World::connected(|_| ());
    world.submit(7);
    let silence =
        Silence { attempts: 3, elapsed: Duration::from_millis(7500), connected: true, refused: false, mute: false };
    assert_eq!(world.pass(7500).last(), Some(&Output::Done(Number(7), Err(Failure::Silence(silence)))));
    assert_eq!(world.multiplex.deadline(), None);
}

#[test]
fn a_broker_that_was_never_there_is_said_to_be() {
    let mut world = World::new(|_| ());
    world.submit(7);
    let silence =
        Silence { attempts: 3, elapsed: Duration::from_millis(7500), connected: false, refused: false, mute: false };
    assert_eq!(world.pass(7500).last(), Some(&Output::Done(Number(7), Err(Failure::Silence(silence)))));
}

#[test]
fn a_late_answer_to_an_earlier_attempt_counts_and_the_second_one_is_dropped_and_reported() {
    let mut world = World::connected(|_| ());
    world.submit(7);
    world.pass(2500);
    assert_eq!(world.answer(7, 1, "answer"), [done(7, "answer")]);
    assert_eq!(world.answer(7, 2, "answer"), []);
    assert_eq!(world.events.last(), Some(&Event::Duplicate));
}

#[test]
fn after_a_reconnect_everything_in_flight_is_sent_again_in_order_and_nothing_else() {
    let mut world = World::connected(|_| ());
    for number in 0..3 {
        world.submit(number);
    }
    world.answer(1, 1, "b");
    assert_eq!(world.input(Input::Disconnected), [Output::Close]);
    assert_eq!(world.pass(100), [open()]);
    assert_eq!(world.submit(3), []);
    let sent: Vec<_> = sent(&world.input(Input::Connected)).into_iter().map(|(number, _)| number).collect();
    assert_eq!(sent, ["0", "2", "3"]);
    assert_eq!(world.events.last(), Some(&Event::Connected { resent: 2 }));
}

#[test]
fn reconnect_delays_grow_until_a_reply_comes() {
    let mut world = World::connected(|_| ());
    let mut delay = || {
        world.input(Input::Disconnected);
        let Some(Event::Lost { retry_in, .. }) = world.events.last().cloned() else { panic!("{:?}", world.events) };
        world.pass(5000);
        world.input(Input::Connected);
        retry_in
    };
    let delays = [delay(), delay(), delay()];
    assert!(delays[0] <= Duration::from_millis(100) && delays[2] >= Duration::from_millis(200), "{delays:?}");
}

#[test]
fn a_partial_hands_its_part_over_and_starts_the_timeout_anew() {
    let mut world = World::connected(|_| ());
    world.submit(7);
    for _ in 0..5 {
        assert_eq!(world.pass(2499), []);
        let outputs = world.reply(Number(7).envelope(1), Part::Partial, "part");
        assert_eq!(outputs, [Output::Part(Number(7), ["part"].into())]);
    }
    assert_eq!(world.answer(7, 1, "end"), [done(7, "end")]);
}

#[test]
fn parts_of_two_runs_are_never_mixed() {
    let mut world = World::connected(|_| ());
    world.submit(7);
    world.pass(2500);
    let part = |world: &mut World, attempt| world.reply(Number(7).envelope(attempt), Part::Partial, "part").len();
    assert_eq!(part(&mut world, 1), 1, "the first run is late, but the first to answer");
    assert_eq!(part(&mut world, 2), 0);
    assert_eq!(world.answer(7, 2, "end of the second run"), []);
    assert_eq!(world.answer(7, 1, "end"), [done(7, "end")]);
}

#[test]
fn a_stream_that_falls_silent_is_voided_before_the_next_attempt() {
    let mut world = World::connected(|_| ());
    world.submit(7);
    world.reply(Number(7).envelope(1), Part::Partial, "part");
    let outputs = world.pass(2500);
    assert_eq!(outputs[0], Output::Restarted(Number(7)));
    assert_eq!(sent(&outputs), [("7".to_owned(), Number(7).envelope(2))]);
    world.reply(Number(7).envelope(2), Part::Partial, "part");
    assert!(world.input(Input::Disconnected).contains(&Output::Restarted(Number(7))));
}

#[test]
fn what_comes_late_of_an_attempt_whose_parts_were_voided_is_not_taken_for_the_whole() {
    let mut world = World::connected(|_| ());
    world.submit(7);
    world.reply(Number(7).envelope(1), Part::Partial, "first part");
    world.pass(2500);
    assert_eq!(world.reply(Number(7).envelope(1), Part::Partial, "second part"), []);
    assert_eq!(world.answer(7, 1, "end"), []);
    assert_eq!(world.events.last(), Some(&Event::Duplicate));
    assert_eq!(world.answer(7, 2, "whole"), [done(7, "whole")]);
}

#[test]
fn what_comes_of_an_attempt_whose_first_part_was_dropped_is_not_taken_for_the_whole() {
    let mut world = World::connected(|_| ());
    world.submit(7);
    world.pass(2500);
    world.reply(Number(7).envelope(2), Part::Partial, "second run");
    assert_eq!(world.reply(Number(7).envelope(1), Part::Partial, "first run"), []);
    world.pass(2500);
    assert_eq!(world.answer(7, 1, "end of the first run"), []);
    assert_eq!(world.answer(7, 3, "whole"), [done(7, "whole")]);
}

#[test]
fn a_new_connection_forgets_which_attempts_had_a_hole() {
    let mut world = World::connected(|_| ());
    world.submit(7);
    world.reply(Number(7).envelope(1), Part::Partial, "part");
    world.input(Input::Disconnected);
    world.pass(100);
    world.input(Input::Connected);
    assert_eq!(world.answer(7, 1, "whole"), [done(7, "whole")]);
}

#[test]
fn a_forgotten_request_is_never_heard_of_again_and_frees_its_slot() {
    let mut world = World::connected(|config| config.in_flight_max = 1);
    for number in 0..3 {
        world.submit(number);
    }
    assert_eq!(world.input(Input::Forget(Number(1))), []);
    assert_eq!(sent(&world.input(Input::Forget(Number(0)))), [("2".to_owned(), Number(2).envelope(1))]);
    assert_eq!(world.answer(0, 1, "a"), []);
    assert_eq!(world.input(Input::Forget(Number(9))), []);
}

#[test]
fn what_cannot_be_meant_for_us_is_dropped_and_reported() {
    let mut world = World::connected(|_| ());
    world.submit(7);
    world.reply(["not ours"].into(), Part::Final, "x");
    assert_eq!(world.events.last(), Some(&Event::Duplicate));
    let other: ServiceName = "other".parse().unwrap();
    let frames = encode_reply(Dialect::V02Delimited, Number(7).envelope(1), &other, Part::Final, ["x"].into());
    assert_eq!(world.input(Input::Message(frames)), []);
    assert_eq!(world.events.last(), Some(&Event::WrongService));
    assert_eq!(world.input(Input::Message(["nonsense"].into())), []);
    assert!(matches!(world.events.last(), Some(Event::Fault(_))));
    assert_eq!(world.answer(7, 1, "answer"), [done(7, "answer")]);
}

#[test]
fn without_envelope_one_request_travels_at_a_time() {
    let mut world = World::without_envelope();
    assert_eq!(sent(&world.submit(0)), [("0".to_owned(), Frames::new())]);
    assert_eq!(world.submit(1), []);
    let outputs = world.reply(Frames::new(), Part::Final, "a");
    assert_eq!(outputs[0], done(0, "a"));
    assert_eq!(sent(&outputs), [("1".to_owned(), Frames::new())]);
}

#[test]
fn without_envelope_a_retry_and_a_forgotten_request_take_a_new_socket() {
    let mut world = World::without_envelope();
    world.submit(0);
    world.submit(1);
    assert_eq!(world.pass(2500), [Output::Close, open()]);
    assert_eq!(sent(&world.input(Input::Connected)), [("0".to_owned(), Frames::new())]);
    assert_eq!(world.input(Input::Forget(Number(0))), [Output::Close, open()]);
    assert_eq!(sent(&world.input(Input::Connected)), [("1".to_owned(), Frames::new())]);
    let outputs = world.pass(7500);
    assert!(outputs.iter().any(|output| matches!(output, Output::Done(Number(1), Err(_)))), "{outputs:?}");
    assert_eq!(outputs[outputs.len() - 2..], [Output::Close, open()]);
}

#[test]
fn a_shutdown_closes_and_nothing_follows() {
    let mut world = World::connected(|_| ());
    world.submit(7);
    assert_eq!(world.input(Input::Shutdown), [Output::Close, Output::Finished]);
    assert_eq!(world.submit(8), []);
    assert_eq!(world.multiplex.deadline(), None);
}

fn refused(number: u64, attempts: u32, millis: u64) -> Output {
    let elapsed = Duration::from_millis(millis);
    let silence = Silence { attempts, elapsed, connected: false, refused: true, mute: false };
    Output::Done(Number(number), Err(Failure::Silence(silence)))
}

#[test]
fn a_lasting_refusal_ends_what_is_in_flight_and_the_socket_is_tried_again_later() {
    let mut world = World::new(|config| config.in_flight_max = 2);
    world.submit(1);
    world.submit(2);
    let outputs = world.input(Input::Refused { is_lasting: true });
    assert_eq!(outputs, [Output::Close, refused(1, 1, 0), refused(2, 1, 0)]);
    assert_eq!(world.submit(3), []);
    assert_eq!(world.pass(1000), [open()]);
    assert_eq!(world.input(Input::Refused { is_lasting: true }), [Output::Close, refused(3, 1, 1000)]);
}

#[test]
fn a_broker_that_hangs_up_is_believed_by_requests_that_tried_before() {
    let mut world = World::new(|_| {});
    world.submit(1);
    assert!(!world.input(Input::Refused { is_lasting: false }).iter().any(|output| matches!(output, Output::Done(..))));
    world.pass(2500);
    world.submit(2);
    assert_eq!(world.input(Input::Refused { is_lasting: false }), [Output::Close, refused(1, 2, 2500)]);
    world.pass(1000);
    let sent = world.input(Input::Connected);
    assert_eq!(sent.len(), 1, "the second request is asked: {sent:?}");
}
