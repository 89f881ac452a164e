//! Leader election on that wire: in the end all agree on the lowest id of those who stand, whoever came, left, died or
//! was cut off meanwhile.

use std::time::Duration;

use mesh::NodeId;

use crate::world::{Stands, World, millis};

/// So many nodes in one group, in which a place stands for election if `stands` says so.
fn world(seed: u64, loss_per_mille: u64, count: usize, stands: Stands) -> World {
    let mut world = World::new(seed, loss_per_mille);
    world.group = Some(("GROUP".parse().unwrap(), stands));
    world.start(count);
    world.run(millis(1000));
    world.until_whole();
    world.run(millis(2000));
    world
}

/// The lowest id of those who run on a side and stand.
fn lowest(world: &World, side: u8) -> Option<NodeId> {
    let stands = world.group.as_ref().unwrap().1;
    let here = (0..world.places.len()).filter(|place| world.places[*place].side == side && world.runs(*place));
    here.filter(|place| stands(*place)).map(|place| world.id(place)).min()
}

fn all_agree(world: &World, what: &str) {
    for place in (0..world.places.len()).filter(|place| world.runs(*place)) {
        assert_eq!(world.leader(place), lowest(world, world.places[place].side), "{what}: place {place}");
    }
}

#[test]
fn all_agree_on_the_lowest_of_those_who_stand_and_each_is_told() {
    for (seed, loss, stands) in [
        (1, 0, (|_| true) as Stands),
        (2, 100, |_| true),
        (3, 100, |place| place % 3 == 0),
        (4, 0, |place| place == 7),
        (5, 0, |_| false),
    ] {
        let world = world(seed, loss, 20, stands);
        all_agree(&world, &format!("seed {seed}"));
        for place in 0..20 {
            let told = world.leaders.iter().rev().find(|told| told.0 == place).map(|told| told.1);
            assert_eq!(told, lowest(&world, 0), "seed {seed}, place {place}");
        }
    }
}

#[test]
fn the_leaders_death_and_its_leaving_are_followed_by_the_next_and_its_return_changes_nothing_but_by_its_id() {
    let mut world = world(11, 20, 15, |place| place % 2 == 0);
    for round in 0..4 {
        let leader = lowest(&world, 0).unwrap();
        let place = (0..15).find(|place| world.id(*place) == leader).unwrap();
        match round % 2 {
            0 => assert_eq!(world.kill(place), leader),
            _ => world.leave(place),
        }
        world.run(Duration::from_secs(5));
        all_agree(&world, &format!("round {round}, without it"));
        assert!(!world.leaders.is_empty() && world.leader((place + 1) % 15) != Some(leader));
        world.revive(place, world.now);
        world.until_whole();
        world.run(Duration::from_secs(2));
        all_agree(&world, &format!("round {round}, with it again"));
    }
}

#[test]
fn each_side_of_a_cut_has_a_leader_and_the_whole_has_one_again() {
    for (seed, seconds) in [(21, 2), (22, 5), (23, 30)] {
        let mut world = world(seed, 20, 16, |_| true);
        world.places.iter_mut().step_by(2).for_each(|place| place.side = 1);
        world.run(Duration::from_secs(seconds));
        if seconds > 4 {
            assert_ne!(lowest(&world, 0), lowest(&world, 1));
            all_agree(&world, "cut");
        }
        world.heal();
        world.until_whole();
        world.run(Duration::from_secs(10));
        all_agree(&world, "healed");
    }
}

#[test]
fn in_the_end_all_agree_whoever_comes_and_goes_meanwhile() {
    for seed in 31..39 {
        let mut world = world(seed, 50, 12, |place| place % 4 != 1);
        for round in 0..25 {
            let pause = world.random(900);
            world.run(millis(pause));
            let place = usize::try_from(world.random(12)).unwrap();
            match round % 2 {
                0 => _ = world.kill(place),
                _ => world.leave(place),
            }
            world.revive(place, world.now);
        }
        world.run(Duration::from_secs(5));
        world.until_whole();
        world.run(Duration::from_secs(3));
        all_agree(&world, &format!("seed {seed}"));
    }
}
