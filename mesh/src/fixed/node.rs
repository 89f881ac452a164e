//! A member of the mesh: what a client says to it, it says to all others, and answers who has it.
//!
//! ```text
//!   client ── SINGLE ──► member ── BOUNCE ──► every other member      Event::Message at each of them
//!          ◄─ SINGLE ─── all have it ◄─ BOUNCE ──┘
//!          ◄─ ERROR ──── one has not: it is named
//! ```
//!
//! A client that asks again under the same token is given the same answer; nothing is told twice.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use protocol::zmqnet::{Kind, Message, Request, join};
use protocol::{Frames, Instant, Machine, PeerId};

use super::courier::{self, Courier, Failure, Patience};

/// Who we are, and how long others are waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// What we are called.
    pub name: Arc<str>,
    /// What the others are called, in the order of their numbers.
    pub others: Vec<Arc<str>>,
    /// With each of the others.
    pub patience: Patience,
    /// Clients' messages under way at once; more are refused.
    pub rounds_max: usize,
    /// Memory of them, in bytes; more is refused.
    pub rounds_bytes_max: usize,
    /// Answers that are remembered, so that a client which asks again is given the same one.
    pub answers_max: usize,
    /// Messages of other members that are remembered, so that a repetition is not told again.
    pub told_max: usize,
    /// From chance, so that our tokens are others after a restart.
    pub seed: u64,
}

/// What may happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A message came to our socket.
    Request {
        /// From which connection.
        peer: PeerId,
        /// Its frames.
        frames: Frames,
    },
    /// Of the connections to others.
    Courier(courier::Input),
    /// Answer what is under way, and end.
    Shutdown,
}

/// What is wanted done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Answer a connection.
    Answer {
        /// Which.
        peer: PeerId,
        /// The frames.
        frames: Frames,
    },
    /// Open a new connection to another member.
    Reopen {
        /// Which.
        member: usize,
    },
    /// Send to another member.
    Send {
        /// Which.
        member: usize,
        /// The frames.
        frames: Frames,
    },
    /// Something to tell.
    Event(Event),
    /// Nothing more comes.
    Finished,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A message.
    Message {
        /// The member that a client gave it to.
        via: Arc<str>,
        /// The text.
        text: Arc<str>,
    },
    /// There is a connection to a member.
    Up {
        /// Which.
        name: Arc<str>,
    },
    /// There is no connection to a member any more.
    Down {
        /// Which.
        name: Arc<str>,
    },
    /// A message that a client gave us did not reach all.
    Missing {
        /// The members that did not acknowledge it.
        names: Vec<String>,
        /// The text.
        text: Arc<str>,
    },
}

/// The machine.
#[derive(Debug)]
pub struct Node {
    config: Config,
    courier: Courier,
    up: Vec<bool>,
    rounds: BTreeMap<u64, Round>,
    rounds_bytes: usize,
    /// The round of each message that may be repeated. What is under way is not forgotten for anything else.
    under_way: BTreeMap<Key, u64>,
    /// The round of each errand.
    errands: BTreeMap<u64, u64>,
    numbers: u64,
    answers: Memory<Answer>,
    /// What other members passed on.
    told: Memory<()>,
    outputs: VecDeque<Output>,
    faults: u64,
    is_over: bool,
}

/// A client's message on its way to all.
#[derive(Debug)]
struct Round {
    /// Who is to be answered: the connection that asked last.
    peer: PeerId,
    envelope: Frames,
    /// `None` for a message that is never repeated.
    key: Option<Key>,
    text: Arc<str>,
    /// Memory of the text, as we keep it and as it is sent, and of the envelope.
    bytes: usize,
    left: usize,
    /// The numbers of the members that did not acknowledge it.
    missing: Vec<usize>,
}

/// What makes a message of one kind the same one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    sender: Arc<str>,
    token: u64,
}

/// An answer in short: all members have the message but these.
#[derive(Debug)]
struct Answer {
    id: u64,
    missing: Vec<usize>,
}

/// What came of messages of one kind; the oldest is forgotten first.
#[derive(Debug)]
struct Memory<V> {
    known: BTreeMap<Key, V>,
    order: VecDeque<Key>,
    max: usize,
}

impl Config {
    /// The defaults.
    pub fn new(name: Arc<str>, others: Vec<Arc<str>>, seed: u64) -> Self {
        Self {
            name,
            others,
            patience: Patience::default(),
            rounds_max: 1024,
            rounds_bytes_max: 64 << 20,
            answers_max: 4096,
            told_max: 16 << 10,
            seed,
        }
    }
}

impl Node {
    /// A member that listens, and whose connections to all others are being opened.
    pub fn new(config: Config) -> Self {
        Self {
            courier: Courier::new(config.patience, config.others.len()),
            up: vec![false; config.others.len()],
            rounds: BTreeMap::new(),
            rounds_bytes: 0,
            under_way: BTreeMap::new(),
            errands: BTreeMap::new(),
            numbers: 0,
            answers: Memory::new(config.answers_max),
            told: Memory::new(config.told_max),
            outputs: VecDeque::new(),
            faults: 0,
            is_over: false,
            config,
        }
    }

    /// Messages that broke a rule.
    pub fn faults(&self) -> u64 {
        self.faults + self.courier.faults()
    }

    fn on_request(&mut self, now: Instant, peer: PeerId, frames: Frames) {
        let Ok(Request { envelope, message }) = Request::split(frames) else {
            self.faults += 1;
            return;
        };
        match message {
            Ok(message) => match message.kind {
                Kind::Single => self.on_single(now, peer, envelope, message),
                Kind::Bounce => self.on_bounce(peer, envelope, message),
                Kind::Error => self.refuse(peer, envelope, "ERROR is an answer, and no request"),
            },
            Err(fault) => self.refuse(peer, envelope, &fault.to_string()),
        }
    }

    fn on_single(&mut self, now: Instant, peer: PeerId, envelope: Frames, message: Message) {
        let key = Key::of(&message.sender, message.token);
        if let Some(Answer { id, missing }) = key.as_ref().and_then(|key| self.answers.get(key)) {
            let frames = join(envelope, &self.answer(*id, missing));
            return self.outputs.push_back(Output::Answer { peer, frames });
        }
        if let Some(number) = key.as_ref().and_then(|key| self.under_way.get(key)).copied() {
            return self.on_repetition(number, peer, envelope);
        }
        let bytes = 2 * message.text.len() + memory_of(&envelope);
        if let Err(reason) = self.has_room(bytes) {
            return self.answer_error(peer, envelope, reason);
        }
        let text: Arc<str> = message.text.into();
        self.tell(Event::Message { via: Arc::clone(&self.config.name), text: Arc::clone(&text) });
        let left = self.config.others.len();
        self.pass_on(now, Round { peer, envelope, key, text, bytes, left, missing: Vec::new() });
    }

    fn has_room(&self, bytes: usize) -> Result<(), String> {
        let Config { rounds_max, rounds_bytes_max, .. } = self.config;
        if self.rounds.len() >= rounds_max {
            return Err(format!("{} messages are under way (allowed: {rounds_max})", self.rounds.len()));
        }
        let wanted = self.rounds_bytes.saturating_add(bytes);
        if wanted > rounds_bytes_max {
            return Err(format!("messages under way would take {wanted} bytes (allowed: {rounds_bytes_max})"));
        }
        Ok(())
    }

    /// A client asks again for what is under way: it is answered where it asked last.
    fn on_repetition(&mut self, number: u64, peer: PeerId, envelope: Frames) {
        let Some(round) = self.rounds.get_mut(&number) else { return };
        let (before, after) = (memory_of(&round.envelope), memory_of(&envelope));
        let rounds_bytes = self.rounds_bytes - before + after;
        if rounds_bytes <= self.config.rounds_bytes_max {
            self.rounds_bytes = rounds_bytes;
            round.bytes = round.bytes - before + after;
            (round.peer, round.envelope) = (peer, envelope);
        }
    }

    fn pass_on(&mut self, now: Instant, round: Round) {
        self.numbers += 1;
        let number = self.numbers;
        let bounce = Message {
            kind: Kind::Bounce,
            id: number,
            sender: self.config.name.to_string(),
            text: round.text.to_string(),
            // Never 0, which stands for none.
            token: self.config.seed.wrapping_add(number) | 1 << 63,
            ..Message::default()
        };
        let bounce = bounce.encode();
        if let Some(key) = &round.key {
            self.under_way.insert(key.clone(), number);
        }
        self.rounds_bytes += round.bytes;
        self.rounds.insert(number, round);
        for member in 0..self.config.others.len() {
            self.numbers += 1;
            let errand = self.numbers;
            self.errands.insert(errand, number);
            self.at_courier(now, courier::Input::Send { errand, member, message: bounce.clone() });
        }
        self.conclude(number);
    }

    fn on_bounce(&mut self, peer: PeerId, envelope: Frames, message: Message) {
        let key = Key::of(&message.sender, message.token);
        let is_known = key.as_ref().is_some_and(|key| self.told.get(key).is_some());
        if !is_known {
            let via = self.config.others.iter().find(|name| ***name == *message.sender).cloned();
            let via = via.unwrap_or_else(|| message.sender.into());
            if let Some(key) = key {
                self.told.remember(key, ());
            }
            self.tell(Event::Message { via, text: message.text.into() });
        }
        let sender = self.config.name.to_string();
        let answer = Message { kind: Kind::Bounce, sender, text: "ack".to_owned(), ..Message::default() };
        self.outputs.push_back(Output::Answer { peer, frames: join(envelope, &answer) });
    }

    fn refuse(&mut self, peer: PeerId, envelope: Frames, reason: &str) {
        self.faults += 1;
        self.answer_error(peer, envelope, reason.to_owned());
    }

    fn answer_error(&mut self, peer: PeerId, envelope: Frames, text: String) {
        let sender = self.config.name.to_string();
        let answer = Message { kind: Kind::Error, sender, text, ..Message::default() };
        self.outputs.push_back(Output::Answer { peer, frames: join(envelope, &answer) });
    }

    /// Hands something to the courier, and does what it wants done.
    fn at_courier(&mut self, now: Instant, input: courier::Input) {
        if let courier::Input::Linked { member, up } = input {
            self.on_linked(member, up);
        }
        self.courier.handle(now, input);
        self.drain();
    }

    fn on_linked(&mut self, member: usize, up: bool) {
        let (Some(was_up), Some(name)) = (self.up.get_mut(member), self.config.others.get(member)) else { return };
        if std::mem::replace(was_up, up) != up {
            let name = Arc::clone(name);
            self.tell(if up { Event::Up { name } } else { Event::Down { name } });
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.courier.poll() {
            match output {
                courier::Output::Reopen { member } => {
                    // Nobody else tells that the connection which is given up has gone.
                    self.on_linked(member, false);
                    self.outputs.push_back(Output::Reopen { member });
                }
                courier::Output::Send { member, frames } => self.outputs.push_back(Output::Send { member, frames }),
                courier::Output::Done { errand, member, outcome } => self.on_done(errand, member, outcome),
                courier::Output::Finished => {}
            }
        }
    }

    fn on_done(&mut self, errand: u64, member: usize, outcome: Result<Message, Failure>) {
        let Some(number) = self.errands.remove(&errand) else { return };
        let Some(round) = self.rounds.get_mut(&number) else { return };
        if !outcome.is_ok_and(|answer| answer.kind == Kind::Bounce) {
            round.missing.push(member);
        }
        round.left -= 1;
        self.conclude(number);
    }

    /// Answers once nobody is waited for any more.
    fn conclude(&mut self, number: u64) {
        if self.rounds.get(&number).is_none_or(|round| round.left > 0) {
            return;
        }
        let Some(round) = self.rounds.remove(&number) else { return };
        let Round { peer, envelope, key, text, bytes, mut missing, .. } = round;
        self.rounds_bytes -= bytes;
        missing.sort_unstable();
        let answer = self.answer(number, &missing);
        if !answer.missing.is_empty() {
            self.tell(Event::Missing { names: answer.missing.clone(), text });
        }
        self.outputs.push_back(Output::Answer { peer, frames: join(envelope, &answer) });
        if let Some(key) = key {
            self.under_way.remove(&key);
            self.answers.remember(key, Answer { id: number, missing });
        }
    }

    /// The answer in full: all have it but those that are missing, whose numbers are in order.
    fn answer(&self, id: u64, missing: &[usize]) -> Message {
        let (mut acknowledged, mut absent) = (vec![self.config.name.to_string()], Vec::new());
        for (member, name) in self.config.others.iter().enumerate() {
            let list = if missing.binary_search(&member).is_ok() { &mut absent } else { &mut acknowledged };
            list.push(name.to_string());
        }
        let (kind, text) = match absent[..] {
            [] => (Kind::Single, format!("acknowledged by {}", acknowledged.join(", "))),
            [..] => (Kind::Error, format!("not acknowledged by {}", absent.join(", "))),
        };
        let sender = self.config.name.to_string();
        Message { kind, id, sender, text, acknowledged, missing: absent, ..Message::default() }
    }

    fn on_shutdown(&mut self, now: Instant) {
        self.courier.handle(now, courier::Input::Shutdown);
        self.drain();
        self.outputs.push_back(Output::Finished);
        self.is_over = true;
    }

    fn tell(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }
}

impl Key {
    /// A message without a token is another one each time.
    fn of(sender: &str, token: u64) -> Option<Self> {
        (token != 0).then(|| Self { sender: sender.into(), token })
    }
}

impl<V> Memory<V> {
    fn new(max: usize) -> Self {
        Self { known: BTreeMap::new(), order: VecDeque::new(), max }
    }

    fn get(&self, key: &Key) -> Option<&V> {
        self.known.get(key)
    }

    fn remember(&mut self, key: Key, value: V) {
        if self.order.len() >= self.max
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        self.order.push_back(key.clone());
        self.known.insert(key, value);
    }
}

fn memory_of(envelope: &Frames) -> usize {
    envelope.byte_count() + envelope.list_bytes()
}

impl Machine for Node {
    type Input = Input;
    type Output = Output;

    fn handle(&mut self, now: Instant, input: Input) {
        if self.is_over {
            return;
        }
        match input {
            Input::Request { peer, frames } => self.on_request(now, peer, frames),
            Input::Courier(input) => self.at_courier(now, input),
            Input::Shutdown => self.on_shutdown(now),
        }
    }

    fn tick(&mut self, now: Instant) {
        self.courier.tick(now);
        self.drain();
    }

    fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn deadline(&self) -> Option<Instant> {
        self.courier.deadline()
    }
}
