//! What a handler does with a request: parts of an answer, one after the other, each in its time; sometimes too slowly,
//! sometimes with the death of its process.

use bytes::Bytes;
use protocol::Frames;
use protocol::mdp::client::Part;

use super::Context;
use crate::marker::{Stamp, Token, answer};
use crate::plan;
use crate::queue::{MILLISECOND, Nanos};

/// A job under way.
#[derive(Debug)]
pub(crate) struct Work {
    /// The request's own frame, returned with each part; empty where somebody sent a request without one.
    token: Bytes,
    run: u64,
    parts: u32,
    sent: u32,
    /// The part before which the process dies.
    deadly: Option<u32>,
}

impl Work {
    /// Begins a job.
    pub(crate) fn begin(context: &mut Context<'_>, plan: &plan::Worker, body: &Frames, calm: bool) -> Self {
        context.env.runs += 1;
        let token = Token::find(body).or_else(|| Token::find_deposit(body));
        let token = token.map(|(_, frame)| frame).unwrap_or_default();
        // What shall show that all is well again stays below every limit.
        let parts_max = if calm { 1 } else { plan.parts_max };
        let parts = u32::try_from(context.rng.between(1, parts_max)).unwrap_or(1);
        let deadly = context.rng.permille(plan.deadly_permille) && !calm;
        let deadly = deadly.then(|| u32::try_from(context.rng.below(parts.into())).unwrap_or(0));
        Self { token, run: context.env.runs, parts, sent: 0, deadly }
    }

    /// How long the next part takes.
    pub(crate) fn pause(&self, context: &mut Context<'_>, plan: &plan::Worker, calm: bool) -> Nanos {
        if self.sent == 0 && !calm && context.rng.permille(plan.hang_permille) {
            return plan.hang_ms * MILLISECOND;
        }
        context.up_to(if calm { plan.part_ms.min(20) } else { plan.part_ms })
    }

    /// The next part; `None` when the process dies of it.
    pub(crate) fn next(&mut self) -> Option<(Part, Frames)> {
        if self.deadly == Some(self.sent) {
            return None;
        }
        let last = self.sent + 1 >= self.parts;
        let stamp = Stamp { run: self.run, part: self.sent, last };
        self.sent += 1;
        Some((if last { Part::Final } else { Part::Partial }, answer(self.token.clone(), stamp)))
    }
}
