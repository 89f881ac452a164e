//! Leaving with nothing lost: one worker, one service, the whole broker (docs/rfc/MDP-0.3.md, 7.7).

use protocol::mdp::v03::{FromClient, FromWorker, Options, Outcome, ToClient, ToWorker};

use super::v03_peers::{farewell, status};
use super::*;
use crate::{Departure, NoWorker, RequestEnd};

const C: Dialect = Dialect::V01;

impl Bench {
    /// An operator's command; the code of its answer.
    pub(super) fn operate(&mut self, service: &str, body: &[&str]) -> String {
        self.connect(99);
        let body = body.iter().map(|frame| Bytes::copy_from_slice(frame.as_bytes())).collect();
        self.message(99, Request::new(C, Frames::new(), name(service), body).encode());
        self.texts(99, C).join("/")
    }
}

fn drain(bench: &mut Bench, body: &[&str]) {
    assert_eq!(bench.operate("mmi.drain", body), "200");
}

fn broker_with_elsewhere() -> Bench {
    Bench::new(Config { elsewhere: vec!["tcp://a:1".to_owned(), "tcp://b:2".to_owned()], ..Config::default() })
}

/// The statuses and hints of the FINALs that a client was told since the last look.
fn ends(bench: &mut Bench, peer: u64) -> Vec<(u16, Vec<String>, Option<Duration>)> {
    let end = |told| match told {
        ToClient::Final { outcome: Outcome { status, options, .. }, .. } => {
            Some((status.code(), options.endpoints().map(str::to_owned).collect(), options.retry_after()))
        }
        _ => None,
    };
    bench.native_replies(peer).into_iter().filter_map(end).collect()
}

/// What a worker was told: `drain`, `drain NAME`, `request` or `disconnect STATUS`.
fn told(bench: &mut Bench, peer: u64) -> Vec<String> {
    let line = |command| match command {
        ToWorker::Drain(drain) => drain.service.map_or("drain".to_owned(), |service| format!("drain {service}")),
        ToWorker::Request(_) => "request".to_owned(),
        ToWorker::Disconnect(farewell) => format!("disconnect {}", farewell.status.code()),
        other => format!("{other:?}"),
    };
    bench.native_commands(peer).into_iter().map(line).collect()
}

#[test]
fn a_drained_worker_is_told_gets_nothing_more_and_leaves_after_its_last_answer() {
    let mut bench = Bench::new(Config::default());
    bench.native_worker(1, 2, &["echo"]);
    bench.native_request(9, 1, "echo", "x");
    let job = bench.native_job(1).job;
    drain(&mut bench, &["worker", "1", "5000"]);
    bench.native_request(9, 2, "echo", "x");
    let commands = bench.native_commands(1);
    let [ToWorker::Drain(drain)] = &*commands else { panic!("{commands:?}") };
    assert_eq!(
        (drain.grace, drain.service.clone(), drain.options.reason()),
        (seconds(5), None, Some("drained by the operator"))
    );
    bench.native_final(1, job, 0, "y");
    assert_eq!(bench.native_commands(1), [farewell(200, "drained")]);
    assert_eq!(bench.native_lines(9), ["F 0 200 -: y"]);
    let left =
        Event::WorkerLeft { peer: PeerId(1), service: name("echo"), departure: Departure::Drained, unanswered: 1 };
    assert!(bench.events().contains(&left));
    bench.native_worker(2, 1, &["echo"]);
    assert_eq!(bench.native_jobs(2).len(), 1, "what came later waited for another");
}

#[test]
fn what_a_drained_worker_has_when_its_time_is_over_goes_to_another() {
    let mut bench = Bench::new(Config::default());
    bench.native_worker(1, 1, &["echo"]);
    bench.native_request(9, 1, "echo", "x");
    drain(&mut bench, &["worker", "1", "5000"]);
    bench.native_worker(2, 1, &["echo"]);
    for _ in 0..5 {
        for peer in [1, 2] {
            bench.native_say(peer, FromWorker::Heartbeat(seconds(2)));
        }
        assert_eq!(bench.native_jobs(2), []);
        bench.pass(seconds(1));
    }
    let job = bench.native_job(2);
    assert_eq!(job.attempt, 2);
    assert_eq!(told(&mut bench, 1), ["request", "drain", "disconnect 408"]);
    bench.native_final(2, job.job, 0, "y");
    assert_eq!(bench.native_lines(9), ["F 0 200 -: y"]);
}

#[test]
fn a_drained_worker_of_an_old_dialect_is_told_disconnect_after_its_reply() {
    let mut bench = Bench::new(Config::default());
    for (peer, dialect) in [(1, C), (2, Dialect::V02)] {
        bench.worker(peer, dialect, "echo");
        bench.request(9, C, "echo", "x");
        let (address, _) = bench.job(peer, dialect);
        drain(&mut bench, &["worker", &peer.to_string()]);
        assert!(!bench.is_told_disconnect(peer, dialect));
        bench.reply(peer, dialect, &address, Part::Final, "y");
        assert!(bench.is_told_disconnect(peer, dialect));
        assert_eq!(bench.texts(9, C), ["y"]);
        bench.worker(peer + 10, C, "echo");
        drain(&mut bench, &["worker", &(peer + 10).to_string()]);
        assert!(bench.is_told_disconnect(peer + 10, C), "an idle one at once");
    }
}

#[test]
fn workers_are_drained_by_name_and_what_is_not_there_is_404() {
    let mut bench = Bench::new(Config::default());
    for peer in 1..=3 {
        bench.connect(peer);
        let options = Options::build().name(if peer == 3 { "other" } else { "w" }).finish().unwrap();
        let offers = vec![protocol::mdp::v03::Offer { service: name("echo"), options: Options::none() }];
        bench.native_say(
            peer,
            FromWorker::Ready(protocol::mdp::v03::Ready { credit: 1, interval: seconds(2), options, offers }),
        );
    }
    drain(&mut bench, &["worker", "w"]);
    assert_eq!((1..=3).map(|peer| told(&mut bench, peer).len()).collect::<Vec<_>>(), [2, 2, 0]);
    assert_eq!(bench.operate("mmi.drain", &["worker", "w"]), "404");
    assert_eq!(bench.operate("mmi.drain", &["service", "absent"]), "404");
    assert_eq!(bench.operate("mmi.resume", &["service", "echo"]), "404", "it does not drain");
    assert!(bench.operate("mmi.drain", &["everything"]).starts_with("400 mmi.drain takes"));
}

#[test]
fn draining_needs_the_right_to_administer() {
    let mut bench = Bench::new(Config::default());
    bench.connect_with(8, Rights { admin: false, ..Rights::everything() });
    for service in ["mmi.drain", "mmi.resume"] {
        bench.message(8, Request::new(C, Frames::new(), name(service), Frames::from(["broker"])).encode());
    }
    assert_eq!(bench.texts(8, C), ["403 not allowed", "403 not allowed"]);
    assert!(!bench.broker.is_draining());
}

#[test]
fn a_service_that_drains_turns_new_requests_away_and_works_the_accepted_ones_off() {
    let mut bench = broker_with_elsewhere();
    bench.native_worker(1, 1, &["echo", "other"]);
    bench.worker(2, C, "echo");
    for number in 1..=4 {
        bench.native_request(9, number, "echo", "x");
    }
    let first = bench.native_job(1).job;
    let (address, _) = bench.job(2, C);
    drain(&mut bench, &["service", "echo", "60000"]);
    assert_eq!(told(&mut bench, 1), ["drain echo"]);
    bench.native_request(9, 5, "echo", "x");
    let places = vec!["tcp://a:1".to_owned(), "tcp://b:2".to_owned()];
    assert_eq!(ends(&mut bench, 9), [(503, places, None)]);
    bench.request(8, C, "echo", "x");
    assert_eq!(bench.texts(8, C), ["503 draining, nothing new is taken"]);
    bench.native_final(1, first, 0, "y");
    let third = bench.native_job(1).job;
    bench.reply(2, C, &address, Part::Final, "y");
    let (address, _) = bench.job(2, C);
    bench.native_final(1, third, 0, "y");
    assert_eq!(told(&mut bench, 1), Vec::<String>::new());
    assert!(!bench.is_told_disconnect(2, C), "the other still works");
    bench.reply(2, C, &address, Part::Final, "y");
    assert!(bench.is_told_disconnect(2, C), "it has nothing else to offer");
    assert_eq!(told(&mut bench, 1), Vec::<String>::new(), "it has");
    assert_eq!(bench.native_lines(9), ["F 0 200 -: y"; 4]);
    bench.native_request(9, 6, "other", "x");
    assert_eq!(bench.native_job(1).service, name("other"));
}

#[test]
fn a_worker_that_comes_for_a_drained_service_is_let_go_until_it_is_resumed() {
    let mut bench = Bench::new(Config::default());
    bench.native_worker(1, 1, &["echo"]);
    drain(&mut bench, &["service", "echo"]);
    assert_eq!(told(&mut bench, 1), ["drain echo", "disconnect 200"]);
    bench.native_worker(2, 1, &["echo"]);
    assert_eq!(told(&mut bench, 2), ["drain echo", "disconnect 200"]);
    bench.native_worker(3, 1, &["echo", "other"]);
    assert_eq!(told(&mut bench, 3), ["drain echo"], "it stays for the other");
    assert_eq!(bench.operate("mmi.resume", &["service", "echo"]), "200");
    bench.native_worker(4, 1, &["echo"]);
    bench.native_request(9, 1, "echo", "x");
    assert_eq!(told(&mut bench, 4), ["request"]);
}

#[test]
fn a_worker_that_comes_while_requests_of_a_draining_service_wait_takes_them() {
    let mut bench = Bench::new(Config::default());
    bench.native_worker(1, 1, &["echo"]);
    bench.native_request(9, 1, "echo", "x");
    bench.native_request(9, 2, "echo", "x");
    drain(&mut bench, &["service", "echo"]);
    bench.disconnect(1);
    bench.native_worker(2, 2, &["echo"]);
    let jobs = bench.native_jobs(2);
    assert_eq!(jobs.len(), 2);
    for request in jobs {
        bench.native_final(2, request.job, 0, "y");
    }
    assert_eq!(bench.native_lines(9), ["F 0 200 -: y"; 2]);
    assert_eq!(told(&mut bench, 2), ["disconnect 200"]);
}

#[test]
fn what_a_service_has_not_worked_off_in_its_time_is_told_503_and_what_is_in_flight_is_finished() {
    let mut bench = Bench::new(Config::default());
    bench.native_worker(1, 1, &["echo"]);
    bench.native_request(9, 1, "echo", "x");
    bench.native_request(9, 2, "echo", "x");
    let job = bench.native_job(1).job;
    drain(&mut bench, &["service", "echo", "3000"]);
    bench.pass(Duration::from_millis(2999));
    assert_eq!(ends(&mut bench, 9), []);
    bench.pass(Duration::from_millis(1));
    assert_eq!(ends(&mut bench, 9), [(503, vec![], Some(seconds(1)))]);
    bench.pass(seconds(2));
    bench.native_final(1, job, 0, "y");
    assert_eq!(bench.native_lines(9), ["F 0 200 -: y"]);
    assert_eq!(told(&mut bench, 1), ["drain echo", "disconnect 200"]);
}

#[test]
fn a_broker_that_drains_tells_all_of_03_turns_new_requests_away_and_ends_when_all_is_worked_off() {
    let mut bench = broker_with_elsewhere();
    bench.native_worker(1, 1, &["echo"]);
    bench.worker(2, C, "old");
    bench.native_request(9, 1, "echo", "x");
    bench.native_request(9, 2, "echo", "x");
    bench.request(8, C, "old", "x");
    let job = bench.native_job(1).job;
    let (address, _) = bench.job(2, C);
    bench.input(Input::Drain { grace: seconds(30) });
    assert_eq!(told(&mut bench, 1), ["drain"]);
    let replies = bench.native_replies(9);
    let [ToClient::Drain(drain)] = &*replies else { panic!("{replies:?}") };
    assert_eq!(
        (drain.grace, drain.options.endpoints().collect::<Vec<_>>()),
        (seconds(30), vec!["tcp://a:1", "tcp://b:2"])
    );
    bench.native_request(9, 3, "echo", "x");
    assert_eq!(ends(&mut bench, 9)[0].0, 503);
    bench.request(8, C, "old", "x");
    assert_eq!(bench.texts(8, C), ["503 draining, nothing new is taken"]);
    bench.native_final(1, job, 0, "y");
    let second = bench.native_job(1).job;
    bench.reply(2, C, &address, Part::Final, "y");
    assert_eq!(bench.texts(8, C), ["y"]);
    assert!(!bench.finished, "a worker still has a request");
    bench.native_final(1, second, 0, "y");
    assert!(bench.finished);
    assert_eq!(bench.native_lines(9), ["F 0 200 -: y"; 2]);
    let commands = bench.native_commands(1);
    let [ToWorker::Disconnect(farewell)] = &*commands else { panic!("{commands:?}") };
    assert_eq!((farewell.status.code(), farewell.options.endpoints().count()), (503, 2));
    assert!(bench.is_told_disconnect(2, C));
    assert_eq!(bench.broker.counters().turned_away, 2);
}

#[test]
fn a_broker_with_nothing_under_way_ends_at_once_whatever_waits_without_a_worker() {
    let mut bench = Bench::new(Config::default());
    bench.native_worker(1, 1, &["echo"]);
    bench.native_request(9, 1, "absent", "x");
    bench.request(8, C, "absent", "x");
    bench.input(Input::Drain { grace: seconds(30) });
    assert!(bench.finished);
    assert_eq!(ends(&mut bench, 9), [(503, vec![], Some(seconds(1)))]);
    assert_eq!(bench.texts(8, C), Vec::<String>::new(), "its own timeout acts: the broker may be back by then");
    assert_eq!(told(&mut bench, 1), ["drain", "disconnect 503"]);
}

#[test]
fn when_the_time_of_a_broker_is_over_whoever_waits_is_told_so_and_no_worker_begins_anew() {
    let mut bench = Bench::new(Config::default());
    bench.native_worker(1, 2, &["echo"]);
    bench.native_worker(2, 1, &["echo"]);
    for number in 1..=4 {
        bench.native_request(9, number, "echo", "x");
    }
    let job = bench.native_jobs(1).remove(0).job;
    bench.native_partial(1, job, 0, "p");
    bench.native_jobs(2);
    bench.native_lines(9);
    bench.input(Input::Drain { grace: seconds(5) });
    bench.pass(Duration::from_millis(4999));
    assert!(!bench.finished);
    bench.pass(Duration::from_millis(1));
    assert!(bench.finished);
    let mut statuses: Vec<_> = ends(&mut bench, 9).into_iter().map(|(status, ..)| status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [502, 503, 503, 503], "the one that streamed cannot be begun again");
    for peer in [1, 2] {
        assert_eq!(told(&mut bench, peer), ["drain", "disconnect 503"]);
    }
    assert_eq!((bench.broker.queued_requests(), bench.broker.in_flight()), (0, 0));
}

#[test]
fn a_second_wish_ends_at_once_and_nothing_is_taken_after_the_end() {
    let mut bench = Bench::new(Config::default());
    bench.native_worker(1, 1, &["echo"]);
    bench.native_request(9, 1, "echo", "x");
    bench.input(Input::Drain { grace: seconds(30) });
    assert!(!bench.finished);
    bench.input(Input::Shutdown);
    assert!(bench.finished);
    assert_eq!(ends(&mut bench, 9).len(), 1);
    bench.native_request(9, 2, "echo", "x");
    assert_eq!(ends(&mut bench, 9)[0].0, 503);
}

#[test]
fn who_comes_while_a_broker_drains_learns_it_and_may_take_what_others_leave_behind() {
    let mut bench = broker_with_elsewhere();
    bench.native_worker(1, 1, &["echo"]);
    bench.native_request(9, 1, "echo", "x");
    bench.input(Input::Drain { grace: seconds(30) });
    bench.connect(7);
    bench.message(7, FromClient::Heartbeat.encode());
    assert_eq!(bench.native_lines(7), ["drain", "heartbeat"]);
    bench.message(7, FromClient::Heartbeat.encode());
    assert_eq!(bench.native_lines(7), ["heartbeat"], "once is enough");
    bench.native_worker(2, 1, &["echo"]);
    assert_eq!(told(&mut bench, 2), ["drain"]);
    bench.disconnect(1);
    let job = bench.native_job(2);
    bench.native_final(2, job.job, 0, "y");
    bench.native_replies(9).remove(0);
    assert!(bench.finished);
}

#[test]
fn a_broker_drains_by_mmi_and_a_later_word_about_its_time_holds() {
    let mut bench = Bench::new(Config::default());
    bench.native_worker(1, 1, &["echo"]);
    bench.native_request(9, 1, "echo", "x");
    drain(&mut bench, &["broker", "3000"]);
    drain(&mut bench, &["broker", "6000"]);
    assert_eq!(told(&mut bench, 1), ["request", "drain"], "it is told once");
    bench.pass(Duration::from_millis(5999));
    assert!(!bench.finished);
    bench.pass(Duration::from_millis(1));
    assert!(bench.finished);
}

#[test]
fn refusals_by_a_drain_come_before_other_refusals() {
    let mut bench = Bench::with_policy(|policy| policy.no_worker = NoWorker::Refuse);
    bench.native_worker(1, 1, &["echo"]);
    bench.native_request(9, 1, "echo", "x");
    bench.input(Input::Drain { grace: seconds(3) });
    bench.native_request(9, 2, "absent", "x");
    assert_eq!(ends(&mut bench, 9)[0].0, 503);
    let turned_away = Event::RequestFailed { client: PeerId(9), service: name("absent"), end: RequestEnd::Draining };
    assert!(bench.events().contains(&turned_away));
    assert_eq!(status(503, "x").status, RequestEnd::Draining.native_status());
}
