//! The phases of a run, from the storm to the last look.
//!
//! ```text
//!   storm ── faults end, all that died is started again ──► calm ── all requests have ended ──► probe
//!         ── all probes are answered ──► leave ── workers and clients have gone ──► inspect, close
//! ```

use crate::node::{NodeId, Process, Wish};
use crate::queue::{Event, MILLISECOND, Nanos};
use crate::world::World;

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Requests and faults.
    Storm,
    /// No more of either; what is under way ends.
    Calm,
    /// Clients show that they are answered.
    Probe,
    /// Everybody but the brokers ends.
    Leave,
    /// The brokers end.
    Close,
    Over,
}

impl World {
    /// Looks whether the phase is over, every so often.
    pub(super) fn on_phase(&mut self) {
        if self.phase == Phase::Calm && self.env.net.has_backlog(self.env.now + BACKLOG) {
            // There is no calm as long as what was sent in the storm still arrives.
            self.phase_since = self.env.now;
        }
        if self.phase == Phase::Calm && !self.plan.titanics.is_empty() {
            self.env.served = self.served();
        }
        let calm_for = self.env.now - self.phase_since;
        match self.phase {
            Phase::Storm => self.calm_down(),
            Phase::Calm if calm_for >= self.settled_after() + REST && self.unsettled().is_some() => {
                let what = self.unsettled().unwrap_or_default();
                self.env.oracles.violated(self.env.now, "mesh", what);
            }
            Phase::Calm
                if calm_for >= self.settled_after() && self.env.oracles.open() == 0 && self.unsettled().is_none() =>
            {
                self.env.served = self.served();
                (self.phase, self.phase_since) = (Phase::Probe, self.env.now);
                self.probe_next();
            }
            Phase::Probe if self.env.oracles.open() == 0 => self.probe_next(),
            Phase::Calm | Phase::Probe if calm_for > PATIENCE => {
                self.env.oracles.all_must_have_ended(self.env.now);
                self.phase = Phase::Over;
            }
            Phase::Calm | Phase::Probe => {}
            Phase::Leave if calm_for >= LEAVE => {
                for broker in 0..self.plan.brokers.len() {
                    self.act(NodeId(broker), |actor, context| actor.inspect(context));
                }
                self.enter(Phase::Close, Wish::End);
            }
            Phase::Leave => {}
            Phase::Close | Phase::Over => self.close(),
        }
        self.env.queue.push(self.env.now + STEP, Event::Phase);
    }

    /// Ends the storm: every fault ends, all that died is started again.
    fn calm_down(&mut self) {
        for index in 0..self.plan.faults.len() {
            self.on_relief(index);
        }
        for node in 0..self.nodes.len() {
            self.start(NodeId(node));
        }
        self.env.served = self.served();
        self.enter(Phase::Calm, Wish::Calm);
    }

    /// What is not as it is to be, and where.
    fn unsettled(&self) -> Option<String> {
        self.nodes.iter().find_map(|node| Some(format!("{}: {}", node.name, node.actor.unsettled(&self.env)?)))
    }

    /// One client after the other shows that it is answered: together they might fill a short queue.
    fn probe_next(&mut self) {
        let clients = self.plan.clients.iter().map(|client| client.id);
        let askers = clients.chain(self.plan.depositors.iter().map(|depositor| depositor.id));
        let Some(client) = askers.into_iter().nth(self.probed) else { return self.enter(Phase::Leave, Wish::End) };
        self.probed += 1;
        if let Some(client) = self.find(client) {
            self.wish(client, Wish::Probe);
        }
    }

    /// Goes over to a phase and tells those whom it concerns: everybody but brokers, which end last.
    fn enter(&mut self, phase: Phase, wish: Wish) {
        self.env.trace.line(self.env.now, "world", || format!("{phase:?}"));
        (self.phase, self.phase_since) = (phase, self.env.now);
        let brokers = self.plan.brokers.len();
        let concerned = if phase == Phase::Close { 0..brokers } else { brokers..self.nodes.len() };
        for node in concerned.map(NodeId) {
            self.wish(node, wish);
        }
    }

    /// Tells a node what is wished, if its process runs.
    pub(super) fn wish(&mut self, node: NodeId, wish: Wish) {
        if self.nodes.get(node.0).is_some_and(|node| node.process == Process::Running) {
            self.tick_if_due(node);
            self.settle(node);
            self.act(node, |actor, context| actor.wish(context, wish));
            self.settle(node);
        }
    }

    /// The brokers were told to end: they must have.
    fn close(&mut self) {
        for broker in self.nodes.iter().take(self.plan.brokers.len()) {
            if broker.process == Process::Running {
                let what = format!("{} was told to end and did not", broker.name);
                self.env.oracles.violated(self.env.now, "idle", what);
            }
        }
        self.phase = Phase::Over;
    }

    /// Services with a worker that will stay, by their broker.
    fn served(&self) -> Vec<(NodeId, u8)> {
        let mut served = Vec::new();
        for worker in &self.plan.workers {
            let stays = self.find(worker.id).and_then(|id| self.nodes.get(id.0));
            let (Some(broker), Some(true)) =
                (self.find(worker.broker), stays.map(|node| node.process == Process::Running))
            else {
                continue;
            };
            // One that has fallen back offers its first service only, for as long as its connection lasts.
            let native = worker.native.iter().filter(|native| !(native.ours && native.falls_back));
            let others = native.flat_map(|native| &native.others);
            for service in [&worker.service].into_iter().chain(others) {
                if !served.contains(&(broker, *service)) {
                    served.push((broker, *service));
                }
            }
        }
        served
    }

    /// How long after the last fault everything must have recovered: half-open connections are found out, silent
    /// workers expire, hanging jobs end, queued requests have waited long enough, delays between attempts have passed.
    fn settled_after(&self) -> Nanos {
        let expiry = |heartbeat_ms: u64, liveness: u32| heartbeat_ms * u64::from(liveness);
        let broker = self.plan.brokers.iter().map(|broker| {
            let silent = broker.busy_timeout_ms.max(expiry(broker.heartbeat_ms, broker.liveness));
            silent * u64::from(broker.attempts_max) + broker.queue_wait_ms
        });
        let worker = self.plan.workers.iter().map(|worker| {
            worker.hang_ms.max(expiry(worker.heartbeat_ms, worker.liveness)) + worker.busy_grace_ms.min(worker.hang_ms)
        });
        let slowest = broker.max().unwrap_or(0) + worker.max().unwrap_or(0);
        (self.plan.network.silence_ms + slowest + 5000) * MILLISECOND
    }
}

/// Between two looks whether a phase is over.
pub(super) const STEP: Nanos = 100 * MILLISECOND;
/// What arrives later than that is a backlog, not a message on its way.
const BACKLOG: Nanos = 1000 * MILLISECOND;
/// How long requests may go on after the storm: a client with a long list of waiting requests needs its time.
const PATIENCE: Nanos = 1_000_000 * MILLISECOND;
/// How long everybody has to find each other once all else has recovered, however many beacons are lost.
const REST: Nanos = 30_000 * MILLISECOND;
/// From the wish to end until everybody must have gone.
const LEAVE: Nanos = 10_000 * MILLISECOND;
