//! Somebody who tells a broker what to do, as `majordomo` does on the command line: one question at a time, each until
//! it is answered. Once the storm is over it undoes what it did.

use std::collections::VecDeque;

use bytes::Bytes;
use protocol::mdp::{Dialect, Request};
use protocol::{Frames, Instant};

use super::multiplex::COMMANDS;
use super::{Actor, Context, Exit, Heard, Wish};
use crate::net::{Link, Side};
use crate::plan;
use crate::queue::{MILLISECOND, Nanos};

/// The operator.
#[derive(Debug)]
pub(crate) struct OperatorNode {
    plan: plan::Operator,
    link: Option<Link>,
    is_connected: bool,
    made: u32,
    /// What is to be said still, the next one first.
    questions: VecDeque<Question>,
    is_calm: bool,
}

#[derive(Clone, Debug)]
struct Question {
    service: &'static str,
    body: Frames,
}

const NEXT: u64 = 0;
const AGAIN: u64 = 1;

impl OperatorNode {
    pub(crate) fn new(plan: &plan::Operator) -> Self {
        let questions = VecDeque::new();
        Self { plan: plan.clone(), link: None, is_connected: false, made: 0, questions, is_calm: false }
    }

    fn next(&mut self, context: &mut Context<'_>) {
        if self.is_calm || self.made >= self.plan.changes {
            return;
        }
        let pause = context.up_to(self.plan.think_ms);
        context.later(pause + MILLISECOND, NEXT);
        if self.questions.is_empty() {
            self.made += 1;
            let service = u8::try_from(context.rng.below(self.plan.services.into())).unwrap_or(0);
            let question = self.draw(context, service);
            self.questions.push_back(question);
            self.ask(context);
        }
    }

    fn draw(&self, context: &mut Context<'_>, service: u8) -> Question {
        let grace = context.rng.one_of(["0", "100", "3000"]);
        match context.rng.below(20) {
            0 => Question::new("mmi.drain", &["broker", grace]),
            1 | 2 => Question::new("mmi.drain", &["service", name(service), grace]),
            3 | 4 => Question::new("mmi.resume", &["service", name(service)]),
            5..8 => {
                let worker = format!("worker {}", context.rng.below(u64::from(self.plan.id)));
                Question::new("mmi.drain", &["worker", &worker, grace])
            }
            8 => Question::new("mmi.services", &[""]),
            9 => Question::new("mmi.workers", &[""]),
            10 => Question::new("mmi.stats", &[""]),
            11 => Question::new("mmi.info", &[""]),
            _ => {
                let operation = context.rng.one_of(["disable", "disable", "enable"]);
                Question::new("mmi.filter", &[operation, name(service), context.rng.one_of(COMMANDS)])
            }
        }
    }

    /// Asks the next question, on a connection that has answered the last one.
    fn ask(&mut self, context: &mut Context<'_>) {
        let Some(Question { service, body }) = self.questions.front().cloned() else { return };
        match self.link {
            Some(link) if self.is_connected => {
                let service = service.parse().expect("a name of printable characters");
                let request = Request::new(Dialect::V01, Frames::new(), service, body);
                context.send(link, Side::Dialer, request.encode());
            }
            Some(_) => {}
            None => self.link = context.dial(Bytes::new()),
        }
    }

    /// Allows again whatever it may have forbidden.
    fn undo(&mut self) {
        for service in (0..self.plan.services).map(name) {
            let enable = |command| Question::new("mmi.filter", &["enable", service, command]);
            self.questions.extend(COMMANDS.map(enable));
            self.questions.push_back(Question::new("mmi.resume", &["service", service]));
        }
    }

    fn hang_up(&mut self, context: &mut Context<'_>) {
        self.is_connected = false;
        if let Some(link) = self.link.take() {
            context.close(link, Side::Dialer, false);
        }
    }
}

impl Actor for OperatorNode {
    fn start(&mut self, context: &mut Context<'_>) {
        self.questions.clear();
        context.later(MILLISECOND, NEXT);
        context.later(PATIENCE, AGAIN);
        if self.is_calm {
            self.wish(context, Wish::Calm);
        }
    }

    fn die(&mut self, _context: &mut Context<'_>) {
        self.link = None;
        self.is_connected = false;
    }

    fn hear(&mut self, context: &mut Context<'_>, link: Link, heard: Heard) {
        if self.link != Some(link) {
            return;
        }
        match heard {
            Heard::Connected { .. } => {
                self.is_connected = true;
                self.ask(context);
            }
            Heard::Message(_) => {
                context.env.coverage.told("operator: answered");
                self.questions.pop_front();
                self.ask(context);
            }
            Heard::Disconnected => {
                self.is_connected = false;
                self.link = None;
            }
        }
    }

    fn task(&mut self, context: &mut Context<'_>, task: u64) {
        if task == NEXT {
            return self.next(context);
        }
        context.later(PATIENCE, AGAIN);
        if self.is_calm && self.questions.is_empty() {
            // What it said in the storm may arrive later than what it says now.
            self.undo();
        }
        if !self.questions.is_empty() {
            // A late answer to this one must not be taken for the next one's.
            self.hang_up(context);
            self.ask(context);
        }
    }

    fn wish(&mut self, context: &mut Context<'_>, wish: Wish) {
        match wish {
            Wish::Calm => {
                self.is_calm = true;
                self.undo();
                self.ask(context);
            }
            Wish::Probe => {}
            Wish::Drain | Wish::End => {
                self.hang_up(context);
                context.exit = Some(Exit::Finished);
            }
        }
    }

    fn tick(&mut self, _context: &mut Context<'_>) {}

    fn settle(&mut self, _context: &mut Context<'_>) {}

    fn deadline(&self) -> Option<Instant> {
        None
    }
}

impl Question {
    fn new(service: &'static str, body: &[&str]) -> Self {
        Self { service, body: body.iter().map(|frame| Bytes::copy_from_slice(frame.as_bytes())).collect() }
    }
}

/// The name of a service, as text.
fn name(service: u8) -> &'static str {
    ["s0", "s1", "s2", "s3"].get(usize::from(service)).copied().unwrap_or("s0")
}

/// How long an answer is waited for.
const PATIENCE: Nanos = 2000 * MILLISECOND;
