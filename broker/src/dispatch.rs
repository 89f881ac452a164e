//! Queues and matching: which request goes to which worker, and what becomes of those that cannot.
//!
//! Workers take turns, the least recently used first. A request whose worker left goes back to the front, so that it
//! loses no time, up to its service's limit of attempts.

use std::time::Duration;

use protocol::mdp::worker::ToWorker;
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
        loop {
            let roster = &self.roster;
            let Some(service) = self.services.get_mut(id) else { return };
            if service.queue.is_empty() || service.waiting() == 0 {
                break;
            }
            let Some(peer) = service.next_waiting(|peer, turn| roster.holds(peer, turn)) else { break };
            match self.next_request(now, id) {
                Some(job) => self.assign(now, peer, job),
                None => self.return_to_line(id, peer),
            }
        }
        self.services.forget_if_unneeded(id);
    }

    /// The next request that is worth a worker's time.
    fn next_request(&mut self, now: Instant, id: ServiceId) -> Option<Job> {
        loop {
            let job = self.pop_front(id)?;
            if job.expires <= now && !mutants::on(Mutant::RunExpired) {
                self.fail(&job.client, &job.request, RequestEnd::WaitedTooLong);
            } else if self.reachable(&job.client).is_none() && !self.runs_abandoned(&job) {
                self.fail(&job.client, &job.request, RequestEnd::Abandoned);
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
        let command = ToWorker::Request { address: job.id.to_address(), body: job.request.body.clone() };
        let worker = self.roster.get_mut(peer).expect("the line was asked whether this worker holds its place");
        worker.turn = None;
        worker.take_on(now, job);
        let frames = command.encode(worker.dialect);
        let has_credit = worker.has_credit();
        self.counters.dispatched += 1;
        self.send(peer, frames);
        if has_credit {
            self.join_line(peer);
        }
        self.arm_worker(peer);
    }

    /// Puts a worker that can take another request at the end of its line, unless it stands there already.
    pub(crate) fn join_line(&mut self, peer: PeerId) {
        let Some(worker) = self.roster.get_mut(peer) else { return };
        if worker.turn.is_none() && worker.has_credit() {
            worker.turn = self.services.join_line(worker.service, peer);
        }
    }

    /// A worker was called and there was nothing to do after all: it keeps its place.
    fn return_to_line(&mut self, id: ServiceId, peer: PeerId) {
        let turn = self.roster.get(peer).and_then(|worker| worker.turn);
        if let (Some(turn), Some(service)) = (turn, self.services.get_mut(id)) {
            service.return_to_line(turn, peer);
        }
    }

    /// Takes a request back from a worker that left.
    pub(crate) fn take_back(&mut self, id: ServiceId, mut job: Job) {
        let end = match job.reply {
            ReplyState::Over => return,
            _ if mutants::on(Mutant::ForgetRequeue) => return,
            ReplyState::Streaming(_) if mutants::on(Mutant::RestartStream) => None,
            ReplyState::Streaming(_) => Some(RequestEnd::StreamBroken),
            ReplyState::Untouched | ReplyState::Gathering(_) => {
                let extra = u32::from(mutants::on(Mutant::AttemptsOffByOne));
                let attempts_max = self.config.policy(&job.request.service).attempts_max + extra;
                (job.attempts >= attempts_max).then_some(RequestEnd::AttemptsExhausted)
            }
        };
        let end = end.or_else(|| (!self.has_room_again(id, &job)).then_some(RequestEnd::BrokerFull));
        if let Some(end) = end {
            return self.fail(&job.client, &job.request, end);
        }
        if let (ReplyState::Gathering(parts), false) = (&mut job.reply, mutants::on(Mutant::KeepAbortedParts)) {
            *parts = Frames::new();
        }
        self.counters.requeued += 1;
        let service = job.request.service.detached();
        self.tell(Event::Requeued { job: job.id, service, attempts: job.attempts });
        self.push_front(id, job);
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
            self.fail(&job.client, &job.request, RequestEnd::WaitedTooLong);
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
        self.fail(&job.client, &job.request, end);
        true
    }

    fn unqueue(&mut self, job: &Job) {
        self.queued.requests -= usize::from(!mutants::on(Mutant::ForgetToUncount));
        self.queued.bytes -= if mutants::on(Mutant::ForgetToUnweigh) { 0 } else { job.byte_count };
    }
}

/// The least time between two looks through a queue for expired requests.
const EXPIRY_PAUSE: Duration = Duration::from_millis(100);
