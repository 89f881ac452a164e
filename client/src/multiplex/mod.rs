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
//! In MDP 0.3 answers have the request's id. In 0.1 and 0.2 there are two ways to tell replies apart ([`Correlation`]):
//! a number in the envelope, which needs a broker that returns the envelope (RFC 7 brokers that serve a REQ with
//! REQ_CORRELATE do, and ours), or one request at a time, with a new socket after each one that was given up.
//!
//! This file has what callers do; `link` what happens to the connection, `answers` what the broker says. Where the
//! dialects differ is [`speech`](crate::speech).

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use protocol::mdp::v03::{Idempotency, Terms};
use protocol::mutants::{self, Mutant};
use protocol::{Backoff, Frames, Instant, Machine, RequestId, ServiceName};

use crate::event::Event;
use crate::flight::{Asked, Flight};
use crate::number::Number;
use crate::patience::Patience;
use crate::reply::never_empty;
use crate::speech::Tongue;
use crate::talk::Talk;

mod answers;
mod config;
mod link;
mod state;

pub use crate::failed::Failure;
pub use config::{Config, Correlation};
use link::Move;
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
        /// What else is asked: a deadline, counted from when the request begins, a priority, how often it may run, what
        /// goes to the worker unread. In 0.1 and 0.2 the deadline is kept here, and the rest cannot be said.
        terms: Terms,
        /// The id that it is to have in 0.3, if the caller cares; no other request under way may have it.
        id: Option<RequestId>,
    },
    /// The caller does not want it any more: a broker of 0.3 is told. Nothing is said about it to the caller again.
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
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Connect a new socket.
    Open(Dial),
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

/// What a socket is to connect to, and as whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dial {
    /// The broker that one which left has named; `None` for the client's own.
    pub endpoint: Option<String>,
    /// The routing identity to announce; empty for none.
    pub identity: Bytes,
}

/// The machine. Its first output is [`Output::Open`].
#[derive(Debug)]
pub struct Multiplex {
    config: Config,
    link: Link,
    talk: Talk,
    in_flight: BTreeMap<Number, Flight>,
    /// Requests in flight that wait to be sent on this connection of 0.3, in order.
    backlog: BTreeSet<Number>,
    /// The deadline of each request in flight; one entry each.
    deadlines: BTreeSet<(Instant, Number)>,
    waiting: BTreeMap<Number, Asked>,
    /// The ids that callers chose, of requests that wait or are in flight.
    chosen: BTreeMap<RequestId, Number>,
    /// Requests in flight that timed out, and that no other one may begin beside.
    blocking: BTreeSet<Number>,
    /// The broker is about to leave.
    moving: Option<Move>,
    /// Where we were sent; `None` at home.
    endpoint: Option<String>,
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
        let mut multiplex = Self {
            talk: Talk::new(config.speech),
            config,
            link: Link::Opening,
            in_flight: BTreeMap::new(),
            backlog: BTreeSet::new(),
            deadlines: BTreeSet::new(),
            waiting: BTreeMap::new(),
            chosen: BTreeMap::new(),
            blocking: BTreeSet::new(),
            moving: None,
            endpoint: None,
            backoff,
            outputs: VecDeque::new(),
        };
        multiplex.outputs.push_back(multiplex.dial());
        multiplex
    }

    fn on_submit(&mut self, now: Instant, number: Number, mut asked: Asked) {
        let is_full = self.waiting.len() >= self.config.waiting_max && !self.has_room();
        if is_full && !mutants::on(Mutant::IgnoreFullLine) {
            let max = self.config.slots().saturating_add(self.config.waiting_max);
            return self.outputs.push_back(Output::Done(number, Err(Failure::Full { max })));
        }
        if let Some(id) = asked.id {
            if self.chosen.contains_key(&id) {
                return self.outputs.push_back(Output::Done(number, Err(Failure::IdInUse)));
            }
            self.chosen.insert(id, number);
        }
        asked.body = never_empty(asked.body);
        self.waiting.insert(number, asked);
        self.admit(now);
    }

    fn on_forget(&mut self, now: Instant, number: Number) {
        if mutants::on(Mutant::ForgetIsIgnored) {
            return;
        }
        if let Some(asked) = self.waiting.remove(&number) {
            return self.release(asked.id);
        }
        self.cancel(number);
        if self.remove(number).is_some() {
            self.abandon_socket_unless_numbered();
            self.admit(now);
        }
    }

    fn on_timeout(&mut self, now: Instant, number: Number) {
        let Some(flight) = self.in_flight.get_mut(&number) else { return };
        if flight.is_over(now) {
            self.cancel(number);
            self.give_up(now, number, false);
            self.abandon_socket_unless_numbered();
            return self.admit(now);
        }
        flight.attempt = flight.attempt.saturating_add(1);
        let (attempt, patience) = (flight.attempt, flight.asked.patience);
        self.event(Event::Retried { number, attempt });
        if patience.blocks() {
            self.blocking.insert(number);
        }
        // In 0.3 a retry is the same request: a broker that has it goes on with it, and parts go on with their numbers.
        if !self.talk.is_native() || patience.asks_anew() {
            self.ask_anew(number);
        }
        self.rearm(now, number);
        self.abandon_socket_unless_numbered();
        self.transmit(now, number);
    }

    /// Whether a request may begin.
    fn has_room(&self) -> bool {
        self.in_flight.len() < self.config.slots() && self.blocking.is_empty() && self.moving.is_none()
    }

    /// Moves what waits into free slots.
    fn admit(&mut self, now: Instant) {
        while self.has_room() {
            let Some((number, asked)) = self.waiting.pop_first() else { return };
            if asked.terms.idempotency == Idempotency::Once && self.talk.tongue() != Tongue::Native {
                self.release(asked.id);
                self.outputs.push_back(Output::Done(number, Err(Failure::NotNative)));
                continue;
            }
            let flight = Flight::new(now, asked);
            self.deadlines.insert((flight.deadline, number));
            self.in_flight.insert(number, flight);
            self.transmit(now, number);
        }
    }

    /// Sends a request, if it need not wait for others, or for a word of 0.3.
    fn transmit(&mut self, now: Instant, number: Number) {
        let (Link::Up, Some(flight)) = (&self.link, self.in_flight.get_mut(&number)) else { return };
        if self.talk.is_asking() || !self.backlog.is_empty() {
            flight.connected = true;
            self.backlog.insert(number);
        } else {
            self.say(now, number);
        }
    }

    fn say(&mut self, now: Instant, number: Number) {
        if let Some(flight) = self.in_flight.get_mut(&number) {
            let messages = flight.messages(self.config.voice(), self.talk.tongue(), number, now);
            self.outputs.extend(messages.into_iter().flatten().map(Output::Send));
        }
    }

    fn remove(&mut self, number: Number) -> Option<Flight> {
        let flight = self.in_flight.remove(&number)?;
        self.deadlines.remove(&(flight.deadline, number));
        self.blocking.remove(&number);
        self.backlog.remove(&number);
        self.release(flight.asked.id);
        Some(flight)
    }

    /// Another request may have this id.
    fn release(&mut self, id: Option<RequestId>) {
        if let Some(id) = id {
            self.chosen.remove(&id);
        }
    }

    /// The attempt was made, or heard of, just now: its silence counts from here.
    fn rearm(&mut self, now: Instant, number: Number) {
        if let Some(flight) = self.in_flight.get_mut(&number) {
            self.deadlines.remove(&(flight.deadline, number));
            flight.deadline = flight.next_deadline(now);
            self.deadlines.insert((flight.deadline, number));
        }
    }

    fn on_shutdown(&mut self) {
        if matches!(self.link, Link::Opening | Link::Up) {
            self.outputs.push_back(Output::Close);
        }
        self.link = Link::Down;
        self.in_flight.clear();
        self.backlog.clear();
        self.deadlines.clear();
        self.waiting.clear();
        self.chosen.clear();
        self.blocking.clear();
        self.moving = None;
        self.talk.on_left();
        self.outputs.push_back(Output::Finished);
    }

    /// What follows when all else is done.
    fn settle(&mut self, now: Instant) {
        if self.moving.is_some() {
            self.depart(now);
        }
        self.talk.attend(now, !self.in_flight.is_empty());
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
            Input::Submit { number, service, body, patience, terms, id } => {
                self.on_submit(now, number, Asked { service, body, patience, terms, id });
            }
            Input::Forget(number) => self.on_forget(now, number),
            Input::Connected => self.on_connected(now),
            Input::Disconnected => self.on_disconnected(now),
            Input::Refused { is_lasting } => self.on_refused(now, is_lasting),
            Input::Message(message) => self.on_message(now, message),
            Input::Shutdown => return self.on_shutdown(),
        }
        self.settle(now);
    }

    fn tick(&mut self, now: Instant) {
        if matches!(self.link, Link::Waiting { until } if until <= now) {
            self.link = Link::Opening;
            self.outputs.push_back(self.dial());
        }
        if let Some(verdict) = self.talk.tick(now) {
            self.on_verdict(now, verdict);
        }
        while let Some((_, number)) = self.deadlines.first().filter(|(deadline, _)| *deadline <= now).copied() {
            self.on_timeout(now, number);
        }
        self.settle(now);
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
        [reopen, timeout, self.talk.deadline(), self.departure()].into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests;
