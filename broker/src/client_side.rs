//! Requests from clients (RFC 7 and 18, client side; MDP-0.3, 7.1): which are taken, and into which queue.

use protocol::mutants::{self, Mutant};
use protocol::{Frames, Instant, PeerId};

use crate::account::InFlight;
use crate::broker::{Broker, Output};
use crate::config::NoWorker;
use crate::event::RequestEnd;
use crate::job::{Job, JobId, Origin, ReplyState};
use crate::queue::{JOB_BYTES, Queue};
use crate::request::Request;
use crate::service::ServiceId;

impl Broker {
    pub(crate) fn on_request(&mut self, now: Instant, peer: PeerId, request: Request) {
        let Some((client, permitted)) = self.permit(now, peer, &request.service) else { return };
        self.counters.requests += 1;
        let in_flight = match permitted {
            Ok(in_flight) => in_flight,
            Err(end) => return self.refuse(&client, &request, end),
        };
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
        let no_worker = self.config.policy(&request.service).no_worker;
        let known = self.services.find(&request.service);
        let service = known.and_then(|id| self.services.get(id));
        if let (Some(service), Some(command)) = (service, request.body.first())
            && service.disabled.contains(command)
        {
            return Err(RequestEnd::Disabled);
        }
        if no_worker == NoWorker::Refuse && service.is_none_or(|service| service.workers == 0) {
            return Err(RequestEnd::NoWorker);
        }
        // What a waiting worker takes at once needs no room.
        if service.is_none_or(|service| service.waiting() == 0) {
            self.make_room(peer, known, request)?;
        }
        let services_max = self.config.limits.services_max;
        self.services.find_or_add(&request.service, services_max).ok_or(RequestEnd::BrokerFull)
    }

    /// Checks the limits that a queued request meets. Where one is reached, whoever holds most gives way to whoever
    /// holds less, so that a flood cannot lock others out.
    fn make_room(&mut self, peer: PeerId, id: Option<ServiceId>, request: &Request) -> Result<(), RequestEnd> {
        let queue_max = self.config.policy(&request.service).queue_max;
        let bytes = request.byte_count();
        let own = bytes + JOB_BYTES;
        loop {
            let queue = id.and_then(|id| self.services.get(id)).map(|service| &service.queue);
            let held = own + queue.map_or(0, |queue| queue.weight_of(peer));
            let (heavy, end) = if queue.map_or(0, Queue::len) >= queue_max && !mutants::on(Mutant::IgnoreQueueLimit) {
                (id, RequestEnd::QueueFull)
            } else if self.is_full(bytes) {
                (self.services.heaviest(), RequestEnd::BrokerFull)
            } else {
                return Ok(());
            };
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
        let wait = now + self.config.policy(&request.service).queue_wait;
        let expires = request.deadline.map_or(wait, |deadline| deadline.min(wait));
        let reply = if request.form.streams() { ReplyState::Untouched } else { ReplyState::Gathering(Frames::new()) };
        let byte_count = request.byte_count();
        // Its number is given with each attempt.
        let job = Job {
            id: JobId(0),
            client,
            request,
            reply,
            parts: 0,
            expires,
            attempts: 0,
            byte_count,
            _in_flight: in_flight,
        };
        self.push_back(service, job);
        self.dispatch(now, service);
    }
}
