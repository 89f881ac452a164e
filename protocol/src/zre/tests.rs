//! Octets of the RFC and of Zyre, what breaks a rule, and any message there and back.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::frames::Frames;
use crate::limits;

fn octets(text: &str) -> Bytes {
    let digits: Vec<u8> = text.bytes().filter(|digit| !digit.is_ascii_whitespace()).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn node() -> NodeId {
    "00112233445566778899AABBCCDDEEFF".parse().unwrap()
}

fn group(name: &str) -> GroupName {
    name.parse().unwrap()
}

fn hello() -> Hello {
    Hello {
        endpoint: "tcp://10.77.0.1:49152".into(),
        groups: vec![group("GLOBAL")],
        status: 1,
        name: "4CEF42".into(),
        ..Hello::default()
    }
}

fn decoded(head: &[u8], content: &[&'static str]) -> Result<Message, PeerFault> {
    let mut frames = Frames::from([Bytes::copy_from_slice(head)]);
    frames.extend(content.iter().map(|frame| Bytes::from_static(frame.as_bytes())));
    Message::decode(frames)
}

#[test]
fn a_beacon_is_22_octets_and_54_with_a_key() {
    let plain = Beacon { node: node(), port: 49152, key: None };
    let wire = octets("5a5245 01 00112233445566778899aabbccddeeff c000");
    assert_eq!((plain.encode(), Beacon::decode(&wire)), (wire, Ok(plain.clone())));
    let keyed = Beacon { key: Some([7; 32]), ..plain };
    assert_eq!(keyed.encode().len(), BEACON_BYTES_MAX);
    assert_eq!(keyed.encode()[..4], *b"ZRE\x03");
    assert_eq!(Beacon::decode(&keyed.encode()), Ok(keyed));
}

#[test]
fn port_zero_says_that_the_node_leaves() {
    let leaving = Beacon { node: node(), port: 0, key: None };
    assert!(leaving.is_leaving() && Beacon::decode(&leaving.encode()).unwrap().is_leaving());
    assert!(!Beacon { port: 1, ..leaving }.is_leaving());
}

#[test]
fn a_beacon_of_another_size_version_or_beginning_is_a_fault() {
    let good = Beacon { node: node(), port: 1, key: None }.encode();
    let keyed = Beacon { node: node(), port: 1, key: Some([0; 32]) }.encode();
    let changed = |beacon: &Bytes, place: usize, octet: u8| {
        let mut beacon = beacon.to_vec();
        beacon[place] = octet;
        beacon
    };
    let bad = [
        Vec::new(),
        good[..21].to_vec(),
        [&good[..], &[0]].concat(),
        keyed[..53].to_vec(),
        [&keyed[..], &[0]].concat(),
        changed(&good, 3, 3),
        changed(&good, 3, 2),
        changed(&keyed, 3, 1),
        changed(&good, 0, b'z'),
    ];
    for beacon in bad {
        assert_eq!(Beacon::decode(&beacon), Err(PeerFault::Beacon), "{beacon:?}");
    }
}

#[test]
fn every_command_is_the_octets_that_zyre_sends() {
    let content = Frames::from(["Hello"]);
    let endpoint = "15 7463703a2f2f31302e37372e302e313a3439313532";
    for (sequence, command, head) in [
        (
            1,
            Command::Hello(hello()),
            format!("aaa1 01 02 0001 {endpoint} 00000001 00000006 474c4f42414c 01 06 344345463432 00000000"),
        ),
        (2, Command::Whisper { content: content.clone() }, "aaa102020002".into()),
        (2, Command::Shout { group: group("AB"), content: content.clone() }, "aaa1 03 02 0002 02 4142".into()),
        (3, Command::Join { group: group("AB"), status: 2 }, "aaa1 04 02 0003 02 4142 02".into()),
        (3, Command::Leave { group: group("AB"), status: 255 }, "aaa1 05 02 0003 02 4142 ff".into()),
        (3, Command::Ping, "aaa106020003".into()),
        (3, Command::PingOk, "aaa107020003".into()),
        (3, Command::Elect { group: group("AB"), challenger: "00".into() }, "aaa1 08 02 0003 02 4142 02 3030".into()),
        (3, Command::Leader { group: group("AB"), leader: "00".into() }, "aaa1 09 02 0003 02 4142 02 3030".into()),
        (65535, Command::Goodbye, "aaa1 0a 02 ffff".into()),
    ] {
        let message = Message { sequence, command };
        let frames = message.clone().encode();
        assert_eq!(frames[0], octets(&head), "{message:?}");
        assert_eq!(Message::decode(frames), Ok(message));
    }
}

#[test]
fn headers_are_a_dictionary_of_names_and_long_values() {
    let headers = [("X-A".to_owned(), "1".to_owned()), ("X-B".to_owned(), "v".repeat(300))].into();
    let message = Message { sequence: 1, command: Command::Hello(Hello { headers, ..hello() }) };
    let frames = message.clone().encode();
    let end = [&b"\0\0\0\x02\x03X-A\0\0\0\x011\x03X-B\0\0\x01\x2c"[..], "v".repeat(300).as_bytes()].concat();
    assert!(frames[0].ends_with(&end));
    assert_eq!(Message::decode(frames), Ok(message));
}

#[test]
fn each_malformed_message_is_a_fault_that_names_the_rule() {
    for (head, content, fault) in [
        ("", &[][..], PeerFault::Signature),
        ("aaa2 06 02 0001", &[], PeerFault::Signature),
        ("aaa1", &[], PeerFault::Cut("command")),
        ("aaa1 06", &[], PeerFault::Cut("version")),
        ("aaa1 06 03 0001", &[], PeerFault::Version(3)),
        ("aaa1 06 02 00", &[], PeerFault::Cut("sequence")),
        ("aaa1 0b 02 0001", &[], PeerFault::Command(11)),
        ("aaa1 00 02 0001", &[], PeerFault::Command(0)),
        ("aaa1 06 02 0001 00", &[], PeerFault::Trailing("PING")),
        ("aaa1 06 02 0001", &["x"], PeerFault::Trailing("PING")),
        ("aaa1 02 02 0001 00", &[], PeerFault::Trailing("WHISPER")),
        ("aaa1 04 02 0001 02 41", &[], PeerFault::Cut("group")),
        ("aaa1 04 02 0001 01 41", &[], PeerFault::Cut("status")),
        ("aaa1 04 02 0001 01 ff 01", &[], PeerFault::Text("group")),
        ("aaa1 01 02 0001 00 00000001 ffffffff", &[], PeerFault::Cut("group")),
        ("aaa1 01 02 0001 00 00000000 00 00 00000001 00 00000001", &[], PeerFault::Cut("header value")),
    ] {
        assert_eq!(decoded(&octets(head), content), Err(fault), "{head}");
    }
    assert_eq!(Message::decode(Frames::new()), Err(PeerFault::Signature));
}

#[test]
fn zre_groups_max_and_headers_max_are_met_and_not_passed() {
    let of_groups = |count: u32| {
        let count = usize::try_from(count).unwrap();
        Message { sequence: 1, command: Command::Hello(Hello { groups: vec![group("g"); count], ..hello() }) }
    };
    let most = limits::ZRE_GROUPS_MAX;
    assert!(Message::decode(of_groups(most).encode()).is_ok());
    let fault = PeerFault::Count { what: "groups", count: most + 1, allowed: most };
    assert_eq!(Message::decode(of_groups(most + 1).encode()), Err(fault));
    let of_headers = |count: u32| {
        let headers = (0..count).map(|number| (number.to_string(), String::new())).collect();
        Message { sequence: 1, command: Command::Hello(Hello { headers, ..hello() }) }
    };
    let most = limits::ZRE_HEADERS_MAX;
    assert!(Message::decode(of_headers(most).encode()).is_ok());
    let fault = PeerFault::Count { what: "headers", count: most + 1, allowed: most };
    assert_eq!(Message::decode(of_headers(most + 1).encode()), Err(fault));
}

#[test]
fn zre_command_bytes_max_is_met_and_not_passed_whatever_is_claimed() {
    let with_value = |bytes: usize| {
        let headers = [("h".to_owned(), "x".repeat(bytes))].into();
        Message { sequence: 1, command: Command::Hello(Hello { headers, ..hello() }) }.encode()
    };
    let rest = with_value(0)[0].len();
    assert!(Message::decode(with_value(limits::ZRE_COMMAND_BYTES_MAX - rest)).is_ok());
    let bytes = limits::ZRE_COMMAND_BYTES_MAX + 1;
    assert_eq!(Message::decode(with_value(bytes - rest)), Err(PeerFault::Bytes(bytes)));
    // A million groups, and a header of 16 MiB, that are only claimed.
    let claim = octets("aaa1 01 02 0001 00 000f4240");
    assert!(matches!(decoded(&claim, &[]), Err(PeerFault::Count { count: 1_000_000, .. })));
    let claim = octets("aaa1 01 02 0001 00 00000000 00 00 00000001 01 41 01000000");
    assert_eq!(decoded(&claim, &[]), Err(PeerFault::Cut("header value")));
}

#[test]
fn a_text_that_is_too_long_for_its_field_is_cut_at_a_character() {
    let name = "ü".repeat(200);
    let message = Message { sequence: 1, command: Command::Hello(Hello { name, ..hello() }) };
    let Ok(Message { command: Command::Hello(hello), .. }) = Message::decode(message.encode()) else { panic!() };
    assert_eq!(hello.name, "ü".repeat(127));
}

#[test]
fn a_node_is_17_octets_as_identity_and_32_digits_as_text() {
    assert_eq!(node().to_identity(), octets("01 00112233445566778899aabbccddeeff"));
    assert_eq!(NodeId::from_identity(&node().to_identity()), Some(node()));
    assert_eq!(node().to_string(), "00112233445566778899AABBCCDDEEFF");
    assert_eq!(node().default_name(), "001122");
    for identity in [&b""[..], b"\x01", &[1; 16], &[1; 18], &[2; 17]] {
        assert_eq!(NodeId::from_identity(identity), None, "{identity:?}");
    }
    for text in ["", "0011", "+0112233445566778899AABBCCDDEEFF", "0011223344556677 899AABBCCDDEEFF"] {
        assert!(text.parse::<NodeId>().is_err(), "{text}");
    }
}

fn any_group() -> impl Strategy<Value = GroupName> {
    "[ -~äß]{0,40}".prop_map(|text| GroupName::new(&text).unwrap())
}

fn any_frames() -> impl Strategy<Value = Frames> {
    prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20).prop_map(Bytes::from), 0..4).prop_map(Frames::from)
}

fn any_hello() -> impl Strategy<Value = Hello> {
    let headers = prop::collection::btree_map("[ -~]{0,20}", "[ -~ü]{0,60}", 0..5);
    ("[ -~]{0,40}", prop::collection::vec(any_group(), 0..5), any::<u8>(), ".{0,40}", headers)
        .prop_map(|(endpoint, groups, status, name, headers)| Hello { endpoint, groups, status, name, headers })
}

fn any_command() -> impl Strategy<Value = Command> {
    prop_oneof![
        any_hello().prop_map(Command::Hello),
        any_frames().prop_map(|content| Command::Whisper { content }),
        (any_group(), any_frames()).prop_map(|(group, content)| Command::Shout { group, content }),
        (any_group(), any::<u8>()).prop_map(|(group, status)| Command::Join { group, status }),
        (any_group(), any::<u8>()).prop_map(|(group, status)| Command::Leave { group, status }),
        Just(Command::Ping),
        Just(Command::PingOk),
        (any_group(), "[0-9A-F]{32}").prop_map(|(group, challenger)| Command::Elect { group, challenger }),
        (any_group(), "[0-9A-F]{32}").prop_map(|(group, leader)| Command::Leader { group, leader }),
        Just(Command::Goodbye),
    ]
}

proptest! {
    #[test]
    fn every_message_survives_encode_and_decode(sequence: u16, command in any_command()) {
        let message = Message { sequence, command };
        prop_assert_eq!(Message::decode(message.clone().encode()), Ok(message));
    }

    #[test]
    fn a_message_cut_short_is_never_a_panic(command in any_command(), keep in 0usize..80) {
        let mut frames: Vec<Bytes> = Message { sequence: 1, command }.encode().into_iter().collect();
        frames[0].truncate(keep);
        let _ = Message::decode(Frames::from(frames));
    }

    #[test]
    fn any_octets_as_a_beacon_are_a_fault_or_the_same_again(octets in prop::collection::vec(any::<u8>(), 0..80)) {
        if let Ok(beacon) = Beacon::decode(&octets) {
            prop_assert_eq!(&beacon.encode()[..], &octets[..]);
        }
    }
}
