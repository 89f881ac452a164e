//! One end of a connection: shakes hands, talks, and ends as the product's connection would.

use std::collections::VecDeque;

use protocol::{Frames, Instant};
use zmtp::{Command, Decoder, Fault, Outbox, Sink};

use crate::party::Greeter;
use crate::pipe::Pipe;
use crate::plan::Limits;
use crate::wire::{self, Ear, Mouth};

/// The longest rest that may wait for what follows: a small frame and a command, not quite there, with their heads.
const REST_BYTES_MAX: usize = 4096 + 8192 + 100;
/// What a decoder may set aside at once for a frame of which little has come.
const STEP_BYTES: usize = 64 << 10;

/// One end.
pub(crate) struct Peer {
    pub(crate) state: State,
    limits: Limits,
    burst: usize,
    /// Octets one frame has on the wire beyond its head and its body.
    overhead: usize,
    /// Octets of the handshake, and a refusal.
    output: Vec<u8>,
    /// What it has to say and has not begun.
    pub(crate) waiting: VecDeque<Frames>,
    /// What it has begun to say.
    pub(crate) said: Vec<Said>,
    /// How many of these are in the batch that is being written.
    pub(crate) flying: usize,
    /// What of that batch must be said again on another connection, when this one is over.
    pub(crate) unsent: Outbox,
    /// Something that the other must not take, said at the end.
    pub(crate) oversize: Option<Frames>,
    /// Ends its direction when everything is said.
    pub(crate) half_closes: bool,
    pings_left: u32,
    pub(crate) heard: Heard,
    heard_bytes: usize,
    /// Octets that had come before the last piece.
    pub(crate) heard_before: usize,
    /// A promise that it broke while it listened.
    pub(crate) broken: Option<String>,
}

/// How far it is.
pub(crate) enum State {
    Shaking { greeter: Greeter, input: Vec<u8> },
    Talking { ear: Box<Ear>, mouth: Box<Mouth>, pings: bool },
    Over(End),
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Fault(Fault),
    /// The stream did, in good order or not.
    Closed,
}

/// A message on the wire.
pub(crate) struct Said {
    pub(crate) message: Frames,
    /// Where its last octet lies in the stream, one past it.
    pub(crate) end: usize,
}

/// What came out of the stream.
#[derive(Default)]
pub(crate) struct Heard {
    pub(crate) messages: Vec<Frames>,
    pub(crate) pongs: u32,
    pub(crate) pings_sent: u32,
    answers: Vec<u8>,
    /// Messages since the owner last took some.
    batch: usize,
    batch_max: usize,
    /// The largest message in frames and octets.
    pub(crate) largest: (usize, usize),
}

impl Sink for Heard {
    fn message(&mut self, frames: Frames) {
        let (count, octets) = self.largest;
        self.largest = (count.max(frames.len()), octets.max(frames.byte_count()));
        self.messages.push(frames);
        self.batch += 1;
    }

    fn command(&mut self, body: &[u8]) -> Result<(), Fault> {
        match Command::parse(body)? {
            Command::Ping { context, .. } => zmtp::put_pong(&mut self.answers, context),
            Command::Pong => self.pongs += 1,
            Command::Ready(_) | Command::Error(_) => return Err(Fault::Unexpected("command")),
            Command::Unknown => {}
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.batch >= self.batch_max
    }
}

impl Peer {
    pub(crate) fn new(
        greeter: Greeter,
        limits: Limits,
        burst: usize,
        overhead: usize,
        pings: u32,
        waiting: VecDeque<Frames>,
    ) -> Self {
        Self {
            state: State::Shaking { greeter, input: Vec::new() },
            limits,
            burst,
            overhead,
            output: Vec::new(),
            waiting,
            said: Vec::new(),
            flying: 0,
            unsent: Outbox::default(),
            oversize: None,
            half_closes: false,
            pings_left: pings,
            heard: Heard { batch_max: limits.batch_max, ..Heard::default() },
            heard_bytes: 0,
            heard_before: 0,
            broken: None,
        }
    }

    /// How it ended, if it did.
    pub(crate) fn end(&self) -> Option<&End> {
        match &self.state {
            State::Over(end) => Some(end),
            _ => None,
        }
    }

    /// Writes what can be written.
    pub(crate) fn speak(&mut self, now: Instant, pipe: &mut Pipe) {
        if let State::Shaking { greeter, .. } = &mut self.state {
            self.output.extend(greeter.take_output());
        }
        let written = pipe.write(now, &self.output);
        self.output.drain(..written);
        if !self.output.is_empty() {
            return;
        }
        match &mut self.state {
            State::Shaking { .. } => {}
            State::Over(_) => pipe.close(now),
            State::Talking { mouth, pings, .. } => {
                let pings = *pings;
                loop {
                    mouth.speak(|octets| pipe.write(now, octets));
                    if !mouth.is_done() {
                        return;
                    }
                    self.flying = 0;
                    if !self.heard.answers.is_empty() {
                        mouth.control().append(&mut self.heard.answers);
                    } else if pings && self.pings_left > 0 && (self.said.len() % 3 == 2 || self.waiting.is_empty()) {
                        self.pings_left -= 1;
                        self.heard.pings_sent += 1;
                        zmtp::put_ping(mouth.control(), std::time::Duration::ZERO);
                    } else if !self.waiting.is_empty() {
                        let batch = self.waiting.drain(..self.burst.min(self.waiting.len()));
                        self.flying = batch.len();
                        mouth.give(load(&mut self.said, batch, pipe.accepted, self.overhead));
                    } else if let Some(message) = self.oversize.take() {
                        mouth.give(wire::outbox([&message]));
                    } else {
                        break;
                    }
                }
                if self.half_closes {
                    pipe.close(now);
                }
            }
        }
    }

    /// Reads a piece.
    pub(crate) fn hear(&mut self, octets: &[u8]) {
        self.heard_before = self.heard_bytes;
        self.heard_bytes += octets.len();
        let done = match &mut self.state {
            State::Over(_) => return,
            State::Shaking { .. } => self.shake(octets),
            State::Talking { .. } => self.listen(octets),
        };
        if let Err(fault) = done {
            self.finish(End::Fault(fault));
        }
    }

    /// The stream has ended.
    pub(crate) fn finish(&mut self, end: End) {
        if self.end().is_none() {
            if end == End::Closed {
                self.output.clear();
            }
            if let State::Talking { mouth, .. } = std::mem::replace(&mut self.state, State::Over(end)) {
                self.unsent = mouth.into_unsent();
            }
        }
    }

    fn shake(&mut self, octets: &[u8]) -> Result<(), Fault> {
        let State::Shaking { greeter, input } = &mut self.state else { return Ok(()) };
        input.extend_from_slice(octets);
        let mut consumed = 0;
        let step = greeter.feed(input, &mut consumed);
        self.output.extend(greeter.take_output());
        input.drain(..consumed);
        let Some(peer) = step? else {
            if input.len() > REST_BYTES_MAX {
                self.broken = Some(format!("{} octets wait in the handshake", input.len()));
            }
            return Ok(());
        };
        let pings = greeter.knows_ping() && peer.understands_ping();
        let (rest, session) = (std::mem::take(input), greeter.take_session());
        let decoder = Decoder::new(self.limits.message_bytes_max, self.limits.frames_max, peer.sends_commands());
        let (ear, mouth) = wire::split(session, decoder, self.limits.message_bytes_max);
        self.state = State::Talking { ear: Box::new(ear), mouth: Box::new(mouth), pings };
        self.listen(&rest)
    }

    fn listen(&mut self, octets: &[u8]) -> Result<(), Fault> {
        let State::Talking { ear, .. } = &mut self.state else { return Ok(()) };
        ear.hear(octets, &mut self.heard)?;
        while self.heard.is_full() {
            self.heard.batch = 0;
            ear.hear(&[], &mut self.heard)?;
        }
        self.broken = self.broken.take().or_else(|| excess(ear, &self.heard, &self.limits, self.heard_bytes));
        Ok(())
    }
}

/// Encodes a batch, and notes where in the stream each message will end.
fn load(said: &mut Vec<Said>, batch: impl Iterator<Item = Frames>, mut at: usize, overhead: usize) -> Outbox {
    let first = said.len();
    for message in batch {
        for frame in &message {
            let size = frame.len() + overhead;
            at += size + if size > 255 { 9 } else { 2 };
        }
        said.push(Said { message, end: at });
    }
    wire::outbox(said[first..].iter().map(|said| &said.message))
}

/// What a listener holds beyond what it may.
fn excess(ear: &Ear, heard: &Heard, limits: &Limits, heard_bytes: usize) -> Option<String> {
    let (frames, octets) = heard.largest;
    if frames > limits.frames_max || octets > limits.message_bytes_max {
        return Some(format!("a message of {frames} frames and {octets} octets came through"));
    }
    if ear.rest_bytes() > REST_BYTES_MAX {
        return Some(format!("{} octets wait for more", ear.rest_bytes()));
    }
    let held = ear.held_bytes();
    let of_limits = 2 * limits.message_bytes_max + limits.frames_max * 32 + REST_BYTES_MAX + STEP_BYTES;
    // A frame's handle weighs 32 octets, its head on the wire two.
    let of_heard = 17 * heard_bytes + 2 * STEP_BYTES;
    (held > of_limits.min(of_heard)).then(|| format!("{held} octets held after {heard_bytes} came"))
}
