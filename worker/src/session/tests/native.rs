//! Each row of the worker's state table in MDP 0.3, section 8, as claims with time as numbers.

use protocol::mdp::Dialect;
use protocol::mdp::v03::worker::{Farewell, Request};
use protocol::mdp::v03::{Drain, FromWorker, JobNumber, Offer, Options, Outcome, Ready, Status, ToWorker};
use protocol::{RequestId, ServiceName};

use super::*;

pub(super) const BEAT: Duration = Duration::from_millis(2500);

impl World {
    /// A session of credit 2 that has said READY and was answered, unless `change` says otherwise.
    pub(super) fn serving(change: impl FnOnce(&mut Config)) -> Self {
        let mut world = Self::new(|config| {
            config.credit = 2;
            change(config);
        });
        world.input(Input::Connected);
        world.says(ToWorker::Heartbeat(BEAT));
        world
    }

    pub(super) fn says(&mut self, command: ToWorker) -> Vec<Output> {
        self.input(Input::Message(command.encode()))
    }

    /// A request with this number; the job, if its handler is to run at once.
    pub(super) fn asked(&mut self, number: u64) -> Option<JobId> {
        begun(&self.says(request(number)))
    }

    pub(super) fn cancelled(&mut self, number: u64) -> Vec<Output> {
        self.says(ToWorker::Cancel(JobNumber(number)))
    }

    /// Lets time pass while the broker heartbeats.
    pub(super) fn pass_with_beats(&mut self, millis: u64) -> Vec<Output> {
        let mut outputs = Vec::new();
        for _ in 0..millis / 1000 {
            outputs.extend(self.pass(1000));
            outputs.extend(self.says(ToWorker::Heartbeat(BEAT)));
        }
        outputs
    }
}

pub(super) fn request(number: u64) -> ToWorker {
    ToWorker::Request(Request {
        job: JobNumber(number),
        attempt: 1,
        remaining: None,
        id: Some(RequestId([7; 16])),
        service: "echo".parse().unwrap(),
        options: Options::none(),
        body: Frames::from(["question"]),
    })
}

fn request_with(number: u64, change: impl FnOnce(&mut Request)) -> ToWorker {
    let ToWorker::Request(mut request) = request(number) else { panic!("a request") };
    change(&mut request);
    ToWorker::Request(request)
}

/// What was sent, as the broker decodes it.
pub(super) fn sent(outputs: &[Output]) -> Vec<FromWorker> {
    let frames = outputs.iter().filter_map(|output| match output {
        Output::Send(frames) => Some(frames.clone()),
        _ => None,
    });
    frames.map(|frames| FromWorker::decode(frames).unwrap()).collect()
}

/// Number, parts and status of each FINAL that was sent.
pub(super) fn finals(outputs: &[Output]) -> Vec<(u64, u32, u16)> {
    let finals = sent(outputs).into_iter().filter_map(|command| match command {
        FromWorker::Final { job, outcome, .. } => Some((job.0, outcome.parts, outcome.status.code())),
        _ => None,
    });
    finals.collect()
}

pub(super) fn farewell(status: Status, options: Options) -> ToWorker {
    ToWorker::Disconnect(Farewell { status, options })
}

fn stops(outputs: &[Output]) -> Vec<JobId> {
    let stops = outputs.iter().filter_map(|output| match output {
        Output::Stop { job } => Some(*job),
        _ => None,
    });
    stops.collect()
}

fn partial(job: JobId, text: &'static str) -> Input {
    Input::Reply { job, part: Part::Partial, body: Frames::from([text]) }
}

#[test]
fn ready_has_credit_interval_services_and_metadata() {
    let about = Options::build().name("w1").version("1.0").finish().unwrap();
    let add = Options::build().schema("{}").finish_offer().unwrap();
    let mut world = World::new(|config| {
        config.credit = 64;
        config.about = about.clone();
        config.offers.push(Offer { service: "add".parse().unwrap(), options: add.clone() });
    });
    let offers = vec![
        Offer { service: "echo".parse().unwrap(), options: Options::none() },
        Offer { service: "add".parse().unwrap(), options: add },
    ];
    let ready = Ready { credit: 64, interval: BEAT, options: about, offers };
    assert_eq!(sent(&world.input(Input::Connected)), [FromWorker::Ready(ready)]);
    assert_eq!(world.session.state(), State::Announced);
}

#[test]
fn announced_becomes_serving_by_anything_of_03_and_says_so_once() {
    for said in [ToWorker::Heartbeat(BEAT), request(1)] {
        let mut world = World::new(|_| ());
        world.input(Input::Connected);
        let outputs = world.says(said);
        assert!(outputs.contains(&Output::Event(Event::Registered { speech: Speech::Native })), "{outputs:?}");
        assert_eq!(world.says(ToWorker::Heartbeat(BEAT)), []);
        assert!(matches!(world.session.state(), State::Registered | State::Busy));
    }
}

#[test]
fn silence_after_ready_falls_back_to_02_for_one_connection_and_begins_with_03_again() {
    let mut world = World::new(|_| ());
    world.outputs();
    world.input(Input::Connected);
    assert_eq!(world.pass(2499), []);
    let outputs = world.pass(1);
    let to = Dialect::V02;
    assert_eq!(outputs, [Output::Close, Output::Event(Event::FellBack { to }), Output::Open(Place::Home)]);
    let ready = protocol::mdp::worker::FromWorker::Ready { service: "echo".parse().unwrap(), credit: 1 };
    assert_eq!(world.input(Input::Connected)[0], Output::Send(ready.encode(Dialect::V02)));
    world.input(Input::Disconnected);
    world.pass(250);
    assert!(matches!(sent(&world.input(Input::Connected))[..], [FromWorker::Ready(_)]));
}

#[test]
fn without_leave_to_fall_back_silence_after_ready_is_told_and_03_tried_again() {
    let mut world = World::new(|config| config.fallback = None);
    world.input(Input::Connected);
    assert_eq!(lost(&world.pass(2500)), Some((Cause::Unanswered, 0)));
    assert_eq!(world.pass(250), [Output::Open(Place::Home)]);
    assert!(matches!(sent(&world.input(Input::Connected))[..], [FromWorker::Ready(_)]));
}

#[test]
fn a_connection_lost_before_an_answer_is_no_reason_to_fall_back() {
    let mut world = World::new(|_| ());
    world.input(Input::Connected);
    assert_eq!(lost(&world.input(Input::Disconnected)), Some((Cause::Disconnected, 0)));
    world.pass(250);
    assert!(matches!(sent(&world.input(Input::Connected))[..], [FromWorker::Ready(_)]));
}

#[test]
fn what_is_not_03_is_no_answer_to_ready_and_no_life() {
    let mut world = World::new(|_| ());
    world.input(Input::Connected);
    let old = protocol::mdp::worker::ToWorker::Heartbeat.encode(Dialect::V02);
    assert!(matches!(world.input(Input::Message(old))[..], [Output::Event(Event::Fault(_))]));
    assert!(world.pass(2500).contains(&Output::Event(Event::FellBack { to: Dialect::V02 })));
}

#[test]
fn a_worker_of_several_services_that_falls_back_offers_the_first_and_says_so() {
    let mut world = World::new(|config| {
        config.offers.push(Offer { service: "add".parse().unwrap(), options: Options::none() });
    });
    world.input(Input::Connected);
    world.pass(2500);
    assert!(world.input(Input::Connected).contains(&Output::Event(Event::NotOffered { services: 1 })));
}

#[test]
fn heartbeats_with_our_interval_go_out_also_while_jobs_run() {
    let mut world = World::serving(|_| ());
    world.asked(1).unwrap();
    let outputs = world.pass_with_beats(10_000);
    assert_eq!(sent(&outputs), [const { FromWorker::Heartbeat(BEAT) }; 4]);
}

#[test]
fn a_broker_silent_for_three_of_its_own_intervals_is_lost_also_while_we_work_and_jobs_are_stopped() {
    let mut world = World::serving(|_| ());
    world.says(ToWorker::Heartbeat(Duration::from_millis(100)));
    let job = world.asked(1).unwrap();
    assert_eq!(lost(&world.pass(299)), None);
    let outputs = world.pass(1);
    assert_eq!((lost(&outputs), stops(&outputs)), (Some((Cause::Silent, 1)), vec![job]));
    assert_eq!(world.input(Input::Stopped { job }), []);
}

#[test]
fn a_request_is_handed_over_with_all_that_came_with_it() {
    let mut world = World::serving(|_| ());
    let options = Options::build().trace("00-1-2-03", Some("a=1")).finish().unwrap();
    let outputs = world.says(request_with(1, |request| {
        request.attempt = 3;
        request.remaining = Some(Duration::from_secs(9));
        request.options = options.clone();
    }));
    let [Output::Handle { assignment, .. }] = &outputs[..] else { panic!("{outputs:?}") };
    let (attempt, remaining, id) = (3, Some(Duration::from_secs(9)), Some(RequestId([7; 16])));
    let service: ServiceName = "echo".parse().unwrap();
    let body = Frames::from(["question"]);
    assert_eq!(*assignment, crate::Assignment { service, id, attempt, remaining, options, body });
}

#[test]
fn parts_are_numbered_and_the_final_counts_them() {
    let mut world = World::serving(|_| ());
    let job = world.asked(9).unwrap();
    let part = |part, text| FromWorker::Partial { job: JobNumber(9), part, body: Frames::from([text]) };
    assert_eq!(sent(&world.input(partial(job, "one"))), [part(0, "one")]);
    assert_eq!(sent(&world.input(partial(job, "two"))), [part(1, "two")]);
    let outcome = Outcome { parts: 2, ..Outcome::OK };
    let last = FromWorker::Final { job: JobNumber(9), outcome, body: Frames::from(["answer"]) };
    assert_eq!(sent(&world.answer(job)), [last]);
}

#[test]
fn a_failure_is_a_final_with_its_status_reason_and_wait() {
    let mut world = World::serving(|_| ());
    let job = world.asked(9).unwrap();
    let failure = crate::Failure::new(400, "no such order").retry_after(Duration::from_secs(1));
    let outputs = sent(&world.input(Input::Failed { job, failure }));
    let [FromWorker::Final { outcome, body, .. }] = &outputs[..] else { panic!("{outputs:?}") };
    assert_eq!((outcome.status, outcome.options.reason()), (Status::BAD_REQUEST, Some("no such order")));
    assert_eq!((outcome.options.retry_after(), body.len()), (Some(Duration::from_secs(1)), 0));
}

#[test]
fn as_many_jobs_run_at_once_as_the_credit_says_and_what_was_never_allowed_is_told_429() {
    let mut world = World::serving(|_| ());
    let first = world.asked(1).unwrap();
    world.asked(2).unwrap();
    let outputs = world.says(request(3));
    assert_eq!((finals(&outputs), begun(&outputs)), (vec![(3, 0, 429)], None));
    assert_eq!(finals(&world.answer(first)), [(1, 0, 200)]);
    assert!(world.asked(4).is_some());
}

#[test]
fn surplus_max_refusals_are_met_and_not_passed_so_that_a_flood_fills_nothing() {
    let mut world = World::serving(|config| config.credit = 1);
    world.asked(0).unwrap();
    for number in 1..=crate::session::work::SURPLUS_MAX as u64 {
        assert_eq!(finals(&world.says(request(number))), [(number, 0, 429)]);
    }
    let outputs = world.says(request(99));
    assert_eq!((finals(&outputs), lost(&outputs)), (vec![], Some((Cause::Overfed, 1))));
}

#[test]
fn a_job_number_that_is_in_use_is_a_fault_and_changes_nothing() {
    let mut world = World::serving(|_| ());
    let job = world.asked(1).unwrap();
    assert!(matches!(world.says(request(1))[..], [Output::Event(Event::Fault(_))]));
    assert_eq!(finals(&world.answer(job)), [(1, 0, 200)]);
}

#[test]
fn a_request_for_a_service_that_is_not_offered_is_told_404_and_reaches_no_handler() {
    let mut world = World::serving(|_| ());
    let outputs = world.says(request_with(1, |request| request.service = "other".parse().unwrap()));
    assert_eq!((finals(&outputs), begun(&outputs)), (vec![(1, 0, 404)], None));
}

#[test]
fn a_lower_credit_is_said_and_what_crossed_it_waits_for_a_slot() {
    let mut world = World::serving(|_| ());
    assert_eq!(sent(&world.input(Input::Credit(1))), [FromWorker::Credit(1)]);
    let first = world.asked(1).unwrap();
    assert_eq!(world.asked(2), None);
    assert_eq!(finals(&world.says(request(3))), [(3, 0, 429)]);
    let outputs = world.answer(first);
    assert_eq!(finals(&outputs), [(1, 0, 200)]);
    assert!(begun(&outputs).is_some());
}

#[test]
fn credit_zero_is_a_pause_and_a_higher_credit_starts_what_waits() {
    let mut world = World::serving(|_| ());
    assert_eq!(sent(&world.input(Input::Credit(0))), [FromWorker::Credit(0)]);
    assert_eq!(world.asked(1), None);
    assert_eq!(world.input(Input::Credit(0)), []);
    let outputs = world.input(Input::Credit(100_000));
    assert_eq!(sent(&outputs), [FromWorker::Credit(65_536)]);
    assert!(begun(&outputs).is_some());
}

#[test]
fn cancel_stops_the_job_and_its_final_says_499_when_the_handler_has_ended() {
    let mut world = World::serving(|config| config.credit = 1);
    let job = world.asked(1).unwrap();
    let outputs = world.cancelled(1);
    assert_eq!((stops(&outputs), sent(&outputs)), (vec![job], vec![]));
    assert_eq!(stops(&world.cancelled(1)), []);
    assert_eq!(sent(&world.input(partial(job, "late"))), []);
    assert_eq!(finals(&world.says(request(2))), [(2, 0, 429)], "who still works is not free");
    assert_eq!(finals(&world.input(Input::Stopped { job })), [(1, 0, 499)]);
    assert!(world.asked(3).is_some());
}

#[test]
fn an_answer_that_crossed_its_cancel_is_still_one_final() {
    let mut world = World::serving(|_| ());
    let job = world.asked(1).unwrap();
    world.input(partial(job, "one"));
    world.cancelled(1);
    assert_eq!(finals(&world.answer(job)), [(1, 1, 499)]);
    assert_eq!(world.answer(job), []);
}

#[test]
fn cancel_of_a_job_that_waits_for_a_slot_ends_it_at_once() {
    let mut world = World::serving(|_| ());
    world.input(Input::Credit(1));
    world.asked(1).unwrap();
    world.asked(2);
    let outputs = world.cancelled(2);
    assert_eq!((finals(&outputs), stops(&outputs)), (vec![(2, 0, 499)], vec![]));
}

#[test]
fn cancel_of_an_unknown_job_is_ignored() {
    let mut world = World::serving(|_| ());
    assert_eq!(world.cancelled(77), []);
}

#[test]
fn a_job_without_time_left_is_stopped_and_its_final_says_408() {
    let mut world = World::serving(|config| config.credit = 2);
    let timed =
        |number, millis| request_with(number, |request| request.remaining = Some(Duration::from_millis(millis)));
    let slow = begun(&world.says(timed(1, 500))).unwrap();
    let quick = begun(&world.says(timed(2, 600))).unwrap();
    assert_eq!(finals(&world.answer(quick)), [(2, 0, 200)]);
    assert_eq!(stops(&world.pass(499)), []);
    assert_eq!(stops(&world.pass(1)), [slow]);
    assert_eq!(finals(&world.input(Input::Stopped { job: slow })), [(1, 0, 408)]);
    assert_eq!(stops(&world.pass(1000)), []);
}

#[test]
fn a_part_that_cannot_travel_stops_the_job_which_ends_with_500() {
    let mut world = World::serving(|_| ());
    let job = world.asked(1).unwrap();
    let body = Frames::from(vec![Bytes::new(); 2000]);
    assert_eq!(stops(&world.input(Input::Reply { job, part: Part::Partial, body })), [job]);
    assert_eq!(finals(&world.input(Input::Stopped { job })), [(1, 0, 500)]);
}

#[test]
fn jobs_of_a_lost_connection_are_stopped_and_a_new_ready_has_the_credit_that_they_leave() {
    let mut world = World::serving(|_| ());
    let job = world.asked(1).unwrap();
    assert_eq!(stops(&world.input(Input::Disconnected)), [job]);
    world.pass(250);
    let ready = sent(&world.input(Input::Connected));
    let [FromWorker::Ready(Ready { credit: 1, .. })] = &ready[..] else { panic!("{ready:?}") };
    assert_eq!(sent(&world.input(Input::Stopped { job })), [FromWorker::Credit(2)]);
}

#[test]
fn a_deadline_of_an_orphan_wakes_nobody() {
    let mut world = World::serving(|_| ());
    let timed = request_with(1, |request| request.remaining = Some(Duration::from_secs(1)));
    begun(&world.says(timed)).unwrap();
    world.input(Input::Disconnected);
    world.pass(250);
    assert_eq!(world.pass(2000), []);
}

#[test]
fn disconnect_ends_the_connection_and_nothing_more_is_said_on_it() {
    let mut world = World::serving(|_| ());
    let job = world.asked(1).unwrap();
    let why = Options::build().reason("unknown command").finish().unwrap();
    let outputs = world.says(farewell(Status::BAD_REQUEST, why));
    let reason = "unknown command".to_owned();
    assert!(outputs.contains(&Output::Event(Event::Dismissed { status: 400, reason })));
    assert_eq!((lost(&outputs), stops(&outputs)), (Some((Cause::Dismissed, 1)), vec![job]));
    assert_eq!((sent(&outputs), sent(&world.answer(job))), (vec![], vec![]));
}

#[test]
fn a_worker_comes_back_after_the_time_that_a_disconnect_says_and_ten_minutes_at_most() {
    for (said, least) in [(2, 2), (u64::from(u32::MAX) / 1000, 600)] {
        let mut world = World::serving(|_| ());
        let options = Options::build().retry_after(Duration::from_secs(said)).finish().unwrap();
        let delay = retry_in(&world.says(farewell(Status::DRAINING, options))).unwrap();
        assert!((least..=least + 1).contains(&delay.as_secs()), "{delay:?}");
    }
}

#[test]
fn a_worker_that_may_not_offer_what_it_offers_comes_back_only_after_its_absence() {
    let mut world = World::serving(|_| ());
    let delay = retry_in(&world.says(farewell(Status::FORBIDDEN, Options::none()))).unwrap();
    assert!(delay >= Duration::from_secs(30), "{delay:?}");
}

#[test]
fn delays_grow_while_brokers_only_turn_us_away() {
    let mut world = World::new(|_| ());
    let delays = [(); 3].map(|()| {
        world.input(Input::Connected);
        let delay = retry_in(&world.says(farewell(Status::TOO_MANY, Options::none()))).unwrap();
        world.pass(5000);
        delay
    });
    assert!(delays[0] <= Duration::from_millis(250) && delays[2] >= Duration::from_millis(500), "{delays:?}");
}

#[test]
fn a_drain_of_the_broker_is_worked_off_and_its_disconnect_awaited() {
    let mut world = World::serving(|_| ());
    let job = world.asked(1).unwrap();
    let drain = Drain { grace: Duration::from_secs(30), service: None, options: Options::none() };
    let outputs = world.says(ToWorker::Drain(drain));
    assert_eq!((sent(&outputs), world.session.state()), (vec![], State::Draining));
    assert_eq!(finals(&world.pass_with_beats(9000)), []);
    assert_eq!(finals(&world.answer(job)), [(1, 0, 200)]);
    let outputs = world.says(farewell(Status::DRAINING, Options::none()));
    assert_eq!(lost(&outputs), Some((Cause::Dismissed, 0)));
    assert!(retry_in(&outputs).unwrap() <= Duration::from_millis(250));
}
