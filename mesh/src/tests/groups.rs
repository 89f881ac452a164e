//! Groups: who is in which, who is told, and who hears a SHOUT.

use protocol::zre::Command;

use super::*;

#[test]
fn joining_and_leaving_is_told_to_all_with_a_count_and_only_when_something_changes() {
    let mut bench = Bench::new();
    bench.enter(ours(2), &[]);
    bench.beacon(foreign(3), 3, 50003);
    bench.outputs.clear();
    bench.handle(Input::Join(group("A")));
    bench.handle(Input::Join(group("A")));
    bench.handle(Input::Leave(group("B")));
    bench.handle(Input::Leave(group("A")));
    let join = Command::Join { group: group("A"), status: 1 };
    let leave = Command::Leave { group: group("A"), status: 2 };
    assert_eq!(bench.said(ours(2)), [(2, join.clone()), (3, leave.clone())]);
    assert_eq!(bench.said(foreign(3)), [(2, join), (3, leave)], "a node that has not answered yet is told, too");
}

#[test]
fn the_count_is_in_hello_and_goes_from_255_to_0() {
    let mut bench = Bench::new();
    for _ in 0..128 {
        bench.handle(Input::Join(group("A")));
        bench.handle(Input::Leave(group("A")));
    }
    bench.handle(Input::Join(group("A")));
    bench.beacon(ours(2), 2, 50002);
    let said = bench.said(ours(2));
    assert!(matches!(&said[..], [(1, Command::Hello(hello))] if hello.status == 1 && hello.groups.len() == 1));
}

#[test]
fn joins_and_leaves_of_others_are_told_once() {
    let mut bench = Bench::new();
    let mut other = bench.enter(foreign(2), &["A"]);
    bench.told();
    other.say(&mut bench, Command::Join { group: group("B"), status: 2 });
    other.say(&mut bench, Command::Join { group: group("B"), status: 3 });
    other.say(&mut bench, Command::Leave { group: group("A"), status: 4 });
    other.say(&mut bench, Command::Leave { group: group("A"), status: 5 });
    assert_eq!(bench.told(), ["join other B", "leave other A"]);
    assert_eq!(bench.node.counters().status_jumps, 0);
}

#[test]
fn a_wrong_status_is_counted_and_costs_nobody_anything() {
    let mut bench = Bench::new();
    let mut other = bench.enter(foreign(2), &[]);
    bench.told();
    other.say(&mut bench, Command::Join { group: group("A"), status: 77 });
    other.say(&mut bench, Command::Join { group: group("B"), status: 78 });
    assert_eq!(bench.told(), ["join other A", "join other B"]);
    assert_eq!(bench.node.counters().status_jumps, 1);
}

#[test]
fn a_shout_goes_to_the_members_of_the_group_and_one_need_not_be_in_it() {
    let mut bench = Bench::new();
    let mut member = bench.enter(ours(2), &["A"]);
    let mut other = bench.connect(ours(3));
    other.say(&mut bench, Command::Hello(hello(50003, &["B"])));
    bench.outputs.clear();
    bench.handle(Input::Shout { group: group("A"), content: text("hi") });
    assert_eq!(bench.said(ours(2)), [(2, Command::Shout { group: group("A"), content: text("hi") })]);
    assert_eq!(bench.said(ours(3)), []);
    member.say(&mut bench, Command::Leave { group: group("A"), status: 2 });
    bench.handle(Input::Shout { group: group("A"), content: text("hi") });
    assert_eq!(bench.said(ours(2)), []);
}

#[test]
fn shouts_and_whispers_of_others_are_told_with_all_their_frames() {
    let mut bench = Bench::new();
    let mut other = bench.enter(foreign(2), &["A"]);
    bench.told();
    other.say(&mut bench, Command::Shout { group: group("A"), content: Frames::from(["a", "b"]) });
    other.say(&mut bench, Command::Whisper { content: Frames::new() });
    assert_eq!(bench.told(), ["shout other A [\"a\", \"b\"]", "whisper other []"]);
}

#[test]
fn a_whisper_to_nobody_is_told_to_be_undelivered() {
    let mut bench = Bench::new();
    bench.handle(Input::Whisper { node: ours(9), content: text("hi") });
    bench.beacon(ours(2), 2, 50002);
    bench.handle(Input::Whisper { node: ours(2), content: text("hi") });
    assert_eq!(bench.told(), ["undelivered", "undelivered"]);
}
