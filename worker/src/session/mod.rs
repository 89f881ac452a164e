//! The worker's side of MDP as a machine: one broker, one connection at a time (RFC 7 and 18, "worker"; MDP-0.3, 8).
//!
//! ```text
//!            ┌──────────────── delay, then Open ────────────────┐
//!            ▼                                                   │
//!   Opening ──Connected──► Holding ──READY──► Registered ──lost──► Waiting
//!      ▲                   (orphans still run)  │ 0.3 unheard: Announced
//!      └────── fall back: Open, older dialect ──┘
//!
//!   Shutdown: no new job (0.3: DRAIN, and what crossed it is taken); when all are answered: DISCONNECT, Finished
//! ```
//!
//! It is not a socket and runs no handler: it says what to open, send, run and stop. How a dialect writes things is
//! `Speech`'s; what only 0.3 can say is in `native`; what becomes of jobs, in `work`. Its rules:
//! - READY goes out once per connection. Whoever wrote the handler was promised not more than `credit` jobs at once,
//!   and a job may outlive its connection: 0.3 is told the credit that is left, an old dialect waits for a free slot.
//! - We heartbeat at every interval in which nothing else was sent, also while jobs run (RFC 7, "Heartbeating").
//! - Silence for `liveness` intervals ends the connection: in 0.3 of the broker's own, as announced; in an old dialect
//!   of ours, and while jobs run `busy_grace` holds instead.
//! - After DISCONNECT, silence or loss nothing more is sent on that connection. The next one is a new socket.
//! - An answer belongs to the connection its request came from and is never sent on another.

use std::collections::VecDeque;
use std::time::Duration;

use protocol::mdp::v03::Options;
use protocol::mutants::{self, Mutant};
use protocol::{Backoff, Frames, Instant, Machine, ServiceName};

use crate::config::Config;
use crate::event::{Cause, Event};
use crate::route::Route;
use crate::speech::{Said, Speech};
use jobs::Jobs;

mod io;
mod jobs;
mod native;
mod state;
mod work;

pub use crate::route::Place;
pub use io::{Input, Output};
pub use state::State;

/// The machine. Its first output is [`Output::Open`].
#[derive(Debug)]
pub struct Session {
    config: Config,
    /// How the present connection is spoken on.
    speech: Speech,
    link: Link,
    phase: Phase,
    jobs: Jobs,
    route: Route,
    backoff: Backoff,
    outputs: VecDeque<Output>,
}

/// Where the connection stands.
#[derive(Debug)]
enum Link {
    /// No socket before this instant.
    Waiting { until: Instant },
    /// A socket without connection; it tries by itself. After `until` another place is tried, if there is one.
    Opening { until: Instant },
    /// Connected; READY waits for a slot.
    Holding,
    /// READY is sent.
    Registered(Registration),
    /// No socket, and none to come.
    Down,
}

/// What holds as long as a connection does, from READY on.
#[derive(Debug)]
struct Registration {
    heard: Instant,
    sent: Instant,
    /// Within which time the broker promised to speak again; `None` until it has said anything in 0.3.
    interval: Option<Duration>,
    /// The credit that the broker was told, and the largest that it was ever told.
    credit: usize,
    credit_max: usize,
    /// Requests that were refused: more than that credit, or for what is not offered. A correct broker sends none.
    refused: usize,
    /// Services that the broker drains, and whether these are all.
    drained: Vec<ServiceName>,
    is_drained: bool,
    /// What the broker's last DRAIN said of where to go and when to come again.
    hints: Options,
    /// Whoever drains says goodbye when all is answered. The broker is given until then to say it first.
    goodbye: Option<Instant>,
}

#[derive(Debug, PartialEq)]
enum Phase {
    Serving,
    Ending { until: Instant },
    Ended,
}

/// How long one of several places may take to let us in before the next is tried.
const OPENING_MAX: Duration = Duration::from_secs(5);

impl Session {
    /// A session that is about to open its first socket. The caller has [checked](Config::check) the configuration.
    pub fn new(config: Config) -> Self {
        let backoff = Backoff::new(config.reconnect_first, config.reconnect_max, config.seed);
        let route = Route::new();
        Self {
            speech: config.speech,
            config,
            link: Link::Opening { until: Instant::MAX },
            phase: Phase::Serving,
            jobs: Jobs::default(),
            outputs: VecDeque::from([Output::Open(route.place())]),
            route,
            backoff,
        }
    }

    fn on_connected(&mut self, now: Instant) {
        if matches!(self.link, Link::Opening { .. }) {
            self.link = Link::Holding;
            self.register(now);
        }
    }

    fn on_disconnected(&mut self, now: Instant) {
        // A socket that is still opening tries again by itself.
        if matches!(self.link, Link::Holding | Link::Registered(_)) {
            self.lose(now, Cause::Disconnected, Duration::ZERO);
        }
    }

    fn on_message(&mut self, now: Instant, message: Frames) {
        // Otherwise it is a late message of a connection that we gave up.
        if !matches!(self.link, Link::Holding | Link::Registered(_)) {
            return;
        }
        let said = self.speech.decode(&self.config, message);
        if said.is_ok() || !self.speech.is_native() {
            self.hear(now, said.as_ref().ok());
        }
        match said {
            Ok(Said::Disconnect(_)) if mutants::on(Mutant::StayAfterDisconnect) => {}
            Ok(Said::Disconnect(farewell)) => self.on_disconnect(now, farewell),
            Ok(Said::Heartbeat(_)) => {}
            Ok(Said::Request(ticket, assignment)) => self.on_request(now, ticket, assignment),
            Ok(Said::Cancel(number)) => self.on_cancel(now, number),
            Ok(Said::Drain(drain)) => self.on_drain(now, drain),
            Err(fault) => self.event(Event::Fault(fault)),
        }
    }

    /// The broker lives.
    fn hear(&mut self, now: Instant, said: Option<&Said>) {
        let Link::Registered(up) = &mut self.link else { return };
        up.heard = now;
        let was_silent = up.interval.is_none();
        match said {
            Some(Said::Heartbeat(Some(interval))) => up.interval = Some(*interval),
            // It is bound to say its interval next; ours will do until then.
            Some(_) if self.speech.is_native() => up.interval = up.interval.or(Some(self.config.beat())),
            _ => {}
        }
        // A broker that only turns us away is no reason to come back sooner.
        if matches!(said, Some(Said::Request(..) | Said::Cancel(_) | Said::Drain(_) | Said::Heartbeat(_))) {
            self.backoff.reset();
        }
        if was_silent && self.speech.is_native() {
            self.event(Event::Registered { speech: self.speech });
        }
    }

    fn on_shutdown(&mut self, now: Instant) {
        if self.phase != Phase::Serving {
            return;
        }
        self.phase = Phase::Ending { until: now + self.config.shutdown_grace };
        match self.link {
            Link::Opening { .. } | Link::Holding => self.close(),
            Link::Waiting { .. } => self.link = Link::Down,
            Link::Registered(_) if self.speech.is_native() => self.send(now, Speech::drain(self.config.shutdown_grace)),
            // Not begun: the broker gives them to somebody else once it reads our DISCONNECT.
            Link::Registered(_) => self.jobs.forget_waiting(),
            Link::Down => {}
        }
        self.part_if_idle(now);
    }

    /// Says READY, if the connection waits for it and its dialect lets us.
    fn register(&mut self, now: Instant) {
        let has_room = self.speech.is_native() || self.has_free_slot() || mutants::on(Mutant::ReadyWithoutSlot);
        if !matches!(self.link, Link::Holding) || !has_room || self.phase != Phase::Serving {
            return;
        }
        let credit = self.credit_left();
        self.link = Link::Registered(Registration::new(now, credit));
        self.send(now, self.speech.ready(&self.config, credit));
        if !self.speech.is_native() {
            self.event(Event::Registered { speech: self.speech });
            if self.config.offers.len() > 1 {
                self.event(Event::NotOffered { services: self.config.offers.len() - 1 });
            }
        }
    }

    /// Gives the connection up; a new one is tried after `absence` and a growing delay.
    fn lose(&mut self, now: Instant, cause: Cause, absence: Duration) {
        let absence = if self.reroute() { Duration::ZERO } else { absence };
        self.jobs.forget_waiting();
        let orphans = self.jobs.orphan();
        self.close();
        let mut retry_in = None;
        if self.phase == Phase::Serving {
            let delay = absence.saturating_add(self.backoff.next_delay());
            self.link = Link::Waiting { until: now + delay };
            retry_in = Some(delay);
        }
        self.event(Event::Lost { cause, orphans: orphans.len(), retry_in });
        if self.speech.is_native() {
            orphans.into_iter().for_each(|job| self.outputs.push_back(Output::Stop { job }));
        }
        self.part_if_idle(now);
    }

    fn open(&mut self, now: Instant, speech: Speech) {
        self.speech = speech;
        let until = if self.route.has_choice() { now + OPENING_MAX } else { Instant::MAX };
        self.link = Link::Opening { until };
        self.outputs.push_back(Output::Open(self.route.place()));
    }

    fn close(&mut self) {
        self.link = Link::Down;
        self.outputs.push_back(Output::Close);
    }

    /// All that was to be done before the end, or before a drained connection is left, has been done.
    fn part_if_idle(&mut self, now: Instant) {
        let is_ending = matches!(self.phase, Phase::Ending { .. });
        match &mut self.link {
            Link::Registered(up) if self.speech.is_native() => {
                let is_parting = (is_ending || up.is_drained) && self.jobs.held() == 0;
                up.goodbye = is_parting.then(|| up.goodbye.unwrap_or(now + GOODBYE_WAIT));
            }
            _ if is_ending && self.jobs.is_empty() => self.end(now),
            _ => {}
        }
    }

    fn end(&mut self, now: Instant) {
        if matches!(self.link, Link::Registered(_)) {
            self.send(now, self.speech.disconnect());
        }
        self.link = Link::Down;
        self.phase = Phase::Ended;
        self.outputs.push_back(Output::Finished);
    }

    fn send(&mut self, now: Instant, frames: Frames) {
        if let Link::Registered(up) = &mut self.link {
            up.sent = now;
            self.outputs.push_back(Output::Send(frames));
        }
    }

    fn beat(&mut self, now: Instant) {
        if mutants::on(Mutant::SilentWhileBusy) && !self.jobs.is_empty() {
            if let Link::Registered(up) = &mut self.link {
                up.sent = now;
            }
            return;
        }
        self.send(now, self.speech.heartbeat(&self.config));
    }

    fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    /// When the broker counts as dead, or as one that does not speak 0.3, if it stays silent.
    fn expiry(&self, up: &Registration) -> Instant {
        if mutants::on(Mutant::TrustSilentBroker) {
            return Instant::MAX;
        }
        let patience = self.config.patience();
        up.heard
            + match (self.speech, up.interval) {
                (Speech::Native, None) => self.config.fallback_after,
                (Speech::Native, Some(interval)) => interval.saturating_mul(self.config.liveness),
                (Speech::Old(_), _) if self.jobs.is_empty() => patience,
                (Speech::Old(_), _) => patience.max(self.config.busy_grace),
            }
    }

    fn on_silence(&mut self, now: Instant) {
        let is_mute = matches!(&self.link, Link::Registered(up) if up.interval.is_none());
        if self.speech.is_native() && is_mute {
            self.on_unanswered(now);
        } else {
            self.lose(now, Cause::Silent, Duration::ZERO);
        }
    }

    fn tick_link(&mut self, now: Instant) {
        match &self.link {
            Link::Waiting { until } if *until <= now => self.open(now, self.config.speech),
            Link::Opening { until } if *until <= now => {
                self.outputs.push_back(Output::Close);
                self.route.turn();
                self.open(now, self.config.speech);
            }
            Link::Registered(up) if self.expiry(up) <= now => self.on_silence(now),
            Link::Registered(up) if up.goodbye.is_some_and(|goodbye| goodbye <= now) => self.say_goodbye(now),
            Link::Registered(up) if up.sent + self.config.beat() <= now => self.beat(now),
            _ => {}
        }
    }
}

impl Registration {
    fn new(now: Instant, credit: usize) -> Self {
        Self {
            heard: now,
            sent: now,
            interval: None,
            credit,
            credit_max: credit,
            refused: 0,
            drained: Vec::new(),
            is_drained: false,
            hints: Options::none(),
            goodbye: None,
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
            Input::Failed { job, failure } => self.on_end(now, job, Some(Err(failure))),
            Input::Stopped { job } => self.on_end(now, job, None),
            Input::Credit(credit) => self.on_credit(now, credit),
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
        self.end_due(now);
        self.tick_link(now);
    }

    fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn deadline(&self) -> Option<Instant> {
        let link = match &self.link {
            Link::Waiting { until } | Link::Opening { until } => Some(*until).filter(|until| *until < Instant::MAX),
            Link::Registered(up) => {
                let beat = self.expiry(up).min(up.sent + self.config.beat());
                Some(up.goodbye.map_or(beat, |goodbye| goodbye.min(beat)))
            }
            Link::Holding | Link::Down => None,
        };
        let phase = match self.phase {
            Phase::Ending { until } => Some(until),
            Phase::Serving => None,
            Phase::Ended => return None,
        };
        [link, phase, self.jobs.deadline()].into_iter().flatten().min()
    }
}

/// How long the other side may take to say the goodbye that is its to say.
const GOODBYE_WAIT: Duration = Duration::from_millis(2500);

#[cfg(test)]
mod tests;
