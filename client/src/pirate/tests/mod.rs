//! Each rule of the pirate as a claim, with time as numbers.

use protocol::mdp::Dialect;
use protocol::mdp::client::encode_reply;

use super::*;

mod native;

struct World {
    pirate: Pirate,
    now: Instant,
}

impl World {
    fn new() -> Self {
        Self { pirate: Pirate::new(Dialect::V02), now: Instant::from_millis(1000) }
    }

    /// A pirate with a connection and a request on its way.
    fn asked() -> Self {
        let mut world = Self::new();
        world.ask("question");
        world.input(Input::Connected);
        world
    }

    fn input(&mut self, input: Input) -> Vec<Output> {
        self.pirate.handle(self.now, input);
        self.outputs()
    }

    fn outputs(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.pirate.poll()).filter(|output| !matches!(output, Output::Event(_))).collect()
    }

    fn pass(&mut self, millis: u64) -> Vec<Output> {
        let end = self.now + Duration::from_millis(millis);
        let mut outputs = Vec::new();
        while let Some(deadline) = self.pirate.deadline().filter(|deadline| *deadline <= end) {
            self.now = self.now.max(deadline);
            self.pirate.tick(self.now);
            outputs.extend(self.outputs());
        }
        self.now = end;
        outputs
    }

    fn ask(&mut self, body: &'static str) -> Vec<Output> {
        let patience = Patience::default();
        self.input(Input::Request {
            service: "echo".parse().unwrap(),
            body: [body].into(),
            patience,
            terms: Terms::default(),
        })
    }

    fn reply(&mut self, part: Part, body: &'static str) -> Vec<Output> {
        self.input(Input::Message(encode_reply(
            Dialect::V02,
            Frames::new(),
            &"echo".parse().unwrap(),
            part,
            [body].into(),
        )))
    }
}

fn question() -> Output {
    Output::Send(["MDPC02", "\x01", "echo", "question"].into())
}

fn answer(body: &'static str) -> Output {
    Output::Done(Ok([body].into()))
}

#[test]
fn a_request_opens_a_socket_is_sent_once_connected_and_ends_with_its_reply() {
    let mut world = World::new();
    assert_eq!(world.ask("question"), [Output::Open(Bytes::new())]);
    assert_eq!(world.input(Input::Connected), [question()]);
    assert_eq!(world.reply(Part::Final, "answer"), [answer("answer")]);
    assert_eq!(world.pirate.deadline(), None);
}

#[test]
fn the_socket_is_kept_for_the_next_request() {
    let mut world = World::asked();
    world.reply(Part::Final, "answer");
    assert_eq!(world.ask("question"), [question()]);
}

#[test]
fn each_timeout_closes_the_socket_and_sends_the_same_request_on_a_new_one() {
    let mut world = World::asked();
    for _ in 0..2 {
        assert_eq!(world.pass(2499), []);
        assert_eq!(world.pass(1), [Output::Close, Output::Open(Bytes::new())]);
        assert_eq!(world.input(Input::Connected), [question()]);
    }
    let silence =
        Silence { attempts: 3, elapsed: Duration::from_millis(7500), connected: true, refused: false, mute: false };
    assert_eq!(world.pass(2500), [Output::Close, Output::Done(Err(Failure::Silence(silence)))]);
    assert_eq!(world.pirate.deadline(), None);
}

#[test]
fn a_broker_that_was_never_there_is_said_to_be() {
    let mut world = World::new();
    world.ask("question");
    let outputs = world.pass(10_000);
    let silence =
        Silence { attempts: 3, elapsed: Duration::from_millis(7500), connected: false, refused: false, mute: false };
    assert_eq!(outputs.last(), Some(&Output::Done(Err(Failure::Silence(silence)))));
    assert_eq!(outputs.iter().filter(|output| **output == Output::Open(Bytes::new())).count(), 2);
}

#[test]
fn the_attempts_of_the_next_request_are_counted_from_one() {
    let mut world = World::asked();
    world.pass(5000);
    world.input(Input::Connected);
    world.reply(Part::Final, "answer");
    world.ask("question");
    assert_eq!(world.pass(2500), [Output::Close, Output::Open(Bytes::new())]);
    assert_eq!(world.pass(2500), [Output::Close, Output::Open(Bytes::new())]);
}

#[test]
fn a_partial_starts_the_timeout_anew_and_hands_its_part_over() {
    let mut world = World::asked();
    for _ in 0..5 {
        assert_eq!(world.pass(2499), []);
        assert_eq!(world.reply(Part::Partial, "part"), [Output::Part(["part"].into())]);
    }
    assert_eq!(world.reply(Part::Final, "end"), [answer("end")]);
}

#[test]
fn a_stream_that_falls_silent_is_voided_before_the_request_is_sent_again() {
    let mut world = World::asked();
    world.reply(Part::Partial, "part");
    assert_eq!(world.pass(2500), [Output::Close, Output::Restarted, Output::Open(Bytes::new())]);
}

#[test]
fn a_lost_connection_is_replaced_after_a_pause_within_the_same_attempt() {
    let mut world = World::asked();
    world.pass(1000);
    assert_eq!(world.input(Input::Disconnected), [Output::Close]);
    assert_eq!(world.pass(99), []);
    assert_eq!(world.pass(1), [Output::Open(Bytes::new())]);
    assert_eq!(world.input(Input::Connected), [question()]);
    assert_eq!(world.pass(1399), []);
    assert_eq!(
        world.pass(1),
        [Output::Close, Output::Open(Bytes::new())],
        "the first attempt ends 2500 ms after it began"
    );
}

#[test]
fn a_reply_of_another_service_or_without_sense_is_dropped() {
    let mut world = World::asked();
    let other = encode_reply(Dialect::V02, Frames::new(), &"other".parse().unwrap(), Part::Final, ["no"].into());
    assert_eq!(world.input(Input::Message(other)), []);
    assert_eq!(world.input(Input::Message(["nonsense"].into())), []);
    assert_eq!(world.reply(Part::Final, "answer"), [answer("answer")]);
}

#[test]
fn a_request_that_was_given_up_takes_its_socket_with_it_so_that_its_reply_answers_nobody() {
    let mut world = World::asked();
    assert_eq!(world.ask("next"), [Output::Close, Output::Open(Bytes::new())]);
    assert_eq!(world.reply(Part::Final, "answer to the first"), []);
}

#[test]
fn a_second_reply_to_an_answered_request_is_dropped_and_reported() {
    let mut world = World::asked();
    world.reply(Part::Final, "answer");
    let again =
        encode_reply(Dialect::V02, Frames::new(), &"echo".parse().unwrap(), Part::Final, Frames::from(["answer"]));
    world.pirate.handle(world.now, Input::Message(again));
    assert_eq!(world.pirate.poll(), Some(Output::Event(Event::Duplicate)));
}

#[test]
fn a_request_without_body_travels_as_one_empty_frame() {
    let mut world = World::new();
    let request = Input::Request {
        service: "echo".parse().unwrap(),
        body: Frames::new(),
        patience: Patience::default(),
        terms: Terms::default(),
    };
    world.input(request);
    assert_eq!(world.input(Input::Connected), [Output::Send(["MDPC02", "\x01", "echo", ""].into())]);
}

fn refused(attempts: u32, millis: u64) -> Output {
    let elapsed = Duration::from_millis(millis);
    Output::Done(Err(Failure::Silence(Silence { attempts, elapsed, connected: false, refused: true, mute: false })))
}

#[test]
fn a_lasting_refusal_ends_the_request_at_once_and_the_next_one_tries_again() {
    let mut world = World::new();
    world.ask("question");
    assert_eq!(world.input(Input::Refused { is_lasting: true }), [Output::Close, refused(1, 0)]);
    assert_eq!(world.ask("question"), [Output::Open(Bytes::new())]);
}

#[test]
fn a_broker_that_hangs_up_is_believed_when_a_second_attempt_meets_it_again() {
    let mut world = World::new();
    world.ask("question");
    assert_eq!(world.input(Input::Refused { is_lasting: false }), []);
    assert_eq!(world.pass(2500), [Output::Close, Output::Open(Bytes::new())]);
    assert_eq!(world.input(Input::Refused { is_lasting: false }), [Output::Close, refused(2, 2500)]);
}

#[test]
fn a_broker_that_hangs_up_once_and_then_lets_in_is_asked() {
    let mut world = World::new();
    world.ask("question");
    world.input(Input::Refused { is_lasting: false });
    assert_eq!(world.input(Input::Connected), [question()]);
}

#[test]
fn a_refusal_without_a_request_is_nobodys() {
    let mut world = World::new();
    world.ask("question");
    world.input(Input::Refused { is_lasting: true });
    assert_eq!(world.input(Input::Refused { is_lasting: true }), []);
}
