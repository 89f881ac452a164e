//! The store: Titanic's three services of RFC 9, and a fourth for what was given up, as one machine over a log.
//!
//! ```text
//!   titanic.request ──► append ──► Flush ──► on_flushed ──► 200 and the id; the request is offered to its lane
//!   lanes ──► Call ──► Ended ──► append the answer ──► Flush ──► on_flushed ──► it is answered; who waits is woken
//!   titanic.reply, titanic.close, titanic.dead ──► what the log says, once that is safe
//! ```
//!
//! **An acknowledgement leaves from `Store::on_flushed` and from nowhere else** ([`Sync::Always`]): whatever depends
//! on a record is parked under its number until a flush has covered it. All that arrives while a flush is under way
//! shares the next one. After a failed flush everybody is told 500, for good. With [`Sync::Within`] the operating
//! system's word is enough, and `on_written` stands for `on_flushed`.
//!
//! A request may be *executed* more than once: the answer is stored before the request counts as done, and what was
//! under way when the process died is called again, under the same id. It has one visible answer: one that is not safe
//! yet is shown to nobody.
//!
//! - `services` what is asked and answered; `dead` what was given up; [`status`] the digits
//! - `calls` calling the real services; `lanes` who is next; `expiry` what becomes too old
//! - `opened` what a log that was opened means; [`note`] what the store writes into its records
//! - this file: what waits for a flush

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use protocol::mutants::{self, Mutant};
use protocol::{Frames, Instant, Machine, ServiceName};

use crate::log::{Id, Job, Log, Lsn, Region, Stopped};

mod ages;
mod calls;
mod config;
mod dead;
mod event;
mod expiry;
mod io;
mod lanes;
pub mod note;
mod opened;
mod services;
pub mod status;
#[cfg(test)]
mod tests;
mod waiters;

use ages::Ages;
use calls::{Call, Doubt};
pub use calls::{CallId, Outcome};
pub use config::{Config, Sync};
pub use event::Event;
pub use io::{Counters, Input, Output, Ticket};
use lanes::Lanes;
pub use services::Verb;
use status::Acknowledgements;
pub use status::{Status, read_id};
use waiters::Waiters;

/// What is to be done once a record is safe.
#[derive(Debug)]
enum Then {
    Tell(Ticket, Word),
    Reply(Ticket, Id),
    ReadDead(Ticket, Id),
    Offer(Id, ServiceName),
    Wake(Id),
}

/// What is told once a record is safe. It is put into frames when it is told: thousands may be parked.
#[derive(Debug)]
enum Word {
    Taken(Id),
    Done,
    Closed,
}

/// The machine.
#[derive(Debug)]
pub struct Store<R> {
    log: Log<R>,
    config: Config,
    /// Milliseconds from 1970 to the origin of the driver's time.
    origin_ms: u64,
    now: Instant,
    /// Everything below may be told.
    safe: Lsn,
    /// In the order of their numbers.
    parked: VecDeque<(Lsn, Then)>,
    is_flushing: bool,
    /// Written and not flushed yet, and when it is to be ([`Sync::Within`]).
    unflushed: Option<(Job, Instant)>,
    /// Something has happened since the last batch was written.
    is_disturbed: bool,
    waiters: Waiters,
    lanes: Lanes,
    calls: BTreeMap<CallId, Call>,
    calling: BTreeMap<Id, CallId>,
    next_call: u64,
    /// Octets of what the calls under way ask.
    call_bytes: usize,
    doubts: BTreeMap<ServiceName, Vec<Doubt>>,
    /// Requests that are called again later.
    resting: BTreeMap<(Instant, Id), ServiceName>,
    open_ages: Ages,
    answer_ages: Ages,
    closed_ages: Ages,
    dead: BTreeSet<Id>,
    /// Octets that were read out of the log, were told, and may not have left yet.
    told_bytes: usize,
    /// What is told when they have.
    held: BTreeMap<Ticket, Then>,
    counters: Counters,
    stage: Stage,
    scratch: Vec<u8>,
    acknowledgements: Acknowledgements,
    outputs: VecDeque<Output>,
}

/// Whether it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Running,
    Quiet,
    Ending,
    Finished,
    Stopped(Stopped),
}

impl<R: Region> Store<R> {
    /// A store over a log that was opened. `origin_ms` are the milliseconds from 1970 to the origin of the driver's
    /// time; by them ages are counted over restarts.
    pub fn new(log: Log<R>, config: Config, origin_ms: u64) -> Self {
        let mut store = Self {
            safe: log.durable(),
            lanes: Lanes::new(config.clone()),
            log,
            config,
            origin_ms,
            now: Instant::ZERO,
            parked: VecDeque::new(),
            is_flushing: false,
            unflushed: None,
            is_disturbed: true,
            waiters: Waiters::default(),
            calls: BTreeMap::new(),
            calling: BTreeMap::new(),
            next_call: 0,
            call_bytes: 0,
            doubts: BTreeMap::new(),
            resting: BTreeMap::new(),
            open_ages: Ages::default(),
            answer_ages: Ages::default(),
            closed_ages: Ages::default(),
            dead: BTreeSet::new(),
            told_bytes: 0,
            held: BTreeMap::new(),
            counters: Counters::default(),
            stage: Stage::Running,
            scratch: Vec::new(),
            acknowledgements: Acknowledgements::default(),
            outputs: VecDeque::new(),
        };
        store.take_in();
        store.pump();
        store
    }

    /// The log, to be looked into.
    pub fn log(&self) -> &Log<R> {
        &self.log
    }

    /// The log, to be closed.
    pub fn into_log(self) -> Log<R> {
        self.log
    }

    /// Totals since the start.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// How much waits for a flush: acknowledgements, and what follows from them.
    pub fn parked(&self) -> usize {
        self.parked.len()
    }

    /// Whether answers wait until those before them have left ([`Input::Relieved`]).
    pub fn is_holding(&self) -> bool {
        !self.held.is_empty()
    }

    /// Milliseconds since 1970.
    fn wall_ms(&self) -> u64 {
        self.origin_ms.saturating_add(self.now.as_nanos() / 1_000_000)
    }

    fn is_safe(&self, lsn: Lsn) -> bool {
        lsn < self.safe
    }

    /// Does it once the record with this number is safe; at once if it is.
    fn once_safe(&mut self, lsn: Lsn, then: Then) {
        let is_told_early = matches!(then, Then::Tell(..)) && mutants::on(Mutant::AcknowledgeBeforeFlush);
        if self.is_safe(lsn) || is_told_early {
            return self.carry_out(then);
        }
        // Records are copied forward, so an older state may have a newer number: what waits longer than it must is
        // still told by the next flush.
        let lsn = self.parked.back().map_or(lsn, |(last, _)| lsn.max(*last));
        self.parked.push_back((lsn, then));
    }

    /// Does it once all that somebody waits for is safe: an id that is not known may be one whose end is not.
    fn once_all_is_safe(&mut self, then: Then) {
        match self.parked.back() {
            Some((lsn, _)) => self.parked.push_back((*lsn, then)),
            None => self.carry_out(then),
        }
    }

    fn carry_out(&mut self, then: Then) {
        match then {
            Then::Tell(ticket, Word::Taken(id)) => {
                let acknowledgement = self.acknowledgements.make(id);
                self.tell(ticket, acknowledgement);
            }
            Then::Tell(ticket, Word::Done) => self.tell(ticket, status::ok()),
            Then::Tell(ticket, Word::Closed) => self.tell(ticket, Status::Invalid.because("closed")),
            Then::Reply(ticket, id) => self.reply(ticket, id, Duration::ZERO),
            Then::ReadDead(ticket, id) => self.read_dead(ticket, id),
            Then::Offer(id, service) => self.lanes.offer(&service, id),
            Then::Wake(id) => self.waiters.take_all(&id).into_iter().for_each(|ticket| {
                self.reply(ticket, id, Duration::ZERO);
            }),
        }
    }

    fn tell(&mut self, ticket: Ticket, frames: Frames) {
        self.outputs.push_back(Output::Tell(ticket, frames));
    }

    /// Tells what was read out of the log.
    fn tell_read(&mut self, ticket: Ticket, frames: Frames) {
        self.told_bytes = self.told_bytes.saturating_add(frames.byte_count());
        self.tell(ticket, frames);
    }

    /// Whether what is read out of the log has to wait until what was told before has left: the answers of a thousand
    /// clients that are all large are in memory a few at a time.
    fn holds(&mut self, ticket: Ticket, then: Then) -> bool {
        let holds = self.told_bytes >= self.config.told_bytes_max;
        if holds {
            self.held.insert(ticket, then);
        }
        holds
    }

    fn on_relieved(&mut self) {
        self.told_bytes = 0;
        while self.told_bytes < self.config.told_bytes_max
            && let Some((_, then)) = self.held.pop_first()
        {
            self.carry_out(then);
        }
    }

    fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    /// The one place where a flush makes anything known.
    fn on_flushed(&mut self, job: Job) {
        self.is_flushing = false;
        self.log.on_flushed(job);
        if self.config.sync == Sync::Always {
            self.release(self.log.durable());
        }
    }

    /// The operating system has it, and that is enough here.
    fn on_written(&mut self, job: Job, within: Duration) {
        let at = self.unflushed.map_or(self.now + within, |(_, at)| at);
        self.unflushed = Some((job, at));
        self.release(job.upto);
    }

    fn release(&mut self, safe: Lsn) {
        self.safe = self.safe.max(safe);
        while self.parked.front().is_some_and(|(lsn, _)| self.is_safe(*lsn)) {
            if let Some((_, then)) = self.parked.pop_front() {
                self.carry_out(then);
            }
        }
    }

    /// The disk failed: what is on it is known only to who opens the log again. Whoever waits is told 500.
    fn stop(&mut self, stopped: Stopped) {
        if matches!(self.stage, Stage::Stopped(_)) {
            return;
        }
        self.stage = Stage::Stopped(stopped);
        for (_, then) in std::mem::take(&mut self.parked) {
            if let Then::Tell(ticket, _) | Then::Reply(ticket, _) | Then::ReadDead(ticket, _) = then {
                self.tell(ticket, Status::Failed.because(stopped));
            }
        }
        for ticket in std::mem::take(&mut self.held).into_keys() {
            self.tell(ticket, Status::Failed.because(stopped));
        }
        for ticket in self.waiters.drain() {
            self.tell(ticket, Status::Failed.because(stopped));
        }
        self.event(Event::Stopped(stopped.0));
        self.outputs.push_back(Output::Finished(Err(stopped)));
    }

    fn on_hurry(&mut self) {
        for ticket in self.waiters.drain() {
            self.tell(ticket, Status::Pending.because("pending"));
        }
    }

    fn on_quiet(&mut self) {
        if self.stage == Stage::Running {
            self.stage = Stage::Quiet;
            self.on_hurry();
            let calls = std::mem::take(&mut self.calls);
            self.outputs.extend(calls.into_keys().map(Output::Abandon));
        }
    }

    fn on_end(&mut self) {
        self.on_quiet();
        // Nobody is waited for any more, so what waits for somebody's reading does not leave either.
        self.held.clear();
        if self.stage == Stage::Quiet {
            self.stage = Stage::Ending;
        }
    }

    /// Writes what has gathered, once for all that has happened since the last time. Whether there is anything to do.
    fn write(&mut self) -> bool {
        let is_running = matches!(self.stage, Stage::Running | Stage::Quiet | Stage::Ending);
        if !is_running || !self.is_disturbed || (self.config.sync == Sync::Always && self.is_flushing) {
            return false;
        }
        self.is_disturbed = false;
        if !self.log.needs_write() {
            return false;
        }
        match (self.log.write_out(), self.config.sync) {
            (Ok(Some(job)), Sync::Always) => self.flush(job),
            (Ok(Some(job)), Sync::Within(within)) => self.on_written(job, within),
            (Ok(None), _) => return false,
            (Err(stopped), _) => self.stop(stopped),
        }
        self.let_go_of_the_lost();
        true
    }

    /// Records that were damaged since the log was opened, and were found out when they were to be copied.
    fn let_go_of_the_lost(&mut self) {
        for id in self.log.take_lost() {
            self.dead.remove(&id);
            self.event(Event::Damaged { id });
            self.carry_out(Then::Wake(id));
        }
    }

    fn flush(&mut self, job: Job) {
        self.is_flushing = true;
        self.counters.flushes += 1;
        self.outputs.push_back(Output::Flush(job));
    }

    /// Flushes what was written some time ago.
    fn flush_later(&mut self) {
        let is_ending = self.stage == Stage::Ending;
        if let Some((job, _)) = self.unflushed.filter(|(_, at)| (*at <= self.now || is_ending) && !self.is_flushing) {
            self.unflushed = None;
            self.flush(job);
        }
    }

    fn finish(&mut self) {
        let is_idle = self.parked.is_empty() && self.held.is_empty() && !self.is_flushing && self.unflushed.is_none();
        if self.stage == Stage::Ending && is_idle {
            self.stage = Stage::Finished;
            self.outputs.push_back(Output::Finished(Ok(())));
        }
    }

    fn settle(&mut self) {
        self.is_disturbed = true;
        // It may have done so anywhere, also where a request was merely to be refused.
        if let Some(stopped) = self.log.stopped() {
            self.stop(stopped);
        }
        self.sweep();
        self.pump();
    }
}

impl<R: Region> Machine for Store<R> {
    type Input = Input;
    type Output = Output;

    fn handle(&mut self, now: Instant, input: Input) {
        self.now = now;
        match input {
            Input::Asked { ticket, verb, chosen, fresh, body } => self.on_asked(ticket, verb, chosen, fresh, body),
            Input::Withdrawn(ticket) => {
                self.waiters.withdraw(ticket);
                self.held.remove(&ticket);
            }
            Input::Flushed(job) => self.on_flushed(job),
            Input::FlushFailed(_) if mutants::on(Mutant::RetryFailedFlush) => self.is_flushing = false,
            Input::FlushFailed(kind) => {
                let stopped = self.log.on_flush_failed(&kind.into());
                self.stop(stopped);
            }
            Input::Ended(call, outcome) => self.on_ended(call, outcome),
            Input::Looked(service, served) => self.on_looked(&service, served),
            Input::Relieved => self.on_relieved(),
            Input::Hurry => self.on_hurry(),
            Input::Quiet => self.on_quiet(),
            Input::End => self.on_end(),
        }
        self.settle();
    }

    fn tick(&mut self, now: Instant) {
        self.now = now;
        if matches!(self.stage, Stage::Running) {
            for (ticket, id) in self.waiters.pop_due(now) {
                self.reply(ticket, id, Duration::ZERO);
            }
            self.wake_the_rested();
            self.lanes.tick(now);
            self.expire();
        }
        self.settle();
    }

    fn poll(&mut self) -> Option<Output> {
        loop {
            if let Some(output) = self.outputs.pop_front() {
                return Some(output);
            }
            if !self.write() {
                self.flush_later();
                self.finish();
                return self.outputs.pop_front();
            }
            self.pump();
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let flush = self.unflushed.filter(|_| !self.is_flushing).map(|(_, at)| at);
        if self.stage != Stage::Running {
            return flush.filter(|_| matches!(self.stage, Stage::Quiet | Stage::Ending));
        }
        let rested = self.resting.first_key_value().map(|((at, _), _)| *at);
        let waited = self.waiters.deadline();
        [flush, rested, waited, self.lanes.deadline(), self.expiry()].into_iter().flatten().min()
    }
}
