//! Answers on their way to clients: parts, the end, and failures (RFC 7 and 18, client side; MDP-0.3, 7.1 and 7.6).

use protocol::limits::{ENVELOPE_FRAMES_MAX, FRAMES_PER_MESSAGE_MAX};
use protocol::mdp::v03::{Options, Outcome, Status};
use protocol::mutants::{self, Mutant};
use protocol::{Frames, PeerId};

use crate::broker::Broker;
use crate::config::ErrorReplies;
use crate::event::{Event, RequestEnd};
use crate::job::{Job, Origin, ReplyState};
use crate::request::{Form, Request};
use crate::speech::because;

impl Broker {
    /// Passes a part of an answer on, or keeps it for a client that takes one reply only.
    pub(crate) fn pass_partial(&mut self, job: &mut Job, body: Frames) {
        if matches!(job.reply, ReplyState::Untouched) && !job.request.form.streams() {
            job.reply = ReplyState::Gathering(Box::default());
        }
        match &mut job.reply {
            ReplyState::Over => self.counters.late += 1,
            ReplyState::Untouched | ReplyState::Streaming(_) => {
                if self.stays_whole(job) {
                    let number = if mutants::on(Mutant::ForgetParts) { 0 } else { job.parts };
                    let message = job.request.form.write_part(&job.request.service, number, body);
                    if self.is_too_large(&message) {
                        job.reply = ReplyState::Over;
                        return self.fail_job(job, RequestEnd::ReplyTooLarge);
                    }
                    self.counters.partials += 1;
                    self.deliver(&job.client, message);
                }
            }
            ReplyState::Gathering(parts) => {
                let byte_count = parts.byte_count() + body.byte_count();
                let bytes_max = self.config.limits.gathered_bytes_max;
                if byte_count > bytes_max || parts.len() + body.len() > REPLY_FRAMES_MAX {
                    job.reply = ReplyState::Over;
                    return self.fail_job(job, RequestEnd::ReplyTooLarge);
                }
                parts.extend(body);
            }
        }
        job.parts = job.parts.saturating_add(1);
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
            self.fail_job(job, RequestEnd::StreamBroken);
            return false;
        }
        job.reply = ReplyState::Streaming(course);
        true
    }

    /// Passes the end of an answer on. An error takes the place of the parts that were kept for a single reply.
    pub(crate) fn pass_final(&mut self, mut job: Job, status: Status, options: Options, body: Frames) {
        if let ReplyState::Gathering(parts) = &job.reply
            && !parts.is_empty()
            && status.is_success()
        {
            self.pass_partial(&mut job, body);
            if let ReplyState::Gathering(parts) = std::mem::replace(&mut job.reply, ReplyState::Over) {
                self.conclude(job, status, options, *parts);
            }
            return;
        }
        let whole = match job.reply {
            ReplyState::Over => {
                self.counters.late += 1;
                mutants::on(Mutant::AnswerAfterFailure)
            }
            ReplyState::Streaming(_) => self.stays_whole(&mut job),
            ReplyState::Untouched | ReplyState::Gathering(_) => true,
        };
        if whole {
            self.conclude(job, status, options, body);
        }
    }

    /// Sends the end of an answer, if one message can hold it, and remembers it.
    fn conclude(&mut self, mut job: Job, status: Status, options: Options, body: Frames) {
        let parts = job.parts - u32::from(mutants::on(Mutant::StaleCount) && job.parts > 0);
        let outcome = Outcome { parts, status, options };
        let message = job.request.form.write(&job.request.service, &outcome, body);
        if self.is_too_large(&message) {
            return self.fail_job(&mut job, RequestEnd::ReplyTooLarge);
        }
        self.count_ended(&job, status, outcome.options.reason());
        self.counters.replies += 1;
        let reachable = self.reachable(&job.client);
        if status.is_not_taken() && job.parts == 0 {
            self.forget(&mut job);
        } else {
            // Whoever has left for good asks for nothing again.
            let is_kept = job.parts == 0 && (reachable.is_some() || job.client.client.returns());
            self.settle(&mut job, Some(&message).filter(|_| is_kept));
        }
        self.boxes.keep(job);
        match reachable {
            Some(peer) => self.send(peer, message),
            None => self.counters.undeliverable += 1,
        }
    }

    /// Whether no socket takes this message: what surrounds a body is not the same on both sides of a broker.
    fn is_too_large(&self, message: &Frames) -> bool {
        message.len() > FRAMES_PER_MESSAGE_MAX || message.byte_count() > self.config.limits.message_bytes_max
    }

    /// Ends a request that was accepted without an answer from a worker.
    pub(crate) fn fail_job(&mut self, job: &mut Job, end: RequestEnd) {
        self.count_ended(job, end.native_status(), Some(end.reason()));
        self.settle(job, None);
        self.end(&job.client, &job.request, job.parts, end);
    }

    /// Refuses a request.
    pub(crate) fn fail(&mut self, client: &Origin, request: &Request, end: RequestEnd) {
        self.count_refused(&request.service, end);
        self.end(client, request, 0, end);
    }

    /// Ends a request, of whose answer `parts` have left. A client of 0.3 is told the status.
    fn end(&mut self, client: &Origin, request: &Request, parts: u32, end: RequestEnd) {
        self.counters.failed += 1;
        let answer = match request.form {
            Form::Native(_) => {
                let outcome = Outcome { parts, status: end.native_status(), options: self.words(end) };
                (end != RequestEnd::Abandoned).then_some((outcome, Frames::new()))
            }
            Form::Old { .. } => self.tells(end).then(|| (Outcome::OK, Frames::from([end.status()]))),
        };
        if let Some((outcome, body)) = answer {
            self.deliver(client, request.form.write(&request.service, &outcome, body));
        }
        self.report_end(client.peer, request, end);
    }

    /// Why a request ended, and where else to go or when to come again if this is no place to be.
    fn words(&self, end: RequestEnd) -> Options {
        match end {
            RequestEnd::Draining | RequestEnd::NotWorkedOff | RequestEnd::BrokerEnds => self.hints(end.reason()),
            end => because(end.reason()),
        }
    }

    /// Whether a client of 0.1 or 0.2 is told how its request ended. These dialects have no error reply: they are told
    /// in a frame where silence would be wrong (a refusal, a filter, a right or a limit of the client's own), else as
    /// the operator chose.
    fn tells(&self, end: RequestEnd) -> bool {
        match end {
            RequestEnd::NoWorker
            | RequestEnd::Draining
            | RequestEnd::Disabled
            | RequestEnd::Forbidden
            | RequestEnd::TooFast
            | RequestEnd::TooManyInFlight
            | RequestEnd::TooManyConnections => true,
            RequestEnd::Abandoned => false,
            // These dialects have neither ids, CANCEL nor deadlines.
            RequestEnd::Duplicate | RequestEnd::Cancelled | RequestEnd::Overdue => false,
            RequestEnd::QueueFull
            | RequestEnd::BrokerFull
            | RequestEnd::WaitedTooLong
            | RequestEnd::NotWorkedOff
            | RequestEnd::BrokerEnds
            | RequestEnd::AttemptsExhausted
            | RequestEnd::StreamBroken
            | RequestEnd::ReplyTooLarge
            | RequestEnd::RequestTooLarge => self.config.error_replies == ErrorReplies::StatusFrame,
        }
    }

    fn report_end(&mut self, client: PeerId, request: &Request, end: RequestEnd) {
        let service = request.service.detached();
        match end {
            RequestEnd::Forbidden => self.counters.forbidden += 1,
            RequestEnd::Draining => {
                self.counters.turned_away += 1;
                return self.tell(Event::RequestFailed { client, service, end });
            }
            end if end.is_denial() => self.counters.limited += 1,
            end => return self.tell(Event::RequestFailed { client, service, end }),
        }
        let name = self.name_of(client);
        self.tell(Event::RequestDenied { client, name, service, end });
    }

    /// Sends a client what it is told, if it can still be reached.
    fn deliver(&mut self, client: &Origin, message: Frames) {
        match self.reachable(client) {
            Some(peer) => self.send(peer, message),
            None => self.counters.undeliverable += 1,
        }
    }

    /// Answers with success in one piece.
    pub(crate) fn answer_to(&mut self, peer: PeerId, request: &Request, body: Frames) {
        self.send(peer, request.form.write(&request.service, &Outcome::OK, body));
    }
}

/// Frames that a reply may have behind what 0.1 and 0.2 need for envelope and header.
const REPLY_FRAMES_MAX: usize = FRAMES_PER_MESSAGE_MAX - ENVELOPE_FRAMES_MAX - 4;
