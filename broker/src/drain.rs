//! Leaving with nothing lost: one worker, one service, or the whole broker (docs/rfc/MDP-0.3.md, 7.7).
//!
//! ```text
//!   worker   DRAIN ─► given nothing more ─► its last FINAL ─► DISCONNECT 200
//!            time over: what it has goes to others
//!   service  new requests: 503 ─► what was accepted is worked off ─► its workers give it up
//!            time over: 503 for what still waits
//!   broker   DRAIN to all of 0.3, new requests: 503 ─► worked off ─► DISCONNECT 503, Finished
//!            time over: 503 for the rest, or 502
//! ```
//!
//! While a service or the broker drains, workers go on being given what was accepted before. A request that no worker
//! could take does not hold the end up: nobody knows whether one would ever come.

use std::collections::BTreeSet;
use std::time::Duration;

use protocol::mdp::v03::worker::Farewell;
use protocol::mdp::v03::{Drain, Options, Status, ToClient, ToWorker};
use protocol::mmi::Target;
use protocol::mutants::{self, Mutant};
use protocol::timers::Alarm;
use protocol::{Instant, PeerId, ServiceName};

use crate::broker::{Alarmed, Broker, Output};
use crate::event::{Departure, Event, RequestEnd};
use crate::service::{Service, ServiceId};
use crate::speech::{Speech, because};

/// What drains, beside workers: these have their own time to leave.
#[derive(Debug, Default)]
pub(crate) struct Draining {
    /// Until when the whole broker works off what it has.
    broker: Option<Instant>,
    pub(crate) alarm: Alarm,
    /// Nothing follows any more.
    is_finished: bool,
    /// Services that have not worked off everything yet.
    services: BTreeSet<ServiceId>,
}

impl Broker {
    /// Whether the broker takes no new requests.
    pub fn is_draining(&self) -> bool {
        self.draining.broker.is_some()
    }

    /// The process shall end once what was accepted is worked off, in `grace` at the latest.
    pub(crate) fn on_drain(&mut self, now: Instant, grace: Duration) {
        let until = now + grace;
        if self.draining.is_finished {
            return;
        }
        let is_new = self.draining.broker.replace(until).is_none();
        self.timers.arm(&mut self.draining.alarm, Alarmed::Drained, until);
        if is_new {
            self.tell(Event::Draining { service: None });
            let drain = self.drain(grace, None, BROKER_DRAINS);
            for peer in self.roster.peers() {
                self.tell_worker(peer, &drain);
            }
            let mut clients: Vec<_> =
                self.peers.iter().filter(|(_, peer)| peer.is_native_client).map(|(id, _)| *id).collect();
            clients.sort_unstable();
            for peer in clients {
                self.send(peer, ToClient::Drain(drain.clone()).encode());
            }
        }
    }

    /// Looks whether what drains is worked off, after whatever has happened.
    pub(crate) fn end_drains(&mut self, now: Instant) {
        if !self.draining.services.is_empty() {
            self.release_services(now);
        }
        let is_over = |until| until <= now || self.is_worked_off();
        if !self.draining.is_finished && self.draining.broker.is_some_and(is_over) {
            self.finish(now);
        }
    }

    fn is_worked_off(&self) -> bool {
        if mutants::on(Mutant::EndWithWork) {
            return true;
        }
        let waits = |service: &Service| service.workers > 0 && !service.queue.is_empty();
        self.services.in_flight() == 0 && (self.queued.requests == 0 || !self.services.iter().any(waits))
    }

    /// A drain that lasts longer by now needs another wake-up; one that is over ends once this tick has been handled.
    pub(crate) fn on_drained_alarm(&mut self, now: Instant, at: Instant) {
        let later = self.draining.broker.filter(|until| *until > now);
        if self.draining.alarm.rings(at)
            && let Some(until) = later
        {
            self.timers.arm(&mut self.draining.alarm, Alarmed::Drained, until);
        }
    }

    /// The end, at once: workers are sent away, and whoever still waits is told to ask elsewhere.
    pub(crate) fn finish(&mut self, now: Instant) {
        self.draining.is_finished = true;
        // Whatever else has been read already is turned away.
        self.draining.broker = Some(now);
        let workers = self.roster.peers();
        for peer in &workers {
            self.leave_lines(*peer);
        }
        for peer in workers {
            let farewell = self.parting("the broker ends");
            self.expel(now, peer, Departure::Shutdown, farewell);
        }
        for id in self.services.ids() {
            while let Some(mut job) = self.pop_front(id) {
                self.fail_job(&mut job, RequestEnd::BrokerEnds);
            }
            self.services.forget_if_unneeded(id);
        }
        self.output(Output::Finished);
    }

    /// A worker has come. Who comes while the broker drains may still take what others leave behind; a service that has
    /// worked off everything lets it go again.
    pub(crate) fn meet_worker(&mut self, now: Instant, peer: PeerId) {
        let Some(worker) = self.roster.get(peer) else { return };
        let services = worker.services.clone();
        if let Some(until) = self.draining.broker {
            let drain = self.drain(until - now, None, BROKER_DRAINS);
            self.tell_worker(peer, &drain);
        }
        for id in services {
            let Some((name, until)) =
                self.services.get(id).and_then(|service| Some((service.name.clone(), service.draining?)))
            else {
                continue;
            };
            let drain = self.drain(until - now, Some(name), SERVICE_DRAINS);
            self.tell_worker(peer, &drain);
            // One that is worked off has to let go of this worker, too.
            self.draining.services.insert(id);
        }
    }

    /// A client has said something in 0.3. Who comes while the broker drains learns it as the others did.
    pub(crate) fn meet_client(&mut self, now: Instant, peer: PeerId) {
        let Some(connection) = self.peers.get_mut(&peer).filter(|connection| !connection.is_native_client) else {
            return;
        };
        connection.is_native_client = true;
        if let Some(until) = self.draining.broker {
            let drain = self.drain(until - now, None, BROKER_DRAINS);
            self.send(peer, ToClient::Drain(drain).encode());
        }
    }

    /// Whether a request for this service is refused because of a drain.
    pub(crate) fn turns_away(&self, service: Option<ServiceId>) -> bool {
        if mutants::on(Mutant::TakeWhileDraining) {
            return false;
        }
        let service = service.and_then(|id| self.services.get(id));
        self.is_draining() || service.is_some_and(|service| service.draining.is_some())
    }

    /// `mmi.drain`; whether there is such a thing.
    pub(crate) fn drain_target(&mut self, now: Instant, target: &Target, grace: Duration) -> bool {
        match target {
            Target::Broker => self.on_drain(now, grace),
            Target::Service(name) => match self.services.find(name) {
                Some(id) => self.drain_service(now, id, grace),
                None => return false,
            },
            Target::Worker(name) => {
                let workers = self.workers_named(name);
                for peer in &workers {
                    let drain = self.drain(grace, None, "drained by the operator");
                    self.tell_worker(*peer, &drain);
                    self.let_go(now, *peer, grace, None, Departure::Drained);
                    self.arm_worker(*peer);
                }
                return !workers.is_empty();
            }
        }
        true
    }

    /// The worker of that number, or else all that call themselves so.
    fn workers_named(&self, name: &str) -> Vec<PeerId> {
        let number = name.parse().ok().map(PeerId).filter(|peer| self.roster.get(*peer).is_some());
        if let Some(peer) = number {
            return vec![peer];
        }
        let is_named =
            |peer: &PeerId| self.roster.get(*peer).is_some_and(|worker| worker.label.name.as_deref() == Some(name));
        self.roster.peers().into_iter().filter(is_named).collect()
    }

    fn drain_service(&mut self, now: Instant, id: ServiceId, grace: Duration) {
        let until = now + grace;
        let Some(service) = self.services.get_mut(id) else { return };
        let is_new = service.draining.replace(until).is_none();
        let name = service.name.clone();
        self.timers.arm(&mut service.drain_alarm, Alarmed::ServiceDrained(id), until);
        self.draining.services.insert(id);
        if is_new {
            self.tell(Event::Draining { service: Some(name.clone()) });
            let drain = self.drain(grace, Some(name), SERVICE_DRAINS);
            for peer in self.workers_of(id) {
                self.tell_worker(peer, &drain);
            }
        }
    }

    /// `mmi.resume`: the service takes requests and workers again; whether it was draining.
    pub(crate) fn resume(&mut self, name: &ServiceName) -> bool {
        let Some(id) = self.services.find(name) else { return false };
        let was = self.services.get_mut(id).is_some_and(|service| service.draining.take().is_some());
        self.draining.services.remove(&id);
        self.services.forget_if_unneeded(id);
        was
    }

    /// The time of a service is over: what still waits for a worker ends. What workers have they finish.
    pub(crate) fn on_service_drained(&mut self, now: Instant, id: ServiceId, at: Instant) {
        let Some(service) = self.services.get_mut(id).filter(|service| service.draining.is_some()) else { return };
        if !service.drain_alarm.rings(at) {
            return;
        }
        let until = service.draining.unwrap_or(Instant::MAX);
        if until > now {
            return self.timers.arm(&mut service.drain_alarm, Alarmed::ServiceDrained(id), until);
        }
        while let Some(mut job) = self.pop_front(id) {
            self.fail_job(&mut job, RequestEnd::NotWorkedOff);
        }
    }

    /// Services that have worked off everything let their workers go.
    fn release_services(&mut self, now: Instant) {
        for id in self.draining.services.clone() {
            let is_done = |service: &Service| service.queue.is_empty() && service.statistics.in_flight == 0;
            if !self.services.get(id).is_none_or(is_done) {
                continue;
            }
            self.draining.services.remove(&id);
            for peer in self.workers_of(id) {
                self.let_go(now, peer, Duration::MAX, Some(id), Departure::Drained);
            }
        }
    }

    fn workers_of(&self, id: ServiceId) -> Vec<PeerId> {
        let offers = |peer: &PeerId| self.roster.get(*peer).is_some_and(|worker| worker.services.contains(&id));
        self.roster.peers().into_iter().filter(offers).collect()
    }

    /// A worker is given nothing more, of one service or at all, and is free to go once it has answered what it has.
    pub(crate) fn let_go(
        &mut self,
        now: Instant,
        peer: PeerId,
        grace: Duration,
        only: Option<ServiceId>,
        departure: Departure,
    ) {
        let Some(mut worker) = self.roster.remove(peer) else { return };
        if let Some(place) = worker.place.take().filter(|_| !mutants::on(Mutant::FeedDrainedWorker)) {
            self.services.leave_lines(&worker.services, peer, place);
        }
        let given_up: Vec<_> = worker.services.extract_if(.., |id| only.is_none_or(|only| only == *id)).collect();
        for id in &given_up {
            self.count_out(peer, *id, &worker, departure);
        }
        if worker.services.is_empty() {
            let leaves_by = now + grace;
            // An operator may shorten what is left; of its own a worker has said it once.
            let before = worker
                .leaves_by
                .map(|before| if departure == Departure::Left { before } else { before.min(leaves_by) });
            worker.leaves_by = Some(before.unwrap_or(leaves_by));
        }
        self.roster.insert(peer, worker);
        for id in given_up {
            self.services.forget_if_unneeded(id);
        }
        self.join_lines(peer);
        self.part_if_done(now, peer);
    }

    /// DRAIN, where the worker's dialect has it.
    fn tell_worker(&mut self, peer: PeerId, drain: &Drain) {
        if self.roster.get(peer).is_some_and(|worker| worker.speech == Speech::Native) {
            self.send(peer, ToWorker::Drain(drain.clone()).encode());
        }
    }

    fn drain(&self, grace: Duration, service: Option<ServiceName>, reason: &str) -> Drain {
        let options = if reason == BROKER_DRAINS { self.hints(reason) } else { because(reason) };
        Drain { grace, service, options }
    }

    fn parting(&self, reason: &str) -> Farewell {
        Farewell { status: Status::DRAINING, options: self.hints(reason) }
    }

    /// Why, and where to go or when to come again.
    pub(crate) fn hints(&self, reason: &str) -> Options {
        let options = Options::build().reason(reason);
        let options = match &*self.config.elsewhere {
            [] => options.retry_after(RETRY_AFTER),
            elsewhere => options.endpoints(elsewhere.iter().map(String::as_str)),
        };
        options.finish().unwrap_or_default()
    }
}

const BROKER_DRAINS: &str = "the broker drains";
const SERVICE_DRAINS: &str = "the service drains";
/// Whoever has nowhere else to go comes back after this: a broker that is restarted is not away for long.
const RETRY_AFTER: Duration = Duration::from_secs(1);
