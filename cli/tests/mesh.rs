//! The mesh as its users have it: processes on machines of their own, joined by a bridge; PyPI's zeromq-pyre is one.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::node::Node;
use common::{command, python, run, stderr, stdout, wait_until};
use fixtures::Network;

fn chat(network: &Network, machine: usize, name: &str, more: &[&str]) -> Node {
    let words = ["--json", "mesh", "chat", "--name", name, "--group", "CHAT"];
    Node::start(network.on(machine, &command(&[&words[..], more].concat())))
}

fn watch(network: &Network, machine: usize, more: &[&str]) -> Node {
    Node::start(network.on(machine, &command(&[&["--json", "mesh", "watch"][..], more].concat())))
}

/// A node of zeromq-pyre, in the group CHAT.
fn pyre(network: &Network, machine: usize, name: &str, headers: &[&str]) -> Option<Node> {
    pyre_of("pyre", network, machine, name, headers)
}

/// A node of zeromq-pyre (`pyre`) or of pyre-gevent (`pyre_gevent`), in the group CHAT.
fn pyre_of(module: &str, network: &Network, machine: usize, name: &str, headers: &[&str]) -> Option<Node> {
    let mut command: Command = python(&format!("zmq, {module}"))?;
    command.arg(format!("{}/tests/peers/pyre_node.py", env!("CARGO_MANIFEST_DIR"))).args([module, name]).args(headers);
    let mut node = Node::start(network.on(machine, &command));
    node.say("join CHAT");
    Some(node)
}

fn of(event: &'static str, name: &'static str) -> [(&'static str, &'static str); 2] {
    [("event", event), ("name", name)]
}

fn meets(one: &mut Node, name: &'static str) {
    one.hears(&of("ENTER", name));
    one.hears(&[("event", "JOIN"), ("name", name), ("group", "CHAT")]);
}

#[test]
fn pyre_and_ours_enter_join_shout_whisper_leave_and_exit_both_ways() {
    all_both_ways("pyre");
}

#[test]
fn pyre_gevent_and_ours_enter_join_shout_whisper_leave_and_exit_both_ways() {
    all_both_ways("pyre_gevent");
}

fn all_both_ways(module: &str) {
    let Some(network) = Network::new(2) else { return };
    let theirs = |headers: &[&str]| pyre_of(module, &network, 2, "theirs", headers);
    let mut ours = chat(&network, 1, "ours", &[]);
    let Some(mut first) = theirs(&["X-COLOUR=blue"]) else { return };
    let entered = ours.hears(&of("ENTER", "theirs"));
    assert_eq!(entered["headers"]["X-COLOUR"], "blue");
    assert!(entered["endpoint"].as_str().unwrap().starts_with("tcp://10.77.0.2:"), "{entered}");
    let seen = first.hears(&of("ENTER", "ours"));
    assert!(seen["endpoint"].as_str().unwrap().starts_with("tcp://10.77.0.1:"), "{seen}");
    ours.hears(&[
        ("event", "JOIN"),
        ("name", "theirs"),
        ("group", "CHAT"),
        ("uuid", entered["uuid"].as_str().unwrap()),
    ]);
    first.hears(&[("event", "JOIN"), ("name", "ours"), ("group", "CHAT"), ("uuid", seen["uuid"].as_str().unwrap())]);
    ours.say("hello all");
    first.hears(&[("event", "SHOUT"), ("name", "ours"), ("group", "CHAT"), ("body", "hello all")]);
    ours.say("/whisper theirs a secret");
    first.hears(&[("event", "WHISPER"), ("name", "ours"), ("body", "a secret")]);
    first.say("shout CHAT grüße");
    ours.hears(&[("event", "SHOUT"), ("name", "theirs"), ("group", "CHAT"), ("body", "grüße")]);
    first.say("whisper ours psst");
    ours.hears(&[("event", "WHISPER"), ("name", "theirs"), ("body", "psst")]);
    first.say("join OTHER");
    ours.hears(&[("event", "JOIN"), ("name", "theirs"), ("group", "OTHER")]);
    first.say("leave CHAT");
    ours.hears(&[("event", "LEAVE"), ("name", "theirs"), ("group", "CHAT")]);
    first.say("stop");
    ours.hears(&of("EXIT", "theirs"));
    let mut again = theirs(&[]).unwrap();
    meets(&mut ours, "theirs");
    meets(&mut again, "ours");
    assert_eq!(ours.end(), Some(0));
    again.hears(&of("EXIT", "ours"));
}

/// A node of PyPI's zre that stands for election in the group CHAT.
fn zre(network: &Network, machine: usize, uuid: &str) -> Option<Node> {
    let mut command: Command = python("zmq, zre")?;
    command.arg(format!("{}/tests/peers/zre_node.py", env!("CARGO_MANIFEST_DIR"))).args(["theirs", uuid, "CHAT"]);
    Some(Node::start(network.on(machine, &command)))
}

#[test]
fn zre_and_ours_agree_on_the_lowest_id_as_leader() {
    let Some(network) = Network::new(2) else { return };
    let mut ours = chat(&network, 1, "ours", &["--contest"]);
    // Where it is not the lowest it takes a number for a vote that it sends to nobody, and breaks the order of numbers.
    let uuid = "0".repeat(31) + "1";
    let Some(mut theirs) = zre(&network, 2, &uuid) else { return };
    theirs.hears(&of("ENTER", "ours"));
    ours.hears(&[("event", "JOIN"), ("name", "theirs"), ("group", "CHAT")]);
    for node in [&mut theirs, &mut ours] {
        node.hears(&[("event", "LEADER"), ("group", "CHAT"), ("uuid", &uuid), ("name", "theirs")]);
    }
}

#[test]
fn three_of_ours_have_one_leader_and_another_one_after_its_death() {
    let Some(network) = Network::new(4) else { return };
    let mut watcher = watch(&network, 4, &["--group", "CHAT"]);
    let names = ["one", "two", "three"];
    let mut nodes: Vec<Node> =
        names.iter().zip(1..).map(|(name, at)| chat(&network, at, name, &["--contest"])).collect();
    let ids = names.map(|name| watcher.hears(&of("ENTER", name))["uuid"].as_str().unwrap().to_owned());
    let lowest = |of: &[&String]| of.iter().min().unwrap().to_string();
    let first = lowest(&ids.iter().collect::<Vec<_>>());
    for node in nodes.iter_mut().chain([&mut watcher]) {
        node.hears(&[("event", "LEADER"), ("group", "CHAT"), ("uuid", &first)]);
    }
    let place = ids.iter().position(|id| *id == first).unwrap();
    nodes.remove(place).kill();
    let next = lowest(&ids.iter().filter(|id| **id != first).collect::<Vec<_>>());
    for node in nodes.iter_mut().chain([&mut watcher]) {
        node.hears(&[("event", "EXIT"), ("uuid", &first)]);
        node.hears(&[("event", "LEADER"), ("group", "CHAT"), ("uuid", &next)]);
    }
}

#[test]
fn top_shows_who_is_there_with_groups_and_leader_and_needs_a_terminal_or_json() {
    let Some(network) = Network::new(2) else { return };
    let mut watcher = watch(&network, 1, &[]);
    let mut one = chat(&network, 1, "one", &["--contest"]);
    let top = command(&["--json", "mesh", "top", "--interval", "200ms"]);
    let mut top = Node::start(network.on(2, &top));
    watcher.hears(&[("event", "LEADER"), ("name", "one")]);
    let row =
        |view: &serde_json::Value| view["nodes"].as_array().unwrap().iter().find(|row| row["name"] == "one").cloned();
    // Whoever is told who leads is known as a member.
    top.sees(|view| row(view).is_some_and(|row| row["leads"][0] == "CHAT"));
    one.say("hello");
    let seen = top.sees(|view| row(view).is_some_and(|row| row["messages"] == 1));
    assert_eq!((seen["groups"].as_u64(), seen["nodes"].as_array().unwrap().len()), (Some(1), 2), "{seen}");
    let none = run(&["mesh", "top", "--interface", "lo"]);
    assert_eq!((none.status.code(), stderr(&none).contains("--json")), (Some(2), true), "{}", stderr(&none));
}

#[test]
fn a_watch_joins_and_leaves_groups_as_pyre_sees_it_and_hears_every_group() {
    let Some(network) = Network::new(2) else { return };
    let Some(mut theirs) = pyre(&network, 2, "theirs", &[]) else { return };
    let mut all = watch(&network, 1, &[]);
    all.hears(&[("event", "JOIN"), ("group", "CHAT")]);
    theirs.hears(&[("event", "JOIN"), ("group", "CHAT")]);
    theirs.say("join SECOND");
    theirs.hears(&[("event", "JOIN"), ("group", "SECOND")]);
    theirs.say("shout SECOND to whom it may concern");
    all.hears(&[("event", "SHOUT"), ("group", "SECOND"), ("body", "to whom it may concern")]);
}

#[test]
fn an_idle_hour_in_short_pyre_is_never_called_evasive_and_never_leaves() {
    let Some(network) = Network::new(2) else { return };
    let mut ours = chat(&network, 1, "ours", &[]);
    let Some(mut theirs) = pyre(&network, 2, "theirs", &[]) else { return };
    meets(&mut ours, "theirs");
    meets(&mut theirs, "ours");
    let doubts = ["EVASIVE", "EXIT", "ENTER"];
    assert_eq!(ours.listen(Duration::from_secs(8), &doubts), [0; 0]);
    assert_eq!(theirs.listen(Duration::ZERO, &doubts), [0; 0]);
}

#[test]
fn a_killed_node_is_gone_everywhere_and_one_that_is_started_again_is_there() {
    let Some(network) = Network::new(3) else { return };
    let mut one = chat(&network, 1, "one", &[]);
    let mut two = chat(&network, 2, "two", &[]);
    let three = chat(&network, 3, "three", &[]);
    for node in [&mut one, &mut two] {
        meets(node, "three");
    }
    let killed = Instant::now();
    three.kill();
    for node in [&mut one, &mut two] {
        node.hears(&of("EXIT", "three"));
    }
    // Three seconds, and the patience that a busy machine needs.
    assert!(killed.elapsed() < Duration::from_secs(10), "{:?}", killed.elapsed());
    let mut three = chat(&network, 3, "three", &[]);
    for node in [&mut one, &mut two] {
        meets(node, "three");
    }
    meets(&mut three, "one");
    three.say("back");
    one.hears(&[("event", "SHOUT"), ("name", "three"), ("body", "back")]);
}

#[test]
fn a_cable_that_is_pulled_is_an_exit_and_put_back_an_enter() {
    let Some(network) = Network::new(2) else { return };
    let (mut one, mut two) = (chat(&network, 1, "one", &[]), chat(&network, 2, "two", &[]));
    meets(&mut one, "two");
    meets(&mut two, "one");
    network.cable(2, false);
    one.hears(&of("EXIT", "two"));
    two.hears(&of("EXIT", "one"));
    network.cable(2, true);
    meets(&mut one, "two");
    meets(&mut two, "one");
    one.say("again");
    two.hears(&[("event", "SHOUT"), ("name", "one"), ("body", "again")]);
}

#[test]
fn a_network_card_that_goes_away_is_an_exit_and_another_in_its_place_an_enter() {
    for more in [&[][..], &["--interface", "v0"], &["--interface", "v0", "--multicast", "ff02::1"]] {
        let Some(network) = Network::new(2) else { return };
        let (mut one, mut two) = (chat(&network, 1, "one", more), chat(&network, 2, "two", more));
        meets(&mut one, "two");
        meets(&mut two, "one");
        network.remove_card(2);
        one.hears(&of("EXIT", "two"));
        two.hears(&of("EXIT", "one"));
        network.insert_card(2);
        meets(&mut one, "two");
        meets(&mut two, "one");
        two.say("again");
        one.hears(&[("event", "SHOUT"), ("name", "two"), ("body", "again")]);
    }
}

#[test]
fn a_twentieth_or_a_tenth_of_all_packets_lost_is_no_exit() {
    for percent in [5, 10] {
        let Some(network) = Network::new(3) else { return };
        (1..=3).for_each(|machine| network.lose(machine, percent));
        let mut nodes: Vec<Node> =
            ["one", "two", "three"].iter().zip(1..).map(|(name, at)| chat(&network, at, name, &[])).collect();
        for (node, others) in nodes.iter_mut().zip([["two", "three"], ["one", "three"], ["one", "two"]]) {
            others.into_iter().for_each(|name| drop(node.hears(&of("ENTER", name))));
        }
        for node in &mut nodes {
            assert_eq!(node.listen(Duration::from_secs(3), &["EXIT", "EVASIVE"]), [0; 0], "{percent} %");
        }
    }
}

#[test]
fn ipv6_multicast_and_ipv4_multicast_join_machines_too() {
    for group in ["ff02::1", "239.192.7.1"] {
        let Some(network) = Network::new(2) else { return };
        let more = ["--multicast", group, "--interface", "v0"];
        let (mut one, mut two) = (chat(&network, 1, "one", &more), chat(&network, 2, "two", &more));
        meets(&mut one, "two");
        meets(&mut two, "one");
        one.say("over multicast");
        two.hears(&[("event", "SHOUT"), ("name", "one"), ("body", "over multicast")]);
        assert_eq!(two.end(), Some(0));
        one.hears(&of("EXIT", "two"));
    }
}

#[test]
fn meshes_of_two_names_on_one_wire_never_mix_and_a_foreign_node_joins_by_its_header() {
    let Some(network) = Network::new(4) else { return };
    let mut prod = chat(&network, 1, "prod", &["--mesh-name", "prod"]);
    let mut test = chat(&network, 2, "test", &["--mesh-name", "test"]);
    let Some(mut member) = pyre(&network, 3, "member", &["X-MESH=prod"]) else { return };
    let mut nameless = pyre(&network, 4, "nameless", &[]).unwrap();
    meets(&mut prod, "member");
    meets(&mut member, "prod");
    member.hears(&of("ENTER", "nameless"));
    nameless.hears(&of("ENTER", "member"));
    let entered = ["ENTER"];
    assert_eq!(test.listen(Duration::from_secs(2), &entered), [0; 0], "it is alone in its mesh");
    assert_eq!(prod.listen(Duration::ZERO, &entered), [0; 0]);
    assert_eq!(nameless.listen(Duration::ZERO, &entered), [0; 0]);
}

#[test]
fn where_nobody_hears_a_broadcast_any_member_introduces_all_and_takes_part_itself() {
    let Some(network) = Network::new(4) else { return };
    network.forbid_broadcast();
    let Some(mut pyre) = pyre(&network, 4, "pyre", &[]) else { return };
    let mut member = chat(&network, 1, "member", &["--peer", "10.77.0.4"]);
    let mut one = chat(&network, 2, "one", &["--peer", "10.77.0.1"]);
    let mut two = chat(&network, 3, "two", &["--peer", "10.77.0.1:5670"]);
    for (node, others) in [(&mut member, ["one", "two"]), (&mut one, ["member", "two"]), (&mut two, ["member", "one"])]
    {
        others.into_iter().for_each(|name| drop(node.hears(&of("ENTER", name))));
    }
    one.say("hello");
    two.hears(&[("event", "SHOUT"), ("name", "one"), ("body", "hello")]);
    member.hears(&[("event", "SHOUT"), ("name", "one"), ("body", "hello")]);
    let doubts = ["EXIT", "EVASIVE"];
    assert_eq!(two.listen(Duration::from_secs(4), &doubts), [0; 0], "they ask each other");
    // Whoever brought them together may go.
    member.kill();
    one.hears(&of("EXIT", "member"));
    two.say("still here");
    one.hears(&[("event", "SHOUT"), ("name", "two"), ("body", "still here")]);
    assert_eq!(pyre.listen(Duration::ZERO, &["ENTER"]), [0; 0], "it listens to its broadcast address alone");
}

/// Nodes on loopback that hear no beacons of each other.
fn apart(name: &str, beacon_port: &str, more: &[&str]) -> Node {
    let words = ["--json", "mesh", "chat", "--name", name, "--group", "CHAT", "--interface", "lo"];
    Node::start(command(&[&words[..], &["--beacon-port", beacon_port], more].concat()))
}

fn free_endpoint() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("tcp://{}", listener.local_addr().unwrap())
}

fn zgossip(words: &[&str]) -> Option<Node> {
    let mut command = python("ctypes; ctypes.CDLL('libczmq.so.4')")?;
    command.arg(format!("{}/tests/peers/zgossip.py", env!("CARGO_MANIFEST_DIR"))).args(words);
    Some(Node::start(command))
}

#[test]
fn nodes_that_hear_no_beacons_find_each_other_by_czmqs_gossip_hub() {
    let endpoint = free_endpoint();
    let Some(mut hub) = zgossip(&[&endpoint]) else { return };
    hub.hears(&[("event", "READY")]);
    let (mut one, mut two) =
        (apart("one", "25711", &["--gossip", &endpoint]), apart("two", "25712", &["--gossip", &endpoint]));
    meets(&mut one, "two");
    meets(&mut two, "one");
    one.say("by gossip");
    two.hears(&[("event", "SHOUT"), ("name", "one"), ("body", "by gossip")]);
    let doubts = ["EXIT", "EVASIVE"];
    assert_eq!(one.listen(Duration::from_secs(4), &doubts), [0; 0], "they ask each other");
}

#[test]
fn a_node_is_a_hub_for_others_and_for_czmq_and_takes_part_itself() {
    let endpoint = free_endpoint();
    let mut hub = apart("hub", "25713", &["--gossip-bind", &endpoint]);
    let key = "00112233445566778899AABBCCDDEEFF";
    let theirs = zgossip(&[&endpoint, key, "tcp://127.0.0.1:9"]);
    let (mut one, mut two) =
        (apart("one", "25714", &["--gossip", &endpoint]), apart("two", "25715", &["--gossip", &endpoint]));
    for (node, others) in [(&mut hub, ["one", "two"]), (&mut one, ["hub", "two"]), (&mut two, ["hub", "one"])] {
        others.into_iter().for_each(|name| drop(node.hears(&of("ENTER", name))));
    }
    let Some(mut theirs) = theirs else { return };
    let told: Vec<String> =
        (0..3).map(|_| theirs.hears(&[("event", "DELIVER")])["value"].as_str().unwrap().to_owned()).collect();
    assert!(told.iter().all(|value| value.starts_with("tcp://127.0.0.1:")), "{told:?}");
}

#[test]
fn an_interface_that_is_not_there_and_a_name_that_is_too_long_are_bad_usage() {
    let watch = run(&["mesh", "watch", "--interface", "nonexistent7"]);
    assert_eq!(watch.status.code(), Some(2));
    assert!(stderr(&watch).contains("nonexistent7") && stderr(&watch).contains("lo "), "{}", stderr(&watch));
    let chat = run(&["mesh", "chat", "--interface", "lo", "--group", "g", "--name", &"n".repeat(256)]);
    assert_eq!((chat.status.code(), stderr(&chat).contains("255")), (Some(2), true));
    let chat = run(&["mesh", "chat", "--group", "g", "--name", "n", "--multicast", "10.0.0.1"]);
    assert_eq!((chat.status.code(), stderr(&chat).contains("239.192.7.1")), (Some(2), true));
}

/// A broker, or a worker; killed when dropped.
struct Server(Child);

impl Server {
    fn start(mut command: Command) -> Self {
        Self(command.spawn().unwrap())
    }

    /// Waits until it is ready.
    fn ready(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with("ready tcp://"), "{line:?}");
        Self(child)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_worker_and_a_call_find_a_broker_of_which_they_have_no_address_and_follow_it_when_it_moves() {
    let Some(network) = Network::new(4) else { return };
    let broker = |machine, port: &str| {
        let bind = format!("tcp://0.0.0.0:{port}");
        Server::ready(network.on(machine, &command(&["broker", "--bind", &bind, "--insecure", "--mesh"])))
    };
    let call = || network.on(3, &command(&["call", "--broker", "mesh:", "echo", "hi"])).output().unwrap();
    let mut watcher = watch(&network, 3, &[]);
    // The worker is there first, and waits.
    let _worker = Server::start(network.on(2, &command(&["worker", "echo", "--broker", "mesh:app"])));
    let first = broker(1, "5555");
    let up = watcher.hears(&[("event", "SERVICE-UP"), ("name", "app"), ("service", "echo")]);
    assert_eq!(up["endpoint"], "tcp://10.77.0.1:5555");
    let answered = call();
    assert_eq!((stdout(&answered).as_str(), stderr(&answered).as_str()), ("hi\n", ""));
    let services = network.on(3, &command(&["services", "--broker", "mesh:", "--json"])).output().unwrap();
    assert!(stdout(&services).contains("\"service\":\"echo\",\"workers\":1"), "{}", stdout(&services));
    let offers = network.on(3, &command(&["services", "--mesh", "--json"])).output().unwrap();
    let offer: serde_json::Value = serde_json::from_str(stdout(&offers).trim()).unwrap();
    assert_eq!((offer["service"].as_str(), offer["broker"].as_str()), (Some("echo"), Some("app")));
    assert_eq!(offer["endpoint"], "tcp://10.77.0.1:5555");
    drop(first);
    watcher.hears(&[("event", "SERVICE-DOWN"), ("name", "app"), ("service", "echo")]);
    let _second = broker(4, "5556");
    let up = watcher.hears(&[("event", "SERVICE-UP"), ("name", "app"), ("service", "echo")]);
    assert_eq!(up["endpoint"], "tcp://10.77.0.4:5556", "the worker is at the new place");
    assert_eq!(stdout(&call()), "hi\n");
}

#[test]
fn a_broker_on_loopback_is_found_on_its_own_machine_by_its_name_and_one_of_another_name_is_not() {
    let here = ["--interface", "lo", "--beacon-port", "25680"];
    let run_here = |words: &[&str]| run(&[words, &here].concat());
    let broker = ["broker", "--bind", "tcp://127.0.0.1:0", "--mesh", "--name", "orders"];
    let _broker = Server::ready(command(&[&broker[..], &here].concat()));
    let worker = ["worker", "echo", "--broker", "mesh:orders"];
    let _worker = Server::start(command(&[&worker[..], &here].concat()));
    wait_until("the worker", || {
        stdout(&run_here(&["services", "--broker", "mesh:orders", "--json"])).contains("\"workers\":1")
    });
    let words = ["call", "--broker", "mesh:orders"];
    assert_eq!(stdout(&run(&[&words[..], &here, &["echo", "hi"]].concat())), "hi\n");
    let words = ["call", "--broker", "mesh:other", "--timeout", "300ms", "--retries", "1"];
    let nobody = run(&[&words[..], &here, &["echo", "hi"]].concat());
    assert_eq!(nobody.status.code(), Some(1));
    assert!(stderr(&nobody).contains("no broker was found by mesh:other"), "{}", stderr(&nobody));
}
