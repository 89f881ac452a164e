//! The allow file: what it gives, and how it says what is wrong.

use std::path::Path;

use protocol::rights::{PatternFault, Rights};
use runtime::zmtp::{Admission, Credentials, Decision, Principal, Proof, PublicKey};
use zeroize::Zeroizing;

use super::*;

const KEY: &str = "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID";

/// Reads a file whose users all have their file's name as password.
fn read(text: &str) -> Result<Peers, Error> {
    let mut password = |path: &Path| Ok(Zeroizing::new(path.display().to_string().into_bytes()));
    parse(Path::new("allow.toml"), text, &mut password)
}

fn key_rights(peers: &Peers) -> &Rights {
    let key: PublicKey = KEY.parse().unwrap();
    peers.rights(&Principal { proof: Proof::Key(key), admission: Admission::default() }).unwrap()
}

fn service(name: &str) -> protocol::ServiceName {
    name.parse().unwrap()
}

#[test]
fn a_key_has_the_rights_that_its_table_lists_and_no_others() {
    let text = format!("[[peer]]\nkey = \"{KEY}\"\nname = \"alice\"\ncall = [\"echo\", \"titanic.*\"]\nadmin = true");
    let peers = read(&text).unwrap();
    let rights = key_rights(&peers);
    assert_eq!(&*rights.name, "alice");
    assert!(rights.call.covers(&service("echo")) && rights.call.covers(&service("titanic.close")));
    assert!(!rights.call.covers(&service("MM")) && !rights.offer.covers(&service("echo")));
    assert!(rights.mmi && rights.admin);
    assert!(!rights.limits.is_any());
}

#[test]
fn an_absent_list_allows_nothing_and_mmi_is_the_default() {
    let peers = read(&format!("[[peer]]\nkey = \"{KEY}\"\nrequests-per-second = 5")).unwrap();
    let rights = key_rights(&peers);
    assert_eq!(&*rights.name, "Yne@$w-vo<", "without a name: the beginning of the key");
    assert!(!rights.call.covers(&service("echo")));
    assert!(rights.mmi && !rights.admin);
    assert_eq!(rights.limits.requests_per_second, std::num::NonZeroU32::new(5));
}

#[test]
fn a_user_comes_in_with_the_password_and_not_without() {
    let peers = read("[[peer]]\nuser = \"alice\"\npassword-file = \"hush\"\ncall = [\"*\"]").unwrap();
    let decide = |username: &[u8], password: &[u8]| peers.decide(&Credentials::Plain { username, password });
    assert!(matches!(decide(b"alice", b"hush"), Decision::Allow(admission) if &*admission.name == "alice"));
    for (name, password) in [("alice", "hush "), ("alice", ""), ("bob", "hush"), ("", "")] {
        assert!(matches!(decide(name.as_bytes(), password.as_bytes()), Decision::Refuse(_)), "{name}");
    }
    assert!(matches!(peers.decide(&Credentials::Null), Decision::Refuse(_)));
}

#[test]
fn an_empty_file_lets_nobody_in() {
    let peers = read("# nobody\n").unwrap();
    assert!(peers.is_empty());
    assert!(matches!(peers.decide(&Credentials::Curve(KEY.parse().unwrap())), Decision::Refuse(_)));
}

#[test]
fn what_is_wrong_is_one_line_with_file_line_and_what_is_allowed() {
    let key = format!("key = \"{KEY}\"");
    for (text, line, part) in [
        ("[[peer]]\nkey = \"short\"".to_owned(), 2, "key: a key has 40 characters of Z85, not 5"),
        (format!("[[peer]]\n\nkey = \"{}\"", KEY.replace('$', " ")), 3, "key: not Z85 at character 4"),
        (format!("[[peer]]\n{key}\ncal = []"), 3, "unknown field `cal`, expected one of"),
        (format!("[[peer]]\n{key}\n{key}"), 3, "duplicate key"),
        (format!("[[peer]]\n{key}\n[[peer]]\n{key}"), 4, "the same key as in line 2"),
        (format!("[[peer]]\n{key}\ncall = [\n\"a\",\n\"a*b\"]"), 5, "call: a * in the middle"),
        (format!("[[peer]]\n{key}\noffer = [\"\"]"), 3, "offer: service of 0 bytes (allowed: 1 to 255"),
        (format!("[[peer]]\n{key}\ncall = [\"mmi.filter\"]"), 3, "call: services under mmi. are the broker's own"),
        (format!("[[peer]]\n{key}\ncall = \"echo\""), 3, "invalid type: string \"echo\", expected a sequence"),
        (format!("[[peer]]\n{key}\nmmi = 1"), 3, "expected a boolean"),
        (format!("[[peer]]\n{key}\nname = \"\""), 3, "name of 0 bytes (allowed: 1 to 255"),
        (format!("[[peer]]\n{key}\nname = \"a\\nb\""), 3, "no control characters"),
        (format!("[[peer]]\n{key}\nin-flight-max = 0"), 3, "expected a nonzero u32"),
        (format!("[[peer]]\n{key}\npassword-file = \"x\""), 3, "a user has a password-file, and a key has none"),
        ("[[peer]]\nuser = \"a\"".to_owned(), 2, "a user has a password-file"),
        ("\n[[peer]]\nname = \"a\"".to_owned(), 2, "a peer is a key or a user"),
        (format!("[[peer]]\n{key}\nuser = \"a\""), 1, "a peer is a key or a user"),
        ("[[peers]]\n".to_owned(), 1, "unknown field `peers`, expected `peer`"),
        ("[[peer]]\nkey = ".to_owned(), 2, ""),
    ] {
        let error = read(&text).unwrap_err();
        let shown = error.to_string();
        assert!(shown.starts_with(&format!("allow.toml: line {line}: ")) && shown.contains(part), "{text}: {shown}");
        assert_eq!(shown.lines().count(), 1, "{shown}");
    }
}

#[test]
fn a_fault_is_a_value_too() {
    let error = read(&format!("[[peer]]\nkey = \"{KEY}\"\ncall = [\"**\"]")).unwrap_err();
    assert!(matches!(error.reason, Reason::Pattern { list: "call", fault: PatternFault::Star }));
}

#[test]
fn peers_max_is_met_and_not_passed() {
    let of = |count: usize| {
        let peer = |number| format!("[[peer]]\nuser = \"u{number}\"\npassword-file = \"x\"\n");
        read(&(0..count).map(peer).collect::<String>())
    };
    assert_eq!(of(PEERS_MAX).unwrap().len(), PEERS_MAX);
    let error = of(PEERS_MAX + 1).unwrap_err();
    assert!(matches!(error.reason, Reason::PeerCount));
    assert_eq!(error.line, Some(PEERS_MAX * 3 + 1));
}

#[test]
fn patterns_max_is_met_and_not_passed() {
    let of = |count: usize| {
        let list = (0..count).map(|number| format!("\"s{number}\",")).collect::<String>();
        read(&format!("[[peer]]\nkey = \"{KEY}\"\ncall = [{list}]"))
    };
    assert!(of(PATTERNS_MAX).is_ok());
    assert!(matches!(of(PATTERNS_MAX + 1).unwrap_err().reason, Reason::PatternCount("call")));
}

#[test]
fn file_bytes_max_is_met_and_not_passed() {
    let of = |count: usize| read(&format!("#{}", "x".repeat(count - 1)));
    assert!(of(FILE_BYTES_MAX).is_ok());
    assert!(matches!(of(FILE_BYTES_MAX + 1).unwrap_err().reason, Reason::FileLength));
}

#[test]
fn name_bytes_max_is_met_and_not_passed() {
    let of = |count: usize| read(&format!("[[peer]]\nkey = \"{KEY}\"\nname = \"{}\"", "x".repeat(count)));
    assert!(of(NAME_BYTES_MAX).is_ok());
    assert!(matches!(of(NAME_BYTES_MAX + 1).unwrap_err().reason, Reason::Name { field: "name", bytes: 256 }));
}

#[test]
fn no_password_is_shown() {
    let peers = read("[[peer]]\nuser = \"alice\"\npassword-file = \"hush\"").unwrap();
    let shown = format!("{peers:?}");
    assert!(shown.contains("alice") && !shown.contains("hush"), "{shown}");
}

#[test]
fn who_came_in_with_a_password_that_has_changed_does_not_stay() {
    let of = |password| read(&format!("[[peer]]\nuser = \"a\"\npassword-file = \"{password}\"")).unwrap();
    let shown = Credentials::Plain { username: b"a", password: b"old" };
    let Decision::Allow(admission) = of("old").decide(&shown) else { panic!("not let in") };
    let principal = Principal { proof: Proof::User("a".into()), admission };
    assert!(of("old").rights(&principal).is_some());
    assert!(of("new").rights(&principal).is_none());
    assert!(Peers::default().rights(&principal).is_none());
}
