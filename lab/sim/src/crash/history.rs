//! What was said to the log, and what it may therefore hold after a crash.
//!
//! Of each id the acknowledged part is a state; behind it come operations that were not acknowledged yet. A crash may
//! keep any of them and lose any: every selection, in its order, gives a state that is right. Whatever else is found is
//! an objection.

use std::collections::{BTreeMap, BTreeSet};

use titanic::log::{Id, Kind, Log, Lsn, Region, State};

/// A payload, by its number and its length: its octets follow from both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Payload {
    pub(super) number: u32,
    pub(super) length: usize,
}

impl Payload {
    pub(super) fn octets(self) -> Vec<u8> {
        self.number.to_le_bytes().into_iter().cycle().take(self.length).collect()
    }
}

/// What an id is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Seen {
    pub(super) state: State,
    request: Option<Payload>,
    latest: Option<Payload>,
}

#[derive(Clone, Copy, Debug)]
struct Operation {
    kind: Kind,
    payload: Payload,
    /// Known once the log has taken it.
    lsn: Option<Lsn>,
}

#[derive(Clone, Debug, Default)]
struct Life {
    acknowledged: Option<Seen>,
    pending: Vec<Operation>,
}

/// All ids that were ever used.
#[derive(Clone, Debug, Default)]
pub(super) struct History(BTreeMap<Id, Life>);

impl History {
    /// An operation is about to be given to the log.
    pub(super) fn begin(&mut self, id: Id, kind: Kind, payload: Payload) {
        self.0.entry(id).or_default().pending.push(Operation { kind, payload, lsn: None });
    }

    /// The log has answered to it.
    pub(super) fn end(&mut self, id: Id, lsn: Option<Lsn>) {
        let Some(life) = self.0.get_mut(&id) else { return };
        match lsn {
            Some(_) => {
                life.pending.iter_mut().filter(|operation| operation.lsn.is_none()).for_each(|last| last.lsn = lsn)
            }
            None => life.pending.retain(|operation| operation.lsn.is_some()),
        }
    }

    /// The log has stopped within an operation: nobody knows how much of it is there.
    pub(super) fn end_unknown(&mut self, id: Id) {
        self.end(id, Some(Lsn(u64::MAX)));
    }

    /// Everything below is acknowledged.
    pub(super) fn acknowledge(&mut self, durable: Lsn) {
        for life in self.0.values_mut() {
            while let Some(first) = life.pending.first().filter(|first| first.lsn.is_some_and(|lsn| lsn < durable)) {
                life.acknowledged = after(life.acknowledged, first);
                life.pending.remove(0);
            }
        }
    }

    /// What the ids are like if nothing is lost.
    pub(super) fn current(&self) -> Vec<(Id, Option<State>)> {
        let state = |life: &Life| life.pending.iter().fold(life.acknowledged, after).map(|seen| seen.state);
        self.0.iter().map(|(id, life)| (*id, state(life))).collect()
    }

    pub(super) fn ids(&self) -> usize {
        self.0.len()
    }

    /// Compares a log with it. Returns how many acknowledged ids had to be there.
    pub(super) fn check<R: Region>(&self, log: &Log<R>) -> Result<u64, String> {
        let mut promises = 0;
        for (id, life) in &self.0 {
            let seen = self.seen(log, id)?;
            if !life.allowed().contains(&seen) {
                return Err(format!("{id} is {seen:?}; was {:?} then {:?}", life.acknowledged, life.pending));
            }
            promises += u64::from(life.acknowledged.is_some());
        }
        let stranger = log.entries().into_iter().find(|(id, _)| !self.0.contains_key(id));
        stranger.map_or(Ok(promises), |(id, entry)| Err(format!("{id} was never submitted: {entry:?}")))
    }

    /// After a crash: what the log holds now is what counts from here on, and it is safe.
    pub(super) fn adopt<R: Region>(&mut self, log: &Log<R>) -> Result<(), String> {
        self.check(log)?;
        let ids: Vec<Id> = self.0.keys().copied().collect();
        for id in ids {
            let seen = self.seen(log, &id)?;
            self.0.insert(id, Life { acknowledged: seen, pending: Vec::new() });
        }
        Ok(())
    }

    /// What the log knows of an id, with its bodies compared octet for octet.
    fn seen<R: Region>(&self, log: &Log<R>, id: &Id) -> Result<Option<Seen>, String> {
        let Some(entry) = log.find(id) else { return Ok(None) };
        let life = self.0.get(id).ok_or_else(|| format!("{id} was never submitted"))?;
        let payload = |location| {
            let octets = log.read(id, location).map_err(|error| format!("{id}: {error}"))?;
            let known = life.payloads().into_iter().find(|payload| payload.octets() == octets);
            known.map(Some).ok_or_else(|| format!("{id} has a body that was never its own, of {} octets", octets.len()))
        };
        let request = entry.request().map_or(Ok(None), payload)?;
        let latest = entry.latest().map_or(Ok(None), payload)?;
        Ok(Some(Seen { state: entry.state(), request, latest }))
    }
}

impl Life {
    /// The state after each selection of what was not acknowledged.
    fn allowed(&self) -> BTreeSet<Option<Seen>> {
        let mut states = BTreeSet::from([self.acknowledged]);
        for operation in &self.pending {
            let with: Vec<_> = states.iter().map(|state| after(*state, operation)).collect();
            states.extend(with);
        }
        states.into_iter().map(without_orphans).collect()
    }

    fn payloads(&self) -> Vec<Payload> {
        let acknowledged = self.acknowledged.iter().flat_map(|seen| [seen.request, seen.latest]).flatten();
        acknowledged.chain(self.pending.iter().map(|operation| operation.payload)).collect()
    }
}

/// The rules of the log's index, said another time.
fn after(state: Option<Seen>, operation: &Operation) -> Option<Seen> {
    let payload = Some(operation.payload);
    let over = |seen: Seen| matches!(seen.state, State::Answered | State::Closed);
    let mark = |mark: State| match state {
        Some(seen) if over(seen) => state,
        _ => Some(Seen { state: mark, request: state.and_then(|seen| seen.request), latest: payload }),
    };
    match operation.kind {
        Kind::Request => match state {
            Some(seen) if !over(seen) => Some(Seen { request: payload, ..seen }),
            _ => Some(Seen { state: State::Open, request: payload, latest: None }),
        },
        Kind::Attempt => mark(State::Attempted),
        Kind::Dead => mark(State::Dead),
        Kind::Answer if state.is_some_and(|seen| seen.state == State::Closed) => state,
        Kind::Answer => Some(Seen { state: State::Answered, request: None, latest: payload }),
        Kind::Closed if operation.payload.length == 0 => None,
        Kind::Closed => Some(Seen { state: State::Closed, request: None, latest: payload }),
        Kind::Commit => state,
    }
}

/// A mark whose request did not survive is no request.
fn without_orphans(state: Option<Seen>) -> Option<Seen> {
    state.filter(|seen| seen.request.is_some() || matches!(seen.state, State::Answered | State::Closed))
}

/// A log that came out of a crash goes on.
pub(super) fn still_works<R: Region>(log: &mut Log<R>) -> Result<(), String> {
    let id = Id([0xfe; 16]);
    // One that is full may say so; what closes must be taken, now or when there is room again.
    for _ in 0..TRIES {
        if let Ok(lsn) = log.append(Kind::Closed, id, b"") {
            log.flush().map_err(|error| error.to_string())?;
            return if log.is_durable(lsn) { Ok(()) } else { Err("a flush made nothing durable".to_owned()) };
        }
        log.flush().map_err(|error| error.to_string())?;
    }
    Err("the log takes nothing any more".to_owned())
}

const TRIES: u32 = 30;
