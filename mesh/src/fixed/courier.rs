//! The courier: brings messages to members, each until it is acknowledged, or it is clear that it will not be.
//!
//! ```text
//!   send ──► Waiting ── a connection ──► Sent ── its answer ──► Done(answer)
//!              │  ▲                        │
//!    none for  │  └── connection lost, or ─┘ silent for `timeout`: a new connection, another try
//!    `absent`  ▼
//!            Done(Absent)             no try left: Done(Silent)
//! ```
//!
//! Over a connection that brought something since, only what was not answered is said again: it leads somewhere. One
//! that brought nothing is replaced, once for all that went over it; whatever had its `timeout` has lost a try.
//!
//! The number of an errand is the envelope in which a REP answers, so answers may come in any order, and a late one is
//! an answer all the same. A repetition is the same message: whoever knows tokens does not tell it twice.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use protocol::timers::{Alarm, Timers};
use protocol::zmqnet::{Message, Request};
use protocol::{Frames, Instant, Machine};

/// How long, how often, how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// How long a member may take to answer, each time.
    pub timeout: Duration,
    /// How often it is tried in all.
    pub tries: u32,
    /// How long a connection is waited for; without one there is nothing to try.
    pub absent: Duration,
    /// Errands under way at once.
    pub errands_max: usize,
}

/// What may happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Bring a message to a member.
    Send {
        /// Its number, given once.
        errand: u64,
        /// Which, as a place in the list.
        member: usize,
        /// What, encoded: a message to many is encoded once, and its octets are shared.
        message: Bytes,
    },
    /// There is a connection to a member, or none any more.
    Linked {
        /// Which.
        member: usize,
        /// Whether there is one.
        up: bool,
    },
    /// Something came from a member.
    Heard {
        /// Which.
        member: usize,
        /// What.
        frames: Frames,
    },
    /// End: what is under way has failed.
    Shutdown,
}

/// What is wanted done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Open a connection to a member in place of the one that is there.
    Reopen {
        /// Which.
        member: usize,
    },
    /// Send over the connection of a member.
    Send {
        /// Which.
        member: usize,
        /// The frames.
        frames: Frames,
    },
    /// An errand has ended.
    Done {
        /// Which.
        errand: u64,
        /// To whom it went.
        member: usize,
        /// What came of it.
        outcome: Result<Message, Failure>,
    },
    /// Nothing more comes.
    Finished,
}

/// Why a message was not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// There is no connection to it.
    #[error("there is no connection to it")]
    Absent,
    /// It does not answer.
    #[error("it does not answer")]
    Silent,
    /// Too much is under way.
    #[error("too many messages are under way")]
    Full,
    /// We have ended.
    #[error("we have ended")]
    Ended,
}

/// The machine.
#[derive(Debug)]
pub struct Courier {
    patience: Patience,
    members: Vec<Member>,
    under_way: usize,
    timers: Timers<(usize, u64)>,
    outputs: VecDeque<Output>,
    faults: u64,
    is_over: bool,
}

#[derive(Debug, Default)]
struct Member {
    is_linked: bool,
    /// When something came from it last.
    heard: Option<Instant>,
    errands: BTreeMap<u64, Errand>,
}

#[derive(Debug)]
struct Errand {
    message: Bytes,
    tries_left: u32,
    /// When it was sent over the connection that is there; `None` while it waits for one.
    sent: Option<Instant>,
    due: Instant,
    alarm: Alarm,
}

impl Default for Patience {
    fn default() -> Self {
        let (timeout, absent) = (Duration::from_secs(1), Duration::from_millis(500));
        Self { timeout, tries: 2, absent, errands_max: 16 << 10 }
    }
}

impl Patience {
    /// A member's with the others: one to which there is no connection is not waited for longer than half a second, nor
    /// longer than for an answer.
    pub fn of(timeout: Duration, tries: u32) -> Self {
        let default = Self::default();
        Self { timeout, tries, absent: default.absent.min(timeout), ..default }
    }

    /// A client's with its member, which is all that it has: a connection is waited for as long as an answer.
    pub fn of_client(timeout: Duration, tries: u32) -> Self {
        Self { timeout, tries, absent: timeout, ..Self::default() }
    }
}

impl Courier {
    /// For so many members, connections to all of which are being opened.
    pub fn new(patience: Patience, members: usize) -> Self {
        Self {
            patience,
            members: std::iter::repeat_with(Member::default).take(members).collect(),
            under_way: 0,
            timers: Timers::default(),
            outputs: VecDeque::new(),
            faults: 0,
            is_over: false,
        }
    }

    /// Answers that could not be read, or were none to anything.
    pub fn faults(&self) -> u64 {
        self.faults
    }

    /// Errands under way.
    pub fn under_way(&self) -> usize {
        self.under_way
    }

    fn on_send(&mut self, now: Instant, number: u64, member: usize, message: Bytes) {
        if self.under_way >= self.patience.errands_max {
            return self.outputs.push_back(Output::Done { errand: number, member, outcome: Err(Failure::Full) });
        }
        let Some(to) = self.members.get_mut(member) else {
            return self.outputs.push_back(Output::Done { errand: number, member, outcome: Err(Failure::Absent) });
        };
        let (tries_left, alarm) = (self.patience.tries, Alarm::default());
        to.errands.insert(number, Errand { message, tries_left, sent: None, due: now, alarm });
        self.under_way += 1;
        self.attempt(now, member, number);
    }

    /// Sends where there is a connection, else waits for one.
    fn attempt(&mut self, now: Instant, member: usize, number: u64) {
        let Some(to) = self.members.get_mut(member) else { return };
        let Some(errand) = to.errands.get_mut(&number) else { return };
        errand.sent = to.is_linked.then_some(now);
        errand.due = now + if to.is_linked { self.patience.timeout } else { self.patience.absent };
        self.timers.arm(&mut errand.alarm, (member, number), errand.due);
        if to.is_linked {
            let number = Bytes::copy_from_slice(&number.to_be_bytes());
            let frames = Frames::from([number, Bytes::new(), errand.message.clone()]);
            self.outputs.push_back(Output::Send { member, frames });
        }
    }

    fn on_linked(&mut self, now: Instant, member: usize, up: bool) {
        let Some(to) = self.members.get_mut(member) else { return };
        to.is_linked = up;
        for number in to.numbers(|errand| errand.sent.is_none() == up) {
            if up {
                self.attempt(now, member, number);
            } else {
                self.try_again(now, member, number);
            }
        }
    }

    /// A try has come to nothing. A member that breaks each connection shall not be tried for ever, either.
    fn try_again(&mut self, now: Instant, member: usize, number: u64) {
        let errand = self.members.get_mut(member).and_then(|to| to.errands.get_mut(&number));
        let Some(errand) = errand else { return };
        errand.tries_left = errand.tries_left.saturating_sub(1);
        if errand.tries_left == 0 {
            self.end(member, number, Err(Failure::Silent));
        } else {
            self.attempt(now, member, number);
        }
    }

    fn on_heard(&mut self, now: Instant, member: usize, frames: Frames) {
        let Some(from) = self.members.get_mut(member) else { return };
        from.heard = Some(now);
        let answer = Request::split(frames).ok().and_then(|Request { envelope, message }| {
            let number = envelope.first().and_then(|number| <[u8; 8]>::try_from(&number[..]).ok())?;
            Some((u64::from_be_bytes(number), message.ok()?))
        });
        match answer {
            Some((number, message)) if from.errands.contains_key(&number) => self.end(member, number, Ok(message)),
            _ => self.faults += 1,
        }
    }

    fn end(&mut self, member: usize, errand: u64, outcome: Result<Message, Failure>) {
        if self.members.get_mut(member).and_then(|to| to.errands.remove(&errand)).is_some() {
            self.under_way -= 1;
            self.outputs.push_back(Output::Done { errand, member, outcome });
        }
        if self.timers.is_crowded() {
            let members = &self.members;
            let errand = |member: usize, number| members.get(member).and_then(|to| to.errands.get(&number));
            self.timers.sweep(|(member, number), at| errand(member, number).is_some_and(|it| it.alarm.awaits(at)));
        }
    }

    fn on_due(&mut self, now: Instant, member: usize, number: u64) {
        let Some(to) = self.members.get_mut(member) else { return };
        let Some(errand) = to.errands.get_mut(&number) else { return };
        if now < errand.due {
            return self.timers.arm(&mut errand.alarm, (member, number), errand.due);
        }
        match errand.sent {
            None => self.end(member, number, Err(Failure::Absent)),
            Some(sent) if to.heard.is_some_and(|heard| heard > sent) => self.try_again(now, member, number),
            Some(_) => self.on_silence(now, member),
        }
    }

    /// Nobody knows whether the connection still leads anywhere: it is replaced. All that waited long enough has lost a
    /// try; what was said just now is said again and has lost none, and is due with the rest from then on.
    fn on_silence(&mut self, now: Instant, member: usize) {
        let Some(to) = self.members.get_mut(member) else { return };
        to.is_linked = false;
        for number in to.numbers(|errand| errand.sent.is_some() && errand.due <= now) {
            self.try_again(now, member, number);
        }
        self.outputs.push_back(Output::Reopen { member });
        let to = self.members.get(member);
        for number in to.map(|to| to.numbers(|errand| errand.sent.is_some())).unwrap_or_default() {
            self.attempt(now, member, number);
        }
    }

    fn on_shutdown(&mut self) {
        for member in 0..self.members.len() {
            let all = self.members.get(member).map(|to| to.numbers(|_| true)).unwrap_or_default();
            all.into_iter().for_each(|number| self.end(member, number, Err(Failure::Ended)));
        }
        self.outputs.push_back(Output::Finished);
        self.is_over = true;
    }
}

impl Member {
    /// The numbers of those of its errands that are so, in their order.
    fn numbers(&self, is_so: impl Fn(&Errand) -> bool) -> Vec<u64> {
        self.errands.iter().filter(|(_, errand)| is_so(errand)).map(|(number, _)| *number).collect()
    }
}

impl Machine for Courier {
    type Input = Input;
    type Output = Output;

    fn handle(&mut self, now: Instant, input: Input) {
        if self.is_over {
            return;
        }
        match input {
            Input::Send { errand, member, message } => self.on_send(now, errand, member, message),
            Input::Linked { member, up } => self.on_linked(now, member, up),
            Input::Heard { member, frames } => self.on_heard(now, member, frames),
            Input::Shutdown => self.on_shutdown(),
        }
    }

    fn tick(&mut self, now: Instant) {
        while let Some(((member, number), at)) = self.timers.pop_due(now) {
            let errand = self.members.get_mut(member).and_then(|to| to.errands.get_mut(&number));
            if errand.is_some_and(|errand| errand.alarm.rings(at)) {
                self.on_due(now, member, number);
            }
        }
    }

    fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn deadline(&self) -> Option<Instant> {
        if self.is_over { None } else { self.timers.deadline() }
    }
}
