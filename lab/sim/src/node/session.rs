//! A worker's process: our session machine and its handlers.

use std::collections::BTreeMap;
use std::time::Duration;

use protocol::mdp::client::Part;
use protocol::{Frames, Instant, Machine};
use worker::session::{Input, Output, Session, State};
use worker::{Cause, Config, Event, JobId};

use super::work::Work;
use super::{Actor, Context, Exit, Heard, Wish, service_name};
use crate::coverage;
use crate::net::{Link, Side};
use crate::oracle::delays::Delays;
use crate::oracle::registration::{Registration, Rules};
use crate::oracle::roster::Command;
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
    is_calm: bool,
}

/// The task of leaving; others are numbers of jobs.
const LEAVE: u64 = u64::MAX - 1;

impl SessionNode {
    pub(crate) fn new(plan: &plan::Worker, seed: u64) -> Self {
        let config = Config {
            dialect: plan.dialect,
            heartbeat: Duration::from_millis(plan.heartbeat_ms),
            liveness: plan.liveness,
            busy_grace: Duration::from_millis(plan.busy_grace_ms),
            reconnect_first: Duration::from_millis(50),
            reconnect_max: Duration::from_millis(800),
            shutdown_grace: Duration::from_millis(plan.shutdown_grace_ms),
            credit: plan.credit,
            seed,
            ..Config::new(service_name(plan.service))
        };
        let machine = Session::new(config.clone());
        let (registration, delays) = oracles(&config);
        Self {
            plan: plan.clone(),
            config,
            machine,
            link: None,
            jobs: BTreeMap::new(),
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
        if self.jobs.insert(job, work).is_some() || self.jobs.len() > self.config.credit {
            let what = format!("{} runs {} jobs, its credit is {}", context.name, self.jobs.len(), self.config.credit);
            context.env.oracles.violated(context.env.now, "credit", what);
        }
        context.later(pause, job.0);
    }

    fn advance(&mut self, context: &mut Context<'_>, job: JobId) {
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
                self.handle(context, Input::Reply { job, part, body }, FINAL);
            }
        }
    }

    fn perform(&mut self, context: &mut Context<'_>, output: Output) {
        match output {
            Output::Open => self.link = context.dial(bytes::Bytes::new()),
            Output::Close => {
                if let Some(link) = self.link.take() {
                    context.close(link, Side::Dialer, false);
                }
            }
            Output::Send(frames) => {
                context.check("registration", self.registration.on_sent(context.local, &frames));
                if let Some(link) = self.link {
                    context.send(link, Side::Dialer, frames);
                }
            }
            Output::Handle { job, body } => self.begin(context, job, &body),
            Output::Event(event) => {
                context.trace(|| format!("{event:?}"));
                if let Some(name) = name(&event) {
                    context.env.coverage.told(name);
                }
                match &event {
                    Event::Registered { .. } => {
                        context.check("registration", self.registration.on_registered(context.local, self.jobs.len()));
                    }
                    Event::Lost { retry_in: Some(delay), .. } => {
                        context.check("delays", self.delays.on_delay(*delay));
                    }
                    _ => {}
                }
                if let Event::Fault(fault) = event {
                    let what = format!("{}: our broker broke a rule: {fault}", context.name);
                    context.env.oracles.violated(context.env.now, "codec", what);
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
        self.link = None;
        let leaves = self.plan.leave_ms * MILLISECOND;
        if leaves > context.env.now && !self.is_calm {
            context.later(leaves - context.env.now, LEAVE);
        }
    }

    fn die(&mut self, _context: &mut Context<'_>) {
        self.jobs.clear();
        self.link = None;
    }

    fn hear(&mut self, context: &mut Context<'_>, link: Link, heard: Heard) {
        if self.link != Some(link) {
            return;
        }
        match heard {
            Heard::Connected { .. } => self.handle(context, Input::Connected, CONNECTED),
            Heard::Message(frames) => {
                let is_registered = matches!(self.machine.state(), State::Registered | State::Busy);
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
            job => self.advance(context, JobId(job)),
        }
    }

    fn wish(&mut self, context: &mut Context<'_>, wish: Wish) {
        match wish {
            Wish::Calm => self.is_calm = true,
            Wish::Probe => {}
            Wish::End => self.handle(context, Input::Shutdown, SHUTDOWN),
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
        if matches!(state, State::Registered | State::Busy) {
            context.check("registration", self.registration.check(context.local, state == State::Busy));
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.machine.deadline()
    }
}

/// The oracles of a worker that has just started.
fn oracles(config: &Config) -> (Registration, Delays) {
    let rules = Rules {
        heartbeat: config.heartbeat,
        patience: config.heartbeat * config.liveness,
        busy_grace: config.busy_grace,
        credit: config.credit,
    };
    (Registration::new(rules), Delays::new(config.reconnect_first, config.reconnect_max))
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
