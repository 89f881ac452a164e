//! What a peer may do: which services it may call and offer, whether it may ask and administer the broker, and how much
//! of all that at a time.
//!
//! Who the peer is has been settled before, by the handshake of its connection; a broker looks only at these rights.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::ops::Bound;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;

use crate::identity::ServiceName;
use crate::limits;

/// The rights of one peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rights {
    /// What the operator calls the peer; empty when nobody was asked who it is.
    pub name: Arc<str>,
    /// What the peer has shown, in words: its public key, its user name. Connections that show the same share one set
    /// of limits. `None`: it has shown nothing, and each connection stands for itself.
    pub credential: Option<Arc<str>>,
    /// Services that it may call.
    pub call: ServicePatterns,
    /// Services that it may offer as a worker.
    pub offer: ServicePatterns,
    /// Whether it may ask the broker about itself and its services (RFC 8).
    pub mmi: bool,
    /// Whether it may administer the broker: `mmi.filter`, `mmi.drain` and `mmi.resume`.
    pub admin: bool,
    /// How much it may do; what is `None` here is as the broker has it for all.
    pub limits: PeerLimits,
}

/// How much a peer may do. `None` is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeerLimits {
    /// Requests a second, those to `mmi.` included. As many may come at once after a second of silence.
    pub requests_per_second: Option<NonZeroU32>,
    /// Requests that have been accepted and have not ended.
    pub in_flight_max: Option<NonZeroU32>,
    /// Connections with the same credential.
    pub connections_max: Option<NonZeroU32>,
}

/// One name, or with a `*` at the end all names that begin with what stands before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServicePattern {
    /// This service.
    Exact(ServiceName),
    /// All services whose names begin so; empty for all there are. 255 bytes at most.
    Prefix(Bytes),
}

/// A set of patterns. Asking it takes the same few comparisons however many there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServicePatterns {
    exact: BTreeSet<ServiceName>,
    /// None of them begins with another.
    prefixes: BTreeSet<Bytes>,
    all: bool,
}

/// Text that is no [`ServicePattern`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternFault {
    /// No name is that short or that long.
    #[error("service of {0} bytes (allowed: 1 to {max}, then perhaps a *)", max = limits::SERVICE_NAME_BYTES_MAX)]
    Length(usize),
    /// A `*` that is not the last character.
    #[error("a * in the middle of a service (allowed: at its end, for all that begin so)")]
    Star,
    /// The broker itself answers there.
    #[error("services under mmi. are the broker's own (allowed: mmi = true or false, admin = true or false)")]
    Management,
}

impl Rights {
    /// Everything, for a peer that nobody asks who it is.
    pub fn everything() -> Self {
        Self {
            name: Arc::from(""),
            credential: None,
            call: ServicePatterns::everything(),
            offer: ServicePatterns::everything(),
            mmi: true,
            admin: true,
            limits: PeerLimits::default(),
        }
    }

    /// Whether a request for this service may be made: those of the broker itself need rights of their own.
    #[inline]
    pub fn may_call(&self, service: &ServiceName) -> bool {
        if !service.is_management() {
            return self.call.covers(service);
        }
        match service.as_bytes() {
            b"mmi.filter" | b"mmi.drain" | b"mmi.resume" => self.admin,
            _ => self.mmi,
        }
    }
}

impl PeerLimits {
    /// These limits, and where there is none, that of `general`.
    #[must_use]
    pub fn or(self, general: Self) -> Self {
        Self {
            requests_per_second: self.requests_per_second.or(general.requests_per_second),
            in_flight_max: self.in_flight_max.or(general.in_flight_max),
            connections_max: self.connections_max.or(general.connections_max),
        }
    }

    /// Whether there is any.
    pub fn is_any(&self) -> bool {
        self.requests_per_second.is_some() || self.in_flight_max.is_some() || self.connections_max.is_some()
    }
}

impl FromStr for ServicePattern {
    type Err = PatternFault;

    fn from_str(text: &str) -> Result<Self, PatternFault> {
        let (name, is_prefix) = text.strip_suffix('*').map_or((text, false), |prefix| (prefix, true));
        if name.contains('*') {
            return Err(PatternFault::Star);
        }
        if name.starts_with("mmi.") {
            return Err(PatternFault::Management);
        }
        if is_prefix && name.len() <= limits::SERVICE_NAME_BYTES_MAX {
            return Ok(Self::Prefix(Bytes::copy_from_slice(name.as_bytes())));
        }
        name.parse().map(Self::Exact).map_err(|_| PatternFault::Length(name.len()))
    }
}

impl ServicePatterns {
    /// All services.
    pub fn everything() -> Self {
        [ServicePattern::Prefix(Bytes::new())].into_iter().collect()
    }

    /// Whether that is all services.
    pub const fn is_everything(&self) -> bool {
        self.all
    }

    /// Whether one of the patterns is this service, or begins it.
    #[inline]
    pub fn covers(&self, service: &ServiceName) -> bool {
        self.all || self.covers_some(service.as_bytes())
    }

    fn covers_some(&self, name: &[u8]) -> bool {
        self.exact.contains(name) || self.prefix_of(name).is_some()
    }

    /// The prefix that begins `name`. It can only be the last one that is not after `name`: whatever lies between a
    /// prefix and what it begins begins so itself, and such prefixes are not kept.
    fn prefix_of(&self, name: &[u8]) -> Option<&Bytes> {
        let mut before = self.prefixes.range::<[u8], _>((Bound::Unbounded, Bound::Included(name)));
        before.next_back().filter(|prefix| name.starts_with(prefix))
    }

    fn insert(&mut self, pattern: ServicePattern) {
        match pattern {
            ServicePattern::Exact(service) => {
                self.exact.insert(service);
            }
            ServicePattern::Prefix(prefix) => {
                if self.prefix_of(&prefix).is_none() {
                    self.all |= prefix.is_empty();
                    self.prefixes.retain(|longer| !longer.starts_with(&prefix));
                    self.prefixes.insert(prefix);
                }
            }
        }
    }
}

impl FromIterator<ServicePattern> for ServicePatterns {
    fn from_iter<I: IntoIterator<Item = ServicePattern>>(patterns: I) -> Self {
        let mut set = Self::default();
        patterns.into_iter().for_each(|pattern| set.insert(pattern));
        set
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn patterns(texts: &[&str]) -> ServicePatterns {
        texts.iter().map(|text| text.parse::<ServicePattern>().unwrap()).collect()
    }

    fn covers(patterns: &ServicePatterns, name: &str) -> bool {
        patterns.covers(&name.parse().unwrap())
    }

    #[test]
    fn an_empty_set_covers_nothing_and_a_star_everything() {
        assert!(!covers(&ServicePatterns::default(), "echo"));
        assert!(covers(&ServicePatterns::everything(), "echo"));
    }

    #[test]
    fn a_name_covers_itself_and_a_prefix_all_that_begin_so() {
        let set = patterns(&["echo", "titanic.*", "titanic.log.*", "a*"]);
        for name in ["echo", "titanic.request", "titanic.", "titanic.log.x", "a", "abc"] {
            assert!(covers(&set, name), "{name}");
        }
        for name in ["ech", "echo2", "titanic", "Echo", "b"] {
            assert!(!covers(&set, name), "{name}");
        }
    }

    #[test]
    fn what_no_service_can_be_called_is_no_pattern() {
        let fault = |text: &str| text.parse::<ServicePattern>().unwrap_err();
        assert_eq!(fault(""), PatternFault::Length(0));
        assert_eq!(fault("a*b"), PatternFault::Star);
        assert_eq!(fault("**"), PatternFault::Star);
        assert_eq!(fault("mmi.filter"), PatternFault::Management);
        assert_eq!(fault("mmi.*"), PatternFault::Management);
    }

    #[test]
    fn service_name_bytes_max_is_met_by_patterns_and_not_passed() {
        let of = |length: usize, end: &str| format!("{}{end}", "x".repeat(length)).parse::<ServicePattern>();
        for end in ["", "*"] {
            assert!(of(limits::SERVICE_NAME_BYTES_MAX, end).is_ok());
            assert_eq!(of(256, end), Err(PatternFault::Length(256)));
        }
    }

    #[test]
    fn a_limit_of_ones_own_goes_before_the_general_one() {
        let own = PeerLimits { in_flight_max: NonZeroU32::new(2), ..PeerLimits::default() };
        let general = PeerLimits { in_flight_max: NonZeroU32::new(9), ..PeerLimits::default() };
        assert_eq!(own.or(general).in_flight_max, NonZeroU32::new(2));
        assert_eq!(PeerLimits::default().or(general), general);
        assert!(own.is_any() && !PeerLimits::default().is_any());
    }

    proptest! {
        #[test]
        fn a_set_covers_what_one_of_its_patterns_covers(
            texts in prop::collection::vec("[ab]{0,4}\\*|[ab]{1,4}", 0..12),
            name in "[ab]{1,6}",
        ) {
            let expected = texts.iter().any(|text| match text.strip_suffix('*') {
                Some(prefix) => name.starts_with(prefix),
                None => *text == name,
            });
            let texts: Vec<_> = texts.iter().map(String::as_str).collect();
            prop_assert_eq!(covers(&patterns(&texts), &name), expected);
        }
    }
}
