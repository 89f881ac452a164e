//! A client's process with the multiplexing machine: many requests under way on one connection.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use client::event::Event;
use client::multiplex::{Config, Correlation, Failure, Input, Multiplex, Output};
use client::number::Number;
use client::patience::{OnTimeout, Patience};
use client::speech::Speech;
use protocol::mdp::v03::{Idempotency, Terms};
use protocol::{Frames, Instant, Machine, Priority, ServiceName};

use super::pirate::{answered, observe};
use super::{Actor, Context, Exit, Heard, Wish, service_name};
use crate::coverage;
use crate::marker::Token;
use crate::net::{Link, Side};
use crate::oracle::delays::Delays;
use crate::oracle::{Outcome, Subject};
use crate::plan;
use crate::queue::MILLISECOND;

/// A client.
#[derive(Debug)]
pub(crate) struct MultiplexNode {
    plan: plan::Client,
    config: Config,
    machine: Multiplex,
    link: Option<Link>,
    made: u32,
    open: BTreeSet<u64>,
    delays: Delays,
    /// Requests that were under way on a connection that was lost, and must be sent on the new one in this round.
    owed: usize,
    /// Whether a word of 0.3 is waited for before anything is sent on this connection.
    word: Word,
    probes: VecDeque<u8>,
    is_calm: bool,
}

/// The task of asking; others are numbers of requests to forget, moved up by one.
const NEXT: u64 = 0;

impl MultiplexNode {
    pub(crate) fn new(
        plan: &plan::Client,
        seed: u64,
        (numbered, in_flight_max, waiting_max): (bool, usize, usize),
    ) -> Self {
        let config = Config {
            correlation: if numbered { Correlation::Envelope } else { Correlation::OneAtATime },
            in_flight_max,
            waiting_max,
            reconnect_first: Duration::from_millis(50),
            reconnect_max: Duration::from_millis(800),
            seed,
            salt: seed,
            identity: Bytes::from(format!("ours {}", plan.id)),
            ..Config::new(speech(plan))
        };
        let machine = Multiplex::new(config.clone());
        let delays = Delays::new(config.reconnect_first, config.reconnect_max);
        Self {
            plan: plan.clone(),
            config,
            machine,
            link: None,
            made: 0,
            open: BTreeSet::new(),
            delays,
            owed: 0,
            word: Word::Heard,
            probes: VecDeque::new(),
            is_calm: false,
        }
    }

    fn handle(&mut self, context: &mut Context<'_>, input: Input, kind: usize) {
        let before = self.machine.state() as usize;
        context.env.coverage.met(coverage::Machine::Multiplex, before, kind);
        self.machine.handle(context.local, input);
        context.env.coverage.changed(coverage::Machine::Multiplex, before, self.machine.state() as usize);
    }

    fn submit(&mut self, context: &mut Context<'_>, probe: Option<u8>) {
        let (number, service, body) = ask(context, &self.plan, probe);
        self.open.insert(number);
        let patience = match probe {
            Some(_) => PROBE_PATIENCE,
            None => patience(&self.plan),
        };
        if probe.is_none() && context.rng.permille(self.plan.forget_permille) {
            let after = context.up_to(self.plan.timeout_ms);
            context.later(after, number + 1);
        }
        let terms = terms(context, &self.plan, probe.is_some());
        let number = Number(number);
        let asked = Input::Submit { number, service, body, patience, terms, id: None };
        self.handle(context, asked, SUBMIT);
    }

    fn next(&mut self, context: &mut Context<'_>) {
        if self.made >= self.plan.requests || self.is_calm {
            return;
        }
        if self.link.is_some_and(|link| context.env.net.is_clogged(link, Side::Dialer)) {
            return context.later(2 * MILLISECOND, NEXT);
        }
        self.made += 1;
        self.submit(context, None);
        let think = context.up_to(self.plan.think_ms);
        context.later(think + MILLISECOND / 10, NEXT);
    }

    fn forget(&mut self, context: &mut Context<'_>, number: u64) {
        if self.open.remove(&number) {
            context.env.oracles.forgotten(context.id, number);
            context.env.coverage.told("client: forgotten");
            self.handle(context, Input::Forget(Number(number)), FORGET);
        }
    }

    fn done(&mut self, context: &mut Context<'_>, number: u64, outcome: Outcome<'_>) {
        self.open.remove(&number);
        context.env.oracles.done(context.env.now, context.id, number, outcome);
        self.probe(context);
    }

    /// One service after the other: together they might wait longer for a worker than they may.
    fn probe(&mut self, context: &mut Context<'_>) {
        if let Some(service) = self.probes.pop_front() {
            self.submit(context, Some(service));
        }
    }

    fn perform(&mut self, context: &mut Context<'_>, output: Output) {
        match output {
            Output::Open(dial) => self.link = context.dial(dial.identity),
            Output::Close => {
                if let Some(link) = self.link.take() {
                    context.close(link, Side::Dialer, false);
                }
            }
            Output::Send(frames) => {
                self.owed = self.owed.saturating_sub(1);
                if std::mem::replace(&mut self.word, Word::Heard) == Word::Fresh && is_heartbeat(&frames) {
                    (self.owed, self.word) = (0, Word::Asked);
                }
                if let Some(link) = self.link {
                    context.send(link, Side::Dialer, frames);
                }
            }
            Output::Part(Number(number), body) => {
                context.env.coverage.told("client: part");
                context.env.oracles.part(context.env.now, context.id, Some(number), &body);
            }
            Output::Restarted(Number(number)) => {
                context.env.coverage.told("client: restarted");
                context.env.oracles.restarted(context.id, Some(number));
            }
            Output::Done(Number(number), Ok(body)) => {
                context.env.coverage.told(answered(&body));
                self.done(context, number, Outcome::Reply(&body));
            }
            Output::Done(Number(number), Err(failure)) => {
                let outcome = failed(context, &self.plan, &failure);
                self.done(context, number, outcome);
            }
            Output::Event(event) => {
                observe(context, &event);
                if let Event::Lost { retry_in, .. } = event {
                    context.check("delays", self.delays.on_delay(retry_in, &ABSENCES));
                }
            }
            Output::Finished => context.exit = Some(Exit::Finished),
        }
    }
}

impl Actor for MultiplexNode {
    fn start(&mut self, context: &mut Context<'_>) {
        self.config.seed = self.config.seed.wrapping_add(1);
        self.machine = Multiplex::new(self.config.clone());
        self.delays = Delays::new(self.config.reconnect_first, self.config.reconnect_max);
        (self.owed, self.word) = (0, Word::Heard);
        self.link = None;
        let think = context.up_to(self.plan.think_ms);
        context.later(think, NEXT);
    }

    fn die(&mut self, context: &mut Context<'_>) {
        context.env.oracles.client_died(context.id);
        self.open.clear();
        self.link = None;
    }

    fn hear(&mut self, context: &mut Context<'_>, link: Link, heard: Heard) {
        if self.link != Some(link) {
            return;
        }
        match heard {
            Heard::Connected { .. } => {
                self.handle(context, Input::Connected, CONNECTED);
                (self.owed, self.word) = (self.machine.in_flight(), Word::Fresh);
            }
            Heard::Message(frames) => {
                self.delays.on_success();
                if std::mem::replace(&mut self.word, Word::Heard) == Word::Asked && is_heartbeat(&frames) {
                    self.owed = self.machine.in_flight();
                }
                self.handle(context, Input::Message(frames), MESSAGE);
            }
            Heard::Disconnected => self.handle(context, Input::Disconnected, DISCONNECTED),
        }
    }

    fn task(&mut self, context: &mut Context<'_>, task: u64) {
        match task {
            NEXT => self.next(context),
            number => self.forget(context, number - 1),
        }
    }

    fn wish(&mut self, context: &mut Context<'_>, wish: Wish) {
        match wish {
            Wish::Calm => self.is_calm = true,
            Wish::Probe => {
                self.probes = context.served().into();
                self.probe(context);
            }
            Wish::Drain | Wish::End => {
                // Whoever ends a client does not wait for its requests.
                context.env.oracles.client_died(context.id);
                self.open.clear();
                self.handle(context, Input::Shutdown, SHUTDOWN);
            }
        }
    }

    fn tick(&mut self, context: &mut Context<'_>) {
        let before = self.machine.state() as usize;
        context.env.coverage.met(coverage::Machine::Multiplex, before, TICK);
        self.machine.tick(context.local);
        context.env.coverage.changed(coverage::Machine::Multiplex, before, self.machine.state() as usize);
    }

    fn settle(&mut self, context: &mut Context<'_>) {
        while let Some(output) = self.machine.poll() {
            self.perform(context, output);
        }
        if std::mem::take(&mut self.owed) > 0 {
            context.check("endings", Err("what was under way is not sent on the new connection".to_owned()));
        }
        let (in_flight, waiting) = (self.machine.in_flight(), self.machine.waiting());
        if in_flight > self.config.slots() || waiting > self.config.waiting_max {
            let what = format!("{}: {in_flight} requests under way and {waiting} waiting", context.name);
            context.env.oracles.violated(context.env.now, "bounds", what);
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.machine.deadline()
    }
}

/// Whether a client may send on its connection. One of 0.3 asks first, so that a broker which is merely slow has run
/// nothing when it is taken for one that does not speak 0.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    /// Nothing has been sent yet.
    Fresh,
    /// HEARTBEAT is sent, and all else waits for an answer.
    Asked,
    /// Nothing is waited for.
    Heard,
}

fn is_heartbeat(frames: &Frames) -> bool {
    frames.first().is_some_and(|head| head.as_ref() == b"MDPC03\x08")
}

/// Draws a client's next request, and has it written down by the oracles.
pub(crate) fn ask(context: &mut Context<'_>, plan: &plan::Client, probe: Option<u8>) -> (u64, ServiceName, Frames) {
    if probe.is_none() && context.rng.permille(plan.management_permille) {
        let number = context.env.oracles.submitted(context.id, Subject::Management);
        let (name, body) = context.rng.one_of([("mmi.service", "s0"), ("mmi.service", "s9"), ("mmi.services", "")]);
        let service = name.parse().expect("a name of printable characters");
        return (number, service, Frames::from([body]));
    }
    let service = probe.unwrap_or_else(|| u8::try_from(context.rng.below(plan.services.into())).unwrap_or(0));
    let subject = if probe.is_some() { Subject::Probe(service) } else { Subject::Service(service) };
    let number = context.env.oracles.submitted(context.id, subject);
    let mut body = Frames::new();
    if probe.is_none() && context.rng.permille(plan.command_permille) {
        body.push(context.rng.one_of(COMMANDS));
    }
    body.push(Token { client: context.id, number }.to_frame());
    if plan.padding > 0 && probe.is_none() {
        let bytes = context.rng.index(usize::try_from(plan.padding).unwrap_or(0) + 1);
        body.push(Bytes::from_static(PADDING).slice(..bytes.min(PADDING.len())));
    }
    (number, service_name(service), body)
}

/// What a client calls itself.
pub(crate) fn identity(plan: &plan::Client) -> Bytes {
    plan.identity.map_or_else(Bytes::new, |name| format!("client {name}").into())
}

/// How a client of ours speaks.
pub(crate) fn speech(plan: &plan::Client) -> Speech {
    match plan.native {
        Some(native) => Speech::Native { fall_back: native.falls_back.then_some(plan.dialect) },
        None => Speech::Old(plan.dialect),
    }
}

/// What is asked of a request beside its answer.
pub(crate) fn terms(context: &mut Context<'_>, plan: &plan::Client, is_probe: bool) -> Terms {
    let Some(native) = plan.native.filter(|_| !is_probe) else { return Terms::default() };
    let deadline = context.rng.permille(native.deadline_permille);
    let deadline = deadline.then(|| Duration::from_millis(context.rng.between(1, native.deadline_ms)));
    let levels = [Idempotency::Kept, Idempotency::Repeatable, Idempotency::Once];
    let idempotency =
        levels.get(usize::from(native.idempotency)).copied().unwrap_or_else(|| context.rng.one_of(levels));
    let priority = if native.priorities { priority(context) } else { Priority::NORMAL };
    Terms { deadline, priority, idempotency, ..Terms::default() }
}

/// Mostly near the usual one: so near that waiting decides.
pub(crate) fn priority(context: &mut Context<'_>) -> Priority {
    let any = u8::try_from(context.rng.below(10)).unwrap_or(0);
    Priority::new(context.rng.one_of([4, 5, 5, any])).unwrap_or_default()
}

/// How a request ended that has no answer.
pub(crate) fn failed(context: &mut Context<'_>, plan: &plan::Client, failure: &Failure) -> Outcome<'static> {
    // A deadline, which only 0.3 has, may come before the last attempt.
    let tries_all = plan.native.is_none() && plan.on_timeout != ABORT;
    if let Failure::Silence(silence) = failure
        && tries_all
        && !silence.refused
        && silence.attempts < plan.retries.min(PROBE_PATIENCE.retries)
    {
        let what = format!("gives up after {} of {} attempts", silence.attempts, plan.retries);
        context.check("patience", Err(what));
    }
    let (name, outcome) = match failure {
        Failure::Silence(_) => ("client: silence", Outcome::Silence),
        Failure::Status { failed, .. } => ("client: status", Outcome::Status(failed.status.code())),
        Failure::Broken => ("client: broken", Outcome::Status(502)),
        Failure::NotNative => ("client: not native", Outcome::Full),
        // Requests of this world have ids that their clients make, and no two the same: the second one never comes.
        Failure::Full { .. } | Failure::IdInUse => ("client: full", Outcome::Full),
    };
    context.env.coverage.told(name);
    outcome
}

/// The name in the coverage table, for what can happen here: rules are kept and services are right (the oracle `codec`
/// says so), and the simulated network turns nobody away for what it is.
pub(crate) fn name(event: &Event) -> Option<&'static str> {
    match event {
        Event::Connected { resent: 0 } => Some("client: connected"),
        Event::Connected { .. } => Some("client: connected and resent"),
        Event::Lost { .. } => Some("client: lost"),
        Event::Duplicate => Some("client: duplicate"),
        Event::Native => Some("client: native"),
        Event::FellBack(_) => Some("client: fell back"),
        Event::Mute => Some("client: mute"),
        Event::Silent => Some("client: silent broker"),
        Event::Hole => Some("client: hole"),
        Event::Draining { .. } => Some("client: told of a drain"),
        _ => None,
    }
}

/// How a client's requests are tried.
pub(crate) fn patience(plan: &plan::Client) -> Patience {
    let timeout = Duration::from_millis(plan.timeout_ms);
    let ceiling = Duration::from_secs(2);
    let modes = [
        OnTimeout::Retry,
        OnTimeout::Abort,
        OnTimeout::RetryBlocked,
        OnTimeout::Resend,
        OnTimeout::ResendBlocked,
        OnTimeout::Backoff { ceiling },
    ];
    let on_timeout = modes.get(usize::from(plan.on_timeout)).copied().unwrap_or_default();
    Patience { timeout, retries: plan.retries, on_timeout }
}

/// How a probe asks: long enough for every recovery, once all faults have ended.
pub(crate) const PROBE_PATIENCE: Patience =
    Patience { timeout: Duration::from_secs(5), retries: 3, on_timeout: OnTimeout::Retry };

/// Commands that requests may begin with, and that operators may disable.
pub(crate) const COMMANDS: [&str; 2] = ["read", "write"];

/// The place of `OnTimeout::Abort` among the modes of a plan.
const ABORT: u8 = 1;

/// What a client may be asked to wait, beside its delay.
const ABSENCES: [Duration; 1] = [Duration::from_secs(1)];

const PADDING: &[u8] = &[b'.'; 1024];

// Places in the inputs of the coverage table.
const SUBMIT: usize = 0;
const FORGET: usize = 1;
const CONNECTED: usize = 2;
const DISCONNECTED: usize = 3;
const MESSAGE: usize = 4;
const SHUTDOWN: usize = 5;
const TICK: usize = 6;
