//! A broker's process: the machine, and the ROUTER socket's part of the network.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use broker::{Broker, Config, Departure, Input, Limits, Output, Policy, RequestEnd, Rights};
use bytes::Bytes;
use protocol::mdp::v03::{self, FromClient};
use protocol::{Frames, Instant, Machine, PeerId, ServiceName};

use super::{Actor, Context, Exit, Heard, Wish, service_name};
use crate::coverage;
use crate::net::{Link, Sent, Side};
use crate::oracle::accounts::Accounts;
use crate::oracle::drain::{self, Drains};
use crate::oracle::filter::Filters;
use crate::oracle::ledger::{self, Ledger};
use crate::oracle::order::{self, Order};
use crate::oracle::roster::{self, Roster};
use crate::oracle::spoken::{Command, asked};
use crate::plan;
use crate::queue::MILLISECOND;

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
    filters: Filters,
    ledger: Ledger,
    drains: Drains,
    /// Services with a worker when the present input came.
    served: Vec<ServiceName>,
    accounts: Accounts,
    /// The newest connection of each identity.
    identities: BTreeMap<Bytes, Link>,
    /// How the input that is being handled ended a request.
    told: Option<RequestEnd>,
    /// When this one is not the present version, but one that knows nothing of MDP 0.3.
    old_ms: (u64, u64),
    is_old: bool,
    is_ending: bool,
    /// Most requests that workers had at once.
    in_flight_max: usize,
}

impl BrokerNode {
    pub(crate) fn new(plan: &plan::Broker) -> Self {
        let config = super::settings::of(plan);
        let machine = Broker::new(config.clone());
        let (order, roster, ledger) = oracles(&config);
        Self {
            config,
            machine,
            outputs: VecDeque::new(),
            refused: BTreeSet::new(),
            order,
            roster,
            filters: Filters::default(),
            ledger,
            drains: Drains::default(),
            served: Vec::new(),
            accounts: Accounts::default(),
            identities: BTreeMap::new(),
            told: None,
            old_ms: plan.old_ms,
            is_old: false,
            is_ending: false,
            in_flight_max: 0,
        }
    }

    fn handle(&mut self, context: &mut Context<'_>, input: Input, kind: usize) {
        self.look_who_serves();
        let before = self.state();
        context.env.coverage.met(coverage::Machine::Broker, before, kind);
        self.machine.handle(context.local, input);
        self.observe(context);
        self.in_flight_max = self.in_flight_max.max(self.machine.in_flight());
        context.env.coverage.changed(coverage::Machine::Broker, before, self.state());
    }

    fn look_who_serves(&mut self) {
        self.served.clear();
        if self.drains.is_on() {
            let all = (0..4).map(service_name);
            self.served.extend(all.filter(|service| self.roster.serves(service)));
        }
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
                Output::Send { peer, frames } => self.on_sent(context, *peer, frames),
                Output::Event(broker::Event::WorkerReady { peer, service }) => {
                    self.roster.on_ready(now, *peer, service.clone());
                }
                Output::Event(broker::Event::WorkerLeft { peer, service, departure, .. }) => {
                    context.check("roster", self.roster.on_left(now, *peer, service, *departure));
                    if *departure != Departure::Shutdown && !self.roster.serves(service) {
                        self.served.retain(|served| served != service);
                    }
                }
                Output::Event(broker::Event::Requeued { job, .. }) => {
                    self.ledger.on_requeued(&Bytes::copy_from_slice(&job.0.to_be_bytes()));
                    self.order.on_requeued(job.0);
                }
                Output::Event(broker::Event::RequestFailed { client, service, end }) => {
                    self.told = Some(*end);
                    if *end == RequestEnd::BrokerEnds {
                        let is_served = self.served.contains(service);
                        context.check("drain", self.drains.on_cut_off(now, service, is_served));
                    }
                    // What had come back and waited may be among what was given up.
                    use RequestEnd::{Abandoned, BrokerEnds, NotWorkedOff};
                    let is_given_up = matches!(end, Abandoned | BrokerEnds | NotWorkedOff);
                    self.order.on_failed(*client, service, is_given_up);
                }
                Output::Event(_) | Output::Close { .. } | Output::Finished => {}
            }
            self.outputs.push_back(output);
        }
        context.check("ledger", self.ledger.settle(now));
        self.ledger.over.drain(..).for_each(|token| self.order.on_over(token));
    }

    /// The machine sends something.
    fn on_sent(&mut self, context: &mut Context<'_>, peer: PeerId, frames: &Frames) {
        let now = context.local;
        if frames.first().is_some_and(|head| head.starts_with(v03::CLIENT_HEADER)) {
            return context.check("ledger", self.ledger.on_sent(now, peer, frames));
        }
        let Some(command) = Command::of(frames) else { return };
        let address = Command::address(frames);
        if let (Command::Request(named), Some(address)) = (&command, &address) {
            context.check("order", self.order.on_dispatch(now, frames));
            context.check("ledger", self.ledger.on_given(peer, named.is_some(), frames, address.clone()));
        }
        if let (Command::Cancel, Some(address)) = (&command, &address) {
            self.ledger.on_called_off(peer, address);
        }
        context.check("roster", self.roster.on_sent(now, peer, &command));
    }

    /// A client says something.
    fn on_client(&mut self, context: &mut Context<'_>, peer: PeerId, frames: Frames) {
        let is_known = self.show_ledger(context.local, peer, &frames);
        let last = frames.last().cloned().unwrap_or_default();
        let Some((service, command)) = asked(&frames) else {
            return self.handle(context, Input::Message { peer, frames }, REQUEST);
        };
        let is_disabled = self.filters.covers(&service, command);
        let (change, drain) = (Filters::change(&service, &frames), Drains::change(&service, &frames));
        let is_drained = self.drains.covers(&service);
        // The whole broker may end in this very step.
        let (now, drain) = (context.local, drain.filter(|drain| !self.drains.begin(context.local, drain)));
        self.order.on_request(context.local, peer, &service, &frames);
        let before = self.machine.counters();
        self.told = None;
        self.handle(context, Input::Message { peer, frames }, REQUEST);
        if self.has_done_so(peer) {
            drain.into_iter().for_each(|drain| self.drains.apply(now, drain));
            change.into_iter().for_each(|change| self.filters.apply(change));
        }
        if *service == *b"mmi.service" {
            self.check_code(context, peer, &last);
        }
        let counters = self.machine.counters();
        // What has come before is judged by what became of it then.
        let is_heard = counters.requests > before.requests;
        if service.starts_with(b"mmi.") {
            self.accounts.management += u64::from(is_heard);
        } else if is_heard && !is_known {
            self.check_refusal(context, is_drained, is_disabled);
        }
    }

    /// What is to be refused has been, and nothing else for the same reason.
    fn check_refusal(&self, context: &mut Context<'_>, is_drained: bool, is_disabled: bool) {
        let told = |end| self.told == Some(end);
        if is_drained != told(RequestEnd::Draining) {
            let what = format!("a request is told {:?}; is what it asks draining: {is_drained}", self.told);
            context.check("drain", Err(what));
        } else if !is_drained && is_disabled != told(RequestEnd::Disabled) {
            let what = format!("a request is told {:?}; is its command disabled: {is_disabled}", self.told);
            context.check("filter", Err(what));
        }
    }

    /// Whether the machine has just answered this peer that it did what was asked.
    fn has_done_so(&self, asker: PeerId) -> bool {
        self.outputs.iter().any(|output| match output {
            Output::Send { peer, frames } => *peer == asker && frames.last().is_some_and(|code| *code == b"200"[..]),
            _ => false,
        })
    }

    /// Shows a message of 0.3 to the oracle that keeps account of those. Whether it is a request with a known id.
    fn show_ledger(&mut self, now: Instant, peer: PeerId, frames: &Frames) -> bool {
        if !frames.first().is_some_and(|head| head.starts_with(v03::CLIENT_HEADER)) {
            return false;
        }
        match FromClient::decode(frames.clone()) {
            Ok(FromClient::Request(request)) => return self.ledger.on_request(now, peer, &request),
            Ok(FromClient::Cancel(id)) => self.ledger.on_cancel(peer, id),
            Ok(FromClient::Heartbeat) => {}
            Err(rejected) => rejected.request.into_iter().for_each(|id| self.ledger.on_malformed(id)),
        }
        false
    }

    /// A worker says something, or nobody knows who.
    fn on_other(&mut self, context: &mut Context<'_>, peer: PeerId, frames: Frames, kind: usize) {
        let command = Command::of(&frames);
        if let Some(command) = &command {
            self.roster.on_heard(context.local, peer, command);
        }
        if command == Some(Command::Final) {
            Command::address(&frames).into_iter().for_each(|address| self.ledger.on_answered(address, &frames));
        }
        self.handle(context, Input::Message { peer, frames }, kind);
        if command == Some(Command::Disconnect) && self.roster.contains(peer) {
            context.check("roster", Err(format!("worker {} said DISCONNECT and stays", peer.0)));
        }
    }

    /// The newest connection of an identity wins, as with our ROUTER: the older one is closed.
    fn replace(&mut self, context: &mut Context<'_>, link: Link, identity: &Bytes) {
        if identity.is_empty() {
            return;
        }
        if let Some(older) = self.identities.insert(identity.clone(), link) {
            context.env.coverage.told("broker: identity replaced");
            context.close(older, Side::Listener, false);
            context.hear_end(older);
        }
    }

    /// The one frame that the machine has just answered this peer with.
    fn last_code(&self, asker: PeerId) -> Option<&Bytes> {
        match self.outputs.back()? {
            Output::Send { peer, frames } if *peer == asker => frames.last(),
            _ => None,
        }
    }

    /// The answer to `mmi.service`, which the machine has just given.
    fn check_code(&self, context: &mut Context<'_>, asker: PeerId, service: &[u8]) {
        let code = self.last_code(asker).filter(|code| [&b"200"[..], b"404"].contains(&code.as_ref()));
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
                if let Some(name) = super::told::broker(&event) {
                    context.env.coverage.told(name);
                }
            }
            Output::Finished => {
                context.check("accounts", self.accounts.check(&self.machine.counters()));
                // One that ends without having been told by the world is started again, as any service is.
                context.exit = Some(if self.is_ending { Exit::Finished } else { Exit::Replaced });
            }
        }
        None
    }

    /// Limits that hold at every moment. A request that came back from a lost worker may wait beyond the limit of its
    /// service (not of the broker): what workers held at most bounds it.
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
        let queue_max = self.config.policy.queue_max.saturating_add(self.in_flight_max);
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
    fn start(&mut self, context: &mut Context<'_>) {
        let (from, until) = (self.old_ms.0 * MILLISECOND, self.old_ms.1 * MILLISECOND);
        self.is_old = (from..until).contains(&context.env.now);
        let changes = [from, until].into_iter().filter(|at| *at > context.env.now);
        changes.collect::<Vec<_>>().into_iter().for_each(|at| context.later(at - context.env.now, REPLACE));
        self.machine = Broker::new(self.config.clone());
        self.outputs.clear();
        (self.order, self.roster, self.ledger) = oracles(&self.config);
        (self.filters, self.drains) = (Filters::default(), Drains::default());
        self.accounts = Accounts::default();
        self.identities.clear();
        self.is_ending = false;
        self.in_flight_max = 0;
    }

    fn die(&mut self, _context: &mut Context<'_>) {}

    fn hear(&mut self, context: &mut Context<'_>, link: Link, heard: Heard) {
        let peer = PeerId(link.0 as u64);
        match heard {
            Heard::Connected { identity } => {
                self.replace(context, link, &identity);
                self.order.on_connected(peer, identity.clone());
                self.ledger.on_connected(peer, &identity);
                let rights = Arc::new(Rights::everything());
                self.handle(context, Input::Connected { peer, identity, rights }, CONNECTED);
            }
            // Such a header means nothing to it, and it drops the message.
            Heard::Message(frames) if self.is_old && v03::is_spoken_in(&frames) => {
                context.env.coverage.told("broker: does not know 0.3");
            }
            Heard::Message(frames) => match kind(&frames) {
                REQUEST => self.on_client(context, peer, frames),
                kind => self.on_other(context, peer, frames, kind),
            },
            Heard::Disconnected => {
                self.identities.retain(|_, newest| *newest != link);
                self.order.on_disconnected(peer);
                self.ledger.on_disconnected(peer);
                self.handle(context, Input::Disconnected { peer }, DISCONNECTED);
                self.roster.on_disconnected(peer);
            }
        }
    }

    /// Another version takes its place.
    fn task(&mut self, context: &mut Context<'_>, _task: u64) {
        self.drains.apply(context.local, drain::Change::Broker(Duration::ZERO));
        self.handle(context, Input::Shutdown, SHUTDOWN);
    }

    fn wish(&mut self, context: &mut Context<'_>, wish: Wish) {
        match wish {
            Wish::End if !self.is_ending => {
                self.is_ending = true;
                self.handle(context, Input::Shutdown, SHUTDOWN);
            }
            Wish::Drain if !self.is_ending => {
                if context.rng.chance(30) {
                    // Whoever does not wait cuts short what drains, too.
                    self.drains.apply(context.local, drain::Change::Broker(Duration::ZERO));
                    return self.handle(context, Input::Shutdown, SHUTDOWN);
                }
                let grace = Duration::from_millis(context.rng.one_of([0, 200, 2000]));
                self.drains.apply(context.local, drain::Change::Broker(grace));
                self.handle(context, Input::Drain { grace }, DRAIN);
            }
            _ => {}
        }
    }

    fn tick(&mut self, context: &mut Context<'_>) {
        self.look_who_serves();
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
            let is_idle = self.machine.queued_requests() == 0;
            let queued = |service: &_| if is_idle { 0 } else { self.machine.queued_for(service) };
            context.check("roster", self.roster.check(context.local, queued));
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
fn oracles(config: &Config) -> (Order, Roster, Ledger) {
    let Policy { queue_wait, attempts_max, run_abandoned, busy_timeout, .. } = config.policy;
    let order = Order::new(order::Rules { queue_wait, attempts_max, run_abandoned });
    let rules = roster::Rules { heartbeat: config.heartbeat, expiry: config.expiry(), busy_timeout };
    let Limits { kept_window, kept_answers_max, kept_bytes_max, .. } = config.limits;
    let is_ample = kept_answers_max >= plan::AMPLE && kept_bytes_max >= plan::AMPLE;
    (order, Roster::new(rules), Ledger::new(ledger::Rules { window: kept_window, is_ample }))
}

fn link(peer: PeerId) -> Option<Link> {
    usize::try_from(peer.0).ok().map(Link)
}

/// Who seems to have sent a message, by its header.
fn kind(frames: &Frames) -> usize {
    let is_native = |frame: &Bytes| frame.starts_with(b"MDPC03") || frame.starts_with(b"MDPW03");
    let native = frames.first().filter(|head| is_native(head));
    let old = || frames.iter().take(4).find(|frame| frame.len() == 6 && frame.starts_with(b"MDP"));
    match native.or_else(old).and_then(|header| header.get(3)) {
        Some(b'C') => REQUEST,
        Some(b'W') => WORKER,
        _ => GARBAGE,
    }
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
const DRAIN: usize = 8;

const REPLACE: u64 = 0;
