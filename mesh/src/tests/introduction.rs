//! Where beacons do not reach everybody: whoever is met introduces.

use protocol::zre::Command;

use super::*;

fn wants(port: u16) -> Command {
    let headers = [("X-INTRODUCE".to_owned(), "1".to_owned())].into();
    Command::Hello(Hello { headers, ..hello(port, &[]) })
}

fn introduction(lines: &str) -> Command {
    Command::Whisper { content: Frames::from(["majordomo.peers".to_owned(), lines.to_owned()]) }
}

#[test]
fn a_newcomer_that_was_met_by_its_beacon_is_told_of_all_others_and_no_other_is_disturbed() {
    let mut bench = Bench::new();
    bench.enter(ours(2), &[]);
    let mut pyre = bench.connect(foreign(3));
    pyre.say(&mut bench, Command::Hello(hello(50003, &[])));
    bench.outputs.clear();
    bench.beacon(ours(4), 2, 50004);
    let mut newcomer = bench.connect(ours(4));
    newcomer.say(&mut bench, wants(50004));
    let of = |node, port| format!("{node} tcp://10.77.0.2:{port}\n");
    let all = introduction(&(of(ours(2), 50002) + &of(foreign(3), 50003)));
    assert!(matches!(&bench.said(ours(4))[..], [(1, Command::Hello(_)), (2, told)] if *told == all));
    assert_eq!((bench.said(ours(2)), bench.said(foreign(3))), (Vec::new(), Vec::new()));
    let mut by_another = bench.connect(ours(5));
    by_another.say(&mut bench, wants(50005));
    assert!(matches!(bench.said(ours(5))[..], [(1, Command::Hello(_))]), "somebody has introduced it to us");
}

#[test]
fn who_is_told_of_a_node_says_hello_to_it_and_tells_nobody_of_the_whisper() {
    let mut bench = Bench::with(|config| config.wants_introduction = true);
    let mut member = bench.enter(ours(2), &[]);
    bench.outputs.clear();
    let lines = format!("{} tcp://10.77.0.9:50009\nnonsense\n{} udp://x:1\n", ours(9), ours(8));
    member.say(&mut bench, introduction(&lines));
    assert_eq!(bench.connects(), [(ours(9), "tcp://10.77.0.9:50009".to_owned())]);
    let said = bench.said(ours(9));
    assert!(matches!(&said[..], [(1, Command::Hello(hello))] if hello.headers["X-INTRODUCE"] == "1"));
    assert_eq!(bench.told(), [""; 0]);
    let mut other = bench.connect(ours(9));
    other.say(&mut bench, Command::Hello(hello(50009, &[])));
    assert_eq!(bench.told(), ["enter other"]);
}

#[test]
fn the_same_words_of_a_foreign_node_are_a_whisper() {
    let mut bench = Bench::new();
    let mut pyre = bench.enter(foreign(2), &[]);
    bench.outputs.clear();
    pyre.say(&mut bench, introduction(&format!("{} tcp://10.77.0.9:50009\n", ours(9))));
    assert_eq!((bench.told().len(), bench.connects()), (1, Vec::new()));
}

#[test]
fn nodes_that_one_is_told_of_are_bounded_and_those_of_another_mesh_are_none() {
    let mut bench = Bench::with(|config| config.limits.half_known_per_address_max = 10);
    let mut member = bench.enter(ours(2), &[]);
    bench.outputs.clear();
    let stranger = marking::mark([7; 16], "prod");
    let lines: String = (10..60).map(|number| format!("{} tcp://10.0.0.1:1\n", ours(number))).collect();
    member.say(&mut bench, introduction(&format!("{stranger} tcp://10.0.0.1:1\n{lines}")));
    assert_eq!((bench.connects().len(), bench.node.known()), (10, 11));
    for _ in 0..4 {
        bench.wait(millis(1000));
        bench.beacon(ours(2), 2, 50002);
    }
    assert_eq!(bench.node.known(), 1, "none of them has answered");
    member.say(&mut bench, introduction(&lines));
    assert_eq!(bench.node.known(), 11, "and there is room again");
}

#[test]
fn who_is_named_by_gossip_is_said_hello_to_once_and_a_place_that_is_none_costs_a_count() {
    let mut bench = Bench::new();
    let told = |endpoint: &str| Input::ToldOf { node: foreign(3), endpoint: endpoint.into(), key: None };
    for endpoint in ["", "inproc://x", "tcp://10.77.0.3", "tcp://10.77.0.3:0"] {
        bench.handle(told(endpoint));
    }
    assert_eq!((bench.node.counters().faults, bench.connects().len()), (4, 0));
    bench.handle(told("tcp://10.77.0.3:50003"));
    bench.handle(told("tcp://10.77.0.3:50003"));
    assert_eq!(bench.connects().len(), 1);
    assert!(matches!(bench.said(foreign(3))[..], [(1, Command::Hello(_))]));
}
