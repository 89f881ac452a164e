//! CURVE: who has no key is not seen, and a name belongs to the key that it has proved first, whatever beacons say.

use protocol::zre::Command;

use super::*;

const OURS: Key = [1; 32];
const ITS: Key = [2; 32];
const ANOTHER: Key = [3; 32];

fn keyed() -> Bench {
    Bench::with(|config| config.key = Some(OURS))
}

fn beacon(bench: &mut Bench, host: u8, port: u16, key: Option<Key>) {
    let octets = Beacon { node: ours(2), port, key }.encode();
    bench.handle(Input::Beacon { from: source(host), octets });
}

/// A node that has sent a beacon and HELLO, both with its key.
fn enter(bench: &mut Bench) -> Other {
    beacon(bench, 2, 50002, Some(ITS));
    let mut other = bench.connect_with(ours(2), Some(ITS));
    other.say(bench, Command::Hello(hello(50002, &[])));
    bench.handle(Input::Linked { node: ours(2), up: true });
    other
}

#[test]
fn our_beacons_have_our_key_and_are_of_54_octets() {
    let mut bench = keyed();
    bench.wait(millis(1000));
    assert_eq!(bench.beacons().last().unwrap().key, Some(OURS));
    let octets = bench.outputs.iter().find_map(|output| match output {
        Output::Beacon(octets) => Some(octets.len()),
        _ => None,
    });
    assert_eq!(octets, Some(54));
}

#[test]
fn a_node_without_a_key_is_not_seen_by_one_with_nor_the_other_way_round() {
    for (own, its) in [(Some(OURS), None), (None, Some(ITS))] {
        let mut bench = Bench::with(|config| config.key = own);
        beacon(&mut bench, 2, 50002, its);
        assert_eq!((bench.node.known(), bench.connects(), bench.node.counters().other_mesh), (0, Vec::new(), 1));
    }
}

#[test]
fn a_node_with_a_key_is_connected_to_by_that_key_and_enters() {
    let mut bench = keyed();
    enter(&mut bench);
    let connect = bench.outputs.iter().find_map(|output| match output {
        Output::Connect { key, .. } => Some(*key),
        _ => None,
    });
    assert_eq!((connect, bench.told()), (Some(Some(ITS)), vec!["enter other".to_owned()]));
}

#[test]
fn a_node_that_is_known_by_its_hello_alone_is_known_by_the_key_that_it_has_proved() {
    let mut bench = keyed();
    let mut other = bench.connect_with(ours(2), Some(ITS));
    other.say(&mut bench, Command::Hello(hello(50002, &[])));
    assert!(bench.outputs.iter().any(|output| matches!(output, Output::Connect { key: Some(ITS), .. })));
    bench.told();
    beacon(&mut bench, 2, 0, Some(ANOTHER));
    assert_eq!((bench.told(), bench.node.counters().taken), (Vec::new(), 1), "a farewell in its name");
}

#[test]
fn a_beacon_with_another_key_is_neither_life_nor_farewell() {
    let mut bench = keyed();
    enter(&mut bench);
    bench.told();
    beacon(&mut bench, 2, 0, Some(ANOTHER));
    assert_eq!(bench.told(), [""; 0]);
    for _ in 0..6 {
        bench.wait(millis(500));
        beacon(&mut bench, 2, 50002, Some(ANOTHER));
    }
    assert_eq!(bench.told(), ["evasive other", "exit other expired"]);
}

#[test]
fn who_connects_in_its_name_with_another_key_is_closed_also_when_it_came_first() {
    let mut bench = keyed();
    // A thief is there before anybody knows whose name it is.
    let mut early = bench.connect_with(ours(2), Some(ANOTHER));
    enter(&mut bench);
    bench.told();
    early.say(&mut bench, Command::Hello(hello(50009, &[])));
    let late = bench.connect_with(ours(2), Some(ANOTHER));
    assert!(bench.closed(early.peer) && bench.closed(late.peer));
    assert_eq!((bench.told(), bench.node.counters().taken), (Vec::new(), 2));
}

#[test]
fn an_introduction_has_the_keys_and_one_without_is_none() {
    let mut bench = keyed();
    enter(&mut bench);
    let newcomer = ours(3);
    let octets = Beacon { node: newcomer, port: 50003, key: Some(ANOTHER) }.encode();
    bench.handle(Input::Beacon { from: source(3), octets });
    bench.outputs.clear();
    let mut other = bench.connect_with(newcomer, Some(ANOTHER));
    let headers = [("X-INTRODUCE".to_owned(), "1".to_owned())].into();
    other.say(&mut bench, Command::Hello(Hello { headers, ..hello(50003, &[]) }));
    let said = bench.said(newcomer);
    let [.., (_, Command::Whisper { content })] = &said[..] else { panic!("{said:?}") };
    let line = format!("{} tcp://10.77.0.2:50002 {}\n", ours(2), "02".repeat(32));
    assert_eq!(content, &Frames::from(["majordomo.peers".to_owned(), line.clone()]));
    for (told, is_met) in [
        (line.replace("0202", "FFFF"), true),
        (line.replace(" 0202", " 02"), false),
        (line.replace(" 0202", " XX02"), false),
        (format!("{} tcp://10.77.0.9:1\n", ours(9)), false),
    ] {
        let mut bench = keyed();
        let mut member = enter(&mut bench);
        bench.outputs.clear();
        let told = told.replace(&ours(2).to_string(), &ours(8).to_string());
        let content = Frames::from(["majordomo.peers".to_owned(), told.clone()]);
        member.say(&mut bench, Command::Whisper { content });
        assert_eq!(bench.connects().len(), usize::from(is_met), "{told}");
    }
}

/// Where we have connected to, with which key, since the last look.
fn connects(bench: &mut Bench) -> Vec<(String, Option<Key>)> {
    let outputs = std::mem::take(&mut bench.outputs);
    let connect = |output| match output {
        Output::Connect { endpoint, key, .. } => Some((endpoint, key)),
        _ => None,
    };
    outputs.into_iter().filter_map(connect).collect()
}

#[test]
fn a_beacon_in_its_name_with_the_key_of_another_keeps_nobody_out_who_proves_its_own() {
    let mut bench = keyed();
    beacon(&mut bench, 9, 50009, Some(ANOTHER));
    let mut other = bench.connect_with(ours(2), Some(ITS));
    assert!(!bench.closed(other.peer));
    bench.outputs.clear();
    other.say(&mut bench, Command::Hello(hello(50002, &[])));
    assert_eq!(bench.told(), ["enter other"]);
    assert!(bench.outputs.contains(&Output::Disconnect { node: ours(2) }));
    assert_eq!(connects(&mut bench), [("tcp://10.77.0.2:50002".to_owned(), Some(ITS))]);
    // What comes too late to be first is nothing, by beacon and by connection.
    beacon(&mut bench, 9, 50009, Some(ANOTHER));
    let thief = bench.connect_with(ours(2), Some(ANOTHER));
    assert!(bench.closed(thief.peer) && bench.told().is_empty() && bench.connects().is_empty());
}

#[test]
fn a_silent_connection_in_the_name_of_a_node_does_not_keep_it_out_and_is_closed() {
    let mut bench = keyed();
    beacon(&mut bench, 9, 50009, Some(ANOTHER));
    let thief = bench.connect_with(ours(2), Some(ANOTHER));
    let mut other = bench.connect_with(ours(2), Some(ITS));
    other.say(&mut bench, Command::Hello(hello(50002, &[])));
    assert_eq!(bench.told(), ["enter other"]);
    assert!(bench.closed(thief.peer));
}

#[test]
fn who_is_only_said_to_be_there_gives_way_to_who_is_said_to_be_another_but_not_before_it_could_have_proved_it() {
    for (host, port, key) in [(2, 50002, ANOTHER), (9, 50009, ANOTHER), (9, 50009, ITS)] {
        let mut bench = keyed();
        let lie = |bench: &mut Bench| beacon(bench, host, port, Some(key));
        lie(&mut bench);
        bench.wait(millis(499));
        bench.outputs.clear();
        beacon(&mut bench, 2, 50002, Some(ITS));
        assert_eq!(connects(&mut bench), [], "it could still prove it");
        bench.wait(millis(1));
        beacon(&mut bench, 2, 50002, Some(ITS));
        assert_eq!(connects(&mut bench), [("tcp://10.77.0.2:50002".to_owned(), Some(ITS))]);
        // A lie that follows at once does not undo that.
        for _ in 0..4 {
            lie(&mut bench);
            bench.wait(millis(100));
        }
        assert_eq!(connects(&mut bench), []);
        let mut other = bench.connect_with(ours(2), Some(ITS));
        bench.wait(millis(400));
        lie(&mut bench);
        assert_eq!(connects(&mut bench), [], "it has proved its key, and only HELLO is missing");
        other.say(&mut bench, Command::Hello(hello(50002, &[])));
        assert_eq!((bench.told(), bench.closed(other.peer)), (vec!["enter other".to_owned()], false));
    }
}

#[test]
fn a_member_that_was_never_reached_where_a_beacon_said_is_looked_for_where_another_says() {
    let mut bench = keyed();
    beacon(&mut bench, 9, 50009, Some(ITS));
    let mut other = bench.connect_with(ours(2), Some(ITS));
    other.say(&mut bench, Command::Hello(hello(50002, &[])));
    bench.outputs.clear();
    for _ in 0..9 {
        bench.wait(millis(100));
        beacon(&mut bench, 9, 50009, Some(ITS));
        beacon(&mut bench, 2, 50002, Some(ITS));
    }
    assert_eq!(connects(&mut bench), [], "it takes its time to connect");
    bench.wait(millis(100));
    beacon(&mut bench, 2, 50002, Some(ITS));
    let moved = bench.outputs.clone();
    assert_eq!(connects(&mut bench), [("tcp://10.77.0.2:50002".to_owned(), Some(ITS))]);
    assert!(moved.contains(&Output::Disconnect { node: ours(2) }));
    bench.handle(Input::Linked { node: ours(2), up: true });
    bench.handle(Input::Linked { node: ours(2), up: false });
    bench.wait(millis(1100));
    beacon(&mut bench, 9, 50009, Some(ITS));
    assert_eq!(connects(&mut bench), [], "where it was reached once it stays");
}

#[test]
fn a_farewell_that_proves_nothing_is_none_of_a_member_of_ours_and_costs_a_half_known_node_nothing() {
    let mut bench = keyed();
    let mut other = enter(&mut bench);
    bench.told();
    beacon(&mut bench, 2, 0, Some(ITS));
    assert_eq!(bench.told(), [""; 0], "it would have said GOODBYE");
    other.say(&mut bench, Command::Goodbye);
    assert_eq!(bench.told(), ["exit other left"]);

    let mut bench = keyed();
    beacon(&mut bench, 2, 50002, Some(ITS));
    beacon(&mut bench, 2, 0, Some(ITS));
    assert_eq!(bench.node.known(), 0);
    let mut other = bench.connect_with(ours(2), Some(ITS));
    other.say(&mut bench, Command::Hello(hello(50002, &[])));
    assert_eq!(bench.told(), ["enter other"]);
}

#[test]
fn the_farewell_of_a_foreign_member_is_a_beacon_where_there_are_keys_too() {
    let mut bench = keyed();
    let octets = |port| Beacon { node: foreign(2), port, key: Some(ITS) }.encode();
    bench.handle(Input::Beacon { from: source(2), octets: octets(50002) });
    let mut other = bench.connect_with(foreign(2), Some(ITS));
    other.say(&mut bench, Command::Hello(hello(50002, &[])));
    bench.told();
    bench.handle(Input::Beacon { from: source(2), octets: octets(0) });
    assert_eq!(bench.told(), ["exit other left"]);
}
