//! Queues and matching: which request goes to which worker, and what becomes of those that cannot.
//!
//! The worker with the least in flight for its credit is next; among equals the least recently used. A request whose
//! worker left goes back to the front, so that it loses no time, up to its service's limit of attempts.

use std::time::Duration;

use protocol::mutants::{self, Mutant};
use protocol::timers::Alarm;
use protocol::{Instant, PeerId};

use crate::broker::{Alarmed, Broker};
use crate::event::{Event, RequestEnd};
use crate::job::{Job, JobId, ReplyState};
use crate::known::Stage;
use crate::queue::{Queue, Seat};
use crate::service::{Service, ServiceId};

impl Broker {
    /// Gives queued requests to waiting workers until one of the two runs out.
    pub(crate) fn dispatch(&mut self, now: Instant, id: ServiceId) {
        while let Some(service) = self.services.get(id).filter(|service| !service.queue.is_empty()) {
            let Some(peer) = self.next_worker(service) else { break };
            // A worker that was called in vain keeps its place.
            let Some(job) = self.next_request(now, id) else { break };
            self.assign(now, peer, job);
        }
        self.services.forget_if_unneeded(id);
    }

    /// The worker that is called next. Whoever stands in a line is there.
    pub(crate) fn next_worker(&self, service: &Service) -> Option<PeerId> {
        let is_there = |peer: &PeerId| !mutants::on(Mutant::KeepStalePlaces) || self.roster.get(*peer).is_some();
        service.next_waiting().filter(is_there)
    }

    /// Gives a worker what it can take now; its services take turns, so that none of them starves behind another.
    pub(crate) fn serve(&mut self, now: Instant, peer: PeerId) {
        let Some(worker) = self.roster.get_mut(peer) else { return };
        if let [id] = worker.services.as_slice() {
            let id = *id;
            return self.dispatch(now, id);
        }
        let turns = worker.services.len().min(1);
        worker.services.rotate_left(turns);
        for index in 0..worker.services.len() {
            let Some(id) = self.roster.get(peer).and_then(|worker| worker.services.get(index).copied()) else { return };
            self.dispatch(now, id);
        }
    }

    /// The next request that is worth a worker's time.
    fn next_request(&mut self, now: Instant, id: ServiceId) -> Option<Job> {
        loop {
            let mut job = self.pop_front(id)?;
            if job.expires <= now && !mutants::on(Mutant::RunExpired) {
                self.fail_job(&mut job, RequestEnd::WaitedTooLong);
            } else if self.reachable(&job.client).is_none() && !self.runs_abandoned(&job) {
                self.fail_job(&mut job, RequestEnd::Abandoned);
            } else {
                return Some(job);
            }
        }
    }

    fn runs_abandoned(&self, job: &Job) -> bool {
        self.services.get(job.place).is_some_and(|service| service.policy.run_abandoned)
            || mutants::on(Mutant::RunAbandoned)
    }

    pub(crate) fn assign(&mut self, now: Instant, peer: PeerId, mut job: Job) {
        self.jobs += 1;
        job.id = JobId(self.jobs);
        job.attempts += u32::from(!mutants::on(Mutant::ForgetAttempts));
        let worker = self.roster.get_mut(peer).expect("whoever is called is there");
        let frames = worker.speech.request(now, &job);
        self.services.fly(job.place);
        if let Some(ticket) = job.ticket {
            self.known.move_to(ticket, Stage::Running(peer, job.id));
        }
        if let Some(deadline) = job.request.deadline {
            self.timers.arm(&mut Alarm::default(), Alarmed::Deadline(peer, job.id), deadline);
        }
        worker.take_on(now, job, &frames);
        self.services.line_up(worker, peer, self.config.limits.worker_bytes_max);
        let wakes = worker.wakes(&self.pace, &self.services);
        self.timers.arm(&mut worker.alarm, Alarmed::Worker(peer), wakes);
        self.counters.dispatched += 1;
        self.send(peer, frames);
    }

    /// What a worker can take has changed: it gets its place in the lines, its alarm, and what waits for it.
    pub(crate) fn go_on(&mut self, now: Instant, peer: PeerId) {
        let Some(worker) = self.roster.get_mut(peer) else { return };
        self.services.line_up(worker, peer, self.config.limits.worker_bytes_max);
        let wakes = worker.wakes(&self.pace, &self.services);
        self.timers.arm(&mut worker.alarm, Alarmed::Worker(peer), wakes);
        match worker.services.as_slice() {
            [] => self.part_if_done(now, peer),
            &[id] => self.dispatch(now, id),
            [..] => self.serve(now, peer),
        }
    }

    /// Gives a worker its place in the lines, as it now deserves.
    pub(crate) fn join_lines(&mut self, peer: PeerId) {
        let Some(worker) = self.roster.get_mut(peer) else { return };
        self.services.line_up(worker, peer, self.config.limits.worker_bytes_max);
    }

    /// Gives a worker no more requests until it joins the lines again.
    pub(crate) fn leave_lines(&mut self, peer: PeerId) {
        let Some(worker) = self.roster.get_mut(peer) else { return };
        if let Some(place) = worker.place.take() {
            self.services.leave_lines(&worker.services, peer, place);
        }
    }

    /// Takes a request back from a worker that left: into which queue, unless it has ended.
    pub(crate) fn take_back(&mut self, mut job: Job) -> Option<ServiceId> {
        self.services.land(job.place);
        let end = match job.reply {
            ReplyState::Over => return None,
            _ if mutants::on(Mutant::ForgetRequeue) => return None,
            ReplyState::Streaming(_) if mutants::on(Mutant::RestartStream) => None,
            ReplyState::Streaming(_) => Some(RequestEnd::StreamBroken),
            ReplyState::Untouched | ReplyState::Gathering(_) => {
                let extra = u32::from(mutants::on(Mutant::AttemptsOffByOne));
                let policy = self.config.policy(&job.request.service);
                let attempts_max =
                    if job.runs_once() && !mutants::on(Mutant::RunOnceTwice) { 1 } else { policy.attempts_max + extra };
                (job.attempts >= attempts_max).then_some(RequestEnd::AttemptsExhausted)
            }
        };
        if let Some(end) = end {
            self.fail_job(&mut job, end);
            return None;
        }
        // A worker that gives a service up may be the last to know it.
        let id = self.services.find_or_add(&job.request.service, &self.config);
        let Some(id) = id.filter(|id| self.has_room_again(*id, &job)) else {
            self.fail_job(&mut job, RequestEnd::BrokerFull);
            return id;
        };
        job.parts = 0;
        if matches!(job.reply, ReplyState::Gathering(_)) && !mutants::on(Mutant::KeepAbortedParts) {
            job.reply = ReplyState::Untouched;
        }
        self.counters.requeued += 1;
        let service = job.request.service.detached();
        self.tell(Event::Requeued { job: job.id, service, attempts: job.attempts });
        self.push_front(id, job);
        Some(id)
    }

    /// Whether a request that comes back can wait: the limits over all services hold for it, too, or workers that come
    /// and go could fill the queues without end. It was there first, so the newest of whoever holds most gives way.
    fn has_room_again(&mut self, id: ServiceId, job: &Job) -> bool {
        // What a waiting worker takes at once needs no room. One that offers several services waits for all of them
        // with the same credit, so it is not counted for any.
        let is_for_this = |peer: &PeerId| self.roster.get(*peer).is_some_and(|worker| worker.services.len() == 1);
        if let Some(service) = self.services.get(id)
            && service.line.iter().filter(is_for_this).nth(service.queue.len()).is_some()
        {
            return true;
        }
        while self.is_full(job.byte_count) {
            let heaviest = self.services.heaviest();
            if !heaviest.is_some_and(|heaviest| self.evict(heaviest, 0, RequestEnd::BrokerFull)) {
                return false;
            }
        }
        true
    }

    pub(crate) fn on_queue_alarm(&mut self, now: Instant, id: ServiceId, at: Instant) {
        let Some(service) = self.services.get_mut(id) else { return };
        if !service.alarm.rings(at) {
            return;
        }
        if mutants::on(Mutant::KeepExpiredRequests) {
            return;
        }
        // Looking through every lane has its price: not more often than that, however the deadlines lie, and whoever
        // adds others meanwhile.
        let waiting = u32::try_from(self.queued.requests).unwrap_or(u32::MAX);
        service.next_look = now + EXPIRY_PAUSE.saturating_mul(waiting);
        let look = |queue: &mut Queue| (queue.expire(now), queue.first_expiry());
        let (expired, next) = self.services.change_queue(id, look).unwrap_or_default();
        for mut job in expired {
            self.unqueue(&job);
            self.fail_job(&mut job, RequestEnd::WaitedTooLong);
        }
        if let Some(next) = next {
            self.arm_queue(id, next);
        }
        self.services.forget_if_unneeded(id);
    }

    /// Wake-ups that are kept for workers and queues, stale ones included.
    pub fn alarms(&self) -> usize {
        self.timers.len()
    }

    /// Workers, services and requests come and go; the wake-ups for those that are gone go with them.
    pub(crate) fn sweep_timers(&mut self) {
        let (roster, services, kept, draining) = (&self.roster, &self.services, &self.kept, &self.draining);
        self.timers.sweep(|alarmed, at| match alarmed {
            Alarmed::Worker(peer) => roster.get(peer).is_some_and(|worker| worker.alarm.awaits(at)),
            Alarmed::Queue(id) => services.get(id).is_some_and(|service| service.alarm.awaits(at)),
            Alarmed::Deadline(peer, id) => {
                let job = roster.get(peer).and_then(|worker| worker.jobs.get(id.0));
                job.is_some_and(|job| !job.is_over())
            }
            Alarmed::Kept => kept.alarm.awaits(at),
            Alarmed::Drained => draining.alarm.awaits(at),
            Alarmed::ServiceDrained(id) => services.get(id).is_some_and(|service| service.drain_alarm.awaits(at)),
        });
    }

    pub(crate) fn arm_queue(&mut self, id: ServiceId, at: Instant) {
        if let Some(service) = self.services.get_mut(id) {
            self.timers.arm(&mut service.alarm, Alarmed::Queue(id), at.max(service.next_look));
        }
    }

    pub(crate) fn push_back(&mut self, id: ServiceId, job: Job) {
        self.push(id, job, Queue::push_back);
    }

    fn push_front(&mut self, id: ServiceId, mut job: Job) {
        job.place = id;
        self.push(id, job, Queue::push_front);
    }

    fn push(&mut self, id: ServiceId, job: Job, push: impl FnOnce(&mut Queue, Job) -> Seat) {
        let (expires, ticket) = (job.expires, job.ticket);
        self.queued.requests += 1;
        self.queued.bytes += job.byte_count;
        let seat = self.services.change_queue(id, |queue| push(queue, job));
        if let (Some(ticket), Some(seat)) = (ticket, seat) {
            self.known.move_to(ticket, Stage::Queued(id, seat));
        }
        self.arm_queue(id, expires);
    }

    pub(crate) fn pop_front(&mut self, id: ServiceId) -> Option<Job> {
        let job = self.services.change_queue(id, Queue::pop_front)??;
        self.unqueue(&job);
        Some(job)
    }

    /// Makes room by taking the newest request of the client that holds most in a queue, if that is more than `weight`.
    pub(crate) fn evict(&mut self, id: ServiceId, weight: usize, end: RequestEnd) -> bool {
        let evicted = self.services.change_queue(id, |queue| queue.evict_heavier_than(weight));
        let Some(mut job) = evicted.flatten() else { return false };
        self.unqueue(&job);
        self.fail_job(&mut job, end);
        true
    }

    pub(crate) fn unqueue(&mut self, job: &Job) {
        self.queued.requests -= usize::from(!mutants::on(Mutant::ForgetToUncount));
        self.queued.bytes -= if mutants::on(Mutant::ForgetToUnweigh) { 0 } else { job.byte_count };
    }
}

/// The least time between two looks through a queue for expired requests, for each request that waits anywhere: a look
/// takes a small part of that.
const EXPIRY_PAUSE: Duration = Duration::from_micros(1);
