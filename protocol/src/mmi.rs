//! The Majordomo management interface (RFC 8): services under `mmi.` that the broker answers itself.
//!
//! ```text
//! mmi.service   name                          -> 200 | 404      has it a live worker?
//! mmi.filter    enable|disable service command -> 200 | 400     of the majordomo project; see docs/PROTOCOLS.md
//! mmi.services  (anything)                    -> 200, JSON lines of what the broker serves; ours
//! any other                                   -> 501
//! ```
//!
//! A reply is one frame, the code (RFC 8 shows code and name; the reference sends the code alone, and clients rely on
//! it); `mmi.services` adds a second. The name is read from the last body frame, as the reference does.

use bytes::Bytes;

use crate::frames::Frames;
use crate::identity::ServiceName;
use crate::limits::FILTER_COMMAND_BYTES_MAX;

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
    /// What does the broker serve?
    Services,
    /// A question of a known name that makes no sense; answered [`code::BAD_REQUEST`] with this text.
    Malformed(&'static str),
    /// A name under `mmi.` that nobody has defined; answered [`code::NOT_IMPLEMENTED`].
    Unknown,
}

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
            b"mmi.services" => Self::Services,
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
    fn what_nobody_has_defined_is_unknown() {
        assert_eq!(parse("mmi.nonesuch", ["x"]), Query::Unknown);
        assert_eq!(parse("mmi.", ["x"]), Query::Unknown);
    }
}
