//! What a broker owes to clients of MDP 0.3 (docs/rfc/MDP-0.3.md, 7.1 to 7.4 and 7.6), seen from both its sides.
//!
//! - Every accepted request ends with one FINAL; nothing follows it but the answer to a duplicate.
//! - Parts are numbered without a hole, and FINAL counts them.
//! - CANCEL ends a request at once, and so does its deadline; a worker of 0.3 that has it is sent CANCEL.
//! - A duplicate in progress is joined; one of a request that has ended is answered from what is kept, and does not run
//!   again; another request under the same id is told 409. Ids of different clients never meet.
//! - What is to run once is given to one worker, once.
//!
//! Where the client has been away, the broker may have ended a request without being able to say so: then less is sure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use protocol::mdp::v03::client::Request;
use protocol::mdp::v03::{FromWorker, Idempotency, Outcome, ToClient};
use protocol::{Frames, Instant, PeerId, RequestId};
use rustc_hash::FxHashMap;

use crate::hash::EventHash;
use crate::marker::Token;

/// What the broker was told about kept answers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// How long they are kept.
    pub(crate) window: Duration,
    /// Whether there is room for all that can come.
    pub(crate) is_ample: bool,
}

/// The requests of 0.3 at one broker.
#[derive(Debug)]
pub(crate) struct Ledger {
    rules: Rules,
    clients: BTreeMap<PeerId, Client>,
    entries: FxHashMap<Id, Entry>,
    by_token: FxHashMap<Token, Vec<Id>>,
    /// Requests that workers have, by what the broker calls them.
    running: FxHashMap<Bytes, Id>,
    deadlines: BTreeSet<(Instant, Id)>,
    /// The first of them that was found to be over, and when: a broker that stood still ends it soon after it woke up.
    overdue: Option<(Instant, Id, Instant)>,
    step: Step,
    /// Requests that have ended, for whoever wants to know.
    pub(crate) over: Vec<Token>,
}

/// Who a client is: its identity, or its one connection.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Client {
    Named(Bytes),
    Connection(PeerId),
}

type Id = (Client, [u8; 16]);

#[derive(Debug)]
struct Entry {
    digest: u64,
    token: Option<Token>,
    idempotency: Idempotency,
    deadline: Option<Instant>,
    peer: PeerId,
    is_open: bool,
    /// Its client was away meanwhile: it may have ended.
    is_vague: bool,
    parts: u32,
    given: u32,
    /// The worker of 0.3 that has it.
    worker: Option<(PeerId, Bytes)>,
    /// When it ended.
    ended: Instant,
    /// The answer that is kept.
    kept: Option<u64>,
}

/// What one input brings with it.
#[derive(Debug, Default)]
struct Step {
    /// The request that has come again.
    again: Option<(Id, Again)>,
    /// Requests that must have ended by the end of this step.
    cancelled: Option<Id>,
    /// Workers that must be sent CANCEL.
    owed: Vec<(PeerId, Bytes)>,
    /// The request that a worker ends.
    answered: Option<Bytes>,
    /// A request that could not be read, and is answered 400.
    malformed: Option<RequestId>,
}

/// How a known id came again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Again {
    /// In progress, and the same.
    Joins,
    /// In progress, and another.
    Clashes,
    /// It has ended: the same, or another; with the digest of what came.
    Repeats { is_same: bool, digest: u64, now: Instant },
    /// It was told what it is to be told.
    Answered,
}

impl Ledger {
    pub(crate) fn new(rules: Rules) -> Self {
        Self {
            rules,
            clients: BTreeMap::new(),
            entries: FxHashMap::default(),
            by_token: FxHashMap::default(),
            running: FxHashMap::default(),
            deadlines: BTreeSet::new(),
            overdue: None,
            step: Step::default(),
            over: Vec::new(),
        }
    }

    pub(crate) fn on_connected(&mut self, peer: PeerId, identity: &Bytes) {
        let client = if identity.is_empty() { Client::Connection(peer) } else { Client::Named(identity.clone()) };
        self.clients.insert(peer, client);
    }

    pub(crate) fn on_disconnected(&mut self, peer: PeerId) {
        let Some(gone) = self.clients.remove(&peer) else { return };
        let theirs = self.entries.iter_mut().filter(|((client, _), _)| *client == gone);
        theirs.for_each(|(_, entry)| entry.is_vague = true);
    }

    /// A request comes; the broker is about to handle it. Whether its id is known.
    pub(crate) fn on_request(&mut self, now: Instant, peer: PeerId, request: &Request) -> bool {
        let Some(client) = self.clients.get(&peer).cloned() else { return false };
        let id = (client, request.id.0);
        let digest = digest(request);
        let deadline = request.terms.deadline.map(|left| now + left);
        let Some(entry) = self.entries.get_mut(&id) else {
            self.open(id, peer, request, (digest, deadline));
            return false;
        };
        let is_same = entry.digest == digest;
        if !entry.is_open {
            self.step.again = Some((id, Again::Repeats { is_same, digest, now }));
        } else if is_same {
            // It may be that of the first one which counts, or the later one's.
            entry.deadline = entry.deadline.zip(deadline).map(|(one, other)| one.max(other));
            self.step.again = Some((id, Again::Joins));
        } else {
            self.step.again = Some((id, Again::Clashes));
        }
        true
    }

    /// A request that cannot be read comes with this id.
    pub(crate) fn on_malformed(&mut self, id: RequestId) {
        self.step.malformed = Some(id);
    }

    fn open(&mut self, id: Id, peer: PeerId, request: &Request, (digest, deadline): (u64, Option<Instant>)) {
        let token = Token::find(&request.body).map(|(token, _)| token);
        if let Some(token) = token {
            let ids = self.by_token.entry(token).or_default();
            if !ids.contains(&id) {
                ids.push(id.clone());
            }
        }
        if let Some(deadline) = deadline {
            self.deadlines.insert((deadline, id.clone()));
        }
        let entry = Entry {
            digest,
            token,
            idempotency: request.terms.idempotency,
            deadline,
            peer,
            is_open: true,
            is_vague: false,
            parts: 0,
            given: 0,
            worker: None,
            ended: Instant::ZERO,
            kept: None,
        };
        self.entries.insert(id, entry);
    }

    /// CANCEL comes; the broker is about to handle it.
    pub(crate) fn on_cancel(&mut self, peer: PeerId, id: RequestId) {
        let Some(client) = self.clients.get(&peer).cloned() else { return };
        let id = (client, id.0);
        if self.entries.get(&id).is_some_and(|entry| entry.is_open && !entry.is_vague) {
            self.step.cancelled = Some(id);
        }
    }

    /// A worker ends the request that the broker calls so.
    pub(crate) fn on_answered(&mut self, address: Bytes, frames: &Frames) {
        let entry = self.running.get(&address).and_then(|id| self.entries.get_mut(id)).filter(|entry| entry.parts == 0);
        if let Some(entry) = entry
            && let Ok(FromWorker::Final { outcome, .. }) = FromWorker::decode(frames.clone())
            && outcome.status.is_not_taken()
            && outcome.parts == 0
        {
            // It has not begun, whether or not its client is there to be told.
            entry.given = 0;
        }
        self.step.answered = Some(address);
    }

    /// A request is given to a worker.
    pub(crate) fn on_given(
        &mut self,
        worker: PeerId,
        native: bool,
        frames: &Frames,
        address: Bytes,
    ) -> Result<(), String> {
        let Some((token, _)) = Token::find(frames) else { return Ok(()) };
        let Some(ids) = self.by_token.get(&token) else { return Ok(()) };
        let waits = |id: &&Id| self.entries.get(*id).is_some_and(|entry| entry.is_open && entry.worker.is_none());
        let mut waiting = ids.iter().filter(waits);
        // Of several under one token nobody can tell which it is.
        let (Some(id), None) = (waiting.next().cloned(), waiting.next()) else { return Ok(()) };
        let Some(entry) = self.entries.get_mut(&id) else { return Ok(()) };
        entry.given += 1;
        if entry.is_vague {
            // What was sent of it before has ended unseen: it begins anew.
            entry.parts = 0;
        }
        if native {
            entry.worker = Some((worker, address.clone()));
        }
        let is_sure = self.rules.is_ample && !entry.is_vague;
        let is_twice = entry.given > 1 && entry.idempotency == Idempotency::Once && is_sure;
        self.running.insert(address, id);
        if is_twice { wrong(token, "is to run once, and is given away again") } else { Ok(()) }
    }

    /// A worker was lost; the request that the broker called so waits again.
    pub(crate) fn on_requeued(&mut self, address: &Bytes) {
        if let Some(entry) = self.running.remove(address).and_then(|id| self.entries.get_mut(&id)) {
            entry.worker = None;
        }
    }

    /// A worker is sent CANCEL for the request that the broker calls so.
    pub(crate) fn on_called_off(&mut self, worker: PeerId, address: &Bytes) {
        self.step.owed.retain(|owed| *owed != (worker, address.clone()));
    }

    /// A client is sent something.
    pub(crate) fn on_sent(&mut self, now: Instant, peer: PeerId, frames: &Frames) -> Result<(), String> {
        match ToClient::decode(frames.clone()) {
            Ok(ToClient::Partial { id, part, .. }) => self.on_partial(peer, id, part),
            Ok(ToClient::Final { id, outcome, body }) => self.on_final(now, peer, id, (&outcome, &body, frames)),
            Ok(ToClient::Drain(_) | ToClient::Heartbeat) => Ok(()),
            Err(fault) => Err(format!("a client is sent what it cannot read: {fault}")),
        }
    }

    fn on_partial(&mut self, peer: PeerId, id: RequestId, part: u32) -> Result<(), String> {
        let Some(client) = self.clients.get(&peer).cloned() else { return Ok(()) };
        let Some(entry) = self.entries.get_mut(&(client, id.0)) else {
            return Err(format!("a part of nothing: {id:?}"));
        };
        if entry.is_vague && part == 0 {
            entry.parts = 0;
        }
        if !entry.is_open || entry.parts != part {
            return Err(format!(
                "part {part} of {:?} after {} parts; open: {}",
                entry.token, entry.parts, entry.is_open
            ));
        }
        entry.parts += 1;
        entry.peer = peer;
        Ok(())
    }

    fn on_final(
        &mut self,
        now: Instant,
        peer: PeerId,
        id: RequestId,
        (outcome, body, frames): (&Outcome, &Frames, &Frames),
    ) -> Result<(), String> {
        let Some(client) = self.clients.get(&peer).cloned() else { return Ok(()) };
        let id = (client, id.0);
        let (status, hash) = (outcome.status.code(), hash(frames));
        if status == 400 && self.step.malformed.take_if(|malformed| malformed.0 == id.1).is_some() {
            return Ok(());
        }
        let Some(entry) = self.entries.get_mut(&id) else { return Err(format!("the end of nothing: {:?}", id.1)) };
        if let Some((_, again)) = self.step.again.as_mut().filter(|(again, _)| *again == id) {
            let is_fair = match *again {
                Again::Joins => status == 409 && (entry.is_vague || (entry.parts > 0 && entry.peer != peer)),
                Again::Clashes => status == 409,
                Again::Repeats { is_same, .. } => status == 409 || (is_same && entry.kept == Some(hash)),
                Again::Answered => false,
            };
            if is_fair {
                *again = Again::Answered;
                return Ok(());
            }
            if let Again::Repeats { .. } = again {
                // It was asked anew, and has ended at once.
                self.reopen(&id, peer);
                self.step.again = None;
            }
        }
        self.close(now, &id, outcome, body, hash)
    }

    /// An open request ends.
    fn close(&mut self, now: Instant, id: &Id, outcome: &Outcome, body: &Frames, hash: u64) -> Result<(), String> {
        let Some(entry) = self.entries.get_mut(id) else { return Ok(()) };
        let status = outcome.status.code();
        if !entry.is_open {
            return Err(format!("a second end of {:?}, with {status}", entry.token));
        }
        entry.is_open = false;
        self.over.extend(entry.token);
        let answered = self.step.answered.as_ref().is_some_and(|answered| self.running.get(answered) == Some(id));
        // What is said again to one who was away has ended at another time.
        entry.ended = if answered || !entry.is_vague { now } else { Instant::ZERO };
        let is_of_worker = outcome.status.is_success() || matches!(outcome.options.reason(), Some(PLANNED | OWN));
        let is_whole = answered && entry.parts == 0 && outcome.parts == 0;
        // A worker that says so has not begun: it may come again, also where it is to run once.
        let is_not_taken = is_whole && outcome.status.is_not_taken();
        if is_not_taken {
            entry.given = 0;
        }
        let is_kept = is_whole && is_of_worker && !is_not_taken && entry.idempotency != Idempotency::Repeatable;
        entry.kept = is_kept.then_some(hash);
        if let Some(owed) = entry.worker.take().filter(|_| !answered && !entry.is_vague && matches!(status, 408 | 499))
        {
            self.step.owed.push(owed);
        }
        if self.step.cancelled.as_ref() == Some(id) && status != 499 {
            return Err(format!("{:?} is cancelled, and ends with {status}", entry.token));
        }
        if entry.is_vague || !outcome.status.is_success() {
            return Ok(());
        }
        if outcome.parts != entry.parts {
            return Err(format!("{:?} ends with {} parts, and {} were sent", entry.token, outcome.parts, entry.parts));
        }
        match (Token::find(body), entry.token) {
            (Some((theirs, _)), Some(mine)) if theirs != mine => {
                Err(format!("{mine:?} is given the answer to {theirs:?}"))
            }
            _ => Ok(()),
        }
    }

    /// A request that had ended is asked anew, and this time it is another one.
    fn reopen(&mut self, id: &Id, peer: PeerId) {
        let Some(entry) = self.entries.get_mut(id) else { return };
        (entry.is_open, entry.parts, entry.given, entry.peer, entry.worker) = (true, 0, 0, peer, None);
        // What the new one says of deadlines is not remembered: less is sure.
        (entry.is_vague, entry.deadline) = (true, None);
    }

    /// The broker has handled an input, or was ticked, and all that it wants done was seen.
    pub(crate) fn settle(&mut self, now: Instant) -> Result<(), String> {
        let step = std::mem::take(&mut self.step);
        if let Some(id) = step.cancelled
            && let Some(entry) = self.entries.get(&id).filter(|entry| entry.is_open)
        {
            return Err(format!("{:?} was cancelled, and its client has heard nothing", entry.token));
        }
        if let Some((worker, address)) = step.owed.first() {
            return Err(format!("worker {} is not told that nobody waits for {address:?}", worker.0));
        }
        if let Some((id, again)) = step.again {
            self.settle_again(&id, again)?;
        }
        self.check_deadlines(now)
    }

    fn settle_again(&mut self, id: &Id, again: Again) -> Result<(), String> {
        let Some(entry) = self.entries.get(id) else { return Ok(()) };
        let Again::Repeats { is_same, digest, now } = again else {
            let is_wrong = again == Again::Clashes && !entry.is_vague;
            return if is_wrong {
                Err(format!("an id in use for {:?} is taken for another request", entry.token))
            } else {
                Ok(())
            };
        };
        let has_run = entry.given > 0 && entry.idempotency == Idempotency::Once;
        let is_remembered = now < entry.ended + self.rules.window && (entry.kept.is_some() || has_run);
        let (token, peer) = (entry.token, entry.peer);
        if self.rules.is_ample && is_remembered {
            return Err(format!("{token:?} has ended and is remembered, and is asked anew (the same: {is_same})"));
        }
        self.reopen(id, peer);
        if let Some(entry) = self.entries.get_mut(id) {
            entry.digest = digest;
        }
        Ok(())
    }

    fn check_deadlines(&mut self, now: Instant) -> Result<(), String> {
        while let Some((deadline, id)) = self.deadlines.first() {
            if *deadline + SLACK > now {
                break;
            }
            let late = self.entries.get(id).filter(|entry| entry.is_open && !entry.is_vague);
            if let Some(entry) = late.filter(|entry| entry.deadline == Some(*deadline)) {
                let seen = self.overdue.as_ref().filter(|(first, of, _)| (first, of) == (deadline, id));
                let since = seen.map_or(now, |(_, _, since)| *since);
                if since + SLACK <= now {
                    return Err(format!("{:?} has no time left, and its client has heard nothing", entry.token));
                }
                self.overdue = Some((*deadline, id.clone(), since));
                break;
            }
            self.deadlines.pop_first();
        }
        Ok(())
    }
}

fn wrong(token: Token, what: &str) -> Result<(), String> {
    Err(format!("request {} of client {} {what}", token.number, token.client))
}

/// What stands for a request: its service and its body.
fn digest(request: &Request) -> u64 {
    let mut hash = EventHash::default();
    hash.bytes(request.service.as_bytes());
    request.body.iter().for_each(|frame| hash.bytes(frame));
    hash.value()
}

fn hash(frames: &Frames) -> u64 {
    let mut hash = EventHash::default();
    frames.iter().for_each(|frame| hash.bytes(frame));
    hash.value()
}

/// Why a job of one of the sweep's workers failed, in its own words: no broker says so.
pub(crate) const PLANNED: &str = "as planned";
/// The same of our session.
pub(crate) const OWN: &str = "of its own";

/// So late a broker may be, which looks through its queues only so often: a microsecond for each request that waits.
const SLACK: Duration = Duration::from_millis(20);
