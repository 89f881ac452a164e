//! The Majordomo management interface (RFC 8): services under `mmi.` that the broker answers itself.
//!
//! ```text
//! question      body frames                      answer
//! mmi.service   name                             200 | 404    has it a live worker?
//! mmi.services  [pattern]...                     200, lines   what the broker serves; ours, as all that follow
//! mmi.workers   [pattern]...                     200, lines   who serves it
//! mmi.stats     [pattern]...                     200, lines   how that goes
//! mmi.info                                       200, line    the broker itself
//! mmi.ping      anything                         200, and the same frames
//! mmi.filter    enable|disable service command   200 | 400    needs the right `admin`
//! mmi.drain     broker [grace]                   200 | 400          all three need the right `admin`;
//!               service name [grace]             200 | 400 | 404    grace in milliseconds, 30000 unless said
//!               worker name-or-number [grace]    200 | 400 | 404
//! mmi.resume    service name                     200 | 400 | 404    a service takes requests and workers again
//! any other                                      501
//! ```
//!
//! The first frame of a reply is the code (RFC 8 shows code and name; the reference sends the code alone, and clients
//! rely on it). *Lines* are one frame more: a JSON object a line, in the order of names or numbers. The name of
//! `mmi.service` is read from the last body frame, as the reference does.
//!
//! A pattern is the name of a service, or its beginning and a `*`; without any, all are meant. Empty frames name
//! nothing: a request has a frame at least, so a question without any is one empty frame. An answer has 256 KiB of
//! lines at most ([`REPORT_BYTES_MAX`]): what does not fit is counted in a last line, `{"more": n}`, and is found by
//! asking with a pattern.
//!
//! The fields below are a contract; others may be added. Text comes from peers: show it escaped. What is not known is
//! `null`.
//!
//! | line of | field | what it is |
//! |---|---|---|
//! | `mmi.services` | `service` | its name |
//! | | `workers`, `waiting` | registered, and the idle ones of them: with nothing in flight, and not paused |
//! | | `queued`, `in_flight` | requests that wait for a worker, and that a worker has |
//! | | `draining` | whether it takes no new requests |
//! | `mmi.workers` | `worker` | its number, which `mmi.drain` takes |
//! | | `name`, `version` | as its READY says, or `null`; `mmi.drain` takes a name for all that have it |
//! | | `services` | a list of names; empty for one that leaves |
//! | | `dialect` | `"0.1"`, `"0.2"` or `"0.3"` |
//! | | `credit`, `in_flight` | how many requests it takes at once, and has |
//! | | `heard_ms` | how long it has been silent |
//! | | `draining` | whether it leaves once it has answered |
//! | `mmi.info` | `name`, `version`, `dialects` | of the broker; a list of text |
//! | | `uptime_ms` | since it serves |
//! | | `connections`, `workers`, `services`, `queued`, `in_flight` | now |
//! | | `requests`, `replies`, `failed`, `requeued`, `faults` | since it serves |
//! | | `draining` | whether it takes no new requests |
//! | `mmi.stats` | `service` | its name; one that was served lately is remembered for some time |
//! | | `requests` | accepted, or refused for another reason than a right or a limit of their client |
//! | | `replies`, `errors` | ended with a result, and otherwise |
//! | | `last_error` | `null`, or `{"status": 502, "reason": "...", "age_ms": 17}` |
//! | | `in_flight`, `queued` | as above |
//! | | `oldest_ms` | how long the oldest queued request has waited, or `null` |
//! | | `p50_us`, `p99_us`, `p999_us` | from accepted to FINAL, of the last one to two minutes, to 1 %; or `null` |

use std::time::Duration;

use bytes::Bytes;

use crate::frames::Frames;
use crate::identity::ServiceName;
use crate::limits::{DRAIN_GRACE, DRAIN_GRACE_MAX, FILTER_COMMAND_BYTES_MAX, LABEL_BYTES_MAX};
use crate::rights::{ServicePattern, ServicePatterns};

/// A question to the broker itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Query {
    /// Has this service at least one live worker?
    Service(ServiceName),
    /// Enable or disable a command of a service: a command is the first body frame of a request.
    Filter {
        /// Whether requests with this command are let through.
        enable: bool,
        /// The service that is filtered.
        service: ServiceName,
        /// The command, 1 to 255 bytes.
        command: Bytes,
    },
    /// What does the broker serve, of these?
    Services(ServicePatterns),
    /// Who serves these?
    Workers(ServicePatterns),
    /// How do requests for these fare?
    Stats(ServicePatterns),
    /// What is the broker, and how does it fare?
    Info,
    /// Is anybody there? The body comes back.
    Ping,
    /// Leave, with nothing lost.
    Drain {
        /// What shall leave.
        target: Target,
        /// How long it may take.
        grace: Duration,
    },
    /// A service that drains shall take requests again.
    Resume(ServiceName),
    /// A question of a known name that makes no sense; answered [`code::BAD_REQUEST`] with this text.
    Malformed(&'static str),
    /// A name under `mmi.` that nobody has defined; answered [`code::NOT_IMPLEMENTED`].
    Unknown,
}

/// What shall leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The whole broker.
    Broker,
    /// One service.
    Service(ServiceName),
    /// The worker of this number, or all that call themselves so.
    Worker(String),
}

/// Bytes of the lines of one answer.
pub const REPORT_BYTES_MAX: usize = 256 << 10;
/// Patterns of one question.
pub const PATTERNS_MAX: usize = 64;

/// Status codes of the management interface.
pub mod code {
    /// Yes; done.
    pub const OK: &[u8] = b"200";
    /// The question is malformed.
    pub const BAD_REQUEST: &[u8] = b"400";
    /// No live worker.
    pub const NOT_FOUND: &[u8] = b"404";
    /// No such question.
    pub const NOT_IMPLEMENTED: &[u8] = b"501";
}

impl Query {
    /// Reads the question that a request to a service under `mmi.` asks.
    pub fn parse(service: &ServiceName, body: &Frames) -> Self {
        match service.as_bytes() {
            b"mmi.service" => parse_service(body),
            b"mmi.filter" => parse_filter(body),
            b"mmi.services" => asked(body).map_or_else(Self::Malformed, Self::Services),
            b"mmi.workers" => asked(body).map_or_else(Self::Malformed, Self::Workers),
            b"mmi.stats" => asked(body).map_or_else(Self::Malformed, Self::Stats),
            b"mmi.info" => Self::Info,
            b"mmi.ping" => Self::Ping,
            b"mmi.drain" => parse_drain(body).unwrap_or(Self::Malformed(DRAIN_TAKES)),
            b"mmi.resume" => parse_resume(body).unwrap_or(Self::Malformed(RESUME_TAKES)),
            _ => Self::Unknown,
        }
    }
}

fn parse_service(body: &Frames) -> Query {
    match body.last().map(|name| ServiceName::new(name.clone())) {
        Some(Ok(name)) => Query::Service(name),
        _ => Query::Malformed("mmi.service takes a service name of 1 to 255 bytes"),
    }
}

/// Which services a question is about: all, if it names none.
fn asked(body: &Frames) -> Result<ServicePatterns, &'static str> {
    let patterns: Vec<_> = body.iter().filter(|frame| !frame.is_empty()).take(PATTERNS_MAX + 1).collect();
    if patterns.is_empty() {
        return Ok(ServicePatterns::everything());
    }
    if patterns.len() > PATTERNS_MAX {
        return Err("no more than 64 patterns are allowed");
    }
    let pattern = |frame: &Bytes| std::str::from_utf8(frame).ok()?.parse::<ServicePattern>().ok();
    let patterns: Option<ServicePatterns> = patterns.into_iter().map(pattern).collect();
    patterns
        .ok_or("a pattern is the name of a service, or its beginning and a *; names under mmi. are the broker's own")
}

fn parse_drain(body: &Frames) -> Option<Query> {
    let (what, rest) = body.split_first()?;
    let (target, rest) = match (what.as_ref(), rest) {
        (b"broker", rest) => (Target::Broker, rest),
        (b"service", [name, rest @ ..]) => (Target::Service(service(name)?), rest),
        (b"worker", [name, rest @ ..]) if (1..=LABEL_BYTES_MAX).contains(&name.len()) => {
            (Target::Worker(std::str::from_utf8(name).ok()?.to_owned()), rest)
        }
        _ => return None,
    };
    let grace = match rest {
        [] => DRAIN_GRACE,
        [millis] => Duration::from_millis(std::str::from_utf8(millis).ok()?.parse().ok()?),
        _ => return None,
    };
    (grace <= DRAIN_GRACE_MAX).then_some(Query::Drain { target, grace })
}

fn parse_resume(body: &Frames) -> Option<Query> {
    match &**body {
        [what, name] if what.as_ref() == b"service" => service(name).map(Query::Resume),
        _ => None,
    }
}

/// The name of a service that is not the broker's own.
fn service(name: &Bytes) -> Option<ServiceName> {
    ServiceName::new(name.clone()).ok().filter(|name| !name.is_management())
}

const DRAIN_TAKES: &str = "mmi.drain takes broker, service and its name, or worker and its name or number; \
    then perhaps a grace of 0 to 86400000 ms";
const RESUME_TAKES: &str = "mmi.resume takes two frames: service, and its name";

fn parse_filter(body: &Frames) -> Query {
    let [operation, service, command] = &**body else {
        return Query::Malformed("mmi.filter takes three frames: enable or disable, service, command");
    };
    let enable = match operation.as_ref() {
        b"enable" => true,
        b"disable" => false,
        _ => return Query::Malformed("mmi.filter: the operation is enable or disable"),
    };
    let Ok(service) = ServiceName::new(service.clone()) else {
        return Query::Malformed("mmi.filter: the service name has 1 to 255 bytes");
    };
    if service.is_management() {
        return Query::Malformed("mmi.filter: services under mmi. are not filtered");
    }
    if command.is_empty() || command.len() > FILTER_COMMAND_BYTES_MAX {
        return Query::Malformed("mmi.filter: the command has 1 to 255 bytes");
    }
    Query::Filter { enable, service, command: command.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(service: &str, body: impl Into<Frames>) -> Query {
        Query::parse(&service.parse().unwrap(), &body.into())
    }

    #[test]
    fn mmi_service_reads_the_name_from_the_last_frame() {
        assert_eq!(parse("mmi.service", ["echo"]), Query::Service("echo".parse().unwrap()));
        assert_eq!(parse("mmi.service", ["", "echo"]), Query::Service("echo".parse().unwrap()));
        assert!(matches!(parse("mmi.service", [""]), Query::Malformed(_)));
    }

    #[test]
    fn mmi_filter_needs_operation_service_and_command() {
        let expected =
            Query::Filter { enable: false, service: "MM".parse().unwrap(), command: Bytes::from_static(b"POSave") };
        assert_eq!(parse("mmi.filter", ["disable", "MM", "POSave"]), expected);
        for malformed in
            [["maybe", "MM", "POSave"], ["enable", "", "POSave"], ["enable", "mmi.x", "a"], ["enable", "MM", ""]]
        {
            assert!(matches!(parse("mmi.filter", malformed), Query::Malformed(_)), "{malformed:?}");
        }
        assert!(matches!(parse("mmi.filter", ["enable", "MM"]), Query::Malformed(_)));
    }

    #[test]
    fn filter_command_bytes_max_is_met_and_not_passed() {
        let of =
            |length| parse("mmi.filter", [Bytes::from("enable"), Bytes::from("MM"), Bytes::from(vec![b'x'; length])]);
        assert!(matches!(of(FILTER_COMMAND_BYTES_MAX), Query::Filter { .. }));
        assert!(matches!(of(FILTER_COMMAND_BYTES_MAX + 1), Query::Malformed(_)));
    }

    #[test]
    fn a_report_is_about_what_is_named_or_about_all() {
        for (body, covered) in
            [(["echo", "a.*"], [true, true, false]), (["", ""], [true; 3]), (["", "b"], [false, false, true])]
        {
            let Query::Stats(patterns) = parse("mmi.stats", body) else { panic!("{body:?}") };
            assert_eq!(["echo", "a.b", "b"].map(|name| patterns.covers(&name.parse().unwrap())), covered, "{body:?}");
        }
        for malformed in [["a*b", ""], ["mmi.x", "a"], ["echo", "*x*"]] {
            assert!(matches!(parse("mmi.services", malformed), Query::Malformed(_)), "{malformed:?}");
        }
        assert!(matches!(parse("mmi.workers", [b"\xff".to_vec()]), Query::Malformed(_)));
    }

    #[test]
    fn mmi_drain_says_what_and_perhaps_how_long() {
        let drain = |target, grace| Query::Drain { target, grace };
        let echo = Target::Service("echo".parse().unwrap());
        let worker = Target::Worker("w1".to_owned());
        let second = Duration::from_secs(1);
        assert_eq!(parse("mmi.drain", ["broker"]), drain(Target::Broker, DRAIN_GRACE));
        assert_eq!(parse("mmi.drain", ["broker", "1000"]), drain(Target::Broker, second));
        assert_eq!(parse("mmi.drain", ["service", "echo", "0"]), drain(echo, Duration::ZERO));
        assert_eq!(parse("mmi.drain", ["worker", "w1", "86400000"]), drain(worker, DRAIN_GRACE_MAX));
        assert_eq!(parse("mmi.resume", ["service", "echo"]), Query::Resume("echo".parse().unwrap()));
        for malformed in
            [["broker", "soon"], ["broker", "86400001"], ["service", ""], ["service", "mmi.x"], ["worker", ""]]
        {
            assert_eq!(parse("mmi.drain", malformed), Query::Malformed(DRAIN_TAKES), "{malformed:?}");
        }
        for malformed in [["broker", "1", "2", "3"], ["service", "a", "1", "2"], ["other", "a", "1", ""]] {
            assert_eq!(parse("mmi.drain", malformed), Query::Malformed(DRAIN_TAKES), "{malformed:?}");
        }
        for malformed in [["worker", "a"], ["service", "mmi.x"]] {
            assert_eq!(parse("mmi.resume", malformed), Query::Malformed(RESUME_TAKES), "{malformed:?}");
        }
    }

    #[test]
    fn patterns_max_is_met_and_not_passed() {
        let of = |count: usize| parse("mmi.stats", vec![Bytes::from("a"); count]);
        assert!(matches!(of(PATTERNS_MAX), Query::Stats(_)));
        assert!(matches!(of(PATTERNS_MAX + 1), Query::Malformed(_)));
    }

    #[test]
    fn what_nobody_has_defined_is_unknown() {
        assert_eq!(parse("mmi.nonesuch", ["x"]), Query::Unknown);
        assert_eq!(parse("mmi.", ["x"]), Query::Unknown);
    }
}
