//! A client of MDP 0.3 that is not our machine: it sends twice, cancels, borrows ids, comes back under its identity. No
//! machine; what a request of docs/rfc/MDP-0.3.md, section 6, may go through, written down as its table has it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use protocol::mdp::v03::client::Request;
use protocol::mdp::v03::options::kind;
use protocol::mdp::v03::{FromClient, Idempotency, Outcome as Final, Terms, ToClient};
use protocol::{Frames, Instant, RequestId, ServiceName};

use super::multiplex::{ask, identity, priority};
use super::native_worker::PRIVATE;
use super::{Actor, Context, Exit, Heard, Wish};
use crate::marker::Token;
use crate::net::{Link, Side};
use crate::oracle::Outcome;
use crate::oracle::ledger::{OWN, PLANNED};
use crate::oracle::order::ANOTHER;
use crate::plan;
use crate::queue::{MILLISECOND, Nanos};

/// The client.
#[derive(Debug)]
pub(crate) struct NativeClient {
    plan: plan::Client,
    native: plan::NativeClient,
    link: Option<Link>,
    is_connected: bool,
    asks: BTreeMap<u64, Ask>,
    /// Of the requests on this connection: their number here, how often each was sent, and how often it has ended.
    sent: BTreeMap<RequestId, Sent>,
    /// Ids of others that it has used: once each.
    borrowed: BTreeSet<RequestId>,
    made: u32,
    probes: VecDeque<u8>,
    is_calm: bool,
}

/// A request that has not ended.
#[derive(Debug)]
struct Ask {
    id: RequestId,
    service: ServiceName,
    body: Frames,
    terms: Terms,
    /// When nobody waits any more.
    ends: Option<Nanos>,
    parts: u32,
    attempts: u32,
    retries: u32,
    timeout: Nanos,
    is_cancelled: bool,
    /// Whether a part was missed.
    is_broken: bool,
    /// Whether it can be taken for another one: then 409 is a fair answer.
    may_clash: bool,
}

#[derive(Debug)]
struct Sent {
    number: u64,
    count: u32,
    ended: u32,
    /// Requests with other bodies that were sent under the same id.
    clashes: u32,
    has_clashed: bool,
}

// Tasks: the kind, and above it the number of a request.
const NEXT: u64 = 0;
const DIAL: u64 = 1;
const TIMEOUT: u64 = 2;
const CANCEL: u64 = 3;
const DOUBLE: u64 = 4;
const KINDS: u64 = 8;

impl Ask {
    /// Whether it may have been run twice, one after the other.
    fn was_repeated(&self) -> bool {
        self.attempts > 1 || self.may_clash
    }
}

impl NativeClient {
    pub(crate) fn new(plan: &plan::Client, native: plan::NativeClient) -> Self {
        Self {
            plan: plan.clone(),
            native,
            link: None,
            is_connected: false,
            asks: BTreeMap::new(),
            sent: BTreeMap::new(),
            borrowed: BTreeSet::new(),
            made: 0,
            probes: VecDeque::new(),
            is_calm: false,
        }
    }

    fn next(&mut self, context: &mut Context<'_>) {
        if self.made >= self.plan.requests || self.is_calm {
            return;
        }
        let pause = context.up_to(self.plan.think_ms);
        context.later(pause + MILLISECOND, NEXT);
        let is_clogged = self.link.is_some_and(|link| context.env.net.is_clogged(link, Side::Dialer));
        if self.asks.len() < self.native.in_flight_max && !is_clogged {
            self.made += 1;
            self.submit(context, None);
        }
    }

    fn submit(&mut self, context: &mut Context<'_>, probe: Option<u8>) {
        let (number, service, body) = ask(context, &self.plan, probe);
        let mut ask = Ask {
            id: id(context.id, number),
            service,
            body,
            terms: Terms::default(),
            ends: None,
            parts: 0,
            attempts: 1,
            retries: if probe.is_some() { 3 } else { self.plan.retries },
            timeout: if probe.is_some() { 5000 } else { self.plan.timeout_ms } * MILLISECOND,
            is_cancelled: false,
            is_broken: false,
            may_clash: self.plan.twin,
        };
        if probe.is_none() {
            self.vary(context, &mut ask, number);
        }
        context.later(ask.timeout, number * KINDS + TIMEOUT);
        self.asks.insert(number, ask);
        self.send(context, number);
    }

    /// What makes a request other than the plainest.
    fn vary(&mut self, context: &mut Context<'_>, ask: &mut Ask, number: u64) {
        let native = self.native;
        if context.rng.permille(native.deadline_permille) {
            ask.ends = Some(context.env.now + MILLISECOND + context.up_to(native.deadline_ms));
        }
        if native.priorities {
            ask.terms.priority = priority(context);
        }
        let levels = [Idempotency::Kept, Idempotency::Repeatable, Idempotency::Once];
        let any = usize::try_from(context.rng.below(3)).unwrap_or(0);
        ask.terms.idempotency =
            levels.get(usize::from(native.idempotency)).or(levels.get(any)).copied().unwrap_or_default();
        if context.rng.permille(self.plan.forget_permille) {
            let after = context.up_to(self.plan.timeout_ms);
            context.later(after, number * KINDS + CANCEL);
        }
        if context.rng.permille(native.double_permille) {
            let after = context.up_to(self.plan.timeout_ms);
            context.later(after, number * KINDS + DOUBLE);
        }
        if context.rng.permille(native.borrow_permille) && context.rng.chance(50) {
            // Another one's id, as one who guesses it: ids of different clients never meet.
            let (other, theirs) = context.env.oracles.any_request(context.rng.bits());
            if other != context.id && self.borrowed.insert(id(other, theirs)) {
                ask.id = id(other, theirs);
                ask.may_clash = true;
            }
        }
    }

    fn send(&mut self, context: &mut Context<'_>, number: u64) {
        let Some(link) = self.link.filter(|_| self.is_connected) else { return };
        let now = context.env.now;
        let Some(ask) = self.asks.get(&number) else { return };
        let left = ask.ends.map(|ends| Duration::from_nanos(ends.saturating_sub(now)).max(Duration::from_millis(1)));
        let (id, service, body) = (ask.id, ask.service.clone(), ask.body.clone());
        let terms = Terms { deadline: left, ..ask.terms.clone() };
        let sent = self.sent.entry(id).or_insert(Sent { number, count: 0, ended: 0, clashes: 0, has_clashed: false });
        (sent.number, sent.count) = (number, sent.count + 1);
        context.send(link, Side::Dialer, FromClient::Request(Request { id, service, terms, body }).encode());
        if context.rng.permille(self.native.borrow_permille) && context.rng.chance(30) && !self.is_calm {
            self.clash(context, number);
        }
    }

    /// The same id for another request: it is told 409, and the one in progress goes on.
    fn clash(&mut self, context: &mut Context<'_>, number: u64) {
        let (Some(link), Some(ask)) = (self.link, self.asks.get_mut(&number)) else { return };
        let Some(sent) = self.sent.get_mut(&ask.id) else { return };
        sent.clashes += 1;
        sent.has_clashed = true;
        sent.count += 1;
        let (id, service) = (ask.id, ask.service.clone());
        let request = Request { id, service, terms: Terms::default(), body: Frames::from([ANOTHER]) };
        context.send(link, Side::Dialer, FromClient::Request(request).encode());
    }

    fn on_timeout(&mut self, context: &mut Context<'_>, number: u64) {
        let Some(ask) = self.asks.get_mut(&number) else { return };
        if ask.is_cancelled {
            // The FINAL that follows may not have found room on its way.
            return self.forget(context, number);
        }
        context.later(ask.timeout, number * KINDS + TIMEOUT);
        if ask.attempts > ask.retries {
            return if self.is_connected {
                // Nobody waits any more; it ends with the FINAL that follows, or with its connection.
                self.cancel(context, number)
            } else {
                self.end(context, number, Outcome::Silence)
            };
        }
        ask.attempts += 1;
        if context.rng.permille(self.native.reconnect_permille) {
            self.lose(context);
        } else {
            self.send(context, number);
        }
    }

    fn cancel(&mut self, context: &mut Context<'_>, number: u64) {
        let Some(ask) = self.asks.get_mut(&number).filter(|ask| !ask.is_cancelled) else { return };
        ask.is_cancelled = true;
        let id = ask.id;
        match self.link.filter(|_| self.is_connected) {
            Some(link) => {
                context.env.coverage.told("native client: cancelled");
                let _ = context.send(link, Side::Dialer, FromClient::Cancel(id).encode());
            }
            None => self.forget(context, number),
        }
    }

    /// A request ends without a word.
    fn forget(&mut self, context: &mut Context<'_>, number: u64) {
        if self.asks.remove(&number).is_some() {
            context.env.oracles.forgotten(context.id, number);
        }
    }

    fn end(&mut self, context: &mut Context<'_>, number: u64, outcome: Outcome<'_>) {
        if self.asks.remove(&number).is_some() {
            context.env.oracles.done(context.env.now, context.id, number, outcome);
            self.probe(context);
        }
    }

    /// One service after the other: together they might wait longer for a worker than they may.
    fn probe(&mut self, context: &mut Context<'_>) {
        if let Some(service) = self.probes.pop_front() {
            self.submit(context, Some(service));
        }
    }

    /// Gives the connection up. What was cancelled on it has ended; the rest is sent again on the next one.
    fn lose(&mut self, context: &mut Context<'_>) {
        self.is_connected = false;
        if self.plan.identity.is_none() {
            // Nobody who connects is taken for it.
            self.sent.clear();
        }
        if let Some(link) = self.link.take() {
            context.close(link, Side::Dialer, false);
        }
        let over: Vec<_> = self.asks.iter().filter(|(_, ask)| ask.is_cancelled).map(|(number, _)| *number).collect();
        for number in over {
            self.forget(context, number);
        }
        for (number, ask) in &mut self.asks {
            // Another connection may find it in progress with parts on the way, and cannot join.
            ask.parts = 0;
            ask.may_clash = true;
            context.env.oracles.restarted(context.id, Some(*number));
        }
        context.later(100 * MILLISECOND, DIAL);
    }

    fn on_message(&mut self, context: &mut Context<'_>, frames: Frames) {
        match ToClient::decode(frames) {
            Ok(ToClient::Partial { id, part, body }) => self.on_partial(context, id, part, &body),
            Ok(ToClient::Final { id, outcome, body }) => self.on_final(context, id, &outcome, &body),
            Ok(ToClient::Drain(_)) => context.env.coverage.told("native client: told of a drain"),
            Ok(ToClient::Heartbeat) => context.env.coverage.told("native client: speaking"),
            Err(fault) => {
                let what = format!("{}: our broker broke a rule: {fault}", context.name);
                context.env.oracles.violated(context.env.now, "codec", what);
            }
        }
    }

    fn on_partial(&mut self, context: &mut Context<'_>, id: RequestId, part: u32, body: &Frames) {
        let Some(number) = self.sent.get(&id).map(|sent| sent.number) else { return };
        if self.sent.get(&id).is_some_and(|sent| sent.has_clashed) && Token::find(body).is_none() {
            return;
        }
        let Some(ask) = self.asks.get_mut(&number).filter(|ask| !ask.is_cancelled) else { return };
        if part == 0 && ask.parts > 0 && ask.was_repeated() {
            // What it heard was of a run whose end was lost; it has been asked anew.
            ask.parts = 0;
            context.env.oracles.restarted(context.id, Some(number));
        }
        if part != ask.parts {
            // A hole. It is broken for good, and what ends it is on its way.
            ask.is_broken = true;
        }
        if ask.is_broken {
            return;
        }
        ask.parts += 1;
        context.env.coverage.told("native client: part");
        context.env.oracles.part(context.env.now, context.id, Some(number), body);
    }

    fn on_final(&mut self, context: &mut Context<'_>, id: RequestId, outcome: &Final, body: &Frames) {
        let code = outcome.status.code();
        let Some(sent) = self.sent.get_mut(&id) else { return };
        sent.ended += 1;
        let number = sent.number;
        if sent.ended > sent.count {
            let what = format!("hears {} ends of {} requests of one id", sent.ended, sent.count);
            context.check("single_reply", Err(what));
        }
        // Where the first one was refused and that was lost on its way, the other one is taken.
        let is_of_other = sent.has_clashed && outcome.status.is_success() && Token::find(body).is_none();
        if is_of_other || (code == 409 && sent.clashes > 0) {
            sent.clashes = sent.clashes.saturating_sub(1);
            return context.env.coverage.told("native client: clash ended");
        }
        let Some(ask) = self.asks.get(&number) else { return };
        context.check("status", fits(ask, outcome));
        if let Some(name) = name(code) {
            context.env.coverage.told(name);
        }
        if outcome.status.is_success() && ask.is_cancelled {
            // It crossed its CANCEL, and may be taken; parts that were dropped meanwhile are not missed.
            return self.forget(context, number);
        }
        if ask.was_repeated() && outcome.parts == 0 && ask.parts > 0 {
            context.env.oracles.restarted(context.id, Some(number));
        } else if ask.was_repeated() && outcome.parts != ask.parts {
            // A part of the second run was lost with the end of the first.
            return self.end(context, number, Outcome::Status(code));
        } else if outcome.status.is_success() && outcome.parts != ask.parts {
            let what = format!("request {number} ends with {} parts, and {} were heard", outcome.parts, ask.parts);
            context.check("belonging", Err(what));
        }
        if outcome.status.is_success() {
            self.end(context, number, Outcome::Reply(body));
        } else {
            self.end(context, number, Outcome::Status(code));
        }
    }
}

/// Whether a request can have ended with this status, and no more was handed on than should be.
fn fits(ask: &Ask, outcome: &Final) -> Result<(), String> {
    let code = outcome.status.code();
    let is_planned = outcome.options.reason() == Some(PLANNED);
    if outcome.options.get(kind::ENDPOINTS).is_some() && is_planned {
        return Err("a worker has sent its client elsewhere".to_owned());
    }
    if is_planned && outcome.options.get(PRIVATE) != Some(b"kept") {
        return Err("what a worker passes on is lost".to_owned());
    }
    match code {
        // Its worker says so, for reasons of its own.
        _ if is_planned || outcome.options.reason() == Some(OWN) => Ok(()),
        409 if !ask.may_clash && ask.attempts == 1 => Err("409 for an id that was used once".to_owned()),
        499 if !ask.is_cancelled => Err("499 for a request that was not cancelled".to_owned()),
        _ => Ok(()),
    }
}

impl Actor for NativeClient {
    fn start(&mut self, context: &mut Context<'_>) {
        // One that ended politely is started as it was: what it asked may be in progress on the connection of before.
        self.is_connected = false;
        self.asks.values_mut().for_each(|ask| ask.may_clash = true);
        self.link = context.dial(identity(&self.plan));
        let think = context.up_to(self.plan.think_ms);
        context.later(think, NEXT);
    }

    fn die(&mut self, context: &mut Context<'_>) {
        context.env.oracles.client_died(context.id);
        self.asks.clear();
        self.sent.clear();
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
                context.send(link, Side::Dialer, FromClient::Heartbeat.encode());
                let open: Vec<_> = self.asks.keys().copied().collect();
                for number in open {
                    self.send(context, number);
                }
            }
            Heard::Message(frames) => self.on_message(context, frames),
            Heard::Disconnected => {
                self.link = None;
                self.lose(context);
            }
        }
    }

    fn task(&mut self, context: &mut Context<'_>, task: u64) {
        let number = task / KINDS;
        match task % KINDS {
            DIAL if self.link.is_none() => self.link = context.dial(identity(&self.plan)),
            TIMEOUT => self.on_timeout(context, number),
            CANCEL => self.cancel(context, number),
            DOUBLE if self.asks.get(&number).is_some_and(|ask| !ask.is_cancelled) => {
                if let Some(ask) = self.asks.get_mut(&number) {
                    // Its answer may be on the way, and its double may be asked anew.
                    ask.may_clash = true;
                }
                self.send(context, number);
            }
            NEXT => self.next(context),
            _ => {}
        }
    }

    fn wish(&mut self, context: &mut Context<'_>, wish: Wish) {
        match wish {
            Wish::Calm if self.plan.twin => self.wish(context, Wish::End),
            Wish::Calm => self.is_calm = true,
            Wish::Probe => {
                self.probes = context.served().into();
                self.probe(context);
            }
            Wish::Drain | Wish::End => {
                context.env.oracles.client_died(context.id);
                self.asks.clear();
                if let Some(link) = self.link.take() {
                    context.close(link, Side::Dialer, true);
                }
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

/// The id of a client's request: whoever knows both numbers can guess it.
fn id(client: u32, number: u64) -> RequestId {
    let mut octets = [0xaa; 16];
    let numbers = client.to_be_bytes().into_iter().chain(number.to_be_bytes());
    octets.iter_mut().skip(4).zip(numbers).for_each(|(octet, number)| *octet = number);
    RequestId(octets)
}

/// The name in the coverage table of an end.
fn name(status: u16) -> Option<&'static str> {
    Some(match status {
        200 => "native client: 200",
        400 => "native client: 400",
        403 => "native client: 403",
        404 => "native client: 404",
        408 => "native client: 408",
        409 => "native client: 409",
        429 => "native client: 429",
        499 => "native client: 499",
        500 => "native client: 500",
        502 => "native client: 502",
        503 => "native client: 503",
        _ => return None,
    })
}
