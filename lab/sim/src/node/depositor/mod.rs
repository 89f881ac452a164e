//! A client of Titanic: it leaves requests, comes back for the answers, and closes them. What it has left stands in a
//! notebook that its process does not take with it.
//!
//! ```text
//!   New ── submit ──► Stored ── fetch ──► Answered ──┐
//!    │                  │  ▲  └─ fetch ─► Dead ──────┤ close, drop
//!    │ refused          │  └──── replay ───┘         ▼
//!    ▼                  └────────── close ───────► Closed ── asked for once more ──► Over
//!   Over
//! ```
//!
//! Between two steps it now and then asks again for what it knows: submits under the same id, fetches what is answered
//! or closed, lists and reads what was given up.

mod life;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use client::multiplex::{Config, Correlation, Input, Multiplex, Output};
use client::number::Number;
use client::patience::{OnTimeout, Patience};
use client::speech::Speech;
use protocol::mdp::v03::{Idempotency, Terms};
use protocol::{Frames, Instant, Machine, RequestId};
use titanic::log::Id;

use super::pirate::observe;
use super::{Actor, Context, Exit, Heard, Wish, service_name};
use crate::marker::Token;
use crate::net::{Link, Side};
use crate::oracle::{Outcome, Subject};
use crate::plan;
use crate::queue::{MILLISECOND, Nanos};
use life::{Life, Stage, Step, TRIES, Told, told};

/// The client.
#[derive(Debug)]
pub(crate) struct Depositor {
    plan: plan::Depositor,
    config: Config,
    machine: Multiplex,
    link: Option<Link>,
    lives: Vec<Life>,
    /// Steps under way, and the parts of their answers so far.
    asked: BTreeMap<Number, (usize, Frames)>,
    next_number: u64,
    made: u32,
    is_calm: bool,
}

impl Depositor {
    pub(crate) fn new(plan: &plan::Depositor, seed: u64) -> Self {
        let speech = if plan.chooses { Speech::Native { fall_back: None } } else { Speech::Old(plan.dialect) };
        let config = Config {
            correlation: Correlation::Envelope,
            reconnect_first: Duration::from_millis(50),
            reconnect_max: Duration::from_millis(800),
            seed,
            salt: seed,
            identity: Bytes::from(format!("depositor {}", plan.id)),
            ..Config::new(speech)
        };
        Self {
            machine: Multiplex::new(config.clone()),
            config,
            link: None,
            lives: Vec::new(),
            asked: BTreeMap::new(),
            next_number: 0,
            made: 0,
            is_calm: false,
            plan: plan.clone(),
        }
    }

    /// Begins another life, if it is time for one.
    fn next(&mut self, context: &mut Context<'_>) {
        if self.is_calm || self.made >= self.plan.lives {
            return;
        }
        let pause = context.up_to(self.plan.think_ms);
        context.later(pause + MILLISECOND, NEXT);
        let under_way = self.lives.iter().filter(|life| life.stage != Stage::Over && !life.is_kept).count();
        if under_way < self.plan.at_once {
            self.made += 1;
            let service = u8::try_from(context.rng.below(self.plan.services.into())).unwrap_or(0);
            self.begin(context, service, false);
        }
    }

    fn begin(&mut self, context: &mut Context<'_>, service: u8, is_probe: bool) {
        let number = context.env.oracles.submitted(context.id, Subject::Deposit);
        let token = Token { client: context.id, number };
        let bytes = if is_probe { 0 } else { context.rng.index(usize::try_from(self.plan.padding).unwrap_or(0) + 1) };
        let service_frame = service_name(service).to_frame();
        let body = Frames::from([service_frame, token.to_deposit(), vec![b'.'; bytes].into()]);
        let own = (1 << 120 | u128::from(context.id) << 64 | u128::from(number)).to_be_bytes();
        self.lives.push(Life {
            number,
            service,
            body,
            id: self.plan.chooses.then_some(Id(own)),
            stage: Stage::New,
            step: None,
            tries: 0,
            extras: if is_probe { 0 } else { EXTRAS },
            is_kept: false,
            is_unsure: false,
            is_probe,
        });
        self.go_on(context, self.lives.len() - 1);
    }

    /// The next step of a life.
    fn go_on(&mut self, context: &mut Context<'_>, place: usize) {
        if self.link.is_some_and(|link| context.env.net.is_clogged(link, Side::Dialer)) {
            return context.later(20 * MILLISECOND, place as u64 + LIVES);
        }
        let Some(step) = self.choose(context, place) else { return };
        let Some(life) = self.lives.get_mut(place) else { return };
        life.step = Some(step);
        let wait_ms = if step == Step::Fetch { context.rng.below(self.plan.wait_ms + 1) } else { 0 };
        let (verb, body) = life.question(step, wait_ms);
        if let Some(id) = life.id {
            match step {
                Step::Close | Step::Drop => context.env.deposits.on_closing(id),
                Step::Replay => context.env.deposits.on_replaying(id),
                Step::Submit | Step::Fetch | Step::List | Step::Read => {}
            }
        }
        // What is known under its id is known to Titanic; a broker that kept the answer would go on saying no.
        let (id, idempotency) = match step {
            Step::Submit => (life.id.map(|id| RequestId(id.0)), Idempotency::Repeatable),
            _ => (None, Idempotency::Kept),
        };
        // Once all is calm nobody is less patient than the network is slow.
        let least_ms = if self.is_calm { CALM_MS } else { 0 };
        let timeout = Duration::from_millis(self.plan.timeout_ms.max(least_ms) + wait_ms);
        let patience = Patience { timeout, retries: self.plan.retries, on_timeout: OnTimeout::Retry };
        let terms = Terms { deadline: Some(patience.total()), idempotency, ..Terms::default() };
        self.next_number += 1;
        let number = Number(self.next_number);
        self.asked.insert(number, (place, Frames::new()));
        let service = verb.service().parse().expect("it is a name");
        self.machine.handle(
            context.local,
            Input::Submit { number, service, body, patience, terms, id: id.filter(|_| self.plan.chooses) },
        );
    }

    /// What is done next; `None` when nothing is, for now or for ever.
    fn choose(&mut self, context: &mut Context<'_>, place: usize) -> Option<Step> {
        let is_served = context.served().contains(&self.lives.get(place)?.service);
        let (plan, is_calm) = (&self.plan, self.is_calm);
        let life = self.lives.get_mut(place)?;
        if life.step.is_some() || (life.is_kept && !is_calm) {
            return None;
        }
        let asks_again = life.extras > 0 && context.rng.permille(plan.again_permille);
        life.extras -= u32::from(asks_again);
        let repeats = asks_again && plan.chooses && context.rng.chance(50);
        match life.stage {
            Stage::Over => None,
            Stage::New => Some(Step::Submit),
            _ if repeats => Some(Step::Submit),
            Stage::Stored if !is_calm && context.rng.permille(plan.early_permille) => Some(Step::Close),
            // Nobody is there to answer, and nobody will be.
            Stage::Stored if is_calm && !is_served && life.tries >= UNSERVED => Some(Step::Close),
            Stage::Stored => Some(Step::Fetch),
            Stage::Answered if asks_again => Some(Step::Fetch),
            Stage::Answered => Some(Step::Close),
            Stage::Dead if asks_again => Some(context.rng.one_of([Step::List, Step::Read, Step::Replay])),
            Stage::Dead => Some(context.rng.one_of([Step::Close, Step::Drop])),
            Stage::Closed if asks_again => Some(context.rng.one_of([Step::Fetch, Step::Close])),
            Stage::Closed => {
                self.end(context, place);
                None
            }
        }
    }

    fn end(&mut self, context: &mut Context<'_>, place: usize) {
        let Some(life) = self.lives.get_mut(place) else { return };
        life.stage = Stage::Over;
        context.env.oracles.done(context.env.now, context.id, life.number, Outcome::Status(200));
    }

    /// A step has ended; `None` when nobody knows how.
    fn on_step(&mut self, context: &mut Context<'_>, place: usize, told: Option<Told>) {
        let Some(step) = self.lives.get_mut(place).and_then(|life| life.step.take()) else { return };
        context.trace(|| format!("{step:?} of {place} ends with {told:?}"));
        let found = match told {
            None => {
                context.env.coverage.told("depositor: silence");
                self.on_silence(place, step);
                Ok(())
            }
            Some(told) => self.on_told(context, place, step, &told),
        };
        context.check("deposits", found);
        if self.is_hopeless(place) {
            self.end(context, place);
        }
        let pause = self.pause(context, place);
        context.later(pause, place as u64 + LIVES);
    }

    fn on_silence(&mut self, place: usize, step: Step) {
        let Some(life) = self.lives.get_mut(place) else { return };
        life.tries += 1;
        life.is_unsure |= step == Step::Submit && life.stage == Stage::New;
    }

    /// Whether nothing more can come of it: a request that is not taken, or that nobody knows the id of.
    fn is_hopeless(&self, place: usize) -> bool {
        let Some(life) = self.lives.get(place).filter(|life| life.stage == Stage::New) else { return false };
        life.tries >= TRIES || (life.is_unsure && life.id.is_none())
    }

    fn pause(&self, context: &mut Context<'_>, place: usize) -> Nanos {
        let tries = self.lives.get(place).map_or(0, |life| life.tries.min(10));
        let longest = if self.is_calm { self.plan.think_ms.min(100) } else { self.plan.think_ms };
        context.up_to(longest) + MILLISECOND * u64::from(1 + 20 * tries)
    }

    fn on_told(&mut self, context: &mut Context<'_>, place: usize, step: Step, told: &Told) -> Result<(), String> {
        let plan = &self.plan;
        let Some(life) = self.lives.get_mut(place) else { return Ok(()) };
        let tries = std::mem::take(&mut life.tries);
        let Some(id) = life.id.filter(|_| step != Step::Submit) else {
            return life.on_submitted(context, plan.keep_permille, tries, told);
        };
        let is_ok = &*told.status == b"200";
        if &*told.status == b"500" && step != Step::Fetch {
            // The disk failed, or has no room even for that.
            context.env.coverage.told("depositor: refused");
            life.tries = tries + 1;
            return Ok(());
        }
        let deposits = &mut context.env.deposits;
        match step {
            Step::Submit => Ok(()),
            Step::Fetch => life.on_fetched(context, id, tries, told),
            Step::Close if is_ok => {
                deposits.on_closed(id);
                life.stage = Stage::Closed;
                context.env.coverage.told("depositor: closed");
                Ok(())
            }
            Step::Close => Err(format!("to close {id} ends with {told:?}")),
            Step::List if is_ok => {
                context.env.coverage.told("depositor: listed");
                let text = format!("\"id\":\"{id}\"");
                let is_it = |row: &Bytes| row.windows(text.len()).any(|window| window == text.as_bytes());
                context.env.deposits.on_dead(id, told.frames.iter().skip(1).any(is_it))
            }
            Step::List => Err(format!("to list what was given up ends with {told:?}")),
            Step::Read if is_ok => {
                let read = deposits.on_read(id, &told.frames.clone().skip(1));
                context.env.coverage.told("depositor: read");
                read
            }
            Step::Replay if is_ok => {
                life.stage = Stage::Stored;
                context.env.coverage.told("depositor: replayed");
                Ok(())
            }
            Step::Drop if is_ok => {
                deposits.on_closed(id);
                life.stage = Stage::Closed;
                context.env.coverage.told("depositor: dropped");
                Ok(())
            }
            // An earlier step has taken effect that nobody heard of: what has become of it is to be asked.
            Step::Read | Step::Replay | Step::Drop => {
                life.stage = Stage::Stored;
                context.env.coverage.told("depositor: not among the dead");
                match step {
                    Step::Read => deposits.on_dead(id, false),
                    _ => Ok(()),
                }
            }
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
                if let Some(link) = self.link {
                    context.send(link, Side::Dialer, frames);
                }
            }
            Output::Part(number, part) => {
                self.asked.get_mut(&number).into_iter().for_each(|(_, parts)| parts.extend(part.clone()));
            }
            Output::Restarted(number) => {
                self.asked.get_mut(&number).into_iter().for_each(|(_, parts)| *parts = Frames::new());
            }
            Output::Done(number, outcome) => {
                let Some((place, parts)) = self.asked.remove(&number) else { return };
                self.on_step(context, place, told(parts, outcome));
            }
            Output::Event(event) => observe(context, &event),
            Output::Finished => context.exit = Some(Exit::Finished),
        }
    }

    /// Its process ends: nobody hears any more how the steps end that are under way.
    fn lose_steps(&mut self) {
        for (place, _) in std::mem::take(&mut self.asked).into_values() {
            if let Some(step) = self.lives.get_mut(place).and_then(|life| life.step.take()) {
                self.on_silence(place, step);
            }
        }
        self.link = None;
    }
}

impl Actor for Depositor {
    fn start(&mut self, context: &mut Context<'_>) {
        self.config.seed = self.config.seed.wrapping_add(1);
        self.machine = Multiplex::new(self.config.clone());
        self.link = None;
        context.later(MILLISECOND, NEXT);
        for place in 0..self.lives.len() {
            let pause = self.pause(context, place);
            context.later(pause, place as u64 + LIVES);
        }
    }

    fn die(&mut self, _context: &mut Context<'_>) {
        self.lose_steps();
    }

    fn hear(&mut self, context: &mut Context<'_>, link: Link, heard: Heard) {
        if self.link == Some(link) {
            let input = match heard {
                Heard::Connected { .. } => Input::Connected,
                Heard::Message(frames) => Input::Message(frames),
                Heard::Disconnected => Input::Disconnected,
            };
            self.machine.handle(context.local, input);
        }
    }

    fn task(&mut self, context: &mut Context<'_>, task: u64) {
        match usize::try_from(task.saturating_sub(LIVES)) {
            Ok(place) if task >= LIVES => self.go_on(context, place),
            _ => self.next(context),
        }
    }

    fn wish(&mut self, context: &mut Context<'_>, wish: Wish) {
        match wish {
            Wish::Calm => {
                self.is_calm = true;
                (0..self.lives.len()).for_each(|place| self.go_on(context, place));
            }
            Wish::Probe => {
                for service in context.served() {
                    self.begin(context, service, true);
                }
            }
            Wish::Drain | Wish::End => {
                self.lose_steps();
                self.machine.handle(context.local, Input::Shutdown);
            }
        }
    }

    fn tick(&mut self, context: &mut Context<'_>) {
        self.machine.tick(context.local);
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

/// The task of beginning a life; others are places of lives, moved up.
const NEXT: u64 = 0;
const LIVES: u64 = 1;
/// How long an attempt of a step may be silent at least, once all is calm.
const CALM_MS: u64 = 5000;
/// Steps of a life that ask for what is known.
const EXTRAS: u32 = 4;
/// How often a request that nobody serves is asked for once all is calm.
const UNSERVED: u32 = 2;
