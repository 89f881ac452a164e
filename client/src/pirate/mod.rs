//! The Lazy Pirate as a machine: one request at a time, tried again on a new socket when nobody answers (the Guide,
//! chapter 4; RFC 7, "client"), in MDP 0.3 and the older dialects.
//!
//! ```text
//!   Request ──► Open ──Connected──► Send ──► PARTIAL* FINAL ──► Done(answer)
//!                 ▲                   │
//!                 └── Close ◄── timeout, attempts left            none left: Close, Done(silence)
//! ```
//!
//! A new socket for each retry makes a request number needless in 0.1 and 0.2: whatever still comes for an earlier
//! attempt comes to a socket that is closed. For the same reason a request that was given up takes its socket with it.
//! In 0.3 answers have ids, and a request that was given up is cancelled.
//!
//! A connection that is lost while a request waits is replaced after a short pause; that is still the same attempt.
//!
//! A broker that does not say a word of 0.3 on a connection that stands, for 2.5 s or for a whole attempt if that is
//! shorter, is spoken to in the older dialect from there on until its connection is lost.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use protocol::mdp::client::Part;
use protocol::mdp::v03::Terms;
use protocol::mutants::{self, Mutant};
use protocol::{Frames, Instant, Machine, RequestId, ServiceName};

use crate::event::Event;
use crate::failed::Failure;
use crate::flight::{Asked, Flight, Judgement, Voice};
use crate::number::Number;
use crate::patience::{Patience, Silence};
use crate::reply::never_empty;
use crate::speech::{self, Answer, Said, Speech, Tag};
use crate::talk::{Talk, Verdict};

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
        /// What else is asked; see the [multiplexer's](crate::multiplex::Input::Submit).
        terms: Terms,
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
    /// Connect a new socket, and announce this routing identity; none if it is empty.
    Open(Bytes),
    /// Drop the socket and what it still holds.
    Close,
    /// Send to the broker.
    Send(Frames),
    /// A part of the reply; more follow.
    Part(Frames),
    /// The parts so far are void.
    Restarted,
    /// The request is over: the last part of the reply, or why there is none.
    Done(Result<Frames, Failure>),
    /// Tell whoever watches.
    Event(Event),
}

/// The machine. It opens a socket with its first request and keeps it for the next ones.
#[derive(Debug)]
pub struct Pirate {
    talk: Talk,
    voice: Voice,
    identity: Bytes,
    socket: Socket,
    /// The number of the last request.
    number: Number,
    call: Option<Flight>,
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

/// Between the loss of a connection and the next socket, so that a broker which hangs up at once is not stormed.
const PAUSE: Duration = Duration::from_millis(100);

impl Pirate {
    /// A pirate without a socket.
    pub fn new(speech: impl Into<Speech>) -> Self {
        Self {
            talk: Talk::new(speech.into()),
            voice: Voice { salt: 0, enveloped: false },
            identity: Bytes::new(),
            socket: Socket::None,
            number: Number(0),
            call: None,
            outputs: VecDeque::new(),
        }
    }

    /// By what a broker of 0.3 knows its requests: the first eight octets of their ids and a routing identity, both
    /// random and this client's alone.
    #[must_use]
    pub fn known_by(mut self, salt: u64, identity: Bytes) -> Self {
        (self.voice.salt, self.identity) = (salt, identity);
        self
    }

    /// The id of the next request, should it be one of MDP 0.3.
    pub fn next_id(&self) -> RequestId {
        Number(self.number.0 + 1).id(1, self.voice.salt)
    }

    fn on_request(&mut self, now: Instant, asked: Asked) {
        if let Some(given_up) = self.call.take() {
            self.leave(&given_up);
        }
        self.number = Number(self.number.0 + 1);
        let flight = Flight::new(now, asked);
        if self.socket == Socket::None {
            self.talk.on_lost();
        }
        if flight.runs_once() && !self.talk.is_native() {
            return self.outputs.push_back(Output::Done(Err(Failure::NotNative)));
        }
        self.call = Some(flight);
        match self.socket {
            Socket::None => self.open(),
            Socket::Connected => self.send(now),
            Socket::Pausing { .. } | Socket::Opening => {}
        }
    }

    /// Nobody waits for this request any more. Where its reply has no id, it must not be taken for the next one's.
    fn leave(&mut self, given_up: &Flight) {
        if self.talk.is_native() {
            if self.socket == Socket::Connected {
                let cancel = speech::cancel(self.number.id(given_up.run, self.voice.salt));
                self.outputs.push_back(Output::Send(cancel));
            }
        } else if !mutants::on(Mutant::KeepSocket) {
            self.close();
        }
    }

    fn on_connected(&mut self, now: Instant) {
        if self.socket == Socket::Opening {
            self.socket = Socket::Connected;
            self.outputs.extend(self.talk.on_connected(now).map(Output::Send));
            self.event(Event::Connected { resent: usize::from(self.call.as_ref().is_some_and(|call| call.connected)) });
            self.send(now);
        }
    }

    fn on_disconnected(&mut self, now: Instant) {
        if self.socket == Socket::Connected {
            self.lose(now);
        }
    }

    fn lose(&mut self, now: Instant) {
        self.close();
        self.socket = Socket::Pausing { until: now + PAUSE };
        self.move_on(false);
        self.talk.on_lost();
        self.event(Event::Lost { outstanding: usize::from(self.call.is_some()), retry_in: PAUSE });
    }

    fn on_message(&mut self, now: Instant, message: Frames) {
        if self.socket != Socket::Connected {
            return;
        }
        let said = match self.talk.tongue().decode(message) {
            Ok(said) => said,
            Err(fault) => return self.event(Event::Fault(fault)),
        };
        if self.talk.is_asking() {
            self.event(Event::Native);
        }
        self.talk.on_heard();
        match said {
            Said::Answer(answer) => self.on_answer(now, answer),
            Said::Drain(drain) => self.event(Event::Draining { grace: drain.grace, service: drain.service }),
            Said::Heartbeat => {}
        }
    }

    fn on_answer(&mut self, now: Instant, answer: Answer) {
        let run = match &answer.tag {
            Tag::Envelope(_) => self.call.as_ref().map(|call| call.run),
            tag => tag.read(self.voice.salt).and_then(|(number, run)| (number == self.number).then_some(run)),
        };
        let (Some(run), Some(call)) = (run, &mut self.call) else { return self.on_unexpected(&answer) };
        if answer.service.as_ref().is_some_and(|service| *service != call.asked.service) {
            return self.event(Event::WrongService);
        }
        match call.judge(run, &answer) {
            Judgement::Take => self.take(now, run, answer),
            Judgement::Stale => self.on_unexpected(&answer),
            Judgement::Hole => self.on_hole(now),
        }
    }

    fn on_unexpected(&mut self, answer: &Answer) {
        if !answer.is_cancelled() {
            self.event(Event::Duplicate);
        }
    }

    fn take(&mut self, now: Instant, run: u8, answer: Answer) {
        match (answer.part, answer.failed) {
            (Part::Partial, _) => {
                if let Some(call) = &mut self.call {
                    call.take(run);
                    call.deadline = call.next_deadline(now);
                }
                self.outputs.push_back(Output::Part(answer.body));
            }
            (Part::Final, None) => {
                self.call = None;
                self.outputs.push_back(Output::Done(Ok(answer.body)));
            }
            (Part::Final, Some(failed)) => {
                let Some(Flight { attempt, started, .. }) = self.call.take() else { return };
                let failure = Failure::Status { failed, attempts: u32::from(attempt), elapsed: now - started };
                self.outputs.push_back(Output::Done(Err(failure)));
            }
        }
    }

    /// The answer can never be whole: another attempt, as after a timeout.
    fn on_hole(&mut self, now: Instant) {
        self.event(Event::Hole);
        match self.call.take() {
            Some(call) if call.runs_once() || call.is_over(now) => {
                self.leave(&call);
                self.outputs.push_back(Output::Done(Err(Failure::Broken)));
            }
            call => {
                self.call = call;
                self.close();
                self.attempt_again(now, true);
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
        let Some(Flight { attempt, started, connected, mute, .. }) = self.call.take() else { return };
        let silence = Silence { attempts: u32::from(attempt), elapsed: now - started, connected, refused, mute };
        self.outputs.push_back(Output::Done(Err(Failure::Silence(silence))));
    }

    fn on_timeout(&mut self, now: Instant) {
        let Some(call) = &mut self.call else { return };
        let is_mute = self.talk.is_asking();
        call.mute |= is_mute;
        if call.is_over(now) {
            return self.end(now, is_mute);
        }
        let (asks_anew, runs_once) = (call.asked.patience.asks_anew(), call.runs_once());
        self.close();
        if is_mute && !runs_once {
            self.fall_back();
        }
        self.attempt_again(now, asks_anew);
    }

    /// Patience is over. A socket is kept where a late answer cannot be taken for another one.
    fn end(&mut self, now: Instant, is_mute: bool) {
        if self.talk.is_native() && self.socket == Socket::Connected && !is_mute {
            let run = self.call.as_ref().map(|call| call.run);
            let cancel = run.map(|run| speech::cancel(self.number.id(run, self.voice.salt)));
            self.outputs.extend(cancel.map(Output::Send));
        } else {
            self.close();
        }
        self.give_up(now, false);
    }

    /// The next attempt, on a new socket.
    fn attempt_again(&mut self, now: Instant, asks_anew: bool) {
        self.move_on(asks_anew);
        if let Some(call) = &mut self.call {
            call.attempt = call.attempt.saturating_add(1);
            let event = Event::Retried { number: self.number, attempt: call.attempt };
            self.outputs.push_back(Output::Event(event));
            call.deadline = call.next_deadline(now);
        }
        self.open();
    }

    fn on_verdict(&mut self, now: Instant, verdict: Verdict) {
        match verdict {
            Verdict::Ask => self.outputs.push_back(Output::Send(speech::heartbeat())),
            Verdict::FallBack(dialect) => {
                self.event(Event::FellBack(dialect));
                self.close();
                self.begin_anew(now);
            }
            Verdict::Mute => {
                self.event(Event::Mute);
                if let Some(call) = &mut self.call {
                    call.mute = true;
                }
                self.lose(now);
            }
            Verdict::Lost => {
                self.event(Event::Silent);
                self.lose(now);
            }
        }
    }

    /// What was sent has not run: it is sent again in the older dialect, with the whole of its attempt's time.
    fn begin_anew(&mut self, now: Instant) {
        let Some(call) = &mut self.call else { return };
        if call.runs_once() {
            self.call = None;
            return self.outputs.push_back(Output::Done(Err(Failure::NotNative)));
        }
        call.deadline = call.next_deadline(now);
        self.open();
    }

    fn fall_back(&mut self) {
        if let Some(dialect) = self.talk.fall_back() {
            self.event(Event::FellBack(dialect));
        }
    }

    fn send(&mut self, now: Instant) {
        if let Some(call) = &mut self.call {
            let messages = call.messages(self.voice, self.talk.tongue(), self.number, now);
            self.outputs.extend(messages.into_iter().flatten().map(Output::Send));
        }
    }

    /// What comes from now on comes to another socket.
    fn move_on(&mut self, asks_anew: bool) {
        let tongue = self.talk.tongue();
        if self.call.as_mut().is_some_and(|call| call.on_lost(tongue, asks_anew)) {
            self.outputs.push_back(Output::Restarted);
        }
    }

    fn open(&mut self) {
        self.socket = Socket::Opening;
        let identity = if self.talk.is_native() { self.identity.clone() } else { Bytes::new() };
        self.outputs.push_back(Output::Open(identity));
    }

    fn close(&mut self) {
        if matches!(self.socket, Socket::Opening | Socket::Connected) {
            self.outputs.push_back(Output::Close);
        }
        self.talk.on_left();
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
            Input::Request { service, body, patience, terms } => {
                self.on_request(now, Asked { service, body: never_empty(body), patience, terms, id: None });
            }
            Input::Connected => self.on_connected(now),
            Input::Disconnected => self.on_disconnected(now),
            Input::Refused { is_lasting } => self.on_refused(now, is_lasting),
            Input::Message(message) => self.on_message(now, message),
        }
        self.talk.attend(now, self.call.is_some());
    }

    /// A pirate without a request judges nobody: it may have been left alone for long, with answers unread.
    fn tick(&mut self, now: Instant) {
        if let Some(verdict) = self.call.as_ref().and_then(|_| self.talk.tick(now)) {
            self.on_verdict(now, verdict);
        }
        if self.call.as_ref().is_some_and(|call| call.deadline <= now) {
            self.on_timeout(now);
        }
        if matches!(self.socket, Socket::Pausing { until } if until <= now) {
            self.open();
        }
        self.talk.attend(now, self.call.is_some());
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
        let silence = self.call.as_ref().and_then(|_| self.talk.deadline());
        [pause, timeout, silence].into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests;
