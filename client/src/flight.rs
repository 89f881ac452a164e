//! One request under way, as both machines keep it: what was asked, how often, and what of an answer the caller holds.

use protocol::mdp::client::Request;
use protocol::mdp::v03::{Idempotency, Terms};
use protocol::mutants::{self, Mutant};
use protocol::{Frames, Instant, RequestId, ServiceName};

use crate::number::Number;
use crate::patience::Patience;
use crate::speech::{self, Answer, Tongue};

/// How a client tells its requests apart on the wire.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Voice {
    /// The first eight octets of all ids of 0.3.
    pub(crate) salt: u64,
    /// Whether requests of 0.1 and 0.2 have their numbers in the envelope.
    pub(crate) enveloped: bool,
}

/// A request that has not begun yet.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) service: ServiceName,
    pub(crate) body: Frames,
    pub(crate) patience: Patience,
    pub(crate) terms: Terms,
    /// The id of 0.3 that its caller wants it to have, in every run; mostly it gets one of ours.
    pub(crate) id: Option<RequestId>,
}

/// A request under way.
#[derive(Debug)]
pub(crate) struct Flight {
    pub(crate) asked: Asked,
    /// How often the caller's patience was tried.
    pub(crate) attempt: u8,
    /// How often it was asked anew: what stands in the envelope or the id, so that answers of two runs are told apart.
    /// In 0.1 and 0.2 each attempt is a run; in 0.3 the broker knows a request by its id, and a retry is the same run.
    pub(crate) run: u8,
    pub(crate) started: Instant,
    pub(crate) deadline: Instant,
    /// When nobody waits any more, however many attempts are left.
    end: Option<Instant>,
    /// Whether it has ever been sent.
    pub(crate) connected: bool,
    /// Whether it met a broker that did not say a word of 0.3.
    pub(crate) mute: bool,
    /// Parts of this run that the caller holds, where they are counted.
    parts: u32,
    /// The run whose parts the caller holds; parts of other ones are dropped.
    taken: Option<u8>,
    /// Runs of this connection that were answered in parts of which some were dropped: what still comes of them has a
    /// hole, and parts of 0.2 are not numbered. One entry a run at most.
    holed: Vec<u8>,
    /// A run that was left behind on a lost connection, and is to be cancelled on the next one.
    orphan: Option<u8>,
}

/// What an answer is to the request that it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// The next part, or the end.
    Take,
    /// Of a run that nobody waits for.
    Stale,
    /// A part is missing before it.
    Hole,
}

impl Flight {
    pub(crate) fn new(now: Instant, asked: Asked) -> Self {
        let end = asked.terms.deadline.map(|deadline| now + deadline);
        let mut flight = Self {
            asked,
            attempt: 1,
            run: 1,
            started: now,
            deadline: now,
            end,
            connected: false,
            mute: false,
            parts: 0,
            taken: None,
            holed: Vec::new(),
            orphan: None,
        };
        flight.deadline = flight.next_deadline(now);
        flight
    }

    /// Octets of what is asked.
    pub(crate) fn byte_count(&self) -> usize {
        self.asked.body.byte_count()
    }

    /// When the attempt that is made, or was heard of, at `now` has been silent for too long.
    pub(crate) fn next_deadline(&self, now: Instant) -> Instant {
        let silence = now + self.asked.patience.timeout_of(u32::from(self.attempt));
        self.end.map_or(silence, |end| end.min(silence))
    }

    /// Whether no attempt follows.
    pub(crate) fn is_over(&self, now: Instant) -> bool {
        self.end.is_some_and(|end| end <= now) || self.asked.patience.is_last(u32::from(self.attempt))
    }

    /// Whether nobody may run it a second time.
    pub(crate) fn runs_once(&self) -> bool {
        self.asked.terms.idempotency == Idempotency::Once
    }

    /// What this answer of a run is.
    pub(crate) fn judge(&mut self, run: u8, answer: &Answer) -> Judgement {
        match answer.place {
            None if self.takes(run) => Judgement::Take,
            None => Judgement::Stale,
            Some(_) if run != self.run => Judgement::Stale,
            Some(place) if place == self.parts || answer.failed.is_some() => Judgement::Take,
            Some(_) => Judgement::Hole,
        }
    }

    /// The caller was handed a part of this run.
    pub(crate) fn take(&mut self, run: u8) {
        self.taken = Some(run);
        self.parts = self.parts.saturating_add(1);
    }

    /// Whether a part, or the whole, of a run can be handed over where parts have no numbers; if not, nothing of that
    /// run can be later.
    fn takes(&mut self, run: u8) -> bool {
        if mutants::on(Mutant::MixAttempts) {
            return true;
        }
        if self.holed.contains(&run) {
            return false;
        }
        let other = self.taken.is_some_and(|taken| taken != run);
        if other {
            self.holed.push(run);
        }
        !other
    }

    /// Forgets the parts that the caller holds; whether there were any.
    pub(crate) fn void_parts(&mut self) -> bool {
        self.parts = 0;
        self.holed.extend(self.taken);
        self.taken.take().is_some() && !mutants::on(Mutant::TellNoRestart)
    }

    /// Under which id of 0.3 it is asked for in this run.
    pub(crate) fn id(&self, run: u8, number: Number, salt: u64) -> RequestId {
        self.asked.id.unwrap_or_else(|| number.id(run, salt))
    }

    /// What comes from now on is of another run. False after 255, which cannot be told apart any more.
    pub(crate) fn begin_run(&mut self) -> bool {
        let next = self.run.checked_add(1);
        self.run = next.unwrap_or(self.run);
        next.is_some()
    }

    /// The connection is lost or left: nothing of it can come any more. Parts of 0.3 cannot be joined by a repeated
    /// request, so one that had any is asked anew where it may run twice, and so is one that is wanted anew. Whether
    /// the caller holds parts that are void now.
    pub(crate) fn on_lost(&mut self, tongue: Tongue, asks_anew: bool) -> bool {
        let run = self.run;
        let had_parts = self.taken.is_some();
        let tells = self.void_parts();
        self.holed.clear();
        let may_differ = !self.runs_once() && self.asked.id.is_none();
        if tongue == Tongue::Native && (had_parts || asks_anew) && may_differ && self.begin_run() {
            self.orphan = Some(run);
        }
        tells
    }

    /// The messages by which it is asked for now.
    pub(crate) fn messages(
        &mut self,
        voice: Voice,
        tongue: Tongue,
        number: Number,
        now: Instant,
    ) -> [Option<Frames>; 2] {
        self.connected = true;
        let orphan = self.orphan.take();
        let Asked { service, body, .. } = &self.asked;
        let dialect = match tongue {
            Tongue::Native => {
                let mut terms = self.asked.terms.clone();
                terms.deadline = self.end.map(|end| end - now);
                let id = self.id(self.run, number, voice.salt);
                let cancelled = orphan.map(|run| speech::cancel(self.id(run, number, voice.salt)));
                return [cancelled, Some(speech::request(id, service.clone(), terms, body.clone()))];
            }
            Tongue::Old(dialect) => dialect,
        };
        let envelope = if voice.enveloped { number.envelope(self.run) } else { Frames::new() };
        [None, Some(Request::new(dialect, envelope, service.clone(), body.clone()).encode())]
    }
}
