//! What a Titanic owes to those who have left requests with it.
//!
//! - An id that was acknowledged is there until it is closed, whatever crashes; what was refused is not.
//! - Its answer belongs to it, is that of one whole execution, and stays the same once it was told.
//! - What was given up says so until somebody replays or drops it, and can be read.
//! - What is closed is closed. Neither that nor what has been told an answer is called again, however often it is
//!   submitted, as long as its id is remembered.
//!
//! Told is what its client has heard; a call is what the Titanic makes. Where a step ended in silence it may have
//! taken effect, now or later, and everything that follows from either is right.

use std::collections::BTreeMap;

use protocol::Frames;
use titanic::log::{Id, State};

use crate::marker::{Stamp, Token, is_status};

/// All that was ever left.
#[derive(Debug, Default)]
pub(crate) struct Deposits {
    known: BTreeMap<Id, Deposit>,
    /// Ids that a Titanic remembers; 0 before one has started.
    remembered_max: usize,
    /// How many were to be closed so far.
    closings: usize,
}

#[derive(Debug)]
struct Deposit {
    token: Token,
    body: Frames,
    is_acknowledged: bool,
    /// Calls that were made for it.
    calls: u32,
    /// The answer that its client has heard.
    answer: Option<Frames>,
    /// Its client has heard that it was given up, and has not asked for another try since.
    is_dead: bool,
    /// Somebody has asked for another try, which may come late.
    may_be_replayed: bool,
    closing: Closing,
}

/// How far its end is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Closing {
    No,
    /// It was asked for.
    Asked,
    /// It was acknowledged.
    Done,
}

/// What a client was told of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fetched {
    Pending,
    Answer(Frames),
    GivenUp,
    /// Not known, or closed.
    Unknown,
}

impl Deposits {
    /// A Titanic starts that remembers so many ids.
    pub(crate) fn remember(&mut self, count: usize) {
        self.remembered_max = count;
    }

    /// Those that may still be in the log although nobody knows of them.
    pub(crate) fn left(&self) -> usize {
        self.known.values().filter(|deposit| deposit.closing != Closing::Done).count()
    }

    /// Whether ids that were closed may have been forgotten: the oldest go first, by when they were submitted.
    fn may_forget(&self) -> bool {
        self.closings > self.remembered_max
    }

    /// A Titanic is asked to keep a request under an id.
    pub(crate) fn on_asked(&mut self, id: Id, token: Token, body: &Frames) -> Result<(), String> {
        let first = || Deposit {
            token,
            body: body.clone(),
            is_acknowledged: false,
            calls: 0,
            answer: None,
            is_dead: false,
            may_be_replayed: false,
            closing: Closing::No,
        };
        let deposit = self.known.entry(id).or_insert_with(first);
        if deposit.token == token { Ok(()) } else { Err(format!("{id} is asked for twice, for two requests")) }
    }

    /// A Titanic calls a service.
    pub(crate) fn on_call(&mut self, id: Id) -> Result<(), String> {
        let may_forget = self.may_forget();
        let deposit = self.known.get_mut(&id).ok_or_else(|| format!("{id} is called, and nobody left it"))?;
        deposit.calls += 1;
        match deposit.closing {
            Closing::Done if !may_forget => Err(format!("{id} is called although it is closed")),
            Closing::No if deposit.answer.is_some() => Err(format!("{id} is called although its answer was told")),
            _ => Ok(()),
        }
    }

    /// A client is told that its request is kept.
    pub(crate) fn on_acknowledged(&mut self, id: Id, token: Token) -> Result<(), String> {
        match self.known.get_mut(&id).filter(|deposit| deposit.token == token) {
            Some(deposit) => {
                deposit.is_acknowledged = true;
                Ok(())
            }
            None => Err(format!("{id} is acknowledged, and is not that of the request")),
        }
    }

    /// A client asks what has become of a request, and hears this.
    pub(crate) fn on_fetched(&mut self, id: Id, fetched: Fetched) -> Result<(), String> {
        let may_forget = self.may_forget();
        let Some(deposit) = self.known.get_mut(&id) else {
            // It never arrived.
            return if fetched == Fetched::Unknown { Ok(()) } else { Err(format!("{id} was never left: {fetched:?}")) };
        };
        if deposit.closing == Closing::Done && !may_forget && fetched != Fetched::Unknown {
            return Err(format!("{id} is closed, and is told as {fetched:?}"));
        }
        if deposit.closing > Closing::No {
            return Ok(());
        }
        let was = deposit.answer.clone();
        match fetched {
            Fetched::Unknown if deposit.is_acknowledged => Err(format!("{id} was acknowledged, and is not there")),
            Fetched::Unknown => Ok(()),
            _ if was.is_some() && fetched != Fetched::Answer(was.clone().unwrap_or_default()) => {
                Err(format!("{id} was answered with {was:?}, and is now told as {fetched:?}"))
            }
            Fetched::Answer(_) | Fetched::Pending if deposit.is_dead && !deposit.may_be_replayed => {
                Err(format!("{id} was given up, and is now told as {fetched:?}"))
            }
            Fetched::Pending => Ok(()),
            Fetched::GivenUp => {
                deposit.is_dead = true;
                Ok(())
            }
            Fetched::Answer(answer) => {
                deposit.is_dead = false;
                deposit.check_answer(&answer).map_err(|what| format!("{id}: {what}"))?;
                deposit.answer = Some(answer);
                Ok(())
            }
        }
    }

    /// A client is about to close a request, or to drop it.
    pub(crate) fn on_closing(&mut self, id: Id) {
        if let Some(deposit) = self.known.get_mut(&id) {
            self.closings += usize::from(deposit.closing == Closing::No);
            deposit.closing = deposit.closing.max(Closing::Asked);
        }
    }

    /// It is closed.
    pub(crate) fn on_closed(&mut self, id: Id) {
        if let Some(deposit) = self.known.get_mut(&id) {
            deposit.closing = Closing::Done;
        }
    }

    /// A client is about to have a request tried again that was given up.
    pub(crate) fn on_replaying(&mut self, id: Id) {
        if let Some(deposit) = self.known.get_mut(&id) {
            deposit.may_be_replayed = true;
        }
    }

    /// What was given up is among what can be listed, read, replayed and dropped; `found` says whether it was.
    pub(crate) fn on_dead(&self, id: Id, found: bool) -> Result<(), String> {
        let is_there = |deposit: &&Deposit| {
            deposit.is_dead && !deposit.may_be_replayed && deposit.closing == Closing::No && deposit.answer.is_none()
        };
        match self.known.get(&id).filter(is_there) {
            Some(_) if !found => Err(format!("{id} was given up, and is not among the dead letters")),
            _ => Ok(()),
        }
    }

    /// What a dead letter says.
    pub(crate) fn on_read(&self, id: Id, read: &Frames) -> Result<(), String> {
        match self.known.get(&id).filter(|deposit| deposit.body != *read) {
            Some(deposit) => Err(format!("the dead letter of {id} is {read:?}; it was {:?}", deposit.body)),
            None => Ok(()),
        }
    }

    /// A Titanic has started with what its disk has left: `find` says what it knows of an id.
    pub(crate) fn on_recovered(&self, find: impl Fn(&Id) -> Option<State>) -> Result<(), String> {
        self.known.iter().try_for_each(|(id, deposit)| deposit.check_recovered(id, find(id), self.may_forget()))
    }
}

impl Deposit {
    fn check_recovered(&self, id: &Id, state: Option<State>, may_forget: bool) -> Result<(), String> {
        let is_wrong = match self.closing {
            Closing::Asked => false,
            Closing::Done => !may_forget && state.is_some_and(|state| state != State::Closed),
            Closing::No if self.answer.is_some() => state != Some(State::Answered),
            Closing::No if self.is_dead && !self.may_be_replayed => state != Some(State::Dead),
            Closing::No if self.is_acknowledged => matches!(state, None | Some(State::Closed)),
            Closing::No => false,
        };
        if is_wrong { Err(format!("{id} is {state:?} after a restart; was {self:?}")) } else { Ok(()) }
    }

    /// The answer carries the request's mark, and the parts are those of one execution, which there was.
    fn check_answer(&self, answer: &Frames) -> Result<(), String> {
        // In the older dialects a worker that fails says so in a part, and no other way.
        if answer.last().is_some_and(|last| is_status(&Frames::from([last.clone()]))) {
            return Ok(());
        }
        // An error that makes no sense to repeat is an answer.
        if answer.first().is_some_and(|first| is_status(&Frames::from([first.clone()]))) {
            return Ok(());
        }
        if self.calls == 0 {
            return Err(format!("nobody was called, and the answer is {answer:?}"));
        }
        let mut expected = None;
        let mut is_last = false;
        for pair in answer.chunks(2) {
            let [token, stamp] = pair else { return Err(format!("half a part: {answer:?}")) };
            let (Some(token), Some(stamp)) = (Token::read_deposit(token), Stamp::read(stamp)) else {
                return Err(format!("no answer of a worker: {answer:?}"));
            };
            if token != self.token {
                return Err(format!("the answer to {token:?} in place of that to {:?}", self.token));
            }
            let (run, part) = expected.unwrap_or((stamp.run, 0));
            if (run, part) != (stamp.run, stamp.part) || is_last {
                return Err(format!("part {} of run {} where part {part} of run {run} follows", stamp.part, stamp.run));
            }
            expected = Some((run, part + 1));
            is_last = stamp.last;
        }
        if is_last { Ok(()) } else { Err(format!("an answer that is not whole: {answer:?}")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: Id = Id([1; 16]);
    const TOKEN: Token = Token { client: 7, number: 3 };

    fn answer(run: u64) -> Frames {
        Frames::from([TOKEN.to_deposit(), Stamp { run, part: 0, last: true }.to_frame()])
    }

    fn acknowledged() -> Deposits {
        let mut deposits = Deposits::default();
        deposits.remember(10);
        deposits.on_asked(ID, TOKEN, &["s0", "body"].into()).unwrap();
        deposits.on_acknowledged(ID, TOKEN).unwrap();
        deposits
    }

    #[test]
    fn what_was_acknowledged_may_not_be_lost() {
        let mut deposits = acknowledged();
        assert!(deposits.on_recovered(|_| Some(State::Open)).is_ok());
        assert!(deposits.on_recovered(|_| None).is_err());
        assert!(deposits.on_fetched(ID, Fetched::Pending).is_ok());
        assert!(deposits.on_fetched(ID, Fetched::Unknown).is_err());
        deposits.on_closing(ID);
        assert!(deposits.on_recovered(|_| None).is_ok() && deposits.on_fetched(ID, Fetched::Unknown).is_ok());
    }

    #[test]
    fn an_answer_stays_what_it_was_and_ends_the_calls() {
        let mut deposits = acknowledged();
        assert!(deposits.on_fetched(ID, Fetched::Answer(answer(1))).is_err(), "nobody was called");
        assert!(deposits.on_call(ID).is_ok() && deposits.on_call(ID).is_ok());
        assert!(deposits.on_fetched(ID, Fetched::Answer(answer(1))).is_ok());
        assert!(deposits.on_fetched(ID, Fetched::Answer(answer(1))).is_ok());
        assert!(deposits.on_fetched(ID, Fetched::Answer(answer(2))).is_err());
        assert!(deposits.on_fetched(ID, Fetched::Pending).is_err());
        assert!(deposits.on_recovered(|_| Some(State::Open)).is_err());
        assert!(deposits.on_call(ID).is_err());
    }

    #[test]
    fn what_is_closed_is_neither_told_nor_called() {
        let mut deposits = acknowledged();
        deposits.on_closing(ID);
        assert!(deposits.on_call(ID).is_ok(), "nobody knows yet");
        deposits.on_closed(ID);
        assert!(deposits.on_call(ID).is_err());
        assert!(deposits.on_fetched(ID, Fetched::Pending).is_err());
        deposits.remember(0);
        assert!(deposits.on_call(ID).is_ok(), "it may be forgotten, and begin another life");
    }

    #[test]
    fn a_dead_letter_is_there_until_somebody_tries_it_again() {
        let mut deposits = acknowledged();
        assert!(deposits.on_dead(ID, false).is_ok());
        assert!(deposits.on_fetched(ID, Fetched::GivenUp).is_ok());
        assert!(deposits.on_dead(ID, false).is_err() && deposits.on_dead(ID, true).is_ok());
        assert!(deposits.on_read(ID, &["s0", "body"].into()).is_ok());
        assert!(deposits.on_read(ID, &["s0", "other"].into()).is_err());
        assert!(deposits.on_fetched(ID, Fetched::Pending).is_err());
        deposits.on_replaying(ID);
        assert!(deposits.on_fetched(ID, Fetched::Pending).is_ok() && deposits.on_dead(ID, false).is_ok());
    }

    #[test]
    fn the_answer_to_another_is_found() {
        let mut deposits = acknowledged();
        deposits.on_call(ID).unwrap();
        let other = Token { client: 7, number: 4 }.to_deposit();
        let wrong = Frames::from([other, Stamp { run: 1, part: 0, last: true }.to_frame()]);
        assert!(deposits.on_fetched(ID, Fetched::Answer(wrong)).is_err());
        let half = Frames::from([TOKEN.to_deposit(), Stamp { run: 1, part: 0, last: false }.to_frame()]);
        assert!(deposits.on_fetched(ID, Fetched::Answer(half)).is_err());
    }
}
