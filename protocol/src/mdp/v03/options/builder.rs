//! Puts a list of options together, in whatever order they come to mind.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Options, kind};
use crate::fault::OptionFault;
use crate::limits;
use crate::mdp::v03::head::millis;

/// A list that is being put together; see [`Options::build`].
#[derive(Clone, Debug, Default)]
pub struct Builder(BTreeMap<u8, Vec<u8>>);

impl Builder {
    /// Any option; a later one of the same kind replaces it.
    #[must_use]
    pub fn with(mut self, kind: u8, value: impl Into<Vec<u8>>) -> Self {
        self.0.insert(kind, value.into());
        self
    }

    /// Why, in words; cut to the length that is allowed, and left out when it is empty.
    #[must_use]
    pub fn reason(self, reason: &str) -> Self {
        match cut(reason, limits::REASON_BYTES_MAX) {
            "" => self,
            reason => self.with(kind::REASON, reason),
        }
    }

    /// When it makes sense to ask again.
    #[must_use]
    pub fn retry_after(self, wait: Duration) -> Self {
        self.with(kind::RETRY_AFTER, millis(wait).to_be_bytes())
    }

    /// Where to go instead, best first.
    #[must_use]
    pub fn endpoints<'text>(self, endpoints: impl IntoIterator<Item = &'text str>) -> Self {
        let list: Vec<_> = endpoints.into_iter().collect();
        self.with(kind::ENDPOINTS, list.join(" "))
    }

    /// The name of a worker.
    #[must_use]
    pub fn name(self, name: &str) -> Self {
        self.with(kind::NAME, name)
    }

    /// The version of a worker or a service.
    #[must_use]
    pub fn version(self, version: &str) -> Self {
        self.with(kind::VERSION, version)
    }

    /// What a worker or a service is good for.
    #[must_use]
    pub fn description(self, description: &str) -> Self {
        self.with(kind::DESCRIPTION, description)
    }

    /// What requests and answers of a service look like.
    #[must_use]
    pub fn schema(self, schema: &str) -> Self {
        self.with(kind::SCHEMA, schema)
    }

    /// W3C Trace Context.
    #[must_use]
    pub fn trace(self, traceparent: &str, tracestate: Option<&str>) -> Self {
        let list = self.with(kind::TRACEPARENT, traceparent);
        match tracestate {
            Some(tracestate) => list.with(kind::TRACESTATE, tracestate),
            None => list,
        }
    }

    /// The list, for anything but the offer of a service.
    ///
    /// # Errors
    /// The rule that a reader would find broken.
    pub fn finish(self) -> Result<Options, OptionFault> {
        self.finish_within(limits::OPTIONS_BYTES_MAX)
    }

    /// The list for the offer of a service, which may be longer.
    ///
    /// # Errors
    /// The rule that a reader would find broken.
    pub fn finish_offer(self) -> Result<Options, OptionFault> {
        self.finish_within(limits::OFFER_OPTIONS_BYTES_MAX)
    }

    fn finish_within(self, bytes_max: usize) -> Result<Options, OptionFault> {
        let bytes = self.0.values().map(|value| kind::HEAD_BYTES + value.len()).sum();
        if bytes > bytes_max {
            return Err(OptionFault::Bytes { bytes, allowed: bytes_max });
        }
        Options::decode(self.into_options().0, bytes_max)
    }

    /// The list, not checked. Values are below 64 KiB: longer ones are in no list that is within its limit.
    pub(super) fn into_options(self) -> Options {
        let mut octets = Vec::new();
        for (kind, value) in self.0 {
            let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
            octets.push(kind);
            octets.extend_from_slice(&length.to_be_bytes());
            octets.extend_from_slice(&value);
        }
        Options(octets.into())
    }
}

/// The longest beginning of `text` that has `bytes_max` bytes at most and ends between two characters.
fn cut(text: &str, bytes_max: usize) -> &str {
    (0..=bytes_max).rev().find_map(|end| text.get(..end.min(text.len()))).unwrap_or_default()
}
