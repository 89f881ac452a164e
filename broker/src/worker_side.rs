//! What workers say and what follows (RFC 7 and 18, worker side and Heartbeating; MDP-0.3, 7.5, 7.6 and 8).

use protocol::mdp::Dialect;
use protocol::mdp::client::Part;
use protocol::mdp::v03::worker::Farewell;
use protocol::mdp::v03::{Options, Status};
use protocol::mutants::{self, Mutant};
use protocol::{Frames, Instant, PeerFault, PeerId, ServiceName};

use crate::broker::{Alarmed, Broker};
use crate::event::{Departure, Event, RequestEnd};
use crate::job::JobId;
use crate::roster::Worker;
use crate::service::ServiceId;
use crate::speech::{Speech, farewell};

/// What a worker says of a request that it has.
#[derive(Debug)]
pub(crate) enum Said {
    /// A part of the answer; more follow.
    Partial(Frames),
    /// The end of it.
    Final { status: Status, options: Options, body: Frames },
}

impl Broker {
    /// READY of 0.1 or 0.2: valid once a connection.
    pub(crate) fn on_ready(&mut self, now: Instant, peer: PeerId, dialect: Dialect, service: ServiceName) {
        if self.roster.get(peer).is_some() && !mutants::on(Mutant::AcceptSecondReady) {
            return self.expel(now, peer, Departure::Expelled, farewell(Status::BAD_REQUEST, SECOND_READY));
        }
        let offers = [service];
        let Some(ids) = self.find_places(peer, Speech::Old(dialect), &offers) else { return };
        for id in ids {
            self.roster.insert(peer, Worker::old(now, dialect, id));
        }
        self.take_in(now, peer, &offers);
    }

    /// Where a worker belongs, if it may offer what it offers and there is room; else it is told DISCONNECT.
    pub(crate) fn find_places(
        &mut self,
        peer: PeerId,
        speech: Speech,
        offers: &[ServiceName],
    ) -> Option<Vec<ServiceId>> {
        if !offers.iter().all(|service| self.permit_offer(peer, speech, service)) {
            return None;
        }
        if offers.iter().any(ServiceName::is_management) {
            self.send_disconnect(peer, speech, farewell(Status::FORBIDDEN, "names under mmi. are the broker's own"));
            return None;
        }
        let mut ids = Vec::with_capacity(offers.len());
        for service in offers {
            match self.find_place(service, &ids) {
                Some(id) => ids.push(id),
                None => {
                    ids.into_iter().for_each(|id| self.services.forget_if_unneeded(id));
                    self.send_disconnect(peer, speech, farewell(Status::TOO_MANY, "no room for another service"));
                    return None;
                }
            }
        }
        Some(ids)
    }

    /// The place of a service that a worker offers. Whoever serves is worth more than a name that is only asked for:
    /// with the table full, such a name gives way with all its requests, so that nobody keeps workers out by asking.
    fn find_place(&mut self, service: &ServiceName, kept: &[ServiceId]) -> Option<ServiceId> {
        if let Some(id) = self.services.find_or_add(service, &self.config) {
            return Some(id);
        }
        let unserved = self.services.unserved(kept)?;
        while self.evict(unserved, 0, RequestEnd::BrokerFull) {}
        self.services.forget_if_unneeded(unserved);
        self.services.find_or_add(service, &self.config)
    }

    /// A worker has come into the roster: it is given what waits for it.
    pub(crate) fn take_in(&mut self, now: Instant, peer: PeerId, offers: &[ServiceName]) {
        for service in offers {
            if let Some(id) = self.services.find(service) {
                self.services.add_worker(id);
            }
            self.tell(Event::WorkerReady { peer, service: service.detached() });
        }
        self.go_on(now, peer);
        self.meet_worker(now, peer);
    }

    /// Whether a worker may say anything but READY: it is registered, and speaks as it did then. An unknown worker is
    /// told to start anew: this is how workers come back to a broker that was restarted.
    pub(crate) fn hear(&mut self, now: Instant, peer: PeerId, speech: Speech) -> bool {
        let Some(worker) = self.roster.get_mut(peer) else {
            self.send_disconnect(peer, speech, farewell(Status::BAD_REQUEST, "READY comes first"));
            return false;
        };
        if (worker.speech == Speech::Native) != (speech == Speech::Native) {
            self.on_fault(now, peer, PeerFault::Command);
            return false;
        }
        worker.heard = now;
        true
    }

    /// PARTIAL, FINAL or REPLY of 0.1 or 0.2.
    pub(crate) fn on_reply(
        &mut self,
        now: Instant,
        peer: PeerId,
        dialect: Dialect,
        address: &[u8],
        part: Part,
        body: Frames,
    ) {
        let said = match part {
            Part::Partial => Said::Partial(body),
            Part::Final => Said::Final { status: Status::OK, options: Options::none(), body },
        };
        if self.hear(now, peer, Speech::Old(dialect)) {
            self.on_answer(now, peer, JobId::from_address(address), None, said, PeerFault::Address);
        }
    }

    /// An answer is valid only from a worker that holds the request it names, and where the worker counts the parts, as
    /// `counted`, only with the right count. Anything else means that the two sides do not agree on what happened, and
    /// the worker has to start anew; `fault` says what is wrong with a request that it does not hold.
    pub(crate) fn on_answer(
        &mut self,
        now: Instant,
        peer: PeerId,
        id: Option<JobId>,
        counted: Option<u32>,
        said: Said,
        fault: PeerFault,
    ) {
        let Some(worker) = self.roster.get_mut(peer) else { return };
        let first = || worker.jobs.front().map(|(number, _)| JobId(number));
        let id = if mutants::on(Mutant::BelieveForgedReply) { first().or(id) } else { id };
        let Some(mut job) = id.and_then(|id| worker.jobs.take(id.0)) else {
            return self.on_fault(now, peer, fault);
        };
        if let Some(number) = counted.filter(|number| *number != job.parts && !job.is_over()) {
            worker.jobs.insert(job.id.0, job);
            let what = "number of the part, or of all parts,";
            let fault = PeerFault::Value { what, value: number.into(), allowed: "as many as came before" };
            return self.on_fault(now, peer, fault);
        }
        match said {
            Said::Partial(body) => {
                let was_over = job.is_over();
                self.pass_partial(&mut job, body);
                if job.is_over() && !was_over {
                    self.call_off(now, peer, job.id);
                }
                // The answer goes on: the request stays with its worker.
                self.give_back(peer, job);
            }
            Said::Final { status, options, body } => {
                let place = job.place;
                worker.let_go(&job);
                self.pass_final(job, status, options, body);
                self.services.land(place);
                self.services.forget_if_unneeded(place);
                self.go_on(now, peer);
            }
        }
    }

    /// HEARTBEAT of 0.1 or 0.2.
    pub(crate) fn on_heartbeat(&mut self, now: Instant, peer: PeerId, dialect: Dialect) {
        if mutants::on(Mutant::IgnoreHeartbeat) && self.roster.get(peer).is_some() {
            return;
        }
        if !self.hear(now, peer, Speech::Old(dialect)) {
            return;
        }
        if let Some(worker) = self.roster.get_mut(peer) {
            worker.on_heartbeat();
        }
        self.arm_worker(peer);
    }

    /// A message that is no MDP is dropped and counted; from a worker it ends the registration (RFC 7: treat the peer
    /// as invalid).
    pub(crate) fn on_fault(&mut self, now: Instant, peer: PeerId, fault: PeerFault) {
        self.counters.faults += 1;
        let farewell = farewell(Status::BAD_REQUEST, &fault.to_string());
        self.tell(Event::Fault { peer, fault });
        self.expel(now, peer, Departure::Expelled, farewell);
    }

    pub(crate) fn on_worker_alarm(&mut self, now: Instant, peer: PeerId, at: Instant) {
        let Some(worker) = self.roster.get_mut(peer) else { return };
        if !worker.alarm.rings(at) {
            return;
        }
        if worker.expires(&self.pace, &self.services) <= now {
            let (departure, farewell) = match worker.leaves_by {
                Some(leaves_by) if leaves_by <= now => (Departure::Left, farewell(Status::DEADLINE, "time is over")),
                _ => (Departure::Expired, farewell(Status::DEADLINE, "silent for too long")),
            };
            return self.expel(now, peer, departure, farewell);
        }
        if worker.spoken_to + self.pace.beat <= now {
            worker.spoken_to = now;
            let frames = worker.speech.heartbeat(self.pace.beat);
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
        let Some(worker) = self.roster.get_mut(peer) else { return };
        let at = worker.wakes(&self.pace, &self.services);
        self.timers.arm(&mut worker.alarm, Alarmed::Worker(peer), at);
    }

    /// Tells a worker DISCONNECT and forgets it, if it is one; it may connect anew.
    pub(crate) fn expel(&mut self, now: Instant, peer: PeerId, departure: Departure, farewell: Farewell) {
        if let Some(worker) = self.roster.get(peer) {
            self.send_disconnect(peer, worker.speech, farewell);
            self.remove_worker(now, peer, departure);
        }
    }

    pub(crate) fn send_disconnect(&mut self, peer: PeerId, speech: Speech, farewell: Farewell) {
        self.counters.expelled += 1;
        self.send(peer, speech.disconnect(farewell));
    }

    /// Forgets a worker, if it is one. What it held goes back to the front of its queues, in the old order.
    pub(crate) fn remove_worker(&mut self, now: Instant, peer: PeerId, departure: Departure) {
        let Some(mut worker) = self.roster.remove(peer) else { return };
        if let Some(place) = worker.place.take().filter(|_| !mutants::on(Mutant::KeepStalePlaces)) {
            self.services.leave_lines(&worker.services, peer, place);
        }
        let mut touched = std::mem::take(&mut worker.services);
        for id in &touched {
            self.count_out(peer, *id, &worker, departure);
        }
        while let Some(job) = worker.jobs.pop_back() {
            if !touched.contains(&job.place) {
                touched.push(job.place);
            }
            touched.extend(self.take_back(job).filter(|id| !touched.contains(id)));
        }
        for id in touched {
            self.dispatch(now, id);
        }
    }

    /// A worker offers a service no more.
    pub(crate) fn count_out(&mut self, peer: PeerId, id: ServiceId, worker: &Worker, departure: Departure) {
        self.services.remove_worker(id);
        let Some(service) = self.services.get(id) else { return };
        let service = service.name.clone();
        let unanswered = worker.jobs.iter().filter(|job| job.place == id).count();
        self.tell(Event::WorkerLeft { peer, service, departure, unanswered });
    }
}

pub(crate) const SECOND_READY: &str = "a second READY on one connection";
