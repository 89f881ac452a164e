//! A large world under way: what happens next, and who hears of it.

use std::sync::Arc;

use client::multiplex;
use protocol::mdp::Dialect;
use protocol::mdp::client::Part;
use protocol::mdp::worker::{FromWorker, ToWorker};
use protocol::{Frames, Instant, Machine, Rights};
use worker::session;

use super::Size;
use super::meter::{Counts, Instruments};
use super::network::{Dialer, End, Event, Link, Network};
use super::node::{self, BrokerNode, ClientNode, JOB, WorkerNode, round, service_name};
use crate::queue::{MILLISECOND, Nanos, Queue};
use crate::rng::Rng;

/// A world.
#[derive(Debug)]
pub(super) struct World<'program> {
    pub(super) now: Nanos,
    pub(super) queue: Queue<Event>,
    pub(super) net: Network,
    pub(super) brokers: Vec<BrokerNode>,
    pub(super) workers: Vec<WorkerNode>,
    pub(super) clients: Vec<ClientNode>,
    pub(super) counts: Counts,
    /// Clients that wait for the answer that shows that all is well again.
    pub(super) awaiting: usize,
    /// Whether every second worker and client of each service cannot reach its broker, nor be reached.
    pub(super) is_split: bool,
    pub(super) rng: Rng,
    pub(super) instruments: &'program mut dyn Instruments,
    heartbeats: [Frames; 2],
    services: usize,
    /// Of everybody: nobody is asked who it is.
    rights: Arc<Rights>,
}

impl<'program> World<'program> {
    /// All processes, about to start. A service lives on one broker; its workers and clients connect there.
    pub(super) fn new(size: Size, instruments: &'program mut dyn Instruments) -> Self {
        let rng = Rng::new(SEED);
        let place = |service: usize| (service_name(service), service % size.brokers);
        let workers = (0..size.workers()).map(|number| {
            let (service, broker) = place(number % size.services);
            WorkerNode::new(number, service, broker)
        });
        let clients = (0..size.clients).map(|number| {
            let (service, broker) = place(number % size.services);
            ClientNode::new(number, service, broker)
        });
        Self {
            now: 0,
            queue: Queue::default(),
            net: Network::new(rng.fork(NETWORK)),
            brokers: (0..size.brokers).map(|_| BrokerNode::new()).collect(),
            workers: workers.collect(),
            clients: clients.collect(),
            counts: Counts::default(),
            awaiting: 0,
            is_split: false,
            rng: rng.fork(LOAD),
            instruments,
            heartbeats: [FromWorker::Heartbeat.encode(Dialect::V02), ToWorker::Heartbeat.encode(Dialect::V02)],
            services: size.services,
            rights: Arc::new(Rights::everything()),
        }
    }

    /// Lets everything happen that is due until `end`.
    pub(super) fn run_until(&mut self, end: Nanos) {
        while let Some((at, event)) = self.queue.pop_before(end) {
            self.now = at;
            self.counts.events += 1;
            self.happen(event);
        }
        self.now = end;
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Knock(link) => self.on_knock(link),
            Event::Greeted(link) => self.tell_dialer(link, Told::Connected),
            Event::Message { link, to: End::Dialer, frames } => self.tell_dialer(link, Told::Message(frames)),
            Event::Message { link, to: End::Broker, frames } => {
                let Some(connection) = self.net.get(link).filter(|connection| connection.broker_open) else { return };
                let input = broker::Input::Message { peer: node::peer(link), frames };
                self.arrive_at_broker(connection.broker, input);
            }
            Event::Gone { link, to: End::Dialer } => {
                if self.net.is_lost(link, End::Dialer) {
                    self.tell_dialer(link, Told::Disconnected);
                }
            }
            Event::Gone { link, to: End::Broker } => {
                let Some(broker) = self.net.get(link).map(|connection| connection.broker) else { return };
                if self.net.is_lost(link, End::Broker) {
                    self.arrive_at_broker(broker, broker::Input::Disconnected { peer: node::peer(link) });
                }
            }
            Event::Serve { broker, life } => self.on_serve(broker, life),
            Event::WakeBroker(broker) => self.on_wake_broker(broker),
            Event::WakeDialer(dialer) => self.on_wake_dialer(dialer),
            Event::Ask(client) => {
                self.queue.push(self.now + THINK, Event::Ask(client));
                self.ask(client, false);
            }
            Event::Finish { worker, job } => {
                let body = Frames::from([bytes::Bytes::from_static(ANSWER)]);
                self.worker_round(worker, Some(session::Input::Reply { job, part: Part::Final, body }));
            }
        }
    }

    fn on_knock(&mut self, link: Link) {
        let Some(connection) = self.net.get(link).filter(|connection| connection.dialer_open) else { return };
        let (dialer, broker) = (connection.dialer, connection.broker);
        let is_listening = self.brokers.get(broker).is_some_and(|node| node.running);
        if !is_listening || self.is_behind_the_wall(dialer) {
            return self.net.knock_again(self.now, &mut self.queue, link);
        }
        self.net.let_in(self.now, &mut self.queue, link);
        let (peer, rights) = (node::peer(link), Arc::clone(&self.rights));
        self.arrive_at_broker(broker, broker::Input::Connected { peer, identity: bytes::Bytes::new(), rights });
    }

    pub(super) fn is_behind_the_wall(&self, dialer: Dialer) -> bool {
        let (Dialer::Worker(number) | Dialer::Client(number)) = dialer;
        self.is_split && (number / self.services + number % self.services) % 2 == 1
    }

    /// A broker is one thread: what arrives while it handles something else waits.
    fn arrive_at_broker(&mut self, broker: usize, input: broker::Input) {
        let Some(node) = self.brokers.get_mut(broker).filter(|node| node.running) else { return };
        node.inbox.push_back(input);
        node.inbox_max = node.inbox_max.max(node.inbox.len());
        if node.inbox.len() == 1 {
            let at = node.busy_until.max(self.now);
            self.queue.push(at, Event::Serve { broker, life: node.life });
        }
    }

    fn on_serve(&mut self, broker: usize, life: u32) {
        let Some(node) = self.brokers.get_mut(broker).filter(|node| node.life == life) else { return };
        let Some(input) = node.inbox.pop_front() else { return };
        node.busy_until = self.now + HANDLING;
        if !node.inbox.is_empty() {
            self.queue.push(node.busy_until, Event::Serve { broker, life });
        }
        self.broker_round(broker, Some(input));
    }

    fn on_wake_broker(&mut self, broker: usize) {
        let now = self.now;
        let Some(node) = self.brokers.get_mut(broker).filter(|node| node.armed == Some(now)) else { return };
        node.armed = None;
        if node.running {
            self.broker_round(broker, None);
        }
    }

    fn on_wake_dialer(&mut self, dialer: Dialer) {
        let armed = match dialer {
            Dialer::Worker(worker) => self.workers.get_mut(worker).map(|node| &mut node.armed),
            Dialer::Client(client) => self.clients.get_mut(client).map(|node| &mut node.armed),
        };
        let Some(armed) = armed.filter(|armed| **armed == Some(self.now)) else { return };
        *armed = None;
        match dialer {
            Dialer::Worker(worker) => self.worker_round(worker, None),
            Dialer::Client(client) => self.client_round(client, None),
        }
    }

    fn tell_dialer(&mut self, link: Link, told: Told) {
        let Some(dialer) = self.net.get(link).map(|connection| connection.dialer) else { return };
        match dialer {
            Dialer::Worker(worker) if self.workers.get(worker).is_some_and(|node| node.link == Some(link)) => {
                let input = match told {
                    Told::Connected => session::Input::Connected,
                    Told::Message(frames) => session::Input::Message(frames),
                    Told::Disconnected => session::Input::Disconnected,
                };
                self.worker_round(worker, Some(input));
            }
            Dialer::Client(client) if self.clients.get(client).is_some_and(|node| node.link == Some(link)) => {
                let input = match told {
                    Told::Connected => multiplex::Input::Connected,
                    Told::Message(frames) => multiplex::Input::Message(frames),
                    Told::Disconnected => multiplex::Input::Disconnected,
                };
                self.client_round(client, Some(input));
            }
            Dialer::Worker(_) | Dialer::Client(_) => {}
        }
    }

    fn broker_round(&mut self, broker: usize, input: Option<broker::Input>) {
        let Some(node) = self.brokers.get_mut(broker) else { return };
        let (outputs, nanos) = round(self.instruments, &mut node.machine, Instant::from_nanos(self.now), input);
        self.counts.spent.broker += nanos;
        node.queued_max = node.queued_max.max(node.machine.queued_requests());
        let wake = due(self.now, node.machine.deadline(), &mut node.armed);
        for output in outputs {
            match output {
                broker::Output::Send { peer, frames } => self.send(node::link(peer), End::Dialer, frames),
                broker::Output::Close { peer } => {
                    self.net.close(self.now, &mut self.queue, node::link(peer), End::Broker);
                    self.arrive_at_broker(broker, broker::Input::Disconnected { peer });
                }
                broker::Output::Event(_) | broker::Output::Finished => {}
            }
        }
        if let Some(at) = wake {
            self.queue.push(at, Event::WakeBroker(broker));
        }
    }

    pub(super) fn worker_round(&mut self, worker: usize, input: Option<session::Input>) {
        let Some(node) = self.workers.get_mut(worker).filter(|node| node.running) else { return };
        let (outputs, nanos) = round(self.instruments, &mut node.machine, Instant::from_nanos(self.now), input);
        self.counts.spent.worker += nanos;
        let wake = due(self.now, node.machine.deadline(), &mut node.armed);
        for output in outputs {
            match output {
                session::Output::Open(_) => {
                    let link = self.net.dial(self.now, &mut self.queue, Dialer::Worker(worker), node.broker);
                    node.link = Some(link);
                }
                session::Output::Close | session::Output::Finished => {
                    if let Some(link) = node.link.take() {
                        self.net.close(self.now, &mut self.queue, link, End::Dialer);
                    }
                }
                session::Output::Send(frames) => {
                    if let Some(link) = node.link {
                        let is_heartbeat = self.heartbeats.contains(&frames);
                        let sent = self.net.send(self.now, &mut self.queue, link, End::Broker, frames);
                        let traffic = &mut self.counts.traffic;
                        *if is_heartbeat { &mut traffic.heartbeats } else { &mut traffic.worker } += u64::from(sent);
                    }
                }
                session::Output::Handle { job, .. } => {
                    let at = self.now + u64::try_from(JOB.as_nanos()).unwrap_or(u64::MAX);
                    self.queue.push(at, Event::Finish { worker, job });
                }
                session::Output::Event(_) | session::Output::Stop { .. } => {}
            }
        }
        if let Some(at) = wake {
            self.queue.push(at, Event::WakeDialer(Dialer::Worker(worker)));
        }
    }

    /// A client's next request; with `awaited` until one of them is answered, however often it fails.
    pub(super) fn ask(&mut self, client: usize, awaited: bool) {
        let Some(node) = self.clients.get_mut(client) else { return };
        let (number, submit) = node.ask();
        if awaited && node.awaited.replace(number).is_none() {
            self.awaiting += 1;
        }
        self.client_round(client, Some(submit));
    }

    pub(super) fn client_round(&mut self, client: usize, input: Option<multiplex::Input>) {
        let Some(node) = self.clients.get_mut(client) else { return };
        let (outputs, nanos) = round(self.instruments, &mut node.machine, Instant::from_nanos(self.now), input);
        self.counts.spent.client += nanos;
        let wake = due(self.now, node.machine.deadline(), &mut node.armed);
        let mut again = false;
        for output in outputs {
            match output {
                multiplex::Output::Open(_) => {
                    let link = self.net.dial(self.now, &mut self.queue, Dialer::Client(client), node.broker);
                    node.link = Some(link);
                }
                multiplex::Output::Close => {
                    if let Some(link) = node.link.take() {
                        self.net.close(self.now, &mut self.queue, link, End::Dialer);
                    }
                }
                multiplex::Output::Send(frames) => {
                    if let Some(link) = node.link {
                        let sent = self.net.send(self.now, &mut self.queue, link, End::Broker, frames);
                        self.counts.traffic.client += u64::from(sent);
                    }
                }
                multiplex::Output::Done(number, Ok(_)) => {
                    self.counts.answered += 1;
                    if node.awaited == Some(number) {
                        node.awaited = None;
                        self.awaiting -= 1;
                    }
                }
                multiplex::Output::Done(number, Err(_)) => {
                    self.counts.failed += 1;
                    again |= node.awaited == Some(number);
                }
                multiplex::Output::Part(..)
                | multiplex::Output::Restarted(_)
                | multiplex::Output::Event(_)
                | multiplex::Output::Finished => {}
            }
        }
        if let Some(at) = wake {
            self.queue.push(at, Event::WakeDialer(Dialer::Client(client)));
        }
        if again {
            self.ask(client, true);
        }
    }

    /// A broker sends. Here, too, messages to another broker will be counted: `traffic.mesh`.
    fn send(&mut self, link: Link, to: End, frames: Frames) {
        let Some(dialer) = self.net.get(link).map(|connection| connection.dialer) else { return };
        let is_heartbeat = self.heartbeats.contains(&frames);
        let sent = self.net.send(self.now, &mut self.queue, link, to, frames);
        let traffic = &mut self.counts.traffic;
        *match dialer {
            _ if is_heartbeat => &mut traffic.heartbeats,
            Dialer::Worker(_) => &mut traffic.worker,
            Dialer::Client(_) => &mut traffic.client,
        } += u64::from(sent);
    }
}

/// What a dialer hears from its socket.
enum Told {
    Connected,
    Message(Frames),
    Disconnected,
}

/// When a node must be woken, if no earlier waking is scheduled.
fn due(now: Nanos, deadline: Option<Instant>, armed: &mut Option<Nanos>) -> Option<Nanos> {
    let at = deadline?.as_nanos().max(now);
    if armed.is_some_and(|armed| armed <= at) {
        return None;
    }
    *armed = Some(at);
    Some(at)
}

const SEED: u64 = 3;
const NETWORK: u64 = 1;
const LOAD: u64 = 2;
/// What each broker takes for each thing that arrives: docs/PERFORMANCE.md has a broker at some 95,000 requests a
/// second, and a request is two messages that arrive.
const HANDLING: Nanos = 5_000;
/// Between two requests of a client.
pub(super) const THINK: Nanos = 1000 * MILLISECOND;
const ANSWER: &[u8] = &[b'.'; 64];
