//! The options that MDP 0.3 knows: their numbers, and what their values have to be.

use crate::fault::OptionFault;
use crate::identity::Priority;
use crate::limits;

/// Octets of kind and length before a value.
pub const HEAD_BYTES: usize = 3;

/// Milliseconds that a request has left when it is sent, 4 octets.
pub const DEADLINE: u8 = 0x01;
/// How urgent a request is, 1 octet, 0 to 9.
pub const PRIORITY: u8 = 0x02;
/// Why, in words.
pub const REASON: u8 = 0x04;
/// Milliseconds until it makes sense to ask again, 4 octets.
pub const RETRY_AFTER: u8 = 0x05;
/// Where to go instead: endpoints, spaces between them.
pub const ENDPOINTS: u8 = 0x06;
/// The name of a worker.
pub const NAME: u8 = 0x08;
/// The version of a worker or a service.
pub const VERSION: u8 = 0x09;
/// What a worker or a service is good for.
pub const DESCRIPTION: u8 = 0x0a;
/// What requests and answers of a service look like.
pub const SCHEMA: u8 = 0x0b;
/// How often a request may run, 1 octet. Critical: to ignore it could do harm.
pub const IDEMPOTENCY: u8 = 0x43;
/// W3C Trace Context; passed on.
pub const TRACEPARENT: u8 = 0x81;
/// W3C Trace Context; passed on.
pub const TRACESTATE: u8 = 0x82;

/// Whether whoever stands between the two ends hands it over unread.
pub const fn is_passed_on(kind: u8) -> bool {
    kind & 0x80 != 0
}

/// Whether a reader that does not know it has to refuse it.
pub const fn is_critical(kind: u8) -> bool {
    kind & 0x40 != 0
}

/// Whether the value of an option is what it should be. What is passed on is for its reader to judge.
pub(in crate::mdp::v03) fn check(kind: u8, value: &[u8]) -> Result<(), OptionFault> {
    let (valid, name) = match kind {
        DEADLINE => (value.len() == 4, "DEADLINE"),
        PRIORITY => (priority(value).is_some(), "PRIORITY"),
        REASON => (is_text(value, limits::REASON_BYTES_MAX), "REASON"),
        RETRY_AFTER => (value.len() == 4, "RETRY-AFTER"),
        ENDPOINTS => (is_text(value, limits::ENDPOINTS_BYTES_MAX), "ENDPOINTS"),
        NAME => (is_text(value, limits::LABEL_BYTES_MAX), "NAME"),
        VERSION => (is_text(value, limits::LABEL_BYTES_MAX), "VERSION"),
        DESCRIPTION => (is_text(value, limits::DESCRIPTION_BYTES_MAX), "DESCRIPTION"),
        SCHEMA => (is_text(value, limits::OFFER_OPTIONS_BYTES_MAX), "SCHEMA"),
        IDEMPOTENCY => (matches!(value, [0..=2]), "IDEMPOTENCY"),
        unknown if is_critical(unknown) => return Err(OptionFault::Critical(unknown)),
        _ => return Ok(()),
    };
    if valid { Ok(()) } else { Err(OptionFault::Value(name)) }
}

pub(in crate::mdp::v03) fn priority(value: &[u8]) -> Option<Priority> {
    match value {
        [level] => Priority::new(*level),
        _ => None,
    }
}

fn is_text(value: &[u8], bytes_max: usize) -> bool {
    (1..=bytes_max).contains(&value.len()) && std::str::from_utf8(value).is_ok()
}
