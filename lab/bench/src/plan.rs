//! What a load looks like, as numbers; nothing here runs it.

use std::str::FromStr;
use std::time::Duration;

/// How many clients there are and how many requests each keeps outstanding; written `50x20`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pattern {
    /// Client connections.
    pub clients: usize,
    /// Requests that each client keeps in flight: a reply is followed by the next request at once.
    pub outstanding: usize,
}

impl Pattern {
    /// One request at a time in all: the pattern that measures latency, not throughput.
    pub const ALONE: Self = Self { clients: 1, outstanding: 1 };
}

impl std::fmt::Display for Pattern {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}x{}", self.clients, self.outstanding)
    }
}

impl FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let usage = || {
            format!(
                "`{text}`: a pattern is CLIENTSxOUTSTANDING, at most {CLIENTS_MAX}x{OUTSTANDING_MAX}, for example 50x20"
            )
        };
        let (clients, outstanding) = text.split_once('x').ok_or_else(usage)?;
        let count = |digits: &str, max| digits.parse().ok().filter(|count| (1..=max).contains(count));
        match (count(clients, CLIENTS_MAX), count(outstanding, OUTSTANDING_MAX)) {
            (Some(clients), Some(outstanding)) => Ok(Self { clients, outstanding }),
            _ => Err(usage()),
        }
    }
}

/// One measurement: a load on one freshly started server.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Clients and their outstanding requests.
    pub pattern: Pattern,
    /// Workers, each on a connection of its own.
    pub workers: usize,
    /// Requests that a worker takes at once, where its protocol has a word for it.
    pub credit: u32,
    /// Length of every request's body, and of its reply's; at least [`BODY_BYTES_MIN`].
    pub body_bytes: usize,
    /// Time under load that is not counted: caches fill, workers register, the server settles.
    pub warm_up: Duration,
    /// Time under load that is counted.
    pub duration: Duration,
    /// How long the requests still in flight at the end may take before they count as lost.
    pub drain_max: Duration,
}

/// A body carries its sequence number twice, at both ends.
pub const BODY_BYTES_MIN: usize = 16;

/// Clients, and outstanding requests of a client: both must fit their parts of a sequence number.
const CLIENTS_MAX: usize = 20_000;
const OUTSTANDING_MAX: usize = 200_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pattern_reads_as_it_prints() {
        let pattern: Pattern = "50x20".parse().unwrap();
        assert_eq!(pattern, Pattern { clients: 50, outstanding: 20 });
        assert_eq!(pattern.to_string(), "50x20");
    }

    #[test]
    fn wrong_patterns_say_what_is_allowed() {
        for text in ["", "50", "x", "0x1", "1x0", "1x-1", "1x200001", "20001x1", "axb"] {
            let refusal = text.parse::<Pattern>().unwrap_err();
            assert!(refusal.contains("CLIENTSxOUTSTANDING"), "{text}: {refusal}");
        }
    }
}
