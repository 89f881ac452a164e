//! CANCEL and deadlines: the end of a request that comes before its answer (docs/rfc/MDP-0.3.md, 6 and 7.3).
//!
//! A queued request is taken out. One that a worker has ends for its client at once; it stays the worker's until its
//! FINAL, because whoever works is not free, and what is still said of it is dropped.

use protocol::mdp::v03::{JobNumber, ToWorker};
use protocol::mutants::{self, Mutant};
use protocol::{Instant, PeerId, RequestId};

use crate::broker::Broker;
use crate::event::RequestEnd;
use crate::job::{Job, JobId, ReplyState};
use crate::known::Stage;
use crate::speech::Speech;

impl Broker {
    /// Whoever cancels is told so, on whatever connection it is now. For a request that has ended, or that never was,
    /// nothing is said.
    pub(crate) fn on_cancel(&mut self, now: Instant, peer: PeerId, id: RequestId) {
        if mutants::on(Mutant::LoseCancel) {
            return;
        }
        let Some(connection) = self.peers.get(&peer) else { return };
        match self.known.find(&connection.client, id) {
            Some(Stage::Queued(service, seat)) => {
                let taken = self.services.change_queue(service, |queue| queue.take(seat));
                let Some(mut job) = taken.flatten() else { return };
                self.unqueue(&job);
                job.client.peer = peer;
                self.fail_job(&mut job, RequestEnd::Cancelled);
                self.services.forget_if_unneeded(service);
            }
            Some(Stage::Running(worker, job)) => {
                if let Some(job) = self.roster.get_mut(worker).and_then(|worker| worker.jobs.get_mut(job.0)) {
                    job.client.peer = peer;
                }
                self.end_running(now, worker, job, RequestEnd::Cancelled);
            }
            Some(Stage::Ended(_)) | None => {}
        }
    }

    pub(crate) fn on_deadline(&mut self, now: Instant, worker: PeerId, job: JobId) {
        if mutants::on(Mutant::ForgetDeadlineAtWorker) {
            return;
        }
        self.end_running(now, worker, job, RequestEnd::Overdue);
    }

    /// Ends a request for its client that a worker has.
    fn end_running(&mut self, now: Instant, peer: PeerId, id: JobId, end: RequestEnd) {
        let Some(worker) = self.roster.get_mut(peer) else { return };
        let Some(mut job) = worker.jobs.take(id.0) else { return };
        if !job.is_over() {
            job.reply = ReplyState::Over;
            self.fail_job(&mut job, end);
            // It is not going to be given to anybody again.
            job.request.body = Default::default();
            self.call_off(now, peer, id);
        }
        self.give_back(peer, job);
    }

    /// Tells a worker that nobody waits for this answer any more, if it can be told.
    pub(crate) fn call_off(&mut self, now: Instant, peer: PeerId, id: JobId) {
        let Some(worker) = self.roster.get_mut(peer).filter(|worker| worker.speech == Speech::Native) else { return };
        worker.spoken_to = now;
        if mutants::on(Mutant::ForgetToCallOff) {
            return;
        }
        self.send(peer, ToWorker::Cancel(JobNumber(id.0)).encode());
    }

    /// A job that was looked at stays its worker's.
    pub(crate) fn give_back(&mut self, peer: PeerId, job: Job) {
        if let Some(worker) = self.roster.get_mut(peer) {
            worker.jobs.insert(job.id.0, job);
        }
    }
}
