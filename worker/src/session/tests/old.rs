//! Each rule of a session in an old dialect as a claim, with time as numbers.

use protocol::mdp::worker::{FromWorker, ToWorker};
use protocol::mdp::{self, Dialect, FromPeer};

use super::*;
use crate::session::work::SURPLUS_MAX;

impl World {
    /// A session in MDP 0.2, unless `change` says otherwise.
    fn old(change: impl FnOnce(&mut Config)) -> Self {
        Self::new(|config| {
            config.speech = Speech::Old(Dialect::V02);
            change(config);
        })
    }

    /// One that has said READY; its outputs so far are taken.
    fn registered(change: impl FnOnce(&mut Config)) -> Self {
        let mut world = Self::old(change);
        world.input(Input::Connected);
        world
    }

    fn broker_says(&mut self, command: ToWorker) -> Vec<Output> {
        let Speech::Old(dialect) = self.session.speech else { panic!("not an old dialect") };
        self.input(Input::Message(command.encode(dialect)))
    }

    /// A request of `client`; the job's number, if the handler is to run at once.
    fn request(&mut self, client: &'static str) -> Option<JobId> {
        let request = ToWorker::Request { address: Bytes::from(client), body: Frames::from([client]) };
        begun(&self.broker_says(request))
    }
}

/// What was sent, as the broker decodes it.
fn sent(outputs: &[Output]) -> Vec<FromWorker> {
    outputs
        .iter()
        .filter_map(|output| match output {
            Output::Send(frames) => Some(frames.clone()),
            _ => None,
        })
        .map(|frames| match mdp::decode(frames) {
            Ok(FromPeer::Worker(_, command)) => command,
            other => panic!("not a worker's command: {other:?}"),
        })
        .collect()
}

fn reply_to(client: &'static str, part: Part, body: &'static str) -> FromWorker {
    FromWorker::Reply { address: Bytes::from(client), part, body: Frames::from([body]) }
}

#[test]
fn ready_is_sent_once_a_connection_and_names_the_service() {
    let mut world = World::old(|_| ());
    assert_eq!(world.outputs(), [Output::Open(Place::Home)]);
    let ready = FromWorker::Ready { service: "echo".parse().unwrap(), credit: 1 };
    assert_eq!(sent(&world.input(Input::Connected)), [ready]);
    assert_eq!(sent(&world.input(Input::Connected)), []);
}

#[test]
fn ready_has_the_bytes_of_its_dialect() {
    let ready = |dialect| {
        let mut world = World::old(|config| config.speech = Speech::Old(dialect));
        world.input(Input::Connected).into_iter().find_map(|output| match output {
            Output::Send(frames) => Some(frames),
            _ => None,
        })
    };
    assert_eq!(ready(Dialect::V01), Some(Frames::from(["", "MDPW01", "\x01", "echo"])));
    assert_eq!(ready(Dialect::V02), Some(Frames::from(["MDPW02", "\x01", "echo"])));
    assert_eq!(ready(Dialect::V02Delimited), Some(Frames::from(["", "MDPW02", "\x01", "echo"])));
}

#[test]
fn a_socket_that_fails_to_connect_is_left_to_try_by_itself() {
    let mut world = World::old(|_| ());
    world.outputs();
    assert_eq!(world.input(Input::Disconnected), []);
    assert_eq!(world.session.deadline(), None);
}

#[test]
fn heartbeats_go_out_every_interval_also_while_a_job_runs() {
    let mut world = World::registered(|config| config.liveness = 100);
    assert_eq!(sent(&world.pass(7500)), [const { FromWorker::Heartbeat }; 3]);
    world.request("client").unwrap();
    assert_eq!(sent(&world.pass(10_000)), [const { FromWorker::Heartbeat }; 4]);
}

#[test]
fn no_heartbeat_is_sent_in_an_interval_in_which_something_else_was() {
    let mut world = World::registered(|_| ());
    world.pass(2000);
    let job = world.request("client").unwrap();
    assert_eq!(world.answer(job).len(), 1);
    assert_eq!(world.pass(2499), []);
    assert_eq!(sent(&world.pass(1)), [FromWorker::Heartbeat]);
}

#[test]
fn a_broker_silent_for_liveness_intervals_is_left_for_a_new_socket_and_ready_is_said_again() {
    let mut world = World::registered(|_| ());
    assert_eq!(lost(&world.pass(7499)), None);
    let outputs = world.pass(1);
    assert_eq!(lost(&outputs), Some((Cause::Silent, 0)));
    assert!(outputs.contains(&Output::Close));
    assert_eq!(world.pass(250), [Output::Open(Place::Home)]);
    assert!(matches!(sent(&world.input(Input::Connected))[..], [FromWorker::Ready { .. }]));
}

#[test]
fn anything_from_the_broker_is_life_even_what_cannot_be_decoded() {
    let mut world = World::registered(|_| ());
    for _ in 0..3 {
        world.pass(7000);
        assert_eq!(world.broker_says(ToWorker::Heartbeat), []);
    }
    world.pass(7000);
    let outputs = world.input(Input::Message(Frames::from(["nonsense"])));
    assert!(matches!(outputs[..], [Output::Event(Event::Fault(_))]), "{outputs:?}");
    assert_eq!(lost(&world.pass(7000)), None);
}

#[test]
fn a_broker_that_is_silent_towards_busy_workers_is_borne_with_until_the_busy_grace_ends() {
    let mut world = World::registered(|config| config.busy_grace = Duration::from_secs(60));
    world.request("client").unwrap();
    assert_eq!(lost(&world.pass(59_999)), None);
    assert_eq!(lost(&world.pass(1)), Some((Cause::Silent, 1)));
}

#[test]
fn silence_during_a_job_is_forgiven_when_the_job_ends() {
    let mut world = World::registered(|_| ());
    let job = world.request("client").unwrap();
    world.pass(30_000);
    world.answer(job);
    assert_eq!(lost(&world.pass(7499)), None);
    assert_eq!(lost(&world.pass(1)), Some((Cause::Silent, 0)));
}

#[test]
fn after_disconnect_nothing_more_is_sent_on_that_connection() {
    let mut world = World::registered(|_| ());
    let job = world.request("client").unwrap();
    let outputs = world.broker_says(ToWorker::Disconnect);
    assert_eq!(lost(&outputs), Some((Cause::Dismissed, 1)));
    assert_eq!(sent(&outputs), []);
    assert_eq!(world.answer(job), [Output::Event(Event::AnswerDropped(job))]);
}

#[test]
fn an_answer_is_never_sent_on_a_later_connection() {
    let mut world = World::registered(|config| config.credit = 2);
    let job = world.request("client").unwrap();
    world.input(Input::Disconnected);
    world.pass(250);
    assert_eq!(sent(&world.input(Input::Connected)).len(), 1, "READY, for one slot of two is free");
    assert_eq!(world.answer(job), [Output::Event(Event::AnswerDropped(job))]);
}

#[test]
fn ready_waits_for_the_orphan_of_a_lost_connection_so_that_jobs_never_exceed_the_credit() {
    let mut world = World::registered(|_| ());
    let job = world.request("client").unwrap();
    world.input(Input::Disconnected);
    world.pass(250);
    assert_eq!(world.input(Input::Connected), []);
    assert!(matches!(sent(&world.answer(job))[..], [FromWorker::Ready { .. }]));
}

#[test]
fn reconnect_delays_grow_until_the_broker_speaks() {
    let mut world = World::registered(|_| ());
    let delay = |world: &mut World| {
        let outputs = world.input(Input::Disconnected);
        let delay = outputs.iter().find_map(|output| match output {
            Output::Event(Event::Lost { retry_in, .. }) => *retry_in,
            _ => None,
        });
        world.pass(5000);
        world.input(Input::Connected);
        delay.unwrap()
    };
    let delays = [(); 3].map(|()| delay(&mut world));
    assert!(delays[0] <= Duration::from_millis(250));
    assert!(delays[2] >= Duration::from_millis(500));
    world.broker_says(ToWorker::Heartbeat);
    assert!(delay(&mut world) <= Duration::from_millis(250));
}

#[test]
fn messages_of_a_connection_that_was_given_up_are_ignored() {
    let mut world = World::registered(|_| ());
    world.broker_says(ToWorker::Disconnect);
    assert_eq!(world.request("late"), None);
    assert_eq!(world.input(Input::Disconnected), []);
}

#[test]
fn parts_travel_as_they_come_where_the_dialect_streams() {
    let mut world = World::registered(|_| ());
    let job = world.request("client").unwrap();
    let part = |world: &mut World, part, body| sent(&world.input(Input::Reply { job, part, body: [body].into() }));
    assert_eq!(part(&mut world, Part::Partial, "one"), [reply_to("client", Part::Partial, "one")]);
    assert_eq!(part(&mut world, Part::Final, "two"), [reply_to("client", Part::Final, "two")]);
}

#[test]
fn parts_are_joined_into_one_reply_in_mdp_01() {
    let mut world = World::registered(|config| config.speech = Speech::Old(Dialect::V01));
    let job = world.request("client").unwrap();
    let partial = Input::Reply { job, part: Part::Partial, body: Frames::from(["one", "two"]) };
    assert_eq!(world.input(partial), []);
    let last = Input::Reply { job, part: Part::Final, body: Frames::from(["three"]) };
    let body = Frames::from(["one", "two", "three"]);
    let reply = FromWorker::Reply { address: Bytes::from("client"), part: Part::Final, body };
    assert_eq!(sent(&world.input(last)), [reply]);
}

#[test]
fn two_requests_of_one_client_are_two_jobs_even_with_one_address() {
    let mut world = World::registered(|config| config.credit = 2);
    let (first, second) = (world.request("client").unwrap(), world.request("client").unwrap());
    assert_ne!(first, second);
    assert_eq!(sent(&world.answer(second)), [reply_to("client", Part::Final, "answer")]);
    assert_eq!(sent(&world.answer(first)), [reply_to("client", Part::Final, "answer")]);
}

#[test]
fn requests_beyond_the_credit_wait_in_order_and_surplus_max_is_met_and_not_passed() {
    let mut world = World::registered(|_| ());
    let job = world.request("first").unwrap();
    for _ in 0..SURPLUS_MAX {
        assert_eq!(world.request("surplus"), None);
    }
    let outputs = world.answer(job);
    assert!(
        outputs
            .iter()
            .any(|output| matches!(output, Output::Handle { assignment, .. } if assignment.body == ["surplus"].into()))
    );
    assert_eq!(world.request("surplus"), None);
    let request = ToWorker::Request { address: Bytes::from("x"), body: Frames::from(["x"]) };
    assert_eq!(lost(&world.broker_says(request)), Some((Cause::Overfed, 1)));
}

#[test]
fn an_idle_worker_says_disconnect_and_is_finished_at_once() {
    let mut world = World::registered(|_| ());
    let outputs = world.input(Input::Shutdown);
    assert_eq!(sent(&outputs), [FromWorker::Disconnect]);
    assert_eq!(outputs.last(), Some(&Output::Finished));
    assert_eq!(world.session.deadline(), None);
    assert_eq!(world.input(Input::Connected), []);
}

#[test]
fn a_busy_worker_answers_first_then_says_disconnect() {
    let mut world = World::registered(|_| ());
    let job = world.request("client").unwrap();
    assert_eq!(world.input(Input::Shutdown), []);
    assert_eq!(sent(&world.pass(2500)), [FromWorker::Heartbeat]);
    assert_eq!(world.request("another"), None);
    let outputs = world.answer(job);
    assert_eq!(sent(&outputs), [reply_to("client", Part::Final, "answer"), FromWorker::Disconnect]);
    assert_eq!(outputs.last(), Some(&Output::Finished));
}

#[test]
fn a_job_that_outlasts_the_grace_is_cut_off_and_said_to_be() {
    let mut world = World::registered(|config| config.shutdown_grace = Duration::from_secs(1));
    world.request("client").unwrap();
    world.input(Input::Shutdown);
    let outputs = world.pass(1000);
    assert_eq!(outputs[0], Output::Event(Event::Abandoned { jobs: 1 }));
    assert_eq!(sent(&outputs), [FromWorker::Disconnect]);
    assert_eq!(outputs.last(), Some(&Output::Finished));
}

#[test]
fn a_worker_without_connection_ends_at_once_and_one_that_loses_it_while_ending_does_not_come_back() {
    let mut world = World::old(|_| ());
    world.outputs();
    assert_eq!(world.input(Input::Shutdown), [Output::Close, Output::Finished]);

    let mut world = World::registered(|_| ());
    let job = world.request("client").unwrap();
    world.input(Input::Shutdown);
    world.input(Input::Disconnected);
    assert_eq!(world.pass(5000), []);
    assert_eq!(world.answer(job), [Output::Event(Event::AnswerDropped(job)), Output::Finished]);
}
