//! The services: for each a queue of requests and the workers that wait for one.
//!
//! A service exists while it has workers, queued requests or disabled commands. Workers that can take a request stand
//! in a line: the one with the least in flight for its credit first, among equals the least recently used. A worker of
//! several services stands at the same place in the line of each.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use protocol::mutants::{self, Mutant};
use protocol::timers::Alarm;
use protocol::{PeerId, ServiceName};

use crate::heaviest::Heaviest;
use crate::queue::Queue;

/// A place in the table of services.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ServiceId(usize);

/// A worker's place in a line; never given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// What it has in flight for its credit.
    load: u32,
    turn: u64,
}

#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) name: ServiceName,
    /// To be read; it is changed with [`Services::change_queue`].
    pub(crate) queue: Queue,
    /// Registered workers, idle or busy.
    pub(crate) workers: usize,
    /// Commands that `mmi.filter` has disabled.
    pub(crate) disabled: BTreeSet<Bytes>,
    /// Rings when a queued request may have waited too long.
    pub(crate) alarm: Alarm,
    line: BTreeMap<Place, PeerId>,
}

/// All services, by name and by place.
#[derive(Debug, Default)]
pub(crate) struct Services {
    by_name: BTreeMap<ServiceName, ServiceId>,
    table: Vec<Option<Service>>,
    free: Vec<ServiceId>,
    turns: u64,
    heaviest: Heaviest<ServiceId>,
    /// Those without a worker: names that only somebody's requests, or a filter, keep.
    unserved: BTreeSet<ServiceId>,
}

impl Service {
    fn new(name: ServiceName) -> Self {
        Self {
            name,
            queue: Queue::default(),
            workers: 0,
            disabled: BTreeSet::new(),
            alarm: Alarm::default(),
            line: BTreeMap::new(),
        }
    }

    /// How many workers can take a request.
    pub(crate) fn waiting(&self) -> usize {
        self.line.len()
    }

    /// The worker whose turn it is.
    pub(crate) fn next_waiting(&self) -> Option<PeerId> {
        let next = if mutants::on(Mutant::MostRecentlyUsedFirst) {
            self.line.values().next_back()
        } else {
            self.line.values().next()
        };
        next.copied()
    }

    fn is_needed(&self) -> bool {
        self.workers > 0 || !self.queue.is_empty() || !self.disabled.is_empty()
    }
}

impl Services {
    pub(crate) fn find(&self, name: &ServiceName) -> Option<ServiceId> {
        self.by_name.get(name).copied()
    }

    pub(crate) fn get(&self, id: ServiceId) -> Option<&Service> {
        self.table.get(id.0).and_then(Option::as_ref)
    }

    pub(crate) fn get_mut(&mut self, id: ServiceId) -> Option<&mut Service> {
        self.table.get_mut(id.0).and_then(Option::as_mut)
    }

    /// The service of that name, made if there is room for another; `None` when `services_max` are known.
    pub(crate) fn find_or_add(&mut self, name: &ServiceName, services_max: usize) -> Option<ServiceId> {
        if let Some(id) = self.find(name) {
            return Some(id);
        }
        if self.by_name.len() >= services_max {
            return None;
        }
        let name = name.detached();
        let service = Some(Service::new(name.clone()));
        let id = match self.free.pop() {
            Some(id) => id,
            None => ServiceId(self.table.len()),
        };
        match self.table.get_mut(id.0) {
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
        let gives_way = |id: &ServiceId| self.get(*id).is_some_and(|service| service.disabled.is_empty());
        self.unserved.iter().rev().copied().find(|id| !kept.contains(id) && gives_way(id))
    }

    /// Puts a worker into the lines of its services, behind all others with that load.
    pub(crate) fn join_lines(&mut self, ids: &[ServiceId], peer: PeerId, load: u32) -> Place {
        self.turns += 1;
        let place = Place { load, turn: self.turns };
        for id in ids {
            if let Some(service) = self.get_mut(*id) {
                service.line.insert(place, peer);
            }
        }
        place
    }

    /// Takes a worker out of the lines of its services.
    pub(crate) fn leave_lines(&mut self, ids: &[ServiceId], place: Place) {
        for id in ids {
            if let Some(service) = self.get_mut(*id) {
                service.line.remove(&place);
            }
        }
    }

    /// Forgets the service if nothing keeps it.
    pub(crate) fn forget_if_unneeded(&mut self, id: ServiceId) {
        if self.get(id).is_none_or(Service::is_needed) || mutants::on(Mutant::KeepService) {
            return;
        }
        if let Some(service) = self.table.get_mut(id.0).and_then(Option::take) {
            self.by_name.remove(&service.name);
            self.unserved.remove(&id);
            self.free.push(id);
        }
    }

    /// Changes the queue of a service.
    pub(crate) fn change_queue<T>(&mut self, id: ServiceId, change: impl FnOnce(&mut Queue) -> T) -> Option<T> {
        let queue = &mut self.table.get_mut(id.0).and_then(Option::as_mut)?.queue;
        let before = queue.weight();
        let changed = change(queue);
        self.heaviest.moved(id, before, queue.weight());
        Some(changed)
    }

    /// The service whose queue weighs most.
    pub(crate) fn heaviest(&mut self) -> Option<ServiceId> {
        let table = &self.table;
        let weight = |id: ServiceId| table.get(id.0)?.as_ref().map(|service| (service.queue.weight(), id));
        self.heaviest.find(self.by_name.values().filter_map(|id| weight(*id)))
    }

    /// All services in the order of their names.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Service> {
        self.by_name.values().filter_map(|id| self.get(*id))
    }
}
