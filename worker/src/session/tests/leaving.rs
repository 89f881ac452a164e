//! Leaving in MDP 0.3, whoever begins it: DRAIN of either side, DISCONNECT, and where a worker goes then.

use protocol::mdp::v03::{Drain, FromWorker, Offer, Options, Status, ToWorker};

use super::native::{farewell, finals, sent};
use super::*;

fn drain(service: Option<&str>, options: Options) -> ToWorker {
    let service = service.map(|service| service.parse().unwrap());
    ToWorker::Drain(Drain { grace: Duration::from_secs(30), service, options })
}

fn to(endpoint: &str) -> Options {
    Options::build().endpoints([endpoint]).finish().unwrap()
}

fn our_drain() -> FromWorker {
    FromWorker::Drain(Drain { grace: Duration::from_secs(30), service: None, options: Options::none() })
}

fn is_disconnect(command: &FromWorker) -> bool {
    matches!(command, FromWorker::Disconnect(farewell) if farewell.status == Status::OK)
}

/// Where the session wants to connect.
fn opened(outputs: &[Output]) -> Vec<Place> {
    let opened = outputs.iter().filter_map(|output| match output {
        Output::Open(place) => Some(*place),
        _ => None,
    });
    opened.collect()
}

fn world() -> World {
    World::serving(|config| config.alternatives = vec!["tcp://a:1".to_owned(), "tcp://b:2".to_owned()])
}

#[test]
fn a_wish_to_end_says_drain_and_the_brokers_disconnect_finishes_it() {
    let mut world = world();
    assert_eq!(sent(&world.input(Input::Shutdown)), [our_drain()]);
    let outputs = world.says(farewell(Status::OK, Options::none()));
    assert_eq!((sent(&outputs), outputs.last()), (vec![], Some(&Output::Finished)));
    assert_eq!(world.session.deadline(), None);
}

#[test]
fn requests_that_cross_our_drain_are_taken_and_answered_before_the_end() {
    let mut world = world();
    let first = world.asked(1).unwrap();
    world.input(Input::Shutdown);
    let crossed = world.asked(2).unwrap();
    assert_eq!(finals(&world.answer(first)), [(1, 0, 200)]);
    assert_eq!(finals(&world.pass_with_beats(9000)), []);
    assert_eq!(finals(&world.answer(crossed)), [(2, 0, 200)]);
    assert_eq!(world.says(farewell(Status::OK, Options::none())).last(), Some(&Output::Finished));
}

#[test]
fn a_worker_that_drains_says_goodbye_itself_when_the_broker_does_not() {
    let mut world = world();
    world.input(Input::Shutdown);
    assert!(!world.pass(2499).contains(&Output::Finished));
    let outputs = world.pass(1);
    let sent = sent(&outputs);
    assert!(sent.last().is_some_and(is_disconnect), "{sent:?}");
    assert_eq!(outputs.last(), Some(&Output::Finished));
}

#[test]
fn a_request_that_crosses_our_drain_late_puts_the_goodbye_off() {
    let mut world = world();
    world.input(Input::Shutdown);
    world.pass(2000);
    let job = world.asked(1).unwrap();
    assert!(!world.pass_with_beats(5000).contains(&Output::Finished));
    world.answer(job);
    assert!(!world.pass(2499).contains(&Output::Finished));
    assert_eq!(world.pass(1).last(), Some(&Output::Finished));
}

#[test]
fn a_job_that_outlasts_the_grace_is_cut_off_and_said_to_be() {
    let mut world = World::serving(|config| config.shutdown_grace = Duration::from_secs(1));
    world.asked(1).unwrap();
    world.input(Input::Shutdown);
    let outputs = world.pass(1000);
    assert_eq!(outputs[0], Output::Event(Event::Abandoned { jobs: 1 }));
    assert_eq!(outputs.last(), Some(&Output::Finished));
}

#[test]
fn a_connection_lost_while_ending_stops_the_jobs_and_ends_without_coming_back() {
    let mut world = world();
    let job = world.asked(1).unwrap();
    world.input(Input::Shutdown);
    let outputs = world.input(Input::Disconnected);
    assert!(outputs.contains(&Output::Stop { job }) && retry_in(&outputs).is_none(), "{outputs:?}");
    assert_eq!(world.input(Input::Stopped { job }), [Output::Finished]);

    let mut idle = self::world();
    idle.input(Input::Shutdown);
    assert_eq!(idle.input(Input::Disconnected).last(), Some(&Output::Finished));
}

#[test]
fn credit_is_not_said_any_more_once_we_drain() {
    let mut world = world();
    world.asked(1).unwrap();
    world.input(Input::Shutdown);
    assert_eq!(world.input(Input::Credit(9)), []);
}

#[test]
fn one_drained_service_leaves_the_others_and_all_of_them_are_everything() {
    let mut world = World::serving(|config| {
        config.offers.push(Offer { service: "add".parse().unwrap(), options: Options::none() });
    });
    for name in ["echo", "echo", "nobody's"] {
        world.says(drain(Some(name), Options::none()));
        assert_eq!(world.session.state(), State::Registered);
    }
    world.says(drain(Some("add"), Options::none()));
    assert_eq!(world.session.state(), State::Draining);
}

#[test]
fn an_idle_worker_that_is_drained_leaves_by_itself_when_nobody_tells_it_to() {
    let mut world = world();
    world.says(drain(None, Options::none()));
    assert_eq!(lost(&world.pass(2499)), None);
    let outputs = world.pass(1);
    assert!(sent(&outputs).iter().any(is_disconnect), "{outputs:?}");
    assert_eq!(lost(&outputs), Some((Cause::Drained, 0)));
}

#[test]
fn a_drained_worker_goes_where_the_drain_says_if_its_configuration_names_it() {
    let mut world = world();
    world.says(drain(None, to("tcp://evil:1 tcp://b:2")));
    let retry = Options::build().retry_after(Duration::from_secs(60)).finish().unwrap();
    let outputs = world.says(farewell(Status::DRAINING, retry));
    assert!(retry_in(&outputs).unwrap() <= Duration::from_millis(250), "elsewhere there is nothing to wait for");
    assert_eq!(opened(&world.pass(250)), [Place::Alternative(1)]);
}

#[test]
fn the_endpoints_of_a_disconnect_count_more_than_those_of_the_drain_before() {
    let mut world = world();
    world.says(drain(None, to("tcp://b:2")));
    world.says(farewell(Status::DRAINING, to("tcp://a:1")));
    assert_eq!(opened(&world.pass(250)), [Place::Alternative(0)]);
}

#[test]
fn endpoints_that_the_configuration_does_not_name_are_not_tried() {
    let mut world = world();
    world.says(farewell(Status::DRAINING, to("tcp://evil:1")));
    assert_eq!(opened(&world.pass(250)), [Place::Home]);
}

#[test]
fn a_place_that_does_not_let_us_in_gives_way_to_the_next() {
    let mut world = world();
    world.says(farewell(Status::DRAINING, to("tcp://a:1")));
    assert_eq!(opened(&world.pass(250)), [Place::Alternative(0)]);
    assert_eq!(opened(&world.pass(5000)), [Place::Home]);
    assert_eq!(opened(&world.pass(5000)), [Place::Alternative(0)]);
    world.input(Input::Connected);
    world.says(ToWorker::Heartbeat(super::native::BEAT));
    world.input(Input::Disconnected);
    assert_eq!(opened(&world.pass(250)), [Place::Alternative(0)], "where we were let in");
}

#[test]
fn a_worker_that_was_drained_by_name_comes_back_only_after_its_absence() {
    let mut world = world();
    world.says(drain(None, Options::none()));
    let delay = retry_in(&world.says(farewell(Status::OK, Options::none()))).unwrap();
    assert!(delay >= Duration::from_secs(30), "{delay:?}");
}
