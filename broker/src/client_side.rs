//! Requests from clients (RFC 7 and 18, client side; MDP-0.3, 7.1): which are taken, and into which queue.

use std::time::Duration;

use protocol::limits::FRAMES_PER_MESSAGE_MAX;
use protocol::mutants::{self, Mutant};
use protocol::{Instant, PeerId};

use crate::account::InFlight;
use crate::broker::{Broker, Output};
use crate::config::NoWorker;
use crate::event::RequestEnd;
use crate::job::{Facts, JobId, Origin, ReplyState};
use crate::known::Stage;
use crate::queue::{JOB_BYTES, Queue};
use crate::request::Request;
use crate::service::ServiceId;

impl Broker {
    pub(crate) fn on_request(&mut self, now: Instant, peer: PeerId, request: Request) {
        let Some((client, permitted)) = self.permit(now, peer, &request.service) else { return };
        self.counters.requests += 1;
        let known = self.known_before(&client, &request);
        // One that is in progress is in flight already, and its FINAL is still to come.
        if let Some(stage @ (Stage::Queued(..) | Stage::Running(..))) = known {
            return self.on_duplicate(&client, &request, stage);
        }
        let in_flight = match permitted {
            Ok(in_flight) => in_flight,
            Err(end) => return self.refuse(&client, &request, end),
        };
        if let Some(stage) = known {
            return self.on_duplicate(&client, &request, stage);
        }
        if request.service.is_management() {
            return self.on_management_request(now, peer, &request);
        }
        match self.admit(peer, &request) {
            Ok(service) => self.enqueue(now, service, client, request, in_flight),
            Err(end) => self.fail(&client, &request, end),
        }
    }

    /// Refuses what a peer may not ask, or not that often; a connection too many has no other use.
    fn refuse(&mut self, client: &Origin, request: &Request, end: RequestEnd) {
        self.fail(client, request, end);
        if end == RequestEnd::TooManyConnections {
            self.output(Output::Close { peer: client.peer });
        }
    }

    /// Whether a request may join the queue of its service, and which that is.
    fn admit(&mut self, peer: PeerId, request: &Request) -> Result<ServiceId, RequestEnd> {
        if request.frames_to_worker() > FRAMES_PER_MESSAGE_MAX
            || request.bytes_to_worker() > self.config.limits.message_bytes_max
        {
            return Err(RequestEnd::RequestTooLarge);
        }
        let known = self.services.find_again(&request.service);
        if self.turns_away(known) {
            return Err(RequestEnd::Draining);
        }
        let service = known.and_then(|id| self.services.get(id));
        if let (Some(service), Some(command)) = (service, request.body.first())
            && service.disabled.contains(command)
            && !mutants::on(Mutant::IgnoreFilter)
        {
            return Err(RequestEnd::Disabled);
        }
        let no_worker =
            || service.map_or_else(|| self.config.policy(&request.service), |service| &service.policy).no_worker;
        if service.is_none_or(|service| service.workers == 0) && no_worker() == NoWorker::Refuse {
            return Err(RequestEnd::NoWorker);
        }
        // What a waiting worker takes at once needs no room.
        if service.is_none_or(|service| service.line.is_empty()) {
            self.make_room(peer, known, request)?;
        }
        known.or_else(|| self.services.find_or_add(&request.service, &self.config)).ok_or(RequestEnd::BrokerFull)
    }

    /// Checks the limits that a queued request meets. Where one is reached, whoever holds most gives way to whoever
    /// holds less, so that a flood cannot lock others out.
    fn make_room(&mut self, peer: PeerId, id: Option<ServiceId>, request: &Request) -> Result<(), RequestEnd> {
        let bytes = request.byte_count();
        loop {
            let service = id.and_then(|id| self.services.get(id));
            let queue = service.map(|service| &service.queue);
            let queue_max =
                service.map_or_else(|| self.config.policy(&request.service), |service| &service.policy).queue_max;
            let (heavy, end) = if queue.map_or(0, Queue::len) >= queue_max && !mutants::on(Mutant::IgnoreQueueLimit) {
                (id, RequestEnd::QueueFull)
            } else if self.is_full(bytes) {
                (self.services.heaviest(), RequestEnd::BrokerFull)
            } else {
                return Ok(());
            };
            let own = id.and_then(|id| self.services.get(id)).map_or(0, |service| service.queue.weight_of(peer));
            let held = own + bytes + JOB_BYTES;
            if !heavy.is_some_and(|heavy| self.evict(heavy, held, end)) {
                return Err(end);
            }
        }
    }

    /// Whether a body of `bytes` more is too much for all queues together.
    pub(crate) fn is_full(&self, bytes: usize) -> bool {
        if mutants::on(Mutant::IgnoreBrokerLimit) {
            return false;
        }
        let limits = &self.config.limits;
        self.queued.requests >= limits.queued_requests_max
            || self.queued.bytes.saturating_add(bytes) > limits.queued_bytes_max
    }

    fn enqueue(
        &mut self,
        now: Instant,
        service: ServiceId,
        client: Origin,
        request: Request,
        in_flight: Option<InFlight>,
    ) {
        let wait = now + self.services.get(service).map_or(Duration::ZERO, |service| service.policy.queue_wait);
        let deadline = request.deadline.filter(|_| !mutants::on(Mutant::ForgetDeadlineInQueue));
        let expires = deadline.map_or(wait, |deadline| deadline.min(wait));
        let byte_count = request.byte_count();
        let ticket = self.remember(&client, &request);
        // Its number is given with each attempt.
        let job = self.boxes.fill(Facts {
            id: JobId(0),
            client,
            ticket,
            request,
            reply: ReplyState::Untouched,
            parts: 0,
            accepted: now,
            place: service,
            expires,
            attempts: 0,
            byte_count,
            sent_bytes: 0,
            _in_flight: in_flight,
        });
        self.count_accepted(service);
        // With nobody in front of it, and somebody there who can take it, it needs no place in the queue.
        let free = self.services.get(service).filter(|service| service.queue.is_empty() && expires > now);
        match free.and_then(|service| self.next_worker(service)) {
            Some(worker) => {
                self.arm_queue(service, expires);
                self.assign(now, worker, job);
            }
            None => {
                self.push_back(service, job);
                self.dispatch(now, service);
            }
        }
    }
}
