//! What becomes of requests: they wait for a slot, run, are answered, and end.

use std::time::Duration;

use protocol::limits::CREDIT_MAX;
use protocol::mdp::client::Part;
use protocol::mdp::v03::Status;
use protocol::mutants::{self, Mutant};
use protocol::{Frames, Instant, PeerFault};

use super::{Link, Output, Phase, Session};
use crate::event::{Cause, Event};
use crate::failure::Failure;
use crate::job::{Assignment, Job, JobId};
use crate::speech::{Speech, Ticket};

/// Requests beyond the credit that are held in an old dialect, and requests that are refused in 0.3, before the broker
/// counts as broken: who answers without end what is sent without end grows when nobody reads the answers.
pub(super) const SURPLUS_MAX: usize = 16;

impl Session {
    pub(super) fn on_request(&mut self, now: Instant, ticket: Ticket, assignment: Assignment) {
        let Link::Registered(up) = &self.link else { return self.event(Event::RequestIgnored) };
        match &ticket {
            Ticket::Address(_) if self.phase != Phase::Serving => return self.event(Event::RequestIgnored),
            // A correct broker sends none beyond the credit of one that an old dialect has; a few are forgiven.
            Ticket::Address(_) if !self.has_free_slot() && self.jobs.waiting() >= SURPLUS_MAX => {
                return self.lose(now, Cause::Overfed, Duration::ZERO);
            }
            Ticket::Number(number) if self.jobs.find(*number).is_some() => {
                return self.event(Event::Fault(PeerFault::Repeated("a job number")));
            }
            // What crossed a smaller credit, or our own DRAIN, is taken; what was never allowed is not.
            Ticket::Number(_) if self.jobs.held() >= up.credit_max => {
                return self.refuse(now, ticket, Status::TOO_MANY, "more than this worker's credit");
            }
            Ticket::Number(_) if !self.config.offers(&assignment.service) => {
                return self.refuse(now, ticket, Status::NO_SERVICE, "this worker does not offer it");
            }
            Ticket::Address(_) | Ticket::Number(_) => {}
        }
        // Nobody waits while there is a free slot.
        let is_free = self.has_free_slot();
        let job = self.jobs.add(Job::new(now, ticket, assignment.remaining));
        if is_free {
            self.outputs.push_back(Output::Handle { job, assignment });
        } else {
            self.jobs.wait(job, assignment);
        }
        self.part_if_idle(now);
    }

    /// Answers what a correct broker would not have sent; some of it is forgiven.
    fn refuse(&mut self, now: Instant, ticket: Ticket, status: Status, reason: &str) {
        let Link::Registered(up) = &mut self.link else { return };
        up.refused += 1;
        if up.refused > SURPLUS_MAX {
            return self.lose(now, Cause::Overfed, Duration::ZERO);
        }
        self.event(Event::Refused { status: status.code() });
        self.send(now, self.speech.last(ticket, 0, Err(Failure::with_status(status, reason))));
    }

    pub(super) fn on_reply(&mut self, now: Instant, id: JobId, part: Part, body: Frames) {
        if part == Part::Final {
            return self.on_end(now, id, Some(Ok(body)));
        }
        let Some(job) = self.jobs.get_mut(id) else { return };
        match job.part(self.speech, body) {
            Ok(Some(frames)) => self.send(now, frames),
            Ok(None) => {}
            Err(failure) => self.stop(now, id, failure),
        }
    }

    /// A handler has ended, with an answer or without one.
    pub(super) fn on_end(&mut self, now: Instant, id: JobId, answer: Option<Result<Frames, Failure>>) {
        let Some(job) = self.jobs.remove(id) else { return };
        if job.is_orphan() && answer.is_some() {
            self.event(Event::AnswerDropped(id));
        }
        let is_silent = answer.is_none() && mutants::on(Mutant::StopInSilence);
        let answer = answer.unwrap_or_else(|| Err(Failure::of("the worker stopped it")));
        if let Some(frames) = job.finish(self.speech, answer).filter(|_| !is_silent) {
            self.send(now, frames);
        }
        // The silence of a broker that does not heartbeat busy workers is forgiven.
        if let (Speech::Old(_), Link::Registered(up)) = (self.speech, &mut self.link) {
            up.heard = now;
        }
        self.start(now);
        self.register(now);
        self.tell_credit(now);
    }

    /// Gives waiting jobs to handlers as long as slots are free.
    pub(super) fn start(&mut self, now: Instant) {
        while self.has_free_slot()
            && let Some((job, assignment)) = self.jobs.begin()
        {
            self.outputs.push_back(Output::Handle { job, assignment });
        }
        self.part_if_idle(now);
    }

    /// A job has to end like this, whatever its handler does. One that has none ends at once.
    pub(super) fn stop(&mut self, now: Instant, id: JobId, end: Failure) {
        let (is_waiting, status) = (self.jobs.is_waiting(id), end.status());
        let Some(job) = self.jobs.get_mut(id) else { return };
        if !job.decide(end) {
            return;
        }
        self.event(Event::Stopped { job: id, status });
        if is_waiting {
            self.on_end(now, id, None);
        } else {
            self.outputs.push_back(Output::Stop { job: id });
        }
    }

    /// Ends jobs whose time is over.
    pub(super) fn end_due(&mut self, now: Instant) {
        while let Some(id) = self.jobs.pop_due(now) {
            self.stop(now, id, Failure::with_status(Status::DEADLINE, Status::DEADLINE.words()));
        }
    }

    pub(super) fn on_credit(&mut self, now: Instant, credit: usize) {
        self.config.credit = credit.min(CREDIT_MAX as usize);
        self.start(now);
        self.register(now);
        self.tell_credit(now);
    }

    /// Says CREDIT when what we can take is another than the broker knows.
    fn tell_credit(&mut self, now: Instant) {
        let credit = self.credit_left();
        let Link::Registered(up) = &mut self.link else { return };
        if self.speech.is_native() && self.phase == Phase::Serving && up.credit != credit {
            (up.credit, up.credit_max) = (credit, up.credit_max.max(credit));
            self.send(now, Speech::credit(credit));
        }
    }

    /// The credit that jobs of earlier connections have left.
    pub(super) fn credit_left(&self) -> usize {
        let orphans = if mutants::on(Mutant::HoardCredit) { 0 } else { self.jobs.orphans() };
        self.config.credit.saturating_sub(orphans)
    }

    pub(super) fn has_free_slot(&self) -> bool {
        self.jobs.running() < self.config.credit
    }
}
