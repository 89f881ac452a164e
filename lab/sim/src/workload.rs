//! Draws a plan from a seed: who is there, what they ask of each other, and what goes wrong.
//!
//! Limits are small and timeouts short, so that queues fill and deadlines pass within seconds of virtual time; the
//! machines do not know the difference.

use protocol::mdp::Dialect;

use crate::fault;
use crate::plan::{
    AMPLE, Broker, Client, ClientKind, Depositor, DiskFailures, Hostile, MeshNode, NativeClient, NativeWorker, Network,
    Operator, OwnTerms, Plan, Titanic, Weather, Worker,
};
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
    let brokers: Vec<_> = (0..rng.one_of([1, 1, 1, 2, 3])).map(|_| broker(&root, id(), storm_ms)).collect();
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
    let operators: Vec<_> = (0..rng.one_of([0, 0, 1]))
        .map(|_| operator(&root, id(), rng.pick(&broker_ids).copied().unwrap_or(0), services))
        .collect();
    let (network, faults) = (network(&root), Vec::new());
    let mut plan = Plan {
        seed,
        storm_ms,
        network,
        brokers,
        workers,
        clients,
        hostiles,
        operators,
        titanics: Vec::new(),
        depositors: Vec::new(),
        mesh_nodes: Vec::new(),
        weather: Weather::default(),
        faults,
    };
    name_clients(&mut rng, &mut plan);
    let mut deposits = root.fork(Purpose::Titanic as u64);
    if deposits.chance(TITANICS) {
        add_titanic(&root, &mut deposits, &mut plan, services, &mut id);
    }
    let mut members = root.fork(Purpose::Mesh as u64);
    if members.chance(MESHES) {
        add_mesh(&root, &mut members, &mut plan, id);
    }
    // A worker that does not read as much as it asks for is one that has stopped reading.
    for worker in &mut plan.workers {
        worker.credit = worker.credit.min(plan.network.queue_max.saturating_sub(1)).max(1);
    }
    // One seed in eight has fair weather: there the strictest promises hold.
    let mut faults = root.fork(Purpose::Faults as u64);
    let count = if faults.chance(12) { 0 } else { faults.between(1, 25) };
    plan.faults = fault::schedule(&mut faults, count, storm_ms, &plan.ids(), plan.brokers.len());
    if let Some(titanic) = plan.titanics.first().filter(|_| count > 0) {
        plan.faults.extend(fault::crashes(&mut deposits, storm_ms, titanic.id));
    }
    let member_ids: Vec<_> = plan.mesh_nodes.iter().map(|node| node.id).collect();
    if count > 0 && !member_ids.is_empty() {
        let count = members.below(16);
        plan.faults.extend(fault::schedule(&mut members, count, storm_ms, &member_ids, member_ids.len()));
    }
    plan.faults.sort_by_key(|fault| fault.at_ms);
    plan
}

/// What a generator is forked for. The numbers are part of what a seed means.
#[derive(Clone, Copy)]
enum Purpose {
    Shape = 1,
    Faults = 2,
    Network = 3,
    Titanic = 4,
    Mesh = 5,
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

fn broker(root: &Rng, id: u32, storm_ms: u64) -> Broker {
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
        old_ms: if rng.chance(80) { (0, 0) } else { old(&mut rng, storm_ms) },
        kept_window_ms: rng.one_of([500, 5000, 120_000, 120_000]),
        kept_answers_max: rng.one_of([5, AMPLE, AMPLE, AMPLE]),
        kept_bytes_max: rng.one_of([2000, AMPLE, AMPLE, AMPLE]),
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
        credit: rng.one_of([1, 1, 3, 8]),
        busy_grace_ms: rng.one_of([500, 5000, 20_000]),
        shutdown_grace_ms: rng.one_of([50, 1000, 3000]),
        part_ms: rng.one_of([0, 2, 50, 400]),
        parts_max: rng.one_of([1, 1, 3, 8]),
        hang_permille: rng.one_of([0, 0, 20, 100]),
        hang_ms: rng.between(100, 6000),
        deadly_permille: rng.one_of([0, 0, 0, 20]),
        start_ms: if rng.chance(70) { 0 } else { rng.below(storm_ms) },
        leave_ms: if rng.chance(80) { 0 } else { rng.between(1, storm_ms) },
        native: rng.chance(40).then(|| native_worker(&mut rng, services)),
    }
}

/// When an older version is in a broker's place: from the beginning, or somebody rolls back and forth.
fn old(rng: &mut Rng, storm_ms: u64) -> (u64, u64) {
    let from = if rng.chance(50) { 0 } else { rng.below(storm_ms / 2) };
    (from, from + rng.between(500, storm_ms / 2))
}

fn native_worker(rng: &mut Rng, services: u8) -> NativeWorker {
    let all = 0..services;
    NativeWorker {
        ours: rng.chance(60),
        falls_back: rng.chance(50),
        others: all.filter(|_| rng.chance(30)).collect(),
        credit_ms: rng.one_of([0, 0, 100, 1500]),
        drain_ms: rng.one_of([0, 0, 500, 8000]),
        error_permille: rng.one_of([0, 50, 300]),
        stops: rng.chance(50),
    }
}

fn client(root: &Rng, id: u32, broker: u32, services: u8, storm_ms: u64) -> Client {
    let mut rng = of_node(root, id);
    let dialect = rng.one_of([Dialect::V01, Dialect::V02, Dialect::V02Delimited, Dialect::V02Majortomo]);
    let kind = if rng.chance(40) {
        ClientKind::Native(native_client(&mut rng))
    } else if rng.chance(40) {
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
        identity: None,
        twin: false,
        native: rng.chance(50).then(|| own_terms(&mut rng)),
        on_timeout: if rng.chance(50) { 0 } else { u8::try_from(rng.below(6)).unwrap_or(0) },
        command_permille: 0,
    }
}

fn own_terms(rng: &mut Rng) -> OwnTerms {
    OwnTerms {
        falls_back: rng.chance(50),
        deadline_permille: rng.one_of([0, 200, 800]),
        deadline_ms: rng.one_of([5, 200, 3000]),
        priorities: rng.chance(50),
        idempotency: u8::try_from(rng.below(4)).unwrap_or(0),
    }
}

fn native_client(rng: &mut Rng) -> NativeClient {
    NativeClient {
        in_flight_max: rng.one_of([1, 8, 64]),
        double_permille: rng.one_of([0, 50, 300]),
        borrow_permille: rng.one_of([0, 0, 100]),
        deadline_permille: rng.one_of([0, 200, 800]),
        deadline_ms: rng.one_of([5, 200, 3000]),
        priorities: rng.chance(PRIORITIES),
        idempotency: u8::try_from(rng.below(4)).unwrap_or(0),
        reconnect_permille: rng.one_of([0, 200]),
    }
}

/// Gives clients identities, sometimes one to two of them, and commands where somebody may disable them.
fn name_clients(rng: &mut Rng, plan: &mut Plan) {
    let mut shared = Vec::new();
    let mut taken: Vec<(u32, u32)> = Vec::new();
    for client in &mut plan.clients {
        if !plan.operators.is_empty() {
            client.command_permille = rng.one_of([0, 300, 800]);
        }
        // In the older dialects parts of two attempts could meet on a new connection: whoever speaks one has no name.
        if !matches!(client.kind, ClientKind::Native(_)) || rng.chance(50) {
            continue;
        }
        match taken.iter().find(|(_, broker)| *broker == client.broker).filter(|_| rng.chance(50)) {
            Some((name, _)) => {
                (client.identity, client.twin) = (Some(*name), true);
                shared.push(*name);
            }
            None => {
                client.identity = Some(client.id);
                taken.push((client.id, client.broker));
            }
        }
    }
    // Ids of one client meet, and two that are one by their identity cannot tell whose answer it is.
    for client in plan.clients.iter_mut().filter(|client| client.identity.is_some_and(|name| shared.contains(&name))) {
        if let ClientKind::Native(native) = &mut client.kind {
            native.borrow_permille = 0;
        }
    }
}

fn operator(root: &Rng, id: u32, broker: u32, services: u8) -> Operator {
    let mut rng = of_node(root, id);
    Operator { id, broker, changes: 40, think_ms: rng.one_of([200, 1500]), services }
}

fn hostile(root: &Rng, id: u32, broker: u32, services: u8) -> Hostile {
    let mut rng = of_node(root, id);
    let messages = rng.one_of([20, 100, 300]);
    Hostile { id, broker, messages, think_ms: rng.one_of([1, 20, 200]), services }
}

/// A Titanic, and those who use it.
fn add_titanic(root: &Rng, rng: &mut Rng, plan: &mut Plan, services: u8, id: &mut impl FnMut() -> u32) {
    let place = rng.index(plan.brokers.len());
    let queue_max = plan.network.queue_max;
    let Some(broker) = plan.brokers.get_mut(place) else { return };
    // It offers four services more, in the one dialect that has room for them; a status in place of an answer could
    // be taken for one of its own.
    broker.services_max += 4;
    (broker.old_ms, broker.status_frames) = ((0, 0), false);
    let mut titanic = titanic(root, id(), broker.id, queue_max);
    // A call takes four ways, however near its worker is.
    titanic.call_timeout_ms = titanic.call_timeout_ms.max((plan.network.latency_us + plan.network.jitter_us) / 50);
    plan.titanics.push(titanic);
    for _ in 0..rng.between(1, 3) {
        plan.depositors.push(depositor(root, id(), broker.id, services));
    }
}

fn titanic(root: &Rng, id: u32, broker: u32, queue_max: usize) -> Titanic {
    let mut rng = of_node(root, id);
    let credit = rng.one_of([2, 8, 64]).min(queue_max.saturating_sub(1)).max(1);
    // A small log has no room for many ids that are only remembered.
    let (slots, remembered_max) = rng.one_of([(8, 5), (12, 20), (32, 10_000), (32, 10_000)]);
    let fails = rng.chance(40);
    let mut rate = |rates: [u32; 3]| if fails { rng.one_of(rates) } else { 0 };
    let disk = DiskFailures {
        write_error: rate([0, 2, 10]),
        short_write: rate([0, 20, 100]),
        flush_error: rate([0, 5, 20]),
        no_space: rate([0, 50, 300]),
        spike: rate([0, 10, 50]),
    };
    Titanic {
        id,
        clock_ppm: clock_ppm(&mut rng),
        broker,
        chunk_bytes: rng.one_of([4096, 4096, 8192]),
        slots,
        credit,
        attempts_max: rng.one_of([1, 2, 5]),
        call_timeout_ms: rng.one_of([500, 1500, 4000]),
        calls_per_service_max: rng.one_of([1, 4, 64]),
        backoff_first_ms: rng.one_of([20, 100]),
        backoff_max_ms: rng.one_of([200, 1000]),
        request_ttl_ms: rng.one_of([0, 0, 0, 3000]),
        remembered_max,
        waiters_max: credit / 2,
        flush_us: rng.one_of([100, 2000, 30_000]),
        tears_sectors: rng.chance(60),
        disk,
    }
}

fn depositor(root: &Rng, id: u32, broker: u32, services: u8) -> Depositor {
    let mut rng = of_node(root, id);
    Depositor {
        id,
        clock_ppm: clock_ppm(&mut rng),
        broker,
        chooses: rng.chance(65),
        dialect: rng.one_of([Dialect::V01, Dialect::V02Delimited]),
        lives: u32::try_from(rng.one_of([10, 25, 50])).unwrap_or(10),
        at_once: rng.one_of([1, 3, 8]),
        think_ms: rng.one_of([5, 50, 300]),
        timeout_ms: rng.one_of([200, 700, 2500]),
        retries: rng.one_of([1, 2, 3]),
        wait_ms: rng.one_of([0, 300, 2000]),
        // Sometimes one that nobody offers.
        services: services + u8::from(rng.chance(10)),
        padding: rng.one_of([0, 64, 700, 2500]),
        again_permille: rng.one_of([0, 300, 600]),
        early_permille: rng.one_of([0, 50, 300]),
        keep_permille: rng.one_of([0, 100, 500]),
    }
}

/// Members of a mesh, or of two, and the air between them.
fn add_mesh(root: &Rng, rng: &mut Rng, plan: &mut Plan, mut id: impl FnMut() -> u32) {
    plan.weather = Weather {
        loss_permille: rng.one_of([0, 20, 100, 300]),
        duplicate_permille: rng.one_of([0, 0, 20, 200]),
        reorder_permille: rng.one_of([0, 20, 200]),
        jitter_us: rng.one_of([0, 500, 20_000]),
        delay_ms: rng.one_of([5, 500, 2500]),
    };
    let meshes = rng.one_of([1, 1, 1, 2]);
    // What all of one mesh have to agree on.
    let expired_ms = rng.one_of([3000, 3000, 1500]);
    for _ in 0..rng.between(2, 9) {
        let id = id();
        let mut rng = of_node(root, id);
        plan.mesh_nodes.push(MeshNode {
            id,
            clock_ppm: clock_ppm(&mut rng),
            mesh: u8::try_from(rng.below(meshes)).unwrap_or(0),
            beacon_ms: expired_ms / 3,
            expired_ms,
            hello_ms: rng.one_of([2000, 10_000]),
            offers: rng.chance(40),
            think_ms: rng.one_of([20, 200, 2000]),
            start_ms: if rng.chance(70) { 0 } else { rng.below(plan.storm_ms) },
        });
    }
}

/// Of a hundred seeds so many have a mesh.
const MESHES: u64 = 20;
/// Of a hundred seeds so many have a Titanic.
const TITANICS: u64 = 25;
/// Of a hundred clients of 0.3 so many have requests that differ in priority.
const PRIORITIES: u64 = 50;

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
