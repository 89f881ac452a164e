//! Priorities among the requests of one client, and turns between clients (docs/rfc/MDP-0.3.md, 7.2, 11 and 12).

use protocol::Priority;
use protocol::mdp::v03::Terms;

use super::*;

fn ask(bench: &mut Bench, peer: u64, number: u8, text: &str, level: u8) {
    let terms = Terms { priority: Priority::new(level).unwrap(), ..Terms::default() };
    bench.native_request_with(peer, number, "echo", text, terms);
}

/// The bodies that a worker is given, one after the other.
fn served(bench: &mut Bench, count: usize) -> Vec<String> {
    bench.native_worker(1, 1, &["echo"]);
    (0..count).map(|_| serve_one(bench)).collect()
}

fn serve_one(bench: &mut Bench) -> String {
    let job = bench.native_job(1);
    bench.native_final(1, job.job, 0, "done");
    text(&job.body)
}

#[test]
fn a_higher_priority_goes_first_and_the_same_in_the_order_of_arrival() {
    let mut bench = Bench::new(Config::default());
    for (number, (text, level)) in
        (1..).zip([("a4", 4), ("b4", 4), ("c9", 9), ("d0", 0), ("e9", 9), ("f5", 5), ("g4", 4)])
    {
        ask(&mut bench, 9, number, text, level);
    }
    assert_eq!(served(&mut bench, 7), ["c9", "e9", "f5", "a4", "b4", "g4", "d0"]);
}

#[test]
fn a_second_of_waiting_is_worth_a_level() {
    let mut bench = Bench::new(Config::default());
    ask(&mut bench, 9, 1, "old", 0);
    bench.pass(Duration::from_millis(8999));
    ask(&mut bench, 9, 2, "urgent", 9);
    bench.pass(Duration::from_millis(1));
    ask(&mut bench, 9, 3, "urgent, but nine seconds younger", 9);
    assert_eq!(served(&mut bench, 3), ["urgent", "old", "urgent, but nine seconds younger"]);
}

#[test]
fn the_least_urgent_is_served_though_urgent_ones_never_end() {
    let mut bench = Bench::new(Config::default());
    bench.native_worker(1, 1, &["echo"]);
    ask(&mut bench, 9, 1, "runs", 9);
    ask(&mut bench, 9, 2, "patient", 0);
    let mut waited = None;
    // Two come for each that is served.
    for round in 0..120_u8 {
        ask(&mut bench, 9, 3 + 2 * round, "urgent", 9);
        ask(&mut bench, 9, 4 + 2 * round, "urgent", 9);
        bench.pass(Duration::from_millis(100));
        if serve_one(&mut bench) == "patient" {
            waited = Some(round);
        }
    }
    // At 9 s it is level with what comes then; what came before goes first, which is as much again.
    assert_eq!(waited, None, "180 are before it");
    let mut rounds = 120;
    while serve_one(&mut bench) != "patient" {
        rounds += 1;
    }
    assert!((179..=184).contains(&rounds), "{rounds}");
}

#[test]
fn a_priority_buys_a_place_before_ones_own_requests_and_not_before_those_of_others() {
    let mut bench = Bench::new(Config::default());
    for number in 1..=4 {
        ask(&mut bench, 8, number, "loud", 9);
    }
    ask(&mut bench, 8, 5, "loud and late", 0);
    for (number, text, level) in [(1, "modest", 0), (2, "modest but urgent", 4)] {
        ask(&mut bench, 9, number, text, level);
    }
    bench.request(7, Dialect::V01, "echo", "old");
    let order = ["loud", "modest but urgent", "old", "loud", "modest", "loud", "loud", "loud and late"];
    assert_eq!(served(&mut bench, 8), order);
}

#[test]
fn what_comes_back_from_a_lost_worker_is_next_whatever_its_priority() {
    let mut bench = Bench::new(Config::default());
    bench.native_worker(2, 1, &["echo"]);
    ask(&mut bench, 9, 1, "was there first", 0);
    ask(&mut bench, 9, 2, "urgent", 9);
    bench.disconnect(2);
    assert_eq!(served(&mut bench, 2), ["was there first", "urgent"]);
}

#[test]
fn where_there_is_no_room_the_last_in_the_order_gives_way() {
    let mut bench = Bench::with_policy(|policy| policy.queue_max = 3);
    for (number, text, level) in [(1, "low", 0), (2, "high", 9), (3, "low, later", 0)] {
        ask(&mut bench, 8, number, text, level);
    }
    ask(&mut bench, 9, 1, "another's", 4);
    assert_eq!(served(&mut bench, 3), ["high", "another's", "low"]);
}

#[test]
fn all_levels_of_a_client_expire_in_their_time() {
    let mut bench = Bench::new(Config::default());
    for level in 0..=9 {
        let terms = Terms {
            priority: Priority::new(level).unwrap(),
            deadline: Some(Duration::from_secs(u64::from(10 - level))),
            ..Terms::default()
        };
        bench.native_request_with(9, level + 1, "echo", "x", terms);
    }
    for left in (0..10).rev() {
        bench.pass(seconds(1));
        assert_eq!(bench.broker.queued_requests(), left);
    }
    assert_eq!(bench.broker.services(), 0);
}
