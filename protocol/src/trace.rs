//! W3C Trace Context: the value of `traceparent`, which says what a request is a part of
//! ([the recommendation](https://www.w3.org/TR/trace-context/), and options `81` and `82` of docs/rfc/MDP-0.3.md).
//!
//! ```text
//!   00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01
//!   │  trace, 16 octets                 span, 8 octets   flags: 01 is "recorded"
//!   version; later ones may have more behind a hyphen
//! ```
//!
//! The random numbers come from outside, as everywhere in this crate.

use std::fmt;
use std::num::{NonZeroU64, NonZeroU128};

/// A place in a trace: which trace, and which span of it whoever reads this is a child of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceContext {
    /// The same in all that belongs together.
    pub trace: NonZeroU128,
    /// The span that asks.
    pub span: NonZeroU64,
    flags: u8,
}

impl TraceContext {
    /// A trace that begins here, and is recorded.
    pub fn root(trace: NonZeroU128, span: NonZeroU64) -> Self {
        Self { trace, span, flags: SAMPLED }
    }

    /// Another span of the same trace.
    #[must_use]
    pub fn child(self, span: NonZeroU64) -> Self {
        Self { span, ..self }
    }

    /// Whether whoever asks records this trace.
    pub const fn is_sampled(self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// Reads a `traceparent`; `None` when it is none, and then a new trace begins. Of later versions the parts that
    /// this one knows are taken, as the recommendation wants.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(5, '-');
        let mut next = || parts.next();
        let version = number(next()?, 2)?;
        let trace = number(next()?, 32)?;
        let span = number(next()?, 16)?;
        let flags = number(next()?, 2)?;
        if version == VERSION_NEVER || version == 0 && next().is_some() {
            return None;
        }
        Some(Self {
            trace: NonZeroU128::new(trace)?,
            span: NonZeroU64::new(u64::try_from(span).ok()?)?,
            flags: u8::try_from(flags).ok()? & SAMPLED,
        })
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "00-{:032x}-{:016x}-{:02x}", self.trace, self.span, self.flags)
    }
}

/// So many hexadecimal digits, none of them a capital.
fn number(text: &str, digits: usize) -> Option<u128> {
    let is_digit = |octet: u8| matches!(octet, b'0'..=b'9' | b'a'..=b'f');
    (text.len() == digits && text.bytes().all(is_digit)).then(|| u128::from_str_radix(text, 16).ok())?
}

/// The one flag that is known here; unknown ones are not passed on.
const SAMPLED: u8 = 1;
/// The version that the recommendation forbids.
const VERSION_NEVER: u128 = 0xff;

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn the_example_of_the_recommendation_is_read_and_written() {
        let context = TraceContext::parse(EXAMPLE).unwrap();
        assert_eq!(context.trace.get(), 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
        assert_eq!((context.span.get(), context.is_sampled()), (0x00f0_67aa_0ba9_02b7, true));
        assert_eq!(context.to_string(), EXAMPLE);
    }

    #[test]
    fn a_child_is_another_span_of_the_same_trace_and_as_much_recorded() {
        let parent = TraceContext::parse(&EXAMPLE.replace("-01", "-00")).unwrap();
        let child = parent.child(NonZeroU64::MIN);
        assert_eq!(child.to_string(), "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000001-00");
        let root = TraceContext::root(NonZeroU128::MIN, NonZeroU64::MAX);
        assert_eq!(root.to_string(), "00-00000000000000000000000000000001-ffffffffffffffff-01");
    }

    #[test]
    fn of_later_versions_and_flags_the_known_is_taken() {
        for text in [EXAMPLE.replace("00-4", "cc-4"), EXAMPLE.replace("00-4", "01-4") + "-more-of-it"] {
            assert_eq!(TraceContext::parse(&text).map(|context| context.to_string()), Some(EXAMPLE.to_owned()));
        }
        assert!(TraceContext::parse(&EXAMPLE.replace("-01", "-ff")).unwrap().to_string().ends_with("-01"));
    }

    #[test]
    fn what_is_no_traceparent_is_none() {
        let whole = TraceContext::parse;
        for end in 0..EXAMPLE.len() {
            assert_eq!(whole(&EXAMPLE[..end]), None, "{end}");
        }
        for (from, to) in [
            ("00-4b", "ff-4b"),
            ("4bf9", "4BF9"),
            ("4bf9", "+bf9"),
            ("4bf9", "\u{e9}f9"),
            ("4bf92f3577b34da6a3ce929d0e0e4736", "00000000000000000000000000000000"),
            ("00f067aa0ba902b7", "0000000000000000"),
            ("-01", "-01-"),
            ("-01", "-01-more"),
            ("-01", "-001"),
            ("00-4b", "0-4b"),
            ("-", "_"),
        ] {
            assert_eq!(whole(&EXAMPLE.replacen(from, to, 1)), None, "{from} for {to}");
        }
    }
}
