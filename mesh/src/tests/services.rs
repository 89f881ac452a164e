//! The registry: which broker serves what, from its headers and its shouts, as long as it is there.

use protocol::zre::Command;

use super::*;
use crate::announcement::{Announcement, GROUP};

fn announcement(services: &[&str]) -> Announcement {
    Announcement {
        broker: "app".into(),
        endpoints: vec!["tcp://10.77.0.2:5555".into()],
        dialects: vec!["0.3".into()],
        services: services.iter().map(|&name| name.into()).collect(),
        is_direct: false,
    }
}

fn broker(bench: &mut Bench, services: &[&str]) -> Other {
    let mut other = bench.connect(ours(2));
    let headers = announcement(services).headers();
    other.say(bench, Command::Hello(Hello { headers, ..hello(50002, &[GROUP]) }));
    other
}

fn shout(services: &[&str]) -> Command {
    Command::Shout { group: group(GROUP), content: announcement(services).shout() }
}

#[test]
fn a_broker_is_known_with_its_services_by_its_hello() {
    let mut bench = Bench::new();
    broker(&mut bench, &["echo", "MM"]);
    let events = bench.events();
    assert_eq!(
        events.iter().map(word).collect::<Vec<_>>(),
        ["enter other", "join other MDP", "up app MM", "up app echo"]
    );
    let Some(Event::ServiceUp { endpoint, .. }) = events.last() else { panic!() };
    assert_eq!(&**endpoint, "tcp://10.77.0.2:5555");
}

#[test]
fn a_shout_changes_what_is_served_and_is_not_told_as_a_shout() {
    let mut bench = Bench::new();
    let mut other = broker(&mut bench, &["echo", "MM"]);
    bench.told();
    other.say(&mut bench, shout(&["echo", "new"]));
    other.say(&mut bench, shout(&["echo", "new"]));
    assert_eq!(bench.told(), ["down app MM", "up app new"]);
}

#[test]
fn services_end_with_their_broker() {
    let mut bench = Bench::new();
    let mut other = broker(&mut bench, &["echo"]);
    bench.told();
    other.say(&mut bench, Command::Goodbye);
    assert_eq!(bench.told(), ["down app echo", "exit other left"]);
}

#[test]
fn the_same_words_of_a_node_that_is_no_broker_are_a_shout() {
    let mut bench = Bench::new();
    let mut other = bench.enter(foreign(2), &[]);
    bench.told();
    other.say(&mut bench, shout(&["echo"]));
    assert_eq!(bench.told(), ["shout other MDP [\"services\", \"echo\\n\"]"]);
}

#[test]
fn headers_that_change_are_told_to_whoever_comes_later() {
    let mut bench = Bench::new();
    bench.handle(Input::Headers(announcement(&["echo"]).headers()));
    bench.beacon(ours(2), 2, 50002);
    let said = bench.said(ours(2));
    let [(1, Command::Hello(hello))] = &said[..] else { panic!("{said:?}") };
    assert_eq!(Announcement::from_headers(&hello.headers), Some(announcement(&["echo"])));
}

#[test]
fn how_far_away_a_broker_is_is_the_shortest_of_three_pings_once_there_is_a_connection() {
    let mut bench = Bench::with(|config| config.measures = true);
    let mut app = broker(&mut bench, &["echo"]);
    bench.told();
    assert!(matches!(bench.said(ours(2))[..], [(1, Command::Hello(_))]), "there is no connection yet");
    bench.handle(Input::Linked { node: ours(2), up: true });
    for trip in [9, 3, 5] {
        assert!(matches!(bench.said(ours(2))[..], [(_, Command::Ping)]));
        bench.wait(millis(trip));
        app.say(&mut bench, Command::PingOk);
    }
    assert_eq!((bench.told(), bench.said(ours(2))), (vec!["latency 3 ms".to_owned()], Vec::new()));
}

#[test]
fn a_connection_that_is_lost_before_the_answer_is_measured_anew_once_there_is_another() {
    let mut bench = Bench::with(|config| config.measures = true);
    let mut app = broker(&mut bench, &["echo"]);
    bench.handle(Input::Linked { node: ours(2), up: true });
    bench.outputs.clear();
    bench.handle(Input::Linked { node: ours(2), up: false });
    bench.wait(millis(1000));
    app.say(&mut bench, Command::PingOk);
    bench.handle(Input::Linked { node: ours(2), up: true });
    for _ in 0..3 {
        assert!(matches!(bench.said(ours(2))[..], [(_, Command::Ping)]));
        bench.wait(millis(7));
        app.say(&mut bench, Command::PingOk);
    }
    assert_eq!(bench.told(), ["latency 7 ms"]);
}

#[test]
fn nobody_else_is_measured_and_nobody_who_does_not_choose_measures() {
    let mut bench = Bench::with(|config| config.measures = true);
    bench.enter(ours(2), &[]);
    assert!(matches!(bench.said(ours(2))[..], [(1, Command::Hello(_))]));
    let mut bench = Bench::new();
    broker(&mut bench, &["echo"]);
    bench.handle(Input::Linked { node: ours(2), up: true });
    assert!(matches!(bench.said(ours(2))[..], [(1, Command::Hello(_))]));
}

#[test]
fn services_that_changed_between_our_hello_and_that_of_another_are_told_to_it_once() {
    let mut bench = Bench::new();
    bench.handle(Input::Headers(announcement(&["old"]).headers()));
    for (node, host) in [(ours(2), 2), (ours(3), 3)] {
        bench.beacon(node, host, 50000 + u16::from(host));
    }
    bench.handle(Input::Headers(announcement(&["new"]).headers()));
    // Nobody is in the group yet, as far as we know.
    bench.handle(Input::Shout { group: group(GROUP), content: announcement(&["new"]).shout() });
    bench.outputs.clear();
    let mut early = bench.connect(ours(2));
    early.say(&mut bench, Command::Hello(hello(50002, &[GROUP])));
    assert_eq!(bench.said(ours(2)), [(2, shout(&["new"]))]);
    let mut late = bench.connect(ours(3));
    late.say(&mut bench, Command::Hello(Hello { endpoint: "tcp://10.77.0.3:50003".into(), ..hello(50003, &[]) }));
    assert_eq!(bench.said(ours(3)), []);
    late.say(&mut bench, Command::Join { group: group(GROUP), status: 1 });
    late.say(&mut bench, Command::Leave { group: group(GROUP), status: 2 });
    late.say(&mut bench, Command::Join { group: group(GROUP), status: 3 });
    assert_eq!(bench.said(ours(3)), [(2, shout(&["new"]))]);
}
