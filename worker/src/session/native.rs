//! What only MDP 0.3 can say: CANCEL, DRAIN, reasons for a DISCONNECT; and what follows when nobody speaks it.

use std::time::Duration;

use protocol::Instant;
use protocol::mdp::v03::worker::Farewell;
use protocol::mdp::v03::{Drain, JobNumber, Options, Status};

use super::{Link, Output, Phase, Session};
use crate::event::{Cause, Event};
use crate::failure::Failure;
use crate::speech::Speech;

/// As long as a broker is believed that says when to come again: it may lie, and nobody is served meanwhile.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(600);

impl Session {
    /// A job that we do not have has ended: its FINAL is on the way.
    pub(super) fn on_cancel(&mut self, now: Instant, number: JobNumber) {
        if let Some(id) = self.jobs.find(number) {
            self.stop(now, id, Failure::with_status(Status::CANCELLED, Status::CANCELLED.words()));
        }
    }

    /// The broker gives us no more, of one service or at all. What we have is finished.
    pub(super) fn on_drain(&mut self, now: Instant, drain: Drain) {
        let Link::Registered(up) = &mut self.link else { return };
        match &drain.service {
            None => up.is_drained = true,
            Some(service) if self.config.offers(service) && !up.drained.contains(service) => {
                up.drained.push(service.detached());
                up.is_drained |= up.drained.len() == self.config.offers.len();
            }
            Some(_) => return,
        }
        up.hints = drain.options.detached();
        self.event(Event::Draining { service: drain.service.map(|service| service.detached()) });
        self.part_if_idle(now);
    }

    /// The broker wants us gone from this connection; in 0.3 it may say why, when to come again and where to go.
    pub(super) fn on_disconnect(&mut self, now: Instant, farewell: Option<Farewell>) {
        let Some(Farewell { status, options }) = farewell else {
            return self.lose(now, Cause::Dismissed, Duration::ZERO);
        };
        let reason = options.reason().unwrap_or(status.words()).to_owned();
        self.event(Event::Dismissed { status: status.code(), reason });
        if matches!(self.phase, Phase::Ending { .. }) && self.jobs.is_empty() {
            // Nothing more may be said.
            self.link = Link::Down;
            return self.end(now);
        }
        let absence = self.absence(status, &options);
        if let Link::Registered(up) = &mut self.link
            && options.endpoints().next().is_some()
        {
            up.hints = options;
        }
        self.lose(now, Cause::Dismissed, absence);
    }

    /// How long to stay away, beside the growing delay.
    fn absence(&self, status: Status, options: &Options) -> Duration {
        let Link::Registered(up) = &self.link else { return Duration::ZERO };
        let said = options.retry_after().or(up.hints.retry_after()).map(|wait| wait.min(RETRY_AFTER_MAX));
        let is_unwanted = status == Status::FORBIDDEN || (status == Status::OK && up.is_drained);
        said.unwrap_or(if is_unwanted { self.config.absence } else { Duration::ZERO })
    }

    /// Chooses where to connect next: where the broker says, if we may; whether it is elsewhere. A place that did not
    /// answer gives way to the next one.
    pub(super) fn reroute(&mut self) -> bool {
        let Link::Registered(up) = &self.link else { return false };
        if self.route.redirect(&self.config.alternatives, up.hints.endpoints()) {
            return true;
        }
        if self.speech.is_native() && up.interval.is_none() {
            self.route.turn();
        }
        false
    }

    /// Nothing of 0.3 was heard on a connection that stands.
    pub(super) fn on_unanswered(&mut self, now: Instant) {
        let Some(dialect) = self.config.fallback.filter(|_| self.phase == Phase::Serving) else {
            return self.lose(now, Cause::Unanswered, Duration::ZERO);
        };
        self.close();
        self.event(Event::FellBack { to: dialect });
        self.open(now, Speech::Old(dialect));
    }

    /// All is answered, and the other side leaves the goodbye to us.
    pub(super) fn say_goodbye(&mut self, now: Instant) {
        if matches!(self.phase, Phase::Ending { .. }) {
            return self.end(now);
        }
        self.outputs.push_back(Output::Send(self.speech.disconnect()));
        self.lose(now, Cause::Drained, Duration::ZERO);
    }
}
