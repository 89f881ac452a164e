//! Several meshes on one wire never mix.

use protocol::zre::Command;

use super::*;

fn prod() -> Bench {
    Bench::with(|config| {
        config.id = marking::mark([1; 16], "prod");
        config.mesh = "prod".into();
    })
}

fn hello_of(mesh: &str) -> Hello {
    let headers = [("X-MESH".to_owned(), mesh.to_owned())].into();
    Hello { headers, ..hello(50002, &[]) }
}

#[test]
fn a_node_of_ours_in_another_mesh_is_known_by_its_beacon_and_costs_no_connection() {
    for (mut bench, other) in [(prod(), "test"), (prod(), ""), (Bench::new(), "prod")] {
        let node = marking::mark([2; 16], other);
        bench.beacon(node, 2, 50002);
        let connection = bench.connect(node);
        assert!(bench.closed(connection.peer));
        assert_eq!((bench.connects(), bench.node.known(), bench.node.counters().other_mesh), (Vec::new(), 0, 2));
    }
}

#[test]
fn nodes_of_one_mesh_find_each_other_and_name_it_in_hello() {
    let mut bench = prod();
    let node = marking::mark([2; 16], "prod");
    bench.beacon(node, 2, 50002);
    let said = bench.said(node);
    assert!(matches!(&said[..], [(1, Command::Hello(hello))] if hello.headers["X-MESH"] == "prod"));
    let mut other = bench.connect(node);
    other.say(&mut bench, Command::Hello(hello_of("prod")));
    assert_eq!(bench.told(), ["enter other"]);
}

#[test]
fn a_foreign_node_is_told_nothing_by_a_named_mesh_until_it_names_it() {
    let mut bench = prod();
    bench.beacon(foreign(2), 2, 50002);
    assert_eq!((bench.connects(), bench.said(foreign(2))), (Vec::new(), Vec::new()));
    let mut other = bench.connect(foreign(2));
    other.say(&mut bench, Command::Hello(hello(50002, &[])));
    assert_eq!((bench.told(), bench.connects()), (Vec::new(), Vec::new()));
    let mut other = bench.connect(foreign(2));
    other.say(&mut bench, Command::Hello(hello_of("prod")));
    assert_eq!(bench.told(), ["enter other"]);
    assert!(matches!(bench.said(foreign(2))[..], [(1, Command::Hello(_))]));
}

#[test]
fn a_foreign_node_of_a_named_mesh_is_a_stranger_to_the_others_and_its_beacons_lead_to_nothing() {
    let mut bench = Bench::new();
    bench.beacon(foreign(2), 2, 50002);
    let mut other = bench.connect(foreign(2));
    bench.outputs.clear();
    other.say(&mut bench, Command::Hello(hello_of("prod")));
    assert!(bench.closed(other.peer) && bench.outputs.contains(&Output::Disconnect { node: foreign(2) }));
    bench.outputs.clear();
    for _ in 0..60 {
        bench.wait(millis(1000));
        bench.beacon(foreign(2), 2, 50002);
    }
    assert_eq!((bench.connects(), bench.told()), (Vec::new(), Vec::new()));
    bench.wait(millis(30_000));
    assert_eq!(bench.node.known(), 0, "forgotten once it is silent");
}

#[test]
fn two_names_of_one_hash_are_told_apart_by_hello() {
    let mut bench = prod();
    let mut other = bench.connect(marking::mark([2; 16], "prod"));
    other.say(&mut bench, Command::Hello(hello_of("other name")));
    assert!(bench.closed(other.peer));
    assert_eq!((bench.told(), bench.said(other.id)), (Vec::new(), Vec::new()));
}

#[test]
fn a_node_with_a_key_is_invisible_to_one_without() {
    let mut bench = Bench::new();
    let octets = Beacon { node: foreign(2), port: 50002, key: Some([7; 32]) }.encode();
    bench.handle(Input::Beacon { from: source(2), octets });
    assert_eq!((bench.connects(), bench.node.known()), (Vec::new(), 0));
}
