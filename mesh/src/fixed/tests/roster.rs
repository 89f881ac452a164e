//! The file: how it is read, and each way in which it can be wrong.

use super::super::roster::{Fault, Roster};

const ZMQNET: &str = r#"{
  "info": { "num_replicas": 3, "updated": "2017-07-13T13:36:53.158Z" },
  "replicas": [
    { "pid": 1000, "name": "alpha", "address": "localhost:3264",
      "host": "apollo", "ipaddr": "108.45.174.208", "port": 3264 },
    { "pid": 1001, "name": "bravo", "hostname": "bravo.example.com", "ip_address": "10.10.10.2",
      "domain": "b.example.com", "port": 3265 },
    { "pid": 1002, "name": "charlie", "domain": "c.example.com", "port": 3266,
      "description": "third", "aws_instance": {} }
  ]
}"#;

fn replicas(entries: &str) -> Result<Roster, Fault> {
    Roster::parse(&format!("{{\"replicas\": [{entries}]}}"), "")
}

fn where_is(entry: &str, own_host: &str) -> String {
    let file = format!("{{\"replicas\": [{{\"name\": \"a\", {entry}}}]}}");
    Roster::parse(&file, own_host).unwrap().members()[0].endpoint()
}

#[test]
fn a_file_of_zmqnet_and_one_of_its_kin_are_read_as_they_are() {
    let roster = Roster::parse(ZMQNET, "elsewhere").unwrap();
    let seen: Vec<_> = roster.members().iter().map(|member| (&*member.name, member.endpoint())).collect();
    let at = |text: &str| text.to_owned();
    assert_eq!(
        seen,
        [
            ("alpha", at("tcp://localhost:3264")),
            ("bravo", at("tcp://10.10.10.2:3265")),
            ("charlie", at("tcp://c.example.com:3266")),
        ]
    );
    assert_eq!(roster.others("bravo").len(), 2);
}

#[test]
fn a_member_is_reached_at_its_address_then_here_then_at_its_ip_then_by_its_names() {
    let all = r#""port": 1, "host": "apollo.local", "ipaddr": "10.0.0.1", "domain": "d.example""#;
    assert_eq!(where_is(&format!("{all}, \"address\": \"x.example:1\""), "apollo"), "tcp://x.example:1");
    assert_eq!(where_is(all, "apollo"), "tcp://localhost:1");
    assert_eq!(where_is(all, "zeus"), "tcp://10.0.0.1:1");
    assert_eq!(where_is(r#""port": 1, "host": "apollo", "domain": "d.example""#, ""), "tcp://d.example:1");
    assert_eq!(where_is(r#""port": 1, "host": "apollo", "domain": """#, ""), "tcp://apollo:1");
    assert_eq!(where_is(r#""port": 1, "address": "", "ip_address": "fe80::1""#, ""), "tcp://[fe80::1]:1");
    assert_eq!(where_is(r#""address": "[::1]:7""#, ""), "tcp://[::1]:7");
    assert_eq!(where_is(r#""address": "tcp://10.0.0.1:7", "port": 7"#, ""), "tcp://10.0.0.1:7");
    assert_eq!(where_is(r#""address": "10.0.0.1", "port": 7"#, ""), "tcp://10.0.0.1:7");
}

#[test]
fn a_member_on_loopback_listens_there_and_any_other_everywhere() {
    let bind =
        |entry: &str| replicas(&format!("{{\"name\": \"a\", \"address\": \"{entry}\"}}")).unwrap().members()[0].bind();
    assert_eq!(bind("localhost:1"), "tcp://127.0.0.1:1");
    assert_eq!(bind("127.0.0.3:1"), "tcp://127.0.0.3:1");
    assert_eq!(bind("[::1]:1"), "tcp://[::1]:1");
    assert_eq!(bind("10.0.0.1:1"), "tcp://*:1");
    assert_eq!(bind("a.example:1"), "tcp://*:1");
}

#[test]
fn a_member_of_this_machine_is_reached_at_localhost_and_listens_for_all_others_too() {
    let alpha = r#"{"replicas": [{"name": "alpha", "hostname": "apollo", "ip_address": "10.0.0.1", "port": 7}]}"#;
    let here = Roster::parse(alpha, "apollo").unwrap();
    assert_eq!(here.members()[0].endpoint(), "tcp://localhost:7");
    assert_eq!(here.members()[0].bind(), "tcp://*:7");
    let loopback = Roster::parse(&alpha.replace("10.0.0.1", "127.0.0.2"), "apollo").unwrap();
    assert_eq!(loopback.members()[0].bind(), "tcp://127.0.0.2:7");
    let named = Roster::parse(&alpha.replace("\"ip_address\": \"10.0.0.1\", ", ""), "apollo").unwrap();
    assert_eq!(
        (named.members()[0].bind(), named.members()[0].endpoint()),
        ("tcp://*:7".into(), "tcp://localhost:7".into())
    );
}

#[test]
fn a_host_is_this_one_by_its_first_label_or_where_this_one_has_a_full_name_by_all_of_it() {
    let reached =
        |host: &str, own: &str| where_is(&format!("\"host\": \"{host}\", \"ipaddr\": \"10.0.0.1\", \"port\": 1"), own);
    for (host, own) in [("apollo", "apollo"), ("Apollo.example", "apollo"), ("db.us", "db.us"), ("DB.us", "db.US")] {
        assert_eq!(reached(host, own), "tcp://localhost:1", "{host} at {own}");
    }
    for (host, own) in [("db.eu", "db.us"), ("db", "db.us"), ("apollo", "apo"), ("apollo", ""), ("", "")] {
        assert_eq!(reached(host, own), "tcp://10.0.0.1:1", "{host} at {own}");
    }
}

#[test]
fn what_zmqnet_takes_is_taken() {
    for (entry, endpoint, bind) in [
        // A port of 0 is none, as Go leaves it.
        (r#""address": "10.0.0.1:5", "port": 0"#, "tcp://10.0.0.1:5", "tcp://*:5"),
        (r#""address": "10.0.0.1:0", "port": 5"#, "tcp://10.0.0.1:5", "tcp://*:5"),
        // zmqnet looks at `port` alone, and all have to meet.
        (r#""address": "10.0.0.1:5", "port": 6"#, "tcp://10.0.0.1:6", "tcp://*:6"),
        (r#""ip_address": "node7.example", "port": 5"#, "tcp://node7.example:5", "tcp://*:5"),
        (r#""ip_address": "localhost", "port": 5"#, "tcp://localhost:5", "tcp://127.0.0.1:5"),
        (r#""address": ":5", "ipaddr": "10.0.0.1""#, "tcp://10.0.0.1:5", "tcp://*:5"),
        (r#""address": "*:5", "ipaddr": "10.0.0.1", "port": 6"#, "tcp://10.0.0.1:6", "tcp://*:6"),
        (r#""address": "tcp://:5", "domain": "d.example""#, "tcp://d.example:5", "tcp://*:5"),
        (r#""pid": 70000, "address": "10.0.0.1:5""#, "tcp://10.0.0.1:5", "tcp://*:5"),
        (r#""pid": "first", "address": "10.0.0.1:5""#, "tcp://10.0.0.1:5", "tcp://*:5"),
    ] {
        let roster = replicas(&format!("{{\"name\": \"a\", {entry}}}")).unwrap();
        let member = &roster.members()[0];
        assert_eq!((&*member.endpoint(), &*member.bind()), (endpoint, bind), "{entry}");
    }
    let twice = r#"{"name": "a", "address": "h:1"}, {"name": "b", "address": "h:1"}"#;
    assert_eq!(replicas(twice).unwrap().members().len(), 2, "one address for two");
}

#[test]
fn each_bad_file_is_named_with_the_place_and_what_is_allowed() {
    let fine = r#"{"name": "a", "address": "h:1"}"#;
    for (entries, parts) in [
        ("", ["0 replicas", "1 to 1024"]),
        ("7", ["replicas[0]: entry: a number", "an object"]),
        (r#"{"port": 1}"#, ["replicas[0]: name: missing", "1 to 255 bytes"]),
        (r#"{"name": "", "address": "h:1"}"#, ["name: 0 bytes", "1 to 255 bytes"]),
        (r#"{"name": "a\nb", "address": "h:1"}"#, ["name: 3 bytes", "without control"]),
        (r#"{"name": 5}"#, ["replicas[0]: name: a number", "a text"]),
        (r#"{"name": "b", "ipaddr": "10.0.0.1"}"#, ["replicas[0] (b): port: missing", "1 to 65535"]),
        (r#"{"name": "b", "ipaddr": "10.0.0.1", "port": 0}"#, ["port: missing", "1 to 65535"]),
        (r#"{"name": "b", "address": "h"}"#, ["port: missing", "1 to 65535"]),
        (r#"{"name": "b", "ipaddr": "10.0.0.1", "port": 65536}"#, ["port: 65536", "1 to 65535"]),
        (r#"{"name": "b", "ipaddr": "10.0.0.1", "port": "1"}"#, ["port: a text", "1 to 65535"]),
        (r#"{"name": "b", "ipaddr": "10/8", "port": 1}"#, ["replicas[0] (b): ipaddr: \"10/8\"", "name of a host"]),
        (r#"{"name": "b", "ip_address": "a b", "port": 1}"#, ["replicas[0] (b): ip_address: \"a b\"", "IPv4 or IPv6"]),
        (r#"{"name": "b", "ip_address": "e\n", "port": 1}"#, ["ip_address: \"e\\n\"", "name of a host"]),
        (r#"{"name": "b", "hostname": "a/b", "port": 1}"#, ["hostname: \"a/b\"", "name of a host"]),
        (r#"{"name": "b", "domain": "a/b", "port": 1}"#, ["domain: \"a/b\"", "name of a host"]),
        (r#"{"name": "b", "port": 1}"#, ["address: missing", "HOST:PORT"]),
        (r#"{"name": "b", "address": ":1"}"#, ["address: \":1\", and no ipaddr", "HOST:PORT"]),
        (r#"{"name": "b", "address": "h:x"}"#, ["address: \"h:x\"", "HOST:PORT"]),
        (r#"{"name": "b", "address": "a b:1"}"#, ["address: \"a b:1\"", "HOST:PORT"]),
        (r#"{"name": "b", "host": "a/b", "port": 1}"#, ["host: \"a/b\"", "name of a host"]),
        (r#"{"name": "b", "address": "h:1", "port": -1}"#, ["port: -1", "1 to 65535"]),
        (&format!("{fine}, {}", fine.replace("h:1", "h:2")), ["replicas[0] (a) and replicas[1] (a)", "called \"a\""]),
    ] {
        let text = replicas(entries).unwrap_err().to_string();
        assert!(parts.iter().all(|part| text.contains(part)), "{entries}: {text}");
        assert_eq!(text.lines().count(), 1, "{text}");
    }
    let many = vec![fine; 1025].join(",");
    assert_eq!(replicas(&many), Err(Fault::Count(1025)));
    assert_eq!(Roster::parse("[]", ""), Err(Fault::Replicas));
    assert!(Roster::parse("{", "").unwrap_err().to_string().contains("line 1"));
    let unknown = Roster::parse(ZMQNET, "").unwrap().get("delta").unwrap_err().to_string();
    assert!(unknown.contains("delta") && unknown.contains("alpha, bravo, charlie"), "{unknown}");
}
