//! A worker of MDP 0.3 that is not our session: several services, credit that changes, drains, errors, work that goes
//! on after CANCEL. No machine; the least that keeps the rules of docs/rfc/MDP-0.3.md, section 8.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use protocol::mdp::client::Part;
use protocol::mdp::v03::options::kind;
use protocol::mdp::v03::worker::{Farewell, FromWorker, Request, ToWorker};
use protocol::mdp::v03::{Drain, JobNumber, Offer, Options, Outcome, Ready, Status};
use protocol::{Frames, Instant};

use super::work::Work;
use super::{Actor, Context, Exit, Heard, Wish, service_name};
use crate::net::{Link, Side};
use crate::oracle::ledger::PLANNED;
use crate::plan;
use crate::queue::{MILLISECOND, Nanos};

/// The worker.
#[derive(Debug)]
pub(crate) struct NativeWorker {
    plan: plan::Worker,
    native: plan::NativeWorker,
    link: Option<Link>,
    stage: Stage,
    /// What it offers on this connection.
    services: Vec<u8>,
    credit: u32,
    /// The most that it ever allowed on this connection: what crosses a smaller number is taken.
    credit_max: u32,
    /// Jobs by the number of their task.
    jobs: BTreeMap<u64, Job>,
    heard_at: Nanos,
    said_at: Nanos,
    /// After this silence its broker is lost.
    patience: Nanos,
    tasks: u64,
    /// Whether it offers less than it could.
    has_given_up: bool,
    is_calm: bool,
    is_ending: bool,
}

/// Where the connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Down,
    /// READY is said, and no HEARTBEAT has come.
    Announced,
    Serving,
    /// It has said that it leaves.
    Draining,
}

#[derive(Debug)]
struct Job {
    number: JobNumber,
    work: Work,
    parts: u32,
    is_over: bool,
    /// How it ends, where not with its answer.
    fails: Option<u16>,
    /// When nobody waits any more.
    ends: Option<Nanos>,
}

const BEAT: u64 = 0;
const DIAL: u64 = 1;
const LEAVE: u64 = 2;
const CREDIT: u64 = 3;
const DRAIN: u64 = 4;
const GRACE: u64 = 5;
/// The first number of a job's task.
const JOBS: u64 = 16;

impl NativeWorker {
    pub(crate) fn new(plan: &plan::Worker, native: &plan::NativeWorker) -> Self {
        Self {
            plan: plan.clone(),
            native: native.clone(),
            link: None,
            stage: Stage::Down,
            services: Vec::new(),
            credit: 0,
            credit_max: 0,
            jobs: BTreeMap::new(),
            heard_at: 0,
            said_at: 0,
            patience: 0,
            tasks: JOBS,
            has_given_up: false,
            is_calm: false,
            is_ending: false,
        }
    }

    fn say(&mut self, context: &mut Context<'_>, command: FromWorker) {
        self.said_at = context.env.now;
        if let Some(link) = self.link {
            context.send(link, Side::Dialer, command.encode());
        }
    }

    fn announce(&mut self, context: &mut Context<'_>) {
        self.stage = Stage::Announced;
        self.services = vec![self.plan.service];
        self.services.extend(self.native.others.iter().filter(|other| **other != self.plan.service));
        self.has_given_up = false;
        self.credit = u32::try_from(self.plan.credit).unwrap_or(1);
        self.credit_max = self.credit;
        self.patience = self.beat() * 3;
        let offer = |service: &u8| Offer { service: service_name(*service), options: Options::none() };
        let ready = Ready {
            credit: self.credit,
            interval: Duration::from_millis(self.plan.heartbeat_ms),
            options: Options::build().name(context.name).finish().unwrap_or_default(),
            offers: self.services.iter().map(offer).collect(),
        };
        self.say(context, FromWorker::Ready(ready));
    }

    fn beat(&self) -> Nanos {
        self.plan.heartbeat_ms * MILLISECOND
    }

    /// Gives the connection up, and the jobs that came on it.
    fn reconnect(&mut self, context: &mut Context<'_>) {
        self.jobs.clear();
        self.stage = Stage::Down;
        if let Some(link) = self.link.take() {
            context.close(link, Side::Dialer, false);
        }
        if self.is_ending {
            context.exit = Some(Exit::Finished);
            return;
        }
        context.later(200 * MILLISECOND, DIAL);
    }

    fn on_command(&mut self, context: &mut Context<'_>, frames: Frames) {
        match ToWorker::decode(frames) {
            Ok(ToWorker::Request(request)) => self.on_request(context, &request),
            Ok(ToWorker::Cancel(number)) => self.on_cancel(context, number),
            Ok(ToWorker::Heartbeat(interval)) => {
                self.patience = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX / 4) * 3;
                if self.stage == Stage::Announced {
                    context.env.coverage.told("native worker: serving");
                    self.stage = Stage::Serving;
                }
            }
            Ok(ToWorker::Drain(drain)) => {
                context.env.coverage.told("native worker: told of a drain");
                self.on_drain(context, &drain);
            }
            Ok(ToWorker::Disconnect(farewell)) => {
                let drained = farewell.status == Status::OK;
                context.env.coverage.told(if drained { "native worker: let go" } else { "native worker: dismissed" });
                self.reconnect(context);
            }
            Err(fault) => {
                let what = format!("{}: our broker broke a rule: {fault}", context.name);
                context.env.oracles.violated(context.env.now, "codec", what);
            }
        }
    }

    /// A service that is given up is offered again on another connection, once all is calm.
    fn on_drain(&mut self, context: &mut Context<'_>, drain: &Drain) {
        self.has_given_up |= drain.service.is_some();
        if self.is_calm && self.has_given_up {
            self.reconnect(context);
        }
    }

    fn on_request(&mut self, context: &mut Context<'_>, request: &Request) {
        let in_flight = self.jobs.len();
        if self.stage == Stage::Announced {
            let what = format!("{} is given a request and has heard no HEARTBEAT", context.name);
            context.env.oracles.violated(context.env.now, "codec", what);
        }
        if in_flight >= usize::try_from(self.credit_max).unwrap_or(usize::MAX) {
            let what =
                format!("{} has {in_flight} jobs and is given another; it allowed {}", context.name, self.credit_max);
            context.env.oracles.violated(context.env.now, "credit", what);
        }
        let work = Work::begin(context, &self.plan, &request.body, self.is_calm);
        let pause = work.pause(context, &self.plan, self.is_calm);
        let fails = !self.is_calm && context.rng.permille(self.native.error_permille);
        let fails = fails.then(|| context.rng.one_of([400, 403, 418, 429, 500, 503, 599]));
        let ends = request.remaining.map(|left| context.env.now + u64::try_from(left.as_nanos()).unwrap_or(0));
        let job = Job { number: request.job, work, parts: 0, is_over: false, fails, ends };
        self.tasks += 1;
        self.jobs.insert(self.tasks, job);
        context.later(pause, self.tasks);
    }

    fn on_cancel(&mut self, context: &mut Context<'_>, number: JobNumber) {
        let stops = self.native.stops;
        let Some((task, job)) = self.jobs.iter_mut().find(|(_, job)| job.number == number) else { return };
        context.env.coverage.told("native worker: cancelled");
        job.is_over = true;
        if stops {
            let task = *task;
            self.end(context, task, Status::CANCELLED.code(), Frames::new());
        }
    }

    /// The next part of a job, or its end.
    fn advance(&mut self, context: &mut Context<'_>, task: u64) {
        if self.link.is_some_and(|link| context.env.net.is_clogged(link, Side::Dialer)) {
            return context.later(2 * MILLISECOND, task);
        }
        let Some(job) = self.jobs.get_mut(&task) else { return };
        if self.native.stops && job.ends.is_some_and(|ends| ends <= context.env.now) {
            return self.end(context, task, Status::DEADLINE.code(), Frames::new());
        }
        let Some((part, body)) = job.work.next() else {
            context.exit = Some(Exit::Died);
            return;
        };
        match (part, job.fails) {
            (Part::Partial, _) => {
                let (number, before) = (job.number, job.parts);
                job.parts += 1;
                let pause = job.work.pause(context, &self.plan, self.is_calm);
                context.later(pause, task);
                self.say(context, FromWorker::Partial { job: number, part: before, body });
            }
            (Part::Final, Some(status)) => self.end(context, task, status, Frames::new()),
            (Part::Final, None) => self.end(context, task, 200, body),
        }
    }

    fn end(&mut self, context: &mut Context<'_>, task: u64, status: u16, body: Frames) {
        let Some(job) = self.jobs.remove(&task) else { return };
        let status = Status::new(status).unwrap_or(Status::WORKER_FAILED);
        // Only a broker sends clients elsewhere: it has to take that out, and to hand the rest on.
        let options = Options::build().reason(PLANNED).with(kind::ENDPOINTS, "tcp://a:1").with(PRIVATE, "kept");
        let options = if status.is_success() { Options::none() } else { options.finish().unwrap_or_default() };
        self.say(
            context,
            FromWorker::Final { job: job.number, outcome: Outcome { parts: job.parts, status, options }, body },
        );
        if self.is_ending {
            self.go(context);
        }
    }

    fn change_credit(&mut self, context: &mut Context<'_>) {
        let pause = context.up_to(self.native.credit_ms);
        context.later(pause + MILLISECOND, CREDIT);
        if self.stage != Stage::Serving || (self.is_calm && self.credit > 0) {
            return;
        }
        let most = u64::try_from(self.plan.credit).unwrap_or(1);
        self.credit = u32::try_from(context.rng.between(u64::from(self.is_calm), most)).unwrap_or(1);
        self.credit_max = self.credit_max.max(self.credit);
        self.say(context, FromWorker::Credit(self.credit));
    }

    /// Gives up a service, or all.
    fn drain(&mut self, context: &mut Context<'_>) {
        let pause = context.up_to(self.native.drain_ms);
        context.later(pause + MILLISECOND, DRAIN);
        if self.stage != Stage::Serving || self.is_calm {
            return;
        }
        self.has_given_up = true;
        let service = self.services.pop().filter(|_| context.rng.chance(60));
        if service.is_none() || self.services.is_empty() {
            self.stage = Stage::Draining;
        }
        let (grace, service) = (Duration::from_millis(context.rng.one_of([20, 3000])), service.map(service_name));
        context.env.coverage.told(if service.is_some() {
            "native worker: drains one"
        } else {
            "native worker: drains"
        });
        self.say(context, FromWorker::Drain(Drain { grace, service, options: Options::none() }));
    }

    /// Leaves politely.
    fn leave(&mut self, context: &mut Context<'_>) {
        if self.is_ending {
            return;
        }
        self.is_ending = true;
        if !matches!(self.stage, Stage::Serving | Stage::Draining) {
            return self.reconnect(context);
        }
        let grace = Duration::from_millis(self.plan.shutdown_grace_ms);
        context.later(self.plan.shutdown_grace_ms * MILLISECOND, GRACE);
        self.stage = Stage::Draining;
        self.say(context, FromWorker::Drain(Drain { grace, service: None, options: Options::none() }));
    }

    /// Once all is answered either side may say DISCONNECT. This one leaves it to the broker, or does not.
    fn go(&mut self, context: &mut Context<'_>) {
        if self.jobs.is_empty() && self.native.stops {
            self.disconnect(context);
        }
    }

    fn disconnect(&mut self, context: &mut Context<'_>) {
        self.say(context, FromWorker::Disconnect(Farewell { status: Status::OK, options: Options::none() }));
        if let Some(link) = self.link.take() {
            context.close(link, Side::Dialer, true);
        }
        self.reconnect(context);
    }

    fn on_beat(&mut self, context: &mut Context<'_>) {
        context.later(self.beat() / 2, BEAT);
        if self.stage == Stage::Down {
            return;
        }
        if context.env.now > self.heard_at + self.patience {
            return self.reconnect(context);
        }
        if context.env.now >= self.said_at + self.beat() / 2 {
            self.say(context, FromWorker::Heartbeat(Duration::from_millis(self.plan.heartbeat_ms)));
        }
    }
}

impl Actor for NativeWorker {
    fn start(&mut self, context: &mut Context<'_>) {
        self.is_ending = false;
        self.link = context.dial(Bytes::new());
        context.later(self.beat() / 2, BEAT);
        for (pause_ms, task) in [(self.native.credit_ms, CREDIT), (self.native.drain_ms, DRAIN)] {
            if pause_ms > 0 {
                let pause = context.up_to(pause_ms);
                context.later(pause, task);
            }
        }
        let leaves = self.plan.leave_ms * MILLISECOND;
        if leaves > context.env.now && !self.is_calm {
            context.later(leaves - context.env.now, LEAVE);
        }
    }

    fn die(&mut self, _context: &mut Context<'_>) {
        self.link = None;
        self.stage = Stage::Down;
        self.jobs.clear();
    }

    fn hear(&mut self, context: &mut Context<'_>, link: Link, heard: Heard) {
        if self.link != Some(link) {
            return;
        }
        self.heard_at = context.env.now;
        match heard {
            Heard::Connected { .. } => self.announce(context),
            Heard::Message(frames) => self.on_command(context, frames),
            Heard::Disconnected => {
                self.link = None;
                self.reconnect(context);
            }
        }
    }

    fn task(&mut self, context: &mut Context<'_>, task: u64) {
        match task {
            BEAT => self.on_beat(context),
            DIAL if self.link.is_none() => self.link = context.dial(Bytes::new()),
            DIAL => {}
            LEAVE => self.leave(context),
            CREDIT => self.change_credit(context),
            DRAIN => self.drain(context),
            GRACE if self.is_ending => self.disconnect(context),
            GRACE => {}
            job => self.advance(context, job),
        }
    }

    fn wish(&mut self, context: &mut Context<'_>, wish: Wish) {
        match wish {
            Wish::Calm => {
                self.is_calm = true;
                // What it has given up it offers again, on a new connection.
                if self.stage == Stage::Serving && self.has_given_up {
                    self.reconnect(context);
                }
            }
            Wish::Probe => {}
            Wish::Drain | Wish::End => self.leave(context),
        }
    }

    fn tick(&mut self, _context: &mut Context<'_>) {}

    fn settle(&mut self, _context: &mut Context<'_>) {}

    fn deadline(&self) -> Option<Instant> {
        None
    }
}

/// An option for private use that is passed on.
pub(crate) const PRIVATE: u8 = 0xb1;
