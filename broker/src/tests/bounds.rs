//! Every queue and table of the broker meets its limit, and empties again.

use super::*;
use crate::RequestEnd;

const W: Dialect = Dialect::V01;

fn ends(bench: &mut Bench) -> Vec<RequestEnd> {
    let end = |event| match event {
        Event::RequestFailed { end, .. } => Some(end),
        _ => None,
    };
    bench.events().into_iter().filter_map(end).collect()
}

#[test]
fn queue_max_of_a_service_is_met_and_not_passed() {
    let mut bench = Bench::with_policy(|policy| policy.queue_max = 3);
    for _ in 0..4 {
        bench.request(9, W, "echo", "x");
    }
    assert_eq!(bench.broker.queued_requests(), 3);
    assert_eq!(ends(&mut bench), [RequestEnd::QueueFull]);
    bench.request(9, W, "other", "x");
    assert_eq!(bench.broker.queued_requests(), 4, "another service is not concerned");
}

#[test]
fn queued_requests_max_of_the_broker_is_met_and_not_passed() {
    let mut config = Config::default();
    config.limits.queued_requests_max = 3;
    let mut bench = Bench::new(config);
    for service in ["a", "b", "c", "d"] {
        bench.request(9, W, service, "x");
    }
    assert_eq!(bench.broker.queued_requests(), 3);
    assert_eq!(ends(&mut bench), [RequestEnd::BrokerFull]);
}

#[test]
fn queued_bytes_max_of_the_broker_is_met_and_not_passed() {
    let mut config = Config::default();
    config.limits.queued_bytes_max = 10;
    let mut bench = Bench::new(config);
    bench.request(9, W, "a", "0123456789");
    bench.request(9, W, "a", "x");
    assert_eq!(bench.broker.queued_requests(), 1);
    assert_eq!(ends(&mut bench), [RequestEnd::BrokerFull]);
    bench.worker(1, W, "a");
    bench.request(9, W, "a", "x");
    assert_eq!(bench.broker.queued_requests(), 1, "room again once a worker has taken the first");
}

#[test]
fn what_surrounds_a_body_is_kept_too_and_counts() {
    let mut config = Config::default();
    config.limits.queued_bytes_max = 600;
    let mut bench = Bench::new(config);
    let from = |peer: u64, bench: &mut Bench, envelope: Frames, body: Frames| {
        bench.connect(peer);
        bench.message(peer, Request::new(W, envelope, name("a"), body).encode());
    };
    for _ in 0..3 {
        from(9, &mut bench, Frames::from([vec![b'e'; 250]]), Frames::from(["x"]));
    }
    assert_eq!(bench.broker.queued_requests(), 2);
    // A list of a hundred frames takes memory although they are empty.
    from(8, &mut bench, Frames::new(), Frames::from([""; 100]));
    assert_eq!(ends(&mut bench), [RequestEnd::BrokerFull, RequestEnd::BrokerFull]);
}

#[test]
fn a_worker_that_waits_for_several_services_makes_room_in_none_of_their_queues() {
    let mut config = Config::default();
    config.limits.queued_requests_max = 2;
    let mut bench = Bench::new(config);
    bench.native_worker(1, 3, &["a", "b", "c"]);
    for service in ["a", "b", "c", "d", "d"] {
        bench.request(9, W, service, "x");
    }
    bench.native_worker(2, 1, &["a", "b", "c"]);
    bench.disconnect(1);
    assert_eq!(bench.broker.in_flight(), 1, "the one that waited has one credit");
    assert!(bench.broker.queued_requests() <= 2, "{} wait", bench.broker.queued_requests());
}

#[test]
fn workers_that_take_requests_and_leave_do_not_fill_the_queues_beyond_their_limits() {
    let mut config = Config::default();
    config.limits.queued_requests_max = 2;
    let mut bench = Bench::new(config);
    for (worker, service) in [(1, "a"), (2, "b"), (3, "c"), (4, "d")] {
        bench.worker(worker, W, service);
        bench.request(9, W, service, "taken at once");
        bench.disconnect(worker);
    }
    assert_eq!(bench.broker.queued_requests(), 2);
    assert_eq!(ends(&mut bench), [RequestEnd::BrokerFull; 2]);
}

#[test]
fn a_request_that_comes_back_to_full_queues_takes_the_place_of_the_newest_of_whoever_holds_most() {
    let mut config = Config::default();
    config.limits.queued_requests_max = 2;
    let mut bench = Bench::new(config);
    bench.worker(1, W, "a");
    bench.request(8, W, "a", "back");
    bench.request(9, W, "b", "older");
    bench.request(9, W, "b", "newer");
    bench.disconnect(1);
    assert_eq!(ends(&mut bench), [RequestEnd::BrokerFull]);
    bench.worker(2, W, "a");
    assert_eq!(bench.job(2, W).1, "back");
    bench.worker(3, W, "b");
    assert_eq!(bench.job(3, W).1, "older");
}

#[test]
fn a_request_that_comes_back_needs_no_room_where_another_worker_waits() {
    let mut config = Config::default();
    config.limits.queued_requests_max = 0;
    let mut bench = Bench::new(config);
    bench.worker(1, W, "a");
    bench.worker(2, W, "a");
    bench.request(9, W, "a", "x");
    bench.disconnect(1);
    assert_eq!(bench.job(2, W).1, "x");
}

#[test]
fn services_max_is_met_and_not_passed() {
    let mut config = Config::default();
    config.limits.services_max = 2;
    let mut bench = Bench::new(config);
    bench.worker(1, W, "a");
    bench.request(9, W, "b", "x");
    bench.request(9, W, "c", "x");
    assert_eq!(ends(&mut bench), [RequestEnd::BrokerFull]);
    bench.worker(2, W, "d");
    assert!(!bench.is_told_disconnect(2, W), "a name that is only asked for gives way to one that is served");
    assert_eq!(ends(&mut bench), [RequestEnd::BrokerFull]);
    assert_eq!(bench.broker.queued, crate::broker::Queued::default());
    bench.worker(3, W, "e");
    assert!(bench.is_told_disconnect(3, W));
    bench.disconnect(1);
    bench.worker(4, W, "e");
    assert!(!bench.is_told_disconnect(4, W), "a forgotten service leaves room");
}

#[test]
fn full_queues_do_not_hinder_a_waiting_worker() {
    let mut config = Config::default();
    config.limits.queued_requests_max = 0;
    config.policy.queue_max = 0;
    let mut bench = Bench::new(config);
    bench.worker(1, W, "echo");
    bench.request(9, W, "echo", "x");
    assert_eq!(bench.job(1, W).1, "x");
    bench.request(9, W, "echo", "y");
    assert_eq!(ends(&mut bench), [RequestEnd::QueueFull]);
}

#[test]
fn a_service_is_forgotten_with_its_last_worker_and_request() {
    let mut bench = Bench::new(Config::default());
    for peer in 0..1000 {
        bench.worker(peer, W, &format!("service-{peer}"));
        bench.disconnect(peer);
        bench.request(5000, W, &format!("other-{peer}"), "x");
    }
    bench.pass(seconds(61));
    assert_eq!(bench.broker.services.iter().count(), 0);
    assert_eq!(bench.broker.queued, crate::broker::Queued::default());
    bench.pass(seconds(60));
    assert!(bench.broker.timers.is_empty(), "no alarm is left for what is gone");
}

#[test]
fn a_line_does_not_grow_with_workers_that_come_and_go() {
    let mut bench = Bench::new(Config::default());
    bench.worker(1, W, "echo");
    for peer in 2..5000 {
        bench.worker(peer, W, "echo");
        bench.say(peer, W, FromWorker::Disconnect);
    }
    let id = bench.broker.services.find(&name("echo")).unwrap();
    assert_eq!(bench.broker.services.get(id).unwrap().line.iter().count(), 1);
    bench.request(9, W, "echo", "x");
    assert_eq!(bench.job(1, W).1, "x");
}

#[test]
fn a_large_roster_leaves_at_once_and_its_requests_find_the_last_worker() {
    let mut bench = Bench::with_policy(|policy| policy.attempts_max = 100);
    for peer in 0..500 {
        bench.worker(peer, W, "echo");
    }
    for _ in 0..500 {
        bench.request(9000, W, "echo", "x");
    }
    for peer in 1..500 {
        bench.disconnect(peer);
    }
    assert_eq!(bench.broker.workers(), 1);
    assert_eq!(bench.broker.queued_requests(), 499);
    for _ in 0..500 {
        let (address, _) = bench.job(0, W);
        bench.reply(0, W, &address, Part::Final, "y");
    }
    assert_eq!(bench.texts(9000, W).len(), 500);
}

#[test]
fn a_flooding_client_waits_behind_itself_and_not_in_front_of_others() {
    let mut bench = Bench::new(Config::default());
    bench.worker(1, W, "echo");
    for _ in 0..1000 {
        bench.request(8, W, "echo", "flood");
    }
    for body in ["a", "b"] {
        bench.request(9, W, "echo", body);
    }
    let mut order = Vec::new();
    for _ in 0..5 {
        let (address, body) = bench.job(1, W);
        bench.reply(1, W, &address, Part::Final, &body);
        order.push(body);
    }
    assert_eq!(order, ["flood", "flood", "a", "flood", "b"]);
}

#[test]
fn a_full_queue_takes_from_the_client_that_holds_most_for_one_that_holds_less() {
    let mut bench = Bench::with_policy(|policy| policy.queue_max = 10);
    for _ in 0..10 {
        bench.request(8, W, "echo", "flood");
    }
    for _ in 0..7 {
        bench.request(9, W, "echo", "modest");
    }
    assert_eq!(bench.broker.queued_requests(), 10);
    assert_eq!(ends(&mut bench), [RequestEnd::QueueFull; 7]);
    bench.worker(1, W, "echo");
    let mut answered = [0, 0];
    for _ in 0..10 {
        let (address, body) = bench.job(1, W);
        bench.reply(1, W, &address, Part::Final, "y");
        answered[usize::from(body == "modest")] += 1;
    }
    assert_eq!(answered, [5, 5], "both hold the same in the end");
}

#[test]
fn a_full_broker_takes_from_the_heaviest_queue() {
    let mut config = Config::default();
    config.limits.queued_bytes_max = 1000;
    let mut bench = Bench::new(config);
    for _ in 0..10 {
        bench.request(8, W, "flooded", &"x".repeat(100));
    }
    bench.request(9, W, "quiet", &"y".repeat(100));
    assert_eq!(ends(&mut bench), [RequestEnd::BrokerFull]);
    bench.worker(1, W, "quiet");
    assert_eq!(bench.job(1, W).1, "y".repeat(100));
}

#[test]
fn a_client_that_gave_way_and_comes_back_waits_for_its_turn_once() {
    let mut bench = Bench::with_policy(|policy| policy.queue_max = 3);
    // The heavy request of 8 gives way to that of 7, its lane goes and it comes back behind.
    bench.request(8, W, "echo", &"h".repeat(2000));
    for (peer, body) in [(5, "a"), (6, "b"), (7, "c")] {
        bench.request(peer, W, "echo", body);
    }
    assert_eq!(ends(&mut bench), [RequestEnd::QueueFull]);
    bench.worker(1, W, "echo");
    bench.request(8, W, "echo", "d");
    let mut order = Vec::new();
    for _ in 0..4 {
        let (address, body) = bench.job(1, W);
        bench.reply(1, W, &address, Part::Final, "y");
        order.push(body);
    }
    assert_eq!(order, ["a", "b", "c", "d"]);
    assert_eq!(bench.broker.queued_requests(), 0);
}

#[test]
fn places_of_clients_that_gave_way_are_swept() {
    let mut bench = Bench::with_policy(|policy| policy.queue_max = 2);
    for round in 0..1000 {
        // Each is lighter than the heavier of the two that wait, and takes its place.
        bench.request(1000 + round, W, "echo", &"x".repeat(2000 - usize::try_from(round).unwrap()));
    }
    let id = bench.broker.services.find(&name("echo")).unwrap();
    let queue = &bench.broker.services.get(id).unwrap().queue;
    assert_eq!(queue.len(), 2);
    assert!(queue.ring_len() < 64, "{} places", queue.ring_len());
}

#[test]
fn a_full_broker_knows_the_heaviest_queue_after_queues_have_grown_and_emptied() {
    let mut config = Config::default();
    config.limits.queued_requests_max = 6;
    let mut bench = Bench::new(config);
    for (service, count) in [("a", 3), ("b", 2), ("c", 1)] {
        for _ in 0..count {
            bench.request(8, W, service, "x");
        }
    }
    // The first asks who is heaviest; the next find it known. Both take from the queue of "a".
    bench.request(9, W, "new", "y");
    bench.worker(1, W, "a");
    bench.request(9, W, "new", "y");
    assert_eq!(ends(&mut bench), [RequestEnd::BrokerFull]);
    let queued = |bench: &Bench, service| bench.broker.queued_for(&name(service));
    assert_eq!(["a", "b", "c", "new"].map(|service| queued(&bench, service)), [1, 2, 1, 2]);
    bench.request(7, W, "late", "z");
    assert_eq!(ends(&mut bench), [RequestEnd::BrokerFull]);
    assert_eq!(["a", "b", "c", "new", "late"].map(|service| queued(&bench, service)).iter().sum::<usize>(), 6);
    assert_eq!(queued(&bench, "late"), 1);
}
