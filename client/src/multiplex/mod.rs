//! Many requests under way on one connection, as a machine.
//!
//! ```text
//!   Submit ──► waiting (bounded) ──slot──► in flight (bounded) ──FINAL──► Done
//!                                            │        ▲
//!                                  timeout ──┘        └── attempt + 1, or Done(silence)
//!   connection lost ──► delay ──► Open ──Connected──► everything in flight is sent again
//! ```
//!
//! A request has exactly one visible answer: the first run that answers is taken, all else is dropped and reported as
//! [`Event::Duplicate`]. It may have been *executed* more than once; workers are idempotent (RFC 7).
//!
//! Two ways to tell replies apart ([`Correlation`]): a number in the envelope, which needs a broker that returns the
//! envelope (RFC 7 brokers that serve a REQ with REQ_CORRELATE do, and ours), or one request at a time, with a new
//! socket after each one that was given up.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use protocol::mdp::client::{Part, Reply, decode_reply};
use protocol::mutants::{self, Mutant};
use protocol::{Backoff, Frames, Instant, Machine, ServiceName};

use crate::event::Event;
use crate::number::Number;
use crate::patience::{Patience, Silence};
use crate::reply::never_empty;

mod config;
mod flight;
mod state;

pub use config::{Config, Correlation};
use flight::Flight;
pub use state::State;

/// What may happen to a multiplexer.
#[derive(Debug)]
pub enum Input {
    /// A caller asks.
    Submit {
        /// The caller's number; it grows from one request to the next.
        number: Number,
        /// Who shall answer.
        service: ServiceName,
        /// Nothing counts as one empty frame.
        body: Frames,
        /// How long and how often.
        patience: Patience,
    },
    /// The caller does not want it any more. Nothing is said about it again.
    Forget(Number),
    /// The socket has a connection.
    Connected,
    /// The socket lost its connection.
    Disconnected,
    /// The socket was refused a connection, by the broker or by us.
    Refused {
        /// Whether the next attempt meets the same, unless somebody changes something. A broker that merely hung up
        /// may be starting or ending: it is believed when another attempt of a request meets it again.
        is_lasting: bool,
    },
    /// The broker sent a message.
    Message(Frames),
    /// There are no callers any more.
    Shutdown,
}

/// What a multiplexer wants done.
#[derive(Debug, PartialEq)]
pub enum Output {
    /// Connect a new socket.
    Open,
    /// Drop the socket and what it still holds.
    Close,
    /// Send to the broker.
    Send(Frames),
    /// A part of a reply; more follow.
    Part(Number, Frames),
    /// The parts so far are void.
    Restarted(Number),
    /// A request is over: the last part of its reply, or why there is none.
    Done(Number, Result<Frames, Failure>),
    /// Tell whoever watches.
    Event(Event),
    /// Nothing follows.
    Finished,
}

/// Why a request ended without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Nobody answered.
    Silence(Silence),
    /// `waiting_max` requests wait already.
    Full,
}

/// The machine. Its first output is [`Output::Open`].
#[derive(Debug)]
pub struct Multiplex {
    config: Config,
    link: Link,
    in_flight: BTreeMap<Number, Flight>,
    /// The deadline of each request in flight; one entry each.
    deadlines: BTreeSet<(Instant, Number)>,
    waiting: BTreeMap<Number, (ServiceName, Frames, Patience)>,
    backoff: Backoff,
    outputs: VecDeque<Output>,
}

/// Where the connection stands.
#[derive(Debug, PartialEq)]
enum Link {
    Waiting { until: Instant },
    Opening,
    Up,
    Down,
}

impl Multiplex {
    /// A multiplexer that is about to open its socket. The caller has [checked](Config::check) the configuration.
    pub fn new(config: Config) -> Self {
        let backoff = Backoff::new(config.reconnect_first, config.reconnect_max, config.seed);
        Self {
            config,
            link: Link::Opening,
            in_flight: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            waiting: BTreeMap::new(),
            backoff,
            outputs: VecDeque::from([Output::Open]),
        }
    }

    fn on_submit(&mut self, now: Instant, number: Number, service: ServiceName, body: Frames, patience: Patience) {
        let is_full = self.waiting.len() >= self.config.waiting_max && self.in_flight.len() >= self.config.slots();
        if is_full && !mutants::on(Mutant::IgnoreFullLine) {
            return self.outputs.push_back(Output::Done(number, Err(Failure::Full)));
        }
        self.waiting.insert(number, (service, never_empty(body), patience));
        self.admit(now);
    }

    fn on_forget(&mut self, now: Instant, number: Number) {
        if mutants::on(Mutant::ForgetIsIgnored) {
            return;
        }
        if self.waiting.remove(&number).is_none() && self.remove(number).is_some() {
            self.abandon_socket_unless_numbered();
            self.admit(now);
        }
    }

    fn on_connected(&mut self) {
        if self.link != Link::Opening {
            return;
        }
        self.link = Link::Up;
        let resent = self.in_flight.values().filter(|flight| flight.connected).count();
        self.event(Event::Connected { resent });
        if mutants::on(Mutant::ForgetInFlight) {
            return;
        }
        for (number, flight) in &mut self.in_flight {
            self.outputs.push_back(Output::Send(flight.message(&self.config, *number)));
        }
    }

    fn on_disconnected(&mut self, now: Instant) {
        if self.link != Link::Up {
            return;
        }
        let retry_in = self.backoff.next_delay();
        self.link = Link::Waiting { until: now + retry_in };
        self.outputs.push_back(Output::Close);
        for (number, flight) in &mut self.in_flight {
            if flight.void_parts() {
                self.outputs.push_back(Output::Restarted(*number));
            }
            // Nothing of the lost connection can come any more; each attempt is made anew.
            flight.holed.clear();
        }
        self.event(Event::Lost { outstanding: self.in_flight.len(), retry_in });
    }

    /// Ends the requests that more attempts would not help, and tries again later for those to come.
    fn on_refused(&mut self, now: Instant, is_lasting: bool) {
        if self.link != Link::Opening {
            return;
        }
        self.link = Link::Waiting { until: now + self.backoff.next_delay() };
        self.outputs.push_back(Output::Close);
        let believed = |flight: &Flight| is_lasting || flight.attempt > 1;
        let ended: Vec<Number> =
            self.in_flight.iter().filter(|(_, flight)| believed(flight)).map(|(number, _)| *number).collect();
        for number in ended {
            self.give_up(now, number, true);
        }
        self.admit(now);
    }

    fn give_up(&mut self, now: Instant, number: Number, refused: bool) {
        let Some(flight) = self.remove(number) else { return };
        let Flight { attempt, started, connected, .. } = flight;
        let silence = Silence { attempts: u32::from(attempt), elapsed: now - started, connected, refused };
        self.outputs.push_back(Output::Done(number, Err(Failure::Silence(silence))));
    }

    fn on_message(&mut self, now: Instant, message: Frames) {
        if self.link != Link::Up {
            return;
        }
        match decode_reply(self.config.dialect, message) {
            Ok(reply) => self.on_reply(now, reply),
            Err(fault) => self.event(Event::Fault(fault)),
        }
    }

    fn on_reply(&mut self, now: Instant, reply: Reply) {
        self.backoff.reset();
        let found = match self.config.correlation {
            Correlation::Envelope => Number::read(&reply.envelope),
            Correlation::OneAtATime => self.in_flight.iter().next().map(|(number, flight)| (*number, flight.attempt)),
        };
        let Some((number, attempt, flight)) =
            found.and_then(|(number, attempt)| Some((number, attempt, self.in_flight.get_mut(&number)?)))
        else {
            return self.event(Event::Duplicate);
        };
        if reply.service.is_some_and(|service| service != flight.service) {
            return self.event(Event::WrongService);
        }
        if !flight.takes(attempt) {
            return self.event(Event::Duplicate);
        }
        match reply.part {
            Part::Partial => {
                flight.taken = Some(attempt);
                let deadline = now + flight.patience.timeout;
                self.rearm(number, deadline);
                self.outputs.push_back(Output::Part(number, reply.body));
            }
            Part::Final => {
                self.remove(number);
                self.outputs.push_back(Output::Done(number, Ok(reply.body)));
                self.admit(now);
            }
        }
    }

    fn on_timeout(&mut self, now: Instant, number: Number) {
        let Some(flight) = self.in_flight.get_mut(&number) else { return };
        if flight.patience.is_last(u32::from(flight.attempt)) {
            self.give_up(now, number, false);
            self.abandon_socket_unless_numbered();
            return self.admit(now);
        }
        flight.attempt = flight.attempt.saturating_add(1);
        if flight.void_parts() {
            self.outputs.push_back(Output::Restarted(number));
        }
        let deadline = now + flight.patience.timeout;
        self.rearm(number, deadline);
        self.abandon_socket_unless_numbered();
        self.transmit(number);
    }

    /// Moves what waits into free slots.
    fn admit(&mut self, now: Instant) {
        while self.in_flight.len() < self.config.slots() {
            let Some((number, (service, body, patience))) = self.waiting.pop_first() else { return };
            let deadline = now + patience.timeout;
            let flight = Flight {
                service,
                body,
                patience,
                attempt: 1,
                started: now,
                deadline,
                connected: false,
                taken: None,
                holed: Vec::new(),
            };
            self.in_flight.insert(number, flight);
            self.deadlines.insert((deadline, number));
            self.transmit(number);
        }
    }

    fn transmit(&mut self, number: Number) {
        if let (Link::Up, Some(flight)) = (&self.link, self.in_flight.get_mut(&number)) {
            self.outputs.push_back(Output::Send(flight.message(&self.config, number)));
        }
    }

    fn remove(&mut self, number: Number) -> Option<Flight> {
        let flight = self.in_flight.remove(&number)?;
        self.deadlines.remove(&(flight.deadline, number));
        Some(flight)
    }

    fn rearm(&mut self, number: Number, deadline: Instant) {
        if let Some(flight) = self.in_flight.get_mut(&number) {
            self.deadlines.remove(&(flight.deadline, number));
            flight.deadline = deadline;
            self.deadlines.insert((deadline, number));
        }
    }

    /// Without numbers a late reply could be taken for the next one's: it must find a closed socket.
    fn abandon_socket_unless_numbered(&mut self) {
        let open = matches!(self.link, Link::Opening | Link::Up);
        if self.config.correlation == Correlation::OneAtATime && open && !mutants::on(Mutant::KeepSocket) {
            self.link = Link::Opening;
            self.outputs.extend([Output::Close, Output::Open]);
        }
    }

    fn on_shutdown(&mut self) {
        if matches!(self.link, Link::Opening | Link::Up) {
            self.outputs.push_back(Output::Close);
        }
        self.link = Link::Down;
        self.in_flight.clear();
        self.deadlines.clear();
        self.waiting.clear();
        self.outputs.push_back(Output::Finished);
    }

    fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }
}

impl Machine for Multiplex {
    type Input = Input;
    type Output = Output;

    fn handle(&mut self, now: Instant, input: Input) {
        if self.link == Link::Down {
            return;
        }
        match input {
            Input::Submit { number, service, body, patience } => self.on_submit(now, number, service, body, patience),
            Input::Forget(number) => self.on_forget(now, number),
            Input::Connected => self.on_connected(),
            Input::Disconnected => self.on_disconnected(now),
            Input::Refused { is_lasting } => self.on_refused(now, is_lasting),
            Input::Message(message) => self.on_message(now, message),
            Input::Shutdown => self.on_shutdown(),
        }
    }

    fn tick(&mut self, now: Instant) {
        if matches!(self.link, Link::Waiting { until } if until <= now) {
            self.link = Link::Opening;
            self.outputs.push_back(Output::Open);
        }
        while let Some((_, number)) = self.deadlines.first().filter(|(deadline, _)| *deadline <= now).copied() {
            self.on_timeout(now, number);
        }
    }

    fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn deadline(&self) -> Option<Instant> {
        let reopen = match self.link {
            Link::Waiting { until } => Some(until),
            Link::Opening | Link::Up | Link::Down => None,
        };
        let timeout = self.deadlines.first().map(|(deadline, _)| *deadline);
        reopen.into_iter().chain(timeout).min()
    }
}

#[cfg(test)]
mod tests;
