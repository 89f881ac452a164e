//! A worker's process: our session machine and its handlers.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use protocol::mdp::client::Part;
use protocol::mdp::v03::{Offer, Options};
use protocol::{Frames, Instant, Machine};
use worker::session::{Input, Output, Session, State};
use worker::{Cause, Config, Event, Failure, JobId, Speech};

use super::work::Work;
use super::{Actor, Context, Exit, Heard, Wish, service_name};
use crate::coverage;
use crate::net::{Link, Side};
use crate::oracle::delays::Delays;
use crate::oracle::ledger::OWN;
use crate::oracle::registration::{Registration, Rules};
use crate::oracle::spoken::Command;
use crate::plan;
use crate::queue::MILLISECOND;

/// A worker.
#[derive(Debug)]
pub(crate) struct SessionNode {
    plan: plan::Worker,
    config: Config,
    machine: Session,
    link: Option<Link>,
    jobs: BTreeMap<JobId, Work>,
    registration: Registration,
    delays: Delays,
    /// Handlers that were told to stop, and have not yet.
    stopping: BTreeSet<JobId>,
    /// Whether one of its services was drained, and the others go on: it is started anew once all is calm.
    has_given_up: bool,
    is_calm: bool,
}

// Tasks; others are numbers of jobs.
const LEAVE: u64 = u64::MAX - 1;
const CREDIT: u64 = u64::MAX - 2;
const REJOIN: u64 = u64::MAX - 3;

impl SessionNode {
    pub(crate) fn new(plan: &plan::Worker, seed: u64) -> Self {
        let config = Config {
            offers: offers(plan),
            about: Options::build().name(&format!("worker {}", plan.id)).finish().unwrap_or_default(),
            speech: if plan.native.is_some() { Speech::Native } else { Speech::Old(plan.dialect) },
            fallback: plan.native.as_ref().filter(|native| native.falls_back).map(|_| plan.dialect),
            fallback_after: Duration::from_millis(700),
            absence: ABSENCE,
            heartbeat: Duration::from_millis(plan.heartbeat_ms),
            liveness: plan.liveness,
            busy_grace: Duration::from_millis(plan.busy_grace_ms),
            reconnect_first: Duration::from_millis(50),
            reconnect_max: Duration::from_millis(800),
            shutdown_grace: Duration::from_millis(plan.shutdown_grace_ms),
            credit: plan.credit,
            seed,
            ..Config::of(Vec::new())
        };
        let machine = Session::new(config.clone());
        let (registration, delays) = oracles(&config);
        Self {
            plan: plan.clone(),
            config,
            machine,
            link: None,
            jobs: BTreeMap::new(),
            stopping: BTreeSet::new(),
            has_given_up: false,
            registration,
            delays,
            is_calm: false,
        }
    }

    fn handle(&mut self, context: &mut Context<'_>, input: Input, kind: usize) {
        let before = self.machine.state() as usize;
        context.env.coverage.met(coverage::Machine::Worker, before, kind);
        self.machine.handle(context.local, input);
        context.env.coverage.changed(coverage::Machine::Worker, before, self.machine.state() as usize);
    }

    fn begin(&mut self, context: &mut Context<'_>, job: JobId, body: &Frames) {
        let work = Work::begin(context, &self.plan, body, self.is_calm);
        let pause = work.pause(context, &self.plan, self.is_calm);
        let running = self.jobs.len() + self.stopping.len() + 1;
        if self.jobs.insert(job, work).is_some() || running > self.config.credit {
            let what = format!("{} runs {running} jobs, its credit is {}", context.name, self.config.credit);
            context.env.oracles.violated(context.env.now, "credit", what);
        }
        context.later(pause, job.0);
    }

    /// Nobody waits for this answer any more. Some handlers stop at once, others are slow to see it.
    fn stop(&mut self, context: &mut Context<'_>, job: JobId) {
        if self.jobs.remove(&job).is_none() {
            return;
        }
        self.stopping.insert(job);
        let is_quick = self.plan.native.as_ref().is_none_or(|native| native.stops);
        let pause = if is_quick { 0 } else { context.up_to(self.plan.part_ms) };
        context.later(pause, job.0);
    }

    /// So many jobs may run at once from now on.
    fn change_credit(&mut self, context: &mut Context<'_>) {
        let pause_ms = self.plan.native.as_ref().map_or(0, |native| native.credit_ms);
        let pause = context.up_to(pause_ms);
        context.later(pause + MILLISECOND, CREDIT);
        let credit = if self.is_calm {
            self.plan.credit
        } else {
            usize::try_from(context.rng.below(self.plan.credit as u64 + 1)).unwrap_or(1)
        };
        if credit != self.config.credit {
            self.config.credit = credit;
            self.registration.on_credit(credit);
            self.handle(context, Input::Credit(credit), CREDITED);
        }
    }

    fn advance(&mut self, context: &mut Context<'_>, job: JobId) {
        if self.stopping.remove(&job) {
            return self.handle(context, Input::Stopped { job }, STOPPED);
        }
        if self.link.is_some_and(|link| context.env.net.is_clogged(link, Side::Dialer)) {
            return context.later(2 * MILLISECOND, job.0);
        }
        let Some(work) = self.jobs.get_mut(&job) else { return };
        let Some((part, body)) = work.next() else {
            context.exit = Some(Exit::Died);
            return;
        };
        match part {
            Part::Partial => {
                let pause = work.pause(context, &self.plan, self.is_calm);
                context.later(pause, job.0);
                self.handle(context, Input::Reply { job, part, body }, PART);
            }
            Part::Final => {
                self.jobs.remove(&job);
                self.registration.on_free_slot(context.local);
                let permille = self.plan.native.as_ref().map_or(0, |native| native.error_permille);
                if !self.is_calm && context.rng.permille(permille) {
                    let failure = Failure::new(context.rng.one_of([400, 429, 500, 503]), OWN);
                    return self.handle(context, Input::Failed { job, failure }, FINAL);
                }
                self.handle(context, Input::Reply { job, part, body }, FINAL);
            }
        }
    }

    fn perform(&mut self, context: &mut Context<'_>, output: Output) {
        match output {
            Output::Open(_) => self.link = context.dial(bytes::Bytes::new()),
            Output::Close => {
                if let Some(link) = self.link.take() {
                    context.close(link, Side::Dialer, false);
                }
            }
            Output::Send(frames) => {
                if let Some(Command::Ready(announced)) = Command::of(&frames) {
                    let running = self.jobs.len() + self.stopping.len();
                    let credit = announced.map(|(credit, _)| credit);
                    context.check("registration", self.registration.on_registered(context.local, running, credit));
                }
                context.check("registration", self.registration.on_sent(context.local, &frames));
                if let Some(link) = self.link {
                    context.send(link, Side::Dialer, frames);
                }
            }
            Output::Handle { job, assignment } => self.begin(context, job, &assignment.body),
            Output::Stop { job } => self.stop(context, job),
            Output::Event(event) => {
                observe(context, &event);
                match event {
                    Event::Draining { service: Some(_) } if self.config.offers.len() > 1 => {
                        self.has_given_up = true;
                        context.later(REJOIN_AFTER, REJOIN);
                    }
                    Event::Lost { retry_in: Some(delay), .. } => {
                        context.check("delays", self.delays.on_delay(delay, &ABSENCES));
                    }
                    _ => {}
                }
            }
            Output::Finished => {
                if let Some(link) = self.link.take() {
                    context.close(link, Side::Dialer, true);
                }
                context.exit = Some(Exit::Finished);
            }
        }
    }
}

impl Actor for SessionNode {
    fn start(&mut self, context: &mut Context<'_>) {
        // Each process starts its jitter elsewhere, as one with a random seed does.
        self.config.seed = self.config.seed.wrapping_add(1);
        self.machine = Session::new(self.config.clone());
        (self.registration, self.delays) = oracles(&self.config);
        self.jobs.clear();
        self.stopping.clear();
        self.has_given_up = false;
        self.link = None;
        let credit_ms = self.plan.native.as_ref().map_or(0, |native| native.credit_ms);
        if credit_ms > 0 {
            let pause = context.up_to(credit_ms);
            context.later(pause, CREDIT);
        }
        let leaves = self.plan.leave_ms * MILLISECOND;
        if leaves > context.env.now && !self.is_calm {
            context.later(leaves - context.env.now, LEAVE);
        }
    }

    fn die(&mut self, _context: &mut Context<'_>) {
        self.jobs.clear();
        self.stopping.clear();
        self.link = None;
    }

    fn hear(&mut self, context: &mut Context<'_>, link: Link, heard: Heard) {
        if self.link != Some(link) {
            return;
        }
        match heard {
            Heard::Connected { .. } => self.handle(context, Input::Connected, CONNECTED),
            Heard::Message(frames) => {
                // What crosses the wish to end is taken.
                let is_registered = is_registered(self.machine.state()) || self.machine.state() == State::Ending;
                if is_registered {
                    self.registration.on_heard(context.local, &frames);
                }
                if is_registered && Command::of(&frames) != Some(Command::Disconnect) {
                    self.delays.on_success();
                }
                self.handle(context, Input::Message(frames), MESSAGE);
            }
            Heard::Disconnected => self.handle(context, Input::Disconnected, DISCONNECTED),
        }
    }

    fn task(&mut self, context: &mut Context<'_>, task: u64) {
        match task {
            LEAVE => self.handle(context, Input::Shutdown, SHUTDOWN),
            CREDIT => self.change_credit(context),
            REJOIN if self.is_calm && self.has_given_up => context.exit = Some(Exit::Died),
            REJOIN => {}
            job => self.advance(context, JobId(job)),
        }
    }

    fn wish(&mut self, context: &mut Context<'_>, wish: Wish) {
        match wish {
            Wish::Calm => {
                self.is_calm = true;
                context.later(REJOIN_AFTER, REJOIN);
            }
            Wish::Probe => {}
            Wish::Drain | Wish::End => self.handle(context, Input::Shutdown, SHUTDOWN),
        }
    }

    fn tick(&mut self, context: &mut Context<'_>) {
        let before = self.machine.state() as usize;
        context.env.coverage.met(coverage::Machine::Worker, before, TICK);
        self.machine.tick(context.local);
        context.env.coverage.changed(coverage::Machine::Worker, before, self.machine.state() as usize);
    }

    fn settle(&mut self, context: &mut Context<'_>) {
        while let Some(output) = self.machine.poll() {
            self.perform(context, output);
        }
        let state = self.machine.state();
        if is_registered(state) {
            // What waits for a slot while its worker pauses counts, too.
            let is_busy = state == State::Busy || !self.jobs.is_empty() || !self.stopping.is_empty();
            context.check("registration", self.registration.check(context.local, is_busy));
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.machine.deadline()
    }
}

/// Whether READY is sent, and the connection not given up.
fn is_registered(state: State) -> bool {
    matches!(state, State::Registered | State::Busy | State::Announced | State::Draining)
}

/// What a worker offers; an old dialect has room for the first.
fn offers(plan: &plan::Worker) -> Vec<Offer> {
    let others = plan.native.iter().flat_map(|native| &native.others).filter(|other| **other != plan.service);
    let offer = |service: &u8| Offer { service: service_name(*service), options: Options::none() };
    [&plan.service].into_iter().chain(others).map(offer).collect()
}

/// The oracles of a worker that has just started.
fn oracles(config: &Config) -> (Registration, Delays) {
    let rules = Rules {
        heartbeat: config.heartbeat,
        patience: config.heartbeat * config.liveness,
        busy_grace: config.busy_grace,
        credit: config.credit,
        liveness: config.liveness,
        fallback_after: config.fallback_after,
    };
    (Registration::new(rules), Delays::new(config.reconnect_first, config.reconnect_max))
}

/// Takes note of what a worker's machine tells.
pub(crate) fn observe(context: &mut Context<'_>, event: &Event) {
    context.trace(|| format!("{event:?}"));
    if let Some(name) = name(event) {
        context.env.coverage.told(name);
    }
    if let Event::Fault(fault) = event {
        context.check("codec", Err(format!("our broker broke a rule: {fault}")));
    }
}

/// The name in the coverage table, for what can happen here: our broker never overfeeds and breaks no rule, and the
/// simulated network turns nobody away for what it is.
fn name(event: &Event) -> Option<&'static str> {
    Some(match event {
        Event::Registered { .. } => "worker: registered",
        Event::Lost { cause: Cause::Disconnected, .. } => "worker: lost disconnected",
        Event::Lost { cause: Cause::Dismissed, .. } => "worker: lost dismissed",
        Event::Lost { cause: Cause::Silent, .. } => "worker: lost silent",
        Event::AnswerDropped(_) => "worker: answer dropped",
        Event::RequestIgnored => "worker: request ignored",
        Event::Abandoned { .. } => "worker: abandoned jobs",
        Event::Lost { cause: Cause::Drained, .. } => "worker: lost drained",
        Event::Lost { cause: Cause::Unanswered, .. } => "worker: lost unanswered",
        Event::FellBack { .. } => "worker: fell back",
        Event::NotOffered { .. } => "worker: not offered",
        Event::Draining { .. } => "worker: draining",
        Event::Dismissed { .. } => "worker: dismissed",
        Event::Stopped { .. } => "worker: stopped",
        _ => return None,
    })
}

// Places in the inputs of the coverage table.
const CONNECTED: usize = 0;
const DISCONNECTED: usize = 1;
const MESSAGE: usize = 2;
const PART: usize = 3;
const FINAL: usize = 4;
const SHUTDOWN: usize = 5;
const TICK: usize = 6;
const STOPPED: usize = 7;
const CREDITED: usize = 8;

/// What a worker may be asked for, beside its delay: as it was told, or as the broker says.
const ABSENCES: [Duration; 2] = [ABSENCE, Duration::from_secs(1)];

/// Until somebody notices that a worker offers less than it could.
const REJOIN_AFTER: u64 = 300 * MILLISECOND;

/// How long a worker stays away where it was sent away by name.
const ABSENCE: Duration = Duration::from_millis(700);
