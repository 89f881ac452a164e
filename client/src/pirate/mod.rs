//! The Lazy Pirate as a machine: one request at a time, tried again on a new socket when nobody answers (the Guide,
//! chapter 4; RFC 7, "client").
//!
//! ```text
//!   Request ──► Open ──Connected──► Send ──► PARTIAL* FINAL ──► Done(answer)
//!                 ▲                   │
//!                 └── Close ◄── timeout, attempts left            none left: Close, Done(silence)
//! ```
//!
//! A new socket for each retry makes a request number needless: whatever still comes for an earlier attempt comes to a
//! socket that is closed. For the same reason a request that was given up takes its socket with it.
//!
//! A connection that is lost while a request waits is replaced after a short pause; that is still the same attempt.

use std::collections::VecDeque;
use std::time::Duration;

use protocol::mdp::Dialect;
use protocol::mdp::client::{Part, Request, decode_reply};
use protocol::mutants::{self, Mutant};
use protocol::{Frames, Instant, Machine, ServiceName};

use crate::event::Event;
use crate::patience::{Patience, Silence};
use crate::reply::never_empty;

mod state;

pub use state::State;

/// What may happen to a pirate.
#[derive(Debug)]
pub enum Input {
    /// The caller asks. A request that is still under way is given up.
    Request {
        /// Who shall answer.
        service: ServiceName,
        /// Nothing counts as one empty frame.
        body: Frames,
        /// How long and how often.
        patience: Patience,
    },
    /// The socket has a connection.
    Connected,
    /// The socket lost its connection.
    Disconnected,
    /// The socket was refused a connection, by the broker or by us.
    Refused {
        /// Whether the next attempt meets the same, unless somebody changes something. A broker that merely hung up
        /// may be starting or ending: it is believed when another attempt meets it again.
        is_lasting: bool,
    },
    /// The broker sent a message.
    Message(Frames),
}

/// What a pirate wants done.
#[derive(Debug, PartialEq)]
pub enum Output {
    /// Connect a new socket.
    Open,
    /// Drop the socket and what it still holds.
    Close,
    /// Send to the broker.
    Send(Frames),
    /// A part of the reply; more follow.
    Part(Frames),
    /// The parts so far are void.
    Restarted,
    /// The request is over: the last part of the reply, or what is known of the silence.
    Done(Result<Frames, Silence>),
    /// Tell whoever watches.
    Event(Event),
}

/// The machine. It opens a socket with its first request and keeps it for the next ones.
#[derive(Debug)]
pub struct Pirate {
    dialect: Dialect,
    socket: Socket,
    call: Option<Call>,
    outputs: VecDeque<Output>,
}

/// Where the socket stands.
#[derive(Debug, PartialEq)]
enum Socket {
    None,
    /// None before this instant.
    Pausing {
        until: Instant,
    },
    /// It tries by itself.
    Opening,
    Connected,
}

/// The request under way.
#[derive(Debug)]
struct Call {
    service: ServiceName,
    message: Frames,
    patience: Patience,
    attempt: u32,
    started: Instant,
    deadline: Instant,
    /// Whether it has ever been sent.
    connected: bool,
    /// Whether the caller holds parts of a reply.
    has_parts: bool,
}

/// Between the loss of a connection and the next socket, so that a broker which hangs up at once is not stormed.
const PAUSE: Duration = Duration::from_millis(100);

impl Pirate {
    /// A pirate without a socket.
    pub fn new(dialect: Dialect) -> Self {
        Self { dialect, socket: Socket::None, call: None, outputs: VecDeque::new() }
    }

    fn on_request(&mut self, now: Instant, service: ServiceName, body: Frames, patience: Patience) {
        if self.call.take().is_some() && !mutants::on(Mutant::KeepSocket) {
            // Its reply may still come, and must not be taken for an answer to this one.
            self.close();
        }
        let message = Request::new(self.dialect, Frames::new(), service.clone(), never_empty(body)).encode();
        self.call = Some(Call {
            service,
            message,
            patience,
            attempt: 1,
            started: now,
            deadline: now + patience.timeout,
            connected: false,
            has_parts: false,
        });
        match self.socket {
            Socket::None => self.open(),
            Socket::Connected => self.send(),
            Socket::Pausing { .. } | Socket::Opening => {}
        }
    }

    fn on_connected(&mut self) {
        if self.socket == Socket::Opening {
            self.socket = Socket::Connected;
            self.event(Event::Connected { resent: usize::from(self.call.as_ref().is_some_and(|call| call.connected)) });
            self.send();
        }
    }

    fn on_disconnected(&mut self, now: Instant) {
        if self.socket != Socket::Connected {
            return;
        }
        self.close();
        self.socket = Socket::Pausing { until: now + PAUSE };
        self.void_parts();
        self.event(Event::Lost { outstanding: usize::from(self.call.is_some()), retry_in: PAUSE });
    }

    fn on_message(&mut self, now: Instant, message: Frames) {
        if self.socket != Socket::Connected {
            return;
        }
        let reply = match decode_reply(self.dialect, message) {
            Ok(reply) => reply,
            Err(fault) => return self.event(Event::Fault(fault)),
        };
        let Some(call) = &mut self.call else { return self.event(Event::Duplicate) };
        if reply.service.is_some_and(|service| service != call.service) {
            return self.event(Event::WrongService);
        }
        match reply.part {
            Part::Partial => {
                call.has_parts = true;
                call.deadline = now + call.patience.timeout;
                self.outputs.push_back(Output::Part(reply.body));
            }
            Part::Final => {
                self.call = None;
                self.outputs.push_back(Output::Done(Ok(reply.body)));
            }
        }
    }

    /// More attempts would meet the same.
    fn on_refused(&mut self, now: Instant, is_lasting: bool) {
        let is_final = self.call.as_ref().is_some_and(|call| is_lasting || call.attempt > 1);
        if self.socket == Socket::Opening && is_final {
            self.close();
            self.give_up(now, true);
        }
    }

    fn give_up(&mut self, now: Instant, refused: bool) {
        let Some(Call { attempt: attempts, started, connected, .. }) = self.call.take() else { return };
        let silence = Silence { attempts, elapsed: now - started, connected, refused };
        self.outputs.push_back(Output::Done(Err(silence)));
    }

    fn on_timeout(&mut self, now: Instant) {
        self.close();
        let Some(call) = &mut self.call else { return };
        if call.patience.is_last(call.attempt) {
            return self.give_up(now, false);
        }
        call.attempt += 1;
        call.deadline = now + call.patience.timeout;
        self.void_parts();
        self.open();
    }

    fn send(&mut self) {
        if let Some(call) = &mut self.call {
            call.connected = true;
            self.outputs.push_back(Output::Send(call.message.clone()));
        }
    }

    fn void_parts(&mut self) {
        if self.call.as_mut().is_some_and(|call| std::mem::take(&mut call.has_parts)) {
            self.outputs.push_back(Output::Restarted);
        }
    }

    fn open(&mut self) {
        self.socket = Socket::Opening;
        self.outputs.push_back(Output::Open);
    }

    fn close(&mut self) {
        if matches!(self.socket, Socket::Opening | Socket::Connected) {
            self.outputs.push_back(Output::Close);
        }
        self.socket = Socket::None;
    }

    fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }
}

impl Machine for Pirate {
    type Input = Input;
    type Output = Output;

    fn handle(&mut self, now: Instant, input: Input) {
        match input {
            Input::Request { service, body, patience } => self.on_request(now, service, body, patience),
            Input::Connected => self.on_connected(),
            Input::Disconnected => self.on_disconnected(now),
            Input::Refused { is_lasting } => self.on_refused(now, is_lasting),
            Input::Message(message) => self.on_message(now, message),
        }
    }

    fn tick(&mut self, now: Instant) {
        if self.call.as_ref().is_some_and(|call| call.deadline <= now) {
            self.on_timeout(now);
        }
        if matches!(self.socket, Socket::Pausing { until } if until <= now) {
            self.open();
        }
    }

    fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn deadline(&self) -> Option<Instant> {
        let pause = match self.socket {
            Socket::Pausing { until } => Some(until),
            Socket::None | Socket::Opening | Socket::Connected => None,
        };
        let timeout = self.call.as_ref().map(|call| call.deadline);
        pause.into_iter().chain(timeout).min()
    }
}

#[cfg(test)]
mod tests;
