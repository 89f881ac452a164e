//! Requests from clients and answers to them (RFC 7 and 18, client side).

use protocol::mdp::client::{Part, encode_reply};
use protocol::mdp::{Dialect, Request};
use protocol::mutants::{self, Mutant};
use protocol::{Frames, Instant, PeerId, ServiceName};

use crate::account::InFlight;
use crate::broker::{Broker, Output};
use crate::config::{ErrorReplies, NoWorker};
use crate::event::{Event, RequestEnd};
use crate::job::{Job, JobId, Origin, ReplyState};
use crate::queue::{JOB_BYTES, Queue};
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
            return self.on_management_request(now, peer, request);
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
        let bytes = request.body.byte_count();
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
        let reply =
            if request.dialect.streams() { ReplyState::Untouched } else { ReplyState::Gathering(Frames::new()) };
        let byte_count = request.body.byte_count();
        // Its number is given with each attempt.
        let job = Job { id: JobId(0), client, request, reply, expires, attempts: 0, byte_count, _in_flight: in_flight };
        self.push_back(service, job);
        self.dispatch(now, service);
    }

    /// Passes a part of an answer on, or keeps it for a client that takes one reply only.
    pub(crate) fn pass_partial(&mut self, job: &mut Job, body: Frames) {
        match &mut job.reply {
            ReplyState::Over => {}
            ReplyState::Untouched | ReplyState::Streaming(_) => {
                if self.stays_whole(job) {
                    self.counters.partials += 1;
                    self.answer(&job.client, &job.request, Part::Partial, body);
                }
            }
            ReplyState::Gathering(parts) => {
                let byte_count = parts.byte_count() + body.byte_count();
                let frames_max = protocol::limits::FRAMES_PER_MESSAGE_MAX - ENVELOPE_AND_HEADER_FRAMES;
                if byte_count > self.config.limits.gathered_bytes_max || parts.len() + body.len() > frames_max {
                    job.reply = ReplyState::Over;
                    return self.fail(&job.client, &job.request, RequestEnd::ReplyTooLarge);
                }
                parts.extend(body);
            }
        }
    }

    /// Whether all parts so far have gone the way that the next one would go. A client that has missed one, or has come
    /// back on another connection, must not take the rest for the whole: its request fails.
    fn stays_whole(&mut self, job: &mut Job) -> bool {
        let course = self.course(&job.client);
        if let ReplyState::Streaming(before) = job.reply
            && before != course
            && !mutants::on(Mutant::IgnoreHole)
        {
            job.reply = ReplyState::Over;
            self.fail(&job.client, &job.request, RequestEnd::StreamBroken);
            return false;
        }
        job.reply = ReplyState::Streaming(course);
        true
    }

    /// Passes the last part of an answer on.
    pub(crate) fn pass_final(&mut self, mut job: Job, body: Frames) {
        if let ReplyState::Gathering(parts) = &job.reply
            && !parts.is_empty()
        {
            self.pass_partial(&mut job, body);
            if let ReplyState::Gathering(parts) = job.reply {
                self.counters.replies += 1;
                self.answer(&job.client, &job.request, Part::Final, parts);
            }
            return;
        }
        let whole = match job.reply {
            ReplyState::Over => mutants::on(Mutant::AnswerAfterFailure),
            ReplyState::Streaming(_) => self.stays_whole(&mut job),
            ReplyState::Untouched | ReplyState::Gathering(_) => true,
        };
        if whole {
            self.counters.replies += 1;
            self.answer(&job.client, &job.request, Part::Final, body);
        }
    }

    /// Ends a request without an answer from a worker. Clients of 0.1 and 0.2 have no error reply: they are told in a
    /// frame where silence would be wrong (a refusal, a filter, a right or a limit of the client's own), else as the
    /// operator chose.
    pub(crate) fn fail(&mut self, client: &Origin, request: &Request, end: RequestEnd) {
        self.counters.failed += 1;
        let told = match end {
            RequestEnd::NoWorker
            | RequestEnd::Disabled
            | RequestEnd::Forbidden
            | RequestEnd::TooFast
            | RequestEnd::TooManyInFlight
            | RequestEnd::TooManyConnections => true,
            RequestEnd::Abandoned => false,
            RequestEnd::QueueFull
            | RequestEnd::BrokerFull
            | RequestEnd::WaitedTooLong
            | RequestEnd::AttemptsExhausted
            | RequestEnd::StreamBroken
            | RequestEnd::ReplyTooLarge => self.config.error_replies == ErrorReplies::StatusFrame,
        };
        if told {
            self.answer(client, request, Part::Final, Frames::from([end.status()]));
        }
        let (client, service) = (client.peer, request.service.detached());
        match end {
            RequestEnd::Forbidden => self.counters.forbidden += 1,
            end if end.is_denial() => self.counters.limited += 1,
            end => return self.tell(Event::RequestFailed { client, service, end }),
        }
        let name = self.name_of(client);
        self.tell(Event::RequestDenied { client, name, service, end });
    }

    /// Sends a client an answer in its own form, if it can still be reached.
    fn answer(&mut self, client: &Origin, request: &Request, part: Part, body: Frames) {
        match self.reachable(client) {
            Some(peer) => self.reply_to(peer, request.dialect, request.envelope.clone(), &request.service, part, body),
            None => self.counters.undeliverable += 1,
        }
    }

    pub(crate) fn reply_to(
        &mut self,
        peer: PeerId,
        dialect: Dialect,
        envelope: Frames,
        service: &ServiceName,
        part: Part,
        body: Frames,
    ) {
        let envelope = if mutants::on(Mutant::ForgetEnvelope) { Frames::new() } else { envelope };
        self.send(peer, encode_reply(dialect, envelope, service, part, body));
    }
}

/// Room that a reply needs beside its body.
const ENVELOPE_AND_HEADER_FRAMES: usize = protocol::limits::ENVELOPE_FRAMES_MAX + 4;
