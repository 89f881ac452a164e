//! Who is there: makes the nodes of a plan.

use crate::clock::Clock;
use crate::net::air::Air;
use crate::net::datagram::Weather;
use crate::node::broker::BrokerNode;
use crate::node::depositor::Depositor;
use crate::node::hostile::Hostile;
use crate::node::mesh::MeshNode;
use crate::node::multiplex::MultiplexNode;
use crate::node::native_client::NativeClient;
use crate::node::native_worker::NativeWorker;
use crate::node::operator::OperatorNode;
use crate::node::pirate::PirateNode;
use crate::node::session::SessionNode;
use crate::node::single_threaded::SingleThreaded;
use crate::node::titanic::TitanicNode;
use crate::node::{Actor, Node, NodeId, Process};
use crate::plan::{self, ClientKind, Plan};
use crate::queue::MILLISECOND;
use crate::rng::Rng;

/// The nodes of a plan, in the order of [`Plan::ids`]. No process runs yet.
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
        port: 0,
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
        let actor: Box<dyn Actor> = if let Some(native) = worker.native.as_ref().filter(|native| !native.ours) {
            Box::new(NativeWorker::new(worker, native))
        } else if worker.single_threaded && worker.native.is_none() {
            Box::new(SingleThreaded::new(worker))
        } else {
            Box::new(SessionNode::new(worker, plan.seed ^ u64::from(worker.id) << 32))
        };
        nodes.push(node(worker.id, "worker", worker.clock_ppm, place(worker.broker), actor));
    }
    for client in &plan.clients {
        let actor: Box<dyn Actor> = match client.kind {
            ClientKind::Native(native) => Box::new(NativeClient::new(client, native)),
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
    for operator in &plan.operators {
        nodes.push(node(operator.id, "operator", 0, place(operator.broker), Box::new(OperatorNode::new(operator))));
    }
    for titanic in &plan.titanics {
        let seed = plan.seed ^ u64::from(titanic.id) << 32;
        let actor = TitanicNode::new(titanic, plan.storm_ms, seed, root.fork(DISK + u64::from(titanic.id)));
        nodes.push(node(titanic.id, "titanic", titanic.clock_ppm, place(titanic.broker), Box::new(actor)));
    }
    for depositor in &plan.depositors {
        let actor = Depositor::new(depositor, plan.seed ^ u64::from(depositor.id) << 32);
        nodes.push(node(depositor.id, "depositor", depositor.clock_ppm, place(depositor.broker), Box::new(actor)));
    }
    let members: Vec<NodeId> = (0..plan.mesh_nodes.len()).map(|place| NodeId(nodes.len() + place)).collect();
    for (own, member) in (0..).zip(&plan.mesh_nodes) {
        let actor = MeshNode::new(member, &members, own);
        nodes.push(node(member.id, "member", member.clock_ppm, None, Box::new(actor)));
    }
    nodes
}

/// The air between the members of meshes, which are the last of all nodes.
pub(crate) fn air(plan: &Plan) -> Air {
    let plan::Weather { loss_permille, duplicate_permille, reorder_permille, jitter_us, delay_ms } = plan.weather;
    let weather = Weather {
        loss_permille,
        duplicate_permille,
        reorder_permille,
        latency: plan.network.latency_us * 1000,
        jitter: jitter_us * 1000,
        delay: delay_ms * MILLISECOND,
    };
    let count = plan.ids().len();
    Air::new(weather, (count - plan.mesh_nodes.len()..count).map(NodeId).collect())
}

/// What generators of nodes are forked for; the numbers of the workload's own purposes are smaller.
const NODE: u64 = 1_000_000;
/// The same for their disks.
const DISK: u64 = 2_000_000;
