//! What grows how, held to its bounds on small worlds: heartbeats with the workers and nothing else, four messages a
//! request wherever it goes, and no machine that looks through everything for one of them.

#![allow(clippy::unwrap_used, clippy::float_cmp, reason = "a failing expectation is a failing test")]

use std::time::Instant;

use sim::scale::meter::{Blind, Instruments};
use sim::scale::metric::{CROWD, METRICS};
use sim::scale::report::growth;
use sim::scale::scenario::{Measured, measure};
use sim::scale::{Size, crowd};

const SMALL: Size = Size { clients: 60, services: 12, brokers: 3 };

fn counted(size: Size) -> Measured {
    measure(size, &mut Blind)
}

fn assert_counted_figures_within(axis: (&'static str, usize), points: &[(usize, Size)]) {
    let worlds: Vec<_> = points.iter().map(|(x, size)| (*x as f64, counted(*size))).collect();
    let points: Vec<_> = worlds.iter().map(|(x, world)| (*x, world)).collect();
    for metric in METRICS.iter().filter(|metric| !metric.is_read) {
        let growth = growth(metric, axis, &points);
        assert!(growth.is_within(), "{growth:?}");
    }
}

#[test]
fn every_counted_figure_keeps_its_bound_along_the_clients() {
    assert_counted_figures_within(
        ("clients", 0),
        &[100, 300, 900].map(|clients| (clients, Size { clients, services: 20, brokers: 2 })),
    );
}

#[test]
fn every_counted_figure_keeps_its_bound_along_the_services() {
    assert_counted_figures_within(
        ("services", 1),
        &[10, 40, 160].map(|services| (services, Size { clients: 160, services, brokers: 2 })),
    );
}

#[test]
fn every_counted_figure_keeps_its_bound_along_the_brokers() {
    assert_counted_figures_within(
        ("brokers", 2),
        &[2, 6, 20].map(|brokers| (brokers, Size { clients: 200, services: 40, brokers })),
    );
}

#[test]
fn idle_workers_and_their_brokers_heartbeat_once_an_interval_each() {
    for services in [3, 12, 48] {
        let size = Size { services, ..SMALL };
        let each = 1.0 / protocol::limits::HEARTBEAT_INTERVAL.as_secs_f64();
        let off = counted(size).heartbeats_per_second - 2.0 * each * size.workers() as f64;
        assert!(off.abs() < 1e-6, "{off} beyond what {services} services owe");
    }
}

#[test]
fn a_request_is_four_messages_and_none_between_brokers() {
    let world = counted(SMALL);
    assert!((world.messages_per_request - 4.0).abs() < 0.05, "{}", world.messages_per_request);
    assert_eq!(world.mesh_per_request, 0.0);
}

#[test]
fn a_broker_holds_its_share_and_keeps_one_wake_up_a_worker_and_one_a_service() {
    let fullest = counted(SMALL).fullest;
    assert_eq!((fullest.services, fullest.workers, fullest.peers), (4, 8, 28));
    assert!(fullest.alarms <= fullest.workers + fullest.services, "{fullest:?}");
    assert!(fullest.inbox <= 3 * fullest.peers, "{fullest:?}");
}

#[test]
fn the_same_world_counts_the_same_twice() {
    let text = || serde_json::to_string(&counted(SMALL)).unwrap();
    assert_eq!(text(), text());
}

/// A clock, for the one claim that cannot be counted.
#[derive(Debug)]
struct Clock(Instant);

impl Instruments for Clock {
    fn nanoseconds(&mut self) -> u64 {
        u64::try_from(self.0.elapsed().as_nanos()).unwrap()
    }

    fn resident_bytes(&mut self) -> u64 {
        0
    }
}

/// Thirty-two times as many: a scan over them would be some thirty times the work, and more. The least of some tries is
/// taken, for what else runs on this machine only ever adds; the bound leaves room for maps and caches.
#[test]
fn a_broker_looks_through_nothing_that_grows_with_its_peers_services_or_queues() {
    let mut clock = Clock(Instant::now());
    for metric in &CROWD {
        let mut least = |waiting| {
            (0..3).map(|_| (metric.value)(&crowd::measure(waiting, &mut clock))).fold(f64::INFINITY, f64::min)
        };
        let ratio = least(8000) / least(250);
        assert!(ratio < 10.0, "{}: {ratio:.1} times the work with 32 times as many", metric.name);
    }
}
