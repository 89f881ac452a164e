//! Answers on their way to clients: parts, the end, and failures (RFC 7 and 18, client side; MDP-0.3, 7.1 and 7.6).

use protocol::mdp::v03::{Options, Outcome, Status};
use protocol::mutants::{self, Mutant};
use protocol::{Frames, PeerId};

use crate::broker::Broker;
use crate::config::ErrorReplies;
use crate::event::{Event, RequestEnd};
use crate::job::{Job, Origin, ReplyState};
use crate::request::{Answer, Form, Request};
use crate::speech::because;

impl Broker {
    /// Passes a part of an answer on, or keeps it for a client that takes one reply only.
    pub(crate) fn pass_partial(&mut self, job: &mut Job, body: Frames) {
        match &mut job.reply {
            ReplyState::Over => {}
            ReplyState::Untouched | ReplyState::Streaming(_) => {
                if self.stays_whole(job) {
                    self.counters.partials += 1;
                    self.answer(&job.client, &job.request, Answer::Partial { number: job.parts, body });
                }
            }
            ReplyState::Gathering(parts) => {
                let byte_count = parts.byte_count() + body.byte_count();
                if byte_count > self.config.limits.gathered_bytes_max || parts.len() + body.len() > REPLY_FRAMES_MAX {
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
            if let ReplyState::Gathering(parts) = job.reply {
                self.counters.replies += 1;
                self.answer(&job.client, &job.request, Answer::whole(parts));
            }
            return;
        }
        let whole = match job.reply {
            ReplyState::Over => mutants::on(Mutant::AnswerAfterFailure),
            ReplyState::Streaming(_) => self.stays_whole(&mut job),
            ReplyState::Untouched | ReplyState::Gathering(_) => true,
        };
        if !whole {
            return;
        }
        // The head of 0.3 is one frame, so its bodies may have more frames than fit behind the heads of 0.1 and 0.2.
        if matches!(job.request.form, Form::Old { .. }) && body.len() > REPLY_FRAMES_MAX {
            return self.fail_job(&job, RequestEnd::ReplyTooLarge);
        }
        self.counters.replies += 1;
        let outcome = Outcome { parts: job.parts, status, options };
        self.answer(&job.client, &job.request, Answer::Final { outcome, body });
    }

    /// Ends a request that was accepted without an answer from a worker.
    pub(crate) fn fail_job(&mut self, job: &Job, end: RequestEnd) {
        self.end(&job.client, &job.request, job.parts, end);
    }

    /// Refuses a request.
    pub(crate) fn fail(&mut self, client: &Origin, request: &Request, end: RequestEnd) {
        self.end(client, request, 0, end);
    }

    /// Ends a request, of whose answer `parts` have left. A client of 0.3 is told the status.
    fn end(&mut self, client: &Origin, request: &Request, parts: u32, end: RequestEnd) {
        self.counters.failed += 1;
        let answer = match request.form {
            Form::Native(_) => {
                let outcome = Outcome { parts, status: end.native_status(), options: because(end.reason()) };
                (end != RequestEnd::Abandoned).then_some(Answer::Final { outcome, body: Frames::new() })
            }
            Form::Old { .. } => self.tells(end).then(|| Answer::whole(Frames::from([end.status()]))),
        };
        if let Some(answer) = answer {
            self.answer(client, request, answer);
        }
        self.report_end(client.peer, request, end);
    }

    /// Whether a client of 0.1 or 0.2 is told how its request ended. These dialects have no error reply: they are told
    /// in a frame where silence would be wrong (a refusal, a filter, a right or a limit of the client's own), else as
    /// the operator chose.
    fn tells(&self, end: RequestEnd) -> bool {
        match end {
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
        }
    }

    fn report_end(&mut self, client: PeerId, request: &Request, end: RequestEnd) {
        let service = request.service.detached();
        match end {
            RequestEnd::Forbidden => self.counters.forbidden += 1,
            end if end.is_denial() => self.counters.limited += 1,
            end => return self.tell(Event::RequestFailed { client, service, end }),
        }
        let name = self.name_of(client);
        self.tell(Event::RequestDenied { client, name, service, end });
    }

    /// Sends a client an answer in its own form, if it can still be reached.
    fn answer(&mut self, client: &Origin, request: &Request, answer: Answer) {
        match self.reachable(client) {
            Some(peer) => self.answer_to(peer, request, answer),
            None => self.counters.undeliverable += 1,
        }
    }

    pub(crate) fn answer_to(&mut self, peer: PeerId, request: &Request, answer: Answer) {
        self.send(peer, request.form.write(&request.service, answer));
    }
}

/// Frames that a reply may have behind what 0.1 and 0.2 need for envelope and header.
const REPLY_FRAMES_MAX: usize = protocol::limits::FRAMES_PER_MESSAGE_MAX - protocol::limits::ENVELOPE_FRAMES_MAX - 4;
