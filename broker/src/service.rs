//! The services: for each a queue of requests and the workers that wait for one.
//!
//! A service exists while it has workers, requests or disabled commands, or is drained. A worker of several services
//! stands at the same place in the line of each.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use protocol::mutants::{self, Mutant};
use protocol::timers::Alarm;
use protocol::{Instant, PeerId, ServiceName};

use crate::config::{Config, Policy};
use crate::heaviest::Heaviest;
use crate::queue::Queue;
use crate::roster::Worker;
use crate::statistics::{self, Latency, Statistics};
use crate::waiting::{Place, Waiting};

/// A place in the table of services.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ServiceId(u32);

impl ServiceId {
    fn index(self) -> usize {
        self.0 as usize
    }
}

#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) name: ServiceName,
    pub(crate) policy: Policy,
    /// To be read; it is changed with [`Services::change_queue`].
    pub(crate) queue: Queue,
    /// Registered workers, idle or busy.
    pub(crate) workers: usize,
    /// Commands that `mmi.filter` has disabled.
    pub(crate) disabled: BTreeSet<Bytes>,
    /// Rings when a queued request may have waited too long.
    pub(crate) alarm: Alarm,
    /// Before that nobody looks for such requests.
    pub(crate) next_look: Instant,
    /// How its requests fare.
    pub(crate) statistics: Statistics,
    /// Until when it works off what it has; it takes nothing new, also after that.
    pub(crate) draining: Option<Instant>,
    pub(crate) drain_alarm: Alarm,
    /// The workers that can take a request.
    pub(crate) line: Waiting,
}

/// All services, by name and by place.
#[derive(Debug, Default)]
pub(crate) struct Services {
    by_name: BTreeMap<ServiceName, ServiceId>,
    last_found: ServiceId,
    table: Vec<Option<Service>>,
    free: Vec<ServiceId>,
    turns: u64,
    heaviest: Heaviest<ServiceId>,
    /// Those without a worker: names that only somebody's requests, or a filter, keep.
    unserved: BTreeSet<ServiceId>,
    /// What is known of services that are gone, the latest last.
    retired: VecDeque<(ServiceName, Statistics)>,
    /// Requests that workers have, of all services.
    in_flight: usize,
    /// Services whose times are measured.
    measured: usize,
    /// When it makes sense to look again for services that are measured in vain.
    sweep_at: Instant,
}

impl Service {
    fn new(name: ServiceName, policy: Policy) -> Self {
        Self {
            name,
            policy,
            queue: Queue::default(),
            workers: 0,
            disabled: BTreeSet::new(),
            alarm: Alarm::default(),
            next_look: Instant::ZERO,
            statistics: Statistics::default(),
            draining: None,
            drain_alarm: Alarm::default(),
            line: Waiting::default(),
        }
    }

    /// The worker whose turn it is.
    pub(crate) fn next_waiting(&self) -> Option<PeerId> {
        if mutants::on(Mutant::MostRecentlyUsedFirst) { self.line.last() } else { self.line.first() }
    }

    /// Whether nothing but its queue keeps it.
    fn gives_way(&self) -> bool {
        self.disabled.is_empty() && self.draining.is_none() && self.statistics.in_flight == 0
    }

    fn is_needed(&self) -> bool {
        self.workers > 0
            || !self.queue.is_empty()
            || self.statistics.in_flight > 0
            || !self.disabled.is_empty()
            || self.draining.is_some()
    }
}

impl Services {
    pub(crate) fn find(&self, name: &ServiceName) -> Option<ServiceId> {
        self.by_name.get(name).copied()
    }

    pub(crate) fn get(&self, id: ServiceId) -> Option<&Service> {
        self.table.get(id.index()).and_then(Option::as_ref)
    }

    pub(crate) fn get_mut(&mut self, id: ServiceId) -> Option<&mut Service> {
        self.table.get_mut(id.index()).and_then(Option::as_mut)
    }

    /// As [`find`](Self::find), faster for the name that was found last: requests come in batches.
    pub(crate) fn find_again(&mut self, name: &ServiceName) -> Option<ServiceId> {
        if self.get(self.last_found).is_some_and(|service| service.name == *name) {
            return Some(self.last_found);
        }
        let id = self.find(name)?;
        self.last_found = id;
        Some(id)
    }

    /// The service of that name, made if there is room for another; `None` when `services_max` are known.
    pub(crate) fn find_or_add(&mut self, name: &ServiceName, config: &Config) -> Option<ServiceId> {
        if let Some(id) = self.find(name) {
            return Some(id);
        }
        if self.by_name.len() >= config.limits.services_max {
            return None;
        }
        let name = name.detached();
        let statistics = self.remembered(&name).unwrap_or_default();
        let service = Some(Service { statistics, ..Service::new(name.clone(), config.policy(&name).clone()) });
        let id = match self.free.pop() {
            Some(id) => id,
            None => ServiceId(u32::try_from(self.table.len()).ok()?),
        };
        match self.table.get_mut(id.index()) {
            Some(place) => *place = service,
            None => self.table.push(service),
        }
        self.by_name.insert(name, id);
        self.unserved.insert(id);
        Some(id)
    }

    /// Counts a worker that has come.
    pub(crate) fn add_worker(&mut self, id: ServiceId) {
        let Some(service) = self.get_mut(id) else { return };
        service.workers += 1;
        service.statistics.was_served = true;
        self.unserved.remove(&id);
    }

    /// Counts a worker that has gone.
    pub(crate) fn remove_worker(&mut self, id: ServiceId) {
        let Some(service) = self.get_mut(id) else { return };
        service.workers = service.workers.saturating_sub(usize::from(!mutants::on(Mutant::ForgetToCountDown)));
        if service.workers == 0 {
            self.unserved.insert(id);
        }
    }

    /// A service that only requests keep, and that is none of `kept`.
    pub(crate) fn unserved(&self, kept: &[ServiceId]) -> Option<ServiceId> {
        let gives_way = |id: &ServiceId| self.get(*id).is_some_and(Service::gives_way);
        self.unserved.iter().rev().copied().find(|id| !kept.contains(id) && gives_way(id))
    }

    /// Gives a worker that can take another request its place in the lines of its services, behind all others with its
    /// load, anew after each change of what it has in flight.
    pub(crate) fn line_up(&mut self, worker: &mut Worker, peer: PeerId, bytes_max: usize) {
        let to = worker.has_room(bytes_max).then(|| {
            self.turns += 1;
            Place { load: worker.load(), turn: self.turns }
        });
        let from = std::mem::replace(&mut worker.place, to);
        self.change_lines(&worker.services, peer, from, to);
    }

    /// Takes a worker out of the lines of its services.
    pub(crate) fn leave_lines(&mut self, ids: &[ServiceId], peer: PeerId, place: Place) {
        self.change_lines(ids, peer, Some(place), None);
    }

    fn change_lines(&mut self, ids: &[ServiceId], peer: PeerId, from: Option<Place>, to: Option<Place>) {
        for id in ids {
            if let Some(service) = self.get_mut(*id) {
                service.line.change(from, to, peer);
            }
        }
    }

    /// Forgets the service if nothing keeps it.
    pub(crate) fn forget_if_unneeded(&mut self, id: ServiceId) {
        if self.get(id).is_none_or(Service::is_needed) || mutants::on(Mutant::KeepService) {
            return;
        }
        if let Some(service) = self.table.get_mut(id.index()).and_then(Option::take) {
            self.by_name.remove(&service.name);
            self.unserved.remove(&id);
            self.free.push(id);
            self.retire(service);
        }
    }

    /// Changes the queue of a service.
    pub(crate) fn change_queue<T>(&mut self, id: ServiceId, change: impl FnOnce(&mut Queue) -> T) -> Option<T> {
        let queue = &mut self.table.get_mut(id.index()).and_then(Option::as_mut)?.queue;
        let before = queue.weight();
        let changed = change(queue);
        self.heaviest.moved(id, before, queue.weight());
        Some(changed)
    }

    /// The service whose queue weighs most.
    pub(crate) fn heaviest(&mut self) -> Option<ServiceId> {
        let table = &self.table;
        let weight = |id: ServiceId| table.get(id.index())?.as_ref().map(|service| (service.queue.weight(), id));
        self.heaviest.find(self.by_name.values().filter_map(|id| weight(*id)))
    }

    /// A worker has been given a request of this service.
    pub(crate) fn fly(&mut self, id: ServiceId) {
        if let Some(service) = self.get_mut(id) {
            service.statistics.in_flight += 1;
            self.in_flight += 1;
        }
    }

    /// A worker has a request of this service no more.
    pub(crate) fn land(&mut self, id: ServiceId) {
        if let Some(service) = self.get_mut(id) {
            service.statistics.in_flight -= 1;
            self.in_flight -= 1;
        }
    }

    /// Requests that workers have, of all services.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// How many are known.
    pub(crate) fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Keeps how long a request took, if there is room for the times of its service.
    pub(crate) fn record(&mut self, id: ServiceId, now: Instant, took: Duration) {
        let has_room = self.measured < statistics::MEASURED_MAX;
        let Some(service) = self.get_mut(id) else { return };
        match &mut service.statistics.latency {
            Some(latency) => latency.record(now, took),
            None if has_room && service.statistics.was_served => {
                service.statistics.latency.insert(Box::new(Latency::new(now))).record(now, took);
                self.measured += 1;
            }
            None => self.sweep_measured(now),
        }
    }

    /// Takes the room of services that were measured and had no requests lately.
    fn sweep_measured(&mut self, now: Instant) {
        if now < self.sweep_at {
            return;
        }
        self.sweep_at = now + statistics::WINDOW;
        for service in self.table.iter_mut().flatten() {
            if service.statistics.latency.as_mut().is_some_and(|latency| latency.is_idle(now)) {
                service.statistics.latency = None;
                self.measured -= 1;
            }
        }
    }

    /// Remembers a service that is gone, if it was ever more than a name.
    fn retire(&mut self, service: Service) {
        let Service { name, mut statistics, .. } = service;
        self.measured -= usize::from(statistics.latency.take().is_some());
        if !statistics.was_served {
            return;
        }
        if self.retired.len() == statistics::RETIRED_MAX {
            self.retired.pop_front();
        }
        self.retired.push_back((name, statistics));
    }

    /// What is known of a service that was gone.
    fn remembered(&mut self, name: &ServiceName) -> Option<Statistics> {
        let at = self.retired.iter().position(|(retired, _)| retired == name)?;
        self.retired.remove(at).map(|(_, statistics)| statistics)
    }

    /// All that is known, in the order of names; those that are gone have no queue.
    pub(crate) fn for_each_known(&mut self, mut tell: impl FnMut(&ServiceName, &mut Statistics, Option<&Queue>)) {
        let Self { by_name, table, retired, .. } = self;
        let mut gone: Vec<_> = retired.iter_mut().map(|(name, statistics)| (&*name, statistics)).collect();
        gone.sort_unstable_by_key(|(name, _)| *name);
        let mut gone = gone.into_iter().peekable();
        for (name, id) in by_name {
            while let Some((former, statistics)) = gone.next_if(|(former, _)| *former < name) {
                tell(former, statistics, None);
            }
            if let Some(service) = table.get_mut(id.index()).and_then(Option::as_mut) {
                tell(name, &mut service.statistics, Some(&service.queue));
            }
        }
        gone.for_each(|(former, statistics)| tell(former, statistics, None));
    }

    /// The places of all services, in the order of their names.
    pub(crate) fn ids(&self) -> Vec<ServiceId> {
        self.by_name.values().copied().collect()
    }

    /// All services in the order of their names.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Service> {
        self.by_name.values().filter_map(|id| self.get(*id))
    }
}
