//! The worker's side of MDP as a machine: one broker, one service, one connection at a time (RFC 7 and 18, "worker").
//!
//! ```text
//!            ┌──────────────── delay, then Open ────────────────┐
//!            ▼                                                   │
//!   Opening ──Connected──► Holding ──slot free: READY──► Registered ──lost──► Waiting
//!                          (orphans still run)           requests, heartbeats
//!
//!   Shutdown: no new job; when the running ones are answered: DISCONNECT, Finished
//! ```
//!
//! It is not a socket and runs no handler: it says what to open, send and run. Its rules:
//! - READY goes out once per connection, and only while a slot is free: a job may outlive its connection, and whoever
//!   wrote the handler was promised not more than `credit` jobs at once.
//! - We heartbeat at every interval in which nothing else was sent, also while jobs run (RFC 7, "Heartbeating").
//! - Anything from the broker is life. Silence for `heartbeat x liveness` ends the connection; while every slot is
//!   taken, `busy_grace` holds instead.
//! - After DISCONNECT, silence or loss nothing more is sent on that connection. The next one is a new socket.
//! - An answer belongs to the connection its request came from and is never sent on another.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use protocol::mdp::client::Part;
use protocol::mdp::worker::{FromWorker, ToWorker};
use protocol::mutants::{self, Mutant};
use protocol::{Backoff, Frames, Instant, Machine};

use crate::config::Config;
use crate::event::{Cause, Event};
use crate::job::{Job, JobId};

mod state;

pub use state::State;

/// What may happen to a session.
#[derive(Debug)]
pub enum Input {
    /// The socket has a connection.
    Connected,
    /// The socket lost its connection.
    Disconnected,
    /// The broker sent a message.
    Message(Frames),
    /// A handler answered; [`Part::Final`] frees its slot.
    Reply {
        /// Which job.
        job: JobId,
        /// Whether more follows.
        part: Part,
        /// The body; nothing counts as one empty frame.
        body: Frames,
    },
    /// End cleanly.
    Shutdown,
}

/// What a session wants done.
#[derive(Debug, PartialEq)]
pub enum Output {
    /// Connect a new socket.
    Open,
    /// Drop the socket and what it still holds.
    Close,
    /// Send to the broker.
    Send(Frames),
    /// Run the handler.
    Handle {
        /// To be returned with each part of the answer.
        job: JobId,
        /// The request.
        body: Frames,
    },
    /// Tell whoever watches.
    Event(Event),
    /// All is said: flush, close, end. Nothing follows.
    Finished,
}

/// The machine. Its first output is [`Output::Open`].
#[derive(Debug)]
pub struct Session {
    config: Config,
    link: Link,
    phase: Phase,
    jobs: BTreeMap<JobId, Job>,
    jobs_started: u64,
    /// Requests beyond our credit. A correct broker sends none; a few are forgiven, in order.
    surplus: VecDeque<(Bytes, Frames)>,
    backoff: Backoff,
    outputs: VecDeque<Output>,
}

/// Where the connection stands.
#[derive(Debug)]
enum Link {
    /// No socket before this instant.
    Waiting { until: Instant },
    /// A socket without connection; it tries by itself.
    Opening,
    /// Connected; READY waits for a slot.
    Holding,
    /// READY is sent.
    Registered { heard: Instant, sent: Instant },
    /// No socket, and none to come.
    Down,
}

#[derive(Debug, PartialEq)]
enum Phase {
    Serving,
    Ending { until: Instant },
    Ended,
}

/// Requests beyond the credit that are held before the broker counts as broken.
const SURPLUS_MAX: usize = 16;

impl Session {
    /// A session that is about to open its first socket. The caller has [checked](Config::check) the configuration.
    pub fn new(config: Config) -> Self {
        let backoff = Backoff::new(config.reconnect_first, config.reconnect_max, config.seed);
        Self {
            config,
            link: Link::Opening,
            phase: Phase::Serving,
            jobs: BTreeMap::new(),
            jobs_started: 0,
            surplus: VecDeque::new(),
            backoff,
            outputs: VecDeque::from([Output::Open]),
        }
    }

    fn on_connected(&mut self, now: Instant) {
        if matches!(self.link, Link::Opening) {
            self.link = Link::Holding;
            self.register(now);
        }
    }

    fn on_disconnected(&mut self, now: Instant) {
        // A socket that is still opening tries again by itself.
        if matches!(self.link, Link::Holding | Link::Registered { .. }) {
            self.lose(now, Cause::Disconnected);
        }
    }

    fn on_message(&mut self, now: Instant, message: Frames) {
        match &mut self.link {
            Link::Registered { heard, .. } => *heard = now,
            Link::Holding => {}
            // A late message of a connection that we gave up.
            Link::Waiting { .. } | Link::Opening | Link::Down => return,
        }
        match ToWorker::decode(self.config.dialect, message) {
            Ok(ToWorker::Disconnect) if mutants::on(Mutant::StayAfterDisconnect) => {}
            Ok(ToWorker::Disconnect) => self.lose(now, Cause::Dismissed),
            Ok(ToWorker::Heartbeat) => self.backoff.reset(),
            Ok(ToWorker::Request { address, body }) => self.on_request(now, address, body),
            Err(fault) => self.event(Event::Fault(fault)),
        }
    }

    fn on_request(&mut self, now: Instant, address: Bytes, body: Frames) {
        if self.phase != Phase::Serving || matches!(self.link, Link::Holding) {
            return self.event(Event::RequestIgnored);
        }
        self.backoff.reset();
        if self.has_free_slot() {
            self.start(address, body);
        } else if self.surplus.len() < SURPLUS_MAX {
            self.surplus.push_back((address, body));
        } else {
            self.lose(now, Cause::Overfed);
        }
    }

    fn on_reply(&mut self, now: Instant, id: JobId, part: Part, body: Frames) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let answer = job.answer(self.config.dialect, part, body);
        let orphan = job.is_orphan();
        if let Some((address, body)) = answer {
            self.send(now, FromWorker::Reply { address, part, body });
        }
        if part == Part::Final {
            if orphan {
                self.event(Event::AnswerDropped(id));
            }
            self.free_slot(now, id);
        }
    }

    fn on_shutdown(&mut self, now: Instant) {
        if self.phase != Phase::Serving {
            return;
        }
        self.phase = Phase::Ending { until: now + self.config.shutdown_grace };
        // Not begun: the broker gives them to somebody else once it reads our DISCONNECT.
        self.surplus.clear();
        match self.link {
            Link::Opening | Link::Holding => self.close(),
            Link::Waiting { .. } => self.link = Link::Down,
            Link::Registered { .. } | Link::Down => {}
        }
        self.end_if_idle(now);
    }

    /// Says READY, if the connection waits for it and a slot is free.
    fn register(&mut self, now: Instant) {
        let has_room = self.has_free_slot() || mutants::on(Mutant::ReadyWithoutSlot);
        if matches!(self.link, Link::Holding) && has_room && self.phase == Phase::Serving {
            self.link = Link::Registered { heard: now, sent: now };
            let credit = u32::try_from(self.config.credit).unwrap_or(u32::MAX);
            self.send(now, FromWorker::Ready { service: self.config.service.clone(), credit });
            self.event(Event::Registered { dialect: self.config.dialect });
        }
    }

    fn start(&mut self, address: Bytes, body: Frames) {
        let job = JobId(self.jobs_started);
        self.jobs_started += 1;
        self.jobs.insert(job, Job::new(address));
        self.outputs.push_back(Output::Handle { job, body });
    }

    fn free_slot(&mut self, now: Instant, id: JobId) {
        // The broker's silence while every slot was taken is forgiven.
        if let (false, Link::Registered { heard, .. }) = (self.has_free_slot(), &mut self.link) {
            *heard = now;
        }
        self.jobs.remove(&id);
        if let Some((address, body)) = self.surplus.pop_front() {
            self.start(address, body);
        }
        self.register(now);
        self.end_if_idle(now);
    }

    fn lose(&mut self, now: Instant, cause: Cause) {
        self.surplus.clear();
        let orphans = self.jobs.values_mut().filter(|job| !job.is_orphan()).map(Job::orphan).count();
        self.close();
        let mut retry_in = None;
        if self.phase == Phase::Serving {
            let delay = self.backoff.next_delay();
            self.link = Link::Waiting { until: now + delay };
            retry_in = Some(delay);
        }
        self.event(Event::Lost { cause, orphans, retry_in });
    }

    fn close(&mut self) {
        self.link = Link::Down;
        self.outputs.push_back(Output::Close);
    }

    fn end_if_idle(&mut self, now: Instant) {
        if matches!(self.phase, Phase::Ending { .. }) && self.jobs.is_empty() {
            self.end(now);
        }
    }

    fn end(&mut self, now: Instant) {
        if matches!(self.link, Link::Registered { .. }) {
            self.send(now, FromWorker::Disconnect);
        }
        self.link = Link::Down;
        self.phase = Phase::Ended;
        self.outputs.push_back(Output::Finished);
    }

    fn send(&mut self, now: Instant, command: FromWorker) {
        if let Link::Registered { sent, .. } = &mut self.link {
            *sent = now;
            if mutants::on(Mutant::SilentWhileBusy) && command == FromWorker::Heartbeat && !self.jobs.is_empty() {
                return;
            }
            self.outputs.push_back(Output::Send(command.encode(self.config.dialect)));
        }
    }

    fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    fn has_free_slot(&self) -> bool {
        self.jobs.len() < self.config.credit
    }

    /// When the broker counts as dead, if it stays silent.
    fn expiry(&self, heard: Instant) -> Instant {
        if mutants::on(Mutant::TrustSilentBroker) {
            return Instant::MAX;
        }
        let patience = self.config.patience();
        match self.has_free_slot() {
            true => heard + patience,
            false => heard + patience.max(self.config.busy_grace),
        }
    }
}

impl Machine for Session {
    type Input = Input;
    type Output = Output;

    fn handle(&mut self, now: Instant, input: Input) {
        if self.phase == Phase::Ended {
            return;
        }
        match input {
            Input::Connected => self.on_connected(now),
            Input::Disconnected => self.on_disconnected(now),
            Input::Message(message) => self.on_message(now, message),
            Input::Reply { job, part, body } => self.on_reply(now, job, part, body),
            Input::Shutdown => self.on_shutdown(now),
        }
    }

    fn tick(&mut self, now: Instant) {
        if let Phase::Ending { until } = self.phase
            && until <= now
        {
            self.event(Event::Abandoned { jobs: self.jobs.len() });
            return self.end(now);
        }
        match self.link {
            Link::Waiting { until } if until <= now => {
                self.link = Link::Opening;
                self.outputs.push_back(Output::Open);
            }
            Link::Registered { heard, .. } if self.expiry(heard) <= now => self.lose(now, Cause::Silent),
            Link::Registered { sent, .. } if sent + self.config.heartbeat <= now => {
                self.send(now, FromWorker::Heartbeat);
            }
            _ => {}
        }
    }

    fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn deadline(&self) -> Option<Instant> {
        let link = match self.link {
            Link::Waiting { until } => Some(until),
            Link::Registered { heard, sent } => Some(self.expiry(heard).min(sent + self.config.heartbeat)),
            Link::Opening | Link::Holding | Link::Down => None,
        };
        match self.phase {
            Phase::Ending { until } => Some(link.map_or(until, |link| link.min(until))),
            Phase::Serving | Phase::Ended => link,
        }
    }
}

#[cfg(test)]
mod tests;
