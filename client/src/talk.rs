//! Whether the broker on a connection is there and speaks 0.3 (docs/rfc/MDP-0.3.md, section 6, "state of a
//! connection").
//!
//! ```text
//!   connected ──HEARTBEAT──► Asking ──any word of 0.3──► Speaking ◄─┐ any word
//!                              │ 2500 ms                   │        │
//!                              ▼                           ▼ waits and hears nothing for 2500 ms: HEARTBEAT, 3 times
//!                       fall back, or lost                lost
//! ```
//!
//! A connection in an older dialect has nothing to judge here: there the requests' own timeouts are all there is.

use protocol::mdp::Dialect;
use protocol::{Frames, Instant};

use crate::speech::{ASK_AFTER, Speech, Tongue, heartbeat};

/// What is known of the broker's speech.
#[derive(Debug)]
pub(crate) struct Talk {
    speech: Speech,
    tongue: Tongue,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// No connection, or one in an older dialect.
    Unjudged,
    Asking {
        until: Instant,
    },
    Speaking {
        /// When to ask; nobody asks while nobody waits.
        ask_at: Option<Instant>,
        /// How often that was done since the last word.
        asked: u8,
    },
}

/// What silence comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Send a HEARTBEAT.
    Ask,
    /// Begin anew in this dialect; the broker does not speak 0.3.
    FallBack(Dialect),
    /// The connection is of no use: the broker does not speak 0.3, and nothing else is allowed.
    Mute,
    /// The connection is lost, although nobody has said so.
    Lost,
}

/// How often a silent broker is asked before it is given up.
const ASKED_MAX: u8 = 3;

impl Talk {
    pub(crate) fn new(speech: Speech) -> Self {
        Self { speech, tongue: speech.first(), stage: Stage::Unjudged }
    }

    /// The dialect of the connection, or of the next one.
    pub(crate) fn tongue(&self) -> Tongue {
        self.tongue
    }

    pub(crate) fn is_native(&self) -> bool {
        self.tongue == Tongue::Native
    }

    /// Whether the connection stands and no word of 0.3 has been heard on it yet.
    pub(crate) fn is_asking(&self) -> bool {
        matches!(self.stage, Stage::Asking { .. })
    }

    /// There is a connection; returns what is to be said on it first.
    pub(crate) fn on_connected(&mut self, now: Instant) -> Option<Frames> {
        if !self.is_native() {
            return None;
        }
        self.stage = Stage::Asking { until: now + ASK_AFTER };
        Some(heartbeat())
    }

    /// The connection is gone. Brokers are upgraded: the next one begins with 0.3 again.
    pub(crate) fn on_lost(&mut self) {
        self.tongue = self.speech.first();
        self.stage = Stage::Unjudged;
    }

    /// We have left the connection; the next one is to the same broker.
    pub(crate) fn on_left(&mut self) {
        self.stage = Stage::Unjudged;
    }

    /// Speaks an older dialect from the next connection on, if it may: which one.
    pub(crate) fn fall_back(&mut self) -> Option<Dialect> {
        let dialect = self.speech.old()?;
        self.tongue = Tongue::Old(dialect);
        self.stage = Stage::Unjudged;
        Some(dialect)
    }

    /// The broker said something that makes sense.
    pub(crate) fn on_heard(&mut self) {
        if self.stage != Stage::Unjudged {
            self.stage = Stage::Speaking { ask_at: None, asked: 0 };
        }
    }

    /// To be called when all else is done: whether anybody waits for an answer.
    pub(crate) fn attend(&mut self, now: Instant, waits: bool) {
        if let Stage::Speaking { ask_at, asked } = &mut self.stage {
            match (waits, *ask_at) {
                (true, None) => *ask_at = Some(now + ASK_AFTER),
                (false, Some(_)) => (*ask_at, *asked) = (None, 0),
                _ => {}
            }
        }
    }

    /// Time has passed.
    pub(crate) fn tick(&mut self, now: Instant) -> Option<Verdict> {
        match &mut self.stage {
            Stage::Asking { until } if *until <= now => Some(self.fall_back().map_or(Verdict::Mute, Verdict::FallBack)),
            Stage::Speaking { ask_at: Some(ask_at), asked } if *ask_at <= now => {
                if *asked >= ASKED_MAX {
                    return Some(Verdict::Lost);
                }
                *asked += 1;
                *ask_at = now + ASK_AFTER;
                Some(Verdict::Ask)
            }
            _ => None,
        }
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self.stage {
            Stage::Unjudged => None,
            Stage::Asking { until } => Some(until),
            Stage::Speaking { ask_at, .. } => ask_at,
        }
    }
}
