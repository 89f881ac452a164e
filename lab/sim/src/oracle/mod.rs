//! The oracles: what must hold in every run. Each is a file; a violation is a value.
//!
//! - `single_reply` a request has at most one visible end, and nothing is heard of it afterwards
//! - `belonging`    an answer belongs to its request, and its parts are those of one execution, in order
//! - `endings`      once faults have ended, every request ends
//! - `recovery`     once faults have ended, every service that has a worker answers
//! - `order`        a broker gives requests away in order, in turns, in time, and not for ever
//! - `ledger`       what a broker owes to clients of 0.3: one end, at once after CANCEL or the deadline, no second run
//! - `roster`       a broker uses its workers in turns, beats, and gives up those that are silent, and only those
//! - `drain`        who drains takes nothing new and loses nothing
//! - `filter`       what `mmi.filter` disables is refused, and nothing else is
//! - `deposits`     what was left with a Titanic and acknowledged is there until it is closed, and is answered once
//! - `mesh`         nobody is there who is silent for too long, nobody is gone without a reason, and at rest all agree
//! - `registration` a worker beats, gives up a silent broker, and says READY only with a free slot
//! - `delays`       delays before new connections grow, and fall back
//! - `accounts`     a broker has counted an end for every request
//! - `patience`     a request that nobody answers is tried as often as its caller said
//! - `bounds`, `credit`, `codec`, `idle` are checks of a few lines where the nodes see them: no queue above its limit,
//!   no worker with more jobs than credit, no rule broken between our own machines, nothing left once all have gone
//! - `panic`        no machine panics, whatever it is sent

pub(crate) mod accounts;
mod belonging;
pub(crate) mod delays;
pub(crate) mod deposits;
pub(crate) mod drain;
mod endings;
pub(crate) mod filter;
pub(crate) mod ledger;
pub(crate) mod meshes;
pub(crate) mod order;
mod recovery;
pub(crate) mod registration;
pub(crate) mod roster;
mod single_reply;
pub(crate) mod spoken;

use std::collections::BTreeMap;

use protocol::Frames;

use crate::queue::Nanos;

/// Something that must not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Who found it.
    pub oracle: &'static str,
    /// When, in nanoseconds of virtual time.
    pub at: Nanos,
    /// What.
    pub what: String,
}

/// What a request is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    Service(u8),
    /// A request to a service that must answer.
    Probe(u8),
    /// A question to the broker itself.
    Management,
    /// A request that is left with a Titanic, from the first step to the last.
    Deposit,
}

/// How a request ended for its caller.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Outcome<'body> {
    Reply(&'body Frames),
    /// An error, in three digits.
    Status(u16),
    Silence,
    Full,
}

/// A request as the oracles know it.
#[derive(Debug)]
struct Request {
    subject: Subject,
    state: State,
    /// The execution whose parts the caller holds, and the next part.
    run: Option<(u64, u32)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    Ended,
    /// Its caller gave it up, or died: nothing is owed and nothing may be heard.
    Forgotten,
}

/// All oracles that look at requests, and what any oracle has found.
#[derive(Debug, Default)]
pub(crate) struct Oracles {
    requests: BTreeMap<u32, Vec<Request>>,
    open: usize,
    ended: u64,
    violations: Vec<Violation>,
}

/// More are not kept: the first one counts.
const VIOLATIONS_MAX: usize = 16;

impl Oracles {
    /// Takes note of a violation that was found elsewhere.
    pub(crate) fn violated(&mut self, at: Nanos, oracle: &'static str, what: String) {
        if self.violations.len() < VIOLATIONS_MAX {
            self.violations.push(Violation { oracle, at, what });
        }
    }

    pub(crate) fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// Requests that have not ended.
    pub(crate) fn open(&self) -> usize {
        self.open
    }

    /// Requests that have ended.
    pub(crate) fn ended(&self) -> u64 {
        self.ended
    }

    /// A client asks; the number of its request.
    pub(crate) fn submitted(&mut self, client: u32, subject: Subject) -> u64 {
        let requests = self.requests.entry(client).or_default();
        requests.push(Request { subject, state: State::Open, run: None });
        self.open += 1;
        requests.len() as u64 - 1
    }

    /// A request that somebody has made, drawn by `choice`; client 0's first if there is none.
    pub(crate) fn any_request(&self, choice: u64) -> (u32, u64) {
        let place = usize::try_from(choice >> 32).unwrap_or(0).checked_rem(self.requests.len()).unwrap_or(0);
        let Some((client, requests)) = self.requests.iter().nth(place) else { return (0, 0) };
        // Mostly the newest ones, which are under way.
        (*client, (requests.len() as u64).saturating_sub(1 + (choice & 7)))
    }

    /// A client hears a part that is not the last.
    pub(crate) fn part(&mut self, at: Nanos, client: u32, number: Option<u64>, body: &Frames) {
        let Some((number, request)) = self.find(client, number) else {
            return self.violated(at, "single_reply", format!("client {client} heard a part of nothing"));
        };
        let found = single_reply::check(request, number)
            .map_err(|what| ("single_reply", what))
            .and_then(|()| belonging::part(request, (client, number), body).map_err(|what| ("belonging", what)));
        self.found(at, client, found);
    }

    /// The parts that a client holds are void.
    pub(crate) fn restarted(&mut self, client: u32, number: Option<u64>) {
        if let Some((_, request)) = self.find(client, number) {
            request.run = None;
        }
    }

    /// A request ended for its caller.
    pub(crate) fn done(&mut self, at: Nanos, client: u32, number: u64, outcome: Outcome<'_>) {
        let Some((_, request)) = self.find(client, Some(number)) else {
            return self.violated(at, "single_reply", format!("client {client} heard the end of nothing"));
        };
        let mut found = single_reply::check(request, number).map_err(|what| ("single_reply", what));
        if let Outcome::Reply(body) = outcome {
            let last = |()| belonging::last(request, (client, number), body).map_err(|what| ("belonging", what));
            found = found.and_then(last);
        }
        let probe = |()| recovery::check(request.subject, number, outcome).map_err(|what| ("recovery", what));
        found = found.and_then(probe);
        if request.state == State::Open {
            request.state = State::Ended;
            self.open -= 1;
            self.ended += 1;
        }
        self.found(at, client, found);
    }

    /// A caller gave a request up.
    pub(crate) fn forgotten(&mut self, client: u32, number: u64) {
        if let Some((_, request)) = self.find(client, Some(number))
            && request.state == State::Open
        {
            request.state = State::Forgotten;
            self.open -= 1;
        }
    }

    /// All requests of a client have died with it.
    pub(crate) fn client_died(&mut self, client: u32) {
        for request in self.requests.get_mut(&client).into_iter().flatten() {
            if request.state == State::Open {
                request.state = State::Forgotten;
                self.open -= 1;
            }
        }
    }

    /// All faults have ended long ago: every request must have ended, too.
    pub(crate) fn all_must_have_ended(&mut self, at: Nanos) {
        if let Err(what) = endings::check(&self.requests) {
            self.violated(at, "endings", what);
        }
    }

    fn find(&mut self, client: u32, number: Option<u64>) -> Option<(u64, &mut Request)> {
        let number = number?;
        let request = self.requests.get_mut(&client)?.get_mut(usize::try_from(number).ok()?)?;
        Some((number, request))
    }

    fn found(&mut self, at: Nanos, client: u32, found: Result<(), (&'static str, String)>) {
        if let Err((oracle, what)) = found {
            self.violated(at, oracle, format!("client {client}: {what}"));
        }
    }
}
