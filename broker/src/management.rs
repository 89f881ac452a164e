//! Answers to `mmi.` (RFC 8): the broker is its own worker.

use bytes::Bytes;
use protocol::mmi::{Query, code};
use protocol::mutants::{self, Mutant};
use protocol::{Frames, Instant, PeerId, ServiceName, limits};

use crate::broker::Broker;
use crate::request::Request;

impl Broker {
    pub(crate) fn on_management_request(&mut self, now: Instant, peer: PeerId, request: &Request) {
        let body = match Query::parse(&request.service, &request.body) {
            Query::Service(name) => Frames::from([self.service_code(&name)]),
            Query::Filter { enable: true, service, command } => Frames::from([self.enable(now, &service, &command)]),
            Query::Filter { enable: false, service, command } => Frames::from([self.disable(&service, &command)]),
            Query::Services(asked) => self.services_report(&asked),
            Query::Workers(asked) => self.workers_report(now, &asked),
            Query::Stats(asked) => self.stats_report(now, &asked),
            Query::Info => self.info_report(now),
            Query::Ping if request.body.len() > PING_FRAMES_MAX => Frames::from([PING_TOO_LONG]),
            Query::Ping => std::iter::once(Bytes::from_static(code::OK)).chain(request.body.iter().cloned()).collect(),
            Query::Drain { target, grace } => {
                let is_there = self.drain_target(now, &target, grace);
                Frames::from([if is_there { code::OK } else { code::NOT_FOUND }])
            }
            Query::Resume(service) => Frames::from([if self.resume(&service) { code::OK } else { code::NOT_FOUND }]),
            Query::Malformed(reason) => Frames::from([[code::BAD_REQUEST, b" ", reason.as_bytes()].concat()]),
            Query::Unknown => Frames::from([code::NOT_IMPLEMENTED]),
        };
        self.answer_to(peer, request, body);
    }

    fn service_code(&self, name: &ServiceName) -> &'static [u8] {
        let service = self.services.find(name).and_then(|id| self.services.get(id));
        let counts = |workers| workers > 0 || mutants::on(Mutant::MmiKnowsNoDeath);
        if service.is_some_and(|service| counts(service.workers)) { code::OK } else { code::NOT_FOUND }
    }

    fn enable(&mut self, now: Instant, name: &ServiceName, command: &[u8]) -> &'static [u8] {
        if let Some(id) = self.services.find(name) {
            if let Some(service) = self.services.get_mut(id).filter(|_| !mutants::on(Mutant::FilterForEver)) {
                service.disabled.remove(command);
            }
            self.dispatch(now, id);
        }
        code::OK
    }

    fn disable(&mut self, name: &ServiceName, command: &[u8]) -> &'static [u8] {
        let Some(id) = self.services.find_or_add(name, &self.config) else { return FULL };
        let Some(service) = self.services.get_mut(id) else { return FULL };
        let is_room = service.disabled.len() < limits::FILTER_COMMANDS_PER_SERVICE_MAX;
        if !is_room && !service.disabled.contains(command) {
            return FULL;
        }
        service.disabled.insert(Bytes::copy_from_slice(command));
        code::OK
    }
}

/// Frames that come back, so that the answer is not longer than a message may be.
const PING_FRAMES_MAX: usize = 512;
const PING_TOO_LONG: &[u8] = b"400 mmi.ping takes up to 512 frames";
const FULL: &[u8] = b"400 no room for another filter";
