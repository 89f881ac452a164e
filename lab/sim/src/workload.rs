//! Draws a plan from a seed: who is there, what they ask of each other, and what goes wrong.
//!
//! Limits are small and timeouts short, so that queues fill and deadlines pass within seconds of virtual time; the
//! machines do not know the difference.

use protocol::mdp::Dialect;

use crate::fault;
use crate::plan::{Broker, Client, ClientKind, Hostile, Network, Plan, Worker};
use crate::rng::Rng;

/// The plan of a seed.
pub fn plan(seed: u64) -> Plan {
    let root = Rng::new(seed);
    let mut rng = root.fork(Purpose::Shape as u64);
    let storm_ms = rng.between(4, 25) * 1000;
    let services = u8::try_from(rng.between(1, 4)).unwrap_or(1);
    let mut next_id = 0;
    let mut id = || {
        next_id += 1;
        next_id - 1
    };
    let brokers: Vec<_> = (0..rng.one_of([1, 1, 1, 2, 3])).map(|_| broker(&root, id())).collect();
    let broker_ids: Vec<_> = brokers.iter().map(|broker| broker.id).collect();
    let workers: Vec<_> = (0..rng.between(1, 8))
        .map(|_| worker(&root, id(), rng.pick(&broker_ids).copied().unwrap_or(0), services, storm_ms))
        .collect();
    let clients: Vec<_> = (0..rng.between(1, 7))
        .map(|_| client(&root, id(), rng.pick(&broker_ids).copied().unwrap_or(0), services, storm_ms))
        .collect();
    let hostiles: Vec<_> = (0..rng.one_of([0, 0, 1, 2]))
        .map(|_| hostile(&root, id(), rng.pick(&broker_ids).copied().unwrap_or(0), services))
        .collect();
    let mut plan =
        Plan { seed, storm_ms, network: network(&root), brokers, workers, clients, hostiles, faults: Vec::new() };
    // One seed in eight has fair weather: there the strictest promises hold.
    let mut faults = root.fork(Purpose::Faults as u64);
    let count = if faults.chance(12) { 0 } else { faults.between(1, 25) };
    plan.faults = fault::schedule(&mut faults, count, storm_ms, &plan.ids(), plan.brokers.len());
    plan
}

/// What a generator is forked for. The numbers are part of what a seed means.
#[derive(Clone, Copy)]
enum Purpose {
    Shape = 1,
    Faults = 2,
    Network = 3,
    Node = 1000,
}

fn of_node(root: &Rng, id: u32) -> Rng {
    root.fork(Purpose::Node as u64 + u64::from(id))
}

fn network(root: &Rng) -> Network {
    let mut rng = root.fork(Purpose::Network as u64);
    Network {
        latency_us: rng.one_of([20, 200, 2000, 40_000]),
        jitter_us: rng.one_of([0, 50, 1000, 20_000]),
        nanos_per_byte: rng.one_of([0, 0, 10, 1000]),
        queue_max: rng.one_of([2, 8, 50, 1000]),
        silence_ms: rng.one_of([1000, 5000, 15_000]),
        retry_ms: rng.one_of([10, 100, 500]),
    }
}

fn clock_ppm(rng: &mut Rng) -> i32 {
    rng.one_of([0, 0, 20, -20, 500, -500])
}

fn broker(root: &Rng, id: u32) -> Broker {
    let mut rng = of_node(root, id);
    Broker {
        id,
        clock_ppm: clock_ppm(&mut rng),
        heartbeat_ms: rng.one_of(HEARTBEATS_MS),
        liveness: rng.one_of([3, 3, 5]),
        queue_max: rng.one_of([1, 3, 10, 10_000]),
        queue_wait_ms: rng.one_of([200, 1000, 4000]),
        busy_timeout_ms: rng.one_of([500, 2000, 4000]),
        attempts_max: rng.one_of([1, 2, 3, 3]),
        refuse: rng.chance(30),
        run_abandoned: rng.chance(60),
        status_frames: rng.chance(40),
        queued_requests_max: rng.one_of([2, 8, 100_000, 100_000]),
        queued_bytes_max: rng.one_of([600, 4000, 1 << 27]),
        services_max: rng.one_of([4, 6, 20_000]),
        gathered_bytes_max: rng.one_of([100, 1000, 1 << 24]),
    }
}

fn worker(root: &Rng, id: u32, broker: u32, services: u8, storm_ms: u64) -> Worker {
    let mut rng = of_node(root, id);
    let single_threaded = rng.chance(20);
    Worker {
        id,
        clock_ppm: clock_ppm(&mut rng),
        broker,
        service: u8::try_from(rng.below(services.into())).unwrap_or(0),
        dialect: rng.one_of([Dialect::V01, Dialect::V02, Dialect::V02Delimited]),
        single_threaded,
        heartbeat_ms: rng.one_of(HEARTBEATS_MS),
        liveness: rng.one_of([3, 3, 5]),
        credit: rng.one_of([1, 1, 1, 3]),
        busy_grace_ms: rng.one_of([500, 5000, 20_000]),
        shutdown_grace_ms: rng.one_of([50, 1000, 3000]),
        part_ms: rng.one_of([0, 2, 50, 400]),
        parts_max: rng.one_of([1, 1, 3, 8]),
        hang_permille: rng.one_of([0, 0, 20, 100]),
        hang_ms: rng.between(100, 6000),
        deadly_permille: rng.one_of([0, 0, 0, 20]),
        start_ms: if rng.chance(70) { 0 } else { rng.below(storm_ms) },
        leave_ms: if rng.chance(80) { 0 } else { rng.between(1, storm_ms) },
    }
}

fn client(root: &Rng, id: u32, broker: u32, services: u8, storm_ms: u64) -> Client {
    let mut rng = of_node(root, id);
    let dialect = rng.one_of([Dialect::V01, Dialect::V02, Dialect::V02Delimited, Dialect::V02Majortomo]);
    let kind = if rng.chance(40) {
        ClientKind::Pirate
    } else {
        let in_flight_max = rng.one_of([1, 4, 64]);
        // A dialect without envelope has one request at a time.
        let numbered = dialect != Dialect::V02 && rng.chance(85);
        ClientKind::Multiplex { numbered, in_flight_max, waiting_max: rng.one_of([0, 2, 20]) }
    };
    Client {
        id,
        clock_ppm: clock_ppm(&mut rng),
        broker,
        kind,
        dialect,
        requests: u32::try_from(rng.one_of([20, 100, 300])).unwrap_or(20),
        think_ms: rng.one_of([2, 20, 100, 400]),
        timeout_ms: rng.one_of([100, 700, 2500]),
        retries: rng.one_of([1, 2, 3, 4]),
        // Sometimes one that nobody offers.
        services: services + u8::from(rng.chance(15)),
        padding: rng.one_of([0, 0, 64, 800]),
        forget_permille: rng.one_of([0, 0, 30, 200]),
        management_permille: rng.one_of([0, 0, 50]),
        start_ms: if rng.chance(70) { 0 } else { rng.below(storm_ms) },
    }
}

fn hostile(root: &Rng, id: u32, broker: u32, services: u8) -> Hostile {
    let mut rng = of_node(root, id);
    let messages = rng.one_of([20, 100, 300]);
    Hostile { id, broker, messages, think_ms: rng.one_of([1, 20, 200]), services }
}

/// Heartbeats differ, but each side's is well within the other's patience: a worker that expects more than its broker
/// gives can never stay.
const HEARTBEATS_MS: [u64; 3] = [500, 800, 1000];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_seeds_have_every_dialect_on_both_sides_and_both_clients() {
        let plans: Vec<_> = (0..1000).map(plan).collect();
        let workers = plans.iter().flat_map(|plan| &plan.workers);
        let mut spoken: Vec<_> = workers.map(|worker| (worker.dialect, worker.single_threaded)).collect();
        spoken.sort_unstable();
        spoken.dedup();
        assert_eq!(spoken.len(), 6);
        let clients = plans.iter().flat_map(|plan| &plan.clients);
        let kind = |kind| matches!(kind, ClientKind::Pirate);
        let mut spoken: Vec<_> = clients.map(|client| (client.dialect, kind(client.kind))).collect();
        spoken.sort_unstable();
        spoken.dedup();
        assert_eq!(spoken.len(), 8);
    }

    #[test]
    fn numbers_of_nodes_are_unique() {
        for seed in 0..100 {
            let ids = plan(seed).ids();
            assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
        }
    }
}
