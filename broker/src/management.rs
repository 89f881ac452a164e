//! Answers to `mmi.` (RFC 8): the broker is its own worker.

use protocol::mmi::{Query, code};
use protocol::mutants::{self, Mutant};
use protocol::{Frames, Instant, PeerId, ServiceName, limits};
use serde_json::json;

use crate::broker::Broker;
use crate::request::{Answer, Request};

impl Broker {
    pub(crate) fn on_management_request(&mut self, now: Instant, peer: PeerId, request: &Request) {
        let body = match Query::parse(&request.service, &request.body) {
            Query::Service(name) => Frames::from([self.service_code(&name)]),
            Query::Filter { enable: true, service, command } => Frames::from([self.enable(now, &service, &command)]),
            Query::Filter { enable: false, service, command } => Frames::from([self.disable(&service, &command)]),
            Query::Services => self.services_report(),
            Query::Malformed(reason) => Frames::from([[code::BAD_REQUEST, b" ", reason.as_bytes()].concat()]),
            Query::Unknown => Frames::from([code::NOT_IMPLEMENTED]),
        };
        self.answer_to(peer, request, Answer::whole(body));
    }

    fn service_code(&self, name: &ServiceName) -> &'static [u8] {
        let service = self.services.find(name).and_then(|id| self.services.get(id));
        let counts = |workers| workers > 0 || mutants::on(Mutant::MmiKnowsNoDeath);
        if service.is_some_and(|service| counts(service.workers)) { code::OK } else { code::NOT_FOUND }
    }

    fn enable(&mut self, now: Instant, name: &ServiceName, command: &[u8]) -> &'static [u8] {
        if let Some(id) = self.services.find(name) {
            if let Some(service) = self.services.get_mut(id) {
                service.disabled.remove(command);
            }
            self.dispatch(now, id);
        }
        code::OK
    }

    fn disable(&mut self, name: &ServiceName, command: &[u8]) -> &'static [u8] {
        let services_max = self.config.limits.services_max;
        let Some(id) = self.services.find_or_add(name, services_max) else { return FULL };
        let Some(service) = self.services.get_mut(id) else { return FULL };
        let is_room = service.disabled.len() < limits::FILTER_COMMANDS_PER_SERVICE_MAX;
        if !is_room && !service.disabled.contains(command) {
            return FULL;
        }
        service.disabled.insert(bytes::Bytes::copy_from_slice(command));
        code::OK
    }

    /// One frame of JSON lines, a service each, in the order of their names.
    fn services_report(&self) -> Frames {
        let mut lines = String::new();
        for service in self.services.iter() {
            let line = json!({
                "service": String::from_utf8_lossy(service.name.as_bytes()),
                "workers": service.workers,
                "waiting": service.waiting(),
                "queued": service.queue.len(),
            });
            lines.push_str(&line.to_string());
            lines.push('\n');
        }
        Frames::from([bytes::Bytes::from_static(code::OK), lines.into()])
    }
}

const FULL: &[u8] = b"400 no room for another filter";
