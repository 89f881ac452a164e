//! Thousands of seeds through each mechanism, and proof that the oracle would see.

use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};

use sim::rng::Rng;

use crate::connection::Connection;
use crate::oracle::{self, Verdict};
use crate::peer::End;
use crate::plan::{Mishap, Plan, Security, Version};

/// What was seen, and how often.
type Seen = BTreeMap<String, u64>;

/// Runs one seed: connections one after the other, until one does not break.
fn run(seed: u64, security: Security, seen: &mut Seen) -> Verdict {
    let plan = Plan::new(seed, security);
    let mut waiting = plan.messages.clone().map(VecDeque::from);
    for (place, mishap) in plan.mishaps.iter().enumerate() {
        let rng = Rng::new(plan.seed).fork(100 + place as u64);
        let connection = Connection::run(&plan, mishap.clone(), waiting, &rng);
        oracle::judge(&plan, &connection).map_err(|wrong| format!("{mishap:?}: {wrong}"))?;
        note(&plan, &connection, seen);
        if matches!(mishap, Mishap::Oversize { .. }) {
            // Nobody would say that again.
            break;
        }
        waiting = connection.peers.map(oracle::carry_over);
    }
    Ok(())
}

fn note(plan: &Plan, connection: &Connection, seen: &mut Seen) {
    let mut count = |what: String, count: usize| *seen.entry(what).or_default() += count as u64;
    count("connections".to_owned(), 1);
    count("arrivals".to_owned(), connection.arrivals);
    count(format!("{:?}", plan.version), 1);
    let flipped = connection.pipes.iter().any(|pipe| pipe.flipped_at.is_some());
    let ended = connection.peers.iter().all(|peer| peer.end().is_some());
    match connection.mishap {
        Mishap::Flips { .. } if flipped => count("flips".to_owned(), 1),
        Mishap::Reset { .. } if ended => count("resets".to_owned(), 1),
        Mishap::Truncation { .. } if ended => count("truncations".to_owned(), 1),
        Mishap::HalfClose { .. } if ended => count("half-closes".to_owned(), 1),
        _ => {}
    }
    for (peer, pipe) in connection.peers.iter().zip(&connection.pipes) {
        count("octets".to_owned(), pipe.delivered);
        count("messages".to_owned(), peer.heard.messages.len());
        count("said again".to_owned(), peer.unsent.messages());
        count("pongs".to_owned(), usize::try_from(peer.heard.pongs).unwrap());
        if let Some(End::Fault(fault)) = peer.end() {
            count(format!("fault {}", fault.kind()), 1);
        }
    }
}

/// Runs seeds and shows how to run the one that failed again.
fn sweep(security: Security, seeds: std::ops::Range<u64>) -> Seen {
    let mut seen = Seen::new();
    for seed in seeds {
        match catch_unwind(AssertUnwindSafe(|| run(seed, security, &mut seen))) {
            Ok(Ok(())) => {}
            Ok(Err(wrong)) => panic!("{security:?}, seed {seed}: {wrong}"),
            Err(_) => panic!("{security:?}, seed {seed} panicked"),
        }
    }
    seen
}

/// Seeds of each mechanism: fewer where the code is slow.
fn seeds(count: u64) -> std::ops::Range<u64> {
    0..if cfg!(debug_assertions) { count / 10 } else { count }
}

fn assert_seen(seen: &Seen, expected: &[&str]) {
    for what in expected {
        assert!(seen.get(*what).is_some_and(|&count| count > 0), "{what} never happened: {seen:#?}");
    }
}

const ALWAYS: [&str; 12] = [
    "V30",
    "V31",
    "flips",
    "resets",
    "truncations",
    "half-closes",
    "said again",
    "pongs",
    "messages",
    "fault mechanism",
    "fault message_bytes",
    "fault frame_count",
];

#[test]
fn null_keeps_its_promises_on_any_network() {
    let seen = sweep(Security::Null, seeds(2000));
    assert_seen(&seen, &ALWAYS);
    assert_seen(&seen, &["V20", "fault metadata", "fault unexpected"]);
}

#[test]
fn plain_keeps_its_promises_on_any_network() {
    let seen = sweep(Security::Plain, seeds(2000));
    assert_seen(&seen, &ALWAYS);
    assert_seen(&seen, &["fault version", "fault denied", "fault refused"]);
}

#[test]
fn curve_lets_nothing_through_that_was_not_said() {
    let seen = sweep(Security::Curve, seeds(1000));
    assert_seen(&seen, &ALWAYS);
    assert_seen(&seen, &["fault forged"]);
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let runs = || [Security::Null, Security::Plain, Security::Curve].map(|security| sweep(security, 0..20));
    assert_eq!(runs(), runs());
}

/// A run of two sides that both have something to say, with nothing in their way.
fn quiet() -> (Plan, Connection) {
    let quiet = |plan: &Plan| {
        plan.version == Version::V31 && !plan.mismatched && plan.messages.iter().all(|messages| messages.len() > 3)
    };
    let plan = (0..).map(|seed| Plan::new(seed, Security::Null)).find(quiet).unwrap();
    let waiting = plan.messages.clone().map(VecDeque::from);
    let connection = Connection::run(&plan, Mishap::None, waiting, &Rng::new(0));
    (plan, connection)
}

#[test]
fn the_oracle_sees_each_kind_of_loss() {
    let spoilt: [fn(&mut Connection); 6] = [
        |connection| drop(connection.peers[0].heard.messages.pop()),
        |connection| drop(connection.peers[0].heard.messages.remove(0)),
        |connection| connection.peers[0].heard.messages.push(["more"].into()),
        |connection| connection.peers[1].heard.messages[1].push("another frame"),
        |connection| connection.peers[1].heard.messages.swap(0, 1),
        |connection| connection.peers[1].heard.pongs += 1,
    ];
    for (place, spoil) in spoilt.iter().enumerate() {
        let (plan, mut connection) = quiet();
        assert_eq!(oracle::judge(&plan, &connection), Ok(()));
        spoil(&mut connection);
        assert!(oracle::judge(&plan, &connection).is_err(), "loss {place}");
    }
}
