//! Each rule of MDP 0.3 for clients (docs/rfc/MDP-0.3.md, sections 5.1, 6 and 11) as a claim, with time as numbers.

use protocol::mdp::v03::options::Options;
use protocol::mdp::v03::{Drain, FromClient, Outcome, Status, ToClient, client};
use protocol::{Priority, RequestId};

use super::*;
use crate::speech::Speech;

pub(super) const SALT: u64 = 0x1122_3344_5566_7788;
const ME: &[u8] = b"me";

/// What the client said, in the order in which it did; all else is in the way.
pub(super) fn said(outputs: &[Output]) -> Vec<FromClient> {
    outputs
        .iter()
        .map(|output| match output {
            Output::Send(frames) => FromClient::decode(frames.clone()).expect("a message of 0.3"),
            other => panic!("not a message: {other:?}"),
        })
        .collect()
}

pub(super) fn id(number: u64, run: u8) -> RequestId {
    Number(number).id(run, SALT)
}

/// A request without terms, as [`World::submit`] makes them.
pub(super) fn request(number: u64, run: u8) -> FromClient {
    asked(number, run, Terms::default())
}

pub(super) fn asked(number: u64, run: u8, terms: Terms) -> FromClient {
    let service = "echo".parse().unwrap();
    FromClient::Request(client::Request { id: id(number, run), service, terms, body: [number.to_string()].into() })
}

pub(super) fn cancel(number: u64, run: u8) -> FromClient {
    FromClient::Cancel(id(number, run))
}

impl World {
    fn of(fall_back: Option<Dialect>, change: impl FnOnce(&mut Config)) -> Self {
        Self::new(|config| {
            config.speech = Speech::Native { fall_back };
            (config.salt, config.identity) = (SALT, Bytes::from_static(ME));
            change(config);
        })
    }

    /// Connected, and the broker has answered.
    pub(super) fn speaking(change: impl FnOnce(&mut Config)) -> Self {
        let mut world = Self::of(Some(Dialect::V02Delimited), change);
        assert_eq!(world.outputs(), [named()]);
        assert_eq!(said(&world.input(Input::Connected)), [FromClient::Heartbeat]);
        assert_eq!(world.say(ToClient::Heartbeat), []);
        assert_eq!(world.events, [Event::Connected { resent: 0 }, Event::Native]);
        world
    }

    pub(super) fn say(&mut self, message: ToClient) -> Vec<Output> {
        self.input(Input::Message(message.encode()))
    }

    pub(super) fn partial(&mut self, id: RequestId, part: u32, body: &'static str) -> Vec<Output> {
        self.say(ToClient::Partial { id, part, body: [body].into() })
    }

    pub(super) fn end(&mut self, id: RequestId, parts: u32, body: &'static str) -> Vec<Output> {
        self.say(ToClient::Final { id, outcome: Outcome { parts, ..Outcome::OK }, body: [body].into() })
    }

    fn fail(&mut self, id: RequestId, status: Status, options: Options) -> Vec<Output> {
        self.say(ToClient::Final { id, outcome: Outcome { parts: 0, status, options }, body: Frames::new() })
    }

    pub(super) fn submit_with(&mut self, number: u64, patience: Patience, terms: Terms) -> Vec<Output> {
        let service = "echo".parse().unwrap();
        let body = [number.to_string()].into();
        self.input(Input::Submit { number: Number(number), service, body, patience, terms, id: None })
    }

    /// The connection is lost, and there is another one: what is said on it.
    fn reconnect(&mut self) -> (Vec<Output>, Vec<FromClient>) {
        let lost = self.input(Input::Disconnected);
        assert_eq!(self.pass(1000), [named()]);
        let mut outputs = self.input(Input::Connected);
        outputs.extend(self.say(ToClient::Heartbeat));
        (lost, said(&outputs))
    }
}

/// At home, under our name.
fn named() -> Output {
    Output::Open(Dial { endpoint: None, identity: Bytes::from_static(ME) })
}

fn once() -> Terms {
    Terms { idempotency: Idempotency::Once, ..Terms::default() }
}

#[test]
fn a_connection_begins_with_a_heartbeat_and_requests_follow_once_it_is_answered() {
    let mut world = World::of(None, |_| ());
    world.submit(7);
    assert_eq!(world.outputs(), []);
    assert_eq!(said(&world.input(Input::Connected)), [FromClient::Heartbeat]);
    assert_eq!(world.submit(8), []);
    assert_eq!(said(&world.say(ToClient::Heartbeat)), [request(7, 1), request(8, 1)]);
    assert_eq!(said(&world.submit(9)), [request(9, 1)]);
}

#[test]
fn what_waits_for_a_connection_follows_in_portions_each_behind_an_answer_of_the_broker() {
    let mut world = World::of(None, |config| config.in_flight_max = 20_000);
    for number in 1..=17_000 {
        world.submit(number);
    }
    world.outputs();
    world.input(Input::Connected);
    let sent = said(&world.say(ToClient::Heartbeat));
    assert_eq!((sent.len(), &sent[8191], &sent[8192]), (8193, &request(8192, 1), &FromClient::Heartbeat));
    assert_eq!(world.submit(17_001), [], "it stands in line");
    assert_eq!(said(&world.input(Input::Forget(Number(9000)))), [cancel(9000, 1)]);
    assert_eq!(world.end(id(1, 1), 0, "a"), [done(1, "a")], "an answer says nothing of what was read since");
    let sent = said(&world.say(ToClient::Heartbeat));
    assert_eq!((sent.len(), &sent[8191]), (8193, &request(16_385, 1)));
    let sent = said(&world.say(ToClient::Heartbeat));
    assert_eq!((sent.len(), sent.last()), (616, Some(&request(17_001, 1))));
    assert_eq!(world.say(ToClient::Heartbeat), []);
    assert_eq!(said(&world.submit(17_002)), [request(17_002, 1)]);
    let (_, sent) = world.reconnect();
    assert_eq!(sent.len(), 8194, "another connection begins anew");
}

#[test]
fn large_requests_that_wait_for_a_connection_follow_in_smaller_portions() {
    let mut world = World::of(None, |_| ());
    for number in 1..=3 {
        let (service, body) = ("echo".parse().unwrap(), [vec![0; 3 << 20]].into());
        let (patience, terms) = (Patience::default(), Terms::default());
        world.input(Input::Submit { number: Number(number), service, body, patience, terms, id: None });
    }
    world.outputs();
    world.input(Input::Connected);
    assert_eq!(said(&world.say(ToClient::Heartbeat)).len(), 3, "two and a question");
    assert_eq!(said(&world.say(ToClient::Heartbeat)).len(), 1);
}

#[test]
fn an_id_is_the_clients_own_octets_and_the_number_and_answers_find_it_in_any_order() {
    let mut world = World::speaking(|_| ());
    assert_eq!(said(&world.submit(7)), [request(7, 1)]);
    assert_eq!(said(&world.submit(8)), [request(8, 1)]);
    assert_eq!(world.end(id(8, 1), 0, "b"), [done(8, "b")]);
    assert_eq!(world.end(id(7, 1), 0, "a"), [done(7, "a")]);
    assert_eq!(world.multiplex.deadline(), None, "an idle client wakes nobody");
}

#[test]
fn what_nobody_waits_for_is_dropped_and_counted() {
    let mut world = World::speaking(|_| ());
    world.submit(7);
    assert_eq!(world.end(RequestId([9; 16]), 0, "another client's"), []);
    assert_eq!(world.events.last(), Some(&Event::Duplicate));
    world.end(id(7, 1), 0, "a");
    assert_eq!(world.partial(id(7, 1), 0, "late"), []);
    assert_eq!(world.end(id(7, 1), 0, "again"), []);
    assert_eq!(world.input(Input::Message(["MDPC03\x63"].into())), []);
    assert!(matches!(world.events.last(), Some(Event::Fault(_))));
}

#[test]
fn parts_are_taken_in_order_and_the_end_when_all_of_them_came() {
    let mut world = World::speaking(|_| ());
    world.submit(7);
    assert_eq!(world.partial(id(7, 1), 0, "a"), [Output::Part(Number(7), ["a"].into())]);
    assert_eq!(world.partial(id(7, 1), 1, "b"), [Output::Part(Number(7), ["b"].into())]);
    assert_eq!(world.end(id(7, 1), 2, "c"), [done(7, "c")]);
}

#[test]
fn an_answer_with_a_hole_is_cancelled_and_asked_for_under_a_new_id() {
    for missing_at_the_end in [false, true] {
        let mut world = World::speaking(|_| ());
        world.submit(7);
        world.partial(id(7, 1), 0, "a");
        let outputs = if missing_at_the_end { world.end(id(7, 1), 2, "c") } else { world.partial(id(7, 1), 2, "c") };
        assert_eq!(outputs[1], Output::Restarted(Number(7)));
        assert_eq!(said(&[outputs[0].clone(), outputs[2].clone()]), [cancel(7, 1), request(7, 2)]);
        assert_eq!(world.events.last(), Some(&Event::Hole));
        assert_eq!(world.partial(id(7, 1), 1, "late"), []);
        assert_eq!(world.end(id(7, 2), 0, "whole"), [done(7, "whole")]);
    }
}

#[test]
fn an_answer_with_a_hole_is_an_error_after_the_last_attempt_or_when_it_may_not_run_twice() {
    for (patience, terms) in
        [(Patience { retries: 1, ..Patience::default() }, Terms::default()), (Patience::default(), once())]
    {
        let mut world = World::speaking(|_| ());
        world.submit_with(7, patience, terms);
        let outputs = world.end(id(7, 1), 1, "c");
        assert_eq!(said(&outputs[..1]), [cancel(7, 1)]);
        assert_eq!(outputs[1..], [Output::Done(Number(7), Err(Failure::Broken))]);
    }
}

#[test]
fn an_error_is_a_value_told_at_once_and_needs_no_count_of_parts() {
    let mut world = World::speaking(|_| ());
    world.submit(7);
    world.partial(id(7, 1), 0, "a");
    world.pass(1000);
    let options = Options::build().reason("no").retry_after(Duration::from_secs(1)).endpoints(["tcp://a:1"]);
    let outputs = world.fail(id(7, 1), Status::TOO_MANY, options.finish().unwrap());
    let failed = Failed {
        status: Status::TOO_MANY,
        reason: "no".to_owned(),
        retry_after: Some(Duration::from_secs(1)),
        endpoints: vec!["tcp://a:1".to_owned()],
        body: Frames::new(),
    };
    let failure = Failure::Status { failed, attempts: 1, elapsed: Duration::from_secs(1) };
    assert_eq!(outputs, [Output::Done(Number(7), Err(failure))]);
    assert_eq!((world.multiplex.in_flight(), world.multiplex.deadline()), (0, None));
}

#[test]
fn a_request_that_nobody_wants_any_more_is_cancelled_and_its_end_is_no_surprise() {
    let mut world = World::speaking(|config| config.in_flight_max = 1);
    world.submit(7);
    world.submit(8);
    let events = world.events.len();
    assert_eq!(said(&world.input(Input::Forget(Number(7)))), [cancel(7, 1), request(8, 1)]);
    assert_eq!(world.fail(id(7, 1), Status::CANCELLED, Options::none()), []);
    assert_eq!(world.events.len(), events);
    assert_eq!(world.input(Input::Forget(Number(7))), []);
    world.submit(9);
    assert_eq!(world.input(Input::Forget(Number(9))), [], "it was never sent");
}

#[test]
fn a_new_connection_repeats_what_is_under_way_under_the_same_ids() {
    let mut world = World::speaking(|_| ());
    world.submit(7);
    world.submit_with(8, Patience::default(), once());
    let (lost, said) = world.reconnect();
    assert_eq!(lost, [Output::Close]);
    assert_eq!(said, [FromClient::Heartbeat, request(7, 1), asked(8, 1, once())]);
    assert_eq!(world.end(id(7, 1), 0, "kept"), [done(7, "kept")]);
}

#[test]
fn a_stream_that_a_lost_connection_cut_is_asked_for_anew_and_one_that_runs_once_under_its_id() {
    let mut world = World::speaking(|_| ());
    world.submit(7);
    world.submit_with(8, Patience::default(), once());
    world.partial(id(7, 1), 0, "void");
    world.partial(id(8, 1), 0, "void");
    let (lost, said) = world.reconnect();
    assert_eq!(lost, [Output::Close, Output::Restarted(Number(7)), Output::Restarted(Number(8))]);
    assert_eq!(said, [FromClient::Heartbeat, cancel(7, 1), request(7, 2), asked(8, 1, once())]);
    assert_eq!(world.partial(id(7, 1), 1, "void"), []);
    assert_eq!(world.partial(id(7, 2), 0, "a"), [Output::Part(Number(7), ["a"].into())]);
}

#[test]
fn terms_travel_with_the_request_and_a_retry_says_what_is_left_of_the_deadline() {
    let mut world = World::speaking(|_| ());
    let passed_on = Options::build().trace("00-1-2-01", None).finish().unwrap();
    let priority = Priority::MAX;
    let left = |millis| {
        let deadline = Some(Duration::from_millis(millis));
        Terms { deadline, priority, idempotency: Idempotency::Repeatable, passed_on: passed_on.clone() }
    };
    assert_eq!(said(&world.submit_with(7, Patience::default(), left(4000))), [asked(7, 1, left(4000))]);
    assert_eq!(said(&world.pass(2500)), [FromClient::Heartbeat, asked(7, 1, left(1500))]);
    world.say(ToClient::Heartbeat);
    assert_eq!(world.pass(1499), []);
    let outputs = world.pass(1);
    assert_eq!(said(&outputs[..1]), [cancel(7, 1)]);
    let silence =
        Silence { attempts: 2, elapsed: Duration::from_secs(4), connected: true, refused: false, mute: false };
    assert_eq!(outputs[1..], [Output::Done(Number(7), Err(Failure::Silence(silence)))]);
}

#[test]
fn a_broker_that_does_not_answer_03_is_spoken_to_in_02_and_all_is_sent_again() {
    let mut world = World::of(Some(Dialect::V02Delimited), |_| ());
    world.outputs();
    world.input(Input::Connected);
    let patience = Patience { timeout: Duration::from_secs(10), ..Patience::default() };
    assert_eq!(world.submit_with(7, patience, Terms::default()), [], "one that is merely slow shall not run it twice");
    assert_eq!(world.pass(2499), []);
    assert_eq!(world.pass(1), [Output::Close, open()]);
    assert_eq!(world.events.last(), Some(&Event::FellBack(Dialect::V02Delimited)));
    assert_eq!(sent(&world.input(Input::Connected)), [("7".to_owned(), Number(7).envelope(1))]);
    assert_eq!(world.pass(9999), [], "it has all of its attempt's time again");
    assert_eq!(world.reply(Number(7).envelope(1), Part::Final, "answer"), [done(7, "answer")]);
    let (_, said) = world.reconnect();
    assert_eq!(said, [FromClient::Heartbeat], "brokers are upgraded");
}

#[test]
fn what_is_to_run_once_is_not_asked_for_in_a_dialect_that_cannot_say_so() {
    let mut world = World::of(Some(Dialect::V02Delimited), |_| ());
    world.outputs();
    world.input(Input::Connected);
    world.submit_with(7, Patience { timeout: Duration::from_secs(10), ..Patience::default() }, once());
    let refused = |number| Output::Done(Number(number), Err(Failure::NotNative));
    assert_eq!(world.pass(2500), [Output::Close, open(), refused(7)]);
    world.input(Input::Connected);
    assert_eq!(world.submit_with(8, Patience::default(), once()), [refused(8)]);
}

#[test]
fn a_broker_that_does_not_answer_03_is_left_and_that_is_told_where_nothing_else_is_allowed() {
    let mut world = World::of(None, |config| config.reconnect_first = Duration::from_millis(1));
    world.outputs();
    world.input(Input::Connected);
    world.submit(7);
    assert_eq!(world.pass(2501), [Output::Close, named()]);
    assert!(world.events.contains(&Event::Mute));
    assert_eq!(said(&world.input(Input::Connected)), [FromClient::Heartbeat]);
    let outputs = world.pass(5000);
    let mute = |output: &Output| matches!(output, Output::Done(_, Err(Failure::Silence(Silence { mute: true, .. }))));
    assert!(outputs.iter().any(mute), "{outputs:?}");
}

#[test]
fn any_word_of_03_is_an_answer_and_silence_is_then_no_reason_to_fall_back() {
    let mut world = World::of(Some(Dialect::V02Delimited), |_| ());
    world.outputs();
    world.input(Input::Connected);
    world.submit(7);
    world.end(id(7, 1), 0, "answer");
    assert_eq!(world.pass(60_000), []);
}

#[test]
fn who_waits_and_hears_nothing_asks_three_times_and_then_takes_the_connection_for_lost() {
    let mut world = World::speaking(|_| ());
    assert_eq!(world.pass(60_000), [], "nobody waits, nobody asks");
    let patience = Patience { timeout: Duration::from_secs(60), ..Patience::default() };
    world.submit_with(7, patience, Terms::default());
    assert_eq!(world.pass(2499), []);
    assert_eq!(said(&world.pass(1)), [FromClient::Heartbeat]);
    assert_eq!(world.say(ToClient::Heartbeat), []);
    assert_eq!(world.pass(2499), []);
    assert_eq!(said(&world.pass(1)), [FromClient::Heartbeat], "one answer, and the silence begins anew");
    assert_eq!(said(&world.pass(5000)), [FromClient::Heartbeat, FromClient::Heartbeat]);
    assert_eq!(world.pass(2499), []);
    assert_eq!(world.pass(1), [Output::Close]);
    assert!(world.events.contains(&Event::Silent));
    assert_eq!(world.pass(1000), [named()]);
    assert_eq!(said(&world.input(Input::Connected)), [FromClient::Heartbeat]);
    assert_eq!(said(&world.say(ToClient::Heartbeat)), [asked(7, 1, Terms::default())]);
}

#[test]
fn reconnect_delays_begin_anew_once_03_was_heard() {
    let mut world = World::speaking(|_| ());
    let delay = |world: &mut World, heard: bool| {
        world.input(Input::Disconnected);
        let Some(Event::Lost { retry_in, .. }) = world.events.last().cloned() else { panic!("{:?}", world.events) };
        world.pass(1000);
        world.input(Input::Connected);
        if heard {
            world.say(ToClient::Heartbeat);
        }
        retry_in
    };
    let first = Duration::from_millis(100);
    assert!(delay(&mut world, false) <= first);
    assert!(delay(&mut world, false) >= first);
    assert!(delay(&mut world, true) > first);
    assert!(delay(&mut world, true) <= first);
}

#[test]
fn one_at_a_time_needs_no_new_socket_where_answers_have_ids() {
    let mut world = World::speaking(|config| config.correlation = Correlation::OneAtATime);
    world.submit(7);
    assert_eq!(world.submit(8), []);
    assert_eq!(said(&world.input(Input::Forget(Number(7)))), [cancel(7, 1), request(8, 1)]);
    assert_eq!(world.end(id(7, 1), 0, "late"), []);
    assert_eq!(world.end(id(8, 1), 0, "b"), [done(8, "b")]);
}

const ELSEWHERE: &str = "tcp://b:2";

impl World {
    fn drain(&mut self, service: Option<&str>, endpoints: &[&str]) -> Vec<Output> {
        let options = Options::build().endpoints(endpoints.iter().copied()).finish().unwrap();
        let service = service.map(|service| service.parse().unwrap());
        self.say(ToClient::Drain(Drain { grace: Duration::from_secs(30), service, options }))
    }
}

fn there() -> Output {
    Output::Open(Dial { endpoint: Some(ELSEWHERE.to_owned()), identity: Bytes::from_static(ME) })
}

#[test]
fn a_broker_that_drains_keeps_its_requests_and_new_ones_go_where_it_says_and_we_may() {
    let mut world = World::speaking(|config| config.elsewhere = vec![ELSEWHERE.to_owned()]);
    world.submit(7);
    assert_eq!(world.drain(None, &["tcp://evil:1", ELSEWHERE]), []);
    assert_eq!(world.submit(8), []);
    assert_eq!(world.end(id(7, 1), 0, "a"), [done(7, "a"), Output::Close, there()]);
    assert_eq!(said(&world.input(Input::Connected)), [FromClient::Heartbeat]);
    assert_eq!(said(&world.say(ToClient::Heartbeat)), [request(8, 1)]);
    world.input(Input::Disconnected);
    assert_eq!(world.pass(1000), [named()], "home again");
}

#[test]
fn what_a_broker_that_drains_has_not_ended_when_its_time_is_over_is_taken_along() {
    let mut world = World::speaking(|config| config.elsewhere = vec![ELSEWHERE.to_owned()]);
    let patience = Patience { timeout: Duration::from_secs(60), ..Patience::default() };
    world.submit_with(7, patience, Terms::default());
    world.drain(None, &[ELSEWHERE]);
    for _ in 0..12 {
        world.pass(2499);
        world.say(ToClient::Heartbeat);
    }
    assert_eq!(world.pass(12), [Output::Close, there()]);
    assert_eq!(said(&world.input(Input::Connected)), [FromClient::Heartbeat]);
    assert_eq!(said(&world.say(ToClient::Heartbeat)), [request(7, 1)]);
}

#[test]
fn who_may_go_nowhere_else_goes_on_asking_a_broker_that_drains() {
    let mut world = World::speaking(|config| config.elsewhere = vec![ELSEWHERE.to_owned()]);
    world.drain(None, &["tcp://evil:1"]);
    assert!(matches!(world.events.last(), Some(Event::Draining { service: None, .. })));
    assert_eq!(said(&world.submit(7)), [request(7, 1)]);
    world.drain(Some("other"), &[ELSEWHERE]);
    assert_eq!(said(&world.submit(8)), [request(8, 1)], "another service drains, this one does not");
}

#[test]
fn a_place_that_refuses_us_is_left_for_home_and_nothing_ends_by_it() {
    let mut world = World::speaking(|config| config.elsewhere = vec![ELSEWHERE.to_owned()]);
    assert_eq!(world.drain(None, &[ELSEWHERE]), [Output::Close, there()]);
    world.submit(7);
    assert_eq!(world.input(Input::Refused { is_lasting: true }), [Output::Close]);
    assert_eq!(world.pass(1000), [named()]);
}

/// A request with an id that its caller chose.
fn submit_as(world: &mut World, number: u64, id: RequestId) -> Vec<Output> {
    let (service, body) = ("echo".parse().unwrap(), [number.to_string()].into());
    let (patience, terms) = (Patience::default(), Terms::default());
    world.input(Input::Submit { number: Number(number), service, body, patience, terms, id: Some(id) })
}

fn ids(outputs: &[Output]) -> Vec<RequestId> {
    let id = |said: FromClient| match said {
        FromClient::Request(request) => Some(request.id),
        FromClient::Cancel(id) => Some(id),
        FromClient::Heartbeat => None,
    };
    said(outputs).into_iter().filter_map(id).collect()
}

#[test]
fn a_chosen_id_goes_with_every_attempt_and_finds_its_request() {
    let mut world = World::speaking(|_| {});
    let chosen = RequestId([7; 16]);
    assert_eq!(ids(&submit_as(&mut world, 1, chosen)), [chosen]);
    let retried = world.pass(2500);
    assert_eq!(ids(&retried), [chosen]);
    let (_, said_again) = world.reconnect();
    assert!(said_again.iter().any(|said| matches!(said, FromClient::Request(request) if request.id == chosen)));
    assert_eq!(world.end(chosen, 0, "there"), [Output::Done(Number(1), Ok(["there"].into()))]);
    assert_eq!(ids(&submit_as(&mut world, 2, chosen)), [chosen], "it is free again");
}

#[test]
fn a_chosen_id_is_one_requests_at_a_time_and_is_cancelled_under_its_name() {
    let mut world = World::speaking(|_| {});
    let chosen = RequestId([7; 16]);
    submit_as(&mut world, 1, chosen);
    assert_eq!(submit_as(&mut world, 2, chosen), [Output::Done(Number(2), Err(Failure::IdInUse))]);
    assert_eq!(ids(&world.input(Input::Forget(Number(1)))), [chosen]);
    assert_eq!(ids(&submit_as(&mut world, 3, chosen)), [chosen]);
}
