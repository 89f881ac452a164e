//! The options at the end of a head: a bounded list of typed values that later versions may add to.
//!
//! ```text
//!   ┌──────────┬──────────────┬───────┐
//!   │ kind (1) │ length (2)   │ value │ …      in strictly ascending order of their kinds
//!   └──────────┴──────────────┴───────┘
//!     bit 7: passed on from client to worker, or from worker to client, by whoever is between, unread
//!     bit 6: critical: refused by a reader that does not know it; all others are ignored
//! ```
//!
//! The order makes a list canonical: no option can stand twice, and what is passed on is one piece at the end.

mod builder;
pub mod kind;

use std::time::Duration;

use bytes::Bytes;

use crate::fault::OptionFault;
use crate::limits;
pub use builder::Builder;

/// A valid list of options, still in the octets that it came in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options(Bytes);

impl Options {
    /// No options.
    pub const fn none() -> Self {
        Self(Bytes::new())
    }

    /// A list to put options into.
    pub fn build() -> Builder {
        Builder::default()
    }

    /// Takes octets as options: `bytes_max` at most, in order, none unknown and critical, and the values of all that
    /// are known are what they should be.
    pub(super) fn decode(octets: Bytes, bytes_max: usize) -> Result<Self, OptionFault> {
        if octets.is_empty() {
            return Ok(Self::none());
        }
        for entry in Entries::new(&octets, bytes_max)? {
            let (kind, value) = entry?;
            kind::check(kind, value)?;
        }
        Ok(Self(octets))
    }

    /// The last `octet_count` octets of a list that has been checked and breaks there between two options.
    pub(super) fn tail(octets: &Bytes, octet_count: usize) -> Self {
        Self(octets.slice(octets.len() - octet_count..))
    }

    /// The list as it travels.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The same list in memory of its own, for keeping: a list cut out of a message pins that message.
    #[must_use]
    pub fn detached(&self) -> Self {
        Self(Bytes::copy_from_slice(&self.0))
    }

    /// The value of an option.
    pub fn get(&self, kind: u8) -> Option<&[u8]> {
        self.entries().find(|(found, _)| *found == kind).map(|(_, value)| value)
    }

    /// The options that go from end to end, for whoever is between: passed on as they are.
    #[must_use]
    pub fn passed_on(&self) -> Self {
        let passed_on = self.entries().filter(|(kind, _)| kind::is_passed_on(*kind));
        Self::tail(&self.0, passed_on.map(|(_, value)| kind::HEAD_BYTES + value.len()).sum())
    }

    /// The list without the options of this kind. A broker takes [`kind::ENDPOINTS`] out of what workers say: only a
    /// broker sends its peers elsewhere.
    #[must_use]
    pub fn without(&self, kind: u8) -> Self {
        if self.get(kind).is_none() {
            return self.clone();
        }
        let others = self.entries().filter(|(found, _)| *found != kind);
        others.fold(Builder::default(), |list, (found, value)| list.with(found, value)).into_options()
    }

    /// Why, in words.
    pub fn reason(&self) -> Option<&str> {
        self.text(kind::REASON)
    }

    /// When it makes sense to ask again.
    pub fn retry_after(&self) -> Option<Duration> {
        let millis = self.get(kind::RETRY_AFTER).and_then(|value| value.try_into().ok()).map(u32::from_be_bytes);
        millis.map(|millis| Duration::from_millis(u64::from(millis)))
    }

    /// Where to go instead, best first. A hint and not an order: see "Security considerations".
    pub fn endpoints(&self) -> impl Iterator<Item = &str> {
        self.text(kind::ENDPOINTS).into_iter().flat_map(str::split_ascii_whitespace)
    }

    /// The name of a worker.
    pub fn name(&self) -> Option<&str> {
        self.text(kind::NAME)
    }

    /// The version of a worker or a service.
    pub fn version(&self) -> Option<&str> {
        self.text(kind::VERSION)
    }

    /// What a worker or a service is good for.
    pub fn description(&self) -> Option<&str> {
        self.text(kind::DESCRIPTION)
    }

    /// What requests and answers of a service look like: a schema, or where it is found.
    pub fn schema(&self) -> Option<&str> {
        self.text(kind::SCHEMA)
    }

    /// W3C Trace Context, `traceparent`; `None` when it is not one that can be read, as W3C has it.
    pub fn traceparent(&self) -> Option<&str> {
        self.trace(kind::TRACEPARENT, limits::TRACEPARENT_BYTES_MAX)
    }

    /// W3C Trace Context, `tracestate`; `None` when it is not one that can be read.
    pub fn tracestate(&self) -> Option<&str> {
        self.trace(kind::TRACESTATE, limits::TRACESTATE_BYTES_MAX)
    }

    fn text(&self, kind: u8) -> Option<&str> {
        self.get(kind).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// What is passed on has not been looked into by anybody yet.
    fn trace(&self, kind: u8, bytes_max: usize) -> Option<&str> {
        self.text(kind).filter(|text| (1..=bytes_max).contains(&text.len()) && !text.contains(|c: char| c.is_control()))
    }

    fn entries(&self) -> impl Iterator<Item = (u8, &[u8])> {
        Entries { rest: &self.0, last: None, count: 0 }.map_while(Result::ok)
    }
}

/// The options of a list, one after the other, each checked for its place.
pub(super) struct Entries<'list> {
    rest: &'list [u8],
    last: Option<u8>,
    count: usize,
}

impl<'list> Entries<'list> {
    /// The options in `octets`, of which `bytes_max` are allowed.
    pub(super) fn new(octets: &'list [u8], bytes_max: usize) -> Result<Self, OptionFault> {
        if octets.len() > bytes_max {
            return Err(OptionFault::Bytes { bytes: octets.len(), allowed: bytes_max });
        }
        Ok(Self { rest: octets, last: None, count: 0 })
    }

    fn take(&mut self) -> Result<(u8, &'list [u8]), OptionFault> {
        let ([kind, high, low], after) = self.rest.split_first_chunk().ok_or(OptionFault::Cut)?;
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let (value, rest) = after.split_at_checked(length).ok_or(OptionFault::Cut)?;
        if self.last.is_some_and(|last| last >= *kind) {
            return Err(OptionFault::Order(*kind));
        }
        if self.count == limits::OPTIONS_MAX {
            return Err(OptionFault::Count);
        }
        (self.rest, self.last, self.count) = (rest, Some(*kind), self.count + 1);
        Ok((*kind, value))
    }
}

impl<'list> Iterator for Entries<'list> {
    type Item = Result<(u8, &'list [u8]), OptionFault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() { None } else { Some(self.take()) }
    }
}
