//! What peers of MDP 0.3 say (docs/rfc/MDP-0.3.md): turned into what the broker does for all dialects, and what only
//! 0.3 can say.

use std::time::Duration;

use protocol::mdp::v03::notice::Drain;
use protocol::mdp::v03::options::kind;
use protocol::mdp::v03::{FromClient, FromWorker, JobNumber, Outcome, Ready, Side, Status, ToClient};
use protocol::mutants::{self, Mutant};
use protocol::{Frames, Instant, PeerFault, PeerId, RequestId};

use crate::broker::Broker;
use crate::event::{Departure, Event};
use crate::job::JobId;
use crate::request::Request;
use crate::roster::Worker;
use crate::speech::{Speech, because, farewell};
use crate::worker_side::{SECOND_READY, Said};

impl Broker {
    pub(crate) fn on_native(&mut self, now: Instant, peer: PeerId, side: Side, frames: Frames) {
        match side {
            Side::Client => match FromClient::decode(frames) {
                Ok(said) => self.on_native_client(now, peer, said),
                Err(rejected) => self.on_client_fault(peer, rejected.request, rejected.fault),
            },
            Side::Worker => match FromWorker::decode(frames) {
                Ok(said) => self.on_native_worker(now, peer, said),
                Err(fault) => self.on_worker_fault(now, peer, fault),
            },
        }
    }

    fn on_native_client(&mut self, now: Instant, peer: PeerId, said: FromClient) {
        self.meet_client(now, peer);
        match said {
            FromClient::Request(request) => self.on_request(now, peer, Request::native(now, request)),
            FromClient::Cancel(id) => self.on_cancel(now, peer, id),
            FromClient::Heartbeat if self.peers.contains_key(&peer) => self.send(peer, ToClient::Heartbeat.encode()),
            FromClient::Heartbeat => {}
        }
    }

    /// Section 9: dropped and counted; a request whose id could be read is answered 400. Whatever its client is beside
    /// that, it stays.
    fn on_client_fault(&mut self, peer: PeerId, request: Option<RequestId>, fault: PeerFault) {
        self.counters.faults += 1;
        if let Some(id) = request.filter(|_| self.peers.contains_key(&peer)) {
            let outcome = Outcome { parts: 0, status: Status::BAD_REQUEST, options: because(&fault.to_string()) };
            self.send(peer, ToClient::Final { id, outcome, body: Frames::new() }.encode());
        }
        self.tell(Event::Fault { peer, fault });
    }

    fn on_worker_fault(&mut self, now: Instant, peer: PeerId, fault: PeerFault) {
        if self.roster.get(peer).is_none() {
            self.send_disconnect(peer, Speech::Native, farewell(Status::BAD_REQUEST, &fault.to_string()));
        }
        self.on_fault(now, peer, fault);
    }

    fn on_native_worker(&mut self, now: Instant, peer: PeerId, said: FromWorker) {
        match said {
            FromWorker::Ready(ready) => return self.on_native_ready(now, peer, &ready),
            FromWorker::Disconnect(_) => return self.remove_worker(now, peer, Departure::Left),
            _ if !self.hear(now, peer, Speech::Native) => return,
            FromWorker::Partial { job, part, body } => self.on_part(now, peer, job, part, Said::Partial(body)),
            FromWorker::Final { job, outcome: Outcome { parts, status, options }, body } => {
                let is_cut = !mutants::on(Mutant::PassEndpointsOn);
                let options = if is_cut { options.without(kind::ENDPOINTS) } else { options };
                // What follows from it looks at this worker's silence anew as well.
                return self.on_part(now, peer, job, parts, Said::Final { status, options, body });
            }
            FromWorker::Credit(credit) => self.on_credit(now, peer, credit),
            FromWorker::Drain(drain) => self.on_worker_drain(now, peer, &drain),
            FromWorker::Heartbeat(interval) => self.on_announcement(peer, interval),
        }
        self.arm_worker(peer);
    }

    fn on_native_ready(&mut self, now: Instant, peer: PeerId, ready: &Ready) {
        if self.roster.get(peer).is_some() {
            return self.expel(now, peer, Departure::Expelled, farewell(Status::BAD_REQUEST, SECOND_READY));
        }
        let offers: Vec<_> = ready.offers.iter().map(|offer| offer.service.clone()).collect();
        let Some(places) = self.find_places(peer, Speech::Native, &offers) else { return };
        self.roster.insert(peer, Worker::native(now, places, ready));
        // It learns from this that its broker speaks 0.3.
        self.send(peer, Speech::Native.heartbeat(self.pace.beat));
        self.take_in(now, peer, &offers);
    }

    fn on_part(&mut self, now: Instant, peer: PeerId, job: JobNumber, number: u32, said: Said) {
        let fault = PeerFault::Value { what: "job number", value: job.0, allowed: "those of jobs that it has" };
        self.on_answer(now, peer, Some(JobId(job.0)), Some(number), said, fault);
    }

    /// The whole, and not what is added.
    fn on_credit(&mut self, now: Instant, peer: PeerId, credit: u32) {
        if let Some(worker) = self.roster.get_mut(peer) {
            let lowest = if mutants::on(Mutant::IgnoreSmallerCredit) { worker.credit } else { 0 };
            worker.credit = usize::try_from(credit).unwrap_or(usize::MAX).max(lowest);
        }
        self.join_lines(peer);
        self.serve(now, peer);
    }

    fn on_announcement(&mut self, peer: PeerId, interval: Duration) {
        if let Some(worker) = self.roster.get_mut(peer) {
            worker.announce(interval);
        }
    }

    /// A worker leaves, or gives one service up: it is given no more of that, and finishes what it has.
    fn on_worker_drain(&mut self, now: Instant, peer: PeerId, drain: &Drain) {
        let only = drain.service.as_ref().map(|service| self.services.find(service));
        // A name that nobody knows is none that it offers.
        if only != Some(None) {
            self.let_go(now, peer, drain.grace, only.flatten(), Departure::Left);
        }
    }

    /// A worker that offers nothing any more and has nothing left is free to go.
    pub(crate) fn part_if_done(&mut self, now: Instant, peer: PeerId) {
        let is_done = |worker: &Worker| worker.services.is_empty() && worker.jobs.is_empty();
        if self.roster.get(peer).is_some_and(is_done) && !mutants::on(Mutant::KeepDrainedWorker) {
            self.expel(now, peer, Departure::Left, farewell(Status::OK, "drained"));
        }
    }
}
