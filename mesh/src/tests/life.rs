//! Silence: who is asked, who is called evasive, who is gone.

use protocol::zre::Command;

use super::*;

#[test]
fn a_beacon_is_life_so_an_idle_node_is_never_asked() {
    for node in [ours(2), foreign(2)] {
        let mut bench = Bench::new();
        bench.enter(node, &[]);
        bench.outputs.clear();
        for _ in 0..120 {
            bench.wait(millis(1000));
            bench.beacon(node, 2, 50002);
        }
        assert_eq!((bench.said(node), bench.told()), (Vec::new(), Vec::new()));
    }
}

#[test]
fn a_silent_node_of_ours_is_asked_after_1250_ms_evasive_after_2500_and_gone_after_3000_and_not_before() {
    let mut bench = Bench::new();
    bench.enter(ours(2), &[]);
    bench.outputs.clear();
    bench.wait(millis(1249));
    assert_eq!(bench.said(ours(2)), []);
    bench.wait(millis(1));
    assert_eq!(bench.said(ours(2)), [(2, Command::Ping)]);
    bench.wait(millis(1249));
    assert_eq!(bench.told(), [""; 0], "asking is no accusation");
    bench.wait(millis(1));
    assert_eq!((bench.told(), bench.said(ours(2))), (vec!["evasive other".to_owned()], vec![(3, Command::Ping)]));
    bench.wait(millis(499));
    assert_eq!(bench.told(), [""; 0]);
    bench.wait(millis(1));
    assert_eq!(bench.told(), ["exit other expired"]);
    assert_eq!((bench.node.known(), bench.node.present().count()), (0, 0));
}

#[test]
fn a_foreign_node_has_thirty_seconds() {
    let mut bench = Bench::new();
    bench.enter(foreign(2), &[]);
    bench.told();
    bench.wait(millis(29_999));
    assert_eq!(bench.told(), ["evasive other"]);
    bench.wait(millis(1));
    assert_eq!(bench.told(), ["exit other expired"]);
}

#[test]
fn an_answer_to_ping_is_life_and_a_lost_beacon_makes_nobody_evasive() {
    let mut bench = Bench::new();
    let mut other = bench.enter(ours(2), &[]);
    bench.outputs.clear();
    for _ in 0..20 {
        bench.wait(millis(1600));
        assert!(matches!(bench.said(ours(2))[..], [(_, Command::Ping)]));
        other.say(&mut bench, Command::PingOk);
    }
    assert_eq!(bench.told(), [""; 0]);
}

#[test]
fn ping_is_answered_and_before_hello_it_is_not() {
    let mut bench = Bench::new();
    let mut other = bench.enter(foreign(2), &[]);
    bench.outputs.clear();
    other.say(&mut bench, Command::Ping);
    assert_eq!(bench.said(foreign(2)), [(2, Command::PingOk)]);
    let mut stranger = bench.connect(foreign(3));
    stranger.say(&mut bench, Command::Ping);
    assert_eq!((bench.said(foreign(3)), bench.node.counters().early), (Vec::new(), 1));
}

#[test]
fn who_is_asked_sends_a_beacon_out_of_turn_and_not_at_the_speed_of_those_who_ask() {
    let mut bench = Bench::new();
    let mut other = bench.enter(ours(2), &[]);
    bench.wait(millis(350));
    bench.wait(millis(600));
    bench.outputs.clear();
    for _ in 0..100 {
        other.say(&mut bench, Command::Ping);
    }
    assert_eq!((bench.beacons().len(), bench.said(ours(2)).len()), (1, 100));
}

#[test]
fn a_node_that_slept_itself_takes_nobody_for_dead() {
    let mut bench = Bench::new();
    bench.enter(ours(2), &[]);
    bench.told();
    // Stopped for a minute: no tick, and then one that is late.
    bench.now = bench.now + millis(60_000);
    bench.node.tick(bench.now);
    bench.wait(millis(0));
    assert_eq!(bench.told(), [""; 0]);
    bench.beacon(ours(2), 2, 50002);
    bench.wait(millis(1200));
    assert_eq!(bench.told(), [""; 0]);
    bench.wait(millis(3000));
    assert_eq!(bench.told(), ["evasive other", "exit other expired"], "a real death is seen all the same");
}

#[test]
fn a_node_that_never_says_hello_is_forgotten_and_found_again() {
    let mut bench = Bench::new();
    for _ in 0..11 {
        bench.beacon(foreign(2), 2, 50002);
        bench.wait(millis(1000));
    }
    bench.beacon(foreign(2), 2, 50002);
    assert_eq!((bench.connects().len(), bench.told()), (2, Vec::new()));
}

#[test]
fn a_node_of_ours_without_any_connection_has_two_and_a_half_seconds_and_a_foreign_one_its_thirty() {
    for (node, at, told) in [(ours(2), 2500, vec!["exit other expired"]), (foreign(2), 29_999, vec!["evasive other"])] {
        let mut bench = Bench::new();
        let other = bench.enter(node, &[]);
        bench.told();
        bench.handle(Input::Linked { node, up: false });
        bench.wait(millis(100));
        bench.handle(Input::Disconnected { peer: other.peer });
        bench.wait(millis(at - 101));
        assert_eq!(bench.told(), told[..told.len() - usize::from(node == ours(2))], "{node}");
        bench.wait(millis(1));
        assert_eq!(bench.told(), told[usize::from(node == foreign(2))..], "{node}");
    }
}

#[test]
fn a_node_whose_connections_are_cut_lives_by_its_beacons_and_has_its_three_seconds_once_it_is_back() {
    let mut bench = Bench::new();
    let other = bench.enter(ours(2), &[]);
    bench.outputs.clear();
    bench.handle(Input::Linked { node: ours(2), up: false });
    bench.handle(Input::Disconnected { peer: other.peer });
    for _ in 0..10 {
        bench.wait(millis(1900));
        bench.beacon(ours(2), 2, 50002);
    }
    assert_eq!((bench.told(), bench.said(ours(2))), (Vec::new(), Vec::new()), "nobody can be asked");
    bench.handle(Input::Linked { node: ours(2), up: true });
    bench.wait(millis(2999));
    assert_eq!(bench.told(), ["evasive other"]);
    bench.wait(millis(1));
    assert_eq!(bench.told(), ["exit other expired"]);
}

#[test]
fn a_node_whose_connections_are_cut_survives_one_lost_beacon_and_a_dead_one_is_gone_within_three_seconds_of_its_last() {
    let mut bench = Bench::new();
    let other = bench.enter(ours(2), &[]);
    bench.told();
    bench.handle(Input::Linked { node: ours(2), up: false });
    bench.handle(Input::Disconnected { peer: other.peer });
    for _ in 0..3 {
        bench.beacon(ours(2), 2, 50002);
        // Every other beacon is lost, and the next one late by what a busy machine and network add.
        bench.wait(millis(2000 + 400));
        assert_eq!(bench.told(), [""; 0]);
    }
    bench.beacon(ours(2), 2, 50002);
    bench.wait(millis(2999));
    assert_eq!(bench.told(), ["exit other expired"]);
}

#[test]
fn a_hello_that_may_have_been_lost_with_its_connection_is_said_again_on_the_next_one() {
    let mut bench = Bench::new();
    bench.beacon(ours(2), 2, 50002);
    assert!(matches!(bench.said(ours(2))[..], [(1, Command::Hello(_))]));
    bench.handle(Input::Linked { node: ours(2), up: true });
    assert_eq!(bench.said(ours(2)), [], "it is on its way");
    bench.handle(Input::Linked { node: ours(2), up: false });
    bench.handle(Input::Linked { node: ours(2), up: true });
    assert!(matches!(bench.said(ours(2))[..], [(1, Command::Hello(_))]));
    let mut other = bench.connect(ours(2));
    other.say(&mut bench, Command::Hello(hello(50002, &[])));
    bench.outputs.clear();
    bench.handle(Input::Whisper { node: ours(2), content: text("after it") });
    assert!(matches!(bench.said(ours(2))[..], [(2, Command::Whisper { .. })]));
}

#[test]
fn a_member_that_was_asked_in_vain_on_a_new_connection_is_greeted_on_the_next_one() {
    for answers in [true, false] {
        let mut bench = Bench::new();
        let mut other = bench.enter(ours(2), &[]);
        let reconnect = |bench: &mut Bench| {
            bench.outputs.clear();
            bench.handle(Input::Linked { node: ours(2), up: false });
            bench.handle(Input::Linked { node: ours(2), up: true });
            bench.said(ours(2)).into_iter().map(|(number, _)| number).next()
        };
        let asked = reconnect(&mut bench).unwrap();
        assert!(asked > 1, "it may have heard our HELLO");
        if answers {
            other.say(&mut bench, Command::PingOk);
        }
        assert_eq!(reconnect(&mut bench), Some(if answers { asked + 1 } else { 1 }));
    }
}
