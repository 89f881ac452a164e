//! How much a peer may do: requests a second, requests in flight, connections. Each limit is met, and told.

use std::num::NonZeroU32;

use protocol::PeerLimits;

use super::*;
use crate::RequestEnd;

const W: Dialect = Dialect::V01;

fn at_most(change: impl FnOnce(&mut PeerLimits)) -> PeerLimits {
    let mut limits = PeerLimits::default();
    change(&mut limits);
    limits
}

fn holder(credential: &str, limits: PeerLimits) -> Rights {
    Rights { name: credential.into(), credential: Some(credential.into()), limits, ..Rights::everything() }
}

fn ask(bench: &mut Bench, peer: u64, service: &str) {
    bench.message(peer, Request::new(W, Frames::new(), name(service), ["x"].into()).encode());
}

fn answer(bench: &mut Bench, worker: u64) {
    let (address, _) = bench.job(worker, W);
    bench.reply(worker, W, &address, Part::Final, "done");
}

#[test]
fn requests_per_second_are_met_and_told_and_come_again_with_time() {
    let mut bench = Bench::new(Config::default());
    bench.connect_with(9, holder("alice", at_most(|limits| limits.requests_per_second = NonZeroU32::new(3))));
    for _ in 0..4 {
        ask(&mut bench, 9, "echo");
    }
    assert_eq!(bench.broker.queued_requests(), 3);
    assert_eq!(bench.texts(9, W), ["429 too many requests a second"]);
    assert_eq!(bench.broker.counters().limited, 1);
    let end = RequestEnd::TooFast;
    let denied = Event::RequestDenied { client: PeerId(9), name: "alice".into(), service: name("echo"), end };
    assert_eq!(bench.events(), [denied]);
    bench.pass(Duration::from_millis(333));
    ask(&mut bench, 9, "echo");
    assert_eq!(bench.broker.queued_requests(), 3, "a third of a second is not quite over");
    bench.pass(Duration::from_millis(1));
    ask(&mut bench, 9, "echo");
    assert_eq!(bench.broker.queued_requests(), 4);
    bench.pass(seconds(20));
    for _ in 0..5 {
        ask(&mut bench, 9, "echo");
    }
    assert_eq!(bench.broker.queued_requests(), 7, "silence saves up for one second and no more");
}

#[test]
fn requests_to_the_broker_itself_count_as_well() {
    let mut bench = Bench::new(Config::default());
    bench.connect_with(9, holder("alice", at_most(|limits| limits.requests_per_second = NonZeroU32::new(1))));
    ask(&mut bench, 9, "mmi.nonesuch");
    ask(&mut bench, 9, "mmi.nonesuch");
    assert_eq!(bench.texts(9, W), ["501", "429 too many requests a second"]);
}

#[test]
fn requests_in_flight_are_met_and_told_and_every_end_makes_room() {
    let mut bench = Bench::new(Config::default());
    bench.connect_with(9, holder("alice", at_most(|limits| limits.in_flight_max = NonZeroU32::new(2))));
    bench.worker(1, W, "echo");
    ask(&mut bench, 9, "echo");
    ask(&mut bench, 9, "nobody");
    ask(&mut bench, 9, "echo");
    assert_eq!(bench.texts(9, W), ["429 too many requests in flight"]);
    assert_eq!(bench.broker.counters().limited, 1);
    ask(&mut bench, 9, "mmi.nonesuch");
    assert_eq!(bench.texts(9, W), ["501"], "the broker's own answers are never in flight");
    answer(&mut bench, 1);
    assert_eq!(bench.texts(9, W), ["done"]);
    ask(&mut bench, 9, "echo");
    ask(&mut bench, 9, "echo");
    assert_eq!(bench.texts(9, W), ["429 too many requests in flight"], "an answer made room for one");
    answer(&mut bench, 1);
    bench.texts(9, W);
    bench.pass(seconds(61));
    for _ in 0..3 {
        ask(&mut bench, 9, "nobody");
    }
    assert_eq!(bench.broker.queued_requests(), 2, "what has waited too long is in flight no more");
}

#[test]
fn a_request_that_goes_to_another_worker_is_in_flight_once() {
    let mut bench = Bench::new(Config::default());
    bench.connect_with(9, holder("alice", at_most(|limits| limits.in_flight_max = NonZeroU32::new(1))));
    bench.worker(1, W, "echo");
    ask(&mut bench, 9, "echo");
    bench.disconnect(1);
    ask(&mut bench, 9, "echo");
    assert_eq!(bench.texts(9, W), ["429 too many requests in flight"]);
    bench.worker(2, W, "echo");
    answer(&mut bench, 2);
    bench.texts(9, W);
    ask(&mut bench, 9, "echo");
    assert_eq!(bench.jobs(2, W).len(), 1);
}

#[test]
fn connections_with_one_credential_share_their_limits_and_outlive_a_reconnect() {
    let mut bench = Bench::new(Config::default());
    let limits = at_most(|limits| limits.in_flight_max = NonZeroU32::new(2));
    bench.connect_with(8, holder("alice", limits));
    bench.connect_with(9, holder("alice", limits));
    bench.connect_with(10, holder("bob", limits));
    for peer in [8, 9, 9, 10, 10] {
        ask(&mut bench, peer, "echo");
    }
    assert_eq!(bench.texts(9, W), ["429 too many requests in flight"]);
    assert_eq!(bench.broker.queued_requests(), 4, "another credential is not concerned");
    bench.disconnect(8);
    bench.disconnect(9);
    bench.connect_with(11, holder("alice", limits));
    ask(&mut bench, 11, "echo");
    assert_eq!(bench.texts(11, W), ["429 too many requests in flight"], "its requests still wait");
}

#[test]
fn connections_max_is_met_and_one_more_is_told_and_closed() {
    let mut bench = Bench::new(Config::default());
    let limits = at_most(|limits| limits.connections_max = NonZeroU32::new(2));
    for peer in 1..=3 {
        bench.connect_with(peer, holder("alice", limits));
    }
    assert_eq!(bench.events(), [Event::TooManyConnections { peer: PeerId(3), name: "alice".into() }]);
    assert_eq!(bench.closed(), [], "it is told first");
    bench.connect_with(4, holder("alice", limits));
    assert_eq!(bench.closed(), [PeerId(4)], "one that waits to be told is enough");
    assert_eq!(bench.broker.peers(), 3);
    ask(&mut bench, 3, "echo");
    assert_eq!(bench.texts(3, W), ["429 too many connections"]);
    assert_eq!(bench.closed(), [PeerId(3)]);
    bench.connect_with(5, holder("bob", limits));
    ask(&mut bench, 1, "echo");
    ask(&mut bench, 5, "echo");
    assert_eq!(bench.broker.queued_requests(), 2, "the others are not concerned");
    assert_eq!(bench.broker.counters().limited, 3, "two connections and a request");
}

#[test]
fn a_worker_on_a_connection_too_many_is_told_disconnect_and_closed() {
    let mut bench = Bench::new(Config::default());
    let limits = at_most(|limits| limits.connections_max = NonZeroU32::new(1));
    bench.connect_with(1, holder("alice", limits));
    bench.connect_with(2, holder("alice", limits));
    bench.say(2, W, FromWorker::Ready { service: name("echo"), credit: 1 });
    assert!(bench.is_told_disconnect(2, W));
    assert_eq!((bench.closed(), bench.broker.workers()), (vec![PeerId(2)], 0));
}

#[test]
fn a_connection_too_many_takes_the_place_of_one_that_leaves() {
    let mut bench = Bench::new(Config::default());
    let limits = at_most(|limits| limits.connections_max = NonZeroU32::new(1));
    bench.connect_with(1, holder("alice", limits));
    bench.connect_with(2, holder("alice", limits));
    bench.disconnect(1);
    ask(&mut bench, 2, "echo");
    assert_eq!(bench.broker.queued_requests(), 1);
    bench.connect_with(3, holder("alice", limits));
    bench.connect_with(4, holder("alice", limits));
    assert_eq!(bench.closed(), [PeerId(4)], "and is counted as such");
}

#[test]
fn general_limits_hold_for_everybody_and_a_peers_own_go_before_them() {
    let mut config = Config::default();
    config.limits.per_peer = at_most(|limits| limits.in_flight_max = NonZeroU32::new(1));
    let mut bench = Bench::new(config);
    bench.connect(7);
    bench.connect(8);
    bench.connect_with(9, holder("alice", at_most(|limits| limits.in_flight_max = NonZeroU32::new(2))));
    for peer in [7, 7, 8, 9, 9, 9] {
        ask(&mut bench, peer, "echo");
    }
    for peer in [7, 9] {
        assert_eq!(bench.texts(peer, W), ["429 too many requests in flight"], "{peer}");
    }
    assert_eq!(bench.broker.queued_requests(), 4, "who has shown nothing stands for itself");
}

#[test]
fn changed_limits_hold_at_once_and_close_no_connection() {
    let mut bench = Bench::new(Config::default());
    let of = |count| {
        at_most(|limits| {
            limits.connections_max = NonZeroU32::new(count);
            limits.in_flight_max = NonZeroU32::new(count);
        })
    };
    for peer in 1..=3 {
        bench.connect_with(peer, holder("alice", of(3)));
        ask(&mut bench, peer, "echo");
    }
    for peer in 1..=3 {
        bench.change_rights(peer, Some(holder("alice", of(1))));
        ask(&mut bench, peer, "echo");
        assert_eq!(bench.texts(peer, W), ["429 too many requests in flight"]);
    }
    assert_eq!(bench.closed(), []);
    bench.connect_with(4, holder("alice", of(1)));
    ask(&mut bench, 4, "echo");
    assert_eq!(bench.texts(4, W), ["429 too many connections"]);
    bench.change_rights(1, Some(holder("alice", PeerLimits::default())));
    ask(&mut bench, 1, "echo");
    assert_eq!(bench.broker.queued_requests(), 4, "a limit that was taken away is gone");
}

#[test]
fn accounts_of_peers_that_have_shown_nothing_go_with_them() {
    let mut config = Config::default();
    config.limits.per_peer = at_most(|limits| limits.requests_per_second = NonZeroU32::new(1));
    let mut bench = Bench::new(config);
    for peer in 0..1000 {
        bench.connect(peer);
        ask(&mut bench, peer, "mmi.nonesuch");
        bench.disconnect(peer);
    }
    assert_eq!(bench.broker.accounts.len(), 0);
}
