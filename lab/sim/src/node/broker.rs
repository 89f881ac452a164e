//! A broker's process: the machine, and the ROUTER socket's part of the network.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use broker::{Broker, Config, Departure, ErrorReplies, Input, Limits, NoWorker, Output, Policy, Rights};
use bytes::Bytes;
use protocol::{Frames, Instant, Machine, PeerId};

use super::{Actor, Context, Exit, Heard, Wish, service_name};
use crate::coverage;
use crate::net::{Link, Sent, Side};
use crate::oracle::accounts::Accounts;
use crate::oracle::order::{self, Order};
use crate::oracle::roster::{self, Command, Roster};
use crate::plan;

/// A broker.
#[derive(Debug)]
pub(crate) struct BrokerNode {
    config: Config,
    machine: Broker,
    /// What the machine wants done at the end of this round; the oracles have seen it.
    outputs: VecDeque<Output>,
    /// Connections that have refused something in this round.
    refused: BTreeSet<PeerId>,
    order: Order,
    roster: Roster,
    accounts: Accounts,
    is_ending: bool,
    /// Most workers that were registered at once.
    workers_max: usize,
}

impl BrokerNode {
    pub(crate) fn new(plan: &plan::Broker) -> Self {
        let config = config(plan);
        let machine = Broker::new(config.clone());
        let (order, roster) = oracles(&config);
        Self {
            config,
            machine,
            outputs: VecDeque::new(),
            refused: BTreeSet::new(),
            order,
            roster,
            accounts: Accounts::default(),
            is_ending: false,
            workers_max: 0,
        }
    }

    fn handle(&mut self, context: &mut Context<'_>, input: Input, kind: usize) {
        let before = self.state();
        context.env.coverage.met(coverage::Machine::Broker, before, kind);
        self.machine.handle(context.local, input);
        self.observe(context);
        self.workers_max = self.workers_max.max(self.machine.workers());
        context.env.coverage.changed(coverage::Machine::Broker, before, self.state());
    }

    /// Place in the states of the coverage table.
    fn state(&self) -> usize {
        usize::from(self.machine.workers() > 0) + 2 * usize::from(self.machine.queued_requests() > 0)
    }

    /// Shows the oracles what the machine wants done, before anything else happens to it.
    fn observe(&mut self, context: &mut Context<'_>) {
        let now = context.local;
        while let Some(output) = self.machine.poll() {
            match &output {
                Output::Send { peer, frames } => {
                    if let Some(command) = Command::of(frames) {
                        if command == Command::Request {
                            context.check("order", self.order.on_dispatch(now, frames));
                        }
                        context.check("roster", self.roster.on_sent(now, *peer, command));
                    }
                }
                Output::Event(broker::Event::WorkerReady { peer, service }) => {
                    self.roster.on_ready(now, *peer, service.clone());
                }
                Output::Event(broker::Event::WorkerLeft { peer, departure, .. }) => {
                    let expired = *departure == Departure::Expired;
                    context.check("roster", self.roster.on_left(now, *peer, expired));
                }
                Output::Event(broker::Event::Requeued { job, .. }) => self.order.on_requeued(job.0),
                Output::Event(broker::Event::RequestFailed { client, service, .. }) => {
                    self.order.on_failed(*client, service);
                }
                Output::Event(_) | Output::Close { .. } | Output::Finished => {}
            }
            self.outputs.push_back(output);
        }
    }

    /// The answer to `mmi.service`, which the machine has just given.
    fn check_code(&self, context: &mut Context<'_>, asker: PeerId, service: &[u8]) {
        let Some(Output::Send { peer, frames }) = self.outputs.back() else { return };
        let code = frames.last().filter(|code| *peer == asker && [&b"200"[..], b"404"].contains(&code.as_ref()));
        if let Some(code) = code {
            context.check("roster", self.roster.check_code(service, code));
        }
    }

    fn perform(&mut self, context: &mut Context<'_>, output: Output) -> Option<PeerId> {
        match output {
            Output::Send { peer, frames } => {
                // Nothing follows what was refused in the same round: the driver sees to it.
                if self.refused.contains(&peer) {
                    return Some(peer);
                }
                let sent = link(peer).map(|link| context.send(link, Side::Listener, frames));
                if sent == Some(Sent::Full) {
                    self.refused.insert(peer);
                    return Some(peer);
                }
            }
            Output::Close { peer } => {
                context.env.coverage.told("broker: close");
                if let Some(link) = link(peer) {
                    context.dismiss(link);
                }
            }
            Output::Event(event) => {
                context.trace(|| format!("{event:?}"));
                if let Some(name) = name(&event) {
                    context.env.coverage.told(name);
                }
            }
            Output::Finished => context.exit = Some(Exit::Finished),
        }
        None
    }

    /// Limits that hold at every moment. A request that came back from a lost worker may wait beyond the limit of its
    /// service (not of the broker): each registered worker holds one at most, which bounds it.
    fn check_bounds(&mut self, context: &mut Context<'_>) {
        let (queued, limits) = (self.machine.queued_requests(), &self.config.limits);
        if queued > limits.queued_requests_max {
            let what = format!("{queued} requests are queued, allowed are {}", limits.queued_requests_max);
            context.env.oracles.violated(context.env.now, "bounds", what);
        }
        if self.machine.services() > limits.services_max {
            let what = format!("{} services, allowed are {}", self.machine.services(), limits.services_max);
            context.env.oracles.violated(context.env.now, "bounds", what);
        }
        let queue_max = self.config.policy.queue_max.saturating_add(self.workers_max);
        for service in 0..4 {
            let queued = self.machine.queued_for(&service_name(service));
            if queued > queue_max {
                let what = format!("{queued} requests are queued for service {service}, allowed are {queue_max}");
                context.env.oracles.violated(context.env.now, "bounds", what);
            }
        }
    }
}

impl Actor for BrokerNode {
    fn start(&mut self, _context: &mut Context<'_>) {
        self.machine = Broker::new(self.config.clone());
        self.outputs.clear();
        (self.order, self.roster) = oracles(&self.config);
        self.accounts = Accounts::default();
        self.is_ending = false;
        self.workers_max = 0;
    }

    fn die(&mut self, _context: &mut Context<'_>) {}

    fn hear(&mut self, context: &mut Context<'_>, link: Link, heard: Heard) {
        let peer = PeerId(link.0 as u64);
        match heard {
            Heard::Connected { identity } => {
                self.order.on_connected(peer);
                let rights = Arc::new(Rights::everything());
                self.handle(context, Input::Connected { peer, identity, rights }, CONNECTED);
            }
            Heard::Message(frames) => {
                let kind = kind(&frames);
                let command = Command::of(&frames);
                if let Some(command) = command {
                    self.roster.on_heard(context.local, peer, command);
                }
                let asked = frames.last().cloned().unwrap_or_default();
                let service = if kind == REQUEST { service(&frames) } else { None };
                if let Some(service) = &service {
                    self.order.on_request(context.local, peer, service, &frames);
                }
                let before = self.machine.counters().requests;
                self.handle(context, Input::Message { peer, frames }, kind);
                if command == Some(Command::Disconnect) && self.roster.contains(peer) {
                    context.check("roster", Err(format!("worker {} said DISCONNECT and stays", peer.0)));
                }
                if service.as_ref().is_some_and(|service| **service == *b"mmi.service") {
                    self.check_code(context, peer, &asked);
                }
                if service.is_some_and(|service| service.starts_with(b"mmi.")) {
                    self.accounts.management += self.machine.counters().requests - before;
                }
            }
            Heard::Disconnected => {
                self.order.on_disconnected(peer);
                self.handle(context, Input::Disconnected { peer }, DISCONNECTED);
            }
        }
    }

    fn task(&mut self, _context: &mut Context<'_>, _task: u64) {}

    fn wish(&mut self, context: &mut Context<'_>, wish: Wish) {
        if wish == Wish::End && !self.is_ending {
            self.is_ending = true;
            self.handle(context, Input::Shutdown, SHUTDOWN);
        }
    }

    fn tick(&mut self, context: &mut Context<'_>) {
        let before = self.state();
        context.env.coverage.met(coverage::Machine::Broker, before, TICK);
        self.machine.tick(context.local);
        self.observe(context);
        context.env.coverage.changed(coverage::Machine::Broker, before, self.state());
    }

    fn settle(&mut self, context: &mut Context<'_>) {
        let mut refused = Vec::new();
        loop {
            while let Some(output) = self.outputs.pop_front() {
                refused.extend(self.perform(context, output));
            }
            if refused.is_empty() || context.exit.is_some() {
                break;
            }
            for peer in refused.drain(..) {
                self.handle(context, Input::Refused { peer }, REFUSED);
            }
        }
        self.refused.clear();
        self.check_bounds(context);
        if context.exit.is_none() {
            context.check("roster", self.roster.check(context.local));
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.machine.deadline()
    }

    /// Once everybody has left nothing may be left of them.
    fn inspect(&mut self, context: &mut Context<'_>) {
        let now = context.env.now;
        let left = [
            ("workers", self.machine.workers()),
            ("queued requests", self.machine.queued_requests()),
            ("queued bytes", self.machine.queued_bytes()),
            ("services", self.machine.services()),
            ("connections", self.machine.peers()),
        ];
        for (what, count) in left {
            if count > 0 {
                context.env.oracles.violated(now, "idle", format!("{}: {count} {what} are left behind", context.name));
            }
        }
        if let Err(what) = self.accounts.check(&self.machine.counters()) {
            context.env.oracles.violated(now, "accounts", format!("{}: {what}", context.name));
        }
    }
}

/// The oracles of a broker that knows nobody yet.
fn oracles(config: &Config) -> (Order, Roster) {
    let Policy { queue_wait, attempts_max, run_abandoned, busy_timeout, .. } = config.policy;
    let order = Order::new(order::Rules { queue_wait, attempts_max, run_abandoned });
    let rules = roster::Rules { heartbeat: config.heartbeat, expiry: config.expiry(), busy_timeout };
    (order, Roster::new(rules))
}

fn link(peer: PeerId) -> Option<Link> {
    usize::try_from(peer.0).ok().map(Link)
}

fn config(plan: &plan::Broker) -> Config {
    Config {
        heartbeat: Duration::from_millis(plan.heartbeat_ms),
        liveness: plan.liveness,
        limits: Limits {
            queued_requests_max: plan.queued_requests_max,
            queued_bytes_max: plan.queued_bytes_max,
            services_max: plan.services_max,
            gathered_bytes_max: plan.gathered_bytes_max,
            ..Limits::default()
        },
        policy: Policy {
            no_worker: if plan.refuse { NoWorker::Refuse } else { NoWorker::Queue },
            queue_max: plan.queue_max,
            queue_wait: Duration::from_millis(plan.queue_wait_ms),
            busy_timeout: Duration::from_millis(plan.busy_timeout_ms),
            attempts_max: plan.attempts_max,
            run_abandoned: plan.run_abandoned,
        },
        error_replies: if plan.status_frames { ErrorReplies::StatusFrame } else { ErrorReplies::Silence },
        ..Config::default()
    }
}

/// Who seems to have sent a message, by its header.
fn kind(frames: &Frames) -> usize {
    let header = frames.iter().take(4).find(|frame| frame.len() == 6 && frame.starts_with(b"MDP"));
    match header.and_then(|header| header.get(3)) {
        Some(b'C') => REQUEST,
        Some(b'W') => WORKER,
        _ => GARBAGE,
    }
}

/// The service that a client's message asks, if it is well formed.
fn service(frames: &Frames) -> Option<Bytes> {
    let header = frames.iter().position(|frame| frame.starts_with(b"MDPC"))?;
    let after = if frames.get(header)?.ends_with(b"01") { 1 } else { 2 };
    frames.get(header + after).cloned()
}

/// The name in the coverage table, for what can happen here. What no node makes happen yet has none: whoever adds such
/// a node adds the name there and here.
fn name(event: &broker::Event) -> Option<&'static str> {
    use broker::{Departure, RequestEnd};
    use protocol::PeerFault;
    Some(match event {
        broker::Event::WorkerReady { .. } => "broker: worker ready",
        broker::Event::WorkerLeft { departure, .. } => match departure {
            Departure::Left => "broker: worker left",
            Departure::Closed => "broker: worker closed",
            Departure::Expired => "broker: worker expired",
            Departure::Expelled => "broker: worker expelled",
            Departure::Stalled => "broker: worker stalled",
            Departure::Shutdown => "broker: worker left at shutdown",
        },
        broker::Event::Requeued { .. } => "broker: requeued",
        broker::Event::RequestFailed { end, .. } => match end {
            RequestEnd::QueueFull => "broker: queue full",
            RequestEnd::BrokerFull => "broker: broker full",
            RequestEnd::NoWorker => "broker: no worker",
            RequestEnd::WaitedTooLong => "broker: waited too long",
            RequestEnd::AttemptsExhausted => "broker: attempts exhausted",
            RequestEnd::StreamBroken => "broker: stream broken",
            RequestEnd::ReplyTooLarge => "broker: reply too large",
            RequestEnd::Disabled => "broker: disabled",
            RequestEnd::Abandoned => "broker: abandoned",
            #[allow(unreachable_patterns, reason = "room for ends that this simulation cannot bring about yet")]
            _ => return None,
        },
        broker::Event::Fault { fault, .. } => match fault {
            PeerFault::Header => "broker: fault header",
            PeerFault::Envelope => "broker: fault envelope",
            PeerFault::Missing(_) => "broker: fault missing frame",
            PeerFault::Trailing(_) => "broker: fault trailing frame",
            PeerFault::Command => "broker: fault command",
            PeerFault::ServiceName(_) => "broker: fault service name",
            PeerFault::Address => "broker: fault address",
            PeerFault::RequestId => "broker: fault request id",
            PeerFault::Value { .. } => "broker: fault value",
            PeerFault::Repeated(_) => "broker: fault repeated",
            PeerFault::Option(_) => "broker: fault option",
            #[allow(unreachable_patterns, reason = "room for faults of dialects that no node here speaks yet")]
            _ => return None,
        },
        #[allow(unreachable_patterns, reason = "room for what this simulation cannot bring about yet")]
        _ => return None,
    })
}

// Places in the inputs of the coverage table.
const CONNECTED: usize = 0;
const REQUEST: usize = 1;
const WORKER: usize = 2;
const GARBAGE: usize = 3;
const DISCONNECTED: usize = 4;
const REFUSED: usize = 5;
const SHUTDOWN: usize = 6;
const TICK: usize = 7;
