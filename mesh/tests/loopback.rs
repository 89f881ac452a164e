//! Nodes on real sockets of this machine: one network interface, loopback, and a UDP port for each test.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::Duration;

use mesh::{Departure, Event, Events, Frames, GroupName, Interface, Mesh, Settings, Spread, Trust};
use runtime::zmtp::curve::{KeyPair, SecretKey};

fn settings(beacon_port: u16, name: &str) -> Settings {
    Settings {
        name: Some(name.to_owned()),
        interfaces: vec![Interface::Name("lo".into())],
        beacon_port,
        ..Settings::default()
    }
}

fn chat() -> GroupName {
    "CHAT".parse().unwrap()
}

/// The first event that is one; a minute is for ever.
async fn wait<T>(events: &mut Events, mut is: impl FnMut(Event) -> Option<T>) -> T {
    let found = async {
        loop {
            if let Some(found) = is(events.recv().await.expect("the node has not ended")) {
                return found;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), found).await.expect("waited in vain")
}

async fn entered(events: &mut Events, wanted: &str) -> mesh::NodeId {
    wait(events, |event| match event {
        Event::Enter { node, name, .. } if *name == *wanted => Some(node),
        _ => None,
    })
    .await
}

async fn exited(events: &mut Events, wanted: &str) -> Departure {
    wait(events, |event| match event {
        Event::Exit { name, departure, .. } if *name == *wanted => Some(departure),
        _ => None,
    })
    .await
}

async fn two_nodes_talk(spread: Spread, port: u16) {
    let of = |name| Settings { spread, ..settings(port, name) };
    let (alice, mut alice_hears) = Mesh::enter(of("alice")).await.unwrap();
    let (bob, mut bob_hears) = Mesh::enter(of("bob")).await.unwrap();
    let node = entered(&mut alice_hears, "bob").await;
    assert_eq!((node, entered(&mut bob_hears, "alice").await), (bob.id(), alice.id()));
    bob.join(chat()).await.unwrap();
    wait(&mut alice_hears, |event| matches!(event, Event::Join { group, .. } if group == chat()).then_some(())).await;
    alice.shout(chat(), Frames::from(["hello", "all"])).await.unwrap();
    let shouted = |event| match event {
        Event::Shout { node, content, .. } => Some((node, content)),
        _ => None,
    };
    assert_eq!(wait(&mut bob_hears, shouted).await, (alice.id(), Frames::from(["hello", "all"])));
    bob.whisper(alice.id(), Frames::from(["hush"])).await.unwrap();
    let whispered = |event| match event {
        Event::Whisper { node, content, .. } => Some((node, content)),
        _ => None,
    };
    assert_eq!(wait(&mut alice_hears, whispered).await, (bob.id(), Frames::from(["hush"])));
    bob.leave_group(chat()).await.unwrap();
    wait(&mut alice_hears, |event| matches!(event, Event::Leave { group, .. } if group == chat()).then_some(())).await;
    bob.leave().await;
    assert_eq!(exited(&mut alice_hears, "bob").await, Departure::Left);
}

#[tokio::test]
async fn two_nodes_find_each_other_talk_and_part_over_broadcast() {
    two_nodes_talk(Spread::Broadcast, 25_670).await;
}

#[tokio::test]
async fn two_nodes_find_each_other_talk_and_part_over_multicast() {
    two_nodes_talk(Spread::Multicast("239.192.7.7".parse().unwrap()), 25_671).await;
}

#[tokio::test]
async fn nodes_of_another_mesh_on_the_same_port_never_meet() {
    let prod = |name| Settings { mesh: "prod".into(), ..settings(25_673, name) };
    let (alice, mut alice_hears) = Mesh::enter(prod("alice")).await.unwrap();
    let (_nobody, mut nobody_hears) = Mesh::enter(settings(25_673, "nobody")).await.unwrap();
    let (_bob, mut bob_hears) = Mesh::enter(prod("bob")).await.unwrap();
    entered(&mut alice_hears, "bob").await;
    entered(&mut bob_hears, "alice").await;
    // By then each has heard the others' beacons: what a meeting needs, and it has not come to one.
    while alice.counters().other_mesh < 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let heard = tokio::time::timeout(Duration::ZERO, nobody_hears.recv()).await;
    assert!(heard.is_err(), "{heard:?}");
}

#[tokio::test]
async fn ten_nodes_are_whole_and_a_shout_reaches_all_others() {
    let mut nodes = Vec::new();
    for number in 0..10 {
        let groups = vec![chat()];
        nodes.push(Mesh::enter(Settings { groups, ..settings(25_674, &format!("node-{number}")) }).await.unwrap());
    }
    for (_, events) in &mut nodes {
        let mut seen = 0;
        wait(events, |event| {
            seen += usize::from(matches!(event, Event::Join { .. }));
            (seen == 9).then_some(())
        })
        .await;
    }
    let (first, rest) = nodes.split_first_mut().unwrap();
    first.0.shout(chat(), Frames::from(["all"])).await.unwrap();
    for (_, events) in rest {
        wait(events, |event| matches!(event, Event::Shout { .. }).then_some(())).await;
    }
}

#[tokio::test]
async fn a_message_too_large_for_anybody_is_refused_and_one_to_nobody_is_told() {
    let (mesh, mut events) = Mesh::enter(settings(25_675, "alone")).await.unwrap();
    let large = Frames::from([vec![0; 64 << 20]]);
    assert!(mesh.shout(chat(), large).await.unwrap_err().to_string().contains("allowed"));
    mesh.whisper(mesh.id(), Frames::from(["me?"])).await.unwrap();
    wait(&mut events, |event| matches!(event, Event::Undelivered { .. }).then_some(())).await;
    assert!(mesh.announce([("n".repeat(300), String::new())].into()).await.is_err());
}

fn keyed(port: u16, name: &str, secret: u8) -> Settings {
    let keys = KeyPair::new(SecretKey::from([secret; 32]));
    Settings { trust: Some(Trust::everybody(Arc::new(keys))), ..settings(port, name) }
}

#[tokio::test]
async fn nodes_with_keys_talk_sealed_and_one_without_is_not_there_for_them() {
    let (alice, mut alice_hears) = Mesh::enter(keyed(25_676, "alice", 1)).await.unwrap();
    let (_nobody, mut nobody_hears) = Mesh::enter(settings(25_676, "nobody")).await.unwrap();
    let (bob, mut bob_hears) = Mesh::enter(keyed(25_676, "bob", 2)).await.unwrap();
    entered(&mut alice_hears, "bob").await;
    entered(&mut bob_hears, "alice").await;
    bob.whisper(alice.id(), Frames::from(["hush"])).await.unwrap();
    let whispered = |event| match event {
        Event::Whisper { node, content, .. } => Some((node, content)),
        _ => None,
    };
    assert_eq!(wait(&mut alice_hears, whispered).await, (bob.id(), Frames::from(["hush"])));
    while alice.counters().other_mesh < 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(tokio::time::timeout(Duration::ZERO, nobody_hears.recv()).await.is_err());
}

#[tokio::test]
async fn a_key_that_is_not_accepted_comes_in_neither_by_beacon_nor_by_connection() {
    let of = |name, secret, accepted: u8| {
        let keys = Arc::new(KeyPair::new(SecretKey::from([secret; 32])));
        let accepted = KeyPair::new(SecretKey::from([accepted; 32])).public;
        Settings { trust: Some(Trust::of(keys, move |key| *key == accepted)), ..settings(25_677, name) }
    };
    let (_alice, mut alice_hears) = Mesh::enter(of("alice", 1, 2)).await.unwrap();
    // It accepts alice, who does not accept it: it tries to connect, and is refused.
    let (_eve, mut eve_hears) = Mesh::enter(of("eve", 3, 1)).await.unwrap();
    let (_bob, mut bob_hears) = Mesh::enter(of("bob", 2, 1)).await.unwrap();
    entered(&mut alice_hears, "bob").await;
    entered(&mut bob_hears, "alice").await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    for events in [&mut alice_hears, &mut eve_hears] {
        assert!(tokio::time::timeout(Duration::ZERO, events.recv()).await.is_err());
    }
}
