//! Queues and matching: which request goes to which worker, and what becomes of those that cannot.
//!
//! The worker with the least in flight for its credit is next; among equals the least recently used. A request whose
//! worker left goes back to the front, so that it loses no time, up to its service's limit of attempts.

use std::time::Duration;

use protocol::mutants::{self, Mutant};
use protocol::{Frames, Instant, PeerId};

use crate::broker::{Alarmed, Broker};
use crate::event::{Event, RequestEnd};
use crate::job::{Job, JobId, ReplyState};
use crate::queue::Queue;
use crate::service::ServiceId;

impl Broker {
    /// Gives queued requests to waiting workers until one of the two runs out.
    pub(crate) fn dispatch(&mut self, now: Instant, id: ServiceId) {
        while let Some(service) = self.services.get(id).filter(|service| !service.queue.is_empty()) {
            let Some(peer) = service.next_waiting().filter(|peer| self.roster.get(*peer).is_some()) else { break };
            // A worker that was called in vain keeps its place.
            let Some(job) = self.next_request(now, id) else { break };
            self.assign(now, peer, job);
        }
        self.services.forget_if_unneeded(id);
    }

    /// Gives a worker what it can take now; its services take turns, so that none of them starves behind another.
    pub(crate) fn serve(&mut self, now: Instant, peer: PeerId) {
        let Some(worker) = self.roster.get_mut(peer) else { return };
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
            let job = self.pop_front(id)?;
            if job.expires <= now && !mutants::on(Mutant::RunExpired) {
                self.fail_job(&job, RequestEnd::WaitedTooLong);
            } else if self.reachable(&job.client).is_none() && !self.runs_abandoned(&job) {
                self.fail_job(&job, RequestEnd::Abandoned);
            } else {
                return Some(job);
            }
        }
    }

    fn runs_abandoned(&self, job: &Job) -> bool {
        self.config.policy(&job.request.service).run_abandoned || mutants::on(Mutant::RunAbandoned)
    }

    fn assign(&mut self, now: Instant, peer: PeerId, mut job: Job) {
        self.jobs += 1;
        job.id = JobId(self.jobs);
        job.attempts += u32::from(!mutants::on(Mutant::ForgetAttempts));
        let worker = self.roster.get_mut(peer).expect("dispatch has asked whether this worker is there");
        let frames = worker.speech.request(now, &job);
        worker.take_on(now, job);
        self.counters.dispatched += 1;
        self.send(peer, frames);
        self.join_lines(peer);
        self.arm_worker(peer);
    }

    /// Gives a worker that can take another request its place in the lines of its services, anew after each change of
    /// what it has in flight.
    pub(crate) fn join_lines(&mut self, peer: PeerId) {
        let Some(worker) = self.roster.get_mut(peer) else { return };
        if let Some(place) = worker.place.take() {
            self.services.leave_lines(&worker.services, place);
        }
        if worker.has_credit() {
            worker.place = Some(self.services.join_lines(&worker.services, peer, worker.load()));
        }
    }

    /// Takes a request back from a worker that left: into which queue, unless it has ended.
    pub(crate) fn take_back(&mut self, mut job: Job) -> Option<ServiceId> {
        let end = match job.reply {
            ReplyState::Over => return None,
            _ if mutants::on(Mutant::ForgetRequeue) => return None,
            ReplyState::Streaming(_) if mutants::on(Mutant::RestartStream) => None,
            ReplyState::Streaming(_) => Some(RequestEnd::StreamBroken),
            ReplyState::Untouched | ReplyState::Gathering(_) => {
                let extra = u32::from(mutants::on(Mutant::AttemptsOffByOne));
                let attempts_max = self.config.policy(&job.request.service).attempts_max + extra;
                (job.attempts >= attempts_max).then_some(RequestEnd::AttemptsExhausted)
            }
        };
        if let Some(end) = end {
            self.fail_job(&job, end);
            return None;
        }
        // A worker that gives a service up may be the last to know it.
        let id = self.services.find_or_add(&job.request.service, self.config.limits.services_max);
        let Some(id) = id.filter(|id| self.has_room_again(*id, &job)) else {
            self.fail_job(&job, RequestEnd::BrokerFull);
            return id;
        };
        job.parts = 0;
        if let (ReplyState::Gathering(parts), false) = (&mut job.reply, mutants::on(Mutant::KeepAbortedParts)) {
            *parts = Frames::new();
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
        // What a waiting worker takes at once needs no room.
        if self.services.get(id).is_some_and(|service| service.waiting() > service.queue.len()) {
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
        // Looking through every lane has its price: not more often than that, however the deadlines lie.
        let look = |queue: &mut Queue| (queue.expire(now), queue.first_expiry());
        let (expired, next) = self.services.change_queue(id, look).unwrap_or_default();
        let next = next.map(|next| next.max(now + EXPIRY_PAUSE));
        for job in expired {
            self.unqueue(&job);
            self.fail_job(&job, RequestEnd::WaitedTooLong);
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

    fn arm_queue(&mut self, id: ServiceId, at: Instant) {
        if let Some(service) = self.services.get_mut(id) {
            self.timers.arm(&mut service.alarm, Alarmed::Queue(id), at);
        }
    }

    pub(crate) fn push_back(&mut self, id: ServiceId, job: Job) {
        let expires = job.expires;
        self.queued.requests += 1;
        self.queued.bytes += job.byte_count;
        self.services.change_queue(id, |queue| queue.push_back(job));
        self.arm_queue(id, expires);
    }

    fn push_front(&mut self, id: ServiceId, job: Job) {
        let expires = job.expires;
        self.queued.requests += 1;
        self.queued.bytes += job.byte_count;
        self.services.change_queue(id, |queue| queue.push_front(job));
        self.arm_queue(id, expires);
    }

    fn pop_front(&mut self, id: ServiceId) -> Option<Job> {
        let job = self.services.change_queue(id, Queue::pop_front)??;
        self.unqueue(&job);
        Some(job)
    }

    /// Makes room by taking the newest request of the client that holds most in a queue, if that is more than `weight`.
    pub(crate) fn evict(&mut self, id: ServiceId, weight: usize, end: RequestEnd) -> bool {
        let evicted = self.services.change_queue(id, |queue| queue.evict_heavier_than(weight));
        let Some(job) = evicted.flatten() else { return false };
        self.unqueue(&job);
        self.fail_job(&job, end);
        true
    }

    fn unqueue(&mut self, job: &Job) {
        self.queued.requests -= usize::from(!mutants::on(Mutant::ForgetToUncount));
        self.queued.bytes -= if mutants::on(Mutant::ForgetToUnweigh) { 0 } else { job.byte_count };
    }
}

/// The least time between two looks through a queue for expired requests.
const EXPIRY_PAUSE: Duration = Duration::from_millis(100);
