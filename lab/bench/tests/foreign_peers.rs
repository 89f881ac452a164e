//! The generator against real servers of other people: every protocol, small and large bodies, every pattern's shape.
//!
//! A peer that is not installed is a failure, unless `MAJORDOMO_TEST_OFFLINE` is set: then it is left out.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper that fails has to fail its test")]

use std::process::Command;
use std::time::Duration;

use bench::load::{self, Outcome};
use bench::measure::{Gauge, resident_bytes_peak};
use bench::peers::keepers::{Keeper, Shelf};
use bench::peers::{Addresses, Peer, Server, compile};
use bench::plan::{Pattern, Plan};
use bench::wire::mdp::Mdp;

#[test]
fn gearmand_answers_every_request_of_every_pattern() {
    every_pattern(Peer::Gearmand);
}

#[test]
fn nats_answers_every_request_of_every_pattern() {
    every_pattern(Peer::Nats);
}

#[test]
fn libzmq_proxy_answers_every_request_of_every_pattern() {
    every_pattern(Peer::Libzmq);
}

#[test]
fn mdp_frames_are_understood_by_a_broker_on_libzmq() {
    for plan in plans() {
        let Some(outcome) = mdp_on_libzmq("", &plan) else { return };
        assert_flawless(&outcome, &plan);
    }
}

#[test]
fn replies_that_a_broker_loses_are_counted_as_lost() {
    let Some(outcome) = mdp_on_libzmq("swallow", &plan(4, 50, 64)) else { return };
    assert!(outcome.lost > 0, "{outcome:?}");
    assert_eq!(outcome.mismatched, 0);
}

#[test]
fn replies_that_a_broker_repeats_are_counted_as_mismatched() {
    let Some(outcome) = mdp_on_libzmq("repeat", &plan(4, 50, 64)) else { return };
    assert!(outcome.mismatched > 0, "{outcome:?}");
    assert_eq!(outcome.lost, 0);
}

#[test]
fn replies_that_a_broker_shortens_are_mismatched_and_leave_their_request_lost() {
    let Some(outcome) = mdp_on_libzmq("cut", &plan(4, 50, 64)) else { return };
    assert!(outcome.mismatched > 0, "{outcome:?}");
    assert_eq!(outcome.lost, outcome.mismatched);
}

#[test]
fn the_bare_forwarder_answers_every_request_of_every_pattern() {
    let installed = Peer::Forward.find(None).unwrap();
    for plan in plans() {
        let server = installed.start().unwrap();
        assert_flawless(&installed.load(&server, &plan).unwrap(), &plan);
    }
}

#[test]
fn servers_that_keep_what_they_are_given_acknowledge_every_message() {
    for keeper in [Keeper::JetStream, Keeper::Redis, Keeper::Beanstalkd] {
        let shelf = match Shelf::new(std::env::temp_dir(), None, &[keeper]) {
            Ok(shelf) => shelf,
            Err(error) if offline() => {
                eprintln!("left out: {error}");
                continue;
            }
            Err(error) => panic!("{error}"),
        };
        for (clients, outstanding, body_bytes) in [(1, 1, 128), (64, 1, 128), (1, 256, 1024)] {
            let plan = Plan { workers: 0, ..plan(clients, outstanding, body_bytes) };
            let running = shelf.start(keeper).unwrap();
            assert_flawless(&running.load(keeper, &plan).unwrap(), &plan);
            assert!(running.resident_bytes_peak().unwrap() > 0);
        }
    }
}

#[test]
fn a_server_that_is_not_there_is_an_error() {
    let nowhere = Addresses::shared("127.0.0.1:1".parse().unwrap());
    let error = load::run(&Mdp, nowhere, &plan(1, 1, 64), &Gauge::new(std::process::id())).unwrap_err();
    assert!(error.to_string().contains("127.0.0.1:1"), "{error}");
}

fn every_pattern(peer: Peer) {
    let installed = match peer.find(None) {
        Ok(installed) => installed,
        Err(error) if offline() => return eprintln!("left out: {error}"),
        Err(error) => panic!("{error}"),
    };
    for plan in plans() {
        let server = installed.start().unwrap();
        let outcome = installed.load(&server, &plan).unwrap();
        assert_flawless(&outcome, &plan);
        assert!(resident_bytes_peak(server.pid()).unwrap() > 0);
    }
}

/// Latency, one client with many outstanding, many clients, and bodies that take many reads.
fn plans() -> [Plan; 4] {
    [plan(1, 1, 64), plan(1, 1000, 1024), plan(50, 20, 64), plan(2, 20, 65_536)]
}

fn plan(clients: usize, outstanding: usize, body_bytes: usize) -> Plan {
    Plan {
        pattern: Pattern { clients, outstanding },
        workers: 8,
        credit: 16,
        body_bytes,
        warm_up: Duration::from_millis(100),
        duration: Duration::from_millis(400),
        drain_max: Duration::from_secs(5),
    }
}

fn assert_flawless(outcome: &Outcome, plan: &Plan) {
    assert!(outcome.replies > 0, "{plan:?}: {outcome:?}");
    assert_eq!((outcome.lost, outcome.mismatched), (0, 0), "{plan:?}");
    assert_eq!(outcome.latency_ns.len(), outcome.replies);
    assert!(outcome.after.server >= outcome.before.server);
}

/// Loads `mdp_lru.c`; `None` when libzmq is not installed and need not be.
fn mdp_on_libzmq(misbehaviour: &str, plan: &Plan) -> Option<Outcome> {
    let (files, program) = match compile(include_str!("mdp_lru.c")) {
        Ok(compiled) => compiled,
        Err(error) if offline() => {
            eprintln!("left out: {error}");
            return None;
        }
        Err(error) => panic!("{error}"),
    };
    let mut command = Command::new(program);
    command.args(Some(misbehaviour).filter(|text| !text.is_empty()));
    let server = Server::start_announcing(&mut command, Some(files), |line| {
        line.strip_prefix("ready tcp://")?.parse().ok().map(Addresses::shared)
    });
    let server = server.unwrap();
    let outcome = load::run(&Mdp, server.addresses(), plan, &Gauge::new(server.pid()));
    Some(outcome.unwrap_or_else(|error| panic!("{error:#}\n{}", server.last_words())))
}

fn offline() -> bool {
    std::env::var_os("MAJORDOMO_TEST_OFFLINE").is_some()
}
