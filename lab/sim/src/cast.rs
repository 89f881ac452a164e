//! Who is there: makes the nodes of a plan.

use crate::clock::Clock;
use crate::node::broker::BrokerNode;
use crate::node::hostile::Hostile;
use crate::node::multiplex::MultiplexNode;
use crate::node::pirate::PirateNode;
use crate::node::session::SessionNode;
use crate::node::single_threaded::SingleThreaded;
use crate::node::{Actor, Node, NodeId, Process};
use crate::plan::{ClientKind, Plan};
use crate::rng::Rng;

/// The nodes of a plan: brokers, then workers, clients and hostile peers. No process runs yet.
pub(crate) fn nodes(plan: &Plan, root: &Rng) -> Vec<Node> {
    let place = |id: u32| plan.brokers.iter().position(|broker| broker.id == id).map(NodeId);
    let node = |id: u32, kind: &str, ppm: i32, uplink: Option<NodeId>, actor: Box<dyn Actor>| Node {
        id,
        name: format!("{kind} {id}"),
        actor,
        clock: Clock::new(ppm),
        drift_ppm: ppm,
        rng: root.fork(NODE + u64::from(id)),
        uplink,
        process: Process::Off,
        pauses: 0,
        life: 0,
        is_deaf: false,
        armed: None,
        postponed: Vec::new(),
    };
    let mut nodes = Vec::new();
    for broker in &plan.brokers {
        nodes.push(node(broker.id, "broker", broker.clock_ppm, None, Box::new(BrokerNode::new(broker))));
    }
    for worker in &plan.workers {
        let actor: Box<dyn Actor> = if worker.single_threaded {
            Box::new(SingleThreaded::new(worker))
        } else {
            Box::new(SessionNode::new(worker, plan.seed ^ u64::from(worker.id) << 32))
        };
        nodes.push(node(worker.id, "worker", worker.clock_ppm, place(worker.broker), actor));
    }
    for client in &plan.clients {
        let actor: Box<dyn Actor> = match client.kind {
            ClientKind::Pirate => Box::new(PirateNode::new(client)),
            ClientKind::Multiplex { numbered, in_flight_max, waiting_max } => {
                let seed = plan.seed ^ u64::from(client.id) << 32;
                Box::new(MultiplexNode::new(client, seed, (numbered, in_flight_max, waiting_max)))
            }
        };
        nodes.push(node(client.id, "client", client.clock_ppm, place(client.broker), actor));
    }
    for hostile in &plan.hostiles {
        nodes.push(node(hostile.id, "hostile", 0, place(hostile.broker), Box::new(Hostile::new(hostile))));
    }
    nodes
}

/// What generators of nodes are forked for; the numbers of the workload's own purposes are smaller.
const NODE: u64 = 1_000_000;
