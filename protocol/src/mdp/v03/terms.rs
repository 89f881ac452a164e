//! What a client asks of its request beside the answer: by when, how urgently, how often it may run, as part of what.

use std::time::Duration;

use super::head::millis;
use super::options::{Entries, Options, kind};
use crate::fault::OptionFault;
use crate::identity::Priority;
use crate::limits;

/// The options of a client's REQUEST, read once: this is on every request's way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// What is left, when it is sent, of the time after which nobody waits; milliseconds on the wire.
    pub deadline: Option<Duration>,
    /// How urgent it is.
    pub priority: Priority,
    /// How often it may run.
    pub idempotency: Idempotency,
    /// What goes to the worker unread: trace context, and options that the broker does not know.
    pub passed_on: Options,
}

/// How often a request may run, and what the broker keeps of its answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Idempotency {
    /// At least once. The answer is kept for a while, and a duplicate is answered from it.
    #[default]
    Kept = 0,
    /// At least once, and again for a duplicate that comes after the answer: nothing is kept, which is the cheapest.
    Repeatable = 1,
    /// At most once: never given to a second worker, never run again for a duplicate.
    Once = 2,
}

impl Terms {
    /// Reads the options of a REQUEST, but for what is passed on: that has so many octets, and they are the last.
    pub(super) fn decode(octets: &[u8]) -> Result<(Self, usize), OptionFault> {
        let mut terms = Self::default();
        let mut passed_on = 0;
        for entry in Entries::new(octets, limits::OPTIONS_BYTES_MAX)? {
            let (kind, value) = entry?;
            kind::check(kind, value)?;
            match (kind, value) {
                (kind::DEADLINE, value) => terms.deadline = value.try_into().ok().map(u32::from_be_bytes).map(duration),
                (kind::PRIORITY, value) => terms.priority = kind::priority(value).unwrap_or_default(),
                (kind::IDEMPOTENCY, [level]) => terms.idempotency = Idempotency::from_octet(*level),
                _ if kind::is_passed_on(kind) => passed_on += kind::HEAD_BYTES + value.len(),
                _ => {}
            }
        }
        Ok((terms, passed_on))
    }

    /// Octets that [`write`](Self::write) is going to add.
    pub(super) fn octet_count(&self) -> usize {
        let option = |present: bool, value: usize| if present { kind::HEAD_BYTES + value } else { 0 };
        option(self.deadline.is_some(), 4)
            + option(self.priority != Priority::default(), 1)
            + option(self.idempotency != Idempotency::default(), 1)
            + self.passed_on.as_bytes().len()
    }

    /// Adds the options to a head; what is as usual is left out.
    pub(super) fn write(&self, head: &mut Vec<u8>) {
        if let Some(deadline) = self.deadline {
            head.extend_from_slice(&[kind::DEADLINE, 0, 4]);
            head.extend_from_slice(&millis(deadline).to_be_bytes());
        }
        if self.priority != Priority::default() {
            head.extend_from_slice(&[kind::PRIORITY, 0, 1, self.priority.level()]);
        }
        if self.idempotency != Idempotency::default() {
            head.extend_from_slice(&[kind::IDEMPOTENCY, 0, 1, self.idempotency as u8]);
        }
        head.extend_from_slice(self.passed_on.as_bytes());
    }
}

impl Idempotency {
    /// The options have been checked: there are no others.
    const fn from_octet(octet: u8) -> Self {
        match octet {
            1 => Self::Repeatable,
            2 => Self::Once,
            _ => Self::Kept,
        }
    }
}

fn duration(millis: u32) -> Duration {
    Duration::from_millis(u64::from(millis))
}
