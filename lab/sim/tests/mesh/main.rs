//! The mesh machine, many times over, on a wire that loses and is cut: who is said to be gone is gone, and who is gone
//! is said to be. Print the figures of more nodes with `MAJORDOMO_TEST_MESH_NODES=1000` and `--release -- --nocapture`.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]
#![allow(unreachable_pub, reason = "the parts of a test program")]

mod election;
mod world;

use std::collections::BTreeSet;
use std::time::Duration;

use mesh::{Counters, Departure};
use world::{World, millis};

/// How many nodes the largest runs have.
fn most() -> usize {
    std::env::var("MAJORDOMO_TEST_MESH_NODES").ok().map_or(60, |text| text.parse().unwrap())
}

/// What was sent between two looks, for a node and a second: datagrams, commands, octets.
fn rates(before: &[Counters], after: &[Counters], time: Duration) -> [f64; 3] {
    let sum = |counters: &[Counters], of: fn(&Counters) -> u64| counters.iter().map(of).sum::<u64>() as f64;
    let per = |of| (sum(after, of) - sum(before, of)) / after.len() as f64 / time.as_secs_f64();
    [
        per(|counters| counters.beacons_sent),
        per(|counters| counters.commands_sent),
        per(|counters| counters.discovery_octets_sent),
    ]
}

#[test]
fn all_are_joined_within_a_second_of_the_last_start() {
    for (seed, count) in [(1, 10), (2, 50), (3, most())] {
        let mut world = World::new(seed, 0);
        world.start(count);
        world.run(millis(1000));
        let took = world.until_whole();
        assert!(took <= millis(1000), "{count} nodes: {took:?}");
    }
}

#[test]
fn with_a_tenth_of_all_packets_lost_nobody_is_said_to_be_gone() {
    let count = most();
    let mut world = World::new(7, 100);
    world.start(count);
    world.run(millis(1000));
    let took = world.until_whole();
    assert!(took <= millis(5000), "{took:?}");
    world.run(Duration::from_secs(60));
    assert_eq!((&world.exits[..], world.is_whole()), (&[][..], true));
    assert_eq!(world.evasive, [], "nor evasive");
}

#[test]
fn an_hour_of_it_is_no_exit() {
    let mut world = World::new(8, 100);
    world.start(10);
    world.run(millis(1000));
    world.until_whole();
    world.run(Duration::from_secs(3600));
    assert_eq!((&world.exits[..], world.is_whole()), (&[][..], true));
}

#[test]
fn every_death_is_seen_by_everybody_within_three_seconds_also_where_packets_are_lost() {
    for loss in [0, 100] {
        let mut world = World::new(11, loss);
        world.start(most());
        world.run(millis(1000));
        world.until_whole();
        let others = world.places.len() - 1;
        for victim in [0, 5, 9] {
            let died = world.now;
            let dead = world.kill(victim);
            world.run(millis(3200));
            let seen: BTreeSet<usize> = world.exits.iter().filter(|exit| exit.1 == dead).map(|exit| exit.0).collect();
            assert_eq!(seen.len(), others, "loss {loss}");
            assert!(world.exits.iter().all(|(_, id, why, at)| *id == dead && *why == Departure::Expired && *at > died));
            world.exits.clear();
            world.revive(victim, world.now);
            world.until_whole();
            assert_eq!(world.exits, [], "the same name with a new identity, and nobody else is gone");
        }
    }
}

#[test]
fn whoever_leaves_is_gone_at_once() {
    let mut world = World::new(13, 0);
    world.start(30);
    world.run(millis(1000));
    world.until_whole();
    world.leave(3);
    world.run(millis(10));
    let why: Vec<Departure> = world.exits.iter().map(|exit| exit.2).collect();
    assert_eq!(why, [Departure::Left; 29]);
}

#[test]
fn a_cut_is_seen_on_both_sides_and_heals_whole_however_long_it_was() {
    for (seed, seconds) in [(17, 1), (18, 2), (19, 4), (20, 30)] {
        let mut world = World::new(seed, 20);
        world.start(40);
        world.run(millis(1000));
        world.until_whole();
        world.places.iter_mut().step_by(2).for_each(|place| place.side = 1);
        world.run(Duration::from_secs(seconds));
        if seconds > 3 {
            assert!(world.is_whole(), "each side sees itself and nobody else");
        } else if seconds == 1 {
            assert_eq!(world.exits, [], "a cut that is shorter than our patience is no exit");
        }
        world.heal();
        world.until_whole();
        world.run(Duration::from_secs(10));
        assert!(world.is_whole(), "{seconds} s");
        let lost_or_restarted = |why| matches!(why, Departure::Expired | Departure::Restarted | Departure::Gap);
        assert!(world.exits.iter().all(|exit| lost_or_restarted(exit.2)));
    }
}

#[test]
fn nodes_that_come_and_go_all_the_time_leave_a_mesh_that_is_whole() {
    let mut world = World::new(23, 50);
    world.start(30);
    for round in 0..40 {
        world.run(millis(700));
        let place = usize::try_from(world.random(30)).unwrap();
        match round % 2 {
            0 => drop(world.kill(place)),
            _ => world.leave(place),
        }
        world.revive(place, world.now);
    }
    world.run(Duration::from_secs(5));
    world.until_whole();
    world.exits.clear();
    world.run(Duration::from_secs(20));
    assert_eq!((world.exits.len(), world.is_whole()), (0, true));
}

#[test]
fn what_a_node_sends_to_be_seen_does_not_grow_with_the_mesh() {
    println!("nodes  beacons/s  commands/s  octets/s     (each node, once all are joined)");
    let mut seen = Vec::new();
    for count in [10, 50, most()] {
        let mut world = World::new(29, 0);
        world.start(count);
        world.run(millis(1000));
        world.until_whole();
        let before = world.counters();
        world.run(Duration::from_secs(10));
        let [beacons, commands, octets] = rates(&before, &world.counters(), Duration::from_secs(10));
        println!("{count:>5}  {beacons:>9.2}  {commands:>10.2}  {octets:>8.1}");
        seen.push((beacons, commands));
    }
    assert!(seen.iter().all(|(beacons, commands)| (0.9..1.2).contains(beacons) && *commands == 0.0), "{seen:?}");
}

#[test]
fn with_a_tenth_lost_it_costs_a_node_the_same_in_any_mesh_to_be_seen() {
    println!("nodes  whole after ms  commands a pair  beacons/s  commands/s  octets/s  datagrams/s of all");
    for count in [10, 50, 200, 1000].into_iter().filter(|count| *count <= most()) {
        let mut world = World::new(31, 100);
        world.start(count);
        world.run(millis(1000));
        let took = world.until_whole();
        let before = world.counters();
        let commands: u64 = before.iter().map(|counters| counters.commands_sent).sum();
        let pairs = count * (count - 1);
        world.run(Duration::from_secs(30));
        let [beacons, pings, octets] = rates(&before, &world.counters(), Duration::from_secs(30));
        let (a_pair, arriving) = (commands as f64 / pairs as f64, beacons * pairs as f64);
        println!(
            "{count:>5}  {:>14}  {a_pair:>15.2}  {beacons:>9.2}  {pings:>10.2}  {octets:>8.1}  {arriving:>18.0}",
            took.as_millis()
        );
        assert_eq!((&world.exits[..], world.is_whole()), (&[][..], true), "{count} nodes");
        assert!(took <= millis(5000) && a_pair < 2.0, "{count} nodes: {took:?}, {a_pair} commands a pair");
        // Who asks a member of many gets a beacon out of turn, which all hear: no more than some a second.
        assert!((0.9..5.5).contains(&beacons), "{count} nodes: {beacons} beacons a second");
        // One of a hundred pairs misses two beacons in a row and asks: that grows with the pairs of a node, not faster.
        assert!(pings < 1.0 + 0.2 * count as f64, "{count} nodes: {pings} commands a second");
    }
}
