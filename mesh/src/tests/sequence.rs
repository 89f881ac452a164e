//! Numbers of messages: each destination has its own, and one that is missing is not passed over.

use protocol::zre::Command;

use super::*;

#[test]
fn each_destination_has_its_own_numbers() {
    let mut bench = Bench::new();
    bench.enter(ours(2), &[]);
    let mut third = bench.connect(ours(3));
    third.say(&mut bench, Command::Hello(hello(50003, &[])));
    bench.outputs.clear();
    for _ in 0..3 {
        bench.handle(Input::Whisper { node: ours(2), content: text("a") });
    }
    bench.handle(Input::Whisper { node: ours(3), content: text("b") });
    let numbers = |said: Vec<(u16, Command)>| said.into_iter().map(|(number, _)| number).collect::<Vec<_>>();
    assert_eq!(numbers(bench.said(ours(2))), [2, 3, 4]);
    assert_eq!(numbers(bench.said(ours(3))), [2]);
}

#[test]
fn a_gap_or_a_repeat_gives_the_node_up_and_finds_it_again_by_its_next_beacon() {
    for wrong in [1, 4, 60_000] {
        let mut bench = Bench::new();
        let mut other = bench.enter(ours(2), &[]);
        other.say(&mut bench, Command::Ping);
        bench.outputs.clear();
        other.say_numbered(&mut bench, wrong, Command::Whisper { content: text("lost before") });
        assert_eq!(bench.told(), ["exit other message lost"], "{wrong}");
        other.say(&mut bench, Command::Whisper { content: text("after") });
        bench.beacon(ours(2), 2, 50002);
        assert_eq!((bench.told(), bench.connects()), (Vec::new(), Vec::new()), "not at the speed of the network");
        bench.wait(millis(1000));
        bench.beacon(ours(2), 2, 50002);
        assert!(matches!(bench.said(ours(2))[..], [(1, Command::Hello(_))]));
        let mut again = bench.connect(ours(2));
        again.say(&mut bench, Command::Hello(hello(50002, &[])));
        again.say(&mut bench, Command::Whisper { content: text("again") });
        assert_eq!(bench.told(), ["enter other", "whisper other [\"again\"]"]);
        assert_eq!(bench.node.counters().gaps, 1);
    }
}

#[test]
fn numbers_go_from_65535_to_0_and_pyre_from_65534_to_0() {
    for last in [65_535, 65_534] {
        let mut bench = Bench::new();
        let mut other = bench.enter(foreign(2), &[]);
        bench.told();
        for number in 2..=last {
            other.say_numbered(&mut bench, number, Command::PingOk);
        }
        for number in 0..3 {
            other.say_numbered(&mut bench, number, Command::PingOk);
        }
        assert_eq!(bench.told(), [""; 0], "after {last}");
    }
    let mut bench = Bench::new();
    bench.enter(foreign(2), &[]);
    bench.outputs.clear();
    for _ in 0..65_536_u32 {
        bench.handle(Input::Whisper { node: foreign(2), content: Frames::new() });
    }
    let numbers: Vec<u16> = bench.said(foreign(2)).into_iter().map(|(number, _)| number).collect();
    assert_eq!((numbers[65_533], numbers[65_534], numbers[65_535]), (65_535, 0, 1));
}

#[test]
fn a_hello_that_is_not_number_1_is_refused() {
    let mut bench = Bench::new();
    let mut other = bench.connect(foreign(2));
    other.say_numbered(&mut bench, 5, Command::Hello(hello(50002, &[])));
    assert_eq!((bench.told(), bench.connects(), bench.node.counters().faults), (Vec::new(), Vec::new(), 1));
    other.say_numbered(&mut bench, 1, Command::Hello(hello(50002, &[])));
    assert_eq!(bench.told(), ["enter other"]);
    other.say_numbered(&mut bench, 2, Command::Hello(hello(50002, &[])));
    assert_eq!(bench.told(), ["exit other message lost"]);
}

#[test]
fn a_new_connection_of_a_known_node_goes_on_where_the_old_one_ended() {
    let mut bench = Bench::new();
    let mut other = bench.enter(ours(2), &[]);
    bench.told();
    bench.handle(Input::Disconnected { peer: other.peer });
    other.peer = bench.connect(ours(2)).peer;
    other.say(&mut bench, Command::Whisper { content: text("on") });
    assert_eq!(bench.told(), ["whisper other [\"on\"]"]);
}

#[test]
fn a_frame_that_cannot_be_read_costs_itself_and_what_follows_is_heard() {
    let mut bench = Bench::new();
    let mut other = bench.enter(foreign(2), &[]);
    bench.told();
    bench.raw(other.peer, Frames::from([Bytes::from_static(b"\xaa\xa1\x63\x02\0\x02")]));
    other.say_numbered(&mut bench, 3, Command::Whisper { content: text("next") });
    assert_eq!((bench.told(), bench.node.counters().faults), (vec!["whisper other [\"next\"]".to_owned()], 1));
}

#[test]
fn a_node_that_does_not_take_what_is_sent_is_given_up() {
    let mut bench = Bench::new();
    bench.enter(ours(2), &[]);
    bench.told();
    bench.handle(Input::Refused { node: ours(2) });
    assert_eq!(bench.told(), ["exit other stalled"]);
    bench.handle(Input::Refused { node: ours(2) });
    assert_eq!(bench.told(), [""; 0]);
}

#[test]
fn what_an_earlier_connection_says_late_is_not_heard() {
    let mut bench = Bench::new();
    let mut older = bench.enter(ours(2), &[]);
    let mut newer = bench.connect(ours(2));
    newer.say(&mut bench, Command::Hello(hello(50002, &[])));
    bench.told();
    older.say(&mut bench, Command::Whisper { content: text("late, and by chance with the right number") });
    older.say(&mut bench, Command::Whisper { content: text("late") });
    newer.say(&mut bench, Command::Whisper { content: text("now") });
    assert_eq!(bench.told(), ["whisper other [\"now\"]"]);
    assert_eq!(bench.node.counters().early, 2);
}

#[test]
fn a_connection_that_is_made_again_begins_with_a_ping_so_that_what_was_lost_is_missed() {
    let mut bench = Bench::new();
    bench.enter(ours(2), &[]);
    bench.handle(Input::Join(group("A")));
    bench.outputs.clear();
    bench.handle(Input::Linked { node: ours(2), up: false });
    assert_eq!(bench.said(ours(2)), []);
    bench.handle(Input::Linked { node: ours(2), up: true });
    assert_eq!(bench.said(ours(2)), [(3, Command::Ping)]);
}

#[test]
fn two_hellos_in_answer_to_each_other_come_to_an_end() {
    for node in [ours(2), foreign(2)] {
        let mut bench = Bench::new();
        let mut other = bench.enter(node, &[]);
        bench.outputs.clear();
        // It has our HELLO, for our connection stands, and says its own once more.
        other = Other { sent: 0, ..other };
        other.say(&mut bench, Command::Hello(hello(50002, &[])));
        assert_eq!(bench.told(), ["exit other restarted", "enter other"]);
        assert_eq!((bench.connects(), bench.said(node)), (Vec::new(), Vec::new()), "{node}");
    }
}

#[test]
fn who_has_closed_our_connection_is_told_ours_also_when_its_hello_comes_first() {
    let mut bench = Bench::new();
    let mut other = bench.enter(ours(2), &[]);
    other = Other { sent: 0, ..other };
    other.say(&mut bench, Command::Hello(hello(50002, &[])));
    bench.outputs.clear();
    bench.handle(Input::Linked { node: ours(2), up: false });
    assert_eq!(bench.connects().len(), 1);
    assert!(matches!(bench.said(ours(2))[..], [(1, Command::Hello(_))]));
}

#[test]
fn who_has_closed_our_connection_and_says_hello_is_told_ours() {
    let mut bench = Bench::new();
    let mut other = bench.enter(ours(2), &[]);
    bench.handle(Input::Linked { node: ours(2), up: false });
    bench.outputs.clear();
    other = Other { sent: 0, ..other };
    other.say(&mut bench, Command::Hello(hello(50002, &[])));
    assert_eq!(bench.connects().len(), 1);
    assert!(matches!(bench.said(ours(2))[..], [(1, Command::Hello(_))]));
}
