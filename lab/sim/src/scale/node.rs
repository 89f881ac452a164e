//! The processes of a large world: each a machine of the product, with what its driver would hold.

use std::collections::VecDeque;
use std::time::Duration;

use broker::Broker;
use client::multiplex::{self, Multiplex};
use client::number::Number;
use client::patience::Patience;
use protocol::mdp::Dialect;
use protocol::mdp::v03::Terms;
use protocol::{Frames, Instant, Machine, PeerId, ServiceName};
use worker::session::{self, Session};

use super::meter::Instruments;
use super::network::Link;
use crate::queue::Nanos;

/// A broker's process.
#[derive(Debug)]
pub(super) struct BrokerNode {
    pub(super) machine: Broker,
    pub(super) running: bool,
    /// Counts its processes: what one has planned means nothing to the next.
    pub(super) life: u32,
    /// What has arrived and waits to be handled.
    pub(super) inbox: VecDeque<broker::Input>,
    pub(super) inbox_max: usize,
    pub(super) queued_max: usize,
    /// Until when it handles what it took last.
    pub(super) busy_until: Nanos,
    pub(super) armed: Option<Nanos>,
}

/// A worker's process.
#[derive(Debug)]
pub(super) struct WorkerNode {
    pub(super) machine: Session,
    pub(super) broker: usize,
    pub(super) link: Option<Link>,
    pub(super) running: bool,
    pub(super) armed: Option<Nanos>,
}

/// A client's process.
#[derive(Debug)]
pub(super) struct ClientNode {
    pub(super) machine: Multiplex,
    pub(super) broker: usize,
    pub(super) service: ServiceName,
    pub(super) link: Option<Link>,
    pub(super) armed: Option<Nanos>,
    requests: u64,
    /// A request whose answer shows that all is well again.
    pub(super) awaited: Option<Number>,
}

impl BrokerNode {
    pub(super) fn new() -> Self {
        Self {
            machine: Broker::new(broker::Config::default()),
            running: true,
            life: 0,
            inbox: VecDeque::new(),
            inbox_max: 0,
            queued_max: 0,
            busy_until: 0,
            armed: None,
        }
    }

    /// Its process dies, with all that it knew.
    pub(super) fn die(&mut self) {
        self.machine = Broker::new(broker::Config::default());
        self.running = false;
        self.life += 1;
        self.inbox.clear();
    }
}

impl WorkerNode {
    pub(super) fn new(number: usize, service: ServiceName, broker: usize) -> Self {
        let speech = worker::Speech::Old(Dialect::V02);
        let config = worker::Config { seed: number as u64, speech, ..worker::Config::new(service) };
        Self { machine: Session::new(config), broker, link: None, running: true, armed: None }
    }

    /// Whether it has said READY on the connection that it has.
    pub(super) fn is_registered(&self) -> bool {
        matches!(self.machine.state(), session::State::Registered | session::State::Busy)
    }
}

impl ClientNode {
    pub(super) fn new(number: usize, service: ServiceName, broker: usize) -> Self {
        // 0.1 has an envelope, which many requests on one connection need.
        let config = multiplex::Config { seed: number as u64, ..multiplex::Config::new(Dialect::V01) };
        Self { machine: Multiplex::new(config), broker, service, link: None, armed: None, requests: 0, awaited: None }
    }

    /// Its next request.
    pub(super) fn ask(&mut self) -> (Number, multiplex::Input) {
        self.requests += 1;
        let number = Number(self.requests);
        let (service, patience) = (self.service.clone(), Patience::default());
        let body = Frames::from([bytes::Bytes::from_static(BODY)]);
        (number, multiplex::Input::Submit { number, service, body, patience, terms: Terms::default(), id: None })
    }
}

/// One round of a driver: tick if it is time, handle what has come, drain; the nanoseconds that it took.
pub(super) fn round<M: Machine>(
    instruments: &mut dyn Instruments,
    machine: &mut M,
    now: Instant,
    input: Option<M::Input>,
) -> (Vec<M::Output>, u64) {
    let start = instruments.nanoseconds();
    if machine.deadline().is_some_and(|deadline| deadline <= now) {
        machine.tick(now);
    }
    if let Some(input) = input {
        machine.handle(now, input);
    }
    let outputs: Vec<_> = std::iter::from_fn(|| machine.poll()).collect();
    (outputs, instruments.nanoseconds() - start)
}

/// The name of a service by its number.
pub(super) fn service_name(number: usize) -> ServiceName {
    ServiceName::new(format!("service.{number:06}").into_bytes()).expect("a short printable text is a name")
}

/// The broker's name for a connection.
pub(super) fn peer(link: Link) -> PeerId {
    PeerId(link.0 as u64)
}

/// A connection by the broker's name for it.
pub(super) fn link(peer: PeerId) -> Link {
    Link(usize::try_from(peer.0).unwrap_or(usize::MAX))
}

/// Of each request, and of each reply.
const BODY: &[u8] = &[b'.'; 64];
/// How long a job takes.
pub(super) const JOB: Duration = Duration::from_millis(1);
