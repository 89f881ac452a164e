//! What others can make us keep or do: each bound is met, and what is wrong costs a count.

use protocol::limits;
use protocol::zre::Command;

use super::*;

fn fake(number: u32) -> NodeId {
    let [a, b, c, d] = number.to_be_bytes();
    NodeId([a, b, c, d, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9])
}

#[test]
fn octets_that_are_no_beacon_cost_a_count() {
    let mut bench = Bench::new();
    for octets in [&b""[..], b"ZRE", b"ZRE\x01", &[0xff; 1500]] {
        bench.handle(Input::Beacon { from: source(2), octets: Bytes::copy_from_slice(octets) });
    }
    assert_eq!((bench.node.counters().faults, bench.outputs.len(), bench.node.known()), (4, 0, 0));
}

#[test]
fn half_known_per_address_max_is_met_and_the_table_stays_open_for_others() {
    let mut bench = Bench::with(|config| config.limits.half_known_per_address_max = 10);
    for number in 0..100 {
        bench.beacon(fake(number), 66, 50002);
    }
    assert_eq!((bench.node.known(), bench.connects().len(), bench.node.counters().full), (10, 10, 90));
    bench.beacon(ours(2), 2, 50002);
    assert_eq!(bench.node.known(), 11);
    bench.wait(millis(30_000));
    assert_eq!(bench.node.known(), 0, "none of them has said HELLO");
    bench.beacon(fake(1000), 66, 50002);
    assert_eq!(bench.node.known(), 1, "and the count has gone with them");
}

#[test]
fn a_node_that_answers_makes_room_at_its_address() {
    let mut bench = Bench::with(|config| config.limits.half_known_per_address_max = 1);
    for number in 2..50 {
        bench.beacon(ours(number), 2, 50000 + u16::from(number));
        let mut other = bench.connect(ours(number));
        other.say(&mut bench, Command::Hello(hello(50000 + u16::from(number), &[])));
    }
    assert_eq!(bench.node.present().count(), 48);
}

#[test]
fn peers_max_is_met_and_not_passed_by_beacon_or_hello() {
    let mut bench = Bench::with(|config| config.limits.peers_max = 3);
    for number in 0..10 {
        bench.beacon(fake(number), 66, 50002);
    }
    let mut other = bench.connect(foreign(2));
    other.say(&mut bench, Command::Hello(hello(50002, &[])));
    assert_eq!((bench.node.known(), bench.told()), (3, Vec::new()));
}

#[test]
fn connections_are_at_most_twice_the_peers_and_one_more_is_closed() {
    let mut bench = Bench::with(|config| config.limits.peers_max = 2);
    let last = (0..5).map(|number| bench.connect(fake(number)).peer).last().unwrap();
    assert!(bench.closed(last));
    assert_eq!(bench.node.counters().full, 1);
}

#[test]
fn a_connection_that_says_nothing_is_closed_and_one_that_said_hello_is_not() {
    let mut bench = Bench::new();
    let silent = bench.connect(foreign(3));
    let other = bench.enter(foreign(2), &[]);
    bench.wait(millis(10_000));
    assert!(bench.closed(silent.peer) && !bench.closed(other.peer));
    assert_eq!(bench.node.counters().silent, 1);
}

#[test]
fn an_identity_that_is_none_of_zre_is_closed_at_once() {
    let mut bench = Bench::new();
    for (number, identity) in [&b""[..], b"worker-1", &[1; 16], &[2; 17]].into_iter().enumerate() {
        let peer = PeerId(1000 + u64::try_from(number).unwrap());
        bench.handle(Input::Connected { peer, identity: Bytes::copy_from_slice(identity), key: None });
        assert!(bench.closed(peer), "{identity:?}");
        bench.raw(peer, Message { sequence: 1, command: Command::Hello(hello(50002, &[])) }.encode());
    }
    assert_eq!((bench.told(), bench.node.counters().faults), (Vec::new(), 4));
}

#[test]
fn a_hello_of_a_million_groups_or_a_header_of_16_mib_is_not_let_in() {
    let mut bench = Bench::new();
    let mut other = bench.connect(foreign(2));
    let million = Hello { groups: vec![group("g"); 1_000_000], ..hello(50002, &[]) };
    other.say_numbered(&mut bench, 1, Command::Hello(million));
    let headers = [("h".to_owned(), "x".repeat(16 << 20))].into();
    other.say_numbered(&mut bench, 1, Command::Hello(Hello { headers, ..hello(50002, &[]) }));
    assert_eq!((bench.told(), bench.node.known(), bench.node.counters().faults), (Vec::new(), 0, 2));
    other.say_numbered(&mut bench, 1, Command::Hello(hello(50002, &[])));
    assert_eq!(bench.told(), ["enter other"], "the next good one is accepted");
}

#[test]
fn zre_groups_max_is_met_by_joins_and_one_more_is_counted() {
    let mut bench = Bench::new();
    let mut other = bench.enter(foreign(2), &[]);
    bench.told();
    for number in 0..limits::ZRE_GROUPS_MAX + 5 {
        let status = u8::try_from((number + 1) % 256).unwrap();
        other.say(&mut bench, Command::Join { group: group(&number.to_string()), status });
    }
    assert_eq!((bench.told().len(), bench.node.counters().full), (1024, 5));
    for number in 0..limits::ZRE_GROUPS_MAX + 5 {
        bench.handle(Input::Join(group(&number.to_string())));
    }
    assert_eq!(bench.node.groups().len(), 1024);
}

#[test]
fn table_bytes_max_is_met_and_comes_free_again() {
    let mut bench = Bench::with(|config| config.limits.table_bytes_max = 10_000);
    let headers: BTreeMap<_, _> = [("h".to_owned(), "x".repeat(6000))].into();
    let large = |port| Command::Hello(Hello { headers: headers.clone(), ..hello(port, &[]) });
    let mut first = bench.connect(foreign(2));
    first.say(&mut bench, large(50002));
    let mut second = bench.connect(foreign(3));
    second.say(&mut bench, large(50003));
    assert_eq!((bench.told(), bench.node.counters().full), (vec!["enter other".to_owned()], 1));
    assert!(bench.closed(second.peer));
    first.say(&mut bench, Command::Goodbye);
    let mut third = bench.connect(foreign(4));
    third.say(&mut bench, large(50004));
    assert_eq!(bench.told(), ["exit other left", "enter other"]);
}

#[test]
fn a_hello_in_the_name_of_a_node_that_is_there_and_listens_elsewhere_is_turned_away() {
    let mut bench = Bench::new();
    bench.enter(ours(2), &[]);
    bench.outputs.clear();
    let mut thief = bench.connect(ours(2));
    thief.say(&mut bench, Command::Hello(hello(50666, &[])));
    assert!(bench.closed(thief.peer));
    assert_eq!((bench.told(), bench.node.counters().taken), (Vec::new(), 1));
    // Once the node is silent, its name is free.
    bench.wait(millis(2000));
    let mut heir = bench.connect(ours(2));
    heir.say(&mut bench, Command::Hello(hello(50666, &[])));
    assert_eq!(bench.told(), ["exit other restarted", "enter other"]);
}

#[test]
fn two_nodes_of_one_name_are_two_nodes() {
    let mut bench = Bench::new();
    bench.enter(ours(2), &[]);
    let mut twin = bench.connect(ours(3));
    twin.say(&mut bench, Command::Hello(hello(50003, &[])));
    assert_eq!(bench.told(), ["enter other", "enter other"]);
    twin.say(&mut bench, Command::Goodbye);
    assert_eq!(bench.node.present().collect::<Vec<_>>(), [ours(2)]);
}

#[test]
fn a_hello_with_our_own_endpoint_or_without_a_usable_one_is_refused() {
    let mut bench = Bench::new();
    for endpoint in ["tcp://10.77.0.1:50001", "", "udp://10.0.0.1:1", "tcp://10.0.0.1", "tcp://10.0.0.1:0"] {
        let mut other = bench.connect(foreign(2));
        other.say(&mut bench, Command::Hello(Hello { endpoint: endpoint.into(), ..hello(50002, &[]) }));
        assert_eq!((bench.told(), bench.connects()), (Vec::new(), Vec::new()), "{endpoint}");
    }
}
