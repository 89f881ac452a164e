//! The pirate in MDP 0.3 (docs/rfc/MDP-0.3.md, sections 5.1, 6 and 11), with time as numbers.

use protocol::RequestId;
use protocol::mdp::v03::options::Options;
use protocol::mdp::v03::{FromClient, Idempotency, Outcome, Status, ToClient, client};

use super::*;
use crate::patience::OnTimeout;

const SALT: u64 = 0x1122_3344_5566_7788;
const ME: &[u8] = b"me";

fn named() -> Output {
    Output::Open(Bytes::from_static(ME))
}

fn unnamed() -> Output {
    Output::Open(Bytes::new())
}

fn id(number: u64, run: u8) -> RequestId {
    Number(number).id(run, SALT)
}

fn asked(number: u64, run: u8, terms: Terms) -> FromClient {
    let service = "echo".parse().unwrap();
    FromClient::Request(client::Request { id: id(number, run), service, terms, body: ["question"].into() })
}

fn request(number: u64, run: u8) -> FromClient {
    asked(number, run, Terms::default())
}

fn once() -> Terms {
    Terms { idempotency: Idempotency::Once, ..Terms::default() }
}

/// What was said; all else is in the way.
fn said(outputs: &[Output]) -> Vec<FromClient> {
    outputs
        .iter()
        .map(|output| match output {
            Output::Send(frames) => FromClient::decode(frames.clone()).expect("a message of 0.3"),
            other => panic!("not a message: {other:?}"),
        })
        .collect()
}

impl World {
    fn of(fall_back: Option<Dialect>) -> Self {
        let pirate = Pirate::new(Speech::Native { fall_back }).known_by(SALT, Bytes::from_static(ME));
        Self { pirate, now: Instant::from_millis(1000) }
    }

    fn ask_with(&mut self, patience: Patience, terms: Terms) -> Vec<Output> {
        self.input(Input::Request { service: "echo".parse().unwrap(), body: ["question"].into(), patience, terms })
    }

    /// A request is on its way to a broker that has answered.
    fn speaking(patience: Patience, terms: Terms) -> Self {
        let mut world = Self::of(Some(Dialect::V02));
        assert_eq!(world.ask_with(patience, terms.clone()), [named()]);
        let sent = said(&world.input(Input::Connected));
        assert_eq!(sent, [FromClient::Heartbeat, asked(1, 1, terms)]);
        assert_eq!(world.say(ToClient::Heartbeat), []);
        world
    }

    fn say(&mut self, message: ToClient) -> Vec<Output> {
        self.input(Input::Message(message.encode()))
    }

    fn partial(&mut self, id: RequestId, part: u32) -> Vec<Output> {
        self.say(ToClient::Partial { id, part, body: ["part"].into() })
    }

    fn end(&mut self, id: RequestId, parts: u32) -> Vec<Output> {
        self.say(ToClient::Final { id, outcome: Outcome { parts, ..Outcome::OK }, body: ["answer"].into() })
    }
}

#[test]
fn a_retry_takes_a_new_socket_and_keeps_name_and_id() {
    let mut world = World::speaking(Patience::default(), Terms::default());
    assert_eq!(world.pass(2499), []);
    assert_eq!(world.pass(1), [Output::Send(crate::speech::heartbeat()), Output::Close, named()]);
    assert_eq!(said(&world.input(Input::Connected)), [FromClient::Heartbeat, request(1, 1)]);
    assert_eq!(world.end(id(1, 1), 0), [answer("answer")]);
    assert_eq!(said(&world.ask("question")), [request(2, 1)], "the socket is kept");
}

#[test]
fn a_resend_asks_anew_and_cancels_what_was_asked_before() {
    let patience = Patience { on_timeout: OnTimeout::Resend, ..Patience::default() };
    let mut world = World::speaking(patience, Terms::default());
    world.pass(2500);
    let sent = said(&world.input(Input::Connected));
    assert_eq!(sent, [FromClient::Heartbeat, FromClient::Cancel(id(1, 1)), request(1, 2)]);
    assert_eq!(world.end(id(1, 1), 0), []);
    assert_eq!(world.end(id(1, 2), 0), [answer("answer")]);
}

#[test]
fn abort_and_backoff_hold_for_a_pirate_too() {
    let with = |on_timeout| World::speaking(Patience { on_timeout, ..Patience::default() }, Terms::default());
    let aborted = with(OnTimeout::Abort).pass(2500);
    assert!(matches!(aborted.last(), Some(Output::Done(Err(Failure::Silence(Silence { attempts: 1, .. }))))));
    let mut world = with(OnTimeout::Backoff { ceiling: Duration::from_secs(4) });
    world.pass(2500);
    assert_eq!(world.pass(3999), []);
    assert_eq!(world.pass(1), [Output::Close, named()]);
}

#[test]
fn an_error_is_told_at_once_and_the_socket_is_kept() {
    let mut world = World::speaking(Patience::default(), Terms::default());
    world.pass(100);
    let options = Options::build().reason("no").finish().unwrap();
    let outcome = Outcome { parts: 0, status: Status::FORBIDDEN, options };
    let outputs = world.say(ToClient::Final { id: id(1, 1), outcome, body: Frames::new() });
    let [Output::Done(Err(Failure::Status { failed, attempts: 1, elapsed }))] = &outputs[..] else {
        panic!("{outputs:?}")
    };
    assert_eq!((failed.status, failed.reason.as_str()), (Status::FORBIDDEN, "no"));
    assert_eq!(*elapsed, Duration::from_millis(100));
    assert_eq!(said(&world.ask("question")), [request(2, 1)]);
}

#[test]
fn parts_are_counted_and_an_answer_with_a_hole_is_asked_for_anew() {
    let mut world = World::speaking(Patience::default(), Terms::default());
    assert_eq!(world.partial(id(1, 1), 0), [Output::Part(["part"].into())]);
    assert_eq!(world.partial(id(1, 1), 2), [Output::Close, Output::Restarted, named()]);
    let sent = said(&world.input(Input::Connected));
    assert_eq!(sent, [FromClient::Heartbeat, FromClient::Cancel(id(1, 1)), request(1, 2)]);
    assert_eq!(world.end(id(1, 2), 0), [answer("answer")]);
    let mut world = World::speaking(Patience::default(), once());
    let outputs = world.end(id(1, 1), 3);
    assert_eq!(said(&outputs[..1]), [FromClient::Cancel(id(1, 1))]);
    assert_eq!(outputs[1..], [Output::Done(Err(Failure::Broken))]);
}

#[test]
fn a_request_that_was_given_up_is_cancelled_by_the_next_one_on_the_same_socket() {
    let mut world = World::speaking(Patience::default(), Terms::default());
    assert_eq!(said(&world.ask("question")), [FromClient::Cancel(id(1, 1)), request(2, 1)]);
    assert_eq!(world.end(id(1, 1), 0), []);
    assert_eq!(world.end(id(2, 1), 0), [answer("answer")]);
}

#[test]
fn a_broker_that_does_not_answer_03_in_an_attempt_is_spoken_to_in_02_by_the_next() {
    for timeout_ms in [300, 2500, 10_000] {
        let mut world = World::of(Some(Dialect::V02));
        let patience = Patience { timeout: Duration::from_millis(timeout_ms), ..Patience::default() };
        world.ask_with(patience, Terms::default());
        world.input(Input::Connected);
        let silent = timeout_ms.min(2500);
        assert_eq!(world.pass(silent - 1), []);
        assert_eq!(world.pass(1), [Output::Close, unnamed()], "{timeout_ms}");
        assert_eq!(world.input(Input::Connected), [question()]);
        assert_eq!(world.reply(Part::Final, "answer"), [answer("answer")]);
        assert_eq!(world.ask("question"), [question()], "as long as the connection stands");
        world.input(Input::Disconnected);
        assert_eq!(world.pass(100), [named()], "brokers are upgraded");
    }
}

#[test]
fn what_is_to_run_once_waits_for_03_and_is_not_asked_for_without() {
    let mut world = World::of(Some(Dialect::V02));
    let patience = Patience { timeout: Duration::from_millis(1000), ..Patience::default() };
    world.ask_with(patience, once());
    world.input(Input::Connected);
    assert_eq!(world.pass(1000), [Output::Close, named()], "a second is too short to tell");
    let mut world = World::of(Some(Dialect::V02));
    world.ask_with(Patience { timeout: Duration::from_secs(10), ..patience }, once());
    world.input(Input::Connected);
    assert_eq!(world.pass(2500), [Output::Close, Output::Done(Err(Failure::NotNative))]);
}

#[test]
fn a_broker_that_does_not_answer_03_is_named_so_where_nothing_else_is_allowed() {
    let mut world = World::of(None);
    world.ask_with(Patience { retries: 1, ..Patience::default() }, Terms::default());
    world.input(Input::Connected);
    let outputs = world.pass(2500);
    let silence =
        Silence { attempts: 1, elapsed: Duration::from_millis(2500), connected: true, refused: false, mute: true };
    assert_eq!(outputs.last(), Some(&Output::Done(Err(Failure::Silence(silence)))));
}

#[test]
fn a_pirate_without_a_request_judges_nobody_however_long_it_was_left_alone() {
    let mut world = World::speaking(Patience::default(), Terms::default());
    world.end(id(1, 1), 0);
    assert_eq!(world.pirate.deadline(), None);
    world.now = world.now + Duration::from_secs(1000);
    world.pirate.tick(world.now);
    assert_eq!(said(&world.ask("question")), [request(2, 1)]);
}
