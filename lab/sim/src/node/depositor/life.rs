//! A request that is left with a Titanic, and what is heard of it.

use bytes::Bytes;
use client::multiplex::Failure;
use protocol::Frames;
use titanic::log::Id;
use titanic::store::{Verb, read_id};

use crate::marker::Token;
use crate::node::Context;
use crate::oracle::deposits::Fetched;

/// A request from its first step to its last.
#[derive(Debug)]
pub(super) struct Life {
    /// Its number among the requests of this client.
    pub(super) number: u64,
    pub(super) service: u8,
    pub(super) body: Frames,
    /// The id that it is to have, or has.
    pub(super) id: Option<Id>,
    pub(super) stage: Stage,
    pub(super) step: Option<Step>,
    /// Times in a row that a step led to nothing.
    pub(super) tries: u32,
    /// Steps left that ask for what is known.
    pub(super) extras: u32,
    /// It is left alone until the storm is over.
    pub(super) is_kept: bool,
    /// Whether a submit has ended in silence: then it may be stored, and nobody was told.
    pub(super) is_unsure: bool,
    /// It shows that all is well again.
    pub(super) is_probe: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    New,
    Stored,
    Answered,
    Dead,
    Closed,
    Over,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Submit,
    Fetch,
    Close,
    List,
    Read,
    Replay,
    Drop,
}

/// What Titanic says: its three digits, and all frames.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) status: Bytes,
    pub(super) frames: Frames,
}

impl Life {
    pub(super) fn question(&self, step: Step, wait_ms: u64) -> (Verb, Frames) {
        let id = self.id.map(|id| Bytes::from(id.to_string())).unwrap_or_default();
        match step {
            Step::Submit => (Verb::Request, self.body.clone()),
            Step::Fetch if wait_ms > 0 => (Verb::Reply, Frames::from([id, wait_ms.to_string().into()])),
            Step::Fetch => (Verb::Reply, Frames::from([id])),
            Step::Close => (Verb::Close, Frames::from([id])),
            // It is the first of those behind the number before its own.
            Step::List => {
                let number = self.id.map_or(0, |id| u128::from_be_bytes(id.0));
                let before = Id(number.saturating_sub(1).to_be_bytes()).to_string();
                (Verb::Dead, Frames::from([Bytes::from_static(b"list"), before.into()]))
            }
            Step::Read => (Verb::Dead, Frames::from([Bytes::from_static(b"read"), id])),
            Step::Replay => (Verb::Dead, Frames::from([Bytes::from_static(b"replay"), id])),
            Step::Drop => (Verb::Dead, Frames::from([Bytes::from_static(b"drop"), id])),
        }
    }

    pub(super) fn on_submitted(
        &mut self,
        context: &mut Context<'_>,
        keep_permille: u32,
        tries: u32,
        told: &Told,
    ) -> Result<(), String> {
        let is_new = self.stage == Stage::New;
        match &*told.status {
            b"200" => {
                let id = told.frames.get(1).and_then(|id| read_id(id)).ok_or("200 comes without an id")?;
                if self.id.is_some_and(|own| own != id) {
                    return Err(format!("{:?} is acknowledged as {id}", self.id));
                }
                self.id = Some(id);
                context.env.coverage.told(if is_new { "depositor: acknowledged" } else { "depositor: once more" });
                if is_new {
                    self.stage = Stage::Stored;
                    self.is_kept = !self.is_probe && context.rng.permille(keep_permille);
                    let token = Token { client: context.id, number: self.number };
                    return context.env.deposits.on_acknowledged(id, token);
                }
                Ok(())
            }
            b"500" => {
                context.env.coverage.told("depositor: refused");
                self.tries = tries + 1;
                if self.is_probe && context.env.deposits.left() <= 1 && self.tries >= TRIES {
                    return Err(format!("a log with nothing in it refuses a request: {told:?}"));
                }
                Ok(())
            }
            _ => Err(format!("to leave a request ends with {told:?}")),
        }
    }

    pub(super) fn on_fetched(
        &mut self,
        context: &mut Context<'_>,
        id: Id,
        tries: u32,
        told: &Told,
    ) -> Result<(), String> {
        let fetched = match &*told.status {
            b"200" => Fetched::Answer(told.frames.clone().skip(1)),
            b"300" => Fetched::Pending,
            b"400" => Fetched::Unknown,
            b"500" if told.frames.first().is_some_and(|status| status.starts_with(b"500 given up")) => Fetched::GivenUp,
            b"500" => {
                self.tries = tries + 1;
                return Ok(());
            }
            _ => return Err(format!("{id} is told as {told:?}")),
        };
        let was_closed = self.stage == Stage::Closed;
        let (stage, name) = match &fetched {
            Fetched::Answer(_) => (Stage::Answered, "depositor: answered"),
            Fetched::Pending => (Stage::Stored, "depositor: pending"),
            Fetched::GivenUp => (Stage::Dead, "depositor: given up"),
            Fetched::Unknown => (Stage::Closed, "depositor: unknown"),
        };
        context.env.coverage.told(name);
        if !was_closed {
            self.stage = stage;
        }
        self.tries = if stage == Stage::Stored { tries + 1 } else { 0 };
        context.env.deposits.on_fetched(id, fetched)
    }
}

/// What Titanic said, if it was Titanic that spoke: in the older dialects a broker's own errors come as answers, too.
pub(super) fn told(mut parts: Frames, outcome: Result<Frames, Failure>) -> Option<Told> {
    parts.extend(outcome.ok()?);
    let status = parts.first()?;
    let status = status.slice(..status.len().min(3));
    let is_brokers = [&b"404"[..], b"408", b"429", b"502", b"503"].contains(&&*status);
    (!is_brokers).then_some(Told { status, frames: parts })
}

/// How often a request that is refused is left once more.
pub(super) const TRIES: u32 = 6;
