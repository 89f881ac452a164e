//! How nodes are found, by beacon and by HELLO, and how they leave.

use protocol::zre::Command;

use super::*;

#[test]
fn the_first_beacon_leaves_at_once_two_more_soon_and_then_one_a_second() {
    let mut bench =
        Bench { node: Node::new(config()), now: Instant::from_millis(1000), outputs: Vec::new(), connections: 0 };
    let mut times = Vec::new();
    for _ in 0..60 {
        bench.wait(millis(50));
        let count = bench.beacons().len();
        times.extend(std::iter::repeat_n((bench.now - Instant::from_millis(1000)).as_millis(), count));
        bench.outputs.clear();
    }
    assert_eq!(times, [50, 100, 350, 1350, 2350]);
}

#[test]
fn a_beacon_of_an_unknown_node_is_answered_by_a_connection_and_hello_with_number_1() {
    let mut bench = Bench::with(|config| config.groups = vec![group("CHAT")]);
    bench.beacon(ours(2), 2, 50002);
    assert_eq!(bench.connects(), [(ours(2), "tcp://10.77.0.2:50002".to_owned())]);
    let said = bench.said(ours(2));
    let [(1, Command::Hello(hello))] = &said[..] else { panic!("{said:?}") };
    assert_eq!((hello.endpoint.as_str(), hello.name.as_str(), hello.status), ("tcp://10.77.0.1:50001", "me", 1));
    assert_eq!(hello.groups, [group("CHAT")]);
    assert_eq!(bench.told(), [""; 0], "it has not said HELLO itself");
}

#[test]
fn a_node_enters_with_its_hello_and_is_connected_to_once() {
    let mut bench = Bench::new();
    bench.enter(ours(2), &["A", "B"]);
    bench.beacon(ours(2), 2, 50002);
    assert_eq!(bench.told(), ["enter other", "join other A", "join other B"]);
    assert_eq!(bench.connects().len(), 1);
    assert_eq!(bench.node.present().collect::<Vec<_>>(), [ours(2)]);
}

#[test]
fn a_hello_of_an_unknown_node_is_discovery_and_answered_at_its_endpoint() {
    let mut bench = Bench::new();
    let mut other = bench.connect(foreign(2));
    other.say(&mut bench, Command::Hello(hello(50002, &[])));
    assert_eq!(bench.connects(), [(foreign(2), "tcp://10.77.0.2:50002".to_owned())]);
    assert!(matches!(bench.said(foreign(2))[..], [(1, Command::Hello(_))]));
    assert_eq!(bench.told(), ["enter other"]);
}

#[test]
fn who_is_not_reached_where_its_hello_says_is_reached_where_its_beacons_come_from() {
    for is_reached in [false, true] {
        let mut bench = Bench::new();
        let mut other = bench.connect(ours(2));
        let elsewhere = Hello { endpoint: "tcp://192.0.2.9:50002".into(), ..hello(50002, &[]) };
        other.say(&mut bench, Command::Hello(elsewhere));
        bench.handle(Input::Linked { node: ours(2), up: is_reached });
        bench.outputs.clear();
        bench.beacon(ours(2), 2, 50002);
        let found = (ours(2), "tcp://10.77.0.2:50002".to_owned());
        assert_eq!(bench.connects(), if is_reached { Vec::new() } else { vec![found] });
        assert_eq!(bench.said(ours(2)).len(), usize::from(!is_reached));
        assert_eq!(bench.told(), [""; 0]);
    }
}

#[test]
fn our_own_beacon_and_a_connection_in_our_own_name_are_nothing() {
    let mut bench = Bench::new();
    bench.beacon(ours(1), 1, 50001);
    let myself = bench.connect(ours(1));
    assert!(bench.closed(myself.peer));
    assert_eq!((bench.node.known(), bench.connects()), (0, Vec::new()));
}

#[test]
fn a_leaving_beacon_is_the_end_and_a_late_older_beacon_is_no_return() {
    let mut bench = Bench::new();
    let other = bench.enter(ours(2), &[]);
    bench.outputs.clear();
    bench.beacon(ours(2), 2, 0);
    bench.beacon(ours(2), 2, 50002);
    assert_eq!(bench.told(), ["exit other left"]);
    assert!(bench.closed(other.peer) && bench.outputs.contains(&Output::Disconnect { node: ours(2) }));
    assert_eq!(bench.connects(), []);
}

#[test]
fn a_leaving_beacon_from_another_address_is_no_farewell() {
    let mut bench = Bench::new();
    bench.enter(ours(2), &[]);
    bench.told();
    bench.beacon(ours(2), 66, 0);
    assert_eq!(bench.told(), [""; 0]);
}

#[test]
fn goodbye_is_the_end() {
    let mut bench = Bench::new();
    let mut other = bench.enter(ours(2), &[]);
    bench.told();
    other.say(&mut bench, Command::Goodbye);
    assert_eq!(bench.told(), ["exit other left"]);
    assert_eq!(bench.node.known(), 0);
}

#[test]
fn a_second_hello_on_a_new_connection_is_a_restart_exit_a_new_connection_and_enter() {
    for node in [ours(2), foreign(2)] {
        let mut bench = Bench::new();
        bench.enter(node, &["A"]);
        bench.handle(Input::Linked { node, up: false });
        bench.wait(millis(1000));
        bench.outputs.clear();
        let mut again = bench.connect(node);
        again.say(&mut bench, Command::Hello(hello(50002, &[])));
        assert_eq!(bench.told(), ["exit other restarted", "enter other"]);
        assert!(matches!(bench.said(node)[..], [(1, Command::Hello(_))]), "numbers begin anew");
        let (gone, back) = (Output::Disconnect { node }, bench.connects());
        assert!(bench.outputs.contains(&gone) && back.len() == 1);
    }
}

#[test]
fn a_node_without_a_name_is_called_by_its_first_six_digits() {
    let mut bench = Bench::new();
    let mut other = bench.connect(foreign(0xab));
    other.say(&mut bench, Command::Hello(Hello { name: String::new(), ..hello(50002, &[]) }));
    assert_eq!(bench.told(), ["enter ABABAB"]);
}

#[test]
fn a_node_that_has_moved_is_found_at_its_new_address_once_the_old_one_is_silent() {
    let mut bench = Bench::new();
    bench.enter(ours(2), &[]);
    bench.handle(Input::Linked { node: ours(2), up: false });
    bench.outputs.clear();
    for _ in 0..8 {
        bench.beacon(ours(2), 3, 50002);
        bench.wait(millis(500));
    }
    assert_eq!(bench.told(), ["evasive other", "exit other expired"]);
    assert_eq!(bench.connects(), [(ours(2), "tcp://10.77.0.3:50002".to_owned())]);
}

#[test]
fn whoever_has_two_interfaces_is_told_the_address_in_its_own_network() {
    let mut bench = Bench::with(|config| {
        config.addresses.push(Address { ip: "10.78.0.9".parse().unwrap(), prefix: 24, scope: 0 });
    });
    let octets = Beacon { node: ours(2), port: 50002, key: None }.encode();
    bench.handle(Input::Beacon { from: "10.78.0.2:5670".parse().unwrap(), octets });
    let said = bench.said(ours(2));
    let [(1, Command::Hello(hello))] = &said[..] else { panic!("{said:?}") };
    assert_eq!(hello.endpoint, "tcp://10.78.0.9:50001");
}

#[test]
fn the_end_is_told_by_goodbye_to_our_own_and_by_beacon_to_all() {
    let mut bench = Bench::new();
    bench.enter(ours(2), &[]);
    let mut pyre = bench.connect(foreign(3));
    pyre.say(&mut bench, Command::Hello(hello(50003, &[])));
    bench.outputs.clear();
    bench.handle(Input::Shutdown);
    assert_eq!(bench.said(ours(2)), [(2, Command::Goodbye)]);
    assert_eq!(bench.said(foreign(3)), []);
    let beacons = bench.beacons();
    assert!(beacons.len() > 1 && beacons.iter().all(Beacon::is_leaving));
    assert_eq!(bench.outputs.last(), Some(&Output::Finished));
    assert_eq!(bench.node.deadline(), None);
}
