//! What a broker says to a multiplexer, and the end of its requests.

use protocol::mdp::client::Part;
use protocol::{Frames, Instant};

use super::{Correlation, Link, Multiplex, Output};
use crate::event::Event;
use crate::failed::Failure;
use crate::flight::{Flight, Judgement};
use crate::number::Number;
use crate::patience::Silence;
use crate::speech::{self, Answer, Said, Tag, Tongue};

impl Multiplex {
    pub(super) fn on_message(&mut self, now: Instant, message: Frames) {
        if self.link != Link::Up {
            return;
        }
        let said = match self.talk.tongue().decode(message) {
            Ok(said) => said,
            Err(fault) => return self.event(Event::Fault(fault)),
        };
        let is_first = self.talk.is_asking();
        if is_first {
            self.event(Event::Native);
        }
        self.talk.on_heard();
        self.backoff.reset();
        if is_first || matches!(said, Said::Heartbeat) {
            self.send_backlog(now);
        }
        match said {
            Said::Answer(answer) => self.on_answer(now, answer),
            Said::Drain(drain) => self.on_drain(now, drain),
            Said::Heartbeat => {}
        }
    }

    fn on_answer(&mut self, now: Instant, answer: Answer) {
        let found = match (&answer.tag, self.config.correlation) {
            (Tag::Envelope(_), Correlation::OneAtATime) => {
                self.in_flight.iter().next().map(|(number, flight)| (*number, flight.run))
            }
            (Tag::Id(id), _) if self.chosen.contains_key(id) => {
                let number = self.chosen.get(id).copied();
                number.and_then(|number| Some((number, self.in_flight.get(&number)?.run)))
            }
            (tag, _) => tag.read(self.config.salt),
        };
        let Some((number, run, flight)) =
            found.and_then(|(number, run)| Some((number, run, self.in_flight.get_mut(&number)?)))
        else {
            return self.on_unexpected(&answer);
        };
        if answer.service.as_ref().is_some_and(|service| *service != flight.asked.service) {
            return self.event(Event::WrongService);
        }
        match flight.judge(run, &answer) {
            Judgement::Take => self.take(now, number, run, answer),
            Judgement::Stale => self.on_unexpected(&answer),
            Judgement::Hole => self.on_hole(now, number),
        }
    }

    fn take(&mut self, now: Instant, number: Number, run: u8, answer: Answer) {
        match (answer.part, answer.failed) {
            (Part::Partial, _) => {
                if let Some(flight) = self.in_flight.get_mut(&number) {
                    flight.take(run);
                }
                self.rearm(now, number);
                self.outputs.push_back(Output::Part(number, answer.body));
            }
            (Part::Final, None) => {
                self.remove(number);
                self.outputs.push_back(Output::Done(number, Ok(answer.body)));
                self.admit(now);
            }
            (Part::Final, Some(failed)) => {
                let Some(Flight { attempt, started, .. }) = self.remove(number) else { return };
                let failure = Failure::Status { failed, attempts: u32::from(attempt), elapsed: now - started };
                self.outputs.push_back(Output::Done(number, Err(failure)));
                self.admit(now);
            }
        }
    }

    fn on_unexpected(&mut self, answer: &Answer) {
        if !answer.is_cancelled() {
            self.event(Event::Duplicate);
        }
    }

    /// The answer can never be whole: it is cancelled, and asked for anew if it may run twice and an attempt is left.
    fn on_hole(&mut self, now: Instant, number: Number) {
        self.event(Event::Hole);
        let Some(flight) = self.in_flight.get_mut(&number) else { return };
        if flight.runs_once() || flight.asked.id.is_some() || flight.is_over(now) {
            self.cancel(number);
            self.end(number, Failure::Broken);
            return self.admit(now);
        }
        flight.attempt = flight.attempt.saturating_add(1);
        self.ask_anew(number);
        self.rearm(now, number);
        self.transmit(now, number);
    }

    /// Another run of a request: what comes of the one before is nobody's any more.
    pub(super) fn ask_anew(&mut self, number: Number) {
        self.cancel(number);
        let Some(flight) = self.in_flight.get_mut(&number) else { return };
        if flight.void_parts() {
            self.outputs.push_back(Output::Restarted(number));
        }
        if !flight.begin_run() {
            self.end(number, Failure::Broken);
        }
    }

    /// Tells a broker that understands it that nobody waits for the run that is under way.
    pub(super) fn cancel(&mut self, number: Number) {
        if self.link == Link::Up && self.talk.tongue() == Tongue::Native {
            let id = self.in_flight.get(&number).map(|flight| flight.id(flight.run, number, self.config.salt));
            self.outputs.extend(id.map(speech::cancel).map(Output::Send));
        }
    }

    pub(super) fn give_up(&mut self, now: Instant, number: Number, refused: bool) {
        let is_asking = self.talk.is_asking();
        let Some(flight) = self.remove(number) else { return };
        let Flight { attempt, started, connected, .. } = flight;
        let mute = connected && (flight.mute || is_asking);
        let silence = Silence { attempts: u32::from(attempt), elapsed: now - started, connected, refused, mute };
        self.outputs.push_back(Output::Done(number, Err(Failure::Silence(silence))));
    }

    pub(super) fn end(&mut self, number: Number, failure: Failure) {
        if self.remove(number).is_some() {
            self.outputs.push_back(Output::Done(number, Err(failure)));
        }
    }
}
