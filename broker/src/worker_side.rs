//! What workers say and what follows (RFC 7 and 18, worker side and Heartbeating).

use bytes::Bytes;
use protocol::mdp::Dialect;
use protocol::mdp::client::Part;
use protocol::mdp::worker::ToWorker;
use protocol::mutants::{self, Mutant};
use protocol::{Frames, Instant, PeerFault, PeerId, ServiceName};

use crate::broker::{Alarmed, Broker};
use crate::event::{Departure, Event};
use crate::job::JobId;
use crate::roster::Worker;

impl Broker {
    /// READY: valid once a connection, for a name that is not the broker's own and that the peer may offer.
    pub(crate) fn on_ready(
        &mut self,
        now: Instant,
        peer: PeerId,
        dialect: Dialect,
        service: &ServiceName,
        credit: u32,
    ) {
        if self.roster.get(peer).is_some() && !mutants::on(Mutant::AcceptSecondReady) {
            return self.expel(now, peer, Departure::Expelled);
        }
        if !self.permit_offer(peer, dialect, service) {
            return;
        }
        let services_max = self.config.limits.services_max;
        let place = if service.is_management() { None } else { self.services.find_or_add(service, services_max) };
        let Some(id) = place else { return self.send_disconnect(peer, dialect) };
        self.roster.insert(peer, Worker::new(now, dialect, id, credit));
        if let Some(service) = self.services.get_mut(id) {
            service.workers += 1;
        }
        self.tell(Event::WorkerReady { peer, service: service.detached() });
        self.join_line(peer);
        self.arm_worker(peer);
        self.dispatch(now, id);
    }

    /// A reply is valid only from a worker that holds the request it names. Anything else means that the two sides do
    /// not agree on what happened, and the worker has to start anew.
    pub(crate) fn on_reply(
        &mut self,
        now: Instant,
        peer: PeerId,
        dialect: Dialect,
        address: &Bytes,
        part: Part,
        body: Frames,
    ) {
        let Some(worker) = self.roster.get_mut(peer) else { return self.send_disconnect(peer, dialect) };
        worker.heard = now;
        let service = worker.service;
        let believed = worker.jobs.first().map(|job| job.id).filter(|_| mutants::on(Mutant::BelieveForgedReply));
        let job = believed.or_else(|| JobId::from_address(address)).and_then(|id| worker.take_job(id));
        let Some(mut job) = job else {
            self.counters.faults += 1;
            self.tell(Event::Fault { peer, fault: PeerFault::Address });
            return self.expel(now, peer, Departure::Expelled);
        };
        match part {
            Part::Partial => {
                self.pass_partial(&mut job, body);
                // The answer goes on: the request stays with its worker.
                if let Some(worker) = self.roster.get_mut(peer) {
                    worker.jobs.push(job);
                }
            }
            Part::Final => {
                self.pass_final(job, body);
                self.join_line(peer);
                self.arm_worker(peer);
                self.dispatch(now, service);
            }
        }
    }

    /// HEARTBEAT is valid only after READY. An unknown worker is told to start anew: this is how workers come back to a
    /// broker that was restarted.
    pub(crate) fn on_heartbeat(&mut self, now: Instant, peer: PeerId, dialect: Dialect) {
        match self.roster.get_mut(peer) {
            Some(_) if mutants::on(Mutant::IgnoreHeartbeat) => {}
            Some(worker) => {
                worker.heard = now;
                worker.on_heartbeat();
                self.arm_worker(peer);
            }
            None => self.send_disconnect(peer, dialect),
        }
    }

    /// A message that is no MDP is dropped and counted; from a worker it ends the registration (RFC 7: treat the peer
    /// as invalid).
    pub(crate) fn on_fault(&mut self, now: Instant, peer: PeerId, fault: PeerFault) {
        self.counters.faults += 1;
        self.tell(Event::Fault { peer, fault });
        if self.roster.get(peer).is_some() {
            self.expel(now, peer, Departure::Expelled);
        }
    }

    pub(crate) fn on_worker_alarm(&mut self, now: Instant, peer: PeerId, at: Instant) {
        let Some(expires) = self.worker_expires(peer) else { return };
        let Some(worker) = self.roster.get_mut(peer) else { return };
        if !worker.alarm.rings(at) {
            return;
        }
        if expires <= now {
            return self.expel(now, peer, Departure::Expired);
        }
        if worker.spoken_to + self.config.heartbeat <= now {
            worker.spoken_to = now;
            let frames = ToWorker::Heartbeat.encode(worker.dialect);
            if !mutants::on(Mutant::SendNoHeartbeat) {
                self.send(peer, frames);
            }
        }
        if !mutants::on(Mutant::ForgetToRearm) {
            self.arm_worker(peer);
        }
    }

    /// Wakes the broker when this worker needs a heartbeat or has been silent for too long.
    pub(crate) fn arm_worker(&mut self, peer: PeerId) {
        let Some(expires) = self.worker_expires(peer) else { return };
        let Some(worker) = self.roster.get_mut(peer) else { return };
        let at = expires.min(worker.spoken_to + self.config.heartbeat);
        self.timers.arm(&mut worker.alarm, Alarmed::Worker(peer), at);
    }

    fn worker_expires(&self, peer: PeerId) -> Option<Instant> {
        let worker = self.roster.get(peer)?;
        let service = self.services.get(worker.service)?;
        Some(worker.expires(self.config.expiry(), self.config.policy(&service.name).busy_timeout))
    }

    /// Tells a worker DISCONNECT and forgets it; it may connect anew.
    pub(crate) fn expel(&mut self, now: Instant, peer: PeerId, departure: Departure) {
        if let Some(worker) = self.roster.get(peer) {
            self.send_disconnect(peer, worker.dialect);
            self.remove_worker(now, peer, departure);
        }
    }

    pub(crate) fn send_disconnect(&mut self, peer: PeerId, dialect: Dialect) {
        self.counters.expelled += 1;
        self.send(peer, ToWorker::Disconnect.encode(dialect));
    }

    /// Forgets a worker, if it is one. What it held goes back to the front of its queue, in the old order.
    pub(crate) fn remove_worker(&mut self, now: Instant, peer: PeerId, departure: Departure) {
        let Some(mut worker) = self.roster.remove(peer) else { return };
        let id = worker.service;
        let roster = &self.roster;
        if let Some(service) = self.services.get_mut(id) {
            service.workers = service.workers.saturating_sub(usize::from(!mutants::on(Mutant::ForgetToCountDown)));
            if worker.turn.is_some() && !mutants::on(Mutant::KeepStalePlaces) {
                service.leave_line(|peer, turn| roster.holds(peer, turn));
            }
            let service = service.name.clone();
            self.tell(Event::WorkerLeft { peer, service, departure, unanswered: worker.jobs.len() });
        }
        worker.jobs.sort_unstable_by_key(|job| job.id);
        for job in worker.jobs.into_iter().rev() {
            self.take_back(id, job);
        }
        self.dispatch(now, id);
        self.services.forget_if_unneeded(id);
    }
}
