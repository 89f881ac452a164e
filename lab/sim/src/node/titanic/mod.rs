//! A Titanic's process: the store on a disk of its own, the worker that serves it and the client that calls for it.
//!
//! ```text
//!   broker ──► Session: four services ──► Store ──► DiskRegion ──► Disk, which loses what a crash takes
//!   broker ◄── Multiplex: calls       ◄──   ▲ └──── flushed, when the disk says so
//! ```
//!
//! What crosses from one machine to another does so as in the product's `titanic::server`.

mod outcome;
mod settings;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use client::multiplex::{self, Failure, Multiplex};
use client::number::Number;
use client::patience::{OnTimeout, Patience};
use protocol::mdp::client::Part;
use protocol::mdp::v03::{Idempotency, Terms};
use protocol::{Frames, Instant, Machine, RequestId, ServiceName};
use titanic::log::{Id, Job, Log, LogId, OpenError, State};
use titanic::store::{self, CallId, Store, Ticket, Verb};
use worker::session::{self, Session};
use worker::{Failure as JobFailure, JobId};

use super::{Actor, Context, Exit, Heard, Wish};
use crate::coverage;
use crate::crash::region::{DiskRegion, MAIN, NAME};
use crate::disk::{Config as DiskConfig, Counts, Disk, Done, Latency, Rates};
use crate::marker::Token;
use crate::net::{Link, Side};
use crate::plan;
use crate::queue::{MILLISECOND, Nanos};
use crate::rng::Rng;
use outcome::{check_safe, failed, name};

/// A Titanic.
#[derive(Debug)]
pub(crate) struct TitanicNode {
    plan: plan::Titanic,
    /// From then on its disk fails no more.
    calm_from: Nanos,
    seed: u64,
    disk: Rc<RefCell<Disk>>,
    file: DiskRegion,
    is_made: bool,
    counted: Counts,
    /// `None` before it is open, and after it has ended.
    store: Option<Store<DiskRegion>>,
    worker: Session,
    caller: Multiplex,
    worker_link: Option<Link>,
    caller_link: Option<Link>,
    asked: BTreeMap<Ticket, Asked>,
    calls: BTreeMap<Number, Call>,
    next_number: u64,
    flush: Option<(Done<()>, Job)>,
    /// The disk has failed: the process ends when its worker has said so.
    has_failed: bool,
}

/// A question to the store.
#[derive(Clone, Copy, Debug)]
struct Asked {
    job: JobId,
    /// Whose answer is asked for.
    answer_of: Option<Id>,
}

/// Something that is asked at the broker.
#[derive(Debug)]
struct Call {
    about: About,
    /// The parts of the answer so far.
    parts: Frames,
}

#[derive(Debug)]
enum About {
    Call(CallId),
    Look(ServiceName),
}

impl TitanicNode {
    pub(crate) fn new(plan: &plan::Titanic, storm_ms: u64, seed: u64, chance: Rng) -> Self {
        let latency = Latency { flush: Duration::from_micros(plan.flush_us), ..Latency::default() };
        let config = DiskConfig { tears_sectors: plan.tears_sectors, latency, ..DiskConfig::default() };
        let disk = Rc::new(RefCell::new(Disk::new(config, chance)));
        Self {
            calm_from: storm_ms * MILLISECOND,
            seed,
            file: DiskRegion::quiet(Rc::clone(&disk), Instant::ZERO),
            disk,
            is_made: false,
            counted: Counts::default(),
            store: None,
            worker: Session::new(settings::worker_config(plan, seed)),
            caller: Multiplex::new(settings::caller_config(seed)),
            worker_link: None,
            caller_link: None,
            asked: BTreeMap::new(),
            calls: BTreeMap::new(),
            next_number: 0,
            flush: None,
            has_failed: false,
            plan: plan.clone(),
        }
    }

    /// Opens the log, or makes it, on a disk that is in order until the store begins.
    fn open(&mut self, context: &mut Context<'_>) -> Result<(), OpenError> {
        self.file = DiskRegion::quiet(Rc::clone(&self.disk), self.file.now());
        self.file.pass(Instant::from_nanos(context.env.now));
        let settings = settings::log(&self.plan);
        let (log, report) = if self.is_made {
            self.set_rates(context.env.now);
            self.file.open(NAME).map_err(|error| OpenError::Io(std::io::Error::other(error)))?;
            Log::open(self.file.clone(), &settings, &mut |_| {})?
        } else {
            self.file.create();
            let log = Log::create(self.file.clone(), LogId(self.secret()), &settings, &mut |_| {})?;
            self.file.settle_names();
            self.is_made = true;
            self.set_rates(context.env.now);
            (log, titanic::log::Recovery::default())
        };
        if report.lost_bytes > 0 {
            context.check("deposits", Err(format!("durable octets are missing: {report:?}")));
        }
        let recovered = context.env.deposits.on_recovered(|id| log.find(id).map(|entry| entry.state()));
        context.check("deposits", recovered);
        self.store = Some(Store::new(log, settings::store_config(&self.plan), ORIGIN_MS));
        Ok(())
    }

    fn set_rates(&self, now: Nanos) {
        let plan::DiskFailures { write_error, short_write, flush_error, no_space, spike } = self.plan.disk;
        let rates = Rates { write_error, short_write, flush_error, no_space, spike, ..Rates::default() };
        self.disk.borrow_mut().set_rates(if now < self.calm_from { rates } else { Rates::default() });
    }

    fn secret(&self) -> [u8; 16] {
        (u128::from(self.seed) | 1 << 100).to_le_bytes()
    }

    /// The time of the disk.
    fn pass(&self, context: &Context<'_>) {
        self.file.pass(Instant::from_nanos(context.env.now));
    }

    /// Place in the states of the coverage table.
    fn state(&self) -> usize {
        let Some(store) = &self.store else { return 0 };
        let log = store.log();
        let is_open = log.count(State::Open) + log.count(State::Attempted) > 0;
        usize::from(is_open) + 2 * usize::from(log.count(State::Dead) > 0)
    }

    fn tell(&mut self, context: &mut Context<'_>, input: store::Input, kind: usize) {
        let before = self.state();
        let Some(store) = &mut self.store else { return };
        context.env.coverage.met(coverage::Machine::Titanic, before, kind);
        store.handle(context.local, input);
        context.env.coverage.changed(coverage::Machine::Titanic, before, self.state());
    }

    fn on_worker(&mut self, context: &mut Context<'_>, output: session::Output) {
        match output {
            session::Output::Open(_) => self.worker_link = context.dial(Bytes::new()),
            session::Output::Close => {
                if let Some(link) = self.worker_link.take() {
                    context.close(link, Side::Dialer, false);
                }
            }
            session::Output::Send(frames) => {
                if let Some(link) = self.worker_link {
                    context.send(link, Side::Dialer, frames);
                }
            }
            session::Output::Handle { job, assignment } => self.ask(context, job, assignment),
            session::Output::Stop { job } => {
                self.asked.remove(&Ticket(job.0));
                self.tell(context, store::Input::Withdrawn(Ticket(job.0)), WITHDRAWN);
                self.worker.handle(context.local, session::Input::Stopped { job });
            }
            session::Output::Event(event) => super::session::observe(context, &event),
            session::Output::Finished => {
                if let Some(link) = self.worker_link.take() {
                    context.close(link, Side::Dialer, true);
                }
                if self.has_failed {
                    self.file.close();
                    context.exit = Some(Exit::Replaced);
                }
                self.tell(context, store::Input::End, END);
            }
        }
    }

    /// One of the services is asked.
    fn ask(&mut self, context: &mut Context<'_>, job: JobId, assignment: worker::Assignment) {
        let verb = Verb::ALL.into_iter().find(|verb| *assignment.service.as_bytes() == *verb.service().as_bytes());
        let (Some(verb), true) = (verb, self.store.is_some()) else {
            let failure = JobFailure::new(503, "the store has ended");
            return self.worker.handle(context.local, session::Input::Failed { job, failure });
        };
        let chosen = assignment.id.map(|id| Id(id.0));
        let fresh = Id((u128::from(context.rng.bits()) << 64 | u128::from(context.rng.bits())).to_be_bytes());
        if let (Verb::Request, Some((token, _))) = (verb, Token::find_deposit(&assignment.body)) {
            let asked = context.env.deposits.on_asked(chosen.unwrap_or(fresh), token, &assignment.body);
            context.check("deposits", asked);
        }
        let asked_for = assignment.body.first().filter(|_| verb == Verb::Reply);
        self.asked.insert(Ticket(job.0), Asked { job, answer_of: asked_for.and_then(|id| store::read_id(id)) });
        let (ticket, body) = (Ticket(job.0), assignment.body);
        self.tell(context, store::Input::Asked { ticket, verb, chosen, fresh, body }, verb as usize);
    }

    fn on_caller(&mut self, context: &mut Context<'_>, output: multiplex::Output) {
        match output {
            multiplex::Output::Open(dial) => self.caller_link = context.dial(dial.identity),
            multiplex::Output::Close => {
                if let Some(link) = self.caller_link.take() {
                    context.close(link, Side::Dialer, false);
                }
            }
            multiplex::Output::Send(frames) => {
                if let Some(link) = self.caller_link {
                    context.send(link, Side::Dialer, frames);
                }
            }
            multiplex::Output::Part(number, part) => {
                self.calls.get_mut(&number).into_iter().for_each(|call| call.parts.extend(part.clone()));
            }
            multiplex::Output::Restarted(number) => {
                self.calls.get_mut(&number).into_iter().for_each(|call| call.parts = Frames::new());
            }
            multiplex::Output::Done(number, outcome) => self.on_done(context, number, outcome),
            multiplex::Output::Event(event) => super::pirate::observe(context, &event),
            multiplex::Output::Finished => {}
        }
    }

    /// A call, or a question about a service, has ended.
    fn on_done(&mut self, context: &mut Context<'_>, number: Number, outcome: Result<Frames, Failure>) {
        let Some(Call { about, mut parts }) = self.calls.remove(&number) else { return };
        match (about, outcome) {
            (About::Look(service), outcome) => {
                let code = outcome.ok().and_then(|body| body.first().cloned());
                let served = code.and_then(|code| match &*code {
                    b"200" => Some(true),
                    b"404" => Some(false),
                    _ => None,
                });
                self.tell(context, store::Input::Looked(service, served), LOOKED);
            }
            (About::Call(call), Ok(last)) => {
                parts.extend(last);
                self.tell(context, store::Input::Ended(call, store::Outcome::Answered(parts)), ANSWERED);
            }
            (About::Call(call), Err(failure)) => {
                let (outcome, kind) = failed(failure);
                self.tell(context, store::Input::Ended(call, outcome), kind);
            }
        }
    }

    fn on_store(&mut self, context: &mut Context<'_>, output: store::Output) {
        match output {
            store::Output::Tell(ticket, body) => {
                if let Some(Asked { job, answer_of }) = self.asked.remove(&ticket) {
                    context.check("deposits", check_safe(self.store.as_ref(), answer_of, &body));
                    self.worker.handle(context.local, session::Input::Reply { job, part: Part::Final, body });
                }
            }
            store::Output::Flush(job) => self.begin_flush(context, job),
            store::Output::Call { call, id, service, body } => {
                let called = context.env.deposits.on_call(id);
                context.check("deposits", called);
                let timeout = Duration::from_millis(self.plan.call_timeout_ms);
                // The broker keeps no answer of it: the store does, and what failed is to be tried again.
                let idempotency = Idempotency::Repeatable;
                let terms = Terms { deadline: Some(timeout), idempotency, ..Terms::default() };
                let patience = Patience { timeout, on_timeout: OnTimeout::Abort, ..Patience::default() };
                self.submit(context, About::Call(call), (service, body), patience, terms, Some(RequestId(id.0)));
            }
            store::Output::Abandon(call) => {
                let is_it = |(_, asked): &(&Number, &Call)| matches!(asked.about, About::Call(of) if of == call);
                let number = self.calls.iter().find(is_it).map(|(number, _)| *number);
                if let Some(number) = number {
                    self.calls.remove(&number);
                    self.caller.handle(context.local, multiplex::Input::Forget(number));
                }
            }
            store::Output::Look(service) => {
                let patience = Patience { on_timeout: OnTimeout::Abort, ..Patience::default() };
                let terms = Terms { deadline: Some(patience.total()), ..Terms::default() };
                let asked = ("mmi.service".parse().expect("it is a name"), Frames::from([service.to_frame()]));
                self.submit(context, About::Look(service), asked, patience, terms, None);
            }
            store::Output::Event(event) => {
                context.trace(|| format!("{event:?}"));
                if let Some(name) = name(&event) {
                    context.env.coverage.told(name);
                }
                // A flush that has failed, which is not known yet, may have dropped what readers saw.
                let may_lose = self.flush.as_ref().is_some_and(|(done, _)| done.result.is_err());
                if let (store::Event::Damaged { id }, false) = (event, may_lose) {
                    context.check("deposits", Err(format!("a record of {id} is damaged, and no octet was")));
                }
            }
            store::Output::Finished(Ok(())) => {
                let Some(store) = self.store.take() else { return };
                // An error means that the disk fails in the last moment: what was acknowledged is safe.
                let _ = store.into_log().close();
                self.file.close();
                self.note_faults(context);
                context.exit = Some(Exit::Finished);
            }
            store::Output::Finished(Err(_)) => {
                (self.store, self.has_failed) = (None, true);
                self.worker.handle(context.local, session::Input::Shutdown);
            }
        }
    }

    fn begin_flush(&mut self, context: &mut Context<'_>, job: Job) {
        match self.file.begin_flush() {
            Ok(done) => {
                self.flush = Some((done, job));
                context.later(done.at.as_nanos().saturating_sub(context.env.now), FLUSH);
            }
            Err(error) => self.tell(context, store::Input::FlushFailed(error.kind()), FLUSH_FAILED),
        }
    }

    fn submit(
        &mut self,
        context: &mut Context<'_>,
        about: About,
        (service, body): (ServiceName, Frames),
        patience: Patience,
        terms: Terms,
        id: Option<RequestId>,
    ) {
        self.next_number += 1;
        let number = Number(self.next_number);
        self.calls.insert(number, Call { about, parts: Frames::new() });
        self.caller.handle(context.local, multiplex::Input::Submit { number, service, body, patience, terms, id });
    }

    /// Adds what befell the disk since the last time to the world's account.
    fn note_faults(&mut self, context: &mut Context<'_>) {
        let counts = self.disk.borrow().counts().clone();
        context.env.disks.merge(&counts.since(&self.counted));
        self.counted = counts;
    }

    fn end(&mut self, context: &mut Context<'_>) {
        if !self.has_failed {
            self.worker.handle(context.local, session::Input::Shutdown);
            self.tell(context, store::Input::Quiet, QUIET);
        }
    }
}

impl Actor for TitanicNode {
    fn start(&mut self, context: &mut Context<'_>) {
        // Each process has another name and starts its jitter elsewhere.
        self.seed = self.seed.wrapping_add(1);
        self.worker = Session::new(settings::worker_config(&self.plan, self.seed));
        self.caller = Multiplex::new(settings::caller_config(self.seed));
        (self.worker_link, self.caller_link) = (None, None);
        self.asked.clear();
        self.calls.clear();
        (self.flush, self.has_failed) = (None, false);
        context.env.deposits.remember(self.plan.remembered_max);
        match self.open(context) {
            Ok(()) => {}
            // A disk that fails, or is full for the moment, may do so here too.
            Err(OpenError::Io(_) | OpenError::NoRoom { .. }) => {
                context.env.coverage.told("titanic: cannot open its log");
                context.exit = Some(Exit::Died);
            }
            Err(error) => context.check("deposits", Err(format!("the log cannot be opened: {error}"))),
        }
    }

    fn lose_power(&mut self, context: &mut Context<'_>) {
        self.pass(context);
        self.disk.borrow_mut().cut_power(self.file.now());
        self.note_faults(context);
    }

    fn die(&mut self, context: &mut Context<'_>) {
        self.pass(context);
        self.store = None;
        // Where the power is gone nothing is left to be closed.
        self.disk.borrow_mut().crash_process(self.file.now(), MAIN);
        self.note_faults(context);
    }

    fn hear(&mut self, context: &mut Context<'_>, link: Link, heard: Heard) {
        self.pass(context);
        if self.worker_link == Some(link) {
            let input = match heard {
                Heard::Connected { .. } => session::Input::Connected,
                Heard::Message(frames) => session::Input::Message(frames),
                Heard::Disconnected => session::Input::Disconnected,
            };
            self.worker.handle(context.local, input);
        } else if self.caller_link == Some(link) {
            let input = match heard {
                Heard::Connected { .. } => multiplex::Input::Connected,
                Heard::Message(frames) => multiplex::Input::Message(frames),
                Heard::Disconnected => multiplex::Input::Disconnected,
            };
            self.caller.handle(context.local, input);
        }
    }

    /// The disk answers to a flush.
    fn task(&mut self, context: &mut Context<'_>, _task: u64) {
        self.pass(context);
        let Some((done, job)) = self.flush.take() else { return };
        match self.file.end_flush(done) {
            Ok(()) => self.tell(context, store::Input::Flushed(job), FLUSHED),
            Err(error) => self.tell(context, store::Input::FlushFailed(error.kind()), FLUSH_FAILED),
        }
    }

    fn wish(&mut self, context: &mut Context<'_>, wish: Wish) {
        self.pass(context);
        match wish {
            Wish::Calm => self.set_rates(context.env.now),
            Wish::Probe => {}
            Wish::Drain | Wish::End => self.end(context),
        }
    }

    fn tick(&mut self, context: &mut Context<'_>) {
        self.pass(context);
        let now = context.local;
        if self.worker.deadline().is_some_and(|at| at <= now) {
            self.worker.tick(now);
        }
        if self.caller.deadline().is_some_and(|at| at <= now) {
            self.caller.tick(now);
        }
        let before = self.state();
        if let Some(store) = self.store.as_mut().filter(|store| store.deadline().is_some_and(|at| at <= now)) {
            context.env.coverage.met(coverage::Machine::Titanic, before, TICK);
            store.tick(now);
            context.env.coverage.changed(coverage::Machine::Titanic, before, self.state());
        }
    }

    fn settle(&mut self, context: &mut Context<'_>) {
        self.pass(context);
        while context.exit.is_none() {
            if let Some(output) = self.worker.poll() {
                self.on_worker(context, output);
            } else if let Some(output) = self.caller.poll() {
                self.on_caller(context, output);
            } else if let Some(output) = self.store.as_mut().and_then(Machine::poll) {
                self.on_store(context, output);
            } else {
                return;
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let store = self.store.as_ref().and_then(Machine::deadline);
        [self.worker.deadline(), self.caller.deadline(), store].into_iter().flatten().min()
    }
}

/// The only task: a flush is over.
const FLUSH: u64 = 0;
/// Milliseconds from 1970 to the origin of time here.
const ORIGIN_MS: u64 = 1_000_000_000_000;

// Places in the inputs of the coverage table; the first four are the services.
const WITHDRAWN: usize = 4;
const FLUSHED: usize = 5;
const FLUSH_FAILED: usize = 6;
const ANSWERED: usize = 7;
const LOOKED: usize = 10;
const QUIET: usize = 11;
const END: usize = 12;
const TICK: usize = 13;
