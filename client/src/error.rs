//! What can go wrong with a request, by who is to blame.

use std::time::Duration;

use protocol::ServiceName;
use protocol::limits::SERVICE_NAME_BYTES_MAX;
use protocol::mdp::Dialect;

use crate::patience::Silence;

/// Why a request has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nobody answered in time, in any attempt. The service may have run, or may still run.
    #[error(
        "no answer from service {service} at {endpoint}: {attempts} {} in {:.1} s, {}{}{}",
        if *attempts == 1 { "attempt" } else { "attempts" }, elapsed.as_secs_f64(),
        if *connected { "the broker was reached" } else { "the broker was never reached" },
        if refusal.is_empty() { "" } else { ": " }, refusal
    )]
    Timeout {
        /// Where the broker was expected.
        endpoint: String,
        /// Who was asked.
        service: ServiceName,
        /// How often.
        attempts: u32,
        /// For how long in all.
        elapsed: Duration,
        /// Whether the request ever had a connection to travel on.
        connected: bool,
        /// Why the last attempt to connect came to nothing, as far as that is known; else empty.
        refusal: String,
    },
    /// The broker did not let us in, or we did not trust it. The request was not sent.
    #[error("refused by {endpoint}: {reason}")]
    NotLetIn {
        /// Where the broker is.
        endpoint: String,
        /// Why, and where to look.
        reason: String,
    },
    /// The service answered with a status that means no.
    #[error("service {service} answered {status}")]
    Refused {
        /// Who answered.
        service: ServiceName,
        /// What: the status, and its reason if there was one.
        status: String,
    },
    /// The service answered with something that its protocol does not know.
    #[error("service {service} answered what makes no sense: {reason}")]
    BadReply {
        /// Who answered.
        service: ServiceName,
        /// What is wrong with it.
        reason: String,
    },
    /// The reply is larger than this client collects.
    #[error("reply of more than {max} bytes")]
    TooLarge {
        /// The limit.
        max: usize,
    },
    /// As many requests are under way as are allowed.
    #[error("{max} requests are under way, and no more are allowed")]
    Full {
        /// The limit.
        max: usize,
    },
    /// Parts of the reply came faster than they were taken.
    #[error("parts of the reply were not taken in time: more than {max} wait")]
    Lagging {
        /// How many may wait.
        max: usize,
    },
    /// The client's task is gone: its runtime ended.
    #[error("the client is closed")]
    Closed,
    /// The caller asked for something that cannot work.
    #[error(transparent)]
    Misuse(#[from] Misuse),
}

/// A call that cannot work. The text names the value and what is allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Misuse {
    /// The service's name is empty or too long.
    #[error("service name of {bytes} bytes (allowed: 1 to {SERVICE_NAME_BYTES_MAX})")]
    ServiceName {
        /// How long it is.
        bytes: usize,
    },
    /// The body cannot travel in one message.
    #[error("body of {frames} frames and {bytes} bytes (allowed: {frames_max} and {bytes_max})")]
    Body {
        /// Frames of the body.
        frames: usize,
        /// Bytes of the body.
        bytes: usize,
        /// Frames that are allowed.
        frames_max: usize,
        /// Bytes that are allowed.
        bytes_max: usize,
    },
    /// No time to wait for an answer.
    #[error("timeout 0 (allowed: more than 0)")]
    Timeout,
    /// A request that is never sent, or more often than attempts can be numbered.
    #[error("retries {0} (allowed: 1 to {max})", max = u8::MAX)]
    Retries(u32),
    /// No request could ever be under way.
    #[error("in_flight_max 0 (allowed: 1 or more)")]
    InFlight,
    /// The dialect has no place for the number that tells replies apart.
    #[error("{0:?} has no envelope for request numbers: choose V01 or V02Delimited, or one request at a time")]
    NoEnvelope(Dialect),
    /// The endpoint cannot be read.
    #[error("endpoint {endpoint:?}: {reason}")]
    Endpoint {
        /// As it was given.
        endpoint: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl Error {
    /// What became of a request to `service` that nobody answered, as its machine saw it; `refusal` says why the last
    /// attempt to connect came to nothing, empty where that is not known.
    pub fn silence(endpoint: impl Into<String>, service: ServiceName, silence: Silence, refusal: String) -> Self {
        let (endpoint, Silence { attempts, elapsed, connected, refused }) = (endpoint.into(), silence);
        if refused {
            return Self::NotLetIn { endpoint, reason: refusal };
        }
        Self::Timeout { endpoint, service, attempts, elapsed, connected, refusal }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_says_where_how_often_how_long_and_whether_anybody_was_there() {
        let error = |attempts, connected, refusal: &str| {
            let elapsed = Duration::from_millis(2500) * attempts;
            let silence = Silence { attempts, elapsed, connected, refused: false };
            Error::silence("tcp://127.0.0.1:5555", "echo".parse().unwrap(), silence, refusal.to_owned()).to_string()
        };
        assert_eq!(
            error(3, false, ""),
            "no answer from service echo at tcp://127.0.0.1:5555: 3 attempts in 7.5 s, the broker was never reached"
        );
        assert!(error(1, true, "").ends_with("1 attempt in 2.5 s, the broker was reached"));
        assert!(error(1, false, "it hung up").ends_with("the broker was never reached: it hung up"));
    }

    #[test]
    fn a_refusal_says_by_whom_and_why() {
        let silence = Silence { attempts: 1, elapsed: Duration::ZERO, connected: false, refused: true };
        let error = Error::silence("tcp://127.0.0.1:5555", "echo".parse().unwrap(), silence, "400".to_owned());
        assert_eq!(error.to_string(), "refused by tcp://127.0.0.1:5555: 400");
    }
}
