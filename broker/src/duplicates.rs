//! Requests that come again under their ids (docs/rfc/MDP-0.3.md, 7.4): joined to the one in progress, answered from
//! what is kept, or told 409.

use std::time::Duration;

use protocol::mdp::v03::Idempotency;
use protocol::mutants::{self, Mutant};
use protocol::{Frames, Instant, PeerId};

use crate::broker::{Alarmed, Broker};
use crate::event::RequestEnd;
use crate::job::{Job, Origin, ReplyState};
use crate::kept::{Place, Recall};
use crate::known::{Stage, Ticket};
use crate::request::{Form, Request};

impl Broker {
    /// Where the request is that has come before under this id, if it is known.
    pub(crate) fn known_before(&self, client: &Origin, request: &Request) -> Option<Stage> {
        match request.form {
            Form::Native(id) => self.known.find(&client.client, id).filter(|stage| !runs_again(stage)),
            Form::Old { .. } => None,
        }
    }

    /// Remembers a request that has been taken, if it has an id.
    pub(crate) fn remember(&mut self, client: &Origin, request: &Request) -> Option<Ticket> {
        match request.form {
            Form::Native(id) => self.known.add(&client.client, id),
            Form::Old { .. } => None,
        }
    }

    /// A request comes whose id is known. There is one FINAL for it and the former together, unless it is another.
    pub(crate) fn on_duplicate(&mut self, client: &Origin, request: &Request, stage: Stage) {
        let joined = match stage {
            Stage::Ended(place) => return self.answer_again(client, request, place),
            Stage::Queued(service, seat) => {
                let join = |job: &mut Job| join(job, request, client.peer);
                self.services.change_queue(service, |queue| queue.get_mut(seat).is_some_and(join)).unwrap_or_default()
            }
            Stage::Running(worker, id) => {
                let job = self.roster.get_mut(worker).and_then(|worker| worker.jobs.get_mut(id.0));
                job.is_some_and(|job| join(job, request, client.peer))
            }
        };
        match joined {
            true => self.counters.duplicates += 1,
            false => self.fail(client, request, RequestEnd::Duplicate),
        }
    }

    fn answer_again(&mut self, client: &Origin, request: &Request, place: Place) {
        let digest = self.known.digest(request);
        match self.kept.recall(place, digest) {
            Recall::Answer(message) => {
                self.counters.duplicates += 1;
                self.send(client.peer, message);
            }
            Recall::Conflict => self.fail(client, request, RequestEnd::Duplicate),
        }
    }

    /// A request has ended, with `message` where a worker has answered it in one piece: it is remembered as long as its
    /// client may ask again, or forgotten.
    pub(crate) fn settle(&mut self, job: &mut Job, message: Option<&Frames>) {
        let Some(ticket) = job.ticket.take() else { return };
        let limits = &self.config.limits;
        let message = message.filter(|message| message.byte_count() <= limits.kept_answer_bytes_max);
        let is_remembered = match job.request.idempotency {
            Idempotency::Kept => message.is_some(),
            Idempotency::Repeatable => false,
            // A worker may have run it.
            Idempotency::Once => job.attempts > 0,
        };
        if !is_remembered {
            return self.known.forget(ticket);
        }
        let until = self.now + limits.kept_window;
        // Without an answer there is nothing to compare.
        let digest = message.map_or(0, |_| self.known.digest(&job.request));
        self.kept.add(&mut self.known, limits, ticket, until, (digest, message), job.runs_once());
        self.arm_kept(until);
    }

    /// A worker has not taken the request, and says that it may come again: under its id it is then a new one.
    pub(crate) fn forget(&mut self, job: &mut Job) {
        if let Some(ticket) = job.ticket.take() {
            self.known.forget(ticket);
        }
    }

    pub(crate) fn on_kept_alarm(&mut self, now: Instant, at: Instant) {
        if !self.kept.alarm.rings(at) {
            return;
        }
        self.kept.expire(now, &mut self.known);
        if let Some(next) = self.kept.first_expiry() {
            self.arm_kept(next.max(now + PAUSE));
        }
    }

    fn arm_kept(&mut self, at: Instant) {
        self.timers.arm(&mut self.kept.alarm, Alarmed::Kept, at);
    }
}

/// Whether one of two mutants takes a known request for a new one.
fn runs_again(stage: &Stage) -> bool {
    mutants::on(match stage {
        Stage::Ended(_) => Mutant::RunDuplicate,
        Stage::Queued(..) | Stage::Running(..) => Mutant::RunBesideItself,
    })
}

/// Whether this is the same request as the one in progress, and its answer can go to where it came from now. What has
/// left in parts on another connection cannot be joined.
fn join(job: &mut Job, request: &Request, peer: PeerId) -> bool {
    let is_another = job.request.service != request.service || job.request.body != request.body;
    if is_another && !mutants::on(Mutant::JoinAnother) {
        return false;
    }
    match job.reply {
        ReplyState::Streaming(course) => course.is_some_and(|course| course.peer == peer),
        ReplyState::Untouched | ReplyState::Gathering(_) | ReplyState::Over => {
            job.client.peer = peer;
            true
        }
    }
}

/// The least time between two looks for what is to be forgotten.
const PAUSE: Duration = Duration::from_millis(100);
