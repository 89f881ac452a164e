//! A client's process with the multiplexing machine: many requests under way on one connection.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use client::event::Event;
use client::multiplex::{Config, Correlation, Failure, Input, Multiplex, Output};
use client::number::Number;
use client::patience::Patience;
use protocol::{Frames, Instant, Machine, ServiceName};

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
            ..Config::new(plan.dialect)
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
            None => Patience { timeout: Duration::from_millis(self.plan.timeout_ms), retries: self.plan.retries },
        };
        if probe.is_none() && context.rng.permille(self.plan.forget_permille) {
            let after = context.up_to(self.plan.timeout_ms);
            context.later(after, number + 1);
        }
        self.handle(context, Input::Submit { number: Number(number), service, body, patience }, SUBMIT);
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
    }

    fn perform(&mut self, context: &mut Context<'_>, output: Output) {
        match output {
            Output::Open => self.link = context.dial(Bytes::new()),
            Output::Close => {
                if let Some(link) = self.link.take() {
                    context.close(link, Side::Dialer, false);
                }
            }
            Output::Send(frames) => {
                self.owed = self.owed.saturating_sub(1);
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
            Output::Done(Number(number), Err(Failure::Silence(_))) => {
                context.env.coverage.told("client: silence");
                self.done(context, number, Outcome::Silence);
            }
            Output::Done(Number(number), Err(Failure::Full)) => {
                context.env.coverage.told("client: full");
                self.done(context, number, Outcome::Full);
            }
            Output::Event(event) => {
                observe(context, &event);
                if let Event::Lost { retry_in, .. } = event {
                    context.check("delays", self.delays.on_delay(retry_in));
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
        self.owed = 0;
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
                self.owed = self.machine.in_flight();
            }
            Heard::Message(frames) => {
                self.delays.on_success();
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
                for service in context.served() {
                    self.submit(context, Some(service));
                }
            }
            Wish::End => {
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
    let mut body = Frames::from([Token { client: context.id, number }.to_frame()]);
    if plan.padding > 0 && probe.is_none() {
        let bytes = context.rng.index(usize::try_from(plan.padding).unwrap_or(0) + 1);
        body.push(Bytes::from_static(PADDING).slice(..bytes.min(PADDING.len())));
    }
    (number, service_name(service), body)
}

/// The name in the coverage table, for what can happen here: rules are kept and services are right (the oracle `codec`
/// says so), and the simulated network turns nobody away for what it is.
pub(crate) fn name(event: &Event) -> Option<&'static str> {
    match event {
        Event::Connected { resent: 0 } => Some("client: connected"),
        Event::Connected { .. } => Some("client: connected and resent"),
        Event::Lost { .. } => Some("client: lost"),
        Event::Duplicate => Some("client: duplicate"),
        _ => None,
    }
}

/// How a probe asks: long enough for every recovery, once all faults have ended.
pub(crate) const PROBE_PATIENCE: Patience = Patience { timeout: Duration::from_secs(5), retries: 3 };

const PADDING: &[u8] = &[b'.'; 1024];

// Places in the inputs of the coverage table.
const SUBMIT: usize = 0;
const FORGET: usize = 1;
const CONNECTED: usize = 2;
const DISCONNECTED: usize = 3;
const MESSAGE: usize = 4;
const SHUTDOWN: usize = 5;
const TICK: usize = 6;
