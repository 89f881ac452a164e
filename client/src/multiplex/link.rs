//! The connection of a multiplexer: found, lost, refused, judged by its silence, and left for another broker.

use protocol::Instant;
use protocol::mdp::v03::Drain;
use protocol::mutants::{self, Mutant};

use super::{Correlation, Dial, Link, Multiplex, Output};
use crate::event::Event;
use crate::failed::Failure;
use crate::flight::Flight;
use crate::number::Number;
use crate::talk::Verdict;

/// A broker is about to leave, and the next one is known.
#[derive(Debug)]
pub(super) struct Move {
    endpoint: String,
    /// When what is still under way is taken along.
    until: Instant,
}

/// Requests that are sent before the broker is asked whether it is there still, and octets of their bodies.
const BACKLOG_AT_ONCE: usize = 8192;
const BACKLOG_BYTES_AT_ONCE: usize = 4 << 20;

impl Multiplex {
    pub(super) fn on_connected(&mut self, now: Instant) {
        if self.link != Link::Opening {
            return;
        }
        self.link = Link::Up;
        self.outputs.extend(self.talk.on_connected(now).map(Output::Send));
        let resent = self.in_flight.values().filter(|flight| flight.connected).count();
        self.event(Event::Connected { resent });
        if mutants::on(Mutant::ForgetInFlight) {
            return;
        }
        let numbers: Vec<Number> = self.in_flight.keys().copied().collect();
        for number in numbers {
            self.transmit(now, number);
        }
    }

    /// The broker has read what was sent so far: more of what waits follows, and another question behind it.
    ///
    /// Nothing is sent before the first word of 0.3, so that a broker which is merely slow has run nothing when it is
    /// taken for one that does not speak 0.3. And never is more on the way than a socket takes at once: the answer to a
    /// question behind a hundred thousand requests would come too late to show that anybody is there.
    pub(super) fn send_backlog(&mut self, now: Instant) {
        let (mut count, mut bytes) = (0, 0);
        while count < BACKLOG_AT_ONCE && bytes < BACKLOG_BYTES_AT_ONCE {
            let Some(number) = self.backlog.pop_first() else { return };
            (count, bytes) = (count + 1, bytes + self.in_flight.get(&number).map_or(0, Flight::byte_count));
            self.say(now, number);
        }
        if !self.backlog.is_empty() {
            self.outputs.push_back(Output::Send(crate::speech::heartbeat()));
        }
    }

    pub(super) fn on_disconnected(&mut self, now: Instant) {
        if self.link == Link::Up {
            self.lose(now);
        }
    }

    /// The connection is of no use any more: another one after a delay, and to where the way leads.
    fn lose(&mut self, now: Instant) {
        let retry_in = self.backoff.next_delay();
        self.link = Link::Waiting { until: now + retry_in };
        self.outputs.push_back(Output::Close);
        self.leave_requests();
        self.event(Event::Lost { outstanding: self.in_flight.len(), retry_in });
        self.talk.on_lost();
        // The broker that said where to go has gone itself; and one that we were sent to is no longer preferred.
        self.endpoint = self.moving.take().map(|Move { endpoint, .. }| endpoint);
    }

    /// Nothing of the connection can come any more; each attempt is made anew.
    fn leave_requests(&mut self) {
        self.backlog.clear();
        let tongue = self.talk.tongue();
        for (number, flight) in &mut self.in_flight {
            if flight.on_lost(tongue, false) {
                self.outputs.push_back(Output::Restarted(*number));
            }
        }
    }

    /// Ends the requests that more attempts would not help, and tries again later for those to come.
    pub(super) fn on_refused(&mut self, now: Instant, is_lasting: bool) {
        if self.link != Link::Opening {
            return;
        }
        self.link = Link::Waiting { until: now + self.backoff.next_delay() };
        self.outputs.push_back(Output::Close);
        self.talk.on_lost();
        if self.endpoint.take().is_some() {
            // We were sent there; where we come from others may be let in.
            return;
        }
        let ended: Vec<Number> = self
            .in_flight
            .iter()
            .filter(|(_, flight)| is_lasting || flight.attempt > 1)
            .map(|(number, _)| *number)
            .collect();
        for number in ended {
            self.give_up(now, number, true);
        }
        self.admit(now);
    }

    /// What the silence of the broker comes to.
    pub(super) fn on_verdict(&mut self, now: Instant, verdict: Verdict) {
        match verdict {
            Verdict::Ask => self.outputs.push_back(Output::Send(crate::speech::heartbeat())),
            Verdict::FallBack(dialect) => {
                self.event(Event::FellBack(dialect));
                self.begin_anew(now);
            }
            Verdict::Mute => {
                for flight in self.in_flight.values_mut() {
                    flight.mute = true;
                }
                self.event(Event::Mute);
                self.lose(now);
            }
            Verdict::Lost => {
                self.event(Event::Silent);
                self.lose(now);
            }
        }
    }

    /// The broker does not speak 0.3, so nothing that was sent has run: all of it is sent again in the older dialect,
    /// with the whole of its attempt's time. What that dialect cannot promise ends.
    fn begin_anew(&mut self, now: Instant) {
        self.link = Link::Opening;
        self.backlog.clear();
        self.outputs.extend([Output::Close, self.dial()]);
        let numbers: Vec<(Number, bool)> =
            self.in_flight.iter().map(|(number, flight)| (*number, flight.runs_once())).collect();
        for (number, runs_once) in numbers {
            if runs_once {
                self.end(number, Failure::NotNative);
            } else {
                self.rearm(now, number);
            }
        }
        self.admit(now);
    }

    /// Without numbers a late reply could be taken for the next one's: it must find a closed socket.
    pub(super) fn abandon_socket_unless_numbered(&mut self) {
        let open = matches!(self.link, Link::Opening | Link::Up);
        let numbered = self.config.correlation == Correlation::Envelope || self.talk.is_native();
        if !numbered && open && !mutants::on(Mutant::KeepSocket) {
            self.link = Link::Opening;
            self.talk.on_left();
            self.outputs.extend([Output::Close, self.dial()]);
        }
    }

    /// The whole broker leaves: new requests go to the first place that it names and we may go to, once those that it
    /// has have ended. Where there is none, it goes on being asked, and says 503.
    pub(super) fn on_drain(&mut self, now: Instant, drain: Drain) {
        let Drain { grace, service, options } = drain;
        let is_whole = service.is_none();
        self.event(Event::Draining { grace, service });
        let allowed = |endpoint: &&str| self.config.elsewhere.iter().any(|allowed| allowed == endpoint);
        let Some(endpoint) = options.endpoints().find(allowed).map(str::to_owned) else { return };
        if is_whole && self.moving.is_none() {
            self.moving = Some(Move { endpoint, until: now + grace });
        }
    }

    /// Leaves the broker that drains, if nothing is under way there any more or its time is over.
    pub(super) fn depart(&mut self, now: Instant) {
        let is_due = |moving: &mut Move| self.in_flight.is_empty() || moving.until <= now;
        if self.link != Link::Up {
            return;
        }
        let Some(Move { endpoint, .. }) = self.moving.take_if(is_due) else { return };
        self.leave_requests();
        self.event(Event::Moved(endpoint.clone()));
        self.endpoint = Some(endpoint);
        self.talk.on_lost();
        self.link = Link::Opening;
        self.outputs.extend([Output::Close, self.dial()]);
        self.admit(now);
    }

    /// When a broker that drains is left with requests under way.
    pub(super) fn departure(&self) -> Option<Instant> {
        self.moving.as_ref().map(|moving| moving.until)
    }

    pub(super) fn dial(&self) -> Output {
        let identity = if self.talk.is_native() { self.config.identity.clone() } else { bytes::Bytes::new() };
        Output::Open(Dial { endpoint: self.endpoint.clone(), identity })
    }
}
