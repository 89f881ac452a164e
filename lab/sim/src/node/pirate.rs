//! A client's process with the Lazy Pirate machine: one request at a time.

use std::collections::VecDeque;

use bytes::Bytes;
use client::event::Event;

use client::pirate::{Input, Output, Pirate};
use protocol::{Frames, Instant, Machine};

use super::{Actor, Context, Exit, Heard, Wish};
use crate::coverage;
use crate::net::{Link, Side};
use crate::node::multiplex::{PROBE_PATIENCE, ask, failed, name, patience, speech, terms};
use crate::oracle::Outcome;
use crate::plan;

/// A client.
#[derive(Debug)]
pub(crate) struct PirateNode {
    plan: plan::Client,
    machine: Pirate,
    link: Option<Link>,
    /// The request under way.
    number: Option<u64>,
    made: u32,
    probes: VecDeque<u8>,
    lives: u64,
    is_calm: bool,
}

/// The task of asking; others are numbers of requests to give up, moved up by one.
const NEXT: u64 = 0;

impl PirateNode {
    pub(crate) fn new(plan: &plan::Client) -> Self {
        let machine = machine(plan, 0);
        Self {
            plan: plan.clone(),
            machine,
            link: None,
            number: None,
            made: 0,
            probes: VecDeque::new(),
            lives: 0,
            is_calm: false,
        }
    }

    fn handle(&mut self, context: &mut Context<'_>, input: Input, kind: usize) {
        let before = self.machine.state() as usize;
        context.env.coverage.met(coverage::Machine::Pirate, before, kind);
        self.machine.handle(context.local, input);
        context.env.coverage.changed(coverage::Machine::Pirate, before, self.machine.state() as usize);
    }

    fn request(&mut self, context: &mut Context<'_>, probe: Option<u8>) {
        if let Some(number) = self.number.take() {
            context.env.oracles.forgotten(context.id, number);
            context.env.coverage.told("client: forgotten");
        }
        let (number, service, body) = ask(context, &self.plan, probe);
        self.number = Some(number);
        let patience = match probe {
            Some(_) => PROBE_PATIENCE,
            None => patience(&self.plan),
        };
        if probe.is_none() && context.rng.permille(self.plan.forget_permille) {
            let after = context.up_to(self.plan.timeout_ms);
            context.later(after, number + 1);
        }
        let terms = terms(context, &self.plan, probe.is_some());
        self.handle(context, Input::Request { service, body, patience, terms }, REQUEST);
    }

    fn next(&mut self, context: &mut Context<'_>) {
        if let Some(service) = self.probes.pop_front() {
            self.request(context, Some(service));
        } else if self.made < self.plan.requests && !self.is_calm {
            self.made += 1;
            self.request(context, None);
        }
    }

    fn done(&mut self, context: &mut Context<'_>, outcome: Outcome<'_>) {
        if let Some(number) = self.number.take() {
            context.env.oracles.done(context.env.now, context.id, number, outcome);
        }
        if !self.probes.is_empty() {
            return self.next(context);
        }
        let think = context.up_to(self.plan.think_ms);
        context.later(think, NEXT);
    }

    fn perform(&mut self, context: &mut Context<'_>, output: Output) {
        match output {
            Output::Open(identity) => self.link = context.dial(identity),
            Output::Close => {
                if let Some(link) = self.link.take() {
                    context.close(link, Side::Dialer, false);
                }
            }
            Output::Send(frames) => {
                if let Some(link) = self.link {
                    context.send(link, Side::Dialer, frames);
                }
            }
            Output::Part(body) => {
                context.env.coverage.told("client: part");
                context.env.oracles.part(context.env.now, context.id, self.number, &body);
            }
            Output::Restarted => {
                context.env.coverage.told("client: restarted");
                context.env.oracles.restarted(context.id, self.number);
            }
            Output::Done(Ok(body)) => {
                context.env.coverage.told(answered(&body));
                self.done(context, Outcome::Reply(&body));
            }
            Output::Done(Err(failure)) => {
                let outcome = failed(context, &self.plan, &failure);
                self.done(context, outcome);
            }
            Output::Event(event) => observe(context, &event),
        }
    }
}

impl Actor for PirateNode {
    fn start(&mut self, context: &mut Context<'_>) {
        self.lives += 1;
        self.machine = machine(&self.plan, self.lives);
        self.link = None;
        let think = context.up_to(self.plan.think_ms);
        context.later(think, NEXT);
    }

    fn die(&mut self, context: &mut Context<'_>) {
        context.env.oracles.client_died(context.id);
        self.number = None;
        self.link = None;
    }

    fn hear(&mut self, context: &mut Context<'_>, link: Link, heard: Heard) {
        if self.link != Some(link) {
            return;
        }
        match heard {
            Heard::Connected { .. } => self.handle(context, Input::Connected, CONNECTED),
            Heard::Message(frames) => self.handle(context, Input::Message(frames), MESSAGE),
            Heard::Disconnected => self.handle(context, Input::Disconnected, DISCONNECTED),
        }
    }

    fn task(&mut self, context: &mut Context<'_>, task: u64) {
        match task {
            NEXT if self.number.is_none() => self.next(context),
            NEXT => {}
            // Giving up is asking something else.
            give_up if self.number == Some(give_up - 1) && !self.is_calm => self.next(context),
            _ => {}
        }
    }

    fn wish(&mut self, context: &mut Context<'_>, wish: Wish) {
        match wish {
            Wish::Calm => self.is_calm = true,
            Wish::Probe => {
                self.probes = context.served().into();
                self.next(context);
            }
            Wish::Drain | Wish::End => {
                if let Some(link) = self.link.take() {
                    context.close(link, Side::Dialer, true);
                }
                context.env.oracles.client_died(context.id);
                self.number = None;
                context.exit = Some(Exit::Finished);
            }
        }
    }

    fn tick(&mut self, context: &mut Context<'_>) {
        let before = self.machine.state() as usize;
        context.env.coverage.met(coverage::Machine::Pirate, before, TICK);
        self.machine.tick(context.local);
        context.env.coverage.changed(coverage::Machine::Pirate, before, self.machine.state() as usize);
    }

    fn settle(&mut self, context: &mut Context<'_>) {
        while let Some(output) = self.machine.poll() {
            self.perform(context, output);
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.machine.deadline()
    }
}

/// Each process has ids of its own, and all of them one identity.
fn machine(plan: &plan::Client, lives: u64) -> Pirate {
    let identity = Bytes::from(format!("ours {}", plan.id));
    Pirate::new(speech(plan)).known_by(u64::from(plan.id) << 32 | lives, identity)
}

/// The name in the coverage table of an answer.
pub(crate) fn answered(body: &Frames) -> &'static str {
    if crate::marker::is_status(body) { "client: refused with a status" } else { "client: answered" }
}

/// Takes note of what a client machine tells.
pub(crate) fn observe(context: &mut Context<'_>, event: &Event) {
    context.trace(|| format!("{event:?}"));
    if let Some(name) = name(event) {
        context.env.coverage.told(name);
    }
    if let Event::Fault(_) | Event::WrongService = event {
        let what = format!("{} was sent what it did not ask for: {event:?}", context.name);
        context.env.oracles.violated(context.env.now, "codec", what);
    }
}

// Places in the inputs of the coverage table.
const REQUEST: usize = 0;
const CONNECTED: usize = 1;
const DISCONNECTED: usize = 2;
const MESSAGE: usize = 3;
const TICK: usize = 4;
